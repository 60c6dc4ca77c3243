//! Sessions between real peers: rustls on both sides, in memory, with its key log. What the peers
//! said is known, so what comes out is held against it.

use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls::{DigitallySignedStruct, SignatureScheme, SupportedCipherSuite};

use super::*;
use crate::flow::{Chunk, Side};
use crate::time::Timestamp;

mod loss;
mod openssl;
mod rustls_peers;

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Bytes on the wire in the order in which they were sent.
pub(crate) type Wire = Vec<(Side, Vec<u8>)>;

/// What a listener got out of a wire.
#[derive(Default)]
struct Heard {
    said: [Vec<u8>; 2],
    /// (side, offset, length) of holes.
    gaps: Vec<(Side, u64, Option<u64>)>,
    /// Translated acknowledgements: (side, offset, acknowledged).
    acks: Vec<(Side, u64, Option<u64>)>,
    facts: Facts,
    counters: Counters,
}

impl Heard {
    fn said(&self, side: Side) -> String {
        String::from_utf8_lossy(&self.said[side as usize]).into_owned()
    }
}

/// One listener, fed as the flow table feeds: what is not consumed is offered again.
struct Listener {
    session: Session,
    shared: Shared,
    heard: Heard,
    carry: [Vec<u8>; 2],
    offset: [u64; 2],
}

impl Listener {
    fn new(keys: Arc<KeyStore>) -> Self {
        Self {
            session: Session::default(),
            shared: Shared::new(keys),
            heard: Heard::default(),
            carry: [Vec::new(), Vec::new()],
            offset: [0, 0],
        }
    }

    fn hear(&mut self, side: Side, ts: Timestamp, bytes: &[u8]) {
        let other = side.other() as usize;
        let ack = self.offset[other] + self.carry[other].len() as u64;
        let carry = &mut self.carry[side as usize];
        carry.extend_from_slice(bytes);
        let chunk = Chunk {
            ts,
            offset: self.offset[side as usize],
            ack: Some(ack),
            boundary: true,
            data: carry,
        };
        let heard = &mut self.heard;
        let mut sink = |event: Event<'_>| heard.take(event);
        let used = self
            .session
            .on_data(side, &chunk, &mut self.shared, &mut sink);
        assert!(used <= carry.len());
        carry.drain(..used);
        self.offset[side as usize] += used as u64;
        assert!(carry.len() < record::HEADER + record::MAX_PAYLOAD);
    }

    fn lose(&mut self, side: Side, len: usize) {
        let carried = std::mem::take(&mut self.carry[side as usize]);
        let at = self.offset[side as usize] + carried.len() as u64;
        let heard = &mut self.heard;
        let mut sink = |event: Event<'_>| heard.take(event);
        let ts = Timestamp::from_secs(0);
        self.session
            .on_gap(side, ts, at, len as u64, &mut self.shared, &mut sink);
        self.offset[side as usize] = at + len as u64;
    }

    fn end(mut self) -> Heard {
        let heard = &mut self.heard;
        let mut sink = |event: Event<'_>| heard.take(event);
        self.session.on_end(&mut self.shared, &mut sink);
        self.session.close(&mut self.shared);
        assert_eq!(self.shared.waiting(), 0);
        self.heard.facts = self.session.facts().clone();
        self.heard.counters = self.shared.counters;
        self.heard
    }
}

impl Heard {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Data(side, chunk) => {
                let lost: u64 = self
                    .gaps
                    .iter()
                    .filter(|gap| gap.0 == side)
                    .map(|gap| gap.2.unwrap_or(1))
                    .sum();
                let said = &mut self.said[side as usize];
                assert_eq!(chunk.offset, said.len() as u64 + lost);
                said.extend_from_slice(chunk.data);
                self.acks.push((side, chunk.offset, chunk.ack));
            }
            Event::Gap {
                side, offset, len, ..
            } => self.gaps.push((side, offset, len)),
        }
    }
}

/// Hears a wire in pieces of `size` bytes.
fn hear(wire: &Wire, keys: &Arc<KeyStore>, size: usize) -> Heard {
    let mut listener = Listener::new(keys.clone());
    for (side, bytes) in wire {
        for piece in bytes.chunks(size) {
            listener.hear(*side, Timestamp::from_secs(0), piece);
        }
    }
    listener.end()
}

