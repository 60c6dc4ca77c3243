//! Every tunnel and link layer, alone and nested, whole and cut.

use super::*;
use crate::compose::tunnel::Wrap;

fn ethernet_v6(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv6([1; 16], [2; 16], 64)
        .tcp(40_000, 80, 7, 512)
        .ack(9)
        .write(&mut out, payload)
        .unwrap();
    out
}

fn inner(link: LinkType, data: &[u8]) -> Segment<'_> {
    match decode(&frame(link, data)) {
        Decoded::Segment(segment) => segment,
        other => panic!("{link:?}: {other:?}"),
    }
}

fn taking(plain: &[u8]) -> impl Iterator<Item = Wrap> {
    Wrap::ALL.into_iter().filter(|wrap| wrap.takes(plain))
}

fn zone(wrap: Wrap) -> Option<u32> {
    // A GRE key only labels.
    wrap.vni().filter(|_| wrap != Wrap::Nvgre)
}

#[test]
fn every_wrapping_holds_the_same_segment() {
    for plain in [ethernet(b"hello"), ethernet_v6(b"hello")] {
        let bare = inner(LinkType::ETHERNET, &plain);
        for wrap in taking(&plain) {
            let wrapped = wrap.encapsulate(&plain);
            let found = inner(wrap.link(&plain), &wrapped);
            let network = Network {
                vni: wrap.vni(),
                zone: zone(wrap),
            };
            assert_eq!(found, Segment { network, ..bare }, "{wrap:?}");
        }
    }
}

#[test]
fn wrapped_frames_may_be_padded_and_tagged() {
    let plain = ethernet(b"hello");
    let bare = inner(LinkType::ETHERNET, &plain);
    let tagged = Wrap::Vlan.encapsulate(&plain);
    for wrap in taking(&tagged) {
        let padded = [&wrap.encapsulate(&tagged)[..], &[0; 9]].concat();
        let found = inner(wrap.link(&tagged), &padded);
        let network = found.network;
        assert_eq!(found, Segment { network, ..bare }, "{wrap:?}");
    }
}

#[test]
fn any_two_nest_and_the_innermost_network_counts() {
    let plain = ethernet(b"hello");
    let bare = inner(LinkType::ETHERNET, &plain);
    for first in taking(&plain) {
        if first.link(&plain) != LinkType::ETHERNET {
            continue;
        }
        let once = first.encapsulate(&plain);
        for second in taking(&once) {
            let twice = second.encapsulate(&once);
            let found = inner(second.link(&once), &twice);
            let network = Network {
                vni: first.vni().or_else(|| second.vni()),
                zone: if first.vni().is_some() {
                    zone(first)
                } else {
                    zone(second)
                },
            };
            assert_eq!(
                found,
                Segment { network, ..bare },
                "{first:?} in {second:?}"
            );
        }
    }
}

#[test]
fn deep_nests_end_at_the_limit() {
    let mut data = ethernet(b"hello");
    let wraps = [
        Wrap::Vxlan,
        Wrap::Gre,
        Wrap::Pseudowire,
        Wrap::Geneve,
        Wrap::InIpv6,
    ];
    let mut deepest = 0;
    for depth in 1..=MAX_LAYERS {
        data = wraps[depth % wraps.len()].encapsulate(&data);
        match decode(&frame(LinkType::ETHERNET, &data)) {
            Decoded::Segment(s) => {
                assert_eq!((s.payload, deepest), (&b"hello"[..], depth - 1));
                deepest = depth;
            }
            other => assert_eq!(other, Decoded::Malformed(Malformed::Layers), "{depth}"),
        }
    }
    assert!((6..MAX_LAYERS).contains(&deepest), "{deepest}");
}

#[test]
fn tags_without_end_are_too_many_layers() {
    let mut data = ethernet(b"");
    for _ in 0..100 {
        data = Wrap::Vlan.encapsulate(&data);
    }
    assert_eq!(
        decode(&frame(LinkType::ETHERNET, &data)),
        Decoded::Malformed(Malformed::Layers)
    );
    // Labels of one stack are one layer, however many.
    let stack = [[0, 1, 0, 64]; 1_000].concat();
    let mpls = Wrap::Mpls.encapsulate(&ethernet(b"hello"));
    let tall = [&mpls[..14], &stack, &mpls[14..]].concat();
    assert_eq!(inner(LinkType::ETHERNET, &tall).payload, b"hello");
}

