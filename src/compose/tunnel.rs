//! Wrappings for composed frames: every tunnel and link layer that the decoder reads, written by
//! hand from its RFC, so that no reader's mistake can hide in a writer that shares its code.
//!
//! All take an Ethernet frame. A wrapping that carries frames carries it whole; one that carries IP
//! packets carries what follows its Ethernet header. What comes out is a frame of the link type
//! that [`Wrap::link`] names, so wrappings nest as long as that is Ethernet.

use crate::capture::LinkType;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// A frame inside something (RFC 7637, RFC 8926).
const BRIDGED: u16 = 0x6558;

const ETHERNET_HEADER: usize = 14;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wrap {
    /// IEEE 802.1Q.
    Vlan,
    /// IEEE 802.1ad: a provider's tag before the customer's.
    QinQ,
    /// The provider's tag as it was before the standard, 0x9100.
    QinQOld,
    /// IEEE 802.1ah: the frame inside a backbone's frame.
    BackboneBridge,
    /// IEEE 802.3 with LLC and SNAP (RFC 1042).
    Snap,
    /// Two labels, then IP (RFC 3032).
    Mpls,
    /// One label, then a pseudowire's control word and a frame (RFC 4385, RFC 4448).
    Pseudowire,
    /// RFC 2516.
    Pppoe,
    /// RFC 2784, nothing optional.
    Gre,
    /// Checksum, key and sequence number (RFC 2890).
    GreFull,
    /// A frame inside, without a key.
    GreEthernet,
    /// PPP inside enhanced GRE, acknowledgement and all (RFC 2637).
    Pptp,
    /// RFC 7637.
    Nvgre,
    /// draft-foschiano-erspan, types I, II and III; the last also with its platform's 8 bytes.
    Erspan1,
    Erspan2,
    Erspan3,
    Erspan3Long,
    /// RFC 7348.
    Vxlan,
    /// On the port of Linux and Flannel.
    VxlanLinux,
    /// draft-ietf-nvo3-vxlan-gpe: a frame, an IP packet, and a network service header (RFC 8300).
    VxlanGpe,
    VxlanGpeIp,
    VxlanGpeNsh,
    /// RFC 8926: a frame, the same behind options, an IP packet.
    Geneve,
    GeneveOptions,
    GeneveIp,
    /// 3GPP TS 29.281: bare, and with sequence number and extension header.
    GtpU,
    GtpUExtension,
    /// IP in IPv4 (RFC 2003; 6in4, RFC 4213) and in IPv6 (RFC 2473).
    InIpv4,
    InIpv6,
    /// RFC 3378.
    EtherIp,
    /// RFC 4023 and RFC 7510.
    MplsInIp,
    MplsInUdp,
    /// IPv6 alone (RFC 4380).
    Teredo,
    /// Linux cooked capture.
    Cooked,
    CookedV2,
    /// BSD loopback in little and in big endian, and OpenBSD's.
    Null,
    NullBig,
    Loop,
    /// IP without a link layer, as three link types have it.
    Raw,
    RawByVersion,
    Ppp,
    PppHdlc,
    /// PPPoE without Ethernet.
    PppEther,
    Wlan,
    WlanQos,
    Radiotap,
}

impl Wrap {
    pub const ALL: [Self; 46] = [
        Self::Vlan,
        Self::QinQ,
        Self::QinQOld,
        Self::BackboneBridge,
        Self::Snap,
        Self::Mpls,
        Self::Pseudowire,
        Self::Pppoe,
        Self::Gre,
        Self::GreFull,
        Self::GreEthernet,
        Self::Pptp,
        Self::Nvgre,
        Self::Erspan1,
        Self::Erspan2,
        Self::Erspan3,
        Self::Erspan3Long,
        Self::Vxlan,
        Self::VxlanLinux,
        Self::VxlanGpe,
        Self::VxlanGpeIp,
        Self::VxlanGpeNsh,
        Self::Geneve,
        Self::GeneveOptions,
        Self::GeneveIp,
        Self::GtpU,
        Self::GtpUExtension,
        Self::InIpv4,
        Self::InIpv6,
        Self::EtherIp,
        Self::MplsInIp,
        Self::MplsInUdp,
        Self::Teredo,
        Self::Cooked,
        Self::CookedV2,
        Self::Null,
        Self::NullBig,
        Self::Loop,
        Self::Raw,
        Self::RawByVersion,
        Self::Ppp,
        Self::PppHdlc,
        Self::PppEther,
        Self::Wlan,
        Self::WlanQos,
        Self::Radiotap,
    ];

