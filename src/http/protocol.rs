//! Which reader a flow has. It begins with HTTP/1, whose probe looks at every beginning, and goes
//! over to HTTP/2 where a preface, frames or an upgrade say so.

use super::conn;
use super::h2;
use super::{Out, Switch};
use crate::flow::{Chunk, End, FlowInfo, Side, Stream};
use crate::time::Timestamp;

/// The reader of one flow.
#[derive(Debug)]
pub(super) struct Connection {
    info: FlowInfo,
    reader: Reader,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // most flows are the large one
enum Reader {
    Http1(conn::Connection),
    Http2(Box<h2::Connection>),
}

impl Connection {
    pub(super) fn new(info: &FlowInfo) -> Self {
        Self {
            info: *info,
            reader: Reader::Http1(conn::Connection::new(info)),
        }
    }

    /// What follows is for a reader of another layer.
    pub(super) fn switch(&mut self) -> Option<Switch> {
        match &mut self.reader {
            Reader::Http1(http1) => http1.switch.take(),
            Reader::Http2(_) => None,
        }
    }

    fn http2(&mut self, switch: Switch, out: &mut Out) {
        let connection = match switch {
            // Another layer's.
            Switch::Tls => return,
            Switch::Preface(client) => h2::Connection::new(&self.info, client, true),
            Switch::Frames => h2::Connection::new(&self.info, None, false),
            Switch::Upgrade {
                client,
                request,
                table_size,
            } => h2::Connection::upgraded(&self.info, client, request, table_size, out),
        };
        out.counters.http2 += 1;
        self.reader = Reader::Http2(Box::new(connection));
    }
}

impl Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let mut used = 0;
        if let Reader::Http1(http1) = &mut self.reader {
            let first = chunk.offset == 0 && self.info.from_start;
            let switch = if first && h2::server_preface(chunk.data) {
                Some(Switch::Preface(None))
            } else {
                used = http1.on_data(side, chunk, out);
                match http1.switch.take() {
                    // Another layer's: `secure` takes it.
                    Some(Switch::Tls) => {
                        http1.switch = Some(Switch::Tls);
                        None
                    }
                    switch => switch,
                }
            };
            let Some(switch) = switch else {
                return used;
            };
            // What HTTP/1 still has open is as complete as it will get.
            http1.on_close(chunk.ts, End::Fin, out);
            self.http2(switch, out);
        }
        let Reader::Http2(http2) = &mut self.reader else {
            return used;
        };
        let rest = Chunk {
            offset: chunk.offset + used as u64,
            boundary: chunk.boundary && used == 0,
            data: &chunk.data[used..],
            ..chunk
        };
        used + http2.on_data(side, rest, out)
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, offset: u64, len: u64, out: &mut Out) {
        match &mut self.reader {
            Reader::Http1(http1) => http1.on_gap(side, ts, offset, len, out),
            Reader::Http2(http2) => http2.on_gap(side, ts, offset, len, out),
        }
    }

    fn on_end(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        match &mut self.reader {
            Reader::Http1(http1) => http1.on_end(side, ts, out),
            Reader::Http2(http2) => http2.on_end(side, ts, out),
        }
    }

    fn on_close(&mut self, ts: Timestamp, end: End, out: &mut Out) {
        match &mut self.reader {
            Reader::Http1(http1) => http1.on_close(ts, end, out),
            Reader::Http2(http2) => http2.on_close(ts, end, out),
        }
    }

    fn held(&self) -> usize {
        match &self.reader {
            Reader::Http1(http1) => http1.held(),
            Reader::Http2(http2) => http2.held(),
        }
    }
}
