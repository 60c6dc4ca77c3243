//! Client and server hello, and the encrypted extensions of TLS 1.3 (RFC 8446, section 4.1 to
//! 4.3; RFC 5246, section 7.4.1).
//!
//! Views over the message's own bytes. An extension that is broken is taken as absent and the rest
//! is still read, since a server may have read it so too; a hello whose own frame is broken is
//! none.

use super::cursor::{Cursor, U16s, is_grease};

/// Names longer than this are no DNS names (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 255;

/// The `random` that makes a server hello a HelloRetryRequest (RFC 8446, section 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Numbers of the IANA registry "TLS ExtensionType Values".
pub(super) mod extension {
    pub(in super::super) const SERVER_NAME: u16 = 0;
    pub(in super::super) const SUPPORTED_GROUPS: u16 = 10;
    pub(in super::super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(in super::super) const ALPN: u16 = 16;
    pub(in super::super) const ENCRYPT_THEN_MAC: u16 = 22;
    pub(in super::super) const EXTENDED_MASTER_SECRET: u16 = 23;
    pub(in super::super) const SESSION_TICKET: u16 = 35;
    pub(in super::super) const PRE_SHARED_KEY: u16 = 41;
    pub(in super::super) const EARLY_DATA: u16 = 42;
    pub(in super::super) const SUPPORTED_VERSIONS: u16 = 43;
    pub(in super::super) const KEY_SHARE: u16 = 51;
    pub(in super::super) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

/// A protocol version as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl Version {
    pub const SSL3: Self = Self(0x0300);
    pub const TLS10: Self = Self(0x0301);
    pub const TLS11: Self = Self(0x0302);
    pub const TLS12: Self = Self(0x0303);
    pub const TLS13: Self = Self(0x0304);
}

/// A message that is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Extensions in the order sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extensions<'a>(&'a [u8]);

impl<'a> Extensions<'a> {
    fn read(c: &mut Cursor<'a>) -> Result<Self, Malformed> {
        // SSL 3.0 and TLS 1.0 know none.
        if c.is_empty() {
            return Ok(Self(&[]));
        }
        c.vec16().map(Self).ok_or(Malformed)
    }

    pub fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> + Clone {
        let mut c = Cursor(self.0);
        std::iter::from_fn(move || Some((c.u16()?, c.vec16()?)))
    }

    pub fn get(self, wanted: u16) -> Option<&'a [u8]> {
        self.iter().find(|(kind, _)| *kind == wanted).map(|e| e.1)
    }

    pub fn has(self, wanted: u16) -> bool {
        self.get(wanted).is_some()
    }

    /// A 16-bit list behind a 16-bit length.
    fn list(self, wanted: u16) -> U16s<'a> {
        let list = self.get(wanted).and_then(|body| Cursor(body).vec16());
        U16s(list.unwrap_or_default())
    }

    /// Protocol names of RFC 7301; a server's list has one.
    pub fn alpn(self) -> impl Iterator<Item = &'a [u8]> {
        let list = self
            .get(extension::ALPN)
            .and_then(|body| Cursor(body).vec16());
        let mut c = Cursor(list.unwrap_or_default());
        std::iter::from_fn(move || c.vec8()).filter(|name| !name.is_empty())
    }
}

/// RFC 8446, section 4.1.2.
#[derive(Clone, Copy, Debug)]
pub struct ClientHello<'a> {
    pub legacy_version: Version,
    pub random: &'a [u8; 32],
    pub session_id: &'a [u8],
    pub ciphers: U16s<'a>,
    pub extensions: Extensions<'a>,
}