    /// The number of the overlay network that wrapped frames are in.
    pub const VNI: u32 = 0x01_2345;

    /// What the wrapped frame begins with. `frame` is the Ethernet frame inside.
    pub fn link(self, frame: &[u8]) -> LinkType {
        match self {
            Self::Cooked => LinkType::LINUX_SLL,
            Self::CookedV2 => LinkType::LINUX_SLL2,
            Self::Null | Self::NullBig => LinkType::NULL,
            Self::Loop => LinkType::LOOP,
            Self::Raw => LinkType::RAW,
            Self::RawByVersion if carried(frame).0 == IPV6 => LinkType::IPV6,
            Self::RawByVersion => LinkType::IPV4,
            Self::Ppp => LinkType::PPP,
            Self::PppHdlc => LinkType::PPP_SERIAL,
            Self::PppEther => LinkType::PPP_ETHER,
            Self::Wlan | Self::WlanQos => LinkType::IEEE802_11,
            Self::Radiotap => LinkType::IEEE802_11_RADIOTAP,
            _ => LinkType::ETHERNET,
        }
    }

    /// Whether it gives the frame a network number.
    pub fn vni(self) -> Option<u32> {
        match self {
            Self::Nvgre
            | Self::Vxlan
            | Self::VxlanLinux
            | Self::VxlanGpe
            | Self::VxlanGpeIp
            | Self::VxlanGpeNsh
            | Self::Geneve
            | Self::GeneveOptions
            | Self::GeneveIp => Some(Self::VNI),
            _ => None,
        }
    }

    /// Whether it can carry the frame: some carry IP packets alone, and some of those one version.
    pub fn takes(self, frame: &[u8]) -> bool {
        let kind = carried(frame).0;
        match self {
            Self::Teredo => kind == IPV6,
            Self::Mpls
            | Self::Pppoe
            | Self::Pptp
            | Self::VxlanGpeIp
            | Self::GtpU
            | Self::GtpUExtension
            | Self::InIpv4
            | Self::InIpv6
            | Self::MplsInIp
            | Self::MplsInUdp
            | Self::Null
            | Self::NullBig
            | Self::Loop
            | Self::Raw
            | Self::RawByVersion
            | Self::Ppp
            | Self::PppHdlc
            | Self::PppEther => matches!(kind, IPV4 | IPV6),
            // Its length stands where a type would, and is none above this.
            Self::Snap => kind > 1_500 && frame.len() <= 1_500,
            // A type is needed, not a length.
            Self::Gre
            | Self::GreFull
            | Self::GeneveIp
            | Self::Cooked
            | Self::CookedV2
            | Self::Wlan
            | Self::WlanQos
            | Self::Radiotap => kind > 1_500,
            _ => true,
        }
    }

