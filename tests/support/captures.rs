//! The captures of `../shared`, and the connections in them that are whole.
// Each test uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use apitap::capture::{FileSource, Frame, LinkType, Polled, Source};
use apitap::compose::Packet;

use super::change::{FIN, SYN, Segment, URG};
use super::replay::{Ends, Outcome, ethernet};

pub fn captures() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if !dir.is_dir() {
        eprintln!("SKIPPED: {} is absent", dir.display());
        return Vec::new();
    }
    let all = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = all
        .filter(|p| p.extension().is_some_and(|e| e == "pcap" || e == "pcapng"))
        .collect();
    files.sort();
    files
}

/// The packets of a savefile, if all are whole Ethernet frames.
pub fn ethernet_packets(path: &Path) -> Option<Vec<Packet>> {
    let mut source = FileSource::open(path).ok()?;
    let (mut packets, mut fits) = (Vec::new(), true);
    loop {
        let polled = source.poll(std::time::Duration::ZERO, &mut |f: Frame<'_>| {
            fits &= f.link == LinkType::ETHERNET;
            packets.push(Packet {
                ts: f.ts,
                data: f.data.to_vec(),
            });
        });
        match polled {
            Ok(Polled::End) => return fits.then_some(packets),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// Every segment comes before those behind it.
pub fn in_order(packets: &[Packet]) -> bool {
    let mut next = BTreeMap::new();
    packets.iter().all(|p| {
        let s = Segment::parse(&p.data).unwrap();
        let control = u32::from(s.flags() & (SYN | FIN) != 0);
        let after = s.seq().wrapping_add(control + s.payload.len() as u32);
        let before = next.insert(s.way(), after);
        before.is_none_or(|n| n == s.seq())
    })
}

/// The connections of a capture that are whole: they begin with both SYNs, no byte is missing, and
/// every byte was understood. What is read of the others depends on where segments begin, which is
/// all that there is to go by after a hole; that is no matter for these tests.
pub fn whole_connections(packets: &[Packet]) -> Vec<(Vec<Packet>, Outcome)> {
    let mut flows = BTreeMap::<Ends, Vec<Packet>>::new();
    for p in packets {
        if let Some(s) = Segment::parse(&p.data) {
            flows.entry(s.ends()).or_default().push(p.clone());
        }
    }
    let whole = flows.into_values().filter_map(|mut packets| {
        packets.sort_by_key(|p| p.ts);
        let syns = packets.iter().take(2).filter(|p| {
            let s = Segment::parse(&p.data);
            s.is_some_and(|s| s.flags() & SYN != 0)
        });
        // Out-of-band bytes begin segments where no message does.
        let plain = packets.iter().all(|p| {
            let s = Segment::parse(&p.data);
            s.is_some_and(|s| s.flags() & URG == 0)
        });
        let opened = syns.count() == 2 && plain;
        let base = ethernet(&packets);
        let (flow, http) = (&base.status.flow, &base.status.http);
        let heard = opened
            && flow.flows == 1
            && flow.gaps + flow.retransmitted + flow.no_flow == 0
            && http.malformed + http.unknown + http.shed + http.tls + http.http2 == 0;
        (heard && !base.flows.is_empty()).then_some((packets, base))
    });
    whole.collect()
}
