//! Composed TLS as a listener sees it: hellos and a certificate in clear, then sealed records with
//! nothing in them. Nobody could talk so; whoever has no keys cannot tell.

use super::Conversation;
use crate::time::Timestamp;

/// A self-signed certificate with a fixed end; `certificate` writes another end into it.
const CERTIFICATE: &str = include_str!("../tls/certificate/self-signed.hex");
const END: &[u8] = b"361122170824Z";

/// What two peers agree on.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    pub server_name: &'a str,
    pub alpn: &'a str,
    /// As on the wire: 0x0301 is TLS 1.0.
    pub version: u16,
    pub cipher: u16,
    /// In DER; TLS 1.3 shows none.
    pub certificate: Option<Vec<u8>>,
}

impl Session<'_> {
    /// Speaks the session on a connection: the handshake, then so many bytes each way.
    pub fn speak(&self, talk: &mut Conversation, up: usize, down: usize) {
        let sealed = |talk: &mut Conversation, from_client: bool, mut left: usize| {
            while left > 0 {
                let size = left.min(16 << 10);
                let bytes = record(0x17, self.legacy(), &vec![0xa5; size]);
                if from_client {
                    talk.client(&bytes);
                } else {
                    talk.server(&bytes);
                }
                left -= size;
            }
        };
        talk.client(&record(0x16, 0x0301, &self.client_hello()));
        let mut flight = self.server_hello();
        if let Some(der) = self.certificate.as_ref().filter(|_| self.version < 0x0304) {
            let list = vector(3, &vector(3, der));
            flight.extend(message(11, &list));
        }
        talk.server(&record(0x16, self.legacy(), &flight));
        let change = record(0x14, self.legacy(), &[1]);
        talk.client(&change);
        talk.server(&change);
        sealed(talk, true, up);
        sealed(talk, false, down);
    }

    /// TLS 1.3 says 1.2, and the truth in an extension.
    fn legacy(&self) -> u16 {
        self.version.min(0x0303)
    }

    fn client_hello(&self) -> Vec<u8> {
        let mut body = self.legacy().to_be_bytes().to_vec();
        body.extend([0x11; 32]);
        body.push(0);
        body.extend(vector(2, &self.cipher.to_be_bytes()));
        body.extend([1, 0]);
        let name = [&[0][..], &vector(2, self.server_name.as_bytes())].concat();
        let mut extensions = extension(0, &vector(2, &name));
        extensions.extend(extension(16, &vector(2, &vector(1, self.alpn.as_bytes()))));
        if self.version == 0x0304 {
            extensions.extend(extension(43, &vector(1, &self.version.to_be_bytes())));
        }
        body.extend(vector(2, &extensions));
        message(1, &body)
    }

    fn server_hello(&self) -> Vec<u8> {
        let mut body = self.legacy().to_be_bytes().to_vec();
        body.extend([0x22; 32]);
        body.push(0);
        body.extend(self.cipher.to_be_bytes());
        body.push(0);
        if self.version == 0x0304 {
            body.extend(vector(2, &extension(43, &self.version.to_be_bytes())));
        }
        message(2, &body)
    }
}

/// A certificate that ends then.
pub fn certificate(not_after: Timestamp) -> Vec<u8> {
    let digits: Vec<u8> = CERTIFICATE.bytes().filter(u8::is_ascii_hexdigit).collect();
    let nibble = |d: u8| (d as char).to_digit(16).unwrap_or_default() as u8;
    let pair = |p: &[u8]| nibble(p[0]) << 4 | nibble(p[1]);
    let mut der: Vec<u8> = digits.chunks_exact(2).map(pair).collect();
    // `2036-11-22T17:08:24Z` as an UTCTime has two digits of the year and no marks.
    let text = not_after.to_string();
    let digits = text.bytes().filter(u8::is_ascii_digit).skip(2).take(12);
    let end: Vec<u8> = digits.chain([b'Z']).collect();
    if let Some(at) = der.windows(END.len()).position(|w| w == END) {
        der[at..at + END.len()].copy_from_slice(&end);
    }
    der
}

fn record(kind: u8, version: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(version.to_be_bytes());
    out.extend(vector(2, body));
    out
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &vector(3, body)[..]].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, body)].concat()
}

/// Bytes behind their length, which takes `size` bytes.
fn vector(size: usize, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&length[4 - size..], body].concat()
}
