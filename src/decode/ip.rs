//! IP and what it carries: one TCP segment, a fragment of something, or the way into a tunnel.

use std::net::IpAddr;

use etherparse::{IpNumber, LaxIpv4Slice, LaxIpv6Slice, TcpSlice};

use super::fragment::{Fragment, Key};
use super::tunnel::{self, Ports, Tunnel};
use super::{Datagram, Ignored, Layer, Malformed, Network, Segment, Step, Stop, TcpFlags};
use crate::time::Timestamp;

const IPV6_FRAGMENT: u8 = 44;

/// What carries a transport: the ends, the protocol, and what identifies the packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrier {
    pub(super) ts: Timestamp,
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    pub(super) network: Network,
    /// The IPv4 identification; 0 for IPv6.
    pub(super) ident: u16,
}

/// Reads the IP packet at the start of `data`; bytes behind its length are padding.
pub(super) fn step<'a>(
    data: &'a [u8],
    ts: Timestamp,
    network: Network,
    ports: &Ports,
) -> Result<Step<'a>, Stop> {
    match data.first().map(|b| b >> 4) {
        Some(4) => v4(data, ts, network, ports),
        Some(6) => v6(data, ts, network, ports),
        _ => Err(Malformed::Ip.into()),
    }
}

fn v4<'a>(
    data: &'a [u8],
    ts: Timestamp,
    network: Network,
    ports: &Ports,
) -> Result<Step<'a>, Stop> {
    let (packet, _) = LaxIpv4Slice::from_slice(data).map_err(|_| Malformed::Ip)?;
    let header = LaxIpv4Slice::header(&packet);
    let (head, total) = (header.slice().len(), usize::from(header.total_len()));
    let mut carrier = Carrier {
        ts,
        src: header.source_addr().into(),
        dst: header.destination_addr().into(),
        protocol: header.protocol().0,
        network,
        ident: header.identification(),
    };
    let body = packet.payload();
    if body.fragmented {
        let whole = data.get(head..total).ok_or(Malformed::Truncated)?;
        let offset = header.fragments_offset().byte_offset();
        let ident = u32::from(carrier.ident);
        return fragment(carrier, ident, offset, header.more_fragments(), whole);
    }
    carrier.protocol = body.ip_number.0;
    let extensions = packet.extensions().auth.map_or(0, |a| a.slice().len());
    let claimed = total.saturating_sub(head + extensions);
    transport(&carrier, body.payload, claimed, ports)
}

fn v6<'a>(
    data: &'a [u8],
    ts: Timestamp,
    network: Network,
    ports: &Ports,
) -> Result<Step<'a>, Stop> {
    let (packet, _) = LaxIpv6Slice::from_slice(data).map_err(|_| Malformed::Ip)?;
    let header = packet.header();
    let length = usize::from(header.payload_length());
    let mut carrier = Carrier {
        ts,
        src: header.source_addr().into(),
        dst: header.destination_addr().into(),
        protocol: header.next_header().0,
        network,
        ident: 0,
    };
    let body = packet.payload();
    if body.fragmented {
        let head = header.slice().len();
        let whole = data.get(head..head + length).ok_or(Malformed::Truncated)?;
        return v6_fragment(carrier, whole);
    }
    carrier.protocol = body.ip_number.0;
    let claimed = length.saturating_sub(packet.extensions().slice().len());
    transport(&carrier, body.payload, claimed, ports)
}

/// Walks the extension headers up to the fragment header (RFC 8200, section 4.5); `data` is what
/// follows the fixed header.
fn v6_fragment(mut carrier: Carrier, mut data: &[u8]) -> Result<Step<'_>, Stop> {
    loop {
        if carrier.protocol == IPV6_FRAGMENT {
            let &[next, _, high, low, a, b, c, d, ref payload @ ..] = data else {
                return Err(Malformed::Ip.into());
            };
            carrier.protocol = next;
            let word = u16::from_be_bytes([high, low]);
            let ident = u32::from_be_bytes([a, b, c, d]);
            return fragment(carrier, ident, word & !7, word & 1 == 1, payload);
        }
        // Hop-by-hop, routing and destination options: next header, then length in 8 bytes.
        let length = match (carrier.protocol, data) {
            (0 | 43 | 60, [_, length, ..]) => (usize::from(*length) + 1) * 8,
            _ => return Err(Malformed::Ip.into()),
        };
        carrier.protocol = data[0];
        data = data.get(length..).ok_or(Malformed::Ip)?;
    }
}

