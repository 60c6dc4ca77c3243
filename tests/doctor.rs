//! The tap doctor on whole captures: each trouble of a mirror is composed, and said; a clean
//! mirror gets none.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use apitap::capture::{Frame, LinkType, Polled, Source, SourceError};
use apitap::compose::{Conversation, Packet};
use apitap::sensor::doctor::{Symptom, diagnose, sound};
use apitap::sensor::{Checksums, Inline, Readings, Settings};
use apitap::time::Timestamp;

/// What a mirror port shows: frames, how long they were, and which interface brought them.
#[derive(Clone)]
struct Shown {
    packet: Packet,
    wire_len: u32,
    interface: u16,
}

struct Mirror(std::vec::IntoIter<Shown>);

impl Source for Mirror {
    fn name(&self) -> &str {
        "span0"
    }

    fn interface(&self, index: u16) -> String {
        format!("span{index}")
    }

    fn poll(
        &mut self,
        _: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        let Some(s) = self.0.next() else {
            return Ok(Polled::End);
        };
        sink(Frame {
            ts: s.packet.ts,
            link: LinkType::ETHERNET,
            data: &s.packet.data,
            wire_len: s.wire_len,
            interface: s.interface,
        });
        Ok(Polled::Frames)
    }
}

/// Forty connections of two calls each, a second apart, as a good mirror shows them.
fn traffic() -> Vec<Shown> {
    let mut packets = Vec::new();
    for n in 0..40 {
        let at = Timestamp::from_secs(1_760_000_000 + n);
        let client = format!("10.0.0.{}:{}", 1 + n % 7, 40_000 + n);
        let mut talk =
            Conversation::open(client.parse().unwrap(), "10.1.0.10:80".parse().unwrap(), at);
        for i in 0..2 {
            let ask = format!("GET /v1/orders/{i} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
            let body = "x".repeat(4_000);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n{body}");
            talk.exchange(&ask, Duration::from_millis(5), &answer);
        }
        packets.extend(talk.close());
    }
    packets.sort_by_key(|p| p.ts);
    packets.into_iter().map(shown).collect()
}

fn shown(packet: Packet) -> Shown {
    let wire_len = packet.data.len() as u32;
    Shown {
        packet,
        wire_len,
        interface: 0,
    }
}

fn from_server(s: &Shown) -> bool {
    // Source port 80 behind Ethernet and an IP header without options.
    s.packet.data[34..36] == [0, 80]
}

fn read(frames: Vec<Shown>, settings: &Settings) -> (Readings, usize) {
    let mut source = Mirror(frames.into_iter());
    let mut sensor = Inline::new(settings);
    let mut exchanges = 0;
    while sensor.poll(&mut source).unwrap() != Polled::End {
        exchanges += sensor.ready().len();
    }
    exchanges += sensor.finish().len();
    assert!(sensor.ledger().balanced());
    (sensor.readings(&source), exchanges)
}

fn said(frames: Vec<Shown>) -> Vec<Symptom> {
    diagnose(&read(frames, &Settings::default()).0)
}

fn codes(symptoms: &[Symptom]) -> Vec<&'static str> {
    symptoms.iter().map(|s| s.code).collect()
}

#[test]
fn a_clean_mirror_has_nothing() {
    let (readings, exchanges) = read(traffic(), &Settings::default());
    assert_eq!(exchanges, 80);
    assert_eq!(diagnose(&readings), vec![]);
    let line = sound(&readings);
    assert!(
        line.contains("sound") && line.contains("40 connections"),
        "{line}"
    );
}

#[test]
fn one_direction_alone_is_told_whichever_it_is() {
    for keep_server in [true, false] {
        let half = traffic()
            .into_iter()
            .filter(|s| from_server(s) == keep_server)
            .collect();
        let said = said(half);
        assert_eq!(codes(&said), vec!["one_way"], "{said:?}");
        assert_eq!(said[0].share, Some(1.0));
        assert!(said[0].is_loss());
    }
    // Each direction on an interface of its own is a two-armed tap, and well.
    let mut armed = traffic();
    armed
        .iter_mut()
        .filter(|s| from_server(s))
        .for_each(|s| s.interface = 1);
    let (readings, exchanges) = read(armed, &Settings::default());
    assert_eq!((exchanges, diagnose(&readings)), (80, vec![]));
}

#[test]
fn a_mirror_that_doubles_is_told_and_counts_nothing_twice() {
    let twice = |interface| {
        traffic()
            .into_iter()
            .flat_map(|s| {
                let mut copy = Shown {
                    interface,
                    ..s.clone()
                };
                copy.packet.ts = copy.packet.ts + Duration::from_micros(3);
                [s, copy]
            })
            .collect::<Vec<_>>()
    };
    let (readings, exchanges) = read(twice(0), &Settings::default());
    assert_eq!(exchanges, 80);
    let same = diagnose(&readings);
    assert_eq!(codes(&same), vec!["copies"], "{same:?}");
    assert_eq!(same[0].share, Some(0.5));
    let two = said(twice(1));
    assert_eq!(codes(&two), vec!["copies"], "{two:?}");
    assert!(two[0].text.contains("two interfaces"), "{}", two[0].text);
    assert_eq!(two[0].tap, "span1");
}

