use std::time::Duration;

use super::*;
use crate::compose::tunnel::Wrap;
use crate::compose::{Conversation, Packet};

const NOW: i64 = 1_760_000_000;

fn settings(ring: usize) -> Settings {
    Settings {
        recorder: RecorderSettings {
            ring,
            snap_length: 65_535,
        },
        same_network: vec![vec![9, Wrap::VNI]],
        ..Settings::default()
    }
}

fn talk(client: &str, server: &str, secs: i64) -> Vec<Packet> {
    let at = Timestamp::from_secs(NOW + secs);
    let mut talk = Conversation::open(client.parse().unwrap(), server.parse().unwrap(), at);
    talk.exchange(
        "GET / HTTP/1.1\r\n\r\n",
        Duration::ZERO,
        "HTTP/1.1 204 X\r\n\r\n",
    );
    talk.close()
}

fn frame(p: &Packet, interface: u16) -> Frame<'_> {
    Frame {
        ts: p.ts,
        link: LinkType::ETHERNET,
        data: &p.data,
        wire_len: p.data.len() as u32,
        interface,
    }
}

fn wanted(client: &str, server: Option<&str>, vni: Option<u32>) -> Talk {
    Talk {
        client: Some(client.parse().unwrap()),
        server: server.map(|s| s.parse().unwrap()),
        port: server.map(|_| 80),
        vni,
    }
}

/// What a recorder that has seen `packets` answers.
fn ask(settings: &Settings, packets: &[Packet], talk: Talk, max_bytes: usize) -> Found {
    let (mut recorder, wishes) = Recorder::new(settings).unwrap();
    for (n, p) in packets.iter().enumerate() {
        recorder.keep(&frame(p, n as u16 % 2));
    }
    let (reply, replies) = bounded(1);
    let wish = Wish {
        talks: vec![talk],
        from: Timestamp::from_secs(NOW),
        max_bytes,
        reply,
    };
    wishes.send(wish).unwrap();
    recorder.end(|i| format!("eth{i}"));
    replies.recv().unwrap()
}

fn data(found: &Found) -> Vec<Vec<u8>> {
    let frames = found.frames.iter();
    frames
        .map(|f| found.bytes[f.data.clone()].to_vec())
        .collect()
}

fn bytes(packets: &[Packet]) -> Vec<Vec<u8>> {
    packets.iter().map(|p| p.data.clone()).collect()
}

/// An Ethernet frame with IPv4, in two pieces.
fn pieces(p: &Packet) -> [Packet; 2] {
    let (head, payload) = p.data.split_at(34);
    let cut = 16;
    [
        (&payload[..cut], 0x2000_u16),
        (&payload[cut..], (cut / 8) as u16),
    ]
    .map(|(part, offset)| {
        let mut data = [head, part].concat();
        data[16..18].copy_from_slice(&((20 + part.len()) as u16).to_be_bytes());
        data[18..20].copy_from_slice(&77_u16.to_be_bytes());
        data[20..22].copy_from_slice(&offset.to_be_bytes());
        Packet { ts: p.ts, data }
    })
}

#[test]
fn the_flows_asked_for_are_found_and_no_others() {
    let mine = talk("10.0.0.5:4000", "10.0.1.2:80", 1);
    let other_server = talk("10.0.0.5:4001", "10.0.1.3:80", 1);
    let other_client = talk("10.0.0.6:4000", "10.0.1.2:80", 1);
    let too_old = talk("10.0.0.5:4000", "10.0.1.2:80", -9);
    let all = [too_old, other_server.clone(), mine.clone(), other_client].concat();
    let settings = settings(1 << 20);
    let found = ask(
        &settings,
        &all,
        wanted("10.0.0.5/32", Some("10.0.1.2"), None),
        1 << 20,
    );
    assert_eq!(data(&found), bytes(&mine));
    assert_eq!(found.interfaces.len(), 2);
    let name = &found.interfaces[usize::from(found.frames[0].interface)].0;
    assert_eq!(*name, format!("eth{}", (all.len() - 2 * mine.len()) % 2));
    assert_eq!((found.missed, found.cut), (0, false));
    let found = ask(&settings, &all, wanted("10.0.0.5/32", None, None), 1 << 20);
    assert_eq!(data(&found), bytes(&[other_server, mine].concat()));
}

