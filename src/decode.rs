//! Link layers and IP: a frame's bytes in, one TCP segment out. Borrows, never copies, never
//! allocates.
//!
//! The fast path walks etherparse's layer slices; the whole-packet parser costs about ten times as
//! much. Whatever is not TCP over IP is counted under a reason, so that the ledger adds up.

use std::net::IpAddr;

use etherparse::{IpNumber, LaxIpv4Slice, LaxIpv6Slice, TcpSlice};

use crate::capture::Frame;
use crate::time::Timestamp;

mod link;

#[cfg(test)]
mod tests;

/// The control bits that reassembly needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
}

/// One TCP segment of the innermost IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    pub ts: Timestamp,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    /// Overlay network (VNI) the packet came in; part of the flow's key.
    pub vni: Option<u32>,
    pub seq: u32,
    pub ack: u32,
    pub flags: TcpFlags,
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire and not in the capture (snap length).
    pub missing: u32,
}

/// Sound, and not for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ignored {
    Arp,
    EtherType,
    Fragment,
    Icmp,
    LinkType,
    Llc,
    Mpls,
    OtherIp,
    Pppoe,
    Sctp,
    Tunnel,
    Udp,
}

/// Not what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Malformed {
    Ip,
    Link,
    Tcp,
    /// The snap length cut the packet inside its headers.
    Truncated,
}

impl Ignored {
    pub const ALL: [Self; 12] = [
        Self::Arp,
        Self::EtherType,
        Self::Fragment,
        Self::Icmp,
        Self::LinkType,
        Self::Llc,
        Self::Mpls,
        Self::OtherIp,
        Self::Pppoe,
        Self::Sctp,
        Self::Tunnel,
        Self::Udp,
    ];

    /// The reason's name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::EtherType => "ethertype",
            Self::Fragment => "ip_fragment",
            Self::Icmp => "icmp",
            Self::LinkType => "link_type",
            Self::Llc => "llc",
            Self::Mpls => "mpls",
            Self::OtherIp => "ip_protocol",
            Self::Pppoe => "pppoe",
            Self::Sctp => "sctp",
            Self::Tunnel => "tunnel",
            Self::Udp => "udp",
        }
    }
}

impl Malformed {
    pub const ALL: [Self; 4] = [Self::Ip, Self::Link, Self::Tcp, Self::Truncated];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Link => "link",
            Self::Tcp => "tcp",
            Self::Truncated => "truncated",
        }
    }
}

/// What a frame held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    Segment(Segment<'a>),
    Ignored(Ignored),
    Malformed(Malformed),
}

/// Why there is no segment; `?` carries it up to `decode`.
enum Stop {
    Ignored(Ignored),
    Malformed(Malformed),
}

impl From<Ignored> for Stop {
    fn from(reason: Ignored) -> Self {
        Self::Ignored(reason)
    }
}

impl From<Malformed> for Stop {
    fn from(reason: Malformed) -> Self {
        Self::Malformed(reason)
    }
}

/// Decodes one frame. Total: any bytes give an answer.
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    let cut = frame.wire_len as usize > frame.data.len();
    let found = link::ip_packet(frame.link, frame.data).and_then(|ip| ip_segment(frame.ts, ip));
    match found {
        Ok(segment) => Decoded::Segment(segment),
        Err(Stop::Ignored(reason)) => Decoded::Ignored(reason),
        Err(Stop::Malformed(_)) if cut => Decoded::Malformed(Malformed::Truncated),
        Err(Stop::Malformed(reason)) => Decoded::Malformed(reason),
    }
}

fn ip_segment(ts: Timestamp, ip: &[u8]) -> Result<Segment<'_>, Stop> {
    match ip.first().map(|b| b >> 4) {
        Some(4) => {
            let (packet, _) = LaxIpv4Slice::from_slice(ip).map_err(|_| Malformed::Ip)?;
            let header = LaxIpv4Slice::header(&packet);
            let (src, dst) = (
                header.source_addr().into(),
                header.destination_addr().into(),
            );
            let body = packet.payload();
            let claimed = usize::from(header.total_len()).saturating_sub(header.slice().len());
            let exts = packet.extensions().auth.map_or(0, |a| a.slice().len());
            tcp_segment(ts, src, dst, body, claimed.saturating_sub(exts))
        }
        Some(6) => {
            let (packet, _) = LaxIpv6Slice::from_slice(ip).map_err(|_| Malformed::Ip)?;
            let header = packet.header();
            let (src, dst) = (
                header.source_addr().into(),
                header.destination_addr().into(),
            );
            let exts = packet.extensions().slice().len();
            let claimed = usize::from(header.payload_length()).saturating_sub(exts);
            tcp_segment(ts, src, dst, packet.payload(), claimed)
        }
        _ => Err(Malformed::Ip.into()),
    }
}

/// `claimed` is the payload length by the IP header; 0 where the sender left it to the network
/// card (segmentation offload), and then the frame's own end counts.
fn tcp_segment<'a>(
    ts: Timestamp,
    src: IpAddr,
    dst: IpAddr,
    body: &etherparse::LaxIpPayloadSlice<'a>,
    claimed: usize,
) -> Result<Segment<'a>, Stop> {
    if body.fragmented {
        return Err(Ignored::Fragment.into());
    }
    match body.ip_number {
        IpNumber::TCP => {}
        IpNumber::UDP => return Err(Ignored::Udp.into()),
        IpNumber::ICMP | IpNumber::IPV6_ICMP => return Err(Ignored::Icmp.into()),
        IpNumber::SCTP => return Err(Ignored::Sctp.into()),
        IpNumber::GRE | IpNumber::IPV4 | IpNumber::IPV6 => return Err(Ignored::Tunnel.into()),
        _ => return Err(Ignored::OtherIp.into()),
    }
    let tcp = TcpSlice::from_slice(body.payload).map_err(|_| Malformed::Tcp)?;
    let missing = claimed.saturating_sub(body.payload.len());
    Ok(Segment {
        ts,
        src,
        dst,
        src_port: tcp.source_port(),
        dst_port: tcp.destination_port(),
        vni: None,
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        flags: TcpFlags {
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
        },
        payload: tcp.payload(),
        missing: missing as u32,
    })
}
