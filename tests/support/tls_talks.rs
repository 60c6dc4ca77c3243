//! TLS between rustls and rustls in memory, with its key log.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls::{DigitallySignedStruct, SignatureScheme, SupportedCipherSuite};

/// A connection: its key log, and what was said by the client (0) and the server (1).
pub struct Talk {
    pub log: Vec<u8>,
    pub said: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct Log(Mutex<Vec<u8>>);

impl rustls::KeyLog for Log {
    fn log(&self, label: &str, random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let mut log = self.0.lock().unwrap();
        writeln!(log, "{label} {} {}", hex(random), hex(secret)).unwrap();
    }
}

/// Whom to trust is not the question.
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

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| Some(c.to_digit(16)? as u8))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A request and its answer under each suite.
pub fn talks() -> Vec<Talk> {
    ring::default_provider()
        .cipher_suites
        .into_iter()
        .map(talk)
        .collect()
}

fn talk(suite: SupportedCipherSuite) -> Talk {
    let mut provider = ring::default_provider();
    provider.cipher_suites = vec![suite];
    let provider = Arc::new(provider);
    let log = Arc::new(Log::default());
    let ecdsa = CertificateDer::from(unhex(include_str!(
        "../../src/tls/certificate/self-signed.hex"
    )));
    let key = unhex(include_str!(
        "../../src/tls/certificate/self-signed.key.hex"
    ));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[suite.version()])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    client.key_log = log.clone();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[suite.version()])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![ecdsa], key)
        .unwrap();
    let name = ServerName::try_from("api.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut said = Vec::new();
    let mut settle = |client: &mut ClientConnection, server: &mut ServerConnection| loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut up).unwrap();
        }
        let mut rest = &up[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            // A suite for a certificate of another kind ends in an alert.
            let _ = server.process_new_packets();
        }
        while server.wants_write() {
            server.write_tls(&mut down).unwrap();
        }
        let mut rest = &down[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            let _ = client.process_new_packets();
        }
        let quiet = up.is_empty() && down.is_empty();
        for (side, bytes) in [up, down].into_iter().enumerate() {
            if !bytes.is_empty() {
                said.push((side, bytes));
            }
        }
        if quiet {
            return;
        }
    };
    settle(&mut client, &mut server);
    let ask = b"GET /v1/users HTTP/1.1\r\nHost: api.example\r\n\r\n";
    let _ = client.writer().write(ask);
    settle(&mut client, &mut server);
    let _ = server.reader().read(&mut [0; 256]);
    let _ = server
        .writer()
        .write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]");
    settle(&mut client, &mut server);
    let log = log.0.lock().unwrap().clone();
    Talk { log, said }
}
