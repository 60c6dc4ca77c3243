//! One connection: both directions' messages, framed, paired, and made into exchanges.

use compact_str::CompactString;

use super::body::{Body, Progress};
use super::events::Events;
use super::head::{self, Fields};
use super::pairing::{Pending, Pipeline};
use super::probe::{PREFACE, Probe, probe, whole_method};
use super::record::{self, Cache, emit, unanswered};
use super::rpc::{self, Messages};
use super::sample::Sample;
use super::{MAX_HEAD, Out, Switch, h2};
use crate::exchange::{Anomaly, Exchange};
use crate::flow::{Chunk, End, FlowInfo, Side, Stream};
use crate::time::Timestamp;

/// Segments of a stream of unknown protocol that are probed before it is given up.
const MAX_PROBES: u8 = 32;

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
}

/// The HTTP/1 reader of one flow.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) info: FlowInfo,
    client: Option<Side>,
    halves: [Half; 2],
    pipeline: Pipeline,
    answer: Option<Answer>,
    /// An answer that is told apart has just ended.
    answered: bool,
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

impl Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let mut at = 0;
        while at < chunk.data.len() && self.switch.is_none() {
            let rest = &chunk.data[at..];
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
            if std::mem::take(&mut self.answered) {
                self.pipeline.told(chunk.offset + at as u64);
            }
        }
        at
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, _offset: u64, len: u64, out: &mut Out) {
        let half = self.half(side);
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
            answered: false,
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
        self.half(side).lose();
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

    /// A segment begins while the direction is lost: does it begin a message?
    fn resync(&mut self, side: Side, chunk: &Chunk<'_>, out: &mut Out) -> Read {
        let data = chunk.data;
        let fits = |wanted| match self.client {
            None => true,
            Some(client) => (client == side) == wanted,
        };
        let found = match probe(data) {
            Probe::Request if fits(true) && whole_method(data) => {
                // A body may speak HTTP.
                !self.halves[side as usize].inside || self.pipeline.may_follow(chunk.ack)
            }
            Probe::Response if fits(false) => {
                self.client.is_none() || self.pipeline.may_begin(chunk.offset, chunk.ack)
            }
            // Any text may still become a request line; waiting would swallow the next segment's
            // beginning, so only what looks like a method is waited for.
            Probe::More if data.len() <= MAX_HEAD && may_begin(data) => return Read::Incomplete,
            Probe::Tls if self.client.is_none() => {
                self.switch = Some(Switch::Tls);
                return Read::Incomplete;
            }
            Probe::Http2 if self.client.is_none() => {
                self.switch = Some(Switch::Preface(Some(side)));
                return Read::Incomplete;
            }
            _ if self.client.is_none() => match h2::sync(data, |_| false) {
                h2::Sync::Yes => {
                    self.switch = Some(Switch::Frames);
                    return Read::Incomplete;
                }
                h2::Sync::More => return Read::Incomplete,
                h2::Sync::No => false,
            },
            _ => false,
        };
        let unknown = self.client.is_none();
        let half = self.half(side);
        if found {
            half.begin(None);
            return Read::Used(0);
        }
        half.probes = half.probes.saturating_add(1);
        if unknown && half.probes >= MAX_PROBES {
            return self.opaque(|out| &mut out.counters.unknown, out);
        }
        Read::Broken
    }

    /// Neither direction is HTTP/1.
    fn opaque(&mut self, counter: impl Fn(&mut Out) -> &mut u64, out: &mut Out) -> Read {
        *counter(out) += 1;
        for half in &mut self.halves {
            half.state = State::Opaque;
        }
        Read::Broken
    }

    /// Reads the message that begins at `at`.
    fn message(&mut self, side: Side, chunk: &Chunk<'_>, at: usize, out: &mut Out) -> Read {
        let data = &chunk.data[at..];
        if !self.half(side).sure {
            match probe(data) {
                // The first words of HTTP/2's preface are a whole head of HTTP/1.
                Probe::More if PREFACE.starts_with(data) => return Read::Incomplete,
                Probe::More => {}
                Probe::Request if self.client.is_none_or(|c| c == side) => {
                    self.half(side).sure = true;
                }
                Probe::Response if self.client.is_none_or(|c| c != side) => {
                    self.half(side).sure = true;
                }
                _ if self.client.is_some() => return self.malformed(side, out),
                // Another protocol, or one that HTTP comes after: keep looking at boundaries.
                _ => {
                    self.half(side).lose();
                    return if at == 0 {
                        self.resync(side, chunk, out)
                    } else {
                        Read::Broken
                    };
                }
            }
        }
        let half = self.half(side);
        let first = *half.first.get_or_insert(First {
            ts: chunk.ts,
            ack: chunk.ack,
        });
        let end = head::end(data, half.searched);
        if end.unwrap_or(data.len()) > MAX_HEAD {
            out.counters.huge_heads += 1;
            // It began as HTTP does, so what follows it is looked at.
            self.client.get_or_insert_with(|| match probe(data) {
                Probe::Response => side.other(),
                _ => side,
            });
            return self.malformed(side, out);
        }
        let Some(end) = end.filter(|_| half.sure) else {
            half.searched = data.len();
            return Read::Incomplete;
        };
        let start = chunk.offset + at as u64;
        let head = &data[..end];
        let is_response = head
            .get(..5)
            .is_some_and(|b| b.eq_ignore_ascii_case(b"HTTP/"));
        let read = if is_response {
            head::response(head).map(|r| self.response(side, &r, first, start, chunk.ts, out))
        } else {
            head::request(head).map(|r| self.request(side, &r, first, start, chunk.ts, out))
        };
        match read {
            Some(()) => Read::Used(end),
            None => self.malformed(side, out),
        }
    }

    fn malformed(&mut self, side: Side, out: &mut Out) -> Read {
        out.counters.messages += 1;
        out.counters.malformed += 1;
        self.lost(side);
        Read::Broken
    }

    fn request(
        &mut self,
        side: Side,
        r: &head::Request<'_>,
        first: First,
        start: u64,
        ts: Timestamp,
        out: &mut Out,
    ) {
        self.client = Some(side);
        out.counters.messages += 1;
        out.counters.pending += 1;
        let mut x = self.record(side, first.ts, r.minor);
        self.fill_request(&mut x, r, out);
        self.offered = r.fields.http2_settings.and_then(head::table_size);
        let body = match &r.fields {
            Fields { chunked: true, .. } => Some(Body::CHUNKED),
            Fields {
                content_length: Some(n),
                ..
            } if *n > 0 => Some(Body::Length(*n)),
            _ => None,
        };
        let place = record::look_into(&mut x, head::field_names(r.head), out);
        let sample = record::body_sample(&x, &r.fields);
        let messages = rpc::request(&mut x, &r.fields);
        let open = body.is_some();
        let half = self.half(side);
        half.begin(body);
        half.sample = sample.filter(|_| open);
        half.messages = messages.filter(|_| open);
        half.expects = r.fields.expects;
        let pending = Pending {
            x,
            start,
            ack: first.ack,
            done: (!open).then_some(ts),
            place,
            cost: 0,
        };
        for passed in self.pipeline.push(pending) {
            unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
        }
        if let Some(last) = self.pipeline.last().filter(|_| !open) {
            last.x.request_bytes = (!r.fields.endless()).then_some(0);
        }
        if r.fields.endless() {
            // The server may have read what follows otherwise: it is shown, and paired with nothing
            // that the acknowledgements do not bear out.
            self.pipeline.request_hole();
        }
    }

    fn record(&self, client: Side, ts: Timestamp, minor: u8) -> Box<Exchange> {
        let protocol = if minor == 0 { "http/1.0" } else { "http/1.1" };
        record::record(&self.info, client, ts, protocol)
    }

    fn fill_request(&mut self, x: &mut Exchange, r: &head::Request<'_>, out: &Out) {
        let text = |bytes: &[u8]| CompactString::from_utf8_lossy(bytes);
        let target = String::from_utf8_lossy(r.target);
        let mut host = r.fields.host.map(|h| text(h.trim_ascii()));
        let mut path = &*target;
        if r.method == b"CONNECT" {
            host = host.or_else(|| Some(text(r.target)));
        } else {
            // Absolute form (RFC 9112, section 3.2.2): the target's authority is the host.
            if let Some((scheme, rest)) = target
                .split_once("://")
                .filter(|(s, _)| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric()))
            {
                let (authority, _) =
                    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
                if host
                    .as_deref()
                    .is_some_and(|h| !h.eq_ignore_ascii_case(authority))
                {
                    x.anomalies.add(Anomaly::HostConflict);
                }
                host = Some(CompactString::from(authority));
                path = &target[scheme.len() + 3 + authority.len()..];
            }
            path = path.split('#').next().unwrap_or_default();
        }
        let path = (!target.is_empty()).then_some(path);
        record::target(x, Some(r.method), host, path, out);
        record::request_fields(x, &r.fields, &mut self.cache, out);
    }

    fn response(
        &mut self,
        side: Side,
        r: &head::Response<'_>,
        first: First,
        start: u64,
        ts: Timestamp,
        out: &mut Out,
    ) {
        self.client = Some(side.other());
        out.counters.messages += 1;
        let status = r.status.unwrap_or(0);
        if matches!(status, 100..=199) && status != 101 {
            out.counters.interim += 1;
            self.pipeline.interim(start, first.ack);
            self.half(side).begin(None);
            return;
        }
        out.counters.pending += 1;
        let certain = self.pipeline.certain();
        let (pending, given_up) = self.pipeline.answer(start, first.ack);
        let ambiguous = !given_up.is_empty();
        for passed in given_up {
            unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
        }
        let place = pending.as_ref().map(|p| p.place).unwrap_or_default();
        let (mut x, request_open) = match pending {
            Some(pending) => {
                let mut x = pending.x;
                x.latency_ms = pending
                    .done
                    .map(|done| first.ts.since(done).as_nanos() as f64 / 1e6);
                (x, pending.done.is_none())
            }
            None => {
                let mut x = self.record(side.other(), first.ts, r.minor);
                x.partial.no_request = true;
                x.partial.unpaired = ambiguous || !certain || !self.pipeline.is_empty();
                (x, false)
            }
        };
        record::response_fields(&mut x, r.status, &r.fields);
        let messages = rpc::response(&mut x, &r.fields);
        let events = Events::of(&x, &r.fields, ts);
        let sample = record::answer_sample(
            &mut x,
            &r.fields,
            head::field_names(r.head),
            (place, ts),
            out,
        );
        if status == 101 && r.fields.h2c {
            let client = side.other();
            self.switch = Some(if x.partial.no_request {
                Switch::Preface(Some(client))
            } else {
                Switch::Upgrade {
                    client,
                    request: x.clone(),
                    table_size: self.offered,
                }
            });
        } else if status == 101 && r.fields.websocket {
            self.switch = Some(Switch::WebSocket {
                client: side.other(),
                request: x.clone(),
                extensions: r.fields.extensions,
            });
        }
        let method = x.method.clone();
        let method = method.as_deref().unwrap_or_default();
        // A coding that is not known ends with the connection; lengths that differ nowhere.
        let body = response_body(method, status, &r.fields);
        let endless = r.fields.endless()
            && matches!(body, Some(Body::Length(_) | Body::Close))
            && !r.fields.transfer_encoding;
        let body = body.filter(|_| !endless);
        let open = body.is_some();
        self.half(side).begin(body);
        self.half(side).sample = sample.filter(|_| open);
        self.half(side).messages = messages;
        self.half(side).events = events.filter(|_| open);
        self.answer = Some(Answer { x, request_open });
        if !open {
            self.half(side).cut = endless;
            self.message_over(side, ts, out);
        }
        if endless {
            self.lost(side);
        }
        let tunnel = method == "CONNECT" && (200..300).contains(&status);
        if tunnel {
            // What is inside is a connection of its own.
            self.client = None;
            for passed in std::mem::take(&mut self.pipeline).flush() {
                unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
            }
            self.halves = [Half::new(true), Half::new(true)];
        } else if status == 101 && self.switch.is_none() {
            let _ = self.opaque(|out| &mut out.counters.upgraded, out);
        }
    }

    /// A segment begins where a body should: whether it is the next message instead. A server may
    /// refuse a body that waits for its word, and the answer to a HEAD that was not seen has none.
    fn unsent(&mut self, side: Side, data: &[u8]) -> bool {
        let half = self.half(side);
        let none = half.bytes == 0 && matches!(half.state, State::Body(_));
        let expects = half.expects;
        match self.answer.as_ref().filter(|_| self.client != Some(side)) {
            Some(answer) => none && answer.x.partial.no_request && probe(data) == Probe::Response,
            None => none && expects && probe(data) == Probe::Request,
        }
    }

    /// Feeds the body at hand; returns the bytes used.
    fn body(&mut self, side: Side, ts: Timestamp, data: &[u8], out: &mut Out) -> usize {
        let Half {
            state,
            bytes,
            sample,
            messages,
            events,
            ..
        } = self.half(side);
        let State::Body(body) = state else {
            return data.len();
        };
        let fed = body.feed(data, |content| {
            *bytes += content.len() as u64;
            if let Some(sample) = sample {
                sample.feed(content);
            }
            if let Some(messages) = messages {
                messages.feed(content);
            }
            if let Some(events) = events {
                events.feed(content, ts, out);
            }
        });
        match fed.state {
            Progress::More => self.show(side, ts, out),
            Progress::Done => self.message_over(side, ts, out),
            Progress::Broken => {
                self.half(side).cut = true;
                self.break_off(side, ts, out);
                return data.len();
            }
        }
        fed.used
    }

    /// An event stream that goes on for long is shown before its end.
    fn show(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let Some(events) = &mut self.halves[side as usize].events else {
            return;
        };
        if self.answer.as_ref().is_some_and(|a| !a.request_open)
            && events.show(ts)
            && let Some(Answer { mut x, .. }) = self.answer.take()
        {
            (x.open, x.end) = (true, ts);
            emit(x, out);
        }
    }

    /// The message at hand of this side is complete, or as complete as it will get.
    fn message_over(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let half = self.half(side);
        let (bytes, cut, sample) = (half.bytes, half.cut, half.sample.take());
        let (messages, events) = (half.messages.take(), half.events.take());
        half.begin(None);
        if self.client == Some(side) {
            let open_answer = self.answer.as_mut().filter(|a| a.request_open);
            let (x, done) = match (self.pipeline.last(), open_answer) {
                (Some(last), _) if last.done.is_none() => (&mut last.x, Some(&mut last.done)),
                (_, Some(answer)) => {
                    answer.request_open = false;
                    (&mut answer.x, None)
                }
                _ => return,
            };
            x.request_bytes = Some(bytes);
            x.partial.truncated |= cut;
            if let Some(messages) = messages {
                messages.end_request(x);
            }
            record::look_at_body(x, sample, cut, out);
            if let Some(done) = done {
                *done = Some(ts);
                self.pipeline.weigh();
            }
        } else if let Some(Answer {
            mut x,
            request_open,
        }) = self.answer.take()
        {
            if request_open {
                // An early answer: the request's body is cut off here.
                x.request_bytes = Some(self.half(side.other()).bytes);
                x.partial.truncated = true;
            }
            self.answered = !x.partial.no_request;
            x.response_bytes = Some(bytes);
            if let Some(messages) = messages {
                messages.end_response(&mut x);
            }
            record::look_at_answer(&mut x, sample, cut, out);
            x.partial.truncated |= cut;
            x.end = ts;
            emit(x, out);
        }
        if let Some(events) = events {
            events.over(ts, out);
        }
    }
}

/// Still too short to tell, and what is there may be the beginning of a message.
fn may_begin(data: &[u8]) -> bool {
    whole_method(data) || data.starts_with(b"HTTP/") || b"HTTP/".starts_with(data)
}

/// RFC 9112, section 6.3; `None`: no body.
fn response_body(method: &str, status: u16, fields: &Fields<'_>) -> Option<Body> {
    match fields {
        _ if method == "HEAD" || matches!(status, 101 | 204 | 304) => None,
        _ if method == "CONNECT" && (200..300).contains(&status) => None,
        Fields { chunked: true, .. } => Some(Body::CHUNKED),
        Fields {
            content_length: Some(0),
            ..
        } => None,
        Fields {
            content_length: Some(n),
            ..
        } => Some(Body::Length(*n)),
        _ => Some(Body::Close),
    }
}
