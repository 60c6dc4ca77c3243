//! Opens the records of one direction, with its keys and its count of records.
//!
//! Every record is authenticated: AEAD (RFC 5288, 6655, 7905, 8446), or CBC with an HMAC inside
//! (RFC 5246, section 6.2.3.2) or around (RFC 7366). A record that is not authentic gives nothing.
//! The checks take no care of timing: who listens answers nobody, so there is no oracle.

use aes::cipher::{Array, BlockModeDecrypt, KeyInit, KeyIvInit};
use aes::{Aes128, Aes256};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, Tag};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ccm::Ccm;
use ccm::consts::{U8, U12, U16};
use chacha20poly1305::ChaCha20Poly1305;
use hmac::Hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::record::{ContentType, Header};
use super::secrets::{Keys, Secret, next_secret, traffic_keys};
use super::suite::{Cipher, Mac, Suite};

const BLOCK: usize = 16;

/// A record that these keys do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAuthentic;

/// The content of an opened record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened<'a> {
    pub(super) kind: ContentType,
    pub(super) data: &'a [u8],
    /// TLS 1.3: zeros stood behind the content.
    pub(super) padded: bool,
}

/// Ciphers with their expanded keys; boxed, as an AES key schedule has some hundred bytes.
enum Algorithm {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
    Aes128Ccm(Box<Ccm<Aes128, U16, U12>>),
    Aes256Ccm(Box<Ccm<Aes256, U16, U12>>),
    Aes128Ccm8(Box<Ccm<Aes128, U8, U12>>),
    Aes256Ccm8(Box<Ccm<Aes256, U8, U12>>),
    Cbc(Mac),
}

/// How a nonce is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nonce {
    /// Four bytes of the key block and eight of the record (RFC 5288, section 3).
    Explicit,
    /// Twelve bytes, the record's number laid over them (RFC 7905, section 2; RFC 8446, section
    /// 5.3).
    Counted,
}

/// Invariant: `sequence` is the number of the next record (RFC 5246, section 6.1).
pub(super) struct Opener {
    suite: &'static Suite,
    algorithm: Algorithm,
    keys: Keys,
    nonce: Nonce,
    sequence: u64,
    /// TLS 1.3, so that a key update can be followed.
    secret: Option<Secret>,
    encrypt_then_mac: bool,
}

impl Opener {
    /// A direction of TLS 1.2.
    pub(super) fn tls12(suite: &'static Suite, keys: Keys, encrypt_then_mac: bool) -> Self {
        let nonce = match suite.cipher {
            Cipher::ChaCha20Poly1305 => Nonce::Counted,
            _ => Nonce::Explicit,
        };
        Self {
            suite,
            algorithm: Algorithm::new(suite.cipher, &keys),
            keys,
            nonce,
            sequence: 0,
            secret: None,
            encrypt_then_mac,
        }
    }

    /// A direction of TLS 1.3, in the epoch of `secret`.
    pub(super) fn tls13(suite: &'static Suite, secret: Secret) -> Self {
        let keys = traffic_keys(suite.hash, suite.cipher, &secret);
        Self {
            suite,
            algorithm: Algorithm::new(suite.cipher, &keys),
            keys,
            nonce: Nonce::Counted,
            sequence: 0,
            secret: Some(secret),
            encrypt_then_mac: false,
        }
    }

    /// Behind a KeyUpdate (RFC 8446, section 4.6.3).
    pub(super) fn updated(&self) -> Option<Self> {
        let secret = self.secret.as_ref()?;
        Some(Self::tls13(
            self.suite,
            next_secret(self.suite.hash, secret),
        ))
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Goes on at another record: some were lost.
    pub(super) fn seek(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// What protection adds to a record's content, where that is a constant. TLS 1.3: with the
    /// content's type and without padding.
    pub(super) fn overhead(&self) -> Option<usize> {
        let tag = match self.algorithm {
            Algorithm::Cbc(_) => return None,
            Algorithm::Aes128Ccm8(_) | Algorithm::Aes256Ccm8(_) => 8,
            _ => 16,
        };
        Some(match (self.nonce, &self.secret) {
            (Nonce::Explicit, _) => tag + 8,
            (Nonce::Counted, None) => tag,
            (Nonce::Counted, Some(_)) => tag + 1,
        })
    }

    /// Opens the next record. `payload` is what follows the header; `plain` is where the content
    /// goes, and is overwritten.
    pub(super) fn open<'a>(
        &mut self,
        header: &Header,
        payload: &[u8],
        plain: &'a mut Vec<u8>,
    ) -> Result<Opened<'a>, NotAuthentic> {
        plain.clear();
        let content = match self.algorithm {
            Algorithm::Cbc(mac) => self.cbc(mac, header, payload, plain)?,
            _ => self.aead(header, payload, plain)?,
        };
        let (kind, length, padded) = if self.secret.is_some() {
            // RFC 8446, section 5.4: content, its type, zeros.
            let last = plain[..content]
                .iter()
                .rposition(|byte| *byte != 0)
                .ok_or(NotAuthentic)?;
            let kind = ContentType::of(plain[last]).ok_or(NotAuthentic)?;
            (kind, last, last + 1 < content)
        } else {
            (header.kind, content, false)
        };
        // 2^64 records are not reached.
        self.sequence = self.sequence.wrapping_add(1);
        Ok(Opened {
            kind,
            data: &plain[..length],
            padded,
        })
    }