#[test]
fn every_wrapping_cut_anywhere_answers() {
    for plain in [ethernet(b"hello"), ethernet_v6(b"hello")] {
        for wrap in taking(&plain) {
            let whole = wrap.encapsulate(&plain);
            for end in 0..whole.len() {
                let cut = Frame {
                    wire_len: whole.len() as u32,
                    ..frame(wrap.link(&plain), &whole[..end])
                };
                match decode(&cut) {
                    Decoded::Segment(s) => {
                        assert_eq!(s.payload, &b"hello"[..s.payload.len()], "{wrap:?} {end}");
                        let told = s.payload.len() + s.missing as usize;
                        assert_eq!(told, 5, "{wrap:?} cut at {end}");
                    }
                    // An outer header that stands and shows nothing of what it carries.
                    Decoded::Ignored(Ignored::Udp | Ignored::Tunnel) => {}
                    other => assert_eq!(
                        other,
                        Decoded::Malformed(Malformed::Truncated),
                        "{wrap:?} cut at {end}"
                    ),
                }
                // The same as a frame that was so short on the wire.
                let _ = decode(&frame(wrap.link(&plain), &whole[..end]));
            }
        }
    }
}

#[test]
fn vxlan_ports_are_the_configs() {
    let mut data = Wrap::Vxlan.encapsulate(&ethernet(b"hello"));
    let port = 14 + 20 + 2;
    data[port..port + 2].copy_from_slice(&4_711_u16.to_be_bytes());
    let frame = frame(LinkType::ETHERNET, &data);
    // Everything about it says VXLAN, so the port is only missing in the config.
    assert_eq!(decode(&frame), Decoded::Ignored(Ignored::VxlanPort));
    let ports = Ports {
        vxlan: vec![4_711],
        ..Ports::default()
    };
    let mut decoder = Decoder::new(ports, FragmentSettings::default(), 1);
    let Decoded::Segment(found) = decoder.decode(&frame).decoded else {
        panic!()
    };
    assert_eq!(found.payload, b"hello");
    assert_eq!(found.network.zone, Some(Wrap::VNI));
}

#[test]
fn what_a_tunnel_carries_beside_traffic_has_a_reason() {
    let plain = ethernet(b"hello");
    let at = |wrap: Wrap, offset: usize, byte: u8| {
        let mut data = wrap.encapsulate(&plain);
        data[offset] = byte;
        match decode(&frame(LinkType::ETHERNET, &data)) {
            Decoded::Ignored(reason) => Ok(reason),
            Decoded::Malformed(reason) => Err(reason),
            other => panic!("{wrap:?}: {other:?}"),
        }
    };
    let (over_ip, over_udp) = (14 + 20, 14 + 20 + 8);
    let ignored = [
        // VXLAN without a valid network number; Geneve of another version.
        (at(Wrap::Vxlan, over_udp, 0), Ignored::Udp),
        (at(Wrap::Geneve, over_udp, 0x40), Ignored::Udp),
        // Echo request; version 2 (control plane).
        (at(Wrap::GtpU, over_udp + 1, 1), Ignored::Gtp),
        (at(Wrap::GtpU, over_udp, 0x48), Ignored::Udp),
        (at(Wrap::Gre, over_ip + 1, 2), Ignored::Tunnel),
        (at(Wrap::Gre, over_ip, 0x40), Ignored::Tunnel),
        (at(Wrap::EtherIp, over_ip, 0x20), Ignored::Tunnel),
        (at(Wrap::VxlanGpe, over_udp + 3, 99), Ignored::Tunnel),
        (at(Wrap::Pppoe, 15, 0xa7), Ignored::PppoeDiscovery),
        (at(Wrap::Pppoe, 13, 0x63), Ignored::PppoeDiscovery),
        // LCP.
        (at(Wrap::Pppoe, 20, 0xc0), Ignored::Ppp),
        // The associated channel of a pseudowire.
        (at(Wrap::Pseudowire, 18, 0x10), Ignored::Mpls),
        (at(Wrap::Snap, 14, 0x42), Ignored::Llc),
        (at(Wrap::InIpv4, 14 + 9, 50), Ignored::Esp),
        (at(Wrap::InIpv4, 14 + 9, 132), Ignored::Sctp),
        (at(Wrap::InIpv4, 14 + 9, 1), Ignored::Icmp),
        (at(Wrap::InIpv4, 14 + 9, 89), Ignored::OtherIp),
    ];
    for (i, (found, reason)) in ignored.into_iter().enumerate() {
        assert_eq!(found, Ok(reason), "case {i}");
    }
    // Extension headers of length zero would go on for ever.
    assert_eq!(
        at(Wrap::GtpUExtension, over_udp + 12, 0),
        Err(Malformed::Tunnel)
    );
    // An encrypted 802.11 frame.
    let mut data = Wrap::Wlan.encapsulate(&plain);
    data[1] |= 0x40;
    assert_eq!(
        decode(&frame(LinkType::IEEE802_11, &data)),
        Decoded::Ignored(Ignored::Wlan)
    );
}

