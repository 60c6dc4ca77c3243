use std::net::IpAddr;

use super::*;
use crate::decode::{Network, Segment, TcpFlags};
use crate::exchange;
use crate::flow::{FlowKey, FlowTable, Settings};

/// One connection, spoken segment by segment. Sequence and acknowledgement numbers are kept, so a
/// segment that is not sent is a hole as a capture would have it.
pub(super) struct Talk {
    table: FlowTable<Connection>,
    pub(super) out: Out,
    now: i64,
    /// Next offset of client and server.
    at: [u32; 2],
    /// What each side has received of the other.
    had: [u32; 2],
}

const MS: i64 = 1_000_000;
const ISN: [u32; 2] = [1_000, 9_000];

impl Talk {
    pub(super) fn mid_stream() -> Self {
        Self {
            table: FlowTable::new(Settings::default(), 1),
            out: Out::new(Observer::new(&[7; 32], true), Arc::default()),
            now: 1_000 * MS,
            at: [0, 0],
            had: [0, 0],
        }
    }

    pub(super) fn new() -> Self {
        let mut talk = Self::mid_stream();
        talk.push(0, ISN[0].wrapping_sub(1), "S", b"");
        talk.push(1, ISN[1].wrapping_sub(1), "SA", b"");
        talk
    }

    fn push(&mut self, side: usize, seq: u32, flags: &str, payload: &[u8]) {
        let ends = [
            (IpAddr::from([10, 0, 0, 1]), 40_000),
            (IpAddr::from([10, 0, 0, 2]), 8_080),
        ];
        self.now += MS;
        let has = |f| flags.contains(f);
        let segment = Segment {
            ts: Timestamp(self.now),
            src: ends[side].0,
            dst: ends[1 - side].0,
            src_port: ends[side].1,
            dst_port: ends[1 - side].1,
            network: Network::default(),
            seq,
            ack: ISN[1 - side] + self.had[side],
            flags: TcpFlags {
                syn: has('S'),
                ack: has('A'),
                fin: has('F'),
                rst: has('R'),
            },
            payload,
            window: 512,
            stamp: 0,
            sum: 0,
            header: &[],
            missing: 0,
            tap: 0,
        };
        self.out.now = Timestamp(self.now);
        self.table.push(
            &segment,
            FlowKey::of(&segment),
            Timestamp(self.now),
            &mut self.out,
            Connection::new,
        );
        let c = self.out.counters;
        assert_eq!(c.messages, c.accounted(), "{c:?}");
    }

    /// The receiver gets it and so does the mirror.
    pub(super) fn say(&mut self, side: usize, text: &[u8]) -> &mut Self {
        self.push(side, ISN[side] + self.at[side], "A", text);
        self.unseen(side, text)
    }

    /// The receiver gets it, the mirror does not.
    pub(super) fn unseen(&mut self, side: usize, text: &[u8]) -> &mut Self {
        self.at[side] += text.len() as u32;
        self.had[1 - side] = self.at[side];
        self
    }

    fn c(&mut self, text: &str) -> &mut Self {
        self.say(0, text.as_bytes())
    }

    fn s(&mut self, text: &str) -> &mut Self {
        self.say(1, text.as_bytes())
    }

    /// The client acknowledges what it has, with nothing to say.
    fn ack(&mut self) -> &mut Self {
        self.push(0, ISN[0] + self.at[0], "A", b"");
        self
    }

    pub(super) fn fin(&mut self, side: usize) -> &mut Self {
        self.push(side, ISN[side] + self.at[side], "FA", b"");
        self
    }

    /// Time goes by, and no clock ticks.
    pub(super) fn pause(&mut self, seconds: i64) -> &mut Self {
        self.now += seconds * 1_000 * MS;
        self
    }

    pub(super) fn wait(&mut self, seconds: i64) -> &mut Self {
        self.pause(seconds);
        self.out.now = Timestamp(self.now);
        self.table.tick(Timestamp(self.now), &mut self.out);
        self
    }

    /// `GET h/path 200 5` with a mark for what is missing.
    pub(super) fn told(&mut self) -> Vec<String> {
        self.records().iter().map(|x| line(x)).collect()
    }