    /// Wraps a frame that it [takes](Self::takes).
    pub fn encapsulate(self, frame: &[u8]) -> Vec<u8> {
        let (kind, ip) = carried(frame);
        let macs = &frame[..12.min(frame.len())];
        let rest = &frame[macs.len()..];
        let vni = Self::VNI.to_be_bytes();
        let [_, a, b, c] = vni;
        let kind_bytes = kind.to_be_bytes();
        let is_v6 = kind == IPV6;
        match self {
            Self::Vlan => join(&[macs, &[0x81, 0, 0x60, 5], rest]),
            Self::QinQ => join(&[macs, &[0x88, 0xa8, 0, 9, 0x81, 0, 0, 5], rest]),
            Self::QinQOld => join(&[macs, &[0x91, 0, 0, 9, 0x81, 0, 0, 5], rest]),
            Self::BackboneBridge => ethernet(0x88e7, &join(&[&[0, 1, 2, 3], frame])),
            Self::Snap => {
                let llc = join(&[&[0xaa, 0xaa, 3, 0, 0, 0], &kind_bytes, ip]);
                ethernet(llc.len() as u16, &llc)
            }
            Self::Mpls => ethernet(0x8847, &join(&[&[0, 1, 0, 64, 0, 2, 1, 64], ip])),
            Self::Pseudowire => ethernet(0x8847, &join(&[&[0, 1, 1, 64, 0, 0, 0, 7], frame])),
            Self::Pppoe => ethernet(0x8864, &pppoe(is_v6, ip)),
            Self::Gre => ipv4(47, &join(&[&[0, 0], &kind_bytes, ip])),
            Self::GreFull => ipv4(47, &gre_full(kind, ip)),
            Self::GreEthernet => ipv4(47, &gre(0, BRIDGED, &[], frame)),
            Self::Pptp => {
                let ppp = ppp(is_v6, ip);
                // Key: payload length and call, which are of no network; then both numbers.
                let [high, low] = (ppp.len() as u16).to_be_bytes();
                let fields = [high, low, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2];
                ipv4(47, &gre(0x3081, 0x880b, &fields, &ppp))
            }
            Self::Nvgre => ipv4(47, &gre(0x2000, BRIDGED, &[a, b, c, 0x77], frame)),
            Self::Erspan1 => ipv4(47, &gre(0, 0x88be, &[], frame)),
            Self::Erspan2 => {
                let head = [0, 0, 0, 1, 0x10, 5, 0, 100, 0, 0, 0, 7];
                ipv4(47, &gre(0x1000, 0x88be, &head, frame))
            }
            Self::Erspan3 => ipv4(47, &gre(0x1000, 0x22eb, &erspan3(0), frame)),
            Self::Erspan3Long => {
                let head = join(&[&erspan3(1), &[0x10, 0, 0, 0, 0, 0, 0, 9]]);
                ipv4(47, &gre(0x1000, 0x22eb, &head, frame))
            }
            Self::Vxlan => udp(4789, &join(&[&[8, 0, 0, 0, a, b, c, 0], frame])),
            Self::VxlanLinux => udp(8472, &join(&[&[8, 0, 0, 0, a, b, c, 0], frame])),
            Self::VxlanGpe => udp(4790, &join(&[&[0x0c, 0, 0, 3, a, b, c, 0], frame])),
            Self::VxlanGpeIp => {
                let next = if is_v6 { 2 } else { 1 };
                udp(4790, &join(&[&[0x0c, 0, 0, next, a, b, c, 0], ip]))
            }
            Self::VxlanGpeNsh => {
                let nsh = [0x0f, 0xc2, 2, 3, 0, 0, 1, 255];
                udp(4790, &join(&[&[0x0c, 0, 0, 4, a, b, c, 0], &nsh, frame]))
            }
            Self::Geneve => udp(6081, &join(&[&geneve(0, BRIDGED), frame])),
            Self::GeneveOptions => {
                let options = [1, 2, 0x80, 1, 9, 9, 9, 9, 1, 2, 3, 0];
                udp(6081, &join(&[&geneve(3, BRIDGED), &options, frame]))
            }
            Self::GeneveIp => udp(6081, &join(&[&geneve(0, kind), ip])),
            Self::GtpU => udp(2152, &join(&[&gtp_u(0x30, ip.len()), ip])),
            Self::GtpUExtension => {
                // Sequence number, no N-PDU, a PDU session container of four bytes.
                let more = [0, 1, 0, 0x85, 1, 0x10, 9, 0];
                udp(
                    2152,
                    &join(&[&gtp_u(0x36, more.len() + ip.len()), &more, ip]),
                )
            }
            Self::InIpv4 => ipv4(if is_v6 { 41 } else { 4 }, ip),
            Self::InIpv6 => ipv6(if is_v6 { 41 } else { 4 }, ip),
            Self::EtherIp => ipv4(97, &join(&[&[0x30, 0], frame])),
            Self::MplsInIp => ipv4(137, &join(&[&[0, 1, 1, 64], ip])),
            Self::MplsInUdp => udp(6635, &join(&[&[0, 1, 1, 64], ip])),
            Self::Teredo => udp(3544, &join(&[&[0, 0, 1, 2, 3, 4, 5, 6], ip])),
            Self::Cooked => {
                let head = [0, 4, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0];
                join(&[&head, &kind_bytes, ip])
            }
            Self::CookedV2 => {
                let head = [0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 2, 2, 2, 2, 2, 0, 0];
                join(&[&kind_bytes, &head, ip])
            }
            // AF_INET, and AF_INET6 as FreeBSD, Linux and macOS have it.
            Self::Null => join(&[&[if is_v6 { 28 } else { 2 }, 0, 0, 0], ip]),
            Self::NullBig => join(&[&[0, 0, 0, if is_v6 { 10 } else { 2 }], ip]),
            Self::Loop => join(&[&[0, 0, 0, if is_v6 { 30 } else { 2 }], ip]),
            Self::Raw | Self::RawByVersion => ip.to_vec(),
            // Address and control compressed away, and the protocol to one byte.
            Self::Ppp => join(&[&[if is_v6 { 0x57 } else { 0x21 }], ip]),
            Self::PppHdlc => join(&[&[0xff, 3], &ppp(is_v6, ip)]),
            Self::PppEther => pppoe(is_v6, ip),
            Self::Wlan => wlan(&[], kind, ip),
            Self::WlanQos => wlan(&[0, 0], kind, ip),
            Self::Radiotap => join(&[&[0, 0, 10, 0, 0, 0, 0, 0, 0, 0], &wlan(&[], kind, ip)]),
        }
    }
}

