//! The API key that a request presents.
//!
//! Either `Authorization: Bearer KEY` or `X-API-Key: KEY`. The keyring can be replaced while the server
//! runs: a request uses the one that it met. Source: operations.md 5.

use std::{sync::Arc, time::Duration};

use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HeaderName},
};
use tokio::sync::watch;

use crate::auth::{Keyring, Principal};

/// The keys of a running server, and word of their replacement.
#[derive(Debug)]
pub(crate) struct Keys(watch::Sender<Arc<Keyring>>);

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// Nobody in particular.
    None,
    /// Somebody with a key that is not, or no longer, one of ours.
    Wrong,
    /// The holder of a key.
    Key(Principal),
}

impl Keys {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self(watch::Sender::new(Arc::new(keyring)))
    }

    /// Replaces all keys; those that are not among the new ones are taken back. Returns whether any key is
    /// new or gone.
    pub(crate) fn replace(&self, mut keyring: Keyring) -> bool {
        let mut differs = false;
        self.0.send_modify(|keys| {
            differs = keyring.succeed(keys);
            *keys = Arc::new(keyring);
        });
        differs
    }

    /// Waits until a key that was shown is taken back; for ever if that never happens.
    pub(crate) async fn revocation(&self, principal: &Principal) {
        let mut keys = self.0.subscribe();
        // Fails only if the sender is gone, which this is a part of.
        let _ = keys.wait_for(|_| principal.is_revoked()).await;
    }

    /// The holder of a key that somebody shows.
    pub(crate) fn holder(&self, presented: &[u8]) -> Option<Principal> {
        let keyring = Arc::clone(&self.0.borrow());
        keyring.find(presented).cloned()
    }

    /// Reads who sends a request from its headers.
    pub(crate) fn credentials(&self, headers: &HeaderMap) -> Credentials {
        let Some(presented) = presented(headers) else { return Credentials::None };
        self.holder(presented).map_or(Credentials::Wrong, Credentials::Key)
    }
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(API_KEY) {
        return Some(key.as_bytes());
    }
    let (scheme, rest) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

/// How long the answer to a wrong key takes, at each door: guessing is hopeless, and slow on top
/// (reliability.md T21).
pub(crate) const WRONG_KEY_DELAY: Duration = Duration::from_millis(100);

/// For clients that cannot set `Authorization`, as behind a proxy with a password of its own.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn of(name: &'static str, value: &'static str) -> Option<Vec<u8>> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        presented(&headers).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_key_comes_in_either_of_two_headers() {
        assert_eq!(of("x-api-key", "abc"), Some(b"abc".to_vec()));
        assert_eq!(of("authorization", "Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(of("authorization", "bearer  abc"), Some(b"abc".to_vec()));
        assert_eq!(of("authorization", "Basic YWJjOmRlZg=="), None);
        assert_eq!(of("authorization", "Bear"), None);
        assert_eq!(of("cookie", "abc"), None);
    }
}
