//! HTTP/2 in clear (RFC 9113): frames of both directions in, exchanges out.
//!
//! Pairing needs no order: a response is on its request's stream, and no stream is used twice. What
//! does need order is the compression of headers, so every block is decoded where it stands, also
//! those of streams that nobody follows. Flow control and priorities are the peers' own concern.
//!
//! Behind a hole a direction waits for a segment that begins a frame (`sync`), and its decoder is
//! one that joined late. A frame's length is known, so a hole inside of DATA costs its bytes alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Out;
use super::hpack::Decoder;
use super::probe::PREFACE;
use super::record::Cache;
use crate::exchange::Exchange;
use crate::flow::{Chunk, End, FlowInfo, Side};
use crate::time::Timestamp;
use frame::Header;
use head::Head;
use stream::Stream;

mod frame;
mod head;
mod stream;
mod sync;

#[cfg(test)]
mod tests;

pub(super) use frame::header_table_size;
pub(super) use sync::{Sync, server_preface, sync};

/// A compressed header block is no longer than this: no server takes more in one. Stops the
/// CONTINUATION flood, frame upon frame of a block that never ends.
const MAX_BLOCK: usize = super::MAX_HEAD;

/// Streams followed at once on one connection; servers allow 100 to 256. Past it the oldest is
/// reported as it stands. Stops the stream flood. A stream that is reset is forgotten at once, so
/// rapid reset (CVE-2023-44487) costs no more than its requests.
const MAX_STREAMS: usize = 1_024;

/// A stream whose end may have been in a hole is given up after this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the reader of one direction stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the first byte: a client's preface may follow.
    Start,
    /// Before a frame.
    Frame,
    /// Inside the content of a DATA frame, with padding behind it.
    Data {
        stream: u32,
        left: usize,
        padding: usize,
        end: bool,
    },
    /// Inside of what is of no interest.
    Skip(usize),
    /// Somewhere inside what cannot be told: waits for a segment that begins a frame.
    Lost,
}

/// A header block under way.
#[derive(Debug)]
struct Assembly {
    stream: u32,
    promised: Option<u32>,
    end_stream: bool,
    first: Timestamp,
    block: Vec<u8>,
    /// Longer than `MAX_BLOCK`: what is kept is not all.
    over: bool,
}

#[derive(Debug)]
struct Half {
    place: Place,
    /// First sight of the frame that is not whole yet.
    first: Option<Timestamp>,
    decoder: Decoder,
    assembly: Option<Box<Assembly>>,
}

/// A header block on its way to its stream.
struct Block<'a> {
    stream: u32,
    promised: Option<u32>,
    end_stream: bool,
    /// Time of its first byte and of its last.
    first: Timestamp,
    last: Timestamp,
    block: &'a [u8],
}

/// The HTTP/2 reader of one flow.
#[derive(Debug)]
pub(super) struct Connection {
    info: FlowInfo,
    client: Option<Side>,
    halves: [Half; 2],
    streams: BTreeMap<u32, Stream>,
    /// The last stream that the client has opened.
    highest: u32,
    /// From this stream on all of the client's requests were seen.
    seen_from: Option<u32>,
    cache: Cache,
}

impl Half {
    fn new(whole: bool) -> Self {
        let (place, decoder) = if whole {
            (Place::Start, Decoder::new())
        } else {
            (Place::Lost, Decoder::joined_late())
        };
        Self {
            place,
            first: None,
            decoder,
            assembly: None,
        }
    }
}

