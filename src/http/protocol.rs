//! Which reader a flow has. It begins with HTTP/1, whose probe looks at every beginning, and goes
//! over to HTTP/2 where a preface, frames or an upgrade say so, and to WebSocket behind its upgrade.

use super::conn;
use super::h2;
use super::ws;
use super::{Out, Switch};
use crate::flow::{Chunk, End, FlowInfo, Side, Stream};
use crate::time::Timestamp;

/// The reader of one flow.
#[derive(Debug)]
pub struct Connection {
    info: FlowInfo,
    reader: Reader,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // most flows are the large one
enum Reader {
    Http1(conn::Connection),
    Http2(Box<h2::Connection>),
    WebSocket(Box<ws::Connection>),
}

impl Connection {
    pub fn new(info: &FlowInfo) -> Self {
        Self {
            info: *info,
            reader: Reader::Http1(conn::Connection::new(info)),
        }
    }

    fn go_over(&mut self, switch: Switch, ts: Timestamp, out: &mut Out) {
        let connection = match switch {
            Switch::WebSocket {
                client,
                request,
                extensions,
            } => {
                out.counters.websocket += 1;
                let connection = ws::Connection::new(request, client, extensions, ts);
                self.reader = Reader::WebSocket(Box::new(connection));
                return;
            }
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
                http1.switch.take()
            };
            let Some(switch) = switch else {
                return used;
            };
            // What HTTP/1 still has open is as complete as it will get.
            http1.on_close(chunk.ts, End::Fin, out);
            self.go_over(switch, chunk.ts, out);
        }
        let rest = Chunk {
            offset: chunk.offset + used as u64,
            boundary: chunk.boundary && used == 0,
            data: &chunk.data[used..],
            ..chunk
        };
        used + match &mut self.reader {
            Reader::Http1(_) => 0,
            Reader::Http2(http2) => http2.on_data(side, rest, out),
            Reader::WebSocket(ws) => ws.on_data(side, rest, out),
        }
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, offset: u64, len: u64, out: &mut Out) {
        match &mut self.reader {
            Reader::Http1(http1) => http1.on_gap(side, ts, offset, len, out),
            Reader::Http2(http2) => http2.on_gap(side, ts, offset, len, out),
            Reader::WebSocket(ws) => ws.on_gap(side, ts, offset, len, out),
        }
    }

    fn on_end(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        match &mut self.reader {
            Reader::Http1(http1) => http1.on_end(side, ts, out),
            Reader::Http2(http2) => http2.on_end(side, ts, out),
            Reader::WebSocket(ws) => ws.on_end(side, ts, out),
        }
    }

    fn on_close(&mut self, ts: Timestamp, end: End, out: &mut Out) {
        match &mut self.reader {
            Reader::Http1(http1) => http1.on_close(ts, end, out),
            Reader::Http2(http2) => http2.on_close(ts, end, out),
            Reader::WebSocket(ws) => ws.on_close(ts, end, out),
        }
    }

    fn held(&self) -> usize {
        match &self.reader {
            Reader::Http1(http1) => http1.held(),
            Reader::Http2(http2) => http2.held(),
            Reader::WebSocket(ws) => ws.held(),
        }
    }
}
