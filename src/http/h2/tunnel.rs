//! A WebSocket on a stream (RFC 8441): its DATA is what behind an upgrade of HTTP/1 the connection
//! is, and the same reader reads it.

use crate::exchange::Exchange;
use crate::flow::{Chunk, End, Side, Stream as _};
use crate::http::carry::Carry;
use crate::http::{Out, ws};
use crate::time::Timestamp;

/// Sides are the stream's own: its client is `Orig`.
#[derive(Debug)]
pub(super) struct Tunnel {
    reader: ws::Connection,
    lanes: [Lane; 2],
}

#[derive(Debug, Default)]
struct Lane {
    carry: Carry,
    /// Content that came.
    offset: u64,
    /// Bytes missing in front of what comes next, which the reader does not know of.
    missing: u64,
}

impl Tunnel {
    pub(super) fn new(opener: Box<Exchange>, extensions: ws::Extensions, ts: Timestamp) -> Self {
        Self {
            reader: ws::Connection::new(opener, Side::Orig, extensions, ts),
            lanes: Default::default(),
        }
    }

    /// `first`: the content begins a DATA frame, where peers like to begin one of WebSocket's.
    pub(super) fn data(
        &mut self,
        of_client: bool,
        first: bool,
        ts: Timestamp,
        content: &[u8],
        out: &mut Out,
    ) {
        let side = side(of_client);
        self.tell(side, ts, out);
        let (reader, lane) = (&mut self.reader, &mut self.lanes[side as usize]);
        let chunk = Chunk {
            ts,
            offset: lane.offset,
            ack: None,
            boundary: first,
            data: content,
        };
        lane.offset += content.len() as u64;
        lane.carry
            .feed(chunk, |chunk| reader.on_data(side, chunk, out));
    }

    pub(super) fn missed(&mut self, of_client: bool, len: u64) {
        let lane = &mut self.lanes[side(of_client) as usize];
        lane.missing = lane.missing.saturating_add(len);
    }

    pub(super) fn over(mut self, ts: Timestamp, out: &mut Out) {
        for side in [Side::Orig, Side::Resp] {
            self.tell(side, ts, out);
        }
        self.reader.on_close(ts, End::Fin, out);
    }

    pub(super) fn due(&self) -> Timestamp {
        self.reader.due()
    }

    pub(super) fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        self.reader.on_tick(now, out);
    }

    /// Tells the reader what is missing.
    fn tell(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let lane = &mut self.lanes[side as usize];
        let missing = std::mem::take(&mut lane.missing);
        if missing > 0 {
            lane.carry.clear();
            self.reader.on_gap(side, ts, lane.offset, missing, out);
        }
    }

    pub(super) fn held(&self) -> usize {
        let carried = self.lanes.iter().map(|l| l.carry.len()).sum::<usize>();
        size_of::<Self>() + carried + self.reader.held()
    }
}

fn side(of_client: bool) -> Side {
    if of_client { Side::Orig } else { Side::Resp }
}