/// An Ethernet frame's EtherType and the packet in it, tags passed over.
fn carried(frame: &[u8]) -> (u16, &[u8]) {
    let mut at = ETHERNET_HEADER;
    loop {
        let kind = match frame.get(at - 2..at) {
            Some(b) => u16::from_be_bytes([b[0], b[1]]),
            None => return (0, &[]),
        };
        match kind {
            0x8100 | 0x88a8 | 0x9100 => at += 4,
            _ => return (kind, &frame[at..]),
        }
    }
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let macs = [0x0e, 0, 0, 0, 0, 1, 0x0e, 0, 0, 0, 0, 2];
    join(&[&macs, &kind.to_be_bytes(), payload])
}

/// An outer IPv4 packet in its frame.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len()) as u16;
    let [high, low] = total.to_be_bytes();
    let mut header = [
        0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
    ];
    set_checksum(&mut header);
    ethernet(IPV4, &join(&[&header, payload]))
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let head = [0x60, 0, 0, 0, high, low, next, 64];
    let end = |last| {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        address[15] = last;
        address
    };
    ethernet(IPV6, &join(&[&head, &end(1), &end(2), payload]))
}

/// Without a checksum, as tunnels over IPv4 may be.
fn udp(to: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = ((8 + payload.len()) as u16).to_be_bytes();
    let [to_high, to_low] = to.to_be_bytes();
    let head = [0xc0, 0x01, to_high, to_low, high, low, 0, 0];
    ipv4(17, &join(&[&head, payload]))
}

fn gre(flags: u16, protocol: u16, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    join(&[
        &flags.to_be_bytes(),
        &protocol.to_be_bytes(),
        fields,
        payload,
    ])
}

/// The checksum is over header and payload.
fn gre_full(kind: u16, ip: &[u8]) -> Vec<u8> {
    let fields = [0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 1];
    let mut out = gre(0xb000, kind, &fields, ip);
    let sum = checksum(&out).to_be_bytes();
    out[4..6].copy_from_slice(&sum);
    out
}

/// Sequence number, then version 2, VLAN, session, time stamp, group, and the word whose last bit
/// says that more follows.
fn erspan3(more: u8) -> [u8; 16] {
    [0, 0, 0, 1, 0x20, 5, 0, 100, 1, 2, 3, 4, 0, 0, 0, more]
}

