//! Link layers, tunnels and IP: a frame's bytes in, one TCP segment or QUIC datagram out. Borrows, never copies,
//! never allocates but for what comes in IP fragments.
//!
//! A frame is peeled one header at a time, each a function from bytes to the next layer and its
//! bytes, so that tunnels nest as networks nest them, up to a limit. The fast path walks
//! etherparse's layer slices; the whole-packet parser costs about ten times as much. Whatever is
//! not TCP over IP is counted under a reason, so that the ledger adds up.

use std::net::IpAddr;

use crate::capture::{Frame, LinkType};
use crate::time::Timestamp;

mod checksum;
mod fragment;
mod ip;
mod link;
mod tunnel;

#[cfg(test)]
mod tests;

pub use fragment::{Key as DatagramKey, Settings as FragmentSettings};
pub use tunnel::{Ports, Tunnel, Tunnels};

/// More headers than any network nests; past it a forged packet goes on for ever.
const MAX_LAYERS: usize = 32;

/// The control bits that reassembly needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
}

/// The innermost overlay network of a packet. VXLAN and Geneve numbers separate networks whose
/// addresses may overlap. GRE keys only label: a tunnel may have another one for each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Network {
    pub vni: Option<u32>,
    /// What the flow's key takes in; equal for both directions of a flow.
    pub zone: Option<u32>,
}

/// One TCP segment of the innermost IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    pub ts: Timestamp,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    /// Overlay network the packet came in.
    pub network: Network,
    pub seq: u32,
    pub ack: u32,
    pub flags: TcpFlags,
    /// As sent, unscaled.
    pub window: u16,
    /// IP identification and TCP checksum: equal in copies of one packet, hardly ever in a
    /// retransmission.
    pub stamp: u32,
    /// The payload's part of the TCP checksum: equal for equal bytes, unless a network card is to
    /// fill the checksum in later.
    pub sum: u16,
    /// The TCP header with its options; empty where the segment's own length is not known.
    pub header: &'a [u8],
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire and not in the capture (snap length).
    pub missing: u32,
    /// Which tap brought it; the sensor numbers them.
    pub tap: u32,
}

/// One UDP datagram of the innermost IP packet that looks like QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub ts: Timestamp,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    pub network: Network,
    pub payload: &'a [u8],
}

/// Sound, and not for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ignored {
    Arp,
    Esp,
    EtherType,
    /// A copy of a fragment that is held already.
    FragmentCopy,
    /// GTP signalling: echo, error, end marker.
    Gtp,
    Icmp,
    LinkType,
    Llc,
    Mpls,
    OtherIp,
    Ppp,
    PppoeDiscovery,
    /// HTTP/3 as likely as not: UDP port 443 with QUIC's fixed bit.
    Quic,
    Sctp,
    Tunnel,
    Udp,
    /// VXLAN, on a port that the config does not name.
    VxlanPort,
    /// 802.11 that is no data in clear.
    Wlan,
}

/// Not what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Malformed {
    /// Nobody but a monitor would take it: the TCP checksum is wrong.
    Checksum,
    /// Against the rules of fragmentation.
    Fragment,
    Ip,
    /// Tunnels in tunnels past any network's need.
    Layers,
    Link,
    Tcp,
    /// The snap length cut the packet inside its headers.
    Truncated,
    Tunnel,
    Udp,
}

impl Ignored {
    pub const ALL: [Self; 18] = [
        Self::Arp,
        Self::Esp,
        Self::EtherType,
        Self::FragmentCopy,
        Self::Gtp,
        Self::Icmp,
        Self::LinkType,
        Self::Llc,
        Self::Mpls,
        Self::OtherIp,
        Self::Ppp,
        Self::PppoeDiscovery,
        Self::Quic,
        Self::Sctp,
        Self::Tunnel,
        Self::Udp,
        Self::VxlanPort,
        Self::Wlan,
    ];

    /// The reason's name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Esp => "esp",
            Self::EtherType => "ethertype",
            Self::FragmentCopy => "ip_fragment_copy",
            Self::Gtp => "gtp_signalling",
            Self::Icmp => "icmp",
            Self::LinkType => "link_type",
            Self::Llc => "llc",
            Self::Mpls => "mpls",
            Self::OtherIp => "ip_protocol",
            Self::Ppp => "ppp",
            Self::PppoeDiscovery => "pppoe_discovery",
            Self::Quic => "quic",
            Self::Sctp => "sctp",
            Self::Tunnel => "tunnel",
            Self::Udp => "udp",
            Self::VxlanPort => "vxlan_port",
            Self::Wlan => "wlan",
        }
    }
}