#[test]
fn inside_a_tunnel_the_network_is_part_of_the_flow() {
    let wrap = |p: &Packet| Packet {
        ts: p.ts,
        data: Wrap::Vxlan.encapsulate(&p.data),
    };
    let plain = talk("10.0.0.5:4000", "10.0.1.2:80", 1);
    let inside: Vec<Packet> = plain.iter().map(wrap).collect();
    let all = [plain, inside.clone()].concat();
    let settings = settings(1 << 20);
    for vni in [Wrap::VNI, 9] {
        let talk = wanted("10.0.0.0/24", Some("10.0.1.2"), Some(vni));
        assert_eq!(data(&ask(&settings, &all, talk, 1 << 20)), bytes(&inside));
    }
    let talk = wanted("10.0.0.0/24", Some("10.0.1.2"), Some(8));
    assert!(ask(&settings, &all, talk, 1 << 20).frames.is_empty());
}

#[test]
fn a_datagram_is_found_with_all_of_its_pieces_or_with_none() {
    let in_pieces = |client: &str| -> Vec<Packet> {
        let whole = talk(client, "10.0.1.2:80", 1);
        whole.iter().flat_map(pieces).collect()
    };
    let (mine, other) = (in_pieces("10.0.0.5:4000"), in_pieces("10.0.0.6:4000"));
    // Interleaved: each client's piece before the other's.
    let pairs = mine.iter().zip(&other);
    let all: Vec<Packet> = pairs.flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    let talk = wanted("10.0.0.5/32", Some("10.0.1.2"), None);
    let found = ask(&settings(1 << 20), &all, talk, 1 << 20);
    assert_eq!(data(&found), bytes(&mine));
}

#[test]
fn what_is_written_over_or_too_much_is_said() {
    let many: Vec<Packet> = (0..100_u16)
        .flat_map(|n| talk(&format!("10.0.0.5:{}", 4_000 + n), "10.0.1.2:80", 1))
        .collect();
    let talk = || wanted("10.0.0.5/32", None, None);
    let found = ask(&settings(8 << 10), &many, talk(), 1 << 20);
    let kept = found.frames.len();
    assert!((80..120).contains(&kept), "{kept}");
    assert_eq!(data(&found), bytes(&many[many.len() - kept..]));
    let found = ask(&settings(1 << 20), &many, talk(), 1_000);
    assert!(found.cut && found.bytes.len() <= 1_000 && found.frames.len() > 5);
    // While a search goes on, the ring does too.
    let settings = settings(64 << 10);
    let (mut recorder, wishes) = Recorder::new(&settings).unwrap();
    many.iter().for_each(|p| recorder.keep(&frame(p, 0)));
    let (reply, replies) = bounded(1);
    let (from, max_bytes) = (Timestamp::from_secs(NOW), 1 << 20);
    let talks = vec![talk()];
    wishes
        .send(Wish {
            talks,
            from,
            max_bytes,
            reply,
        })
        .unwrap();
    recorder.search = recorder
        .wishes
        .try_recv()
        .ok()
        .map(|w| Search::new(w, &recorder.ring, &settings));
    let held = recorder.ring.serials();
    many[..300].iter().for_each(|p| recorder.keep(&frame(p, 0)));
    recorder.end(|_| "eth0".into());
    let found = replies.recv().unwrap();
    assert_eq!(found.missed, recorder.ring.serials().start - held.start);
    assert_eq!(
        found.frames.len() as u64,
        held.end - held.start - found.missed
    );
    assert!(found.missed > 0 && !found.frames.is_empty());
}
