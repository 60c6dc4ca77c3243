//! QUIC's Initial packets (RFC 9000, section 17.2.2; RFC 9001, section 5; RFC 9369). Their keys
//! follow from the connection id that the client made up, so anyone can open them: the hello
//! inside names the host of an HTTP/3 connection. Nothing behind them can be read here.
//!
//! A [`Hello`] takes the client's datagrams until its hello is whole. CRYPTO frames come in any
//! order, cut anywhere, over several packets; what is held of them is bounded.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut, Tag};
use hkdf::Hkdf;
use sha2::Sha256;

use super::cursor::Cursor;
use super::facts::Facts;
use super::handshake::{Joiner, kind};
use super::hello::{self, ClientHello};
use super::ja4::Transport;
use super::secrets::{Secret, expand_label};
use super::suite::Hash;

/// A client's hello with post-quantum key shares has some 2 KiB. Frames further in are none of
/// one: a forged offset must not reserve memory.
const MAX_CRYPTO: usize = 16 << 10;

/// Pieces that wait for others; browsers cut a hello into a dozen on purpose.
const MAX_PIECES: usize = 64;

/// Client datagrams looked at in search of a hello.
const MAX_DATAGRAMS: u8 = 16;

/// RFC 9000, section 17.2.
const MAX_CONNECTION_ID: usize = 20;

/// The versions whose keys are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn of(number: u32) -> Option<Self> {
        match number {
            0x0000_0001 => Some(Self::V1),
            0x6b33_43cf => Some(Self::V2),
            _ => None,
        }
    }

    /// RFC 9001, section 5.2; RFC 9369, section 3.3.1.
    fn salt(self) -> [u8; 20] {
        match self {
            Self::V1 => [
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
            ],
            Self::V2 => [
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
                0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
            ],
        }
    }

    fn labels(self) -> [&'static [u8]; 3] {
        match self {
            Self::V1 => [b"quic key", b"quic iv", b"quic hp"],
            Self::V2 => [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
        }
    }

    /// The two bits of an Initial packet's type (RFC 9369, section 3.2).
    fn initial(self) -> u8 {
        match self {
            Self::V1 => 0,
            Self::V2 => 1,
        }
    }
}

/// A packet with a long header of a version that is known here.
#[derive(Clone, Copy, Debug)]
struct Long<'a> {
    version: Version,
    is_initial: bool,
    connection: &'a [u8],
    /// The whole packet, without others behind it in the datagram.
    packet: &'a [u8],
    /// Offset of the packet number.
    number_at: usize,
}

impl<'a> Long<'a> {
    /// The first packet of `data`, and what follows it. Retry and version negotiation are none.
    fn read(data: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut c = Cursor(data);
        let first = c.u8()?;
        let version = Version::of(u32::from_be_bytes(*c.array()?))?;
        // Long header, fixed bit.
        if first & 0xc0 != 0xc0 {
            return None;
        }
        let connection = c.vec8().filter(|id| id.len() <= MAX_CONNECTION_ID)?;
        let _source = c.vec8().filter(|id| id.len() <= MAX_CONNECTION_ID)?;
        let is_initial = first >> 4 & 3 == version.initial();
        if is_initial {
            let token = varint(&mut c)?;
            c.take(usize::try_from(token).ok()?)?;
        }
        let length = usize::try_from(varint(&mut c)?).ok()?;
        let number_at = data.len() - c.0.len();
        c.take(length)?;
        let packet = &data[..data.len() - c.0.len()];
        let long = Self {
            version,
            is_initial,
            connection,
            packet,
            number_at,
        };
        Some((long, c.0))
    }
}

/// Whether a datagram begins as the first of a QUIC client does.
pub fn is_initial(datagram: &[u8]) -> bool {
    Long::read(datagram).is_some_and(|(long, _)| long.is_initial)
}

/// Keys of a client's Initial packets.
struct Keys {
    aead: Aes128Gcm,
    iv: [u8; 12],
    protection: Aes128,
}

impl Keys {
    fn new(version: Version, connection: &[u8]) -> Option<Self> {
        let (initial, _) = Hkdf::<Sha256>::extract(Some(&version.salt()), connection);
        let initial = Secret::new(&initial)?;
        let mut client = [0; 32];
        expand_label(Hash::Sha256, &initial, b"client in", &mut client);
        let client = Secret::new(&client)?;
        let (mut key, mut iv, mut protection) = ([0; 16], [0; 12], [0; 16]);
        let [key_label, iv_label, protection_label] = version.labels();
        expand_label(Hash::Sha256, &client, key_label, &mut key);
        expand_label(Hash::Sha256, &client, iv_label, &mut iv);
        expand_label(Hash::Sha256, &client, protection_label, &mut protection);
        Some(Self {
            aead: Aes128Gcm::new(&key.into()),
            iv,
            protection: Aes128::new(&protection.into()),
        })
    }

