//! Event streams (`text/event-stream`, HTML Living Standard, section 9.2): events are counted as the
//! body passes, nothing of it is kept.
//!
//! The response may go on for days. What is known of its exchange from the start must not wait so
//! long, so it is handed on after a minute, marked `open`; what the stream carries comes in session
//! records, as a WebSocket's does.

use std::time::Duration;

use super::Out;
use super::head::Fields;
use super::session::Log;
use crate::exchange::{Exchange, SessionKind};
use crate::time::Timestamp;

/// A stream that lasts so long is shown before its end.
const LONG: Duration = Duration::from_secs(60);

/// An event stream under way.
#[derive(Debug)]
pub(super) struct Events {
    log: Log,
    scanner: Scanner,
    /// Without content coding: events can be told apart.
    plain: bool,
    /// Its exchange was handed on.
    shown: bool,
}

/// Tells lines and the blank ones between events. A line is `data…`, or it matters not.
#[derive(Clone, Copy, Debug, Default)]
struct Scanner {
    /// Bytes of the line at hand that agree with `data`, as far as that is known.
    matched: usize,
    line: Line,
    /// The block has a data field: an event without is none.
    data: bool,
    /// The last byte was CR: a line feed that follows belongs to it.
    cr: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Empty,
    /// Only the beginning of `data` so far, or all of it.
    Name,
    /// What kind of line it is, is known, or it was begun unseen.
    Rest,
}

impl Events {
    /// A response's head is in `x`: whether an event stream follows.
    pub(super) fn of(x: &Exchange, fields: &Fields<'_>, ts: Timestamp) -> Option<Box<Self>> {
        let is_stream = x.content_type.as_deref() == Some("text/event-stream");
        let good = matches!(x.status, Some(200..=299));
        (is_stream && good).then(|| {
            let mut log = Log::new(Box::new(x.clone()), SessionKind::EventStream, ts);
            let plain = fields.codings.is_identity();
            log.counts.lossy = !plain;
            Box::new(Self {
                log,
                scanner: Scanner::default(),
                plain,
                shown: false,
            })
        })
    }

    pub(super) fn feed(&mut self, content: &[u8], ts: Timestamp, out: &mut Out) {
        self.log.at(ts, out);
        let down = &mut self.log.counts.down;
        down.bytes += content.len() as u64;
        if !self.plain {
            self.log.counts.lossy = true;
            return;
        }
        let events = self.scanner.feed(content);
        down.messages += events;
        out.counters.sessions.messages += events;
        out.counters.sessions.analysed += events;
    }

    /// A piece of the body is missing.
    pub(super) fn hole(&mut self) {
        self.log.counts.lossy = true;
        self.scanner = Scanner {
            line: Line::Rest,
            ..Scanner::default()
        };
    }

    /// Whether its exchange is to be handed on now; once.
    pub(super) fn show(&mut self, ts: Timestamp) -> bool {
        !self.shown && ts.since(self.log.opened()) >= LONG && {
            self.shown = true;
            true
        }
    }

    pub(super) fn is_shown(&self) -> bool {
        self.shown
    }

    pub(super) fn over(mut self, ts: Timestamp, out: &mut Out) {
        self.log.over(ts, out);
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.log.held()
    }
}

impl Scanner {
    /// Returns how many events have ended.
    fn feed(&mut self, mut data: &[u8]) -> u64 {
        let mut events = 0;
        while let Some(&b) = data.first() {
            match (self.line, b) {
                (_, b'\n') if self.cr => self.cr = false,
                (_, b'\n' | b'\r') => {
                    events += self.end_line();
                    self.cr = b == b'\r';
                }
                (Line::Rest, _) => {
                    // The rest of a line says nothing.
                    self.cr = false;
                    let end = memchr::memchr2(b'\n', b'\r', data).unwrap_or(data.len());
                    data = &data[end..];
                    continue;
                }
                (Line::Empty | Line::Name, _) => {
                    self.cr = false;
                    self.name(b);
                }
            }
            data = &data[1..];
        }
        events
    }

    /// A byte of what may be the field's name.
    fn name(&mut self, b: u8) {
        self.line = Line::Name;
        match (b"data".get(self.matched), b) {
            (Some(wanted), _) if *wanted == b => self.matched += 1,
            (None, b':') => (self.data, self.line) = (true, Line::Rest),
            _ => self.line = Line::Rest,
        }
    }