    /// Returns the content's length.
    fn aead(
        &self,
        header: &Header,
        payload: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<usize, NotAuthentic> {
        let mut nonce = self.keys.iv;
        let sealed = match self.nonce {
            Nonce::Explicit => {
                let (explicit, sealed) = payload.split_first_chunk::<8>().ok_or(NotAuthentic)?;
                nonce[4..].copy_from_slice(explicit);
                sealed
            }
            Nonce::Counted => {
                let counted = nonce[4..].iter_mut().zip(self.sequence.to_be_bytes());
                counted.for_each(|(iv, count)| *iv ^= count);
                payload
            }
        };
        match &self.algorithm {
            Algorithm::Aes128Gcm(aead) => self.unseal(&**aead, nonce, header, sealed, plain),
            Algorithm::Aes256Gcm(aead) => self.unseal(&**aead, nonce, header, sealed, plain),
            Algorithm::ChaCha20Poly1305(aead) => self.unseal(&**aead, nonce, header, sealed, plain),
            Algorithm::Aes128Ccm(aead) => self.unseal(&**aead, nonce, header, sealed, plain),
            Algorithm::Aes256Ccm(aead) => self.unseal(&**aead, nonce, header, sealed, plain),
            Algorithm::Aes128Ccm8(aead) => self.unseal(&**aead, nonce, header, sealed, plain),
            Algorithm::Aes256Ccm8(aead) => self.unseal(&**aead, nonce, header, sealed, plain),
            Algorithm::Cbc(_) => Err(NotAuthentic),
        }
    }

    fn unseal<A: AeadInOut<NonceSize = U12>>(
        &self,
        aead: &A,
        nonce: [u8; 12],
        header: &Header,
        sealed: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<usize, NotAuthentic> {
        let tag_length = size_of::<Tag<A>>();
        let length = sealed.len().checked_sub(tag_length).ok_or(NotAuthentic)?;
        let (content, tag) = sealed.split_at(length);
        let tag = Tag::<A>::try_from(tag).map_err(|_| NotAuthentic)?;
        plain.resize(length, 0);
        let buffer = InOutBuf::new(content, plain).map_err(|_| NotAuthentic)?;
        let opened = if self.secret.is_some() {
            // The header as sent, with the length of what is sealed (RFC 8446, section 5.2).
            aead.decrypt_inout_detached(&nonce.into(), &header.bytes, buffer, &tag)
        } else {
            let pseudo = self.pseudo_header(header, length);
            aead.decrypt_inout_detached(&nonce.into(), &pseudo, buffer, &tag)
        };
        opened.map_err(|_| NotAuthentic)?;
        Ok(length)
    }

    /// What TLS 1.2 authenticates beside the content (RFC 5246, sections 6.2.3.1 and 6.2.3.3).
    fn pseudo_header(&self, header: &Header, length: usize) -> [u8; 13] {
        let mut pseudo = [0; 13];
        pseudo[..8].copy_from_slice(&self.sequence.to_be_bytes());
        pseudo[8..11].copy_from_slice(&header.bytes[..3]);
        // A record has less than 2^16 bytes.
        pseudo[11..].copy_from_slice(&(length as u16).to_be_bytes());
        pseudo
    }

    fn cbc(
        &self,
        mac: Mac,
        header: &Header,
        payload: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<usize, NotAuthentic> {
        let split = |bytes: &[u8]| bytes.len().checked_sub(mac.length()).ok_or(NotAuthentic);
        let sealed = if self.encrypt_then_mac {
            let (sealed, tag) = payload.split_at(split(payload)?);
            self.authenticate(mac, header, sealed, tag)?;
            sealed
        } else {
            payload
        };
        let (iv, blocks) = sealed.split_first_chunk::<BLOCK>().ok_or(NotAuthentic)?;
        if blocks.is_empty() || !blocks.len().is_multiple_of(BLOCK) {
            return Err(NotAuthentic);
        }
        plain.extend_from_slice(blocks);
        match self.suite.cipher {
            Cipher::Aes128Cbc(_) => {
                let mut key = [0; 16];
                key.copy_from_slice(&self.keys.key[..16]);
                decrypt(
                    cbc::Decryptor::<Aes128>::new(&key.into(), &(*iv).into()),
                    plain,
                );
                zeroize::Zeroize::zeroize(&mut key);
            }
            _ => decrypt(
                cbc::Decryptor::<Aes256>::new((&self.keys.key).into(), &(*iv).into()),
                plain,
            ),
        }
        let padding = usize::from(*plain.last().ok_or(NotAuthentic)?);
        let length = plain.len().checked_sub(padding + 1).ok_or(NotAuthentic)?;
        if plain[length..]
            .iter()
            .any(|byte| usize::from(*byte) != padding)
        {
            return Err(NotAuthentic);
        }
        if self.encrypt_then_mac {
            return Ok(length);
        }
        let (content, tag) = plain[..length].split_at(split(&plain[..length])?);
        self.authenticate(mac, header, content, tag)?;
        Ok(content.len())
    }

    fn authenticate(
        &self,
        mac: Mac,
        header: &Header,
        content: &[u8],
        tag: &[u8],
    ) -> Result<(), NotAuthentic> {
        fn verify<H: hmac::Mac + KeyInit>(
            key: &[u8],
            pieces: [&[u8]; 2],
            tag: &[u8],
        ) -> Result<(), NotAuthentic> {
            let mut mac = <H as KeyInit>::new_from_slice(key).map_err(|_| NotAuthentic)?;
            pieces.iter().for_each(|piece| mac.update(piece));
            mac.verify_slice(tag).map_err(|_| NotAuthentic)
        }
        let pieces = [&self.pseudo_header(header, content.len())[..], content];
        let key = &self.keys.mac[..mac.length()];
        match mac {
            Mac::Sha1 => verify::<Hmac<Sha1>>(key, pieces, tag),
            Mac::Sha256 => verify::<Hmac<Sha256>>(key, pieces, tag),
            Mac::Sha384 => verify::<Hmac<Sha384>>(key, pieces, tag),
        }
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener({}, {})", self.suite.name, self.sequence)
    }
}

impl Algorithm {
    fn new(cipher: Cipher, keys: &Keys) -> Self {
        let long = (&keys.key).into();
        let mut short = Array::default();
        short.copy_from_slice(&keys.key[..16]);
        let made = match cipher {
            Cipher::Aes128Gcm => Self::Aes128Gcm(Box::new(Aes128Gcm::new(&short))),
            Cipher::Aes256Gcm => Self::Aes256Gcm(Box::new(Aes256Gcm::new(long))),
            Cipher::ChaCha20Poly1305 => {
                Self::ChaCha20Poly1305(Box::new(ChaCha20Poly1305::new(long)))
            }
            Cipher::Aes128Ccm => Self::Aes128Ccm(Box::new(Ccm::new(&short))),
            Cipher::Aes256Ccm => Self::Aes256Ccm(Box::new(Ccm::new(long))),
            Cipher::Aes128Ccm8 => Self::Aes128Ccm8(Box::new(Ccm::new(&short))),
            Cipher::Aes256Ccm8 => Self::Aes256Ccm8(Box::new(Ccm::new(long))),
            Cipher::Aes128Cbc(mac) | Cipher::Aes256Cbc(mac) => Self::Cbc(mac),
        };
        zeroize::Zeroize::zeroize(short.as_mut_slice());
        made
    }
}

/// `plain` is a whole number of blocks.
fn decrypt<D: BlockModeDecrypt<BlockSize = U16>>(mut decryptor: D, plain: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(plain);
    decryptor.decrypt_blocks(blocks);
}