impl Malformed {
    pub const ALL: [Self; 9] = [
        Self::Checksum,
        Self::Fragment,
        Self::Ip,
        Self::Layers,
        Self::Link,
        Self::Tcp,
        Self::Truncated,
        Self::Tunnel,
        Self::Udp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Checksum => "tcp_checksum",
            Self::Fragment => "ip_fragment",
            Self::Ip => "ip",
            Self::Layers => "layers",
            Self::Link => "link",
            Self::Tcp => "tcp",
            Self::Truncated => "truncated",
            Self::Tunnel => "tunnel",
            Self::Udp => "udp",
        }
    }
}

/// What a frame held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    Segment(Segment<'a>),
    Datagram(Datagram<'a>),
    Ignored(Ignored),
    Malformed(Malformed),
    /// A fragment that waits for its like; counted once its datagram is whole or given up.
    Held,
}

/// The answer, and how many frames it is about: all fragments of a datagram share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    pub decoded: Decoded<'a>,
    pub frames: u64,
    /// Which EtherType, IP protocol, UDP port or link type was ignored; 0 where the reason says it.
    pub detail: u16,
    /// Those that the frame came through; of fragments, behind the datagram that was joined.
    pub tunnels: Tunnels,
}

/// Why there is no segment; `?` carries it up to `decode`.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Ignored(Ignored, u16),
    Malformed(Malformed),
}

impl From<Ignored> for Stop {
    fn from(reason: Ignored) -> Self {
        Self::Ignored(reason, 0)
    }
}

impl From<Malformed> for Stop {
    fn from(reason: Malformed) -> Self {
        Self::Malformed(reason)
    }
}

impl From<Stop> for Decoded<'_> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Ignored(reason, _) => Self::Ignored(reason),
            Stop::Malformed(reason) => Self::Malformed(reason),
        }
    }
}

impl Stop {
    fn detail(self) -> u16 {
        match self {
            Self::Ignored(_, detail) => detail,
            Self::Malformed(_) => 0,
        }
    }
}

impl<'a> Answer<'a> {
    fn new(decoded: Decoded<'a>, frames: u64) -> Self {
        Self {
            decoded,
            frames,
            detail: 0,
            tunnels: Tunnels::default(),
        }
    }

    fn stopped(stop: Stop, frames: u64) -> Self {
        Self {
            decoded: stop.into(),
            frames,
            detail: stop.detail(),
            tunnels: Tunnels::default(),
        }
    }
}

/// What the bytes at hand are.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Link(LinkType),
    Ethernet,
    EtherType(u16),
    Ip,
    Llc,
    Mpls,
    Ppp,
    Wlan,
}

