//! Who looks into messages sees what was sent.

use std::sync::{Arc, Mutex};

use super::sampler::MAX_CONTENT;
use super::*;

const TAKEOVER: &[u8] =
    b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

type Seen = Arc<Mutex<Vec<(bool, Vec<u8>, bool)>>>;

/// A connection that somebody looks into.
fn watched(switch: &[u8]) -> (Talk, Seen) {
    let mut talk = upgraded(switch);
    let seen = Seen::default();
    let notes = seen.clone();
    talk.out.look = Some(Box::new(move |record, message| {
        assert_eq!(record.path.as_deref(), Some("/live"));
        let mut notes = notes.lock().unwrap();
        notes.push((message.from_client, message.content.to_vec(), message.whole));
    }));
    (talk, seen)
}

fn contents(seen: &Seen) -> Vec<Vec<u8>> {
    seen.lock().unwrap().iter().map(|s| s.1.clone()).collect()
}

#[test]
fn texts_of_both_ways_at_every_cut() {
    let to_server = [
        up(0x01, b"{\"n\""),
        up(0x89, b"there?"),
        up(0x80, b":1}"),
        up(0x82, b"binary"),
        up(0x81, b""),
    ]
    .concat();
    for cut in 0..to_server.len() {
        let (mut talk, seen) = watched(SWITCH);
        talk.say(0, &to_server[..cut]).say(0, &to_server[cut..]);
        talk.say(1, &down(0x81, b"[]"));
        let expected = [
            (true, b"{\"n\":1}".to_vec(), true),
            (true, vec![], true),
            (false, b"[]".to_vec(), true),
        ];
        assert_eq!(*seen.lock().unwrap(), expected, "{cut}");
    }
}

#[test]
fn what_is_written_goes_out_with_the_record() {
    let mut talk = upgraded(SWITCH);
    talk.out.look = Some(Box::new(|record, _| record.country = Some("DE".into())));
    talk.say(1, &down(0x81, b"x"));
    assert_eq!(talk.records()[1].country.as_deref(), Some("DE"));
}

#[test]
fn the_first_and_then_a_few() {
    let (mut talk, seen) = watched(SWITCH);
    for n in 0..200 {
        talk.say(1, &down(0x81, n.to_string().as_bytes()));
    }
    let expected = (0..16).chain([64, 128, 192]);
    let expected: Vec<_> = expected.map(|n: u32| n.to_string().into_bytes()).collect();
    assert_eq!(contents(&seen), expected);
}

#[test]
fn of_a_long_one_its_beginning() {
    let text: Vec<u8> = (0..9_000_u32)
        .flat_map(|n| n.to_string().into_bytes())
        .collect();
    let squeezed = &deflated(&[&text], false)[0];
    for (switch, first, content) in [(SWITCH, 0x81, &text), (TAKEOVER, 0xc1, squeezed)] {
        let (mut talk, seen) = watched(switch);
        for piece in down(first, content).chunks(1_000) {
            talk.say(1, piece);
        }
        let seen = seen.lock().unwrap();
        let (_, content, whole) = &seen[0];
        assert!(content.len() == MAX_CONTENT && text.starts_with(content) && !whole);
    }
}

#[test]
fn compressed_ones_that_refer_back() {
    let texts: Vec<Vec<u8>> = (0..40)
        .map(|n| format!("{{\"symbol\":\"X\",\"price\":{n}}}").into_bytes())
        .collect();
    let all: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let messages = deflated(&all, true);
    let (mut talk, seen) = watched(TAKEOVER);
    for (n, message) in messages.iter().enumerate() {
        // Binary ones are referred to as well, and a plain one is not.
        talk.say(1, &down(if n == 3 { 0xc2 } else { 0xc1 }, message));
        if n == 4 {
            talk.say(1, &down(0x81, b"plain"));
        }
    }
    let mut expected = texts[..15].to_vec();
    expected[3..5].reverse();
    expected.remove(4);
    expected.insert(4, b"plain".to_vec());
    assert_eq!(contents(&seen), expected);
    // Behind a hole nothing that refers back is told.
    let (mut talk, seen) = watched(TAKEOVER);
    talk.say(1, &down(0xc1, &messages[0]));
    talk.unseen(1, &down(0xc1, &messages[1]));
    talk.say(
        1,
        &[down(0xc1, &messages[2]), down(0x81, b"plain")].concat(),
    )
    .wait(20);
    assert_eq!(contents(&seen), [texts[0].clone(), b"plain".to_vec()]);
}

