//! One connection: both directions' messages, framed, paired, and made into exchanges.

use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;

use super::body::{Body, Progress};
use super::head::{self, Fields};
use super::pairing::{Pending, Pipeline};
use super::probe::{Probe, probe};
use super::{MAX_HEAD, Out, Switch};
use crate::exchange::Exchange;
use crate::flow::{Chunk, End, FlowInfo, Side, Stream};
use crate::time::Timestamp;

/// Segments of a stream of unknown protocol that are probed before it is given up.
const MAX_PROBES: u8 = 32;

/// Body bytes kept to look for a login; longer ones are no login.
const MAX_LOGIN_BODY: usize = 4 << 10;

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
    /// Content bytes of the body at hand.
    bytes: u64,
    /// A hole was skipped inside the body at hand.
    cut: bool,
    /// The body at hand, where it may be a login.
    sample: Option<Vec<u8>>,
    probes: u8,
}

/// A response under way.
#[derive(Debug)]
struct Answer {
    x: Box<Exchange>,
    /// Its request's body is still under way.
    request_open: bool,
}

/// What repeats from request to request on one connection is made once.
#[derive(Debug, Default)]
struct Cache {
    user_agent: Option<Arc<str>>,
    credential: Vec<u8>,
    identity: Option<(Arc<str>, CompactString)>,
}

/// The HTTP/1 reader of one flow.
#[derive(Debug)]
pub(super) struct Connection {
    info: FlowInfo,
    client: Option<Side>,
    halves: [Half; 2],
    pipeline: Pipeline,
    answer: Option<Answer>,
    cache: Cache,
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
            bytes: 0,
            cut: false,
            sample: None,
            probes: 0,
        }
    }

    fn begin(&mut self, body: Option<Body>) {
        (self.first, self.searched, self.bytes, self.cut) = (None, 0, 0, false);
        self.state = body.map_or(State::Start, State::Body);
    }

    fn lose(&mut self) {
        (self.first, self.searched, self.sample) = (None, 0, None);
        self.state = State::Lost;
    }
}

