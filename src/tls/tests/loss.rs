//! Holes in the capture, and bytes that are no TLS at all.

use proptest::prelude::*;

use super::*;

/// A conversation whose server says 60 numbered lines of different length, a record each; and what
/// was said before and behind any of them.
fn lines(suite: SupportedCipherSuite) -> (Peers, Conversation, Vec<String>) {
    let peers = Peers::new(suite, |_, _| {});
    let mut talk = peers.connect();
    talk.settle();
    talk.client_says(REQUEST);
    let lines: Vec<String> = (0..60)
        .map(|n| format!("line {n} {}\n", "x".repeat(n * 37 % 900)))
        .collect();
    for line in &lines {
        talk.server_says(line.as_bytes());
    }
    (peers, talk, lines)
}

/// Hears all but the bytes `hole` of the server's stream, in pieces that know nothing of records.
fn with_hole(wire: &Wire, keys: Arc<KeyStore>, hole: std::ops::Range<usize>, size: usize) -> Heard {
    let mut listener = Listener::new(keys);
    let mut at = 0;
    for (side, bytes) in wire {
        if *side == Side::Orig {
            listener.hear(*side, Timestamp::from_secs(0), bytes);
            continue;
        }
        for piece in bytes.chunks(size) {
            let range = at..at + piece.len();
            at = range.end;
            let lost = range.start.max(hole.start)..range.end.min(hole.end);
            if lost.is_empty() {
                listener.hear(*side, Timestamp::from_secs(0), piece);
                continue;
            }
            let (before, behind) = (
                &piece[..lost.start - range.start],
                &piece[lost.end - range.start..],
            );
            if !before.is_empty() {
                listener.hear(*side, Timestamp::from_secs(0), before);
            }
            // One hole may span pieces; the flow table tells of it in one or in several.
            listener.lose(*side, lost.len());
            if !behind.is_empty() {
                listener.hear(*side, Timestamp::from_secs(0), behind);
            }
        }
    }
    listener.end()
}

fn both() -> [SupportedCipherSuite; 2] {
    [
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ]
}

fn server_bytes(wire: &Wire) -> usize {
    wire.iter()
        .filter(|(side, _)| *side == Side::Resp)
        .map(|(_, bytes)| bytes.len())
        .sum()
}

/// Wherever the hole lies, what is heard is lines of the conversation in their order, whole but
/// for the lost ones, and where the length of the loss is told it is right.
#[test]
fn behind_a_hole_the_stream_is_found_again() {
    for suite in both() {
        let (peers, talk, lines) = lines(suite);
        let keys = peers.keys();
        let all = lines.concat();
        let total = server_bytes(&talk.wire);
        let mut found_again = 0;
        for start in (0..total - 3_000).step_by(509) {
            for length in [1, 30, 700, 2_500] {
                let heard = with_hole(&talk.wire, keys.clone(), start..start + length, 1_000);
                let said = heard.said(Side::Resp);
                let mut expected = lines.iter();
                for line in said.split_inclusive('\n') {
                    assert!(expected.any(|e| e == line), "{start}+{length}: {line:?}");
                }
                let missing = all.len() - said.len();
                if let [(Side::Resp, at, Some(len))] = heard.gaps[..] {
                    assert_eq!(len as usize, missing, "{start}+{length}");
                    assert!(all.starts_with(&said[..at as usize]));
                }
                // The longest line and both ends of the hole may go with it.
                found_again += usize::from(missing < length + 2_000);
                // The other direction needs the server's hello alone.
                let asked = heard.said(Side::Orig).as_bytes() == REQUEST;
                assert_eq!(asked, heard.facts.version.is_some());
            }
        }
        // Only a hole in the hellos may cost the direction.
        let tried = (0..total - 3_000).step_by(509).count() * 4;
        assert!(found_again * 100 >= tried * 95, "{found_again} of {tried}");
    }
}

