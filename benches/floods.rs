//! Floods: a million half-open flows, a SYN flood from forged addresses, a flood of fragments, each
//! with honest conversations in between. Prints what was put out and the peak of memory, and fails
//! where an honest exchange is missing or the memory is past the budget.
//!
//! `cargo bench --bench floods` (or `make bench-floods`); `APITAP_FLOOD=10000` makes it a smoke.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use apitap::capture::{Frame, LinkType, Polled, Source, SourceError};
use apitap::compose::{Conversation, Packet};
use apitap::config::Config;
use apitap::sensor::{Inline, Ledger};
use apitap::time::Timestamp;
use etherparse::{IpFragOffset, IpNumber, Ipv4Header, PacketBuilder};

/// Flood packets between two packets of honest conversations.
const BETWEEN: u64 = 50;

/// One flood packet by its number.
type Flood = fn(u64, &mut Vec<u8>);

fn client(n: u64) -> ([u8; 4], u16) {
    // 2^24 addresses, and ports as the numbers go on.
    let [_, _, _, _, _, a, b, c] = n.to_be_bytes();
    ([10, a, b, c], 1_024 + (n >> 24) as u16)
}

fn syn(n: u64, out: &mut Vec<u8>) {
    let (ip, port) = client(n);
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(ip, [192, 0, 2, 80], 64);
    let sequence = (n as u32).wrapping_mul(2_654_435_761);
    builder
        .tcp(port, 80, sequence, 512)
        .syn()
        .write(out, b"")
        .unwrap();
}

/// Handshake and no more: SYN, SYN-ACK and ACK in turn for the same client.
fn half_open(n: u64, out: &mut Vec<u8>) {
    let (ip, port) = client(n / 3);
    let server = [192, 0, 2, 80];
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    match n % 3 {
        0 => ethernet
            .ipv4(ip, server, 64)
            .tcp(port, 80, 99, 512)
            .syn()
            .write(out, b""),
        1 => ethernet
            .ipv4(server, ip, 64)
            .tcp(80, port, 499, 512)
            .syn()
            .ack(100)
            .write(out, b""),
        _ => ethernet
            .ipv4(ip, server, 64)
            .tcp(port, 80, 100, 512)
            .ack(500)
            .write(out, b""),
    }
    .unwrap();
}

/// First fragments whose rest never comes.
fn fragment(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0]);
    let payload = [n as u8; 1_400];
    let mut ip = Ipv4Header::new(
        payload.len() as u16,
        64,
        IpNumber::TCP,
        client(n).0,
        [192, 0, 2, 80],
    )
    .unwrap();
    ip.identification = n as u16;
    ip.more_fragments = true;
    ip.fragment_offset = IpFragOffset::ZERO;
    ip.header_checksum = ip.calc_header_checksum();
    ip.write(out).unwrap();
    out.extend_from_slice(&payload);
}

/// Honest conversations, drawn out over the whole flood.
struct Mixed {
    flood: Flood,
    total: u64,
    at: u64,
    honest: std::vec::IntoIter<Packet>,
    buffer: Vec<u8>,
}

impl Source for Mixed {
    fn name(&self) -> &str {
        "flood"
    }

    fn poll(
        &mut self,
        _: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        if self.at >= self.total {
            return Ok(Polled::End);
        }
        // Some 200,000 packets a second.
        let ts = Timestamp::from_secs(1_760_000_000) + Duration::from_micros(5 * self.at);
        let mut hand = |data: &[u8]| {
            sink(Frame {
                ts,
                link: LinkType::ETHERNET,
                data,
                wire_len: data.len() as u32,
                interface: 0,
            });
        };
        self.buffer.clear();
        (self.flood)(self.at, &mut self.buffer);
        hand(&self.buffer);
        if self.at.is_multiple_of(BETWEEN)
            && let Some(p) = self.honest.next()
        {
            hand(&p.data);
        }
        self.at += 1;
        Ok(Polled::Frames)
    }
}

/// `flows` conversations of `each` exchanges, one packet of each in turn; the paths are told apart.
fn honest(packets: u64) -> (Vec<Packet>, usize) {
    const FLOWS: usize = 100;
    let per_flow = packets as usize / FLOWS;
    // Two packets an exchange, three to open, three to close.
    let each = (per_flow.saturating_sub(6) / 2).max(1);
    let talks: Vec<Vec<Packet>> = (0..FLOWS)
        .map(|f| {
            let from = format!("198.51.100.{}:{}", f % 250 + 1, 3_000 + f)
                .parse()
                .unwrap();
            let mut talk = Conversation::open(from, "192.0.2.80:80".parse().unwrap(), Timestamp(0));
            for i in 0..each {
                talk.exchange(
                    &format!("GET /honest/{f}/{i} HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
                    Duration::ZERO,
                    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                );
            }
            talk.close()
        })
        .collect();
    let longest = talks.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|i| talks.iter().filter_map(move |t| t.get(i).cloned()));
    (turns.collect(), FLOWS * each)
}

fn run(name: &str, flood: Flood, total: u64, reason: fn(&Ledger, &Inline) -> u64) -> bool {
    let config = Config::default();
    let settings = config.sensor(7, [7; 32]);
    let (packets, expected) = honest(total / BETWEEN);
    let before = memory();
    let mut source = Mixed {
        flood,
        total,
        at: 0,
        honest: packets.into_iter(),
        buffer: Vec::new(),
    };
    let mut sensor = Inline::new(&settings);
    let (mut exact, mut exchanges, started) = (0, 0, Instant::now());
    let mut take = |records: Vec<apitap::sensor::Record>| {
        exchanges += records.len();
        let whole = |r: &&apitap::sensor::Record| {
            let x = &r.exchange;
            x.status == Some(200)
                && !x.partial.any()
                && x.path.as_deref().is_some_and(|p| p.starts_with("/honest/"))
        };
        exact += records.iter().filter(whole).count();
    };
    while sensor.poll(&mut source).unwrap() != Polled::End {
        if source.at.is_multiple_of(1_024) {
            take(sensor.ready());
        }
    }
    let (flows, held) = (sensor.status().flows, memory().saturating_sub(before));
    take(sensor.finish());
    let ledger = sensor.ledger();
    let budget = settings.memory();
    let evicted = reason(&ledger, &sensor);
    let sound = exact == expected && exchanges == expected && ledger.balanced() && held <= budget;
    println!(
        "{name:<15} {total:>9} packets  {:>5.2} us each  {flows:>9} flows  {evicted:>9} put out  {:>4} MiB of {} MiB  {exact}/{expected} exchanges exact  {}",
        started.elapsed().as_secs_f64() * 1e6 / total as f64,
        held >> 20,
        budget >> 20,
        if sound { "ok" } else { "FAILED" }
    );
    sound
}

/// Resident bytes.
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text
        .split(' ')
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or(0);
    pages * 4_096
}

fn main() {
    let size: u64 = std::env::var("APITAP_FLOOD")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let flows = |_: &Ledger, sensor: &Inline| sensor.status().flow.flows_evicted;
    let fragments = |ledger: &Ledger, _: &Inline| {
        let shed = ledger.stages["frame"].shed.get("ip_fragment_budget");
        shed.copied().unwrap_or(0)
    };
    let sound = [
        run("half-open flows", half_open, 3 * size, flows),
        run("SYN flood", syn, 3 * size, flows),
        run("fragment flood", fragment, size, fragments),
    ];
    if !sound.into_iter().all(|s| s) {
        std::process::exit(1);
    }
}
