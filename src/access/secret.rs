//! Secrets that we make: API tokens, session ids, CSRF tokens. 256 random bits each, so that a plain
//! SHA-256 is all that has to be kept of one.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What stands before an API token, so that secret scanners and people know one.
const TOKEN: &str = "apt_";

/// Bytes of randomness.
const BYTES: usize = 32;

/// A secret in the clear: on its way to whom it is for.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Of a session, or of its forms. Fails where the system gives no randomness.
    pub fn random() -> Result<Self, String> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|e| format!("no randomness: {e}"))?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))))
    }

    /// `apt_` and 43 characters.
    pub fn token() -> Result<Self, String> {
        let random = Self::random()?;
        Ok(Self(Zeroizing::new(format!("{TOKEN}{}", random.reveal()))))
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// SHA-256 of a secret, in hexadecimal. Equal in constant time.
#[derive(Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    pub fn of(secret: &str) -> Self {
        let bytes = Sha256::digest(secret.as_bytes());
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// A name for what the secret opens that says nothing of the secret.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_random_and_recognised() {
        let (a, b) = (Secret::token().unwrap(), Secret::token().unwrap());
        assert_ne!(a.reveal(), b.reveal());
        assert!(a.reveal().starts_with("apt_"));
        assert_eq!(a.reveal().len(), 4 + 43);
        assert_eq!(a.digest(), Digest::of(a.reveal()));
        assert_ne!(a.digest(), b.digest());
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::token().unwrap();
        assert_eq!(format!("{secret:?} {:?}", secret.digest()), "Secret Digest");
        assert!(!secret.reveal().contains(secret.digest().short()));
    }
}