fn store(log: &[u8]) -> Arc<KeyStore> {
    let keys = KeyStore::default();
    keys.load(log);
    Arc::new(keys)
}

/// A key log in memory.
#[derive(Debug, Default)]
struct Log(Mutex<Vec<u8>>);

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hex(random), hex(secret));
        self.0.lock().unwrap().extend_from_slice(line.as_bytes());
    }
}

/// The peers' certificate is their own; whom to trust is not what is tested.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Whether a client's certificate is asked for; any is good.
#[derive(Debug)]
struct AnyClient(bool);

impl rustls::server::danger::ClientCertVerifier for AnyClient {
    fn offer_client_auth(&self) -> bool {
        self.0
    }

    fn root_hint_subjects(&self) -> &[rustls::DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<rustls::server::danger::ClientCertVerified, rustls::Error> {
        Ok(rustls::server::danger::ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anyone.verify_tls12_signature(m, c, d)
    }

    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Anyone.verify_tls13_signature(m, c, d)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Anyone.supported_verify_schemes()
    }
}

/// A client and a server that may meet several times.
pub(crate) struct Peers {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    log: Arc<Log>,
}

impl Peers {
    pub(crate) fn new(
        suite: SupportedCipherSuite,
        adjust: impl FnOnce(&mut ClientConfig, &mut ServerConfig),
    ) -> Self {
        Self::made(suite, false, adjust)
    }

    /// The server asks for the client's certificate.
    pub(crate) fn mutual(suite: SupportedCipherSuite) -> Self {
        Self::made(suite, true, |_, _| {})
    }

    fn made(
        suite: SupportedCipherSuite,
        mutual: bool,
        adjust: impl FnOnce(&mut ClientConfig, &mut ServerConfig),
    ) -> Self {
        let version = suite.version();
        let mut provider = ring::default_provider();
        provider.cipher_suites = vec![suite];
        let provider = Arc::new(provider);
        let certificate = CertificateDer::from(unhex(include_str!("certificate/self-signed.hex")));
        let key = PrivatePkcs8KeyDer::from(unhex(include_str!("certificate/self-signed.key.hex")));
        let log = Arc::new(Log::default());
        let mut client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_client_auth_cert(
                vec![certificate.clone()],
                PrivateKeyDer::Pkcs8(key.clone_key()),
            )
            .unwrap();
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(Arc::new(AnyClient(mutual)))
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        client.key_log = log.clone();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        adjust(&mut client, &mut server);
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
            log,
        }
    }

    pub(crate) fn connect(&self) -> Conversation {
        let name = ServerName::try_from("API.Example").unwrap();
        Conversation {
            client: ClientConnection::new(self.client.clone(), name).unwrap(),
            server: ServerConnection::new(self.server.clone()).unwrap(),
            wire: Vec::new(),
        }
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        self.log.0.lock().unwrap().clone()
    }

    pub(crate) fn keys(&self) -> Arc<KeyStore> {
        store(&self.log())
    }
}

pub(crate) struct Conversation {
    client: ClientConnection,
    server: ServerConnection,
    pub(crate) wire: Wire,
}

impl Conversation {
    /// Carries bytes until both have nothing to say.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let quiet = bytes.is_empty();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).unwrap();
                self.server.process_new_packets().unwrap();
                drain(self.server.reader());
            }
            if !quiet {
                self.wire.push((Side::Orig, bytes));
            }
            let mut bytes = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut bytes).unwrap();
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).unwrap();
                self.client.process_new_packets().unwrap();
                drain(self.client.reader());
            }
            if bytes.is_empty() && quiet {
                return;
            }
            if !bytes.is_empty() {
                self.wire.push((Side::Resp, bytes));
            }
        }
    }

    pub(crate) fn client_says(&mut self, text: &[u8]) {
        std::io::Write::write_all(&mut self.client.writer(), text).unwrap();
        self.settle();
    }

    pub(crate) fn server_says(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            let taken = std::io::Write::write(&mut self.server.writer(), rest).unwrap();
            rest = &rest[taken..];
            self.settle();
        }
    }
}

/// The peers must have room for more.
fn drain(mut reader: impl std::io::Read) {
    // The end of what there is at present is an error here, and none to us.
    let _ = std::io::copy(&mut reader, &mut std::io::sink());
}

const REQUEST: &[u8] = b"GET /v1/users HTTP/1.1\r\nHost: api.example\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