impl crate::flow::Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let mut at = 0;
        while at < chunk.data.len() {
            let rest = &chunk.data[at..];
            let used = match self.half(side).place {
                Place::Start => self.start(side, rest),
                Place::Lost if at > 0 || !chunk.boundary => return chunk.data.len(),
                Place::Lost => match sync(rest, |id| self.streams.contains_key(&id)) {
                    Sync::Yes => {
                        self.half(side).place = Place::Start;
                        Some(0)
                    }
                    Sync::More => None,
                    Sync::No => return chunk.data.len(),
                },
                Place::Frame => self.frame(side, chunk.ts, rest, out),
                Place::Data { .. } => Some(self.data(side, chunk.ts, rest, out)),
                Place::Skip(left) => {
                    let used = left.min(rest.len());
                    self.half(side).skip(left - used);
                    Some(used)
                }
            };
            match used {
                Some(used) => at += used,
                None => {
                    self.half(side).first.get_or_insert(chunk.ts);
                    return at;
                }
            }
        }
        at
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, _offset: u64, len: u64, out: &mut Out) {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let half = self.half(side);
        half.first = None;
        match half.place {
            Place::Skip(left) if left >= len => half.skip(left - len),
            Place::Data {
                stream,
                left,
                padding,
                end,
            } if left >= len => {
                half.place = Place::Data {
                    stream,
                    left: left - len,
                    padding,
                    end,
                };
                self.cut(side, stream, len as u64);
                if left == len {
                    self.data_over(side, ts, out);
                }
            }
            _ => self.lost(side),
        }
    }

    fn on_end(&mut self, _side: Side, _ts: Timestamp, _out: &mut Out) {}

    fn on_close(&mut self, ts: Timestamp, _end: End, out: &mut Out) {
        for (_, stream) in std::mem::take(&mut self.streams) {
            stream.give_up(ts, false, out);
        }
    }
}

impl Half {
    fn skip(&mut self, left: usize) {
        self.place = if left > 0 {
            Place::Skip(left)
        } else {
            Place::Frame
        };
    }
}

impl Connection {
    /// `whole`: both directions are seen from their first byte.
    pub(super) fn new(info: &FlowInfo, client: Option<Side>, whole: bool) -> Self {
        Self {
            info: *info,
            client,
            halves: [Half::new(whole), Half::new(whole)],
            streams: BTreeMap::new(),
            highest: 0,
            seen_from: whole.then_some(0),
            cache: Cache::default(),
        }
    }

    /// Behind an upgrade (RFC 7540, section 3.2): the request was stream 1, and the client's
    /// settings came with it.
    pub(super) fn upgraded(
        info: &FlowInfo,
        client: Side,
        request: Box<Exchange>,
        table_size: Option<u32>,
        out: &mut Out,
    ) -> Self {
        let mut connection = Self::new(info, Some(client), true);
        if let Some(size) = table_size {
            connection.half(client.other()).decoder.allow(size);
        }
        // One message more: what was a request of HTTP/1 is now one of HTTP/2.
        out.counters.messages += 1;
        out.counters.pending += 1;
        let done = out.now;
        let stream = Stream::requested(request, done);
        connection.streams.insert(1, stream);
        connection.highest = 1;
        connection
    }