#[test]
fn what_is_too_short_is_named_by_its_layer() {
    let plain = ethernet(b"hello");
    let (over_ip, over_udp) = (14 + 20, 14 + 20 + 8);
    let short = |wrap: Wrap, end: usize| {
        let data = wrap.encapsulate(&plain)[..end].to_vec();
        match decode(&frame(LinkType::ETHERNET, &data)) {
            Decoded::Malformed(reason) => reason,
            other => panic!("{wrap:?}: {other:?}"),
        }
    };
    assert_eq!(short(Wrap::Vlan, 15), Malformed::Link);
    assert_eq!(short(Wrap::Mpls, 16), Malformed::Link);
    assert_eq!(short(Wrap::Vxlan, 14 + 3), Malformed::Ip);
    assert_eq!(short(Wrap::Vxlan, over_ip + 2), Malformed::Udp);
    assert_eq!(short(Wrap::Vxlan, over_ip + 7), Malformed::Udp);
    assert_eq!(short(Wrap::Gre, over_ip + 3), Malformed::Tunnel);
    assert_eq!(short(Wrap::Erspan3, over_ip + 12), Malformed::Tunnel);
    assert_eq!(short(Wrap::GeneveOptions, over_udp + 10), Malformed::Tunnel);
    assert_eq!(short(Wrap::InIpv4, over_ip + 20 + 19), Malformed::Tcp);
}

/// A response's tunnel may bear another key, session or tunnel id: it is the same flow all the
/// same. Overlay networks separate.
#[test]
fn only_overlay_numbers_separate() {
    let plain = ethernet(b"hello");
    let zone_with = |wrap: Wrap, offset: usize| {
        let mut data = wrap.encapsulate(&plain);
        data[offset] ^= 0x55;
        inner(LinkType::ETHERNET, &data).network.zone
    };
    let (over_ip, over_udp) = (14 + 20, 14 + 20 + 8);
    for (wrap, offset) in [
        (Wrap::Vlan, 15),
        (Wrap::Mpls, 14),
        (Wrap::Pppoe, 17),
        (Wrap::GreFull, over_ip + 9),
        (Wrap::Nvgre, over_ip + 5),
        (Wrap::Erspan2, over_ip + 11),
        (Wrap::GtpU, over_udp + 6),
    ] {
        assert_eq!(zone_with(wrap, offset), None, "{wrap:?}");
    }
    for wrap in [Wrap::Vxlan, Wrap::VxlanGpe, Wrap::Geneve] {
        let other = zone_with(wrap, over_udp + 5);
        assert_eq!(other, Some(Wrap::VNI ^ 0x5500), "{wrap:?}");
    }
}

proptest::proptest! {
    #[test]
    fn wrapped_bytes_changed_anywhere_answer(
        which in 0..Wrap::ALL.len(),
        changes in proptest::collection::vec((0_usize..400, proptest::num::u8::ANY), 1..6),
        end in 0_usize..400,
    ) {
        let plain = ethernet(b"hello");
        let wrap = Wrap::ALL[which];
        let mut data = Wrap::Vxlan.encapsulate(&wrap.encapsulate(&plain));
        if wrap.link(&plain) != LinkType::ETHERNET {
            data = wrap.encapsulate(&plain);
        }
        for (at, byte) in changes {
            if let Some(b) = data.get_mut(at) {
                *b = byte;
            }
        }
        data.truncate(end);
        let _ = decode(&frame(wrap.link(&plain), &data));
    }
}
