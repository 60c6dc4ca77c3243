//! Cipher suites: which ones can be opened, and how (RFC 5246, 5288, 5289, 6655, 7251, 7905,
//! 8446). A suite that is not in the table can only be named by its number.

/// How records are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
    Aes128Ccm,
    Aes256Ccm,
    /// With a tag of 8 bytes.
    Aes128Ccm8,
    Aes256Ccm8,
    Aes128Cbc(Mac),
    Aes256Cbc(Mac),
}

/// The HMAC of a CBC suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    Sha1,
    Sha256,
    Sha384,
}

/// The hash of the key schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
}

impl Cipher {
    pub fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ccm | Self::Aes128Ccm8 | Self::Aes128Cbc(_) => 16,
            _ => 32,
        }
    }

    /// The part of the nonce that the key block of TLS 1.2 gives. CBC sends its own.
    pub fn fixed_iv_length(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 12,
            Self::Aes128Cbc(_) | Self::Aes256Cbc(_) => 0,
            _ => 4,
        }
    }

    pub fn mac(self) -> Option<Mac> {
        match self {
            Self::Aes128Cbc(mac) | Self::Aes256Cbc(mac) => Some(mac),
            _ => None,
        }
    }
}

impl Mac {
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

impl Hash {
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub id: u16,
    pub name: &'static str,
    pub cipher: Cipher,
    pub hash: Hash,
    /// The client encrypts the premaster secret to the server's key: who has that key can read.
    pub rsa_key_exchange: bool,
}

impl Suite {
    pub fn of(id: u16) -> Option<&'static Self> {
        let at = SUITES.binary_search_by_key(&id, |suite| suite.id).ok()?;
        SUITES.get(at)
    }
}

