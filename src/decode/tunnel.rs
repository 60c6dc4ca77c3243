//! Tunnels: what carries a frame or an IP packet inside another IP packet. Each is told by its IP
//! protocol or UDP port and by its own header; what does not fit the header is left as what it was.

use super::link::{self, Next, ether_type};
use super::{Ignored, Layer, Malformed, Network, Stop};

/// UDP ports under which tunnels are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// VXLAN: 4789 by RFC 7348, 8472 as Linux and Flannel have it, and what the owner adds.
    pub vxlan: Vec<u16>,
    pub geneve: Vec<u16>,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            vxlan: vec![4789, 8472],
            geneve: vec![6081],
        }
    }
}

const VXLAN_GPE: u16 = 4790;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const AYIYA: u16 = 5072;
const MPLS_IN_UDP: u16 = 6635;
const QUIC: u16 = 443;

/// A kind of tunnel that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tunnel {
    Ayiya,
    Erspan,
    EtherIp,
    Geneve,
    Gre,
    GtpU,
    IpInIp,
    MplsInIp,
    MplsInUdp,
    Nvgre,
    Teredo,
    Vxlan,
    VxlanGpe,
}

impl Tunnel {
    pub const ALL: [Self; 13] = [
        Self::Ayiya,
        Self::Erspan,
        Self::EtherIp,
        Self::Geneve,
        Self::Gre,
        Self::GtpU,
        Self::IpInIp,
        Self::MplsInIp,
        Self::MplsInUdp,
        Self::Nvgre,
        Self::Teredo,
        Self::Vxlan,
        Self::VxlanGpe,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ayiya => "AYIYA",
            Self::Erspan => "ERSPAN",
            Self::EtherIp => "EtherIP",
            Self::Geneve => "Geneve",
            Self::Gre => "GRE",
            Self::GtpU => "GTP-U",
            Self::IpInIp => "IP in IP",
            Self::MplsInIp => "MPLS in IP",
            Self::MplsInUdp => "MPLS in UDP",
            Self::Nvgre => "NVGRE",
            Self::Teredo => "Teredo",
            Self::Vxlan => "VXLAN",
            Self::VxlanGpe => "VXLAN-GPE",
        }
    }
}

/// The kinds of tunnel that one frame came through, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tunnels(u16);

impl Tunnels {
    pub(super) fn add(&mut self, kind: Tunnel) {
        self.0 |= 1 << kind as u16;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn has(self, kind: Tunnel) -> bool {
        self.0 & 1 << kind as u16 != 0
    }
}

/// What a tunnel's header said.
pub(super) struct Inner<'a> {
    pub(super) kind: Tunnel,
    pub(super) layer: Layer,
    pub(super) data: &'a [u8],
    /// The overlay network, where the tunnel names one.
    pub(super) network: Option<Network>,
}

type Found<'a> = Result<Inner<'a>, Stop>;

fn plain<'a>(kind: Tunnel, (layer, data): (Layer, &'a [u8])) -> Inner<'a> {
    let network = None;
    Inner {
        kind,
        layer,
        data,
        network,
    }
}

fn separate([a, b, c]: [u8; 3]) -> Option<Network> {
    let vni = Some(u32::from_be_bytes([0, a, b, c]));
    Some(Network { vni, zone: vni })
}

/// A UDP datagram's payload, where its ports name a tunnel and its header agrees.
pub(super) fn in_udp<'a>(ports: &Ports, src: u16, dst: u16, data: &'a [u8]) -> Found<'a> {
    match dst {
        _ if ports.vxlan.contains(&dst) => vxlan(data),
        _ if ports.geneve.contains(&dst) => geneve(data),
        VXLAN_GPE => vxlan_gpe(data),
        MPLS_IN_UDP => Ok(plain(Tunnel::MplsInUdp, (Layer::Mpls, data))),
        _ if dst == GTP_U || src == GTP_U => gtp_u(data).map(|n| plain(Tunnel::GtpU, n)),
        _ if dst == TEREDO || src == TEREDO => teredo(data).map(|n| plain(Tunnel::Teredo, n)),
        _ if dst == AYIYA || src == AYIYA => ayiya(data).map(|n| plain(Tunnel::Ayiya, n)),
        _ if looks_like_vxlan(data) => Err(Stop::Ignored(Ignored::VxlanPort, dst)),
        _ if (src == QUIC || dst == QUIC) && looks_like_quic(data) => Err(Ignored::Quic.into()),
        _ => Err(Ignored::Udp.into()),
    }
}