fn fragment(
    carrier: Carrier,
    ident: u32,
    offset: u16,
    more: bool,
    data: &[u8],
) -> Result<Step<'_>, Stop> {
    // All but the last are multiples of 8 long, and nothing reaches past the largest packet.
    let misfit = more && !data.len().is_multiple_of(8) || data.is_empty();
    if misfit || usize::from(offset) + data.len() > usize::from(u16::MAX) {
        return Err(Malformed::Fragment.into());
    }
    let key = Key {
        src: carrier.src,
        dst: carrier.dst,
        // IPv6 identifies without the protocol, whose first fragment alone is sure to know it.
        protocol: if carrier.src.is_ipv4() {
            carrier.protocol
        } else {
            0
        },
        ident,
        zone: carrier.network.zone,
    };
    Ok(Step::Fragment(Fragment {
        key,
        carrier,
        offset,
        more,
        data,
    }))
}

/// What lies above IP. `claimed` is the payload length by the IP header; 0 where the sender left it
/// to the network card (segmentation offload), and then the frame's own end counts.
pub(super) fn transport<'a>(
    carrier: &Carrier,
    data: &'a [u8],
    claimed: usize,
    ports: &Ports,
) -> Result<Step<'a>, Stop> {
    let inner = match IpNumber(carrier.protocol) {
        IpNumber::TCP => return tcp(carrier, data, claimed).map(Step::Segment),
        IpNumber::UDP => {
            let &[a, b, c, d, _, _, _, _, ref payload @ ..] = data else {
                return Err(Malformed::Udp.into());
            };
            let (src, dst) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            match tunnel::in_udp(ports, src, dst, payload) {
                Err(Stop::Ignored(Ignored::Udp | Ignored::Quic, _))
                    if quic_like(src, dst, payload) =>
                {
                    return Ok(Step::Datagram(Datagram {
                        ts: carrier.ts,
                        src: carrier.src,
                        dst: carrier.dst,
                        src_port: src,
                        dst_port: dst,
                        network: carrier.network,
                        payload,
                    }));
                }
                found => found?,
            }
        }
        IpNumber::GRE => tunnel::gre(data)?,
        IpNumber::IPV4 | IpNumber::IPV6 => {
            return Ok(Step::Down(Layer::Ip, data, None, Tunnel::IpInIp));
        }
        IpNumber::ETHER_IP => tunnel::ether_ip(data)?,
        IpNumber::MPLS_IN_IP => {
            return Ok(Step::Down(Layer::Mpls, data, None, Tunnel::MplsInIp));
        }
        IpNumber::ICMP | IpNumber::IPV6_ICMP => return Err(Ignored::Icmp.into()),
        IpNumber::SCTP => return Err(Ignored::Sctp.into()),
        IpNumber::ENCAPSULATING_SECURITY_PAYLOAD => return Err(Ignored::Esp.into()),
        IpNumber(other) => return Err(Stop::Ignored(Ignored::OtherIp, u16::from(other))),
    };
    Ok(Step::Down(
        inner.layer,
        inner.data,
        inner.network,
        inner.kind,
    ))
}

/// HTTPS and HTTP/3.
const HTTPS: u16 = 443;

/// What may be QUIC (RFC 9000, section 17): a long header of version 1 or 2 on any port, or the
/// fixed bit on the port of HTTP/3. Whose connection it is, the sensor knows.
fn quic_like(src: u16, dst: u16, payload: &[u8]) -> bool {
    match payload {
        [0xc0..=0xff, 0, 0, 0, 1, ..] | [0xc0..=0xff, 0x6b, 0x33, 0x43, 0xcf, ..] => true,
        [first, ..] => first & 0x40 != 0 && (src == HTTPS || dst == HTTPS),
        [] => false,
    }
}

fn tcp<'a>(carrier: &Carrier, data: &'a [u8], claimed: usize) -> Result<Segment<'a>, Stop> {
    let tcp = TcpSlice::from_slice(data).map_err(|_| Malformed::Tcp)?;
    Ok(Segment {
        ts: carrier.ts,
        src: carrier.src,
        dst: carrier.dst,
        src_port: tcp.source_port(),
        dst_port: tcp.destination_port(),
        network: carrier.network,
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        flags: TcpFlags {
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
        },
        window: tcp.window_size(),
        stamp: u32::from(carrier.ident) << 16 | u32::from(tcp.checksum()),
        sum: payload_sum(tcp.header_slice()),
        header: if claimed > 0 { tcp.header_slice() } else { &[] },
        payload: tcp.payload(),
        missing: claimed.saturating_sub(data.len()) as u32,
        tap: 0,
    })
}

/// What the payload (and the pseudo-header, the same for all segments of a direction and length)
/// adds to the checksum (RFC 9293, section 3.1), found without a look at the payload: all words
/// together come to zero in ones' complement arithmetic.
fn payload_sum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2);
    let total: u32 = words
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum();
    // 30 words at most: two folds are enough.
    let once = (total & 0xffff) + (total >> 16);
    !(((once & 0xffff) + (once >> 16)) as u16)
}
