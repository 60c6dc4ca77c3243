//! One connection: both directions' messages, framed, paired, and made into exchanges.

use super::body::{Body, Progress};
use super::events::Events;
use super::pairing::Pipeline;
use super::record::{Cache, unanswered};
use super::rpc::Messages;
use super::sample::Sample;
use super::{Out, Switch};
use crate::exchange::Exchange;
use crate::flow::{Chunk, End, FlowInfo, Side, Stream};
use crate::time::Timestamp;

mod begin;
mod body;
mod message;

/// Where the reader of one direction stands.
#[derive(Debug)]
enum State {
    /// Before a message.
    Start,
    Body(Body),
    /// Somewhere inside what cannot be told: waits for a segment that begins a message.
    Lost,
    /// Not HTTP/1, or no more of it.
    Opaque,
}

/// The first sight of a message whose head is not whole yet.
#[derive(Clone, Copy, Debug)]
struct First {
    ts: Timestamp,
    ack: Option<u64>,
}

#[derive(Debug)]
struct Half {
    state: State,
    first: Option<First>,
    /// Offset of what is being read, or of the hole at hand.
    place: u64,
    /// Where what cannot be told began last: messages may have been in it.
    hole: Option<u64>,
    /// Bytes of the unfinished head that were searched for its end.
    searched: usize,
    /// The unfinished head is one, and from the side that it should be from.
    sure: bool,
    /// Content bytes of the body at hand.
    bytes: u64,
    /// A hole was skipped inside the body at hand.
    cut: bool,
    /// The body at hand is sent only if the server wants it (RFC 9110, section 10.1.1).
    expects: bool,
    /// Lost inside a body.
    inside: bool,
    /// The body at hand, where it may be a login or tell an operation.
    sample: Option<Sample>,
    /// Counts the messages of a call in the body at hand.
    messages: Option<Messages>,
    /// The body at hand, where it is an event stream.
    events: Option<Box<Events>>,
    probes: u8,
}

/// A response under way.
#[derive(Debug)]
struct Answer {
    x: Box<Exchange>,
    /// Its request's body is still under way.
    request_open: bool,
    /// It is whole, and waits for that.
    early: bool,
}

/// The HTTP/1 reader of one flow.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) info: FlowInfo,
    client: Option<Side>,
    halves: [Half; 2],
    pipeline: Pipeline,
    answer: Option<Answer>,
    cache: Cache,
    /// SETTINGS_HEADER_TABLE_SIZE of the last request that offered an upgrade to HTTP/2.
    offered: Option<u32>,
    /// What follows is for another reader.
    pub(super) switch: Option<Switch>,
}

/// What reading a message's head came to.
enum Read {
    Used(usize),
    Incomplete,
    Broken,
}

impl Half {
    fn new(from_start: bool) -> Self {
        Self {
            state: if from_start {
                State::Start
            } else {
                State::Lost
            },
            first: None,
            place: 0,
            hole: None,
            searched: 0,
            sure: false,
            bytes: 0,
            cut: false,
            expects: false,
            inside: false,
            sample: None,
            messages: None,
            events: None,
            probes: 0,
        }
    }

    fn begin(&mut self, body: Option<Body>) {
        (self.first, self.searched, self.sure) = (None, 0, false);
        (self.bytes, self.cut, self.expects) = (0, false, false);
        self.inside = false;
        self.state = body.map_or(State::Start, State::Body);
    }

    fn lose(&mut self) {
        (self.first, self.searched, self.sure) = (None, 0, false);
        (self.sample, self.messages) = (None, None);
        self.state = State::Lost;
    }
}

impl Connection {
    /// A client has spoken HTTP, and what follows is not something else.
    pub(super) fn is_http(&self) -> bool {
        let opaque = |half: &Half| matches!(half.state, State::Opaque);
        self.client.is_some() && !self.halves.iter().all(opaque)
    }
}

