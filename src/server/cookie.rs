//! The browser cookie: issue, sign, verify.
//!
//! A session is bound to the browser that made it, so that a stolen clientId is useless from another
//! one. The value is `ID.TAG`: 128 random bits and 128 bits of HMAC-SHA256 over them, both base64url.
//! CometD takes over whatever value a client sends at its handshake, which lets an attacker plant one
//! (fixation); ours must bear our signature, or it counts as foreign. This file decides nothing: it
//! tells which identities a request has shown. Source: protocol.md 87, 88; RFC 6265.

use std::{fs, io, io::Read as _, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::{
    HeaderMap,
    header::{COOKIE, HeaderValue},
};
use sha2::Sha256;

use crate::{
    broker::BrowserId,
    config::{Auto, BrowserCookie, SameSite},
};

/// Issues and verifies the browser cookie of one broker, or of all that share a `secret_file`.
pub struct Cookies {
    config: BrowserCookie,
    /// Keyed once; a clone per cookie spares two rounds of SHA-256.
    signer: Hmac<Sha256>,
}

/// The response that brings a browser its cookie; each has a name of its own.
///
/// A Faye client shakes hands over HTTP and probes the WebSocket at the same time, on its first visit
/// both without a cookie. Under one name the later answer would take the place of the earlier, and if
/// that is the handshake's, every request of the new session presented a foreign cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The reply to a handshake over HTTP: `session.browser_cookie.name`.
    Handshake,
    /// The 101 of a WebSocket: that name with `_WS` behind it.
    Upgrade,
}

/// The browser cookies that a request presents.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Whether there is any cookie of our name, also a forged or planted one. A request that presents
    /// cookies must present the one of its session (protocol.md 88).
    pub any: bool,
    /// The identities whose signature is ours. Several occur when cookies of different paths meet.
    pub ids: Vec<BrowserId>,
}

impl Cookies {
    /// Prepares the cookie of `session.browser_cookie`, with the secret of its `secret_file` or a
    /// random one, under which all cookies end with the process.
    ///
    /// # Errors
    /// The operator's to correct: an unreadable or short secret, a name, path or domain that cannot
    /// stand in a header.
    pub fn new(config: &BrowserCookie) -> Result<Self, CookieError> {
        check_attributes(config)?;
        let secret = match &config.secret_file {
            Some(path) => read_secret(path)?,
            None => {
                let mut secret = vec![0; SECRET_BYTES_MIN];
                getrandom::fill(&mut secret).map_err(CookieError::Random)?;
                secret
            }
        };
        let signer = Hmac::new_from_slice(&secret).map_err(|_| CookieError::Key)?;
        Ok(Self { config: config.clone(), signer })
    }

    /// Makes a new identity and the `Set-Cookie` value that gives it to the browser.
    ///
    /// `secure`: the client speaks TLS, with us or with a trusted proxy. `cross_site`: the page is an
    /// allowed one of another site under https; browsers keep the cookie then only as `SameSite=None`,
    /// which they accept only with `Secure` (true of every https page: it cannot reach plain http,
    /// except on loopback, where `Secure` is accepted too).
    #[expect(clippy::expect_used, reason = "both cases were tried by `new`")]
    pub fn issue(
        &self,
        occasion: Occasion,
        secure: bool,
        cross_site: bool,
    ) -> (BrowserId, HeaderValue) {
        let mut bytes = [0; BrowserId::LENGTH];
        getrandom::fill(&mut bytes).expect("the random source of the system worked at start");
        let id = BrowserId::from_bytes(bytes);
        let cookie = self.set_cookie(id, occasion, secure, cross_site);
        let header = HeaderValue::from_str(&cookie).expect("name and attributes were checked");
        (id, header)
    }