impl<'a> ClientHello<'a> {
    /// Reads a message's body.
    pub fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut c = Cursor(body);
        let mut read = || {
            let hello = Self {
                legacy_version: Version(c.u16()?),
                random: c.array()?,
                session_id: c.vec8().filter(|id| id.len() <= 32)?,
                ciphers: U16s(c.vec16()?),
                extensions: Extensions::default(),
            };
            let _compression = c.vec8()?;
            Some(hello)
        };
        let hello = read().ok_or(Malformed)?;
        Ok(Self {
            extensions: Extensions::read(&mut c)?,
            ..hello
        })
    }

    /// The host name of RFC 6066, section 3.
    pub fn server_name(&self) -> Option<&'a [u8]> {
        let body = self.extensions.get(extension::SERVER_NAME)?;
        let mut names = Cursor(Cursor(body).vec16()?);
        loop {
            let (kind, name) = (names.u8()?, names.vec16()?);
            if kind == 0 {
                return Some(name).filter(|n| !n.is_empty() && n.len() <= MAX_NAME);
            }
        }
    }

    /// The list of the extension, or what the hello's own field says.
    pub fn versions(&self) -> U16s<'a> {
        let list = self
            .extensions
            .get(extension::SUPPORTED_VERSIONS)
            .and_then(|body| Cursor(body).vec8());
        U16s(list.unwrap_or_default())
    }

    /// The newest version that the client offers.
    pub fn newest(&self) -> Version {
        let newest = self.versions().sincere().max();
        newest.map_or(self.legacy_version, Version)
    }

    pub fn groups(&self) -> U16s<'a> {
        self.extensions.list(extension::SUPPORTED_GROUPS)
    }

    pub fn signature_algorithms(&self) -> U16s<'a> {
        self.extensions.list(extension::SIGNATURE_ALGORITHMS)
    }

    /// Groups that the client has sent a key of.
    pub fn key_shares(&self) -> impl Iterator<Item = u16> + 'a {
        let list = self
            .extensions
            .get(extension::KEY_SHARE)
            .and_then(|body| Cursor(body).vec16());
        let mut c = Cursor(list.unwrap_or_default());
        std::iter::from_fn(move || {
            let group = c.u16()?;
            c.vec16().map(|_| group)
        })
        .filter(|group| !is_grease(*group))
    }

    /// The ticket of RFC 5077; empty asks for one.
    pub fn ticket(&self) -> Option<&'a [u8]> {
        self.extensions
            .get(extension::SESSION_TICKET)
            .filter(|ticket| !ticket.is_empty())
    }

    pub fn early_data(&self) -> bool {
        self.extensions.has(extension::EARLY_DATA)
    }

    /// Encrypted Client Hello is offered. The name in clear is then perhaps only the front's; a
    /// browser that pretends (GREASE ECH) looks the same, by design.
    pub fn ech(&self) -> bool {
        self.extensions.has(extension::ENCRYPTED_CLIENT_HELLO)
    }
}

/// RFC 8446, section 4.1.3.
#[derive(Clone, Copy, Debug)]
pub struct ServerHello<'a> {
    pub legacy_version: Version,
    pub random: &'a [u8; 32],
    pub session_id: &'a [u8],
    pub cipher: u16,
    pub extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut c = Cursor(body);
        let mut read = || {
            let hello = Self {
                legacy_version: Version(c.u16()?),
                random: c.array()?,
                session_id: c.vec8().filter(|id| id.len() <= 32)?,
                cipher: c.u16()?,
                extensions: Extensions::default(),
            };
            let _compression = c.u8()?;
            Some(hello)
        };
        let hello = read().ok_or(Malformed)?;
        Ok(Self {
            extensions: Extensions::read(&mut c)?,
            ..hello
        })
    }

    /// The version that was agreed on.
    pub fn version(&self) -> Version {
        self.extensions
            .get(extension::SUPPORTED_VERSIONS)
            .and_then(|body| Cursor(body).u16())
            .map_or(self.legacy_version, Version)
    }

    /// Asks for another client hello: nothing is agreed on yet.
    pub fn is_retry(&self) -> bool {
        *self.random == RETRY
    }

    pub fn extended_master_secret(&self) -> bool {
        self.extensions.has(extension::EXTENDED_MASTER_SECRET)
    }

    pub fn encrypt_then_mac(&self) -> bool {
        self.extensions.has(extension::ENCRYPT_THEN_MAC)
    }

    /// TLS 1.3: an earlier session goes on.
    pub fn pre_shared_key(&self) -> bool {
        self.extensions.has(extension::PRE_SHARED_KEY)
    }
}

