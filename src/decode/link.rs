//! Link layers: from the frame's first byte to the IP header.

use etherparse::Ethernet2HeaderSlice;

use super::{Ignored, Malformed, Stop};
use crate::capture::LinkType;

/// More tags than QinQ in QinQ is no network; it is a loop in a forged packet.
const MAX_VLAN_TAGS: usize = 4;

mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_MULTICAST: u16 = 0x8848;
    pub(super) const PPPOE_DISCOVERY: u16 = 0x8863;
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    pub(super) const PROVIDER_BRIDGE: u16 = 0x88a8;
    pub(super) const QINQ_OLD: u16 = 0x9100;
    /// IEEE 802.3: up to here the field is a length, not a type.
    pub(super) const MAX_LENGTH: u16 = 1500;
}

/// The IP packet inside a frame of this link type.
pub(super) fn ip_packet(link: LinkType, data: &[u8]) -> Result<&[u8], Stop> {
    match link {
        LinkType::ETHERNET => {
            let header = Ethernet2HeaderSlice::from_slice(data).map_err(|_| Malformed::Link)?;
            by_ether_type(header.ether_type().0, &data[header.slice().len()..])
        }
        // DLT_RAW is 12 or 14 where a savefile was written by an old BSD; libpcap maps those.
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Ok(data),
        // sockaddr_ll cooked v1: the protocol is the last two of 16 bytes.
        LinkType::LINUX_SLL => by_ether_type(be16(data, 14)?, tail(data, 16)?),
        // v2: the protocol is the first two of 20 bytes.
        LinkType::LINUX_SLL2 => by_ether_type(be16(data, 0)?, tail(data, 20)?),
        LinkType::NULL | LinkType::LOOP => bsd_loopback(data),
        _ => Err(Ignored::LinkType.into()),
    }
}

fn by_ether_type(mut kind: u16, mut data: &[u8]) -> Result<&[u8], Stop> {
    for _ in 0..=MAX_VLAN_TAGS {
        match kind {
            ether_type::IPV4 | ether_type::IPV6 => return Ok(data),
            ether_type::VLAN | ether_type::PROVIDER_BRIDGE | ether_type::QINQ_OLD => {
                kind = be16(data, 2)?;
                data = tail(data, 4)?;
            }
            ether_type::ARP => return Err(Ignored::Arp.into()),
            ether_type::MPLS | ether_type::MPLS_MULTICAST => return Err(Ignored::Mpls.into()),
            ether_type::PPPOE_DISCOVERY | ether_type::PPPOE_SESSION => {
                return Err(Ignored::Pppoe.into());
            }
            0..=ether_type::MAX_LENGTH => return Err(Ignored::Llc.into()),
            _ => return Err(Ignored::EtherType.into()),
        }
    }
    Err(Malformed::Link.into())
}

/// The address family is in the byte order of the machine that captured, so both are tried. AF_INET
/// is 2 everywhere; AF_INET6 is 10 on Linux, 24, 28 or 30 on the BSDs and macOS.
fn bsd_loopback(data: &[u8]) -> Result<&[u8], Stop> {
    let family: [u8; 4] = data
        .get(..4)
        .and_then(|b| b.try_into().ok())
        .ok_or(Malformed::Link)?;
    let family = u32::from_le_bytes(family).min(u32::from_be_bytes(family));
    match family {
        2 | 10 | 24 | 28 | 30 => tail(data, 4),
        _ => Err(Ignored::EtherType.into()),
    }
}

fn be16(data: &[u8], at: usize) -> Result<u16, Stop> {
    match data.get(at..at + 2) {
        Some(b) => Ok(u16::from_be_bytes([b[0], b[1]])),
        None => Err(Malformed::Link.into()),
    }
}

fn tail(data: &[u8], from: usize) -> Result<&[u8], Stop> {
    data.get(from..).ok_or_else(|| Malformed::Link.into())
}
