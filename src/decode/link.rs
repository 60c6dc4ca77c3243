//! Link layers: from a frame's first byte to the IP header, one header a step.

use etherparse::Ethernet2HeaderSlice;

use super::{Ignored, Layer, Malformed, Stop};
use crate::capture::LinkType;

/// A layer and its bytes.
pub(super) type Next<'a> = Result<(Layer, &'a [u8]), Stop>;

pub(super) mod ether_type {
    pub(in crate::decode) const IPV4: u16 = 0x0800;
    const ARP: u16 = 0x0806;
    /// Transparent Ethernet bridging: a whole frame (NVGRE, RFC 7637; Geneve, RFC 8926).
    pub(in crate::decode) const BRIDGED: u16 = 0x6558;
    const VLAN: u16 = 0x8100;
    pub(in crate::decode) const IPV6: u16 = 0x86dd;
    /// PPP inside enhanced GRE (PPTP, RFC 2637).
    pub(in crate::decode) const PPP: u16 = 0x880b;
    const MPLS: u16 = 0x8847;
    const MPLS_MULTICAST: u16 = 0x8848;
    const PPPOE_DISCOVERY: u16 = 0x8863;
    const PPPOE_SESSION: u16 = 0x8864;
    const PROVIDER_BRIDGE: u16 = 0x88a8;
    /// IEEE 802.1ah: a customer's frame inside the provider's.
    const PROVIDER_BACKBONE: u16 = 0x88e7;
    const QINQ_OLD: u16 = 0x9100;
    /// IEEE 802.3: up to here the field is a length, not a type.
    const MAX_LENGTH: u16 = 1500;

    use super::{Ignored, Layer, Next, Stop, be16, tail};

    /// What follows an EtherType.
    pub(in crate::decode) fn step(kind: u16, data: &[u8]) -> Next<'_> {
        match kind {
            IPV4 | IPV6 => Ok((Layer::Ip, data)),
            VLAN | PROVIDER_BRIDGE | QINQ_OLD => {
                Ok((Layer::EtherType(be16(data, 2)?), tail(data, 4)?))
            }
            BRIDGED => Ok((Layer::Ethernet, data)),
            PPP => Ok((Layer::Ppp, data)),
            // The I-TAG's 4 bytes, then the customer's frame.
            PROVIDER_BACKBONE => Ok((Layer::Ethernet, tail(data, 4)?)),
            MPLS | MPLS_MULTICAST => Ok((Layer::Mpls, data)),
            PPPOE_SESSION => super::pppoe(data),
            PPPOE_DISCOVERY => Err(Ignored::PppoeDiscovery.into()),
            ARP => Err(Ignored::Arp.into()),
            0..=MAX_LENGTH => Ok((Layer::Llc, data)),
            other => Err(Stop::Ignored(Ignored::EtherType, other)),
        }
    }
}

/// The first layer of a frame.
pub(super) fn step(link: LinkType, data: &[u8]) -> Next<'_> {
    match link {
        LinkType::ETHERNET => ethernet(data),
        // DLT_RAW is 12 or 14 where a savefile was written by an old BSD; the readers map those.
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Ok((Layer::Ip, data)),
        // sockaddr_ll cooked v1: the protocol is the last two of 16 bytes.
        LinkType::LINUX_SLL => Ok((Layer::EtherType(be16(data, 14)?), tail(data, 16)?)),
        // v2: the protocol is the first two of 20 bytes.
        LinkType::LINUX_SLL2 => Ok((Layer::EtherType(be16(data, 0)?), tail(data, 20)?)),
        LinkType::NULL | LinkType::LOOP => bsd_loopback(data),
        LinkType::PPP | LinkType::PPP_SERIAL => Ok((Layer::Ppp, data)),
        LinkType::PPP_ETHER => pppoe(data),
        LinkType::IEEE802_11 => Ok((Layer::Wlan, data)),
        // Radiotap: its own length is little-endian at 2.
        LinkType::IEEE802_11_RADIOTAP => {
            let length = be16(data, 2)?.swap_bytes();
            Ok((Layer::Wlan, tail(data, usize::from(length))?))
        }
        LinkType(other) => Err(Stop::Ignored(
            Ignored::LinkType,
            u16::try_from(other).unwrap_or(0),
        )),
    }
}

pub(super) fn ethernet(data: &[u8]) -> Next<'_> {
    let header = Ethernet2HeaderSlice::from_slice(data).map_err(|_| Malformed::Link)?;
    let kind = header.ether_type().0;
    Ok((Layer::EtherType(kind), &data[header.slice().len()..]))
}

