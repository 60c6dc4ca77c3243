//! One stream: a request and its response, each with its body, and what is missing of them.

use compact_str::CompactString;

use super::tunnel::Tunnel;
use super::{Block, Head};
use crate::exchange::Exchange;
use crate::flow::{FlowInfo, Side};
use crate::http::Out;
use crate::http::events::Events;
use crate::http::record::{self, Cache, emit, unanswered};
use crate::http::rpc::{self, Messages};
use crate::http::sample::Sample;
use crate::http::sampler::Place;
use crate::time::Timestamp;

/// One direction of a stream.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Content of DATA, without padding.
    bytes: u64,
    /// When END_STREAM came.
    done: Option<Timestamp>,
    /// A piece was in a hole, or the end may have been.
    cut: bool,
    /// Of a call.
    messages: Option<Messages>,
}

#[derive(Debug)]
pub(super) struct Stream {
    x: Box<Exchange>,
    request: Part,
    response: Part,
    /// The final response's headers were seen.
    answered: bool,
    /// The response, or its end, may have been in a hole: since when.
    doubt: Option<Timestamp>,
    last: Timestamp,
    /// The request's body, where it may be a login or tell an operation.
    sample: Option<Sample>,
    /// The response's body, where it is to be looked into.
    answer: Option<Sample>,
    place: Place,
    /// The response's body, where it is an event stream.
    events: Option<Box<Events>>,
    web_socket: WebSocket,
}

#[derive(Debug, Default)]
enum WebSocket {
    #[default]
    None,
    Asked,
    /// What follows is no body.
    Open(Box<Tunnel>),
}

impl Stream {
    pub(super) fn new(
        info: &FlowInfo,
        client: Side,
        block: &Block<'_>,
        head: &Head<'_>,
        cache: &mut Cache,
        out: &mut Out,
    ) -> Self {
        out.counters.messages += 1;
        out.counters.pending += 1;
        let mut x = record::record(info, client, block.first, "http/2");
        let host = head.authority.or(head.fields.host);
        let host = host.map(CompactString::from_utf8_lossy);
        let path = head.path.map(String::from_utf8_lossy);
        let connect = head.method == Some(b"CONNECT") && path.is_none();
        let path = if connect {
            host.as_deref()
        } else {
            path.as_deref()
        };
        // One endpoint, whichever way its WebSocket is opened: with HTTP/1 a GET asks for it.
        let asks = head.asks_for_websocket();
        let method = head.method.map(|m| if asks { b"GET" } else { m });
        x.partial.unresolved = head.unknown && (method.is_none() || path.is_none());
        let path = path.map(str::to_owned);
        record::target(&mut x, method, host, path.as_deref(), out);
        if head.scheme == Some(b"https") {
            x.scheme = CompactString::const_new("https");
        }
        record::request_fields(&mut x, &head.fields, cache, out);
        let place = record::look_into(&mut x, head.names(), out);
        let sample = record::body_sample(&x, &head.fields);
        let messages = rpc::request(&mut x, &head.fields);
        let mut stream = Self::of(x, block.last);
        (stream.sample, stream.request.messages) = (sample, messages);
        if asks {
            stream.web_socket = WebSocket::Asked;
        }
        stream.place = place;
        stream
    }

    /// A request that came as HTTP/1 and was whole at `done`.
    pub(super) fn requested(mut x: Box<Exchange>, done: Timestamp) -> Self {
        x.protocol = CompactString::const_new("http/2");
        (x.status, x.content_type, x.response_bytes) = (None, None, None);
        let bytes = x.request_bytes.unwrap_or(0);
        let mut stream = Self::of(x, done);
        stream.request.bytes = bytes;
        stream.request.done = Some(done);
        stream
    }

    /// The request was not seen; `lossy`: it was there.
    pub(super) fn unrequested(info: &FlowInfo, client: Side, ts: Timestamp, lossy: bool) -> Self {
        let mut x = record::record(info, client, ts, "http/2");
        x.partial.no_request = true;
        x.partial.unpaired = lossy;
        let mut stream = Self::of(x, ts);
        stream.request.done = Some(ts);
        stream
    }

    fn of(x: Box<Exchange>, last: Timestamp) -> Self {
        Self {
            x,
            request: Part::default(),
            response: Part::default(),
            answered: false,
            doubt: None,
            last,
            sample: None,
            answer: None,
            place: Place::default(),
            events: None,
            web_socket: WebSocket::None,
        }
    }

