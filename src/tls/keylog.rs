//! Keys that the owner gives: NSS key logs, as browsers and servers write them, and RSA keys.
//!
//! A [`KeyStore`] is bounded, lives in memory only, and wipes what it lets go. It is shared: the
//! reader of a growing file adds lines while sessions look them up, once a session and not once a
//! packet. A [`KeyLog`] takes the text in pieces, cut anywhere.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Encrypt, PrivateKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::secrets::{MAX_SECRET, Secret};

/// Sessions whose keys are kept, some 400 bytes each. A key log that grows for months would else
/// fill the memory; the oldest go first.
const MAX_SESSIONS: usize = 65_536;

/// Longest line that says something: a label, two numbers of 32 and 48 bytes. What is longer is
/// passed over up to its end, or a file without line ends would be held whole.
const MAX_LINE: usize = 512;

/// Private keys. Each is tried on each RSA key exchange of its size.
const MAX_PRIVATE_KEYS: usize = 16;

/// Which secret of TLS 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    ClientEarly,
    ClientHandshake,
    ServerHandshake,
    ClientTraffic,
    ServerTraffic,
}

/// What became of the lines of a key log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    pub taken: u64,
    /// Comments, and labels of which we have no use.
    pub ignored: u64,
    pub malformed: u64,
}

/// A private key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("no RSA private key in PEM (PKCS #1 or PKCS #8, not encrypted)")]
    NotRsa,
    #[error("more than {MAX_PRIVATE_KEYS} private keys")]
    TooMany,
}

/// What is known of one session, by its client random.
#[derive(Default)]
struct Known {
    master: Option<Secret>,
    premaster: Option<Secret>,
    /// By [`Label`].
    traffic: [Option<Secret>; 5],
}

/// A map that forgets its oldest entry when it is full.
struct Bounded<K, V> {
    map: HashMap<K, V, foldhash::fast::RandomState>,
    order: VecDeque<K>,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self {
            map: HashMap::default(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    fn room_for(&mut self, key: K) {
        if !self.map.contains_key(&key) {
            if self.order.len() >= MAX_SESSIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.map.remove(&oldest);
            }
            self.order.push_back(key);
        }
    }

    fn insert(&mut self, key: K, value: V) {
        self.room_for(key);
        self.map.insert(key, value);
    }

    fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.room_for(key);
        self.map.entry(key).or_default()
    }
}

#[derive(Default)]
struct Inner {
    sessions: Bounded<[u8; 32], Known>,
    /// Premaster secrets by the first eight bytes of their encrypted form.
    encrypted: Bounded<[u8; 8], Secret>,
    /// Master secrets by the hash of a session id or ticket.
    resumable: Bounded<[u8; 32], Secret>,
    private: Vec<PrivateKey>,
    /// Some line or key may give a premaster secret, or a session to go on from.
    premasters: bool,
}

/// Keys of sessions; see the module.
#[derive(Default)]
pub struct KeyStore {
    inner: RwLock<Inner>,
    /// Grows with every key.
    generation: AtomicU64,
    /// More may come: sessions without keys wait for them.
    growing: bool,
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyStore({} keys)", self.generation())
    }
}

impl KeyStore {
    /// A store that keys are still added to while traffic is read.
    pub fn growing() -> Self {
        Self {
            growing: true,
            ..Self::default()
        }
    }

    /// Adds the whole text of a key log.
    pub fn load(&self, text: &[u8]) -> Lines {
        let mut log = KeyLog::default();
        log.push(text, self);
        log.finish(self)
    }

    /// Adds an RSA private key in PEM, for the sessions of TLS 1.2 whose premaster secret was
    /// encrypted to it.
    pub fn add_private_key(&self, pem: &str) -> Result<(), KeyError> {
        let key = PrivateKey::from_pkcs8_pem(pem)
            .or_else(|_| PrivateKey::from_pkcs1_pem(pem))
            .map_err(|_| KeyError::NotRsa)?;
        self.change(|inner| {
            if inner.private.len() >= MAX_PRIVATE_KEYS {
                return Err(KeyError::TooMany);
            }
            inner.private.push(key);
            inner.premasters = true;
            Ok(())
        })
    }

