use std::sync::Arc;

use proptest::prelude::*;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::quic::{self, ClientConnection, Keys as RustlsKeys};

use super::*;
use crate::tls::tests::unhex;

fn put_varint(out: &mut Vec<u8>, value: usize) {
    // The two-byte form holds all that is needed here.
    out.extend_from_slice(&(0x4000 | value as u16).to_be_bytes());
}

/// An Initial packet sealed by rustls.
fn packet(version: quic::Version, id: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().unwrap();
    let keys = RustlsKeys::initial(
        version,
        suite,
        suite.quic.unwrap(),
        id,
        rustls::Side::Client,
    );
    let (first, wire): (u8, u32) = match version {
        quic::Version::V2 => (0xd0, 0x6b33_43cf),
        _ => (0xc0, 1),
    };
    // Two bytes of packet number.
    let mut header = vec![first | 1];
    header.extend(wire.to_be_bytes());
    header.push(id.len() as u8);
    header.extend(id);
    header.extend([0, 0]); // no source id, no token
    let tag = keys.local.packet.tag_len();
    put_varint(&mut header, 2 + frames.len() + tag);
    let number_at = header.len();
    header.extend([0, number]);
    let mut payload = frames.to_vec();
    let sealed = keys
        .local
        .packet
        .encrypt_in_place(number.into(), &header, &mut payload)
        .unwrap();
    payload.extend_from_slice(sealed.as_ref());
    let sample: Vec<u8> = payload[2..18].to_vec();
    let (head, numbers) = header.split_at_mut(number_at);
    keys.local
        .header
        .encrypt_in_place(&sample, &mut head[0], numbers)
        .unwrap();
    header.extend(payload);
    header
}

fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    put_varint(&mut frame, offset);
    put_varint(&mut frame, data.len());
    frame.extend(data);
    frame
}

/// The hello of a real client, as it stands in the CRYPTO stream.
fn hello() -> Vec<u8> {
    let mut config =
        rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
    config.alpn_protocols = vec![b"h3".to_vec()];
    let name = ServerName::try_from("api.example").unwrap();
    let version = quic::Version::V1;
    let mut client = ClientConnection::new(Arc::new(config), version, name, vec![1, 2]).unwrap();
    let mut hello = Vec::new();
    client.write_hs(&mut hello);
    hello
}

/// The datagrams of a client that begins: its hello lies in two packets.
pub(crate) fn first_flight() -> [Vec<u8>; 2] {
    let message = hello();
    let (one, two) = message.split_at(message.len() / 2);
    let part = |number, offset, data| {
        let mut frames = crypto(offset, data);
        frames.resize(1_200, 0);
        packet(quic::Version::V1, &[5; 8], number, &frames)
    };
    [part(0, 0, one), part(1, one.len(), two)]
}

fn check(hello: &Hello) {
    let facts = hello.facts();
    assert_eq!(facts.server_name.as_deref(), Some("api.example"));
    assert_eq!(facts.offered.as_deref(), Some("h3"));
    assert!(facts.ja4.as_ref().unwrap().starts_with("q13d"));
}

/// RFC 9001, appendix A.1.
#[test]
fn keys_are_the_published_ones() {
    let keys = Keys::new(Version::V1, &unhex("8394c8f03e515708")).unwrap();
    assert_eq!(keys.iv[..], unhex("fa044b2f42a3fd3b46fb255c"));
    // Appendix A.2: the mask of the sample.
    let sample: [u8; 16] = unhex("d1b1c98dd7689fb8ec11d242b123dc9b")
        .try_into()
        .unwrap();
    let mut mask = Array::from(sample);
    keys.protection.encrypt_block(&mut mask);
    assert_eq!(mask[..5], unhex("437b9aec36"));
}