impl Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let mut at = 0;
        while at < chunk.data.len() && self.switch.is_none() {
            let rest = &chunk.data[at..];
            match self.half(side).state {
                State::Opaque => return chunk.data.len(),
                State::Lost => {
                    if at > 0 || !chunk.boundary {
                        return chunk.data.len();
                    }
                    match self.resync(side, rest, out) {
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

    fn on_gap(&mut self, side: Side, ts: Timestamp, _offset: u64, len: u64, out: &mut Out) {
        let half = self.half(side);
        let progress = match &mut half.state {
            State::Opaque => return,
            State::Body(body) => body.skip(len),
            State::Start | State::Lost => Progress::Broken,
        };
        half.cut |= matches!(half.state, State::Body(_));
        match progress {
            Progress::More => {}
            Progress::Done => self.message_over(side, ts, out),
            Progress::Broken => {
                if matches!(self.half(side).state, State::Body(_)) {
                    self.message_over(side, ts, out);
                }
                self.lost(side);
            }
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
}

impl Connection {
    pub(super) fn new(info: &FlowInfo) -> Self {
        let mut pipeline = Pipeline::default();
        if !info.from_start {
            pipeline.request_hole();
        }
        Self {
            info: *info,
            client: None,
            halves: [Half::new(info.from_start), Half::new(info.from_start)],
            pipeline,
            answer: None,
            cache: Cache::default(),
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

    /// A segment begins while the direction is lost: does it begin a message?
    fn resync(&mut self, side: Side, data: &[u8], out: &mut Out) -> Read {
        let fits = |wanted| match self.client {
            None => true,
            Some(client) => (client == side) == wanted,
        };
        let found = match probe(data) {
            Probe::Request => fits(true),
            Probe::Response => fits(false),
            // Any text may still become a request line; waiting would swallow the next segment's
            // beginning, so only what looks like a method is waited for.
            Probe::More if data.len() <= MAX_HEAD && shouts(data) => return Read::Incomplete,
            Probe::Tls if self.client.is_none() => {
                self.switch = Some(Switch::Tls);
                return Read::Incomplete;
            }
            Probe::Http2 if self.client.is_none() => {
                return self.opaque(|out| &mut out.counters.http2, out);
            }
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
        let client = self.client;
        let half = self.half(side);
        if half.searched == 0 {
            let fits = match probe(data) {
                Probe::Request => client.is_none_or(|c| c == side),
                Probe::Response => client.is_none_or(|c| c != side),
                // Asked again with more: a first byte may be that of several protocols.
                Probe::More => {
                    half.first.get_or_insert(First {
                        ts: chunk.ts,
                        ack: chunk.ack,
                    });
                    return Read::Incomplete;
                }
                _ => false,
            };
            if !fits && client.is_none() {
                // Another protocol, or one that HTTP comes after: keep looking at boundaries.
                half.lose();
                return if at == 0 {
                    self.resync(side, data, out)
                } else {
                    Read::Broken
                };
            }
            if !fits {
                return self.malformed(side, out);
            }
        }
        let first = *half.first.get_or_insert(First {
            ts: chunk.ts,
            ack: chunk.ack,
        });
        let Some(end) = head::end(data, half.searched) else {
            if data.len() > MAX_HEAD {
                return self.malformed(side, out);
            }
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
        let body = match &r.fields {
            Fields { chunked: true, .. } => Some(Body::CHUNKED),
            Fields {
                content_length: Some(n),
                ..
            } if *n > 0 => Some(Body::Length(*n)),
            _ => None,
        };
        let may_log_in = matches!(r.method, b"POST" | b"PUT") && x.request_content_type.is_some();
        let open = body.is_some();
        let half = self.half(side);
        half.begin(body);
        half.sample = (may_log_in && open).then(Vec::new);
        let pending = Pending {
            x,
            start,
            ack: first.ack,
            done: (!open).then_some(ts),
        };
        for passed in self.pipeline.push(pending) {
            unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
        }
        if !open && let Some(last) = self.pipeline.last() {
            last.x.request_bytes = Some(0);
        }
    }

    fn record(&self, client: Side, ts: Timestamp, minor: u8) -> Box<Exchange> {
        let (from, to): ((IpAddr, u16), (IpAddr, u16)) = match client {
            Side::Orig => (self.info.orig, self.info.resp),
            Side::Resp => (self.info.resp, self.info.orig),
        };
        let mut x = Box::new(Exchange::at(ts));
        (x.client, x.client_port) = from;
        (x.server, x.server_port) = to;
        x.vni = self.info.vni;
        x.protocol = CompactString::const_new(if minor == 0 { "http/1.0" } else { "http/1.1" });
        x
    }

    fn fill_request(&mut self, x: &mut Exchange, r: &head::Request<'_>, out: &Out) {
        let text = |bytes: &[u8]| CompactString::from_utf8_lossy(bytes);
        let target = String::from_utf8_lossy(r.target);
        let mut host = r.fields.host.map(|h| text(h.trim_ascii()));
        let (mut path, mut query) = (&*target, None);
        if r.method == b"CONNECT" {
            host = host.or_else(|| Some(text(r.target)));
        } else {
            // Absolute form (RFC 9112, section 3.2.2): the target's authority is the host.
            if let Some((scheme, rest)) = target
                .split_once("://")
                .filter(|(s, _)| s.bytes().all(|b| b.is_ascii_alphanumeric()))
            {
                let (authority, _) =
                    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
                host = Some(CompactString::from(authority));
                path = &target[scheme.len() + 3 + authority.len()..];
            }
            path = path.split('#').next().unwrap_or_default();
            if let Some((before, after)) = path.split_once('?') {
                (path, query) = (before, Some(after));
            }
            if path.is_empty() {
                path = "/";
            }
        }
        if let Some(host) = &mut host {
            host.make_ascii_lowercase();
        }
        x.method = Some(text(r.method));
        x.host = host.filter(|h| !h.is_empty());
        x.path = Some(out.observer.path(path));
        x.query = query.map(|q| out.observer.query(q));
        x.request_content_type = r.fields.content_type.and_then(head::media_type);
        x.user_agent = r
            .fields
            .user_agent
            .map(|agent| self.cache.user_agent(agent));
        if let Some((identity, kind)) = self.cache.identity(&r.fields, out) {
            (x.identity, x.auth) = (Some(identity), Some(kind));
        }
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
        x.status = r.status;
        x.content_type = r.fields.content_type.and_then(head::media_type);
        x.deprecation = r.fields.deprecation.and_then(head::deprecation);
        x.sunset = r.fields.sunset.and_then(head::http_date);
        let method = x.method.clone();
        let method = method.as_deref().unwrap_or_default();
        let body = response_body(method, status, &r.fields);
        let open = body.is_some();
        self.half(side).begin(body);
        self.answer = Some(Answer { x, request_open });
        if !open {
            self.message_over(side, ts, out);
        }
        let tunnel = method == "CONNECT" && (200..300).contains(&status);
        if tunnel {
            // What is inside is a connection of its own.
            self.client = None;
            for passed in std::mem::take(&mut self.pipeline).flush() {
                unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
            }
            self.halves = [Half::new(true), Half::new(true)];
        } else if status == 101 {
            let _ = self.opaque(|out| &mut out.counters.upgraded, out);
        }
    }

    /// Feeds the body at hand; returns the bytes used.
    fn body(&mut self, side: Side, ts: Timestamp, data: &[u8], out: &mut Out) -> usize {
        let Half {
            state,
            bytes,
            sample,
            ..
        } = self.half(side);
        let State::Body(body) = state else {
            return data.len();
        };
        let fed = body.feed(data, |content| {
            *bytes += content.len() as u64;
            match sample {
                Some(kept) if kept.len() + content.len() <= MAX_LOGIN_BODY => {
                    kept.extend_from_slice(content)
                }
                _ => *sample = None,
            }
        });
        match fed.state {
            Progress::More => {}
            Progress::Done => self.message_over(side, ts, out),
            Progress::Broken => {
                self.half(side).cut = true;
                self.message_over(side, ts, out);
                self.lost(side);
                return data.len();
            }
        }
        fed.used
    }

    /// The message at hand of this side is complete, or as complete as it will get.
    fn message_over(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let half = self.half(side);
        let (bytes, cut, sample) = (half.bytes, half.cut, half.sample.take());
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
            if let (Some(body), Some(kind)) = (sample.filter(|_| !cut), &x.request_content_type) {
                x.login = out.observer.login(kind, &body);
            }
            if let Some(done) = done {
                *done = Some(ts);
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
            x.response_bytes = Some(bytes);
            x.partial.truncated |= cut;
            x.end = ts;
            emit(x, out);
        }
    }
}

/// Begins with capitals, as every method in use does.
fn shouts(data: &[u8]) -> bool {
    data.iter().take(3).all(u8::is_ascii_uppercase)
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

fn unanswered(mut x: Box<Exchange>, at: Timestamp, unpaired: bool, out: &mut Out) {
    x.partial.no_response = true;
    x.partial.unpaired = unpaired;
    x.end = at;
    emit(x, out);
}

fn emit(x: Box<Exchange>, out: &mut Out) {
    let halves = 2 - u64::from(x.partial.no_request) - u64::from(x.partial.no_response);
    out.counters.analysed += halves;
    out.counters.pending -= halves;
    out.counters.exchanges += 1;
    out.counters.unpaired += u64::from(x.partial.unpaired);
    out.exchanges.push(x);
}

impl Cache {
    fn user_agent(&mut self, agent: &[u8]) -> Arc<str> {
        match &self.user_agent {
            Some(known) if known.as_bytes() == agent => known.clone(),
            _ => {
                let made: Arc<str> = String::from_utf8_lossy(agent).into();
                self.user_agent = Some(made.clone());
                made
            }
        }
    }

    fn identity(&mut self, fields: &Fields<'_>, out: &Out) -> Option<(Arc<str>, CompactString)> {
        let c = &fields.credential;
        let parts = [c.authorization, c.api_key, c.cookie];
        if parts.iter().all(Option::is_none) {
            return None;
        }
        let raw = parts
            .iter()
            .flat_map(|p| p.unwrap_or_default().iter().chain(b"\n"));
        if !raw.clone().eq(&self.credential) {
            self.identity = out.observer.identity(c);
            self.credential.clear();
            self.credential.extend(raw);
        }
        self.identity.clone()
    }
}
