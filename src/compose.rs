//! Composed packets: conversations as frames, for the demo and for tests. Deterministic, in memory,
//! with right checksums, so that any other tool reads them too.

use std::io::Write;
use std::net::SocketAddrV4;
use std::time::Duration;

use etherparse::PacketBuilder;

use crate::time::Timestamp;

pub mod demo;
pub mod savefile;
pub mod tls;
pub mod tunnel;

/// Payload of a full segment on Ethernet.
const MSS: usize = 1_448;

/// A frame (Ethernet) at its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub ts: Timestamp,
    pub data: Vec<u8>,
}

/// One TCP connection, spoken in turns.
#[derive(Clone, Debug)]
pub struct Conversation {
    client: SocketAddrV4,
    server: SocketAddrV4,
    now: Timestamp,
    /// Next sequence number of client and server.
    seq: [u32; 2],
    /// One way through the network.
    delay: Duration,
    /// Payload of a full segment.
    mss: usize,
    /// Which sides have said that they send no more.
    ended: [bool; 2],
    packets: Vec<Packet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Syn,
    SynAck,
    Ack,
    Fin,
    Rst,
}

impl Conversation {
    /// Opens with the three-way handshake.
    pub fn open(client: SocketAddrV4, server: SocketAddrV4, at: Timestamp) -> Self {
        let isn = u32::from(client.port()).wrapping_mul(2_654_435_761) ^ client.ip().to_bits();
        let seq = [isn, isn.rotate_left(16)];
        let mut talk = Self {
            client,
            server,
            now: at,
            seq,
            delay: Duration::from_micros(200),
            mss: MSS,
            ended: [false; 2],
            packets: Vec::new(),
        };
        talk.push(0, Flag::Syn, b"");
        talk.push(1, Flag::SynAck, b"");
        talk.push(0, Flag::Ack, b"");
        talk
    }

    /// The client sends, segmented.
    pub fn client(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(0, bytes)
    }

    /// The server sends, segmented.
    pub fn server(&mut self, bytes: &[u8]) -> &mut Self {
        self.send(1, bytes)
    }

    /// Time passes.
    pub fn wait(&mut self, time: Duration) -> &mut Self {
        self.now = self.now + time;
        self
    }

    /// Request, think time, response.
    pub fn exchange(&mut self, request: &str, think: Duration, response: &str) -> &mut Self {
        self.client(request.as_bytes())
            .wait(think)
            .server(response.as_bytes())
    }

    /// From now on segments are of `mss` bytes at most.
    pub fn segments(&mut self, mss: usize) -> &mut Self {
        self.mss = mss.max(1);
        self
    }

    /// A bare acknowledgement.
    pub fn client_acks(&mut self) -> &mut Self {
        self.push(0, Flag::Ack, b"");
        self
    }

    pub fn server_acks(&mut self) -> &mut Self {
        self.push(1, Flag::Ack, b"");
        self
    }

    /// The client sends no more; the server may.
    pub fn client_ends(&mut self) -> &mut Self {
        self.end(0)
    }

    pub fn server_ends(&mut self) -> &mut Self {
        self.end(1)
    }

    /// The server breaks the connection off; the frames so far.
    pub fn server_resets(mut self) -> Vec<Packet> {
        self.push(1, Flag::Rst, b"");
        self.packets
    }

    /// Both sides close; the frames so far.
    pub fn close(mut self) -> Vec<Packet> {
        self.end(0).end(1);
        self.push(0, Flag::Ack, b"");
        self.packets
    }

    /// The frames so far, the connection left open.
    pub fn packets(self) -> Vec<Packet> {
        self.packets
    }

    fn end(&mut self, side: usize) -> &mut Self {
        if !std::mem::replace(&mut self.ended[side], true) {
            self.push(side, Flag::Fin, b"");
        }
        self
    }

    fn send(&mut self, side: usize, bytes: &[u8]) -> &mut Self {
        for segment in bytes.chunks(self.mss) {
            self.push(side, Flag::Ack, segment);
        }
        self
    }

    fn push(&mut self, side: usize, flag: Flag, payload: &[u8]) {
        let (from, to) = if side == 0 {
            (self.client, self.server)
        } else {
            (self.server, self.client)
        };
        let mac = |of: SocketAddrV4| {
            let ip = of.ip().octets();
            [2, 0, ip[0], ip[1], ip[2], ip[3]]
        };
        let builder = PacketBuilder::ethernet2(mac(from), mac(to))
            .ipv4(from.ip().octets(), to.ip().octets(), 64)
            .tcp(from.port(), to.port(), self.seq[side], 64_240);
        let builder = match flag {
            Flag::Syn => builder.syn(),
            Flag::SynAck => builder.syn().ack(self.seq[0]),
            Flag::Ack => builder.ack(self.seq[1 - side]).psh(),
            Flag::Fin => builder.fin().ack(self.seq[1 - side]),
            Flag::Rst => builder.rst().ack(self.seq[1 - side]),
        };
        let mut data = Vec::with_capacity(builder.size(payload.len()));
        if builder.write(&mut data, payload).is_err() {
            unreachable!(
                "writing to a Vec cannot fail, and a segment is shorter than an IP packet"
            );
        }
        let control = u32::from(!matches!(flag, Flag::Ack | Flag::Rst));
        self.seq[side] = self.seq[side].wrapping_add(payload.len() as u32 + control);
        self.packets.push(Packet { ts: self.now, data });
        self.now = self.now + self.delay;
    }
}

/// A savefile: classic pcap, microseconds, Ethernet.
pub fn write_pcap(packets: &[Packet], out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
    for half in [2_u16, 4] {
        out.write_all(&half.to_le_bytes())?;
    }
    for word in [0_u32, 0, 262_144, 1] {
        out.write_all(&word.to_le_bytes())?;
    }
    for p in packets {
        let micros = p.ts.nanos().rem_euclid(1_000_000_000) / 1_000;
        for word in [
            p.ts.secs() as u32,
            micros as u32,
            p.data.len() as u32,
            p.data.len() as u32,
        ] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&p.data)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Frame, LinkType};
    use crate::decode::{Decoded, Decoder, FragmentSettings, Ports};

    #[test]
    fn segments_add_up_and_checksums_are_right() {
        let mut talk = Conversation::open(
            "10.0.0.1:4000".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
            Timestamp(0),
        );
        talk.client(&[b'x'; 4_000]).server(b"ok");
        let mut decoder = Decoder::new(Ports::default(), FragmentSettings::default(), 1);
        let mut sent = 0;
        for p in talk.close() {
            let parsed = etherparse::SlicedPacket::from_ethernet(&p.data).unwrap();
            let (Some(etherparse::NetSlice::Ipv4(ip)), Some(etherparse::TransportSlice::Tcp(tcp))) =
                (parsed.net, parsed.transport)
            else {
                panic!()
            };
            assert_eq!(
                tcp.checksum(),
                tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination())
                    .unwrap()
            );
            let frame = Frame {
                ts: p.ts,
                link: LinkType::ETHERNET,
                data: &p.data,
                wire_len: p.data.len() as u32,
                interface: 0,
            };
            let Decoded::Segment(s) = decoder.decode(&frame).decoded else {
                panic!()
            };
            sent += s.payload.len();
        }
        assert_eq!(sent, 4_002);
    }
}