#[test]
fn a_hole_in_one_record_is_known_to_the_byte() {
    for suite in both() {
        let (peers, talk, lines) = lines(suite);
        let total = server_bytes(&talk.wire);
        let last = lines[59].len();
        // Inside the last record but one byte, with its header and the record before it heard.
        let heard = with_hole(&talk.wire, peers.keys(), total - 20..total - 10, usize::MAX);
        let said: usize = lines[..59].iter().map(String::len).sum();
        assert_eq!(heard.gaps, [(Side::Resp, said as u64, Some(last as u64))]);
        assert_eq!(heard.counters.resynchronised, 0);
    }
}

#[test]
fn a_stream_without_end_of_false_marks_is_given_up() {
    let peers = Peers::new(both()[0], |_, _| {});
    let mut talk = peers.connect();
    talk.settle();
    talk.client_says(REQUEST);
    talk.server_says(ANSWER);
    let mut listener = Listener::new(peers.keys());
    for (side, bytes) in &talk.wire {
        listener.hear(*side, Timestamp::from_secs(0), bytes);
    }
    listener.lose(Side::Resp, 1 << 20);
    let mark = [23, 3, 3, 0x40, 0x00].repeat(200_000);
    for piece in mark.chunks(1_460) {
        listener.hear(Side::Resp, Timestamp::from_secs(0), piece);
    }
    let heard = listener.end();
    assert_eq!((heard.counters.lost, heard.counters.resynchronised), (1, 0));
    assert_eq!(heard.said(Side::Resp), String::from_utf8_lossy(ANSWER));
}

/// What may come from a network, in any order.
#[derive(Clone, Debug)]
enum Act {
    Bytes(Side, Vec<u8>),
    Record(Side, u8, Vec<u8>),
    /// A piece of a real conversation.
    Real(usize),
    Lose(Side, usize),
}

fn act() -> impl Strategy<Value = Act> {
    let side = prop_oneof![Just(Side::Orig), Just(Side::Resp)];
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        1 => (side.clone(), bytes.clone()).prop_map(|(s, b)| Act::Bytes(s, b)),
        2 => (side.clone(), 20_u8..25, bytes).prop_map(|(s, k, b)| Act::Record(s, k, b)),
        6 => (0_usize..12).prop_map(Act::Real),
        1 => (side, 1_usize..5_000).prop_map(|(s, n)| Act::Lose(s, n)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Nothing panics, and nothing comes out that was not said.
    #[test]
    fn any_order_of_anything(acts in prop::collection::vec(act(), 0..40), growing in any::<bool>()) {
        static TALKS: std::sync::LazyLock<Vec<(Wire, Vec<u8>)>> = std::sync::LazyLock::new(|| {
            both()
                .map(|suite| {
                    let (peers, talk, _) = lines(suite);
                    (talk.wire, peers.log())
                })
                .to_vec()
        });
        for (wire, log) in &*TALKS {
            let keys = if growing { KeyStore::growing() } else { KeyStore::default() };
            let keys = Arc::new(keys);
            let mut listener = Listener::new(keys.clone());
            for (n, act) in acts.iter().enumerate() {
                if !growing || n == acts.len() / 2 {
                    keys.load(log);
                }
                let ts = Timestamp::from_secs(0);
                match act {
                    Act::Bytes(side, bytes) => listener.hear(*side, ts, bytes),
                    Act::Record(side, kind, body) => {
                        let mut record = vec![*kind, 3, 3, 0, body.len() as u8];
                        record.extend(body);
                        listener.hear(*side, ts, &record);
                    }
                    Act::Real(at) => {
                        let (side, bytes) = &wire[*at];
                        listener.hear(*side, ts, bytes);
                    }
                    Act::Lose(side, len) => listener.lose(*side, *len),
                }
            }
            let heard = listener.end();
            for side in [Side::Orig, Side::Resp] {
                for line in heard.said(side).split_inclusive('\n') {
                    prop_assert!(line.starts_with("line ") || String::from_utf8_lossy(REQUEST).contains(line));
                }
            }
        }
    }
}