#[test]
fn an_honest_retransmission_is_no_copy() {
    // Every data segment comes again 300 ms later, as TCP would send it.
    let mut frames = traffic();
    let again: Vec<Shown> = frames
        .iter()
        .map(|s| {
            let mut again = s.clone();
            again.packet.ts = again.packet.ts + Duration::from_millis(300);
            again
        })
        .collect();
    frames.extend(again);
    frames.sort_by_key(|s| s.packet.ts);
    assert_eq!(said(frames), vec![]);
}

#[test]
fn a_short_snap_length_is_told() {
    let mut frames = traffic();
    for s in &mut frames {
        s.packet.data.truncate(96);
    }
    let said = said(frames);
    assert!(codes(&said).contains(&"cut"), "{said:?}");
    assert!(said.iter().all(|s| s.code == "cut"), "{said:?}");
}

#[test]
fn packets_that_the_mirror_loses_are_told() {
    // Every fifth of the server's packets is lost on its way to the tap; the client has it.
    let mut n = 0;
    let frames = traffic()
        .into_iter()
        .filter(|s| {
            n += u64::from(from_server(s));
            !from_server(s) || n % 5 != 0
        })
        .collect();
    let said = said(frames);
    assert_eq!(codes(&said), vec!["lost"], "{said:?}");
    let share = said[0].share.unwrap();
    assert!((0.1..0.3).contains(&share), "{share}");
}

/// The frame inside VXLAN on a UDP port (RFC 7348, section 5).
fn vxlan(s: Shown, port: u16, vni: u32) -> Shown {
    let [_, a, b, c] = vni.to_be_bytes();
    let inner = [&[8, 0, 0, 0, a, b, c, 0], &s.packet.data[..]].concat();
    let outer = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .udp(50_000, port);
    let mut data = Vec::new();
    outer.write(&mut data, &inner).unwrap();
    shown(Packet {
        ts: s.packet.ts,
        data,
    })
}

#[test]
fn vxlan_on_a_port_that_is_not_named_is_told_with_the_port() {
    let on = |port| {
        traffic()
            .into_iter()
            .map(|s| vxlan(s, port, 7))
            .collect::<Vec<_>>()
    };
    let strange = said(on(4_444));
    assert_eq!(codes(&strange), vec!["vxlan_port"], "{strange:?}");
    assert_eq!(strange[0].mend, "add to capture.vxlan_ports: 4444");
    // The mend mends it.
    let mut settings = Settings::default();
    settings.ports.vxlan.push(4_444);
    let (readings, exchanges) = read(on(4_444), &settings);
    assert_eq!((exchanges, diagnose(&readings)), (80, vec![]));
    assert_eq!(readings.networks.len(), 1);
    assert_eq!(readings.networks[0].vni, Some(7));
}

#[test]
fn one_network_that_is_shown_one_way_is_told_by_its_number() {
    // Network 5 is mirrored well and has 120 connections; of network 6 the answers are missing.
    let many = (0..3_u64).flat_map(|n| {
        traffic().into_iter().map(move |mut s| {
            s.packet.ts = s.packet.ts + Duration::from_secs(100 * n);
            vxlan(s, 4_789, 5)
        })
    });
    let mut frames: Vec<Shown> = many.collect();
    let half = traffic().into_iter().take(400).filter(|s| !from_server(s));
    frames.extend(half.map(|s| vxlan(s, 4_789, 6)));
    frames.sort_by_key(|s| s.packet.ts);
    let (readings, _) = read(frames, &Settings::default());
    let six = readings.networks.iter().find(|n| n.vni == Some(6)).unwrap();
    assert!(six.flows.one_way >= 10 && six.flows.both == 0, "{six:?}");
    let five = readings.networks.iter().find(|n| n.vni == Some(5)).unwrap();
    assert_eq!((five.flows.both, five.flows.one_way), (120, 0));
    let said = diagnose(&readings);
    assert_eq!(codes(&said), vec!["one_way"; 2], "{said:?}");
    assert_eq!(said[0].tap, "VNI 6");
}

#[test]
fn a_clock_that_is_set_back_is_told() {
    let mut frames = traffic();
    let half = frames.len() / 2;
    for s in &mut frames[half..] {
        s.packet.ts = s.packet.ts - Duration::from_secs(3_600);
    }
    let said = said(frames);
    assert_eq!(codes(&said), vec!["clock_backward"], "{said:?}");
    assert!(said[0].text.contains("60 minutes"), "{}", said[0].text);
}

