//! Conversations that are cut, have holes, are joined late or harmed.

use proptest::prelude::*;

use super::*;

/// A conversation of every kind of frame, by segment: whose it is, and its bytes. Blocks are
/// encoded in the order in which they are sent.
fn conversation() -> Vec<(usize, Vec<u8>)> {
    let (mut c, mut s) = (Peer::new(), Peer::new());
    let mut segments = vec![
        (CLIENT, [PREFACE, &settings(&[(1, 4_096)])].concat()),
        (SERVER, settings(&[(3, 100)])),
        (CLIENT, frame(SETTINGS, 1, 0, &[])),
        (CLIENT, [c.get(1, "/one"), c.post(3, "/three")].concat()),
        (SERVER, [s.status(1, "200"), data(1, "body")].concat()),
        (CLIENT, [data(3, "up"), frame(PING, 0, 0, &[7; 8])].concat()),
    ];
    let promise = [
        &2_u32.to_be_bytes()[..],
        &s.0.encode(&request("GET", "/pushed")),
    ]
    .concat();
    let promise = frame(PUSH_PROMISE, END_HEADERS, 1, &promise);
    let long = c.0.encode(&request("PUT", "/long/block"));
    segments.extend([
        (SERVER, [promise, s.status(2, "203")].concat()),
        (CLIENT, frame(HEADERS, END_STREAM, 5, &long[..7])),
        (CLIENT, frame(CONTINUATION, END_HEADERS, 5, &long[7..])),
        (CLIENT, last_data(3, "load")),
        (
            SERVER,
            [last_data(1, ""), s.status(3, "303"), last_data(2, "push")].concat(),
        ),
        (
            SERVER,
            [
                s.status(5, "205"),
                data(5, "x"),
                s.trailers(5, &[("t", "1")]),
            ]
            .concat(),
        ),
        (
            SERVER,
            frame(DATA, PADDED | END_STREAM, 3, b"\x03three\0\0\0"),
        ),
        (
            CLIENT,
            [
                c.get(7, "/seven"),
                frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 9]),
            ]
            .concat(),
        ),
        (SERVER, [s.status(7, "207"), last_data(7, "seven")].concat()),
        (CLIENT, [c.get(9, "/one"), c.get(11, "/seven")].concat()),
        (
            SERVER,
            [s.status(11, "207"), last_data(11, "11"), s.status(9, "209")].concat(),
        ),
        (SERVER, last_data(9, "9")),
    ]);
    segments
}

const TOLD: [&str; 7] = [
    "GET h/one 200 0/4",
    "GET h/pushed 203 0/4",
    "PUT h/long/block 205 0/1",
    "POST h/three 303 6/5",
    "GET h/seven 207 0/5",
    "GET h/seven 207 0/2",
    "GET h/one 209 0/1",
];

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn cut_at_every_offset() {
    let whole = sorted(TOLD.map(str::to_owned).to_vec());
    let segments = conversation();
    for (at, (_, bytes)) in segments.iter().enumerate() {
        for cut in 0..=bytes.len() {
            let mut t = Talk::new();
            for (i, (side, bytes)) in segments.iter().enumerate() {
                let (front, back) = bytes.split_at(if i == at { cut } else { bytes.len() });
                for piece in [front, back] {
                    if !piece.is_empty() {
                        t.say(*side, piece);
                    }
                }
            }
            assert_eq!(sorted(t.told()), whole, "segment {at} cut at {cut}");
        }
    }
    let mut t = Talk::new();
    for (side, bytes) in &segments {
        for byte in bytes {
            t.say(*side, std::slice::from_ref(byte));
        }
    }
    assert_eq!(sorted(t.told()), whole);
}

/// Every record names one exchange of the conversation, or leaves out what it does not know.
fn never_wrong(lines: &[String], context: &str) {
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let (method, target, status) = (words[0], words[1], words[2]);
        let fits = |told: &str| {
            let meant: Vec<&str> = told.split(' ').collect();
            let path = target.trim_start_matches('h').trim_start_matches('-');
            [
                (method, meant[0]),
                (path, &meant[1][1..]),
                (status, meant[2]),
            ]
            .iter()
            .all(|(seen, meant)| seen == meant || matches!(*seen, "-" | ""))
        };
        assert!(TOLD.iter().any(|t| fits(t)), "{context}: {line}");
    }
}

