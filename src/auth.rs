//! Who a service or an operator is: API keys and what each may do.
//!
//! A [`Keyring`] holds every configured key, as digests. Whoever presents a secret becomes the
//! [`Principal`] of its key; everybody else is nobody. What may be done without a key is not decided
//! here, and nothing here waits or knows a transport.
//! Source: operations.md 4.1 (`[[auth.keys]]`), 5, 6.

mod keyring;
mod local;
mod principal;
mod secret;

pub use self::{
    keyring::{BadKey, Keyring},
    local::{LocalKey, LocalKeyError},
    principal::Principal,
    secret::{Digest, Secret, WeakSecret},
};
pub use crate::config::Role;