/// Many connections, so that enough checksums are seen for a decision.
fn long_traffic() -> Vec<Shown> {
    let mut all = Vec::new();
    for n in 0..20 {
        all.extend(traffic().into_iter().map(|mut s| {
            s.packet.ts = s.packet.ts + Duration::from_secs(100 * n);
            s
        }));
    }
    all
}

#[test]
fn on_a_mirror_a_segment_with_a_wrong_checksum_deceives_nobody() {
    let mut frames = long_traffic();
    assert!(frames.len() > 10_000, "{}", frames.len());
    // Before a request, one that only a monitor would believe, with the request's own place.
    let at = (9_000..)
        .find(|i| frames[*i].packet.data[54..].starts_with(b"GET /v1/orders/0"))
        .unwrap();
    let mut lie = frames[at].clone();
    lie.packet.data[54..].copy_from_slice(
        &frames[at].packet.data[54..]
            .iter()
            .map(|b| if *b == b'0' { b'9' } else { *b })
            .collect::<Vec<_>>(),
    );
    frames.insert(at, lie);
    let paths = |checksums| {
        let settings = Settings {
            checksums,
            ..Settings::default()
        };
        let mut source = Mirror(frames.clone().into_iter());
        let mut sensor = Inline::new(&settings);
        let mut lies = 0;
        let mut take = |records: Vec<apitap::sensor::Record>| {
            let of_lie =
                |r: &&apitap::sensor::Record| r.exchange.path.as_deref() == Some("/v1/orders/9");
            lies += records.iter().filter(of_lie).count();
        };
        while sensor.poll(&mut source).unwrap() != Polled::End {
            take(sensor.ready());
        }
        take(sensor.finish());
        let ledger = sensor.ledger();
        assert!(ledger.balanced());
        let refused = ledger.stages["frame"].malformed.get("tcp_checksum");
        (lies, refused.copied())
    };
    assert_eq!(paths(Checksums::Off), (1, None));
    assert_eq!(paths(Checksums::Auto), (0, Some(1)));
    assert_eq!(paths(Checksums::On), (0, Some(1)));
}

#[test]
fn on_a_sender_checksums_are_not_enforced_and_that_is_said() {
    let mut frames = long_traffic();
    for s in frames.iter_mut().filter(|s| from_server(s)) {
        s.packet.data[50] ^= 0x55;
    }
    let (readings, exchanges) = read(frames, &Settings::default());
    assert_eq!(exchanges, 1_600);
    let said = diagnose(&readings);
    assert_eq!(codes(&said), vec!["checksums_off"], "{said:?}");
}

#[test]
fn apitaps_own_traffic_is_no_evidence_and_is_counted() {
    let mut settings = Settings::default();
    settings.own.listens = ["10.1.0.10:80".parse().unwrap()].into();
    let mut source = Mirror(traffic().into_iter());
    let mut sensor = Inline::new(&settings);
    while sensor.poll(&mut source).unwrap() != Polled::End {}
    assert!(sensor.finish().is_empty());
    let frame = &sensor.ledger().stages["frame"];
    assert_eq!(frame.ignored["own_traffic"], frame.received);
    // A delivery of an alert, from this machine.
    let mut talk = Conversation::open(
        "10.0.0.9:50000".parse().unwrap(),
        "10.2.0.1:80".parse().unwrap(),
        Timestamp::from_secs(1_760_000_000),
    );
    let ask = "POST /hook HTTP/1.1\r\nHost: soc.example\r\nUser-Agent: apitap/9\r\nContent-Length: 2\r\n\r\n{}";
    talk.exchange(
        ask,
        Duration::from_millis(5),
        "HTTP/1.1 204 No Content\r\n\r\n",
    );
    let frames: Vec<Shown> = talk.close().into_iter().map(shown).collect();
    let mut settings = Settings::default();
    settings.own.agent = Some("apitap/9".into());
    assert_eq!(read(frames.clone(), &settings).1, 1, "another machine's");
    settings.own.addresses = ["10.0.0.9".parse().unwrap()].into();
    assert_eq!(read(frames, &settings).1, 0);
}

#[test]
fn workers_change_nothing_of_what_is_said() {
    use apitap::sensor::{Pool, Sights, readings};
    let frames: Vec<Shown> = traffic().into_iter().filter(from_server).collect();
    let (one, _) = read(frames.clone(), &Settings::default());
    let settings = Settings {
        workers: 3,
        ..Settings::default()
    };
    let pool = Pool::start(vec![Box::new(Mirror(frames.into_iter()))], &settings);
    let (mut sights, mut exchanges, mut finished) = (vec![Sights::default(); 3], [0; 3], 0);
    while finished < 3 {
        let report = pool.reports.recv().unwrap();
        finished += usize::from(report.finished);
        exchanges[report.worker] = report.status.http.exchanges;
        sights[report.worker] = report.sights;
    }
    let sources = pool.handle.sources();
    pool.join();
    let mut all = Sights::default();
    sights.iter().for_each(|s| all.add(s));
    assert_eq!(readings(&sources, &all, exchanges.iter().sum()), one);
}