    /// Bytes that it takes.
    pub(super) fn held(&self) -> usize {
        let events = self.events.as_ref().map_or(0, |e| e.held());
        let tunnel = match &self.web_socket {
            WebSocket::Open(tunnel) => tunnel.held(),
            _ => 0,
        };
        let samples = self.sample.iter().chain(&self.answer);
        let samples = samples.map(Sample::memory).sum::<usize>();
        size_of::<Self>() + events + tunnel + self.x.cost() + samples
    }

    fn part(&mut self, of_client: bool) -> &mut Part {
        if of_client {
            &mut self.request
        } else {
            &mut self.response
        }
    }

    fn sample(&mut self, of_client: bool) -> Option<&mut Sample> {
        if of_client {
            self.sample.as_mut()
        } else {
            self.answer.as_mut()
        }
    }

    pub(super) fn in_doubt_since(&self) -> Option<Timestamp> {
        self.doubt
    }

    /// A piece of a body of that length is missing.
    pub(super) fn cut(&mut self, of_client: bool, len: u64) {
        let part = self.part(of_client);
        part.cut = true;
        if let Some(messages) = &mut part.messages {
            messages.skip(len);
        }
        if let Some(sample) = self.sample(of_client) {
            sample.cut();
        }
        if let Some(events) = self.events.as_mut().filter(|_| !of_client) {
            events.hole();
        }
        if let WebSocket::Open(tunnel) = &mut self.web_socket {
            tunnel.missed(of_client, len);
        }
    }

    /// A direction was lost while this stream was open.
    pub(super) fn hole(&mut self, of_client: bool) {
        let part = self.part(of_client);
        if part.done.is_none() {
            self.cut(of_client, u64::MAX);
        }
        if !of_client {
            self.doubt.get_or_insert(self.last);
        }
    }

    /// Trailers of a request say nothing that is recorded.
    pub(super) fn request_trailers(&mut self) {}

    /// A header block of the server's: interim, final, or trailers.
    pub(super) fn response(
        &mut self,
        block: &Block<'_>,
        head: &Head<'_>,
        cache: &mut Cache,
        out: &mut Out,
    ) {
        let asked = std::mem::replace(&mut self.last, block.last);
        if self.answered && !head.is_response {
            return rpc::trailers(&mut self.x, &head.fields);
        }
        out.counters.messages += 1;
        if head.is_interim() || self.answered {
            out.counters.interim += 1;
            // What was taken for the response, its status unknown, was an interim one.
            if self.answered && !head.is_interim() && self.x.status.is_none() {
                self.respond(block, head, cache, out);
            }
            return;
        }
        if !head.is_response && !head.unknown {
            out.counters.malformed += 1;
            return;
        }
        out.counters.pending += 1;
        self.answered = true;
        let done = match self.web_socket {
            WebSocket::None => self.request.done.filter(|_| !self.x.partial.no_request),
            _ => Some(asked),
        };
        let wait = |done| block.first.since(done).as_nanos() as f64 / 1e6;
        self.x.latency_ms = done.map(wait);
        self.respond(block, head, cache, out);
    }

    fn respond(&mut self, block: &Block<'_>, head: &Head<'_>, cache: &mut Cache, out: &mut Out) {
        record::response_fields(&mut self.x, head.code(), &head.fields, cache, out);
        self.response.messages = rpc::response(&mut self.x, &head.fields);
        let granted = matches!(self.x.status, Some(200..=299)) && !block.end_stream;
        if granted && matches!(self.web_socket, WebSocket::Asked) {
            return self.upgrade(block.last, head, out);
        }
        self.events = Events::of(&self.x, &head.fields, block.last);
        let (x, names) = (&mut self.x, head.names());
        self.answer = record::answer_sample(x, &head.fields, names, (self.place, block.last), out);
    }

    /// The server has agreed (RFC 8441, section 5): the exchange is over, and its session begins.
    fn upgrade(&mut self, ts: Timestamp, head: &Head<'_>, out: &mut Out) {
        out.counters.websocket += 1;
        let mut extensions = head.fields.extensions;
        extensions.other |= head.unknown;
        let mut tunnel = Tunnel::new(self.x.clone(), extensions, ts);
        // What came before the answer was read as a body.
        tunnel.missed(true, self.request.bytes);
        self.web_socket = WebSocket::Open(Box::new(tunnel));
        let mut x = self.x.clone();
        (x.request_bytes, x.response_bytes, x.end) = (Some(0), Some(0), ts);
        emit(x, out);
    }