    /// Reads the cookies of our names from all `Cookie` headers, which may be absent or empty
    /// (protocol.md 142). At most eight are verified, of those that could be ours by their form.
    pub fn presented(&self, headers: &HeaderMap) -> Presented {
        let pairs = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii));
        let values = pairs.filter_map(|pair| {
            let rest = pair.strip_prefix(self.config.name.as_bytes())?;
            rest.strip_prefix(UPGRADE_SUFFIX.as_bytes()).unwrap_or(rest).strip_prefix(b"=")
        });
        let mut values = values.peekable();
        let any = values.peek().is_some();
        let shaped = values.filter_map(|value| parse(unquoted(value)));
        let ids =
            shaped.take(PRESENTED_MAX).filter_map(|(id, tag)| self.verify(id, &tag)).collect();
        Presented { any, ids }
    }

    fn set_cookie(
        &self,
        id: BrowserId,
        occasion: Occasion,
        secure: bool,
        cross_site: bool,
    ) -> String {
        let BrowserCookie { name, path, domain, max_age, .. } = &self.config;
        let suffix = match occasion {
            Occasion::Handshake => "",
            Occasion::Upgrade => UPGRADE_SUFFIX,
        };
        let mut cookie = format!("{name}{suffix}={}; Path={path}; HttpOnly", self.value(id));
        let same_site = match self.config.same_site {
            SameSite::Auto if cross_site && self.config.secure != Auto::Off => SameSite::None,
            SameSite::Auto => SameSite::Lax,
            fixed => fixed,
        };
        let third_party = same_site == SameSite::None;
        cookie.push_str(match same_site {
            SameSite::Auto | SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        let secure = decide(self.config.secure, secure || third_party);
        if secure {
            cookie.push_str("; Secure");
        }
        if decide(self.config.partitioned, third_party && cross_site && secure) {
            cookie.push_str("; Partitioned");
        }
        if !domain.is_empty() {
            cookie.push_str("; Domain=");
            cookie.push_str(domain);
        }
        if let Some(max_age) = max_age {
            cookie.push_str("; Max-Age=");
            cookie.push_str(&max_age.as_secs().to_string());
        }
        cookie
    }

    /// `ID.TAG`, the text that `parse` reads.
    fn value(&self, id: BrowserId) -> String {
        let tag = self.mac(id).finalize().into_bytes();
        let mut value = URL_SAFE_NO_PAD.encode(id.as_bytes());
        value.push('.');
        // Half of the tag: 128 bits cannot be guessed online, and the cookie stays short.
        value.push_str(&URL_SAFE_NO_PAD.encode(tag.split_at(TAG_LENGTH).0));
        value
    }

    /// The identity, if we signed it. The comparison takes constant time.
    fn verify(&self, id: BrowserId, tag: &[u8; TAG_LENGTH]) -> Option<BrowserId> {
        self.mac(id).verify_truncated_left(tag).ok()?;
        Some(id)
    }

    fn mac(&self, id: BrowserId) -> Hmac<Sha256> {
        let mut mac = self.signer.clone();
        mac.update(PURPOSE);
        mac.update(id.as_bytes());
        mac
    }
}

/// Why the browser cookie cannot be set up; all but `Random` and `Key` are the operator's.
#[derive(Debug, thiserror::Error)]
pub enum CookieError {
    /// The secret file cannot be read.
    #[error(
        "session.browser_cookie.secret_file: cannot read {path:?} ({source}); make one with: head -c 32 /dev/urandom > FILE"
    )]
    Unreadable {
        /// The configured path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The secret could be guessed.
    #[error(
        "session.browser_cookie.secret_file: {path:?} holds {length} bytes, at least 32 are needed; make one with: head -c 32 /dev/urandom > FILE"
    )]
    Short {
        /// The configured path.
        path: String,
        /// Its length in bytes.
        length: usize,
    },
    /// A value that would break the header.
    #[error("session.browser_cookie.{key}: {value:?} {rule}")]
    Attribute {
        /// The key in the section.
        key: &'static str,
        /// The configured value.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// The system has no random numbers for us.
    #[error("the system's random source does not work: {0}")]
    Random(getrandom::Error),
    /// HMAC refused the key; it takes keys of any length, so this is a bug.
    #[error("HMAC refuses the secret")]
    Key,
}

fn read_secret(path: &Path) -> Result<Vec<u8>, CookieError> {
    let shown = || path.display().to_string();
    let mut secret = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_end(&mut secret))
        .map_err(|source| CookieError::Unreadable { path: shown(), source })?;
    if secret.len() < SECRET_BYTES_MIN {
        return Err(CookieError::Short { path: shown(), length: secret.len() });
    }
    Ok(secret)
}

/// Refuses what would end the attribute early or break the header (RFC 6265 4.1.1).
fn check_attributes(config: &BrowserCookie) -> Result<(), CookieError> {
    let attribute = |byte: u8| matches!(byte, b' '..=b'~') && byte != b';';
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let bad =
        |key, value: &str, rule| Err(CookieError::Attribute { key, value: value.to_owned(), rule });
    if config.name.is_empty() || !config.name.bytes().all(token) {
        return bad("name", &config.name, "is no cookie name: letters, digits, - and _");
    }
    if !config.path.starts_with('/') || !config.path.bytes().all(attribute) {
        return bad("path", &config.path, "is no cookie path: it starts with / and has no ;");
    }
    if !config.domain.bytes().all(|byte| attribute(byte) && byte != b' ') {
        return bad("domain", &config.domain, "is no domain name");
    }
    Ok(())
}

const fn decide(setting: Auto, automatic: bool) -> bool {
    match setting {
        Auto::Auto => automatic,
        Auto::On => true,
        Auto::Off => false,
    }
}

/// A value without the quotes that it may have (RFC 6265 4.1.1): the JDK's `CookieManager` adds them to
/// cookies with a `Max-Age`.
fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// What looks like `ID.TAG`, whoever has signed it.
fn parse(value: &[u8]) -> Option<(BrowserId, [u8; TAG_LENGTH])> {
    let dot = value.iter().position(|byte| *byte == b'.')?;
    let (id, tag) = value.split_at_checked(dot)?;
    Some((BrowserId::from_bytes(decode(id)?), decode(tag.strip_prefix(b".")?)?))
}

/// Exactly 16 bytes of unpadded, canonical base64url.
fn decode(text: &[u8]) -> Option<[u8; 16]> {
    // The decoder wants room for a whole group of three.
    let mut bytes = [0; 18];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.split_at_checked(length)?.0.try_into().ok()
}

/// Separates this use of the secret from any other that an operator makes of the same file.
const PURPOSE: &[u8] = b"bayeuxd browser cookie 1\0";
const TAG_LENGTH: usize = 16;
/// The strength of the signature: a key as long as the hash.
const SECRET_BYTES_MIN: usize = 32;
/// So that a wrong path (`/dev/zero`) ends in an error of sorts, not in all memory.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Tells the cookie of an upgrade from that of a handshake.
const UPGRADE_SUFFIX: &str = "_WS";
/// Cookies of different paths and domains can meet; eight exceeds any sane case, and each costs 1 µs.
const PRESENTED_MAX: usize = 8;

#[cfg(test)]
mod tests;