    pub(super) fn is_growing(&self) -> bool {
        self.growing
    }

    /// Differs from an earlier answer where keys came since.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Premaster secrets may be found, so sessions must remember what master secrets are made of.
    pub(super) fn knows_premasters(&self) -> bool {
        self.read(|inner| inner.premasters)
    }

    pub(super) fn master(&self, client_random: &[u8; 32]) -> Option<Secret> {
        self.read(|inner| inner.sessions.map.get(client_random)?.master.clone())
    }

    pub(super) fn traffic(&self, client_random: &[u8; 32], label: Label) -> Option<Secret> {
        self.read(|inner| {
            let known = inner.sessions.map.get(client_random)?;
            known.traffic[label as usize].clone()
        })
    }

    /// The premaster secret of a session, said by a line or found with a private key. `version` is
    /// the newest that the client offers in its hello: it stands before the secret (RFC 5246,
    /// section 7.4.7.1), and tells a right decryption from a wrong one.
    pub(super) fn premaster(
        &self,
        client_random: &[u8; 32],
        encrypted: &[u8],
        version: u16,
    ) -> Option<Secret> {
        self.read(|inner| {
            let said = inner.sessions.map.get(client_random);
            if let Some(premaster) = said.and_then(|known| known.premaster.clone()) {
                return Some(premaster);
            }
            let first = encrypted.first_chunk::<8>()?;
            if let Some(premaster) = inner.encrypted.map.get(first) {
                return Some(premaster.clone());
            }
            let keys = inner.private.iter();
            let fitting = keys.filter(|key| key.size() == encrypted.len());
            fitting
                .filter_map(|key| key.decrypt(Pkcs1v15Encrypt, encrypted).ok())
                .map(Zeroizing::new)
                .find(|found| found.len() == MAX_SECRET && found[..2] == version.to_be_bytes())
                .and_then(|found| Secret::new(&found))
        })
    }

    /// Keeps a master secret for the sessions that go on from this one.
    pub(super) fn remember(&self, id_or_ticket: &[u8], master: &Secret) {
        let key = Sha256::digest(id_or_ticket).into();
        self.change(|inner| inner.resumable.insert(key, master.clone()));
    }

    pub(super) fn resumed(&self, id_or_ticket: &[u8]) -> Option<Secret> {
        let key: [u8; 32] = Sha256::digest(id_or_ticket).into();
        self.read(|inner| inner.resumable.map.get(&key).cloned())
    }

    fn read<T>(&self, f: impl FnOnce(&Inner) -> T) -> T {
        f(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        let done = f(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner));
        self.generation.fetch_add(1, Ordering::Release);
        done
    }
}

/// What a line says.
enum Line {
    Master([u8; 32], Secret),
    Premaster([u8; 32], Secret),
    Traffic([u8; 32], Label, Secret),
    Encrypted([u8; 8], Secret),
    SessionId(Vec<u8>, Secret),
    Ignored,
}

/// Reads a key log piece by piece. Invariant: `tail` is the part of the last line that has come
/// so far, or empty while `overlong`.
#[derive(Default)]
pub struct KeyLog {
    tail: Zeroizing<Vec<u8>>,
    overlong: bool,
    lines: Lines,
}

