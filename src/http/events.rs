//! Event streams (`text/event-stream`, HTML Living Standard, section 9.2): events are counted as the
//! body passes, nothing of it is kept.
//!
//! The response may go on for days. What is known of its exchange from the start must not wait so
//! long, so it is handed on after a minute, marked `open`; what the stream carries comes in session
//! records, as a WebSocket's does.
//!
//! Where the body has a content coding, it is undone on the way. zstd gives content out only once
//! it lies a window back or the stream is over, so there counts come late. A hole ends what can be
//! decoded, as do the bounds on a body without end (see `coding`): from there on bytes alone count,
//! and the session says `lossy`.

use std::time::Duration;

use super::Out;
use super::coding::{Decoder, Status};
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
    content: Content,
    /// Its exchange was handed on.
    shown: bool,
}

#[derive(Debug)]
enum Content {
    Plain,
    /// `holed`: a piece is missing behind what was fed.
    Coded {
        decoder: Decoder,
        holed: bool,
    },
    /// Its coding can no longer be undone.
    Lost,
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
            let content = if fields.codings.is_identity() {
                Content::Plain
            } else {
                Content::Coded {
                    decoder: Decoder::endless(fields.codings),
                    holed: false,
                }
            };
            Box::new(Self {
                log: Log::new(Box::new(x.clone()), SessionKind::EventStream, ts),
                scanner: Scanner::default(),
                content,
                shown: false,
            })
        })
    }

    pub(super) fn feed(&mut self, content: &[u8], ts: Timestamp, out: &mut Out) {
        self.log.at(ts, out);
        self.log.counts.down.bytes += content.len() as u64;
        if matches!(self.content, Content::Coded { holed: true, .. }) {
            self.give_up(out);
        }
        let (scanner, mut events) = (&mut self.scanner, 0);
        match &mut self.content {
            Content::Plain => events = scanner.feed(content),
            Content::Lost => self.log.counts.lossy = true,
            Content::Coded { decoder, .. } => {
                let status = decoder.feed_to(content, &mut |c| events += scanner.feed(c));
                if status != Status::More {
                    self.give_up(out);
                }
            }
        }
        self.count(events, out);
    }

    fn count(&mut self, events: u64, out: &mut Out) {
        self.log.counts.down.messages += events;
        out.counters.sessions.messages += events;
        out.counters.sessions.analysed += events;
    }

    /// Nothing more will be decoded.
    fn give_up(&mut self, out: &mut Out) {
        self.log.counts.lossy = true;
        self.finish(out);
    }

    /// What a decoder has held back counts. The body may end anywhere: most are broken off by the
    /// client.
    fn finish(&mut self, out: &mut Out) {
        let content = std::mem::replace(&mut self.content, Content::Lost);
        let Content::Coded { decoder, .. } = content else {
            return;
        };
        let (scanner, mut events) = (&mut self.scanner, 0);
        let status = decoder.finish_to(&mut |c| events += scanner.feed(c));
        out.counters.decoded(status, true);
        self.count(events, out);
    }

    /// A piece of the body is missing.
    pub(super) fn hole(&mut self) {
        self.log.counts.lossy = true;
        if let Content::Coded { holed, .. } = &mut self.content {
            *holed = true;
            return;
        }
        self.scanner = Scanner {
            line: Line::Rest,
            ..Scanner::default()
        };
    }

    /// The time for which its exchange is to be handed on now, once: the same whether data, a tick
    /// or the end comes first behind it.
    pub(super) fn show(&mut self, now: Timestamp) -> Option<Timestamp> {
        let then = self.log.opened() + LONG;
        if self.shown || now < then {
            return None;
        }
        self.shown = true;
        Some(then)
    }

    /// `sent`: its request is over, so it can be shown.
    pub(super) fn due(&self, sent: bool) -> Timestamp {
        let due = self.log.due();
        if sent && !self.shown {
            due.min(self.log.opened() + LONG)
        } else {
            due
        }
    }

    pub(super) fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        self.log.pass(now, out);
    }

    pub(super) fn is_shown(&self) -> bool {
        self.shown
    }

    pub(super) fn over(mut self, ts: Timestamp, out: &mut Out) {
        self.finish(out);
        self.log.over(ts, out);
    }

    pub(super) fn held(&self) -> usize {
        let decoder = match &self.content {
            Content::Coded { decoder, .. } => decoder.memory(),
            _ => 0,
        };
        size_of::<Self>() + decoder + self.log.held()
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
mod tests;