impl Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let mut at = 0;
        while at < chunk.data.len() && self.switch.is_none() {
            let rest = &chunk.data[at..];
            self.half(side).place = chunk.offset + at as u64;
            let segment = at == 0 && chunk.boundary;
            if segment && self.unsent(side, rest) {
                self.half(side).cut = true;
                self.message_over(side, chunk.ts, out);
            }
            match self.half(side).state {
                State::Opaque => return chunk.data.len(),
                State::Lost => {
                    if at > 0 || !chunk.boundary {
                        return chunk.data.len();
                    }
                    match self.resync(side, &chunk, out) {
                        Read::Used(_) => {}
                        Read::Incomplete => return 0,
                        Read::Broken => return chunk.data.len(),
                    }
                }
                State::Start => {
                    let blank = rest
                        .iter()
                        .take_while(|b| matches!(b, b'\r' | b'\n'))
                        .count();
                    if blank > 0 {
                        at += blank;
                        continue;
                    }
                    match self.message(side, &chunk, at, out) {
                        Read::Used(used) => at += used,
                        Read::Incomplete => return at,
                        Read::Broken => return chunk.data.len(),
                    }
                }
                State::Body(_) => at += self.body(side, chunk.ts, rest, out),
            }
        }
        at
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, offset: u64, len: u64, out: &mut Out) {
        let half = self.half(side);
        half.place = offset;
        let progress = match &mut half.state {
            State::Opaque => return,
            State::Body(body) => body.skip(len),
            State::Start | State::Lost => Progress::Broken,
        };
        half.cut |= matches!(half.state, State::Body(_));
        if let Some(messages) = &mut half.messages {
            messages.skip(len);
        }
        if let Some(sample) = &mut half.sample {
            sample.cut();
        }
        if let Some(events) = &mut half.events {
            events.hole();
        }
        match progress {
            Progress::More => {}
            Progress::Done => self.message_over(side, ts, out),
            Progress::Broken if matches!(half.state, State::Body(_)) => {
                self.break_off(side, ts, out);
            }
            Progress::Broken => self.lost(side),
        }
    }

    fn on_end(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        if matches!(self.half(side).state, State::Body(_)) {
            let whole = matches!(self.half(side).state, State::Body(Body::Close));
            self.half(side).cut |= !whole;
            self.message_over(side, ts, out);
        }
        self.half(side).state = State::Opaque;
    }

    fn on_close(&mut self, ts: Timestamp, end: End, out: &mut Out) {
        for side in [Side::Orig, Side::Resp] {
            let half = self.half(side);
            if matches!(half.state, State::Body(_)) {
                half.cut |= end != End::Fin && end != End::Reset
                    || !matches!(half.state, State::Body(Body::Close));
                self.message_over(side, ts, out);
            }
        }
        let certain = self.pipeline.certain();
        for pending in self.pipeline.flush() {
            unanswered(pending.x, pending.done.unwrap_or(ts), !certain, out);
        }
    }

    fn due(&self) -> Timestamp {
        let events = self.halves.iter().flat_map(|h| &h.events);
        let sent = || self.answer.as_ref().is_some_and(|a| !a.request_open);
        let due = events.map(|e| e.due(sent())).min();
        due.unwrap_or(Timestamp::MAX)
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        for side in [Side::Orig, Side::Resp] {
            if let Some(events) = &mut self.half(side).events {
                events.on_tick(now, out);
                self.show(side, now, out);
            }
        }
    }

    fn held(&self) -> usize {
        let samples = self.halves.iter().flat_map(|h| &h.sample);
        let events = self.halves.iter().flat_map(|h| &h.events);
        let events = events.map(|e| e.held()).sum::<usize>();
        events
            + self.pipeline.held()
            + samples.map(Sample::memory).sum::<usize>()
            + self.cache.held()
    }
}

impl Connection {
    pub(super) fn new(info: &FlowInfo) -> Self {
        Self {
            info: *info,
            client: None,
            halves: [Half::new(info.from_start), Half::new(info.from_start)],
            pipeline: Pipeline::new(info.from_start),
            answer: None,
            cache: Cache::default(),
            offered: None,
            switch: None,
        }
    }

    fn half(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side as usize]
    }

    /// Nothing on this side can be told until a segment begins a message.
    fn lost(&mut self, side: Side) {
        let half = self.half(side);
        half.lose();
        half.hole = Some(half.place);
        match self.client {
            Some(client) if client == side => self.pipeline.request_hole(),
            Some(_) => self.pipeline.response_hole(),
            None => {
                self.pipeline.request_hole();
                self.pipeline.response_hole();
            }
        }
    }

    /// The body's end is lost; what follows may still be of it.
    fn break_off(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        self.message_over(side, ts, out);
        self.lost(side);
        self.half(side).inside = true;
    }

    /// Neither direction is HTTP/1.
    fn opaque(&mut self, counter: impl Fn(&mut Out) -> &mut u64, out: &mut Out) -> Read {
        *counter(out) += 1;
        for half in &mut self.halves {
            half.state = State::Opaque;
        }
        Read::Broken
    }
}
