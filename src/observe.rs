//! What may leave a message: who called (as a keyed hash), which operation was asked for, and text
//! with its secrets masked.
//!
//! Runs in the worker, on bytes that are let go right after. Credentials, user names and secrets
//! exist in clear only inside this room's functions; what they return is safe to keep.

use std::sync::Arc;

use compact_str::CompactString;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::exchange::Presented;

pub mod custom;
mod identity;
mod json;
mod jwt;
pub mod leaks;
mod login;
mod mask;
pub mod operation;
mod schemes;
pub mod sensitive;
pub mod shape;

pub use identity::Credential;
pub use jwt::Token;
pub use schemes::{Credentials, with_certificate};

/// Holds the identity key; one per worker.
#[derive(Clone)]
pub struct Observer {
    mac: Hmac<Sha256>,
    mask: bool,
    /// Classes of sensitive data that a person has added.
    rules: Arc<custom::Rules>,
}

impl Observer {
    /// `mask` off keeps secrets in paths and queries: for files on one's own desk only.
    pub fn new(key: &[u8; 32], mask: bool) -> Self {
        let mac = Hmac::new_from_slice(key)
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        Self {
            mac,
            mask,
            rules: Arc::default(),
        }
    }

    /// With classes of sensitive data of a person's own.
    #[must_use]
    pub fn with_rules(self, rules: Arc<custom::Rules>) -> Self {
        Self { rules, ..self }
    }

    /// Keyed hash of `parts` under `domain`, the first 8 bytes in hex. The same input gives the
    /// same text as long as the key file stays; without the key it says nothing.
    fn pseudonym(&self, domain: &str, parts: &[&[u8]]) -> CompactString {
        let mut mac = self.mac.clone();
        mac.update(domain.as_bytes());
        for part in parts {
            // Length first, so that no two splits of the same bytes collide.
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        hex(&mac.finalize().into_bytes()[..8])
    }

    /// What the header fields say of who calls, and with what; `now` in seconds of the epoch.
    pub fn credentials(&self, c: &Credential<'_>, now: i64) -> Credentials {
        schemes::credentials(self, c, now)
    }

    /// `known`, and the credentials that stand in the query, masked or not.
    pub fn with_query(
        &self,
        known: Option<&Arc<[Presented]>>,
        query: Option<&str>,
    ) -> Option<Arc<[Presented]>> {
        schemes::with_query(known, query)
    }

    /// Keyed hash of the user name on a login call: a body with a password-like field.
    pub fn login(&self, content_type: &str, body: &[u8]) -> Option<CompactString> {
        let name = login::user_name(content_type, body)?;
        Some(self.pseudonym("login", &[name.trim().to_lowercase().as_bytes()]))
    }

    /// A path with the segments that hold secrets masked.
    pub fn path(&self, path: &str) -> CompactString {
        if self.mask {
            mask::path(self, path)
        } else {
            path.into()
        }
    }

    /// Keyed hash of where a redirection leads, without query and fragment. The path that was asked
    /// for counts as `=`: whoever sends all of a host elsewhere under the same path, sends it to one
    /// place.
    pub fn location(&self, target: &[u8], asked: &str) -> CompactString {
        let end = target.iter().position(|b| matches!(b, b'?' | b'#'));
        let bare = &target[..end.unwrap_or(target.len())];
        match bare.strip_suffix(asked.as_bytes()) {
            // `/` ends most targets.
            Some(site) if asked != "/" => self.pseudonym("location", &[site, b"="]),
            _ => self.pseudonym("location", &[bare]),
        }
    }

    /// A query with the values that hold secrets masked.
    pub fn query(&self, query: &str) -> CompactString {
        if self.mask {
            mask::query(self, query)
        } else {
            query.into()
        }
    }
}

fn hex(bytes: &[u8]) -> CompactString {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}
