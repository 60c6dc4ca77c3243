use etherparse::PacketBuilder;

use super::*;
use crate::capture::LinkType;

mod fragments;
mod wrappings;

const TS: Timestamp = Timestamp(1_000);

fn ethernet(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(40_000, 80, 7, 512)
        .ack(9);
    let mut out = Vec::new();
    builder.write(&mut out, payload).unwrap();
    out
}

fn frame(link: LinkType, data: &[u8]) -> Frame<'_> {
    Frame {
        ts: TS,
        link,
        data,
        wire_len: data.len() as u32,
        interface: 0,
    }
}

/// One frame through a decoder of its own. Leaked, since the answer may borrow from it.
fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    let decoder = Decoder::new(Ports::default(), FragmentSettings::default(), 1);
    Box::leak(Box::new(decoder)).decode(frame).decoded
}

fn expected(payload: &[u8]) -> Segment<'_> {
    Segment {
        ts: TS,
        src: "10.0.0.1".parse().unwrap(),
        dst: "10.0.0.2".parse().unwrap(),
        src_port: 40_000,
        dst_port: 80,
        network: Network::default(),
        seq: 7,
        ack: 9,
        flags: TcpFlags {
            ack: true,
            ..TcpFlags::default()
        },
        window: 512,
        stamp: 0,
        sum: 0,
        header: &[],
        payload,
        missing: 0,
        tap: 0,
    }
}

/// The stamp is tried in a test of its own.
fn unstamped(decoded: Decoded<'_>) -> Decoded<'_> {
    match decoded {
        Decoded::Segment(s) => Decoded::Segment(Segment {
            stamp: 0,
            sum: 0,
            header: &[],
            ..s
        }),
        other => other,
    }
}

#[test]
fn every_link_type_finds_the_same_segment() {
    let eth = ethernet(b"hello");
    let ip = &eth[14..];
    let with = |head: &[u8]| [head, ip].concat();
    let vlan = [&eth[..12], &[0x81, 0, 0, 5], &eth[12..]].concat();
    let qinq = [&eth[..12], &[0x88, 0xa8, 0, 9, 0x81, 0, 0, 5], &eth[12..]].concat();
    let padded = [&eth[..], &[0; 6]].concat();
    let cases = [
        (LinkType::ETHERNET, eth.clone()),
        (LinkType::ETHERNET, padded),
        (LinkType::ETHERNET, vlan),
        (LinkType::ETHERNET, qinq),
        (LinkType::RAW, ip.to_vec()),
        (LinkType::IPV4, ip.to_vec()),
        (LinkType::NULL, with(&[2, 0, 0, 0])),
        (LinkType::NULL, with(&[0, 0, 0, 2])),
        (LinkType::LOOP, with(&[0, 0, 0, 2])),
        (
            LinkType::LINUX_SLL,
            with(&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]),
        ),
        (
            LinkType::LINUX_SLL2,
            with(&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]),
        ),
    ];
    for (link, data) in cases {
        assert_eq!(
            unstamped(decode(&frame(link, &data))),
            Decoded::Segment(expected(b"hello")),
            "{link:?}"
        );
    }
}

#[test]
fn ipv6_with_extension_headers() {
    let mut data = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv6([1; 16], [2; 16], 64)
        .tcp(1, 2, 3, 4)
        .write(&mut data, b"hello")
        .unwrap();
    let Decoded::Segment(plain) = decode(&frame(LinkType::ETHERNET, &data)) else {
        panic!()
    };
    // A hop-by-hop header of eight bytes between the fixed header and TCP.
    let mut with_ext = data.clone();
    with_ext[20] = 0;
    let len = u16::from_be_bytes([data[18], data[19]]) + 8;
    with_ext[18..20].copy_from_slice(&len.to_be_bytes());
    with_ext.splice(54..54, [6, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(
        decode(&frame(LinkType::ETHERNET, &with_ext)),
        Decoded::Segment(plain)
    );
    assert_eq!(plain.payload, b"hello");
}

#[test]
fn a_snapped_packet_says_what_is_missing() {
    let data = ethernet(b"hello world");
    let frame = Frame {
        ts: TS,
        link: LinkType::ETHERNET,
        data: &data[..data.len() - 6],
        wire_len: data.len() as u32,
        interface: 0,
    };
    assert_eq!(
        unstamped(decode(&frame)),
        Decoded::Segment(Segment {
            missing: 6,
            ..expected(b"hello")
        })
    );
}

#[test]
fn segmentation_offload_leaves_the_length_at_zero() {
    let mut data = ethernet(b"hello");
    data[16..18].fill(0);
    assert_eq!(
        unstamped(decode(&frame(LinkType::ETHERNET, &data))),
        Decoded::Segment(expected(b"hello"))
    );
}

#[test]
fn what_is_not_tcp_has_a_reason() {
    let mut arp = ethernet(b"");
    arp[12..14].copy_from_slice(&[8, 6]);
    assert_eq!(
        decode(&frame(LinkType::ETHERNET, &arp)),
        Decoded::Ignored(Ignored::Arp)
    );
    let mut udp = ethernet(b"");
    udp[23] = 17;
    assert_eq!(
        decode(&frame(LinkType::ETHERNET, &udp)),
        Decoded::Ignored(Ignored::Udp)
    );
    // On the port of HTTP/3, with the fixed bit, it may be QUIC; on any, with a known version.
    let datagram = |port: u16, payload: &[u8]| {
        let mut data = ethernet(payload);
        (data[23], data[34]) = (17, 0xff);
        data[36..38].copy_from_slice(&port.to_be_bytes());
        // What was a TCP header is the end of UDP's and the start of the payload.
        let at = data.len() - payload.len();
        data.drain(42..at);
        let total = (data.len() - 14) as u16;
        data[16..18].copy_from_slice(&total.to_be_bytes());
        matches!(decode(&frame(LinkType::ETHERNET, &data)), Decoded::Datagram(d) if d.payload == payload)
    };
    assert!(datagram(443, &[0x40, 1, 2]) && datagram(9_999, &[0xc1, 0, 0, 0, 1, 8]));
    assert!(!datagram(9_999, &[0x40, 1, 2]) && !datagram(443, &[0x20, 1, 2]));
    assert!(!datagram(443, &[]));
    let mut fragment = ethernet(b"");
    fragment[20] = 0x20;
    // All but the last fragment are multiples of eight bytes long (RFC 791).
    assert_eq!(
        decode(&frame(LinkType::ETHERNET, &fragment)),
        Decoded::Malformed(Malformed::Fragment)
    );
    assert_eq!(
        decode(&frame(LinkType(12_345), &arp)),
        Decoded::Ignored(Ignored::LinkType)
    );
}

#[test]
fn cut_at_every_offset_it_answers() {
    let data = ethernet(b"hello");
    for end in 0..data.len() {
        let cut = Frame {
            ts: TS,
            link: LinkType::ETHERNET,
            data: &data[..end],
            wire_len: data.len() as u32,
            interface: 0,
        };
        match decode(&cut) {
            Decoded::Segment(s) => assert_eq!(s.payload.len() + s.missing as usize, 5),
            other => assert_eq!(other, Decoded::Malformed(Malformed::Truncated), "{end}"),
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_an_answer(link in 0_i32..300, data: Vec<u8>) {
        let _ = decode(&frame(LinkType(link), &data));
    }
}