#[test]
fn a_hello_in_one_packet_or_in_pieces_of_any_order() {
    let message = hello();
    let id = [7; 8];
    for version in [quic::Version::V1, quic::Version::V2] {
        let mut whole = Hello::default();
        let frames = [vec![0; 20], vec![1], crypto(0, &message), vec![0; 700]].concat();
        assert_eq!(
            whole.on_datagram(&packet(version, &id, 0, &frames)),
            Progress::Known
        );
        check(&whole);

        // Three packets of interleaved pieces, the last first; two share a datagram; one comes
        // twice, and an acknowledgement stands before it.
        let third = message.len() / 3;
        let piece = |at: usize| crypto(at, &message[at..message.len().min(at + third / 2 + 1)]);
        let starts: Vec<usize> = (0..message.len()).step_by(third / 2).collect();
        let (odd, even): (Vec<_>, Vec<_>) =
            starts.iter().partition(|at| *at / (third / 2) % 2 == 1);
        let frames = |starts: &[usize]| {
            let pieces = starts.iter().rev().flat_map(|at| piece(*at));
            [2, 5, 0, 0, 1]
                .into_iter()
                .chain(pieces)
                .collect::<Vec<u8>>()
        };
        let first = packet(version, &id, 0, &frames(&odd));
        let last = packet(version, &id, 1, &frames(&even));
        let mut pieces = Hello::default();
        assert_eq!(pieces.on_datagram(&first), Progress::More);
        assert_eq!(pieces.on_datagram(&[first, last].concat()), Progress::Known);
        check(&pieces);
        assert_eq!(pieces.facts(), whole.facts());
    }
}

#[test]
fn a_retry_brings_other_keys() {
    let message = hello();
    let mut both = Hello::default();
    let half = message.len() / 2;
    let frames = [crypto(0, &message[..half]), vec![0; 100]].concat();
    both.on_datagram(&packet(quic::Version::V1, &[1; 8], 0, &frames));
    let frames = [crypto(half, &message[half..]), vec![0; 100]].concat();
    let again = packet(quic::Version::V1, &[2; 20], 1, &frames);
    assert_eq!(both.on_datagram(&again), Progress::Known);
    check(&both);
}

#[test]
fn what_is_held_is_bounded_and_ends() {
    let mut hello = Hello::default();
    for n in 0..MAX_DATAGRAMS {
        let pieces: Vec<u8> = (0..40)
            .flat_map(|at| crypto(100 + at * 300 + usize::from(n), &[1; 25]))
            .collect();
        let progress = hello.on_datagram(&packet(quic::Version::V1, &[3; 8], n, &pieces));
        let held: usize = hello.pieces.iter().map(|piece| piece.1.len()).sum();
        assert!(held <= MAX_CRYPTO && hello.pieces.len() <= MAX_PIECES);
        let last = n + 1 == MAX_DATAGRAMS;
        assert_eq!(
            progress,
            if last {
                Progress::Never
            } else {
                Progress::More
            }
        );
    }
    let mut far = Hello::default();
    far.on_datagram(&packet(
        quic::Version::V1,
        &[3; 8],
        0,
        &crypto(16_000, &[1; 600]),
    ));
    assert!(far.pieces.is_empty());
}

proptest! {
    #[test]
    fn any_datagram_is_survived(
        mut data in prop::collection::vec(any::<u8>(), 0..300),
        version in prop_oneof![Just(1_u32), Just(0x6b33_43cf)],
        cut in 0_usize..2_000,
        at in 0_usize..2_000,
        byte in any::<u8>(),
    ) {
        let mut hello = Hello::default();
        if data.len() > 5 {
            data[0] |= 0xc0;
            data[1..5].copy_from_slice(&version.to_be_bytes());
        }
        hello.on_datagram(&data);
        hello.frames(&data);
        // A sound packet, cut or with one byte changed, opens nothing.
        let frames = [crypto(0, &self::hello()), vec![0; 300]].concat();
        let mut sound = packet(quic::Version::V1, &[9; 8], 0, &frames);
        sound.truncate(cut);
        if let Some(old) = sound.get_mut(at) {
            *old = byte;
        }
        hello.on_datagram(&sound);
    }
}