/// RFC 7348, section 5.
fn vxlan(data: &[u8]) -> Found<'_> {
    match data {
        [flags, _, _, _, a, b, c, _, frame @ ..] if flags & 0x08 != 0 => Ok(Inner {
            kind: Tunnel::Vxlan,
            layer: Layer::Ethernet,
            data: frame,
            network: separate([*a, *b, *c]),
        }),
        _ => Err(Ignored::Udp.into()),
    }
}

/// A VXLAN header with nothing in its reserved places, and an IP packet's frame behind it: nothing
/// else looks like this, so the port is only missing in the config.
fn looks_like_vxlan(data: &[u8]) -> bool {
    matches!(data, [0x08, 0, 0, 0, _, _, _, 0, ..])
        && matches!(be16(data, 20), Ok(ether_type::IPV4 | ether_type::IPV6))
        && matches!(data.get(22), Some(b) if matches!(b >> 4, 4 | 6))
}

/// RFC 9000, section 17: the fixed bit is set in long and short headers alike.
fn looks_like_quic(data: &[u8]) -> bool {
    data.first().is_some_and(|b| b & 0x40 != 0)
}

/// draft-ietf-nvo3-vxlan-gpe: with the P bit the last reserved byte names the next protocol.
fn vxlan_gpe(data: &[u8]) -> Found<'_> {
    let (flags, next, network, inner) = match data {
        [flags, _, _, next, a, b, c, _, inner @ ..] => {
            (*flags, *next, separate([*a, *b, *c]), inner)
        }
        _ => return Err(Ignored::Udp.into()),
    };
    let (layer, data) = match next {
        _ if flags & 0x04 == 0 => (Layer::Ethernet, inner),
        1 | 2 => (Layer::Ip, inner),
        3 => (Layer::Ethernet, inner),
        4 => nsh(inner)?,
        5 => (Layer::Mpls, inner),
        _ => return Err(Ignored::Tunnel.into()),
    };
    let network = network.filter(|_| flags & 0x08 != 0);
    Ok(Inner {
        kind: Tunnel::VxlanGpe,
        layer,
        data,
        network,
    })
}

/// Network service header (RFC 8300): its length in words, then the next protocol.
fn nsh(data: &[u8]) -> Next<'_> {
    let words = usize::from(be16(data, 0)? & 0x3f);
    let next = *data.get(3).ok_or(Malformed::Tunnel)?;
    let layer = match next {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        5 => Layer::Mpls,
        _ => return Err(Ignored::Tunnel.into()),
    };
    Ok((layer, tail(data, words * 4)?))
}

/// RFC 8926, section 3.4: options in words, then an EtherType's payload.
fn geneve(data: &[u8]) -> Found<'_> {
    match data {
        [first, _, high, low, a, b, c, _, ..] if first >> 6 == 0 => Ok(Inner {
            kind: Tunnel::Geneve,
            layer: Layer::EtherType(u16::from_be_bytes([*high, *low])),
            data: tail(data, 8 + usize::from(first & 0x3f) * 4)?,
            network: separate([*a, *b, *c]),
        }),
        _ => Err(Ignored::Udp.into()),
    }
}

/// 3GPP TS 29.281, section 5: G-PDUs of version 1. The tunnel's id differs by direction, so it is
/// no network number.
fn gtp_u(data: &[u8]) -> Next<'_> {
    const G_PDU: u8 = 0xff;
    let (flags, kind) = match data {
        [flags, kind, _, _, _, _, _, _, ..] if flags >> 5 == 1 && flags & 0x10 != 0 => {
            (*flags, *kind)
        }
        _ => return Err(Ignored::Udp.into()),
    };
    if kind != G_PDU {
        return Err(Ignored::Gtp.into());
    }
    let mut inner = tail(data, 8)?;
    if flags & 0x07 != 0 {
        let mut extension = flags & 0x04 != 0 && inner.get(3).is_some_and(|next| *next != 0);
        inner = tail(inner, 4)?;
        while extension {
            let length = usize::from(*inner.first().ok_or(Malformed::Tunnel)?) * 4;
            if length == 0 {
                return Err(Malformed::Tunnel.into());
            }
            let next = *inner.get(length - 1).ok_or(Malformed::Tunnel)?;
            extension = next != 0;
            inner = tail(inner, length)?;
        }
    }
    Ok((Layer::Ip, inner))
}