    fn half(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side as usize]
    }

    /// Nothing on this side can be told until a segment begins a frame.
    fn lost(&mut self, side: Side) {
        let half = self.half(side);
        (half.place, half.first, half.assembly) = (Place::Lost, None, None);
        half.decoder.lose();
        // A change of its settings may have been missed.
        self.half(side.other()).decoder.allow(u32::MAX);
        let is_client = self.client.is_none_or(|client| client == side);
        if is_client {
            self.seen_from = None;
        }
        for stream in self.streams.values_mut() {
            stream.hole(is_client);
        }
    }

    /// A piece of a body is missing.
    fn cut(&mut self, side: Side, stream: u32, len: u64) {
        let is_client = self.client == Some(side);
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.cut(is_client, len);
        }
    }

    /// The preface, or for a server and where it was missed, the first frame.
    fn start(&mut self, side: Side, data: &[u8]) -> Option<usize> {
        if data.starts_with(PREFACE) {
            self.client.get_or_insert(side);
            self.half(side).place = Place::Frame;
            return Some(PREFACE.len());
        }
        if PREFACE.starts_with(data) {
            return None;
        }
        self.half(side).place = Place::Frame;
        Some(0)
    }

    /// Reads the frame that begins `data`; `None`: it is not whole, and must be.
    fn frame(&mut self, side: Side, ts: Timestamp, data: &[u8], out: &mut Out) -> Option<usize> {
        let header = Header::parse(data)?;
        let continues = self.half(side).assembly.as_ref().map(|a| a.stream);
        let in_turn = match header.kind {
            frame::CONTINUATION => continues == Some(header.stream),
            // Nothing may come between (RFC 9113, section 6.10).
            _ => continues.is_none(),
        };
        if !header.lawful() || !in_turn {
            if continues.is_some() {
                malformed(out);
            }
            self.lost(side);
            return Some(data.len());
        }
        let payload = data.get(frame::HEADER..frame::HEADER + header.len);
        match header.kind {
            frame::DATA => return self.data_begins(side, ts, header, data, out),
            frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION
                if header.len <= MAX_BLOCK =>
            {
                let first = self.half(side).first.unwrap_or(ts);
                self.block(side, header, payload?, (first, ts), out);
            }
            frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION => {
                self.oversized(side, header, ts, out);
                self.half(side).skip(header.len);
                return Some(frame::HEADER);
            }
            frame::SETTINGS if header.len <= MAX_BLOCK => {
                if let Some(size) = header_table_size(payload?) {
                    self.half(side.other()).decoder.allow(size);
                }
            }
            frame::RST_STREAM => {
                payload?;
                self.reset(header.stream, ts, out);
            }
            frame::GOAWAY => {
                let last = frame::number(data.get(frame::HEADER..)?)?;
                self.go_away(side, last, ts, out);
                self.half(side).skip(header.len);
                return Some(frame::HEADER);
            }
            _ => {
                self.half(side).skip(header.len);
                return Some(frame::HEADER);
            }
        }
        self.half(side).first = None;
        Some(frame::HEADER + header.len)
    }

    fn data_begins(
        &mut self,
        side: Side,
        ts: Timestamp,
        header: Header,
        data: &[u8],
        out: &mut Out,
    ) -> Option<usize> {
        let (padding, used) = match header.padded() {
            true => (usize::from(*data.get(frame::HEADER)?), frame::HEADER + 1),
            false => (0, frame::HEADER),
        };
        let content = header.len - (used - frame::HEADER);
        let padding = padding.min(content);
        let half = self.half(side);
        half.first = None;
        half.place = Place::Data {
            stream: header.stream,
            left: content - padding,
            padding,
            end: header.end_stream(),
        };
        if content == padding {
            self.data_over(side, ts, out);
        }
        Some(used)
    }

    /// Feeds the content at hand; returns the bytes used.
    fn data(&mut self, side: Side, ts: Timestamp, data: &[u8], out: &mut Out) -> usize {
        let is_client = self.client == Some(side);
        let half = &mut self.halves[side as usize];
        let Place::Data { stream, left, .. } = &mut half.place else {
            return 0;
        };
        let used = data.len().min(*left);
        *left -= used;
        let over = *left == 0;
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.data(is_client, &data[..used]);
        }
        if over {
            self.data_over(side, ts, out);
        }
        used
    }

    fn data_over(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let half = self.half(side);
        let Place::Data {
            stream,
            padding,
            end,
            ..
        } = half.place
        else {
            return;
        };
        half.skip(padding);
        if end {
            self.end_stream(side, stream, ts, out);
        }
    }

    /// Takes a HEADERS, PUSH_PROMISE or CONTINUATION frame.
    fn block(
        &mut self,
        side: Side,
        header: Header,
        payload: &[u8],
        (first, last): (Timestamp, Timestamp),
        out: &mut Out,
    ) {
        let parts = if header.kind == frame::PUSH_PROMISE {
            header.promise(payload).map(|(id, block)| (Some(id), block))
        } else {
            header.block(payload).map(|block| (None, block))
        };
        let Some((promised, block)) = parts else {
            // Padding longer than its frame.
            malformed(out);
            return self.lost(side);
        };
        let Some(mut assembly) = self.half(side).assembly.take() else {
            let whole = Block {
                stream: header.stream,
                promised,
                end_stream: header.kind == frame::HEADERS && header.end_stream(),
                first,
                last,
                block,
            };
            if header.end_headers() {
                return self.decode(side, &whole, out);
            }
            self.half(side).assembly = Some(Box::new(Assembly {
                stream: whole.stream,
                promised,
                end_stream: whole.end_stream,
                first,
                block: block.to_vec(),
                over: false,
            }));
            return;
        };
        assembly.over |= assembly.block.len() + block.len() > MAX_BLOCK;
        if !assembly.over {
            assembly.block.extend_from_slice(block);
        }
        if !header.end_headers() {
            self.half(side).assembly = Some(assembly);
        } else if assembly.over {
            self.unreadable(side, out);
        } else {
            let whole = Block {
                stream: assembly.stream,
                promised: assembly.promised,
                end_stream: assembly.end_stream,
                first: assembly.first,
                last,
                block: &assembly.block,
            };
            self.decode(side, &whole, out);
        }
    }

    /// A frame of a header block that is too long by itself.
    fn oversized(&mut self, side: Side, header: Header, first: Timestamp, out: &mut Out) {
        if header.end_headers() {
            self.half(side).assembly = None;
            self.unreadable(side, out);
            return;
        }
        self.half(side).assembly = Some(Box::new(Assembly {
            stream: header.stream,
            promised: None,
            end_stream: false,
            first,
            block: Vec::new(),
            over: true,
        }));
    }

    /// A block went by unread: what it inserted is unknown, and so is what it was.
    fn unreadable(&mut self, side: Side, out: &mut Out) {
        malformed(out);
        self.half(side).decoder.lose();
        if self.client == Some(side) {
            self.seen_from = None;
        }
    }

    fn decode(&mut self, side: Side, block: &Block<'_>, out: &mut Out) {
        let mut list = std::mem::take(&mut out.list);
        match self
            .half(side)
            .decoder
            .decode(block.block, Head::wants, &mut list)
        {
            Ok(()) => {
                list.join(b"cookie", b"; ");
                self.message(side, block, &Head::of(&list), out);
            }
            Err(_) => self.unreadable(side, out),
        }
        out.list = list;
    }

    /// What a header block is: a promise, a request, a response, or trailers.
    fn message(&mut self, side: Side, block: &Block<'_>, head: &Head<'_>, out: &mut Out) {
        let client = match (self.client, head.is_request, head.is_response) {
            (Some(client), _, _) => client,
            (None, _, _) if block.promised.is_some() => side.other(),
            (None, true, false) => side,
            (None, false, true) => side.other(),
            _ => return unresolved(out),
        };
        self.client = Some(client);
        let id = block.stream;
        let from_client = client == side;
        match self.streams.get_mut(&id) {
            _ if block.promised.is_some() => self.promise(client, block, head, out),
            Some(stream) if from_client => stream.request_trailers(),
            Some(stream) => stream.response(block, head, out),
            None if from_client => return self.request(client, block, head, out),
            None => return self.response_alone(client, block, head, out),
        }
        if block.end_stream {
            self.end_stream(side, id, block.last, out);
        }
    }

    /// A request opens a stream, or these are trailers on one that is not open.
    fn request(&mut self, client: Side, block: &Block<'_>, head: &Head<'_>, out: &mut Out) {
        let id = block.stream;
        let new = id > self.highest && id % 2 == 1;
        if !(new && head.is_request) {
            let over = !new && self.seen_from.is_some_and(|from| id >= from);
            return match head.is_request {
                // Streams open in the order of their numbers, and once.
                true => malformed(out),
                false if over => {}
                false if head.unknown => unresolved(out),
                false if new && self.seen_from.is_some() => malformed(out),
                false => {}
            };
        }
        self.highest = self.highest.max(id);
        self.seen_from.get_or_insert(id);
        self.make_room(block.last, out);
        let mut stream = Stream::new(&self.info, client, block, head, &mut self.cache, out);
        if block.end_stream {
            stream.request_over(block.last);
        }
        self.streams.insert(id, stream);
    }

    /// RFC 9113, section 8.4: the request that a server answers before it is made.
    fn promise(&mut self, client: Side, block: &Block<'_>, head: &Head<'_>, out: &mut Out) {
        let Some(promised) = block.promised.filter(|id| id % 2 == 0) else {
            return malformed(out);
        };
        self.make_room(block.last, out);
        let mut stream = Stream::new(&self.info, client, block, head, &mut self.cache, out);
        stream.request_over(block.last);
        if let Some(passed) = self.streams.insert(promised, stream) {
            passed.give_up(block.last, true, out);
        }
    }

    /// A response, or trailers, on a stream that is not open.
    fn response_alone(&mut self, client: Side, block: &Block<'_>, head: &Head<'_>, out: &mut Out) {
        let seen = self.seen_from.is_some_and(|from| block.stream >= from);
        if seen && block.stream <= self.highest && block.stream % 2 == 1 {
            // The client has reset it, or it was put out.
            if head.is_response {
                out.counters.messages += 1;
                out.counters.late += 1;
            }
        } else if head.is_response {
            self.make_room(block.last, out);
            // There was a request, or for an even stream a promise of one, that we have missed.
            let missed = self.seen_from.is_none() || block.stream.is_multiple_of(2);
            let mut stream = Stream::unrequested(&self.info, client, block.first, missed);
            stream.response(block, head, out);
            self.streams.insert(block.stream, stream);
            if block.end_stream {
                self.end_stream(client.other(), block.stream, block.last, out);
            }
        } else if head.is_request {
            malformed(out);
        } else if head.unknown {
            unresolved(out);
        }
    }

    /// Gives up what is in doubt for long, or the oldest.
    fn make_room(&mut self, now: Timestamp, out: &mut Out) {
        while let Some(oldest) = self.streams.first_entry() {
            let stale = oldest
                .get()
                .in_doubt_since()
                .is_some_and(|since| now.since(since) >= PATIENCE);
            if !stale && self.streams.len() < MAX_STREAMS {
                return;
            }
            if let Some((_, stream)) = self.streams.pop_first() {
                stream.give_up(now, true, out);
            }
        }
    }

    /// One side has sent its last on this stream.
    fn end_stream(&mut self, side: Side, id: u32, ts: Timestamp, out: &mut Out) {
        let is_client = self.client == Some(side);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if is_client {
            stream.request_over(ts);
            stream.look_for_login(out);
        } else {
            stream.response_over(ts);
        }
        if stream.is_over()
            && let Some(stream) = self.streams.remove(&id)
        {
            stream.finish(ts, out);
        }
    }

    fn reset(&mut self, id: u32, ts: Timestamp, out: &mut Out) {
        if let Some(stream) = self.streams.remove(&id) {
            stream.give_up(ts, false, out);
        }
    }

    /// Streams of the other side past `last` will not be answered (RFC 9113, section 6.8).
    fn go_away(&mut self, side: Side, last: u32, ts: Timestamp, out: &mut Out) {
        if self.client != Some(side.other()) {
            return;
        }
        while let Some(newest) = self.streams.last_entry() {
            if *newest.key() <= last {
                return;
            }
            newest.remove().give_up(ts, false, out);
        }
    }
}

fn malformed(out: &mut Out) {
    out.counters.messages += 1;
    out.counters.malformed += 1;
}

/// A block of which it cannot be told whether it begins a message.
fn unresolved(out: &mut Out) {
    out.counters.messages += 1;
    out.counters.unresolved += 1;
}
