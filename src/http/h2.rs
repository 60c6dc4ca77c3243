//! HTTP/2 in clear (RFC 9113): frames of both directions in, exchanges out; WebSocket on its
//! streams (RFC 8441) too.
//!
//! Pairing needs no order: a response is on its request's stream, and no stream is used twice. What
//! does need order is the compression of headers, so every block is decoded where it stands, also
//! those of streams that nobody follows. Flow control and priorities are the peers' own concern.
//!
//! Behind a hole a direction waits for a segment that begins a frame (`sync`), and its decoder is
//! one that joined late. A frame's length is known, so a hole inside of DATA costs its bytes alone.

use std::time::Duration;

use super::Out;
use super::hpack::Decoder;
use super::record::Cache;
use crate::exchange::Exchange;
use crate::flow::{Chunk, End, FlowInfo, Side};
use crate::time::Timestamp;
use head::Head;
use stream::Stream;
use streams::Streams;

mod frame;
mod head;
mod message;
mod read;
mod stream;
mod streams;
mod sync;
mod tunnel;

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
        /// Nothing of it came yet.
        first: bool,
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
    streams: Streams,
    /// The last stream that the client has opened.
    highest: u32,
    /// From this stream on all of the client's requests were seen.
    seen_from: Option<u32>,
    cache: Cache,
}

impl Assembly {
    fn of(begun: &Block<'_>) -> Self {
        Self {
            stream: begun.stream,
            promised: begun.promised,
            end_stream: begun.end_stream,
            first: begun.first,
            block: begun.block.to_vec(),
            over: false,
        }
    }
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

    fn held(&self) -> usize {
        let assembly = self.assembly.as_ref().map_or(0, |a| a.block.capacity());
        self.decoder.memory() + assembly
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
                Place::Lost => match sync(rest, |id| self.streams.contains(id)) {
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
                ..
            } if left >= len => {
                half.place = Place::Data {
                    stream,
                    left: left - len,
                    padding,
                    end,
                    first: false,
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
        while let Some(stream) = self.streams.pop_first() {
            stream.give_up(ts, false, out);
        }
    }

    fn due(&self) -> Timestamp {
        self.streams.due()
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        self.streams.each(|stream| stream.on_tick(now, out));
    }

    fn held(&self) -> usize {
        let halves = self.halves.iter().map(Half::held).sum::<usize>();
        self.streams.held() + halves + self.cache.held()
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
            streams: Streams::default(),
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
        self.streams.each(|stream| stream.hole(is_client));
    }

    /// A piece of a body is missing.
    fn cut(&mut self, side: Side, stream: u32, len: u64) {
        let is_client = self.client == Some(side);
        self.streams
            .with(stream, |stream| stream.cut(is_client, len));
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