#[test]
fn a_hole_anywhere_is_never_papered_over() {
    let segments = conversation();
    let mut complete = 0;
    for hole in 0..segments.len() {
        for width in 1..=3 {
            let mut t = Talk::new();
            for (i, (side, bytes)) in segments.iter().enumerate() {
                if (hole..hole + width).contains(&i) {
                    t.unseen(*side, bytes);
                } else {
                    t.say(*side, bytes);
                }
            }
            t.wait(20);
            let told = t.told();
            complete += told.iter().filter(|l| TOLD.contains(&l.as_str())).count();
            never_wrong(&told, &format!("hole at {hole} of {width}"));
        }
    }
    // What comes behind a hole refers to what was in front of it, so no more than this is whole.
    let all = TOLD.len() * segments.len() * 3;
    assert!(complete * 100 >= all * 45, "{complete} of {all}");
}

#[test]
fn joined_at_every_segment() {
    let segments = conversation();
    for from in 0..segments.len() {
        let mut t = Talk::mid_stream();
        for (i, (side, bytes)) in segments.iter().enumerate() {
            if i < from {
                t.unseen(*side, bytes);
            } else {
                t.say(*side, bytes);
            }
        }
        let told = t.told();
        never_wrong(&told, &format!("from {from}"));
        if (3..15).contains(&from) {
            assert!(!told.is_empty(), "from {from}");
        }
    }
}

#[test]
fn a_late_joiner_shows_what_it_knows() {
    let mut t = Talk::mid_stream();
    let (mut c, mut s) = (Peer::new(), Peer::new());
    t.unseen(CLIENT, &c.get(1, "/secret/path"));
    t.unseen(SERVER, &[s.status(1, "200"), last_data(1, "x")].concat());
    // All of these fields are in the table that was not seen.
    t.say(CLIENT, &c.get(3, "/secret/path"));
    t.say(SERVER, &[s.status(3, "200"), last_data(3, "abc")].concat());
    t.say(CLIENT, &c.get(5, "/new"));
    t.say(SERVER, &[s.status(5, "404"), last_data(5, "")].concat());
    t.say(CLIENT, &c.get(7, "/new"));
    t.say(SERVER, &[s.status(7, "200"), last_data(7, "y")].concat());
    let told = t.told();
    assert_eq!(
        told,
        [
            "GET -- 200 0/3 !r",
            "GET -/new 404 0/0",
            "GET -/new 200 0/1"
        ]
    );
}

#[test]
fn a_hole_inside_a_body_costs_its_bytes_alone() {
    let (mut t, mut c, mut s) = greeted();
    t.say(CLIENT, &[c.get(1, "/big"), c.get(3, "/small")].concat());
    let big = [s.status(1, "200"), last_data(1, &"x".repeat(4_000))].concat();
    t.say(SERVER, &big[..1_000]);
    t.unseen(SERVER, &big[1_000..3_000]);
    t.say(SERVER, &big[3_000..]);
    // Not at a segment's beginning, and with the table as it was.
    t.say(SERVER, &[s.status(3, "200"), last_data(3, "abc")].concat());
    t.wait(20);
    let told = t.told();
    assert_eq!(told, ["GET h/big 200 0/2000 !t", "GET h/small 200 0/3"]);
}

#[test]
fn a_response_in_a_hole_leaves_its_request_open() {
    let (mut t, mut c, mut s) = greeted();
    t.say(CLIENT, &c.get(1, "/a"));
    t.unseen(SERVER, &[s.status(1, "200"), last_data(1, "x")].concat());
    t.say(CLIENT, &c.get(3, "/b"));
    t.say(
        SERVER,
        &[s.headers(3, 0, &[(":status", "201")]), last_data(3, "y")].concat(),
    );
    t.wait(20);
    assert_eq!(t.told(), ["GET h/b 201 0/1", "GET h/a - 0/- !su"]);
}

