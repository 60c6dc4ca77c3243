//! From secrets to keys: the PRF of TLS 1.2 (RFC 5246, section 5) and the key schedule of TLS 1.3
//! (RFC 8446, section 7), over the HMAC and HKDF of RustCrypto.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit};
use sha2::{Digest, Sha256, Sha384};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::suite::{Cipher, Hash, Suite};

/// A master secret and the traffic secrets of SHA-384 have this much.
pub(super) const MAX_SECRET: usize = 48;

/// A secret of up to 48 bytes; wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(super) struct Secret {
    bytes: [u8; MAX_SECRET],
    length: usize,
}

impl Secret {
    /// `None` where it is longer than any secret is.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self {
            bytes: [0; MAX_SECRET],
            length: bytes.len(),
        };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn zeros(length: usize) -> Self {
        debug_assert!(length <= MAX_SECRET);
        Self {
            bytes: [0; MAX_SECRET],
            length,
        }
    }

    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What one direction's records are opened with.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Keys {
    pub(super) mac: [u8; 48],
    pub(super) key: [u8; 32],
    /// TLS 1.2: the fixed part, from the front. TLS 1.3: all 12 bytes.
    pub(super) iv: [u8; 12],
}

impl Keys {
    fn zeros() -> Self {
        Self {
            mac: [0; 48],
            key: [0; 32],
            iv: [0; 12],
        }
    }
}

/// RFC 5246, section 8.1. `seed` is both randoms, or the session's hash where both sides agreed on
/// the extended master secret (RFC 7627, section 4).
pub(super) fn master(hash: Hash, premaster: &[u8], seed: MasterSeed<'_>) -> Secret {
    let mut master = Secret::zeros(MAX_SECRET);
    match seed {
        MasterSeed::Randoms { client, server } => {
            let seed: [&[u8]; 3] = [b"master secret", client, server];
            prf(hash, premaster, &seed, master.as_mut());
        }
        MasterSeed::Transcript(messages) => {
            let seed = match hash {
                Hash::Sha256 => Sha256::digest(messages).to_vec(),
                Hash::Sha384 => Sha384::digest(messages).to_vec(),
            };
            let seed: [&[u8]; 2] = [b"extended master secret", &seed];
            prf(hash, premaster, &seed, master.as_mut());
        }
    }
    master
}

pub(super) enum MasterSeed<'a> {
    Randoms {
        client: &'a [u8; 32],
        server: &'a [u8; 32],
    },
    /// Handshake messages up to and with the ClientKeyExchange.
    Transcript(&'a [u8]),
}

/// Keys of client and server (RFC 5246, section 6.3).
pub(super) fn key_block(
    suite: &Suite,
    master: &Secret,
    client: &[u8; 32],
    server: &[u8; 32],
) -> [Keys; 2] {
    let cipher = suite.cipher;
    let lengths = [
        cipher.mac().map_or(0, |mac| mac.length()),
        cipher.key_length(),
        cipher.fixed_iv_length(),
    ];
    let mut block = Zeroizing::new([0_u8; 2 * (48 + 32 + 12)]);
    let total = 2 * lengths.iter().sum::<usize>();
    let seed: [&[u8]; 3] = [b"key expansion", server, client];
    prf(suite.hash, master.as_bytes(), &seed, &mut block[..total]);
    let mut keys = [Keys::zeros(), Keys::zeros()];
    let mut rest = &block[..total];
    for (part, length) in lengths.into_iter().enumerate() {
        for keys in &mut keys {
            let (bytes, behind) = rest.split_at(length);
            rest = behind;
            match part {
                0 => keys.mac[..length].copy_from_slice(bytes),
                1 => keys.key[..length].copy_from_slice(bytes),
                _ => keys.iv[..length].copy_from_slice(bytes),
            }
        }
    }
    keys
}

/// Keys of one direction in TLS 1.3 (RFC 8446, section 7.3).
pub(super) fn traffic_keys(hash: Hash, cipher: Cipher, secret: &Secret) -> Keys {
    let mut keys = Keys::zeros();
    expand_label(hash, secret, b"key", &mut keys.key[..cipher.key_length()]);
    expand_label(hash, secret, b"iv", &mut keys.iv);
    keys
}

/// The secret behind a KeyUpdate (RFC 8446, section 7.2).
pub(super) fn next_secret(hash: Hash, secret: &Secret) -> Secret {
    let mut next = Secret::zeros(hash.length());
    expand_label(hash, secret, b"traffic upd", next.as_mut());
    next
}

/// HKDF-Expand-Label with an empty context (RFC 8446, section 7.1).
pub(super) fn expand_label(hash: Hash, secret: &Secret, label: &[u8], out: &mut [u8]) {
    // Labels are ours and at most 12 bytes, outputs at most 48.
    let length = (out.len() as u16).to_be_bytes();
    let label_length = [6 + label.len() as u8];
    let info: [&[u8]; 5] = [&length, &label_length, b"tls13 ", label, &[0]];
    // Both calls fail on a length that cannot be: a secret shorter than its hash, which the key
    // store refuses, and an output of more than 255 hashes. Zero keys open nothing.
    let _ = match hash {
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret.as_bytes())
            .map(|hkdf| hkdf.expand_multi_info(&info, out)),
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret.as_bytes())
            .map(|hkdf| hkdf.expand_multi_info(&info, out)),
    };
}

/// P_hash of RFC 5246, section 5; `seed` in pieces, the label first.
fn prf(hash: Hash, secret: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    match hash {
        Hash::Sha256 => p_hash::<Hmac<Sha256>>(secret, seed, out),
        Hash::Sha384 => p_hash::<Hmac<Sha384>>(secret, seed, out),
    }
}

fn p_hash<H: hmac::Mac + KeyInit + Clone>(secret: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    // HMAC takes a key of any length.
    let Ok(keyed) = <H as KeyInit>::new_from_slice(secret) else {
        return;
    };
    let over = |first: &[u8], seed: &[&[u8]]| {
        let mut mac = keyed.clone();
        mac.update(first);
        seed.iter().for_each(|piece| mac.update(piece));
        mac.finalize().into_bytes()
    };
    let mut a = over(&[], seed);
    for chunk in out.chunks_mut(a.len()) {
        let block = over(&a, seed);
        chunk.copy_from_slice(&block[..chunk.len()]);
        a = over(&a, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::unhex;

    /// RFC 9001, appendix A.1: HKDF-Expand-Label as TLS 1.3 defines it.
    #[test]
    fn expand_label_gives_the_published_keys() {
        let secret = Secret::new(&unhex(
            "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea",
        ))
        .unwrap();
        let mut key = [0; 16];
        expand_label(Hash::Sha256, &secret, b"quic key", &mut key);
        assert_eq!(key[..], unhex("1f369613dd76d5467730efcbe3b1a22d"));
        let mut iv = [0; 12];
        expand_label(Hash::Sha256, &secret, b"quic iv", &mut iv);
        assert_eq!(iv[..], unhex("fa044b2f42a3fd3b46fb255c"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new(&[7; 48]).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(Secret::new(&[7; 49]), None);
    }
}