    /// `first`: the content begins a frame.
    pub(super) fn data(
        &mut self,
        of_client: bool,
        first: bool,
        ts: Timestamp,
        content: &[u8],
        out: &mut Out,
    ) {
        if self.answered && !of_client {
            // Whatever was missed, the response's end was not in it.
            self.doubt = None;
        }
        if let WebSocket::Open(tunnel) = &mut self.web_socket {
            return tunnel.data(of_client, first, ts, content, out);
        }
        let part = self.part(of_client);
        part.bytes += content.len() as u64;
        if let Some(messages) = &mut part.messages {
            messages.feed(content);
        }
        if let Some(sample) = self.sample(of_client) {
            sample.feed(content);
        }
        if let Some(events) = self.events.as_mut().filter(|_| !of_client) {
            events.feed(content, ts, out);
            self.show(ts, out);
        }
    }

    /// An event stream that goes on for long is shown before its end.
    fn show(&mut self, now: Timestamp, out: &mut Out) {
        let sent = self.request.done.is_some();
        let events = self.events.as_mut().filter(|_| sent);
        let Some(end) = events.and_then(|e| e.show(now)) else {
            return;
        };
        let mut x = self.x.clone();
        if !x.partial.no_request {
            x.request_bytes = Some(self.request.bytes);
            x.partial.truncated |= self.request.cut;
        }
        (x.open, x.end) = (true, end);
        emit(x, out);
    }

    pub(super) fn due(&self) -> Timestamp {
        match (&self.web_socket, &self.events) {
            (WebSocket::Open(tunnel), _) => tunnel.due(),
            (_, Some(events)) => events.due(self.request.done.is_some()),
            _ => Timestamp::MAX,
        }
    }

    pub(super) fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        if let WebSocket::Open(tunnel) = &mut self.web_socket {
            tunnel.on_tick(now, out);
        } else if let Some(events) = &mut self.events {
            events.on_tick(now, out);
            self.show(now, out);
        }
    }

    pub(super) fn request_over(&mut self, ts: Timestamp) {
        self.request.done.get_or_insert(ts);
        self.last = ts;
    }

    pub(super) fn response_over(&mut self, ts: Timestamp) {
        self.response.done.get_or_insert(ts);
        self.last = ts;
    }

    pub(super) fn look_at_body(&mut self, out: &mut Out) {
        let sample = self.sample.take();
        record::look_at_body(&mut self.x, sample, self.request.cut, out);
    }

    /// Nothing more is to come; where the request's end may have been in a hole, the response's
    /// end is enough.
    pub(super) fn is_over(&self) -> bool {
        self.response.done.is_some() && (self.request.done.is_some() || self.request.cut)
    }

    /// Ended as it should.
    pub(super) fn finish(self, ts: Timestamp, out: &mut Out) {
        self.give_up(ts, false, out);
    }

    /// Reports what was seen. `unpaired`: the rest may exist.
    pub(super) fn give_up(mut self, ts: Timestamp, unpaired: bool, out: &mut Out) {
        if self.x.partial.no_request && !self.answered {
            // Interim responses alone: there is nothing to tell.
            return;
        }
        if let WebSocket::Open(tunnel) = self.web_socket {
            return tunnel.over(ts, out);
        }
        self.show(ts, out);
        let events = self.events.take();
        if let Some(events) = events.filter(|_| self.answered) {
            let shown = events.is_shown();
            self.tell(ts, unpaired, shown, out);
            return events.over(ts, out);
        }
        self.tell(ts, unpaired, false, out);
    }

    /// The exchange, but where it was handed on before.
    fn tell(mut self, ts: Timestamp, unpaired: bool, shown: bool, out: &mut Out) {
        if shown {
            return;
        }
        let (request, response) = (&self.request, &self.response);
        if let Some(messages) = &request.messages {
            messages.end_request(&mut self.x);
        }
        if let Some(messages) = &response.messages {
            messages.end_response(&mut self.x);
        }
        if !self.x.partial.no_request {
            self.x.request_bytes = Some(request.bytes);
            self.x.partial.truncated |= request.cut;
        }
        if !self.answered {
            // END_STREAM without readable headers: there was a response.
            let unpaired = unpaired || self.doubt.is_some() || response.done.is_some();
            return unanswered(self.x, ts, unpaired, out);
        }
        let open = request.done.is_none() || response.done.is_none();
        self.x.response_bytes = Some(response.bytes);
        self.x.partial.truncated |= response.cut || open;
        let cut = response.cut || response.done.is_none();
        record::look_at_answer(&mut self.x, self.answer.take(), cut, out);
        self.x.end = ts;
        emit(self.x, out);
    }
}