/// Something done to a conversation.
#[derive(Clone, Debug)]
enum Harm {
    Lose,
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        Just(Harm::Lose),
        (any::<usize>(), any::<u8>()).prop_map(|(at, by)| Harm::Flip(at, by)),
        any::<usize>().prop_map(Harm::Cut),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
    ]
}

proptest! {
    /// `Talk` holds the ledger at every segment.
    #[test]
    fn harm_is_survived_and_accounted(
        harms in prop::collection::vec((0_usize..18, harm()), 0..6),
        from in prop_oneof![3 => Just(0), 1 => 0_usize..18],
    ) {
        let mut segments = conversation();
        let mut lost = vec![false; segments.len()];
        for (at, harm) in harms {
            let bytes = &mut segments[at].1;
            let place = |at: usize| at % bytes.len().max(1);
            match harm {
                Harm::Lose => lost[at] = true,
                Harm::Flip(at, by) if !bytes.is_empty() => {
                    let at = place(at);
                    bytes[at] ^= by;
                }
                Harm::Flip(..) => {}
                Harm::Cut(at) => bytes.truncate(place(at)),
                Harm::Insert(at, new) => {
                    let at = place(at);
                    bytes.splice(at..at, new);
                }
            }
        }
        let mut t = if from == 0 { Talk::new() } else { Talk::mid_stream() };
        for (i, (side, bytes)) in segments.iter().enumerate() {
            if i < from || lost[i] || bytes.is_empty() {
                t.unseen(*side, bytes);
            } else {
                t.say(*side, bytes);
            }
        }
        t.wait(20);
        t.told();
    }

    /// Nothing but losses: what is shown is still right.
    #[test]
    fn losses_never_lie(lost in prop::collection::vec(any::<bool>(), 18), from in 0_usize..6) {
        let mut t = if from == 0 { Talk::new() } else { Talk::mid_stream() };
        for (i, (side, bytes)) in conversation().iter().enumerate() {
            if i < from || lost[i] {
                t.unseen(*side, bytes);
            } else {
                t.say(*side, bytes);
            }
        }
        t.wait(20);
        never_wrong(&t.told(), "losses");
    }

    #[test]
    fn any_bytes_are_survived(
        segments in prop::collection::vec(
            (0_usize..2, 0_u8..12, any::<u8>(), 0_u32..6, prop::collection::vec(any::<u8>(), 0..40)),
            0..20
        )
    ) {
        let (mut t, ..) = greeted();
        for (side, kind, flags, stream, payload) in segments {
            t.say(side, &frame(kind, flags, stream, &payload));
        }
        t.told();
    }

    #[test]
    fn noise_is_no_frame(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(sync(&bytes, |_| false), Sync::No);
    }
}

#[test]
fn a_name_that_is_inserted_but_unknown_stays_in_step() {
    let mut t = Talk::mid_stream();
    let (mut c, mut s) = (Peer::new(), Peer::new());
    t.unseen(
        CLIENT,
        &c.headers(
            1,
            END_STREAM,
            &[(":method", "GET"), (":path", "/"), ("x-tag", "1")],
        ),
    );
    t.unseen(SERVER, &s.headers(1, END_STREAM, &[(":status", "204")]));
    let mut block = c.0.encode(&[(":method", "GET"), (":path", "/new")]);
    c.0.field(Form::Insert, b"x-tag", b"2", &mut block);
    t.say(CLIENT, &frame(HEADERS, END_STREAM | END_HEADERS, 3, &block));
    t.say(SERVER, &s.headers(3, END_STREAM, &[(":status", "204")]));
    t.say(
        CLIENT,
        &c.headers(
            5,
            END_STREAM,
            &[(":method", "GET"), (":path", "/new"), ("x-tag", "2")],
        ),
    );
    t.say(SERVER, &s.headers(5, END_STREAM, &[(":status", "204")]));
    assert_eq!(t.told(), ["GET -/new 204 0/0"; 2]);
}