    /// All records; the connection is over.
    #[allow(clippy::vec_box)]
    pub(super) fn records(&mut self) -> Vec<Box<Exchange>> {
        self.table.finish(Timestamp(self.now), &mut self.out);
        let c = self.out.counters;
        assert_eq!((c.pending, c.messages), (0, c.accounted()), "{c:?}");
        let s = c.sessions;
        assert_eq!((s.pending, s.messages), (0, s.accounted()), "{s:?}");
        std::mem::take(&mut self.out.exchanges)
    }
}

pub(super) fn line(x: &Exchange) -> String {
    if let Some(s) = &x.session {
        let close = s.close.map_or_else(String::new, |c| format!(" {c}"));
        let marks = [(s.first, "f"), (s.over, "o"), (s.lossy, "l")];
        let marks: String = marks.iter().filter(|(set, _)| *set).map(|m| m.1).collect();
        return format!(
            "{} {}/{} {}/{}{close} {marks}",
            s.kind.as_str(),
            s.up.messages,
            s.up.bytes,
            s.down.messages,
            s.down.bytes
        );
    }
    let text = |t: &Option<compact_str::CompactString>| t.as_deref().unwrap_or("-").to_owned();
    let status = x.status.map_or_else(|| "-".into(), |s| s.to_string());
    let bytes = |b: Option<u64>| b.map_or_else(|| "-".into(), |b| b.to_string());
    let query = x
        .query
        .as_deref()
        .map(|q| format!("?{q}"))
        .unwrap_or_default();
    let marks: String = x
        .partial
        .flags()
        .into_iter()
        .zip(["q", "s", "u", "t", "r"])
        .filter(|(set, _)| *set)
        .map(|(_, m)| m)
        .collect();
    let marks = if marks.is_empty() {
        marks
    } else {
        format!(" !{marks}")
    };
    let (up, down) = (bytes(x.request_bytes), bytes(x.response_bytes));
    format!(
        "{} {}{}{query} {status} {up}/{down}{marks}",
        text(&x.method),
        text(&x.host),
        text(&x.path)
    )
}

const GET_A: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const GET_B: &str = "GET /b HTTP/1.1\r\nHost: h\r\n\r\n";
const GET_C: &str = "GET /c HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";

fn expect(talk: &mut Talk, lines: &[&str]) {
    assert_eq!(talk.told(), lines);
}

#[test]
fn keep_alive() {
    expect(
        Talk::new().c(GET_A).s(OK).c(GET_B).s(NOT_FOUND),
        &["GET h/a 200 0/5", "GET h/b 404 0/2"],
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let all = format!("{GET_A}{GET_B}{GET_C}");
    let answers = format!("{OK}{NOT_FOUND}{OK}");
    expect(
        Talk::new().c(&all).s(&answers),
        &["GET h/a 200 0/5", "GET h/b 404 0/2", "GET h/c 200 0/5"],
    );
}

#[test]
fn framing_of_every_kind() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n";
    let post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let put =
        "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let head = "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n";
    let mut t = Talk::new();
    t.c(post)
        .s(chunked)
        .c(put)
        .s("HTTP/1.1 204 No Content\r\n\r\n")
        .c(head)
        .s(long);
    t.c(GET_A)
        .s("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n");
    t.c(GET_B).s("HTTP/1.1 200 OK\r\n\r\nuntil the end").fin(1);
    expect(
        &mut t,
        &[
            "POST h/a 200 3/3",
            "PUT h/a 204 2/0",
            "HEAD h/a 200 0/0",
            "GET h/a 304 0/0",
            "GET h/b 200 0/13",
        ],
    );
}