/// RFC 4380, section 5.1.1: an authentication and an origin header may stand before the packet.
fn teredo(mut data: &[u8]) -> Next<'_> {
    if let [0, 1, client, auth, ..] = data {
        data = tail(data, 13 + usize::from(*client) + usize::from(*auth))?;
    }
    if let [0, 0, ..] = data {
        data = tail(data, 8)?;
    }
    match data.first() {
        Some(b) if b >> 4 == 6 => Ok((Layer::Ip, data)),
        _ => Err(Ignored::Udp.into()),
    }
}

/// draft-massar-v6ops-ayiya: lengths of identity and signature in words, then the packet.
fn ayiya(data: &[u8]) -> Next<'_> {
    let (identity, signature, next) = match data {
        [a, b, _, next, ..] => (1_usize << (a >> 4), usize::from(b >> 4) * 4, *next),
        _ => return Err(Ignored::Udp.into()),
    };
    match next {
        4 | 41 => Ok((Layer::Ip, tail(data, 8 + identity + signature)?)),
        _ => Err(Ignored::Tunnel.into()),
    }
}

/// GRE (RFC 2784, key and sequence by RFC 2890, enhanced by RFC 2637), and what lives on it:
/// NVGRE, ERSPAN, and access points' 802.11 frames.
pub(super) fn gre(data: &[u8]) -> Found<'_> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGMENT: u16 = 0x0080;
    let (flags, protocol) = (be16(data, 0)?, be16(data, 2)?);
    if flags & ROUTING != 0 || flags & 7 > 1 {
        return Err(Ignored::Tunnel.into());
    }
    let mut at = 4;
    if flags & CHECKSUM != 0 {
        at += 4;
    }
    let mut key = None;
    if flags & KEY != 0 {
        key = Some(u32::from(be16(data, at)?) << 16 | u32::from(be16(data, at + 2)?));
        at += 4;
    }
    for flag in [SEQUENCE, ACKNOWLEDGMENT] {
        if flags & flag != 0 {
            at += 4;
        }
    }
    let inner = tail(data, at)?;
    if inner.is_empty() {
        // A keep-alive, or an enhanced GRE acknowledgement.
        return Err(Ignored::Tunnel.into());
    }
    match protocol {
        // NVGRE: the key's upper 24 bits are the subnet (RFC 7637, section 3.2).
        ether_type::BRIDGED => Ok(Inner {
            kind: Tunnel::Nvgre,
            layer: Layer::Ethernet,
            data: inner,
            network: key.map(|key| Network {
                vni: Some(key >> 8),
                zone: None,
            }),
        }),
        // ERSPAN I has no sequence number, and then no header of its own.
        0x88be if flags & SEQUENCE == 0 => Ok(plain(Tunnel::Erspan, (Layer::Ethernet, inner))),
        0x88be => Ok(plain(Tunnel::Erspan, (Layer::Ethernet, tail(inner, 8)?))),
        0x22eb => erspan_3(inner).map(|n| plain(Tunnel::Erspan, n)),
        0x8200..=0x83ff => Ok(plain(Tunnel::Gre, (Layer::Wlan, inner))),
        _ => Ok(plain(Tunnel::Gre, (Layer::EtherType(protocol), inner))),
    }
}

/// draft-foschiano-erspan, section 4.3: 12 bytes, and 8 more where the O bit says so.
fn erspan_3(data: &[u8]) -> Next<'_> {
    let last = be16(data, 10)?;
    let rest = tail(data, if last & 1 == 1 { 20 } else { 12 })?;
    match last >> 10 & 0x1f {
        2 => Ok((Layer::Ip, rest)),
        _ => Ok((Layer::Ethernet, rest)),
    }
}

/// RFC 3378: version 3, then a frame.
pub(super) fn ether_ip(data: &[u8]) -> Found<'_> {
    match data {
        [0x30, 0x00, frame @ ..] => Ok(plain(Tunnel::EtherIp, (Layer::Ethernet, frame))),
        _ => Err(Ignored::Tunnel.into()),
    }
}

fn be16(data: &[u8], at: usize) -> Result<u16, Stop> {
    link::be16(data, at).map_err(|_| Malformed::Tunnel.into())
}

fn tail(data: &[u8], from: usize) -> Result<&[u8], Stop> {
    link::tail(data, from).map_err(|_| Malformed::Tunnel.into())
}