impl KeyLog {
    /// Takes what was appended.
    pub fn push(&mut self, bytes: &[u8], store: &KeyStore) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            if !self.overlong {
                if self.tail.len() + piece.len() > MAX_LINE {
                    self.overlong = true;
                    self.tail = Zeroizing::default();
                } else if ends && self.tail.is_empty() {
                    self.line(piece, store);
                    continue;
                } else {
                    // Room for the longest line at once: growing would leave copies unwiped.
                    let room = MAX_LINE - self.tail.len();
                    self.tail.reserve_exact(room);
                    self.tail.extend_from_slice(piece);
                }
            }
            if ends && std::mem::take(&mut self.overlong) {
                self.lines.malformed += 1;
            } else if ends {
                let line = std::mem::take(&mut self.tail);
                self.line(&line, store);
            }
        }
    }

    /// The file has ended: its last line may have no end.
    pub fn finish(&mut self, store: &KeyStore) -> Lines {
        let line = std::mem::take(&mut self.tail);
        if std::mem::take(&mut self.overlong) {
            self.lines.malformed += 1;
        } else if !line.is_empty() {
            self.line(&line, store);
        }
        self.lines
    }

    pub fn lines(&self) -> Lines {
        self.lines
    }

    fn line(&mut self, line: &[u8], store: &KeyStore) {
        match read(line) {
            None => self.lines.malformed += 1,
            Some(Line::Ignored) => self.lines.ignored += 1,
            Some(line) => {
                self.lines.taken += 1;
                store.change(|inner| inner.add(line));
            }
        }
    }
}

impl Inner {
    fn add(&mut self, line: Line) {
        self.premasters |= !matches!(line, Line::Master(..) | Line::Traffic(..));
        match line {
            Line::Master(random, secret) => {
                self.sessions.entry(random).master = Some(secret);
            }
            Line::Premaster(random, secret) => {
                self.sessions.entry(random).premaster = Some(secret);
            }
            Line::Traffic(random, label, secret) => {
                let known = self.sessions.entry(random);
                known.traffic[label as usize] = Some(secret);
            }
            Line::Encrypted(first, secret) => {
                self.encrypted.insert(first, secret);
            }
            Line::SessionId(id, secret) => {
                let key = Sha256::digest(&id).into();
                self.resumable.insert(key, secret);
            }
            Line::Ignored => {}
        }
    }
}

/// One line, by the description of the NSS key log format and what OpenSSL and Wireshark add.
fn read(line: &[u8]) -> Option<Line> {
    let line = line.trim_ascii();
    if line.is_empty() || line[0] == b'#' {
        return Some(Line::Ignored);
    }
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let (label, first, second) = (words.next()?, words.next()?, words.next()?);
    let of_random = |make: fn([u8; 32], Secret) -> Line| {
        let secret = secret(second)?;
        Some(make(unhex(first)?.as_slice().try_into().ok()?, secret))
    };
    match label {
        b"CLIENT_RANDOM" => of_random(Line::Master).filter(|_| second.len() == 2 * MAX_SECRET),
        b"PMS_CLIENT_RANDOM" => of_random(Line::Premaster),
        b"CLIENT_EARLY_TRAFFIC_SECRET" => of_random(|r, s| Line::Traffic(r, Label::ClientEarly, s)),
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => {
            of_random(|r, s| Line::Traffic(r, Label::ClientHandshake, s))
        }
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => {
            of_random(|r, s| Line::Traffic(r, Label::ServerHandshake, s))
        }
        b"CLIENT_TRAFFIC_SECRET_0" => of_random(|r, s| Line::Traffic(r, Label::ClientTraffic, s)),
        b"SERVER_TRAFFIC_SECRET_0" => of_random(|r, s| Line::Traffic(r, Label::ServerTraffic, s)),
        b"RSA" => match (
            first.strip_prefix(b"Session-ID:"),
            second.strip_prefix(b"Master-Key:"),
        ) {
            (Some(id), Some(master)) => {
                let id = unhex(id).filter(|id| id.len() <= 32)?;
                Some(Line::SessionId(id.to_vec(), secret(master)?))
            }
            _ => Some(Line::Encrypted(
                unhex(first)?.as_slice().try_into().ok()?,
                secret(second)?,
            )),
        },
        // EXPORTER_SECRET, later generations that follow from the first, ECH, QUIC, and others.
        _ => Some(Line::Ignored),
    }
}

fn secret(hex: &[u8]) -> Option<Secret> {
    Secret::new(&unhex(hex)?).filter(|secret| !secret.as_bytes().is_empty())
}

fn unhex(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|d| d as u8);
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks(2) {
        out.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(out)
}

#[cfg(test)]
mod tests;