#[test]
fn compressed_ones_on_their_own_are_told_behind_a_hole() {
    let messages = deflated(&[b"one", b"two", b"three"], false);
    let (mut talk, seen) = watched(DEFLATE);
    let piece = |n: usize| up(0xc1, &messages[n]);
    talk.say(0, &piece(0))
        .unseen(0, &piece(1))
        .say(0, &piece(2))
        .wait(20);
    assert_eq!(contents(&seen), [b"one".to_vec(), b"three".to_vec()]);
}

#[test]
fn a_hole_in_a_message_leaves_it_out() {
    let message = down(0x81, &[b'x'; 100]);
    let (mut talk, seen) = watched(SWITCH);
    talk.say(1, &message[..50])
        .unseen(1, &message[50..60])
        .say(1, &message[60..]);
    talk.say(1, &down(0x81, b"next")).wait(20);
    assert_eq!(contents(&seen), [b"next".to_vec()]);
}

#[test]
fn the_examples_of_compression() {
    // RFC 7692, sections 7.2.3.2, 7.2.3.3 and 7.2.3.5: the second "Hello" refers to the first, a
    // stored block, and two blocks.
    let hello = |packed: &[&[u8]]| {
        let whole: Vec<u8> = packed
            .iter()
            .flat_map(|m| [*m, &SYNC_FLUSH].concat())
            .collect();
        inflate(&whole, 100).map(|i| (String::from_utf8(i.content).unwrap(), i.all))
    };
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(hello(&[&first]), Some(("Hello".into(), true)));
    assert_eq!(hello(&[&first, &second]), Some(("HelloHello".into(), true)));
    let stored = [
        0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
    ];
    assert_eq!(hello(&[&stored]), Some(("Hello".into(), true)));
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    assert_eq!(hello(&[&last, &first]), Some(("HelloHello".into(), true)));
    assert_eq!(hello(&[&[0xff, 0xff, 0xff]]), None);
    let zeros = deflated(&[&vec![0; 1 << 20]], false);
    assert_eq!(
        inflate(&zeros[0], 100).map(|i| (i.content.len(), i.all)),
        Some((100, false))
    );
}

#[test]
fn a_bomb_is_cut_and_little_is_kept() {
    let zeros = vec![b'0'; 1 << 20];
    let bomb = &deflated(&[&zeros], true)[0];
    let (mut talk, seen) = watched(TAKEOVER);
    talk.say(1, &down(0xc1, bomb)).say(1, &down(0xc1, bomb));
    assert_eq!(
        *seen.lock().unwrap(),
        [(false, zeros[..MAX_CONTENT].to_vec(), false)]
    );
    let mut sampler = Sampler::default();
    for n in 0..1_000 {
        sampler.begin(true, n % 2 == 0, true);
        sampler.feed(&[7; 100_000], KEY, 0);
        assert!(sampler.held() < 40_000);
        sampler.end();
    }
}

proptest! {
    /// Whatever is sent, in whatever frames and pieces, is what is seen.
    #[test]
    fn what_is_sent_is_seen(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..12),
        compress in any::<bool>(),
        cut in 1..40_usize,
        step in 1..90_usize,
    ) {
        let (mut talk, seen) = watched(if compress { TAKEOVER } else { SWITCH });
        let all: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let sent = if compress { deflated(&all, true) } else { texts.clone() };
        let mut wire = Vec::new();
        for message in &sent {
            let (one, two) = message.split_at(cut.min(message.len()));
            wire.extend(up(if compress { 0x41 } else { 0x01 }, one));
            wire.extend(up(0x80, two));
        }
        wire.chunks(step).for_each(|piece| _ = talk.say(0, piece));
        prop_assert_eq!(contents(&seen), texts);
    }

    #[test]
    fn any_bytes_look(pieces in prop::collection::vec((any::<bool>(), prop_oneof![
        any_frame(), prop::collection::vec(any::<u8>(), 0..100)]), 0..30), takeover in any::<bool>()) {
        let (mut talk, seen) = watched(if takeover { TAKEOVER } else { DEFLATE });
        for (known, bytes) in &pieces {
            if *known { talk.say(0, bytes) } else { talk.unseen(0, bytes) };
        }
        talk.wait(20);
        let told = seen.lock().unwrap().len() as u64;
        prop_assert!(told <= talk.out.counters.sessions.analysed);
    }
}