    fn end_line(&mut self) -> u64 {
        let blank = self.line == Line::Empty;
        // A field may be its name alone.
        self.data |= self.line == Line::Name && self.matched == 4;
        (self.line, self.matched) = (Line::Empty, 0);
        u64::from(blank && std::mem::take(&mut self.data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::Talk;

    fn count(text: &str) -> u64 {
        let whole = Scanner::default().feed(text.as_bytes());
        for step in 1..text.len() {
            let mut scanner = Scanner::default();
            let pieces = text.as_bytes().chunks(step);
            assert_eq!(
                pieces.map(|p| scanner.feed(p)).sum::<u64>(),
                whole,
                "{step}"
            );
        }
        whole
    }

    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(count("data: YHOO\ndata: +2\ndata: 10\n\n"), 1);
        assert_eq!(
            count(
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
            ),
            3
        );
        assert_eq!(count("data\n\ndata\ndata\n\ndata:"), 2);
        assert_eq!(count("data:test\n\ndata: test\n\n"), 2);
        // Line ends of every kind; no event without data; the last is not over.
        assert_eq!(count("data: a\r\n\r\ndata: b\r\rdata: c\n\r\ndata: d\n"), 3);
        assert_eq!(count("event: ping\n\n: keep-alive\n\n\n\nretry: 1\n\n"), 0);
        assert_eq!(count("datum: 1\n\ndata2: 1\n\ndat\n\n data: 1\n\n"), 0);
    }

    const ASK: &[u8] = b"GET /feed HTTP/1.1\r\nHost: h\r\n\r\n";
    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn a_short_stream_is_one_exchange_and_its_session() {
        let mut talk = Talk::new();
        talk.say(0, ASK)
            .say(1, HEAD)
            .say(1, b"data: 1\n\ndata: 2\n\n")
            .fin(1);
        let told = talk.told();
        assert_eq!(told, ["GET h/feed 200 0/18", "event-stream 0/0 2/18 fo"]);
    }

    #[test]
    fn behind_a_stream_comes_the_next_exchange() {
        let mut talk = Talk::new();
        talk.say(0, ASK)
            .say(1, CHUNKED)
            .say(1, b"9\r\ndata: 1\n\n\r\n0\r\n\r\n");
        talk.say(0, ASK).say(1, b"HTTP/1.1 204 No\r\n\r\n");
        let told = talk.told();
        let wanted = [
            "GET h/feed 200 0/9",
            "event-stream 0/0 1/9 fo",
            "GET h/feed 204 0/0",
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_long_stream_is_shown_before_its_end() {
        for (head, event) in [
            (HEAD, &b"data: 1\n\n"[..]),
            (CHUNKED, b"9\r\ndata: 1\n\n\r\n"),
        ] {
            let mut talk = Talk::new();
            talk.say(0, ASK)
                .say(1, head)
                .say(1, event)
                .wait(61)
                .say(1, event);
            let shown: Vec<_> = std::mem::take(&mut talk.out.exchanges);
            assert_eq!(shown.len(), 1);
            assert!(shown[0].open && !shown[0].partial.any());
            assert_eq!(
                (shown[0].status, shown[0].response_bytes),
                (Some(200), None)
            );
            talk.wait(700).say(1, event).wait(100).say(1, event);
            assert_eq!(
                talk.told(),
                ["event-stream 0/0 2/18 f", "event-stream 0/0 2/18 o"],
                "and not twice"
            );
        }
    }

    #[test]
    fn a_hole_or_a_coding_leaves_the_least_that_there_was() {
        let mut talk = Talk::new();
        talk.say(0, ASK).say(1, HEAD).say(1, b"data: 1\n\nda");
        talk.unseen(1, b"ta: 2\n\ndata: 3\n")
            .say(1, b"\ndata: 4\n\n")
            .wait(20);
        let told = talk.told();
        assert_eq!(told[1], "event-stream 0/0 2/21 fol");
        let coded =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\r\n";
        let mut talk = Talk::new();
        talk.say(0, ASK).say(1, coded).say(1, b"data: 1\n\n").fin(1);
        assert_eq!(talk.told()[1], "event-stream 0/0 0/9 fol");
    }

    #[test]
    fn other_content_and_errors_are_no_streams() {
        for head in [
            "HTTP/1.1 404 No\r\nContent-Type: text/event-stream\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
        ] {
            let mut talk = Talk::new();
            talk.say(0, ASK)
                .say(1, head.as_bytes())
                .say(1, b"data: 1\n\n")
                .fin(1);
            assert_eq!(talk.told().len(), 1);
        }
    }

    #[test]
    fn on_http2_too() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let request = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
        // :status 200, content-type as a literal with the static table's name.
        let mut answer = b"\0\0\0\x04\0\0\0\0\0\0\0\x15\x01\x04\0\0\0\x01\x88\x0f\x10\x11".to_vec();
        answer.extend(b"text/event-stream");
        let event = b"\0\0\x09\0\0\0\0\0\x01data: 1\n\n";
        let mut talk = Talk::new();
        talk.say(0, &[&preface[..], request].concat())
            .say(1, &answer)
            .say(1, event);
        talk.wait(61).say(1, event);
        let shown: Vec<_> = std::mem::take(&mut talk.out.exchanges);
        assert!(shown.len() == 1 && shown[0].open, "{shown:?}");
        assert_eq!(talk.told(), ["event-stream 0/0 2/18 fo"]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes(text in "[data:\r\n x]{0,80}") {
            count(&text);
        }
    }
}