fn geneve(words: u8, kind: u16) -> [u8; 8] {
    let [high, low] = kind.to_be_bytes();
    let [_, a, b, c] = Wrap::VNI.to_be_bytes();
    [words, 0, high, low, a, b, c, 0]
}

fn gtp_u(flags: u8, length: usize) -> [u8; 8] {
    let [high, low] = (length as u16).to_be_bytes();
    [flags, 0xff, high, low, 0, 0, 0x12, 0x34]
}

fn ppp(is_v6: bool, ip: &[u8]) -> Vec<u8> {
    join(&[&[0, if is_v6 { 0x57 } else { 0x21 }], ip])
}

fn pppoe(is_v6: bool, ip: &[u8]) -> Vec<u8> {
    let ppp = ppp(is_v6, ip);
    let [high, low] = (ppp.len() as u16).to_be_bytes();
    join(&[&[0x11, 0, 0x12, 0x34, high, low], &ppp])
}

/// A data frame to an access point, with a QoS field where `quality` is one.
fn wlan(quality: &[u8], kind: u16, ip: &[u8]) -> Vec<u8> {
    let control = if quality.is_empty() { 0x08 } else { 0x88 };
    let mut head = [2_u8; 24];
    head[..4].copy_from_slice(&[control, 1, 0, 0]);
    head[22..].fill(0);
    let snap = [0xaa, 0xaa, 3, 0, 0, 0];
    join(&[&head, quality, &snap, &kind.to_be_bytes(), ip])
}

/// An Ethernet frame's IP packet in fragments of at most `size` bytes each (a multiple of 8), each
/// in its frame. A packet that fits is one fragment still: the headers say so (RFC 6946 for IPv6).
pub fn fragments(frame: &[u8], size: usize, ident: u32) -> Vec<Vec<u8>> {
    let (kind, ip) = carried(frame);
    let link = &frame[..frame.len() - ip.len()];
    let size = (size / 8 * 8).max(8);
    let head = match kind {
        IPV4 if ip.len() > 20 => usize::from(ip[0] & 0x0f) * 4,
        IPV6 if ip.len() > 40 => 40,
        _ => return vec![frame.to_vec()],
    };
    let end = if kind == IPV4 {
        usize::from(u16::from_be_bytes([ip[2], ip[3]]))
    } else {
        40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]))
    };
    let end = end.clamp(head, ip.len());
    let (header, payload) = (&ip[..head], &ip[head..end]);
    let last = payload.len().saturating_sub(1) / size;
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(i, piece)| {
            let header = fragment_header(kind, header, i * size, i < last, ident, piece.len());
            join(&[link, &header, piece])
        })
        .collect()
}

fn fragment_header(
    kind: u16,
    header: &[u8],
    offset: usize,
    more: bool,
    ident: u32,
    length: usize,
) -> Vec<u8> {
    let mut header = header.to_vec();
    if kind == IPV4 {
        let total = (header.len() + length) as u16;
        header[2..4].copy_from_slice(&total.to_be_bytes());
        header[4..6].copy_from_slice(&(ident as u16).to_be_bytes());
        let word = (offset / 8) as u16 | u16::from(more) << 13;
        header[6..8].copy_from_slice(&word.to_be_bytes());
        set_checksum(&mut header);
    } else {
        header[4..6].copy_from_slice(&((8 + length) as u16).to_be_bytes());
        let next = std::mem::replace(&mut header[6], 44);
        let word = (offset as u16 | u16::from(more)).to_be_bytes();
        header.extend_from_slice(&[next, 0, word[0], word[1]]);
        header.extend_from_slice(&ident.to_be_bytes());
    }
    header
}

/// RFC 1071, for an IPv4 header.
fn set_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let sum = checksum(header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
}

fn checksum(data: &[u8]) -> u16 {
    let words = data.chunks(2);
    let word = |w: &[u8]| u32::from(w[0]) << 8 | u32::from(w.get(1).copied().unwrap_or(0));
    let mut sum: u32 = words.map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