/// RFC 8446, section 4.3.1.
#[derive(Clone, Copy, Debug)]
pub struct EncryptedExtensions<'a> {
    pub extensions: Extensions<'a>,
}

impl<'a> EncryptedExtensions<'a> {
    pub fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self {
            extensions: Extensions::read(&mut Cursor(body))?,
        })
    }

    /// The server takes the client's early data.
    pub fn early_data(&self) -> bool {
        self.extensions.has(extension::EARLY_DATA)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vec16(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u16).to_be_bytes()[..], body].concat()
    }

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        [kind.to_be_bytes().to_vec(), vec16(body)].concat()
    }

    fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut hello = vec![3, 3];
        hello.extend([9; 32]);
        hello.push(0);
        hello.extend(vec16(&[0x0a, 0x0a, 0x13, 0x01, 0xc0, 0x2f]));
        hello.extend([1, 0]);
        hello.extend(vec16(&extensions.concat()));
        hello
    }

    fn full() -> Vec<u8> {
        client_hello(&[
            extension(0x3a3a, &[]),
            extension(0, &vec16(b"\x00\x00\x0bapi.example")),
            extension(16, &vec16(b"\x02h2\x08http/1.1")),
            extension(43, &[6, 0xba, 0xba, 3, 4, 3, 3]),
            extension(10, &vec16(&[0x1a, 0x1a, 0, 29])),
            extension(51, &vec16(&[0x1a, 0x1a, 0, 1, 0, 0, 29, 0, 2, 7, 7])),
            extension(13, &vec16(&[4, 3, 8, 4])),
            extension(35, b"ticket"),
            extension(0xfe0d, &[0; 8]),
        ])
    }

    #[test]
    fn a_hello_says_what_it_says() {
        let bytes = full();
        let hello = ClientHello::read(&bytes).unwrap();
        assert_eq!(hello.server_name(), Some(&b"api.example"[..]));
        let alpn: Vec<_> = hello.extensions.alpn().collect();
        assert_eq!(alpn, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(hello.newest(), Version::TLS13);
        assert_eq!(
            hello.ciphers.sincere().collect::<Vec<_>>(),
            [0x1301, 0xc02f]
        );
        assert_eq!(hello.groups().sincere().collect::<Vec<_>>(), [29]);
        assert_eq!(hello.key_shares().collect::<Vec<_>>(), [29]);
        assert_eq!(
            hello.signature_algorithms().iter().collect::<Vec<_>>(),
            [0x0403, 0x0804]
        );
        assert_eq!(hello.ticket(), Some(&b"ticket"[..]));
        assert!(hello.ech() && !hello.early_data());
    }

    #[test]
    fn a_hello_that_is_cut_is_none() {
        let bytes = full();
        // Up to its extensions a hello is sound without them (TLS 1.0).
        let without = bytes.len() - 2 - usize::from(u16::from_be_bytes([bytes[45], bytes[46]]));
        assert_eq!(without, 45);
        for end in 0..bytes.len() {
            let read = ClientHello::read(&bytes[..end]);
            assert_eq!(read.is_ok(), end == without, "cut at {end}");
        }
    }

    #[test]
    fn a_broken_extension_is_absent() {
        let bytes = client_hello(&[
            extension(0, &[0, 200, 0]),
            extension(16, &[0]),
            extension(43, &[9, 3]),
        ]);
        let hello = ClientHello::read(&bytes).unwrap();
        assert_eq!(hello.server_name(), None);
        assert_eq!(hello.extensions.alpn().count(), 0);
        assert_eq!(hello.newest(), Version::TLS12);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(mut body in prop::collection::vec(any::<u8>(), 0..400)) {
            if body.len() > 34 {
                body[34] = 0;
            }
            if let Ok(hello) = ClientHello::read(&body) {
                let _ = (hello.server_name(), hello.newest(), hello.ticket(), hello.ech());
                prop_assert!(hello.key_shares().count() <= body.len());
                prop_assert!(hello.extensions.alpn().count() <= body.len());
            }
            if let Ok(hello) = ServerHello::read(&body) {
                let _ = (hello.version(), hello.is_retry(), hello.encrypt_then_mac());
            }
        }
    }
}