#[test]
fn interim_responses_are_no_answers() {
    let post = "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let mut t = Talk::new();
    t.c(post)
        .s("HTTP/1.1 100 Continue\r\n\r\n")
        .c("abc")
        .s("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        .s(OK);
    expect(&mut t, &["POST h/a 200 3/5"]);
}

#[test]
fn an_early_answer_cuts_the_request() {
    let post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc";
    expect(Talk::new().c(post).s(NOT_FOUND), &["POST h/a 404 3/2 !t"]);
    // Unless the server says more, and so has read to its end.
    let both = format!("{NOT_FOUND}{OK}");
    expect(
        Talk::new().c(post).s(&both),
        &["POST h/a 404 3/2 !t", "- -- 200 -/5 !q"],
    );
}

#[test]
fn an_early_answer_waits_for_its_request() {
    let post = |length| {
        format!(
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let query = r#"{"query":"query Get { a }"}"#;
    let mut t = Talk::new();
    t.c(&post(query.len())).s(OK);
    assert_eq!(t.out.exchanges.len(), 0);
    t.c(&query[..9]).c(&query[9..]);
    let x = &t.out.exchanges[0];
    assert_eq!((x.end, x.latency_ms), (Timestamp(t.now), None));
    let operation = x.operation.as_ref().and_then(|o| o.name.as_deref());
    assert_eq!(operation, Some("query Get"));
    // The next ones in one segment with what was missing.
    t.c(&post(3)).s(NOT_FOUND);
    t.c(&format!("abc{}xyz{GET_A}", post(3))).s(OK).s(OK);
    expect(
        &mut t,
        &[
            "POST h/a 200 27/5",
            "POST h/a 404 3/2",
            "POST h/a 200 3/5",
            "GET h/a 200 0/5",
        ],
    );
}

#[test]
fn targets_and_hosts() {
    let mut t = Talk::new();
    t.c("GET http://Proxy.Example:81/x?q=1#f HTTP/1.1\r\nHost: other\r\n\r\n")
        .s(OK);
    t.c("OPTIONS * HTTP/1.1\r\nHost: H:8080\r\n\r\n").s(OK);
    t.c("GET http://only.example HTTP/1.0\r\n\r\n").s(OK);
    expect(
        &mut t,
        &[
            "GET proxy.example:81/x?q=1 200 0/5",
            "OPTIONS h:8080* 200 0/5",
            "GET only.example/ 200 0/5",
        ],
    );
}

#[test]
fn what_httparse_refuses_servers_take() {
    let mut t = Talk::new();
    t.c("GET   /a b   HTTP/1.1\nHost : h\nX: 1\n folded\nbad line\n\n")
        .s("HTTP/1.1  200\nContent-Length : 2\n\nok");
    assert_eq!(
        anomalies(&t),
        ["bare_lf", "header_line", "obs_fold", "request_line"]
    );
    expect(&mut t, &["GET h/a 200 0/2"]);
}

#[test]
fn a_fold_belongs_to_the_value_before_it() {
    let mut t = Talk::new();
    t.c("POST /a HTTP/1.1\r\nHost:\r\n h\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        .s(OK);
    assert_eq!(anomalies(&t), ["obs_fold"]);
    expect(&mut t, &["POST h/a 200 2/5"]);
}

#[test]
fn what_smuggles_is_flagged_and_framed_as_the_rfc_has_it() {
    let cases = [
        // RFC 9112, section 6.3: Transfer-Encoding overrides.
        (
            "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "length_and_chunked",
            "1",
        ),
        (
            "Content-Length: 3\r\nContent-Length: 7\r\n\r\nabc",
            "length_conflict",
            "3",
        ),
        (
            "Content-Length: 3\r\nContent-Length: +3\r\n\r\nabc",
            "length_invalid",
            "3",
        ),
        (
            "Transfer-Encoding: xchunked\r\n\r\n",
            "transfer_coding",
            "-",
        ),
        (
            "Host: other\r\nContent-Length: 3\r\n\r\nabc",
            "host_conflict",
            "3",
        ),
        ("Content-Length : 3\r\n\r\nabc", "header_line", "3"),
        ("Content-Length: 3\n\nabc", "bare_lf", "3"),
        ("Content-Length: 3, 3\r\n\r\nabc", "", "3"),
    ];
    for (rest, name, bytes) in cases {
        let mut t = Talk::new();
        t.c(&format!("POST /a HTTP/1.1\r\nHost: h\r\n{rest}"))
            .s(OK)
            .c(GET_B)
            .s(OK);
        assert_eq!(anomalies(&t).join(","), name, "{rest:?}");
        let first = format!("POST h/a 200 {bytes}/5");
        expect(&mut t, &[&first, "GET h/b 200 0/5"]);
    }
}

#[test]
fn a_method_alone_and_what_the_server_says_to_it() {
    let mut t = Talk::new();
    t.c("OPTIONS\r\nHost: h\r\n\r\n").s(NOT_FOUND);
    assert_eq!(anomalies(&t), ["request_line"]);
    expect(&mut t, &["OPTIONS h- 404 0/2"]);
}

#[test]
fn a_password_in_the_target_is_no_part_of_the_host() {
    let mut t = Talk::new();
    t.c("GET http://ann:hunter2@h/x HTTP/1.1\r\nHost: h\r\n\r\n")
        .s(OK);
    expect(&mut t, &["GET h/x 200 0/5"]);
}

#[test]
fn no_server_takes_a_head_of_100_kilobytes() {
    let mut t = Talk::new();
    t.c("GET /a HTTP/1.1\r\nHost: h\r\n");
    for _ in 0..100 {
        t.c(&format!("X: {}\r\n", "x".repeat(1_000)));
    }
    t.c("\r\n").s(NOT_FOUND).c(GET_B).s(OK);
    assert_eq!(t.out.counters.huge_heads, 1);
    expect(&mut t, &["- -- 404 -/2 !qu", "GET h/b 200 0/5"]);
}

#[test]
fn pipelines_of_hundreds() {
    let asks: String = (0..500)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n"))
        .collect();
    let answers: String = (0..500)
        .map(|n| format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", 200 + n % 300))
        .collect();
    let mut t = Talk::new();
    for piece in asks.as_bytes().chunks(1_400) {
        t.say(0, piece);
    }
    for piece in answers.as_bytes().chunks(1_400) {
        t.say(1, piece);
    }
    let told = t.told();
    assert_eq!(told.len(), 500);
    for (n, line) in told.iter().enumerate() {
        assert_eq!(*line, format!("GET h/{n} {} 0/0", 200 + n % 300));
    }
}

#[test]
fn a_client_cannot_answer_itself() {
    let mut t = Talk::new();
    t.c(GET_A)
        .s(OK)
        .c(GET_B)
        .c("HT")
        .c("TP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .s(NOT_FOUND);
    assert!(!t.told().contains(&"GET h/b 200 0/0".to_owned()));
}

#[test]
fn a_server_cannot_become_the_client() {
    let mut t = Talk::new();
    t.c(GET_A)
        .s("GE")
        .s("T /flip HTTP/1.1\r\nHost: h\r\n\r\n")
        .c(GET_B)
        .s(OK);
    assert!(t.told().iter().all(|l| !l.contains("flip")));
}

#[test]
fn detection_does_not_depend_on_segments() {
    expect(
        Talk::new()
            .c("EHLO")
            .c(" mail.example\r\n\r\n")
            .s("250 ok\r\n"),
        &[],
    );
}

#[test]
fn no_password_in_the_host() {
    for head in [
        "GET http://ann:hunter2@h/x HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: ann:hunter2@h\r\n\r\n",
    ] {
        assert!(
            Talk::new()
                .c(head)
                .s(OK)
                .told()
                .iter()
                .all(|l| !l.contains("hunter2")),
            "{head}"
        );
    }
}

#[test]
fn what_follows_a_body_of_unknown_length_is_paired_with_nothing() {
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for framing in [
        "Content-Length: 99999999999999999999",
        "Content-Length: +35",
        "Content-Length: 0\r\nContent-Length: 35",
        "Transfer-Encoding: xchunked",
    ] {
        let mut t = Talk::new();
        t.c(&format!(
            "POST /a HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n{smuggled}"
        ))
        .s(OK);
        let halves = ["POST h/a", "GET h/smuggled", "- --"];
        let told = t.told();
        assert_eq!(told.len(), 3, "{framing}: {told:?}");
        for (half, line) in halves.iter().zip(&told) {
            assert!(line.starts_with(half), "{framing}: {told:?}");
            assert!(line.contains('u'), "unpaired: {framing}: {told:?}");
        }
    }
}

#[test]
fn a_head_is_too_large_whatever_its_segments() {
    let big = format!(
        "GET /a HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "a".repeat(70_000)
    );
    let by = |n: usize| {
        let mut t = Talk::new();
        for p in big.as_bytes().chunks(n) {
            t.say(0, p);
        }
        t.s(OK).told()
    };
    assert_eq!(by(1_460), by(60_000));
}

#[test]
fn an_answer_to_an_unseen_head_eats_no_other() {
    let mut t = Talk::mid_stream();
    t.s("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        .c(GET_A)
        .s(OK)
        .c(GET_B)
        .s(NOT_FOUND);
    assert!(t.told().contains(&"GET h/b 404 0/2".to_owned()));
}

#[test]
fn a_refused_expectation_leaves_the_connection_readable() {
    let mut t = Talk::new();
    t.c("POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
        .s("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        .c(GET_A)
        .s(OK)
        .c(GET_B)
        .s(NOT_FOUND);
    assert!(t.told().iter().any(|l| l.starts_with("GET h/b")));
}

/// Of the first exchange.
fn anomalies(t: &Talk) -> Vec<&'static str> {
    t.out.exchanges[0].anomalies.names().collect()
}

#[test]
fn a_connect_tunnel_is_read_inside() {
    let mut t = Talk::new();
    t.c("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n")
        .s("HTTP/1.1 200 Established\r\n\r\n")
        .c(GET_A)
        .s(OK);
    expect(&mut t, &["CONNECT h:443h:443 200 0/0", "GET h/a 200 0/5"]);
}

#[test]
fn an_upgrade_ends_http() {
    let mut t = Talk::new();
    t.c("GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n")
        .s("HTTP/1.1 101 Switching Protocols\r\n\r\n");
    t.c("\u{1}\u{5}GET / HTTP/1.1\r\n\r\n").s("binary");
    expect(&mut t, &["GET h/ws 101 0/0"]);
}

#[test]
fn other_protocols_make_no_exchange() {
    let mut t = Talk::new();
    t.say(0, b"\x16\x03\x01\x00\x05hello")
        .say(1, b"\x16\x03\x03\x00\x05hello");
    assert_eq!(t.out.counters.tls, 1);
    expect(&mut t, &[]);
    let mut t = Talk::new();
    t.s("220 mail.example ESMTP\r\n")
        .c("EHLO x\r\n")
        .s("250 HELP\r\n");
    expect(&mut t, &[]);
}

#[test]
fn a_hole_inside_a_known_length_is_skipped() {
    let mut t = Talk::new();
    t.c(GET_A)
        .s("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        .unseen(1, b"defg")
        .s("hij")
        .ack()
        .wait(2);
    t.c(GET_B).s(NOT_FOUND);
    expect(&mut t, &["GET h/a 200 0/6 !t", "GET h/b 404 0/2"]);
}

#[test]
fn a_lost_response_is_not_replaced_by_the_next() {
    let mut t = Talk::new();
    t.c(GET_A)
        .unseen(1, OK.as_bytes())
        .c(GET_B)
        .s(NOT_FOUND)
        .wait(2)
        .c(GET_C)
        .s(OK);
    expect(
        &mut t,
        &["GET h/a - 0/- !su", "GET h/b 404 0/2", "GET h/c 200 0/5"],
    );
}

#[test]
fn a_lost_request_leaves_its_response_alone() {
    let mut t = Talk::new();
    t.c(GET_A)
        .s(OK)
        .unseen(0, GET_B.as_bytes())
        .s(NOT_FOUND)
        .c(GET_C)
        .wait(2)
        .s(OK);
    expect(
        &mut t,
        &["GET h/a 200 0/5", "- -- 404 -/2 !qu", "GET h/c 200 0/5"],
    );
}

#[test]
fn after_loss_a_pipeline_is_not_paired() {
    let mut t = Talk::new();
    t.c(&format!("{GET_A}{GET_B}"))
        .unseen(1, OK.as_bytes())
        .s(NOT_FOUND)
        .ack()
        .wait(2);
    expect(
        &mut t,
        &["GET h/a - 0/- !su", "GET h/b - 0/- !su", "- -- 404 -/2 !qu"],
    );
}

#[test]
fn mid_stream_pairs_from_the_first_request_on() {
    let mut t = Talk::mid_stream();
    t.s("rest of a body").c(GET_A).s(OK).c(GET_B).s(NOT_FOUND);
    expect(&mut t, &["GET h/a 200 0/5", "GET h/b 404 0/2"]);
    let mut t = Talk::mid_stream();
    t.s(NOT_FOUND).c(GET_A).s(OK);
    expect(&mut t, &["- -- 404 -/2 !qu", "GET h/a 200 0/5"]);
}

#[test]
fn one_direction_alone_is_told_in_halves() {
    let mut t = Talk::mid_stream();
    t.c(GET_A)
        .unseen(1, OK.as_bytes())
        .c(GET_B)
        .unseen(1, OK.as_bytes());
    expect(&mut t, &["GET h/a - 0/- !su", "GET h/b - 0/- !su"]);
    let mut t = Talk::mid_stream();
    t.unseen(0, GET_A.as_bytes())
        .s(OK)
        .unseen(0, GET_B.as_bytes())
        .s(NOT_FOUND);
    expect(&mut t, &["- -- 200 -/5 !qu", "- -- 404 -/2 !qu"]);
}

#[test]
fn a_connection_that_ends_early_is_said() {
    expect(Talk::new().c(GET_A).fin(0), &["GET h/a - 0/- !s"]);
    let mut t = Talk::new();
    t.c(GET_A)
        .s("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        .fin(1);
    expect(&mut t, &["GET h/a 200 0/3 !t"]);
}

#[test]
fn a_login_is_known_by_its_password_and_neither_is_kept() {
    let body = r#"{"username":"ann","password":"hunter2"}"#;
    let head =
        "POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json; charset=utf-8\r\n";
    let mut t = Talk::new();
    t.c(&format!(
        "{head}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .s(OK);
    let x = t.out.exchanges[0].clone();
    assert!(x.login.is_some());
    let mut json = Vec::new();
    exchange::write_line(&x, &mut json);
    let json = String::from_utf8(json).unwrap();
    assert!(!json.contains("ann") && !json.contains("hunter2"), "{json}");
}

#[test]
fn a_login_is_known_under_its_content_coding() {
    use std::io::Write as _;
    let body = br#"{"username":"ann","password":"hunter2"}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body).unwrap();
    let gzip = gzip.finish().unwrap();
    let login = |codings: &str, body: &[u8]| {
        let head = format!(
            "POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n{codings}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut t = Talk::new();
        t.say(0, head.as_bytes());
        for piece in body.chunks(9) {
            t.say(0, piece);
        }
        t.s(OK);
        (t.out.exchanges[0].login.clone(), t.out.counters)
    };
    let plain = login("", body);
    assert!(plain.0.is_some());
    assert_eq!(plain.1.bodies_decoded, 0);
    let coded = login(
        "Content-Encoding: identity\r\ncontent-encoding: x-gzip\r\n",
        &gzip,
    );
    assert_eq!((coded.0, coded.1.bodies_decoded), (plain.0.clone(), 1));
    // A field that is not true hides nothing.
    let lie = login("Content-Encoding: br\r\n", body);
    assert_eq!((lie.0, lie.1.coding_errors), (plain.0, 1));
    let long = [&body[..], &vec![b' '; 1 << 20]].concat();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&long).unwrap();
    assert!(
        login("Content-Encoding: gzip\r\n", &bomb.finish().unwrap())
            .0
            .is_none()
    );
}

#[test]
fn an_operation_is_told_by_what_is_sent() {
    use std::io::Write as _;
    let post = |fields: &str, body: &[u8]| {
        let mut t = Talk::new();
        let length = body.len();
        t.c(&format!(
            "POST /p HTTP/1.1\r\nHost: h\r\n{fields}\r\nContent-Length: {length}\r\n\r\n"
        ));
        for piece in body.chunks(900) {
            t.say(0, piece);
        }
        t.s(OK);
        t.out.exchanges.remove(0)
    };
    let name = |x: Box<Exchange>| x.operation.and_then(|o| o.name).map(String::from);
    let mut t = Talk::new();
    t.c("GET /g?query=%7Bme%7Bid%7D%7D HTTP/1.1\r\nHost: h\r\n\r\n")
        .s(OK);
    assert_eq!(
        name(t.out.exchanges.remove(0)).as_deref(),
        Some("query {me}")
    );
    let json = "Content-Type: application/json";
    let query = br#"{"operationName":null,"variables":{"password":"x"},"query":"query GetUser { user { id } }"}"#;
    assert_eq!(name(post(json, query)).as_deref(), Some("query GetUser"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(query).unwrap();
    let coded = format!("{json}\r\nContent-Encoding: gzip");
    let gzip = gzip.finish().unwrap();
    assert_eq!(name(post(&coded, &gzip)).as_deref(), Some("query GetUser"));
    // Larger than a login may be, and than is kept of it.
    for size in [6_000, 100_000] {
        let long = format!(
            r#"{{"jsonrpc":"2.0","method":"add","params":["{}"]}}"#,
            "x".repeat(size)
        );
        let x = post(json, long.as_bytes());
        assert_eq!(name(x.clone()).as_deref(), Some("add"));
        assert_eq!(x.request_bytes, Some(long.len() as u64));
    }
    let plain = format!(r#"{{"name":"{}","query":"{{a}}"}}"#, "x".repeat(6_000));
    assert_eq!(name(post(json, plain.as_bytes())), None);
    let soap = "Content-Type: text/xml; charset=utf-8\r\nsoapaction: \"http://h/svc/Find\"";
    assert_eq!(name(post(soap, b"<a/>")).as_deref(), Some("Find"));
    let dated = format!("{json}\r\nODATA-Version: 4.0");
    let kind = post(&dated, b"{}").operation.map(|o| o.kind);
    assert_eq!(kind, Some(exchange::OperationKind::Odata));
}

#[test]
fn a_hole_ends_what_is_known_of_a_body() {
    let body = r#"{"query":"query Get"#;
    let rest = r#"User { a } ","operationName":"X"}"#;
    let mut t = Talk::new();
    let length = body.len() + rest.len() + 1_000;
    t.c(&format!("POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"));
    t.unseen(0, &[b'x'; 1_000]);
    t.c(rest).s(OK);
    t.table.finish(Timestamp(t.now), &mut t.out);
    let x = t.out.exchanges.remove(0);
    assert!(x.partial.truncated);
    assert_eq!(x.operation, None);
}

#[test]
fn deprecation_and_sunset_are_read() {
    let mut t = Talk::new();
    t.c(GET_A).s("HTTP/1.1 200 OK\r\nDeprecation: @1688169599\r\nSunset: Sun, 30 Jun 2024 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n");
    let x = &t.out.exchanges[0];
    assert_eq!(x.deprecation, Some(Timestamp::from_secs(1_688_169_599)));
    assert_eq!(x.sunset, Some(Timestamp::from_secs(1_719_791_999)));
}

#[test]
fn cut_at_every_offset_it_reads_the_same() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let (asks, answers) = (
        format!("{GET_A}{post}{GET_B}"),
        format!("{OK}{chunked}{NOT_FOUND}"),
    );
    let whole = Talk::new().c(&asks).s(&answers).told();
    assert_eq!(whole.len(), 3);
    for cut in 1..asks.len() {
        let mut t = Talk::new();
        assert_eq!(
            t.c(&asks[..cut]).c(&asks[cut..]).s(&answers).told(),
            whole,
            "request cut at {cut}"
        );
    }
    for cut in 1..answers.len() {
        let mut t = Talk::new();
        assert_eq!(
            t.c(&asks).s(&answers[..cut]).s(&answers[cut..]).told(),
            whole,
            "response cut at {cut}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(pieces in proptest::collection::vec((0_usize..2, proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)), 0..30)) {
        let mut t = Talk::new();
        for (side, bytes) in pieces {
            t.say(side, &bytes);
        }
        t.told();
    }

    /// Pieces of real messages in any order and with any losses: nothing panics, counters add up.
    #[test]
    fn shuffled_messages_are_survived(pieces in proptest::collection::vec((0_usize..2, 0_usize..4, 0_usize..60, 0_u8..8), 0..40)) {
        let texts = [[GET_A, "POST /p HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd", "HEAD / HTTP/1.0\r\n\r\n", "CONNECT x:1 HTTP/1.1\r\n\r\n"],
            [OK, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"]];
        let mut t = Talk::new();
        for (side, text, cut, lost) in pieces {
            let text = texts[side][text].as_bytes();
            let text = &text[..text.len().min(cut.max(1))];
            if lost == 0 { t.unseen(side, text); } else { t.say(side, text); }
            if lost == 1 { t.wait(2); }
        }
        t.told();
    }
}