/// What reading one IP packet came to.
enum Step<'a> {
    /// Something carried inside, and the network number that the tunnel gave it.
    Down(Layer, &'a [u8], Option<Network>, Tunnel),
    Segment(Segment<'a>),
    Datagram(Datagram<'a>),
    Fragment(fragment::Fragment<'a>),
}

/// Peels headers until a TCP segment, a datagram or a fragment is bare.
fn peel<'a>(
    mut layer: Layer,
    mut data: &'a [u8],
    ts: Timestamp,
    mut network: Network,
    ports: &Ports,
    tunnels: &mut Tunnels,
) -> Result<Step<'a>, Stop> {
    for _ in 0..MAX_LAYERS {
        (layer, data) = match layer {
            Layer::Link(kind) => link::step(kind, data)?,
            Layer::Ethernet => link::ethernet(data)?,
            Layer::EtherType(kind) => link::ether_type::step(kind, data)?,
            Layer::Llc => link::llc(data)?,
            Layer::Mpls => link::mpls(data)?,
            Layer::Ppp => link::ppp(data)?,
            Layer::Wlan => link::wlan(data)?,
            Layer::Ip => match ip::step(data, ts, network, ports)? {
                Step::Down(layer, data, inner, kind) => {
                    tunnels.add(kind);
                    network = inner.unwrap_or(network);
                    (layer, data)
                }
                done => return Ok(done),
            },
        };
    }
    Err(Malformed::Layers.into())
}

/// Decodes the frames of one source; holds the fragments that wait.
#[derive(Debug)]
pub struct Decoder {
    ports: Ports,
    fragments: fragment::Pool,
}

impl Decoder {
    /// `seed` spreads fragments over their table.
    pub fn new(ports: Ports, fragments: FragmentSettings, seed: u64) -> Self {
        Self {
            ports,
            fragments: fragment::Pool::new(fragments, seed),
        }
    }

    /// Decodes one frame. Total: any bytes give an answer.
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Answer<'a> {
        let mut tunnels = Tunnels::default();
        let mut answer = self.peeled(frame, &mut tunnels);
        answer.tunnels = tunnels;
        answer
    }

    fn peeled<'a>(&'a mut self, frame: &Frame<'a>, tunnels: &mut Tunnels) -> Answer<'a> {
        let found = peel(
            Layer::Link(frame.link),
            frame.data,
            frame.ts,
            Network::default(),
            &self.ports,
            tunnels,
        );
        match found {
            Ok(Step::Segment(segment)) => Answer::new(Decoded::Segment(segment), 1),
            Ok(Step::Datagram(datagram)) => Answer::new(Decoded::Datagram(datagram), 1),
            Ok(Step::Fragment(fragment)) => self.fragment(&fragment, tunnels),
            Ok(Step::Down(..)) => Answer::new(Decoded::Malformed(Malformed::Layers), 1),
            Err(Stop::Malformed(_)) if frame.wire_len as usize > frame.data.len() => {
                Answer::new(Decoded::Malformed(Malformed::Truncated), 1)
            }
            Err(stop) => Answer::stopped(stop, 1),
        }
    }

    /// Of which datagram a frame holds a piece; the same for all of its pieces.
    pub fn piece(&self, frame: &Frame<'_>) -> Option<DatagramKey> {
        let link = Layer::Link(frame.link);
        let (nowhere, through) = (Network::default(), &mut Tunnels::default());
        match peel(link, frame.data, frame.ts, nowhere, &self.ports, through) {
            Ok(Step::Fragment(fragment)) => Some(fragment.key),
            _ => None,
        }
    }

    /// A datagram that becomes whole is decoded in its fragments' place; it may be a tunnel that
    /// holds a fragment of its own, and so on down to the limit.
    fn fragment(&mut self, first: &fragment::Fragment<'_>, tunnels: &mut Tunnels) -> Answer<'_> {
        let mut frames = 1;
        let mut pushed = self.fragments.push(first, frames);
        let mut payload = Vec::new();
        for _ in 0..MAX_LAYERS {
            let carrier = match pushed {
                fragment::Push::Whole {
                    carrier,
                    frames: all,
                } => {
                    frames = all;
                    carrier
                }
                fragment::Push::Held => {
                    return Answer::new(Decoded::Held, 0);
                }
                fragment::Push::Copy => {
                    return Answer::new(Decoded::Ignored(Ignored::FragmentCopy), frames);
                }
                fragment::Push::Broken { frames } => {
                    return Answer::new(Decoded::Malformed(Malformed::Fragment), frames);
                }
            };
            payload.clear();
            payload.extend_from_slice(self.fragments.whole());
            match self.above(&carrier, &payload, tunnels) {
                Ok(Step::Fragment(inner)) => pushed = self.fragments.push(&inner, frames),
                Err(stop) => return Answer::stopped(stop, frames),
                Ok(_) => {
                    let decoded = match self.above(&carrier, self.fragments.whole(), tunnels) {
                        Ok(Step::Segment(segment)) => Decoded::Segment(segment),
                        Ok(Step::Datagram(datagram)) => Decoded::Datagram(datagram),
                        _ => Decoded::Malformed(Malformed::Layers),
                    };
                    return Answer::new(decoded, frames);
                }
            }
        }
        Answer::new(Decoded::Malformed(Malformed::Layers), frames)
    }

    /// Decodes from the transport up.
    fn above<'a>(
        &self,
        carrier: &ip::Carrier,
        data: &'a [u8],
        tunnels: &mut Tunnels,
    ) -> Result<Step<'a>, Stop> {
        match ip::transport(carrier, data, data.len(), &self.ports)? {
            Step::Down(layer, data, network, kind) => {
                tunnels.add(kind);
                let network = network.unwrap_or(carrier.network);
                peel(layer, data, carrier.ts, network, &self.ports, tunnels)
            }
            done => Ok(done),
        }
    }

    /// Gives up fragments that have waited too long.
    pub fn tick(&mut self, now: Timestamp) {
        self.fragments.expire(now);
    }

    /// Frames whose fragments wait.
    pub fn pending(&self) -> u64 {
        self.fragments.pending()
    }

    /// What the fragments that wait cost; never more than the budget.
    pub fn held_bytes(&self) -> usize {
        self.fragments.cost()
    }

    /// Frames whose fragments waited in vain: too long, and for the budget.
    pub fn given_up(&self) -> (u64, u64) {
        let lost = self.fragments.lost();
        (lost.expired, lost.evicted)
    }
}
