//! What is known of a session, whether it was opened or not: the entry of the dark inventory.

use compact_str::CompactString;

use super::certificate::Certificate;
use super::hello::{ClientHello, ServerHello, Version};
use super::ja4::{Transport, ja4};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The name that the client asks for, lower case; with ECH perhaps only the front's.
    pub server_name: Option<CompactString>,
    /// The first protocol that the client offers.
    pub offered: Option<CompactString>,
    /// The protocol that the server chose; TLS 1.3 tells it only to who has the keys.
    pub alpn: Option<CompactString>,
    /// The version agreed on.
    pub version: Option<Version>,
    pub cipher: Option<u16>,
    pub ja4: Option<CompactString>,
    /// The client offers Encrypted Client Hello, or pretends to.
    pub ech: bool,
    pub certificate: Option<Box<Certificate>>,
    /// The client showed a certificate: in clear before TLS 1.3, since then only to who has keys.
    pub client_certificate: bool,
    /// An earlier session goes on.
    pub resumed: bool,
    /// Records of it were opened.
    pub decrypted: bool,
}

impl Facts {
    pub(super) fn client_hello(&mut self, hello: &ClientHello<'_>, transport: Transport) {
        // The first hello counts: one behind a HelloRetryRequest or inside says nothing new.
        if self.ja4.is_some() {
            return;
        }
        self.server_name = hello.server_name().map(|name| {
            let mut name = text(name);
            name.make_ascii_lowercase();
            name
        });
        self.offered = hello.extensions.alpn().next().map(text);
        self.ech = hello.ech();
        self.ja4 = Some(ja4(hello, transport));
    }

    pub(super) fn server_hello(&mut self, hello: &ServerHello<'_>) {
        if self.version.is_some() {
            return;
        }
        self.version = Some(hello.version());
        self.cipher = Some(hello.cipher);
        self.alpn = hello.extensions.alpn().next().map(text);
        self.resumed = hello.pre_shared_key();
    }
}

/// What readers of a name expect to be text mostly is.
pub(super) fn text(bytes: &[u8]) -> CompactString {
    CompactString::from_utf8_lossy(bytes)
}