/// IEEE 802.2, with SNAP where both service access points are 0xaa (RFC 1042).
pub(super) fn llc(data: &[u8]) -> Next<'_> {
    match data {
        // OUI zero, or that of bridges (RFC 2684), names an EtherType.
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low, rest @ ..] => {
            Ok((Layer::EtherType(u16::from_be_bytes([*high, *low])), rest))
        }
        [0x06, 0x06, 0x03, rest @ ..] => Ok((Layer::Ip, rest)),
        [] | [_] | [_, _] => Err(Malformed::Link.into()),
        [0xaa, 0xaa, 0x03, ..] if data.len() < 8 => Err(Malformed::Link.into()),
        _ => Err(Ignored::Llc.into()),
    }
}

/// The whole label stack (RFC 3032), then IP, or a frame behind a pseudowire's control word
/// (RFC 4385) or without one.
pub(super) fn mpls(mut data: &[u8]) -> Next<'_> {
    loop {
        let bottom = *data.get(2).ok_or(Malformed::Link)? & 1 == 1;
        data = tail(data, 4)?;
        if bottom {
            break;
        }
    }
    match data.first().map(|b| b >> 4) {
        Some(4 | 6) => Ok((Layer::Ip, data)),
        Some(0) => Ok((Layer::Ethernet, tail(data, 4)?)),
        // Associated channel: operation and maintenance.
        Some(1) => Err(Ignored::Mpls.into()),
        Some(_) => Ok((Layer::Ethernet, data)),
        None => Err(Malformed::Link.into()),
    }
}

/// RFC 2516, section 4: version and type 1, code 0 for the session stage.
fn pppoe(data: &[u8]) -> Next<'_> {
    match data {
        [0x11, 0, _, _, _, _, ppp @ ..] => Ok((Layer::Ppp, ppp)),
        [0x11, _, _, _, _, _, ..] => Err(Ignored::PppoeDiscovery.into()),
        _ => Err(Malformed::Link.into()),
    }
}

/// RFC 1661: address and control may be there or compressed away, and the protocol may be one
/// byte, which is then odd.
pub(super) fn ppp(data: &[u8]) -> Next<'_> {
    let data = data.strip_prefix(&[0xff, 0x03]).unwrap_or(data);
    let (protocol, rest) = match data {
        // An address without its control is no protocol (RFC 1661, section 6.5).
        [0xff] => return Err(Malformed::Link.into()),
        [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(Malformed::Link.into()),
    };
    match protocol {
        0x0021 | 0x0057 => Ok((Layer::Ip, rest)),
        0x0281 => Ok((Layer::Mpls, rest)),
        _ => Err(Ignored::Ppp.into()),
    }
}

/// IEEE 802.11 data frames in clear. Management, control, encrypted and aggregated ones are
/// counted.
pub(super) fn wlan(data: &[u8]) -> Next<'_> {
    let (control, flags) = match data {
        [control, flags, ..] => (*control, *flags),
        _ => return Err(Malformed::Link.into()),
    };
    let (data_frame, no_data, quality) = (
        control & 0x0c == 0x08,
        control & 0x40 != 0,
        control & 0x80 != 0,
    );
    if !data_frame || no_data || flags & 0x40 != 0 {
        return Err(Ignored::Wlan.into());
    }
    let mut header = 24;
    if flags & 0x03 == 0x03 {
        // Between distribution systems: a fourth address.
        header += 6;
    }
    if quality {
        if data.get(header).is_some_and(|b| b & 0x80 != 0) {
            return Err(Ignored::Wlan.into());
        }
        header += if flags & 0x80 != 0 { 6 } else { 2 };
    }
    Ok((Layer::Llc, tail(data, header)?))
}

/// The address family is in the byte order of the machine that captured, so both are tried. AF_INET
/// is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs and macOS.
fn bsd_loopback(data: &[u8]) -> Next<'_> {
    let family: [u8; 4] = data
        .get(..4)
        .and_then(|b| b.try_into().ok())
        .ok_or(Malformed::Link)?;
    let family = u32::from_le_bytes(family).min(u32::from_be_bytes(family));
    match family {
        2 | 10 | 24 | 28 | 30 => Ok((Layer::Ip, tail(data, 4)?)),
        _ => Err(Ignored::EtherType.into()),
    }
}

pub(super) fn be16(data: &[u8], at: usize) -> Result<u16, Stop> {
    match data.get(at..at + 2) {
        Some(b) => Ok(u16::from_be_bytes([b[0], b[1]])),
        None => Err(Malformed::Link.into()),
    }
}

pub(super) fn tail(data: &[u8], from: usize) -> Result<&[u8], Stop> {
    data.get(from..).ok_or_else(|| Malformed::Link.into())
}
