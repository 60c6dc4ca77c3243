//! Passwords: what one must be like, and its argon2id hash.

use std::fmt;
use std::sync::{Arc, OnceLock};

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Characters that a password has at least.
pub const MIN_PASSWORD: usize = 12;

/// Bytes that a password has at most: hashing costs by length, too.
const MAX_PASSWORD: usize = 512;

/// Different characters in a password: `aaaaaaaaaaaa` is none.
const DIFFERENT: usize = 5;

/// OWASP's least for argon2id: 19 MiB, two passes, one lane.
const MEMORY: u32 = 19 * 1_024;
const PASSES: u32 = 2;

/// Bytes of salt.
const SALT: usize = 16;

/// As somebody typed it.
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Whether it may become somebody's password. Long rather than odd: NIST SP 800-63B.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let text = self.0.as_str();
        if text.chars().count() < MIN_PASSWORD {
            return Err(format!(
                "a password has at least {MIN_PASSWORD} characters; a few words are good"
            ));
        }
        if text.len() > MAX_PASSWORD {
            return Err(format!("a password has at most {MAX_PASSWORD} bytes"));
        }
        let different: std::collections::BTreeSet<char> = text.chars().collect();
        if different.len() < DIFFERENT {
            return Err(format!(
                "a password has at least {DIFFERENT} different characters"
            ));
        }
        if text.to_lowercase().contains(&name.to_lowercase()) && name.len() > 3 {
            return Err("a password does not hold the user's name".into());
        }
        Ok(())
    }

    /// Slow and large on purpose: tens of milliseconds and 19 MiB.
    pub fn hash(&self) -> Result<Hash, String> {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).map_err(|e| format!("no randomness: {e}"))?;
        let hash: PasswordHash = argon2()
            .hash_password_with_salt(self.0.as_bytes(), &salt)
            .map_err(|e| format!("the password cannot be hashed: {e}"))?;
        Ok(Hash(hash.to_string().into()))
    }

    /// Whether it is the one of this hash. Without a hash, which is a name that nobody has, the work
    /// is the same: the time tells nothing.
    pub fn is(&self, hash: Option<&Hash>) -> bool {
        // More than may ever have been set costs no work; who sends it learns only that.
        if self.0.len() > MAX_PASSWORD {
            return false;
        }
        let nobody = nobody();
        let Some(tried) = hash.or(nobody) else {
            return false;
        };
        let right = argon2().verify_password(self.0.as_bytes(), &*tried.0);
        right.is_ok() && hash.is_some()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

fn argon2() -> Argon2<'static> {
    // The constants are within the bounds that the crate checks.
    let params = Params::new(MEMORY, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// A hash that no password is right for: its own is random and forgotten.
fn nobody() -> Option<&'static Hash> {
    static NOBODY: OnceLock<Option<Hash>> = OnceLock::new();
    let made = NOBODY.get_or_init(|| {
        let forgotten = super::Secret::random().ok()?;
        Password::new(forgotten.reveal()).hash().ok()
    });
    made.as_ref()
}

/// An argon2id hash in the form of PHC strings; its salt makes each differ.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(Arc<str>);

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_password_and_differs_each_time() {
        let password = Password::new("correct horse battery");
        let (a, b) = (password.hash().unwrap(), password.hash().unwrap());
        assert_ne!(a, b, "each has a salt of its own");
        assert!(password.is(Some(&a)) && password.is(Some(&b)));
        assert!(!Password::new("correct horse batterz").is(Some(&a)));
        assert!(!password.is(None));
        let text = serde_json::to_string(&a).unwrap();
        assert!(
            text.starts_with("\"$argon2id$v=19$m=19456,t=2,p=1$"),
            "{text}"
        );
        let back: Hash = serde_json::from_str(&text).unwrap();
        assert!(password.is(Some(&back)));
        assert!(!password.is(Some(&Hash("damaged".into()))));
    }

    #[test]
    fn what_is_no_password() {
        let said = |text: &str| Password::new(text).check("alice").unwrap_err();
        assert!(said("short").contains("at least 12"));
        assert!(said("abababababab").contains("different"));
        assert!(said("my Alice password").contains("name"));
        assert!(said(&"abcdefgh".repeat(100)).contains("at most"));
        assert_eq!(
            Password::new("correct horse battery").check("alice"),
            Ok(())
        );
        assert!(!Password::new("x".repeat(1_000_000)).is(None));
    }

    #[test]
    fn nothing_prints_one() {
        let password = Password::new("correct horse battery");
        let hash = password.hash().unwrap();
        assert_eq!(format!("{password:?} {hash:?}"), "Password Hash");
    }
}
