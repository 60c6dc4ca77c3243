//! Header blocks become messages: which stream they belong to, what they are there, and when a
//! stream is over.

use super::stream::Stream;
use super::{Block, Connection, Head, MAX_STREAMS, PATIENCE, malformed, unresolved};
use crate::flow::Side;
use crate::http::Out;
use crate::time::Timestamp;

impl Connection {
    /// What a header block is: a promise, a request, a response, or trailers.
    pub(super) fn message(
        &mut self,
        side: Side,
        block: &Block<'_>,
        head: &Head<'_>,
        out: &mut Out,
    ) {
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
        if block.promised.is_some() {
            self.promise(client, block, head, out);
        } else {
            let cache = &mut self.cache;
            let known = self.streams.with(id, |stream| match from_client {
                true => stream.request_trailers(),
                false => stream.response(block, head, cache, out),
            });
            match known {
                Some(()) => {}
                None if from_client => return self.request(client, block, head, out),
                None => return self.response_alone(client, block, head, out),
            }
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
            stream.response(block, head, &mut self.cache, out);
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
        while let Some(oldest) = self.streams.first() {
            let stale = oldest
                .in_doubt_since()
                .is_some_and(|since| now.since(since) >= PATIENCE);
            if !stale && self.streams.len() < MAX_STREAMS {
                return;
            }
            if let Some(stream) = self.streams.pop_first() {
                stream.give_up(now, true, out);
            }
        }
    }

    /// One side has sent its last on this stream.
    pub(super) fn end_stream(&mut self, side: Side, id: u32, ts: Timestamp, out: &mut Out) {
        let is_client = self.client == Some(side);
        let over = self.streams.with(id, |stream| {
            if is_client {
                stream.request_over(ts);
                stream.look_at_body(out);
            } else {
                stream.response_over(ts);
            }
            stream.is_over()
        });
        if over == Some(true)
            && let Some(stream) = self.streams.remove(id)
        {
            stream.finish(ts, out);
        }
    }

    pub(super) fn reset(&mut self, id: u32, ts: Timestamp, out: &mut Out) {
        if let Some(stream) = self.streams.remove(id) {
            stream.give_up(ts, false, out);
        }
    }

    /// Streams of the other side past `last` will not be answered (RFC 9113, section 6.8).
    pub(super) fn go_away(&mut self, side: Side, last: u32, ts: Timestamp, out: &mut Out) {
        if self.client != Some(side.other()) {
            return;
        }
        while let Some(newest) = self.streams.last_id().filter(|id| *id > last) {
            if let Some(stream) = self.streams.remove(newest) {
                stream.give_up(ts, false, out);
            }
        }
    }
}