    /// Removes both protections; `None`: the packet is not of these keys.
    fn open(&self, long: &Long<'_>) -> Option<Vec<u8>> {
        let sample: [u8; 16] = *long.packet.get(long.number_at + 4..)?.first_chunk()?;
        let mut mask = Array::from(sample);
        self.protection.encrypt_block(&mut mask);
        let first = long.packet[0] ^ mask[0] & 0x0f;
        let number_length = usize::from(first & 3) + 1;
        let (header, sealed) = long
            .packet
            .split_at_checked(long.number_at + number_length)?;
        let mut header = header.to_vec();
        header[0] = first;
        let mut nonce = self.iv;
        let number = &mut header[long.number_at..];
        for (byte, mask) in number.iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        // A client's first packets have small numbers, sent whole.
        let tail = &mut nonce[12 - number_length..];
        for (iv, byte) in tail.iter_mut().zip(number.iter()) {
            *iv ^= byte;
        }
        let (content, tag) = sealed.split_at_checked(sealed.len().checked_sub(16)?)?;
        let tag = Tag::<Aes128Gcm>::try_from(tag).ok()?;
        let mut plain = content.to_vec();
        self.aead
            .decrypt_inout_detached(&nonce.into(), &header, plain.as_mut_slice().into(), &tag)
            .ok()?;
        Some(plain)
    }
}

/// How far a client's hello is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    /// The facts are there.
    Known,
    /// No hello will come of it.
    Never,
}

/// Invariants: `joined` are the bytes of the CRYPTO stream from its start; `pieces` begin behind
/// them, or overlap nothing that is needed, and hold at most `MAX_CRYPTO` bytes.
#[derive(Default)]
pub struct Hello {
    keys: Option<Keys>,
    joined: Vec<u8>,
    pieces: Vec<(usize, Box<[u8]>)>,
    datagrams: u8,
    facts: Facts,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hello({} bytes)", self.joined.len())
    }
}

impl Hello {
    /// Takes a datagram of the client's.
    pub fn on_datagram(&mut self, datagram: &[u8]) -> Progress {
        self.datagrams = self.datagrams.saturating_add(1);
        let mut rest = datagram;
        while let Some((long, behind)) = Long::read(rest) {
            rest = behind;
            if long.is_initial
                && let Some(plain) = self.open(&long)
            {
                self.frames(&plain);
            }
        }
        if self.read() {
            Progress::Known
        } else if self.datagrams >= MAX_DATAGRAMS {
            Progress::Never
        } else {
            Progress::More
        }
    }

    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The keys stay those of the first connection id, until a Retry makes the client begin anew
    /// with another (RFC 9001, section 5.2).
    fn open(&mut self, long: &Long<'_>) -> Option<Vec<u8>> {
        if let Some(plain) = self.keys.as_ref().and_then(|keys| keys.open(long)) {
            return Some(plain);
        }
        let keys = Keys::new(long.version, long.connection)?;
        let plain = keys.open(long)?;
        self.keys = Some(keys);
        Some(plain)
    }

    /// RFC 9000, section 17.2.2: PADDING, PING, ACK, CRYPTO and CONNECTION_CLOSE.
    fn frames(&mut self, plain: &[u8]) {
        let mut c = Cursor(plain);
        while let Some(kind) = c.u8() {
            match kind {
                0x00 | 0x01 => {}
                0x02 | 0x03 => {
                    if ack(&mut c, kind == 0x03).is_none() {
                        return;
                    }
                }
                0x06 => {
                    let mut read = || {
                        let (offset, length) = (varint(&mut c)?, varint(&mut c)?);
                        let data = c.take(usize::try_from(length).ok()?)?;
                        Some((usize::try_from(offset).ok()?, data))
                    };
                    match read() {
                        Some((offset, data)) => self.crypto(offset, data),
                        None => return,
                    }
                }
                _ => return,
            }
        }
    }

    fn crypto(&mut self, offset: usize, data: &[u8]) {
        let held: usize = self.pieces.iter().map(|(_, piece)| piece.len()).sum();
        let fits = offset.saturating_add(data.len()) <= MAX_CRYPTO
            && held + data.len() <= MAX_CRYPTO
            && self.pieces.len() < MAX_PIECES;
        if !fits || data.is_empty() {
            return;
        }
        self.pieces.push((offset, data.into()));
        // Whatever now follows on what is joined.
        while let Some(at) = self
            .pieces
            .iter()
            .position(|(offset, _)| *offset <= self.joined.len())
        {
            let (offset, piece) = self.pieces.swap_remove(at);
            if let Some(new) = piece.get(self.joined.len() - offset..) {
                self.joined.extend_from_slice(new);
            }
        }
    }

    fn read(&mut self) -> bool {
        let (mut found, facts) = (false, &mut self.facts);
        Joiner::default().push(&self.joined, |message| {
            if message.kind == kind::CLIENT_HELLO
                && let Ok(hello) = ClientHello::read(message.body())
            {
                facts.client_hello(&hello, Transport::Quic);
                // QUIC has no other (RFC 9001, section 4.2).
                facts.version = Some(hello::Version::TLS13);
                found = true;
            }
        });
        found
    }
}

mod fuzz;
pub use fuzz::fuzz_initial;

/// RFC 9000, section 19.3.
fn ack(c: &mut Cursor<'_>, counts: bool) -> Option<()> {
    let _largest = varint(c)?;
    let _delay = varint(c)?;
    let ranges = varint(c)?;
    let _first = varint(c)?;
    // A count that is not there ends with the bytes.
    for _ in 0..ranges {
        let (_gap, _length) = (varint(c)?, varint(c)?);
    }
    if counts {
        for _ in 0..3 {
            varint(c)?;
        }
    }
    Some(())
}

/// RFC 9000, section 16.
fn varint(c: &mut Cursor<'_>) -> Option<u64> {
    let first = c.u8()?;
    let more = (1_usize << (first >> 6)) - 1;
    let rest = c.take(more)?;
    Some(rest.iter().fold(u64::from(first & 0x3f), |value, byte| {
        value << 8 | u64::from(*byte)
    }))
}

#[cfg(test)]
pub(crate) mod tests;