/// By number.
static SUITES: [Suite; 57] = {
    use Cipher::*;
    use Hash::*;
    const fn suite(id: u16, name: &'static str, cipher: Cipher, hash: Hash) -> Suite {
        let rsa_key_exchange = matches!(
            id,
            0x002f | 0x0035 | 0x003c | 0x003d | 0x009c | 0x009d | 0xc09c | 0xc09d | 0xc0a0 | 0xc0a1
        );
        Suite {
            id,
            name,
            cipher,
            hash,
            rsa_key_exchange,
        }
    }
    [
        suite(
            0x002f,
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            Aes128Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0x0032,
            "TLS_DHE_DSS_WITH_AES_128_CBC_SHA",
            Aes128Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0x0033,
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
            Aes128Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0x0035,
            "TLS_RSA_WITH_AES_256_CBC_SHA",
            Aes256Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0x0038,
            "TLS_DHE_DSS_WITH_AES_256_CBC_SHA",
            Aes256Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0x0039,
            "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
            Aes256Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0x003c,
            "TLS_RSA_WITH_AES_128_CBC_SHA256",
            Aes128Cbc(Mac::Sha256),
            Sha256,
        ),
        suite(
            0x003d,
            "TLS_RSA_WITH_AES_256_CBC_SHA256",
            Aes256Cbc(Mac::Sha256),
            Sha256,
        ),
        suite(
            0x0067,
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
            Aes128Cbc(Mac::Sha256),
            Sha256,
        ),
        suite(
            0x006b,
            "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
            Aes256Cbc(Mac::Sha256),
            Sha256,
        ),
        suite(
            0x008c,
            "TLS_PSK_WITH_AES_128_CBC_SHA",
            Aes128Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0x008d,
            "TLS_PSK_WITH_AES_256_CBC_SHA",
            Aes256Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", Aes128Gcm, Sha256),
        suite(0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", Aes256Gcm, Sha384),
        suite(
            0x009e,
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            Aes128Gcm,
            Sha256,
        ),
        suite(
            0x009f,
            "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
            Aes256Gcm,
            Sha384,
        ),
        suite(
            0x00a2,
            "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256",
            Aes128Gcm,
            Sha256,
        ),
        suite(
            0x00a3,
            "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384",
            Aes256Gcm,
            Sha384,
        ),
        suite(0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256", Aes128Gcm, Sha256),
        suite(0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384", Aes256Gcm, Sha384),
        suite(0x1301, "TLS_AES_128_GCM_SHA256", Aes128Gcm, Sha256),
        suite(0x1302, "TLS_AES_256_GCM_SHA384", Aes256Gcm, Sha384),
        suite(
            0x1303,
            "TLS_CHACHA20_POLY1305_SHA256",
            ChaCha20Poly1305,
            Sha256,
        ),
        suite(0x1304, "TLS_AES_128_CCM_SHA256", Aes128Ccm, Sha256),
        suite(0x1305, "TLS_AES_128_CCM_8_SHA256", Aes128Ccm8, Sha256),
        suite(
            0xc009,
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
            Aes128Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0xc00a,
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            Aes256Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0xc013,
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            Aes128Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0xc014,
            "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
            Aes256Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0xc023,
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
            Aes128Cbc(Mac::Sha256),
            Sha256,
        ),
        suite(
            0xc024,
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384",
            Aes256Cbc(Mac::Sha384),
            Sha384,
        ),
        suite(
            0xc027,
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
            Aes128Cbc(Mac::Sha256),
            Sha256,
        ),
        suite(
            0xc028,
            "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
            Aes256Cbc(Mac::Sha384),
            Sha384,
        ),
        suite(
            0xc02b,
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            Aes128Gcm,
            Sha256,
        ),
        suite(
            0xc02c,
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Aes256Gcm,
            Sha384,
        ),
        suite(
            0xc02f,
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            Aes128Gcm,
            Sha256,
        ),
        suite(
            0xc030,
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            Aes256Gcm,
            Sha384,
        ),
        suite(
            0xc035,
            "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA",
            Aes128Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(
            0xc036,
            "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA",
            Aes256Cbc(Mac::Sha1),
            Sha256,
        ),
        suite(0xc09c, "TLS_RSA_WITH_AES_128_CCM", Aes128Ccm, Sha256),
        suite(0xc09d, "TLS_RSA_WITH_AES_256_CCM", Aes256Ccm, Sha256),
        suite(0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM", Aes128Ccm, Sha256),
        suite(0xc09f, "TLS_DHE_RSA_WITH_AES_256_CCM", Aes256Ccm, Sha256),
        suite(0xc0a0, "TLS_RSA_WITH_AES_128_CCM_8", Aes128Ccm8, Sha256),
        suite(0xc0a1, "TLS_RSA_WITH_AES_256_CCM_8", Aes256Ccm8, Sha256),
        suite(0xc0a2, "TLS_DHE_RSA_WITH_AES_128_CCM_8", Aes128Ccm8, Sha256),
        suite(0xc0a3, "TLS_DHE_RSA_WITH_AES_256_CCM_8", Aes256Ccm8, Sha256),
        suite(
            0xc0ac,
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
            Aes128Ccm,
            Sha256,
        ),
        suite(
            0xc0ad,
            "TLS_ECDHE_ECDSA_WITH_AES_256_CCM",
            Aes256Ccm,
            Sha256,
        ),
        suite(
            0xc0ae,
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
            Aes128Ccm8,
            Sha256,
        ),
        suite(
            0xc0af,
            "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8",
            Aes256Ccm8,
            Sha256,
        ),
        suite(
            0xcca8,
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ChaCha20Poly1305,
            Sha256,
        ),
        suite(
            0xcca9,
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            ChaCha20Poly1305,
            Sha256,
        ),
        suite(
            0xccaa,
            "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            ChaCha20Poly1305,
            Sha256,
        ),
        suite(
            0xccab,
            "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256",
            ChaCha20Poly1305,
            Sha256,
        ),
        suite(
            0xccac,
            "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
            ChaCha20Poly1305,
            Sha256,
        ),
        suite(
            0xccad,
            "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
            ChaCha20Poly1305,
            Sha256,
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_found_and_named_for_what_it_does() {
        assert!(SUITES.is_sorted_by(|a, b| a.id < b.id));
        for suite in &SUITES {
            assert_eq!(Suite::of(suite.id), Some(suite));
            let (name, c) = (suite.name, suite.cipher);
            assert_eq!(c.key_length() == 16, name.contains("AES_128"), "{name}");
            assert_eq!(c.mac().is_some(), name.contains("CBC"), "{name}");
            assert_eq!(
                suite.hash == Hash::Sha384,
                name.ends_with("SHA384"),
                "{name}"
            );
            assert_eq!(
                suite.rsa_key_exchange,
                name.starts_with("TLS_RSA_"),
                "{name}"
            );
            if let Some(mac) = c.mac() {
                let ending = ["SHA", "SHA256", "SHA384"][mac as usize];
                assert!(name.ends_with(&format!("CBC_{ending}")), "{name}");
            }
            let short = matches!(c, Cipher::Aes128Ccm8 | Cipher::Aes256Ccm8);
            assert_eq!(short, name.contains("CCM_8"), "{name}");
            assert_eq!(c == Cipher::ChaCha20Poly1305, name.contains("CHACHA20"));
        }
        assert_eq!(Suite::of(0x0005), None);
    }
}
