//! The ledger balances whatever the mirror does to the packets: lost, doubled, shuffled, cut,
//! changed. A property test over composed conversations.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use apitap::capture::{Frame, LinkType, Polled, Source, SourceError};
use apitap::compose::{Conversation, Packet};
use apitap::sensor::{Inline, Settings};
use apitap::time::Timestamp;
use proptest::prelude::*;

struct Packets(std::vec::IntoIter<Packet>);

impl Source for Packets {
    fn name(&self) -> &str {
        "packets"
    }

    fn poll(
        &mut self,
        _: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        let Some(p) = self.0.next() else {
            return Ok(Polled::End);
        };
        let wire_len = p.data.len() as u32;
        sink(Frame {
            ts: p.ts,
            link: LinkType::ETHERNET,
            data: &p.data,
            wire_len,
            interface: 0,
        });
        Ok(Polled::Frames)
    }
}

fn conversation(n: u16) -> Vec<Packet> {
    let at = Timestamp::from_secs(1_760_000_000 + i64::from(n));
    let mut talk = Conversation::open(
        format!("10.0.0.1:{}", 2_000 + n).parse().unwrap(),
        "10.0.0.2:80".parse().unwrap(),
        at,
    );
    for i in 0..4 {
        let ask =
            format!("POST /v1/things/{i} HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        let body = "x".repeat(usize::from(n) * 700);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        talk.exchange(&ask, Duration::from_millis(3), &answer);
    }
    talk.close()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_received_ends_in_one_counter(ops in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..6, any::<u8>()), 0..40)) {
        let mut packets: Vec<Packet> = (0..6).flat_map(conversation).collect();
        packets.sort_by_key(|p| p.ts);
        for (index, op, byte) in ops {
            let at = index.index(packets.len());
            match op {
                0 => drop(packets.remove(at)),
                1 => packets.insert(at, packets[at].clone()),
                2 => {
                    let to = (at + usize::from(byte) % 9).min(packets.len() - 1);
                    packets.swap(at, to);
                }
                3 => packets[at].data.truncate(usize::from(byte)),
                4 => {
                    let i = usize::from(byte) % packets[at].data.len().max(1);
                    if let Some(b) = packets[at].data.get_mut(i) { *b ^= byte | 1 }
                }
                _ => packets[at].ts = packets[at].ts + Duration::from_secs(u64::from(byte)),
            }
        }
        let received = packets.len() as u64;
        let mut source = Packets(packets.into_iter());
        let mut sensor = Inline::new(&Settings::default());
        let mut exchanges = 0;
        while sensor.poll(&mut source).unwrap() != Polled::End {
            exchanges += sensor.ready().len() as u64;
            let ledger = sensor.ledger();
            prop_assert!(ledger.balanced(), "{}", ledger.to_json());
        }
        exchanges += sensor.finish().len() as u64;
        let ledger = sensor.ledger();
        prop_assert!(ledger.balanced(), "{}", ledger.to_json());
        prop_assert_eq!(ledger.stages["frame"].received, received);
        prop_assert_eq!(ledger.stages["exchange"].analysed, exchanges);
        prop_assert!(ledger.stages.values().all(|s| s.pending == 0), "{}", ledger.to_json());
    }
}
