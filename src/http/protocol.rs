//! Which reader a flow has. It begins with HTTP/1, whose probe looks at every beginning, and goes
//! over to HTTP/2 where a preface, frames or an upgrade say so, and to WebSocket behind its upgrade.

use std::net::IpAddr;

use super::conn;
use super::h2;
use super::proxy::{self, Place};
use super::ws;
use super::{Out, Switch};
use crate::flow::{Chunk, End, FlowInfo, Side, Stream};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// The reader of one flow.
#[derive(Debug)]
pub(super) struct Connection {
    info: FlowInfo,
    /// Of the originator's side: a proxy says first whom it connects for.
    proxy: Place,
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
    pub(super) fn new(info: &FlowInfo) -> Self {
        Self {
            info: *info,
            proxy: if info.from_start {
                Place::Begin
            } else {
                Place::Through
            },
            reader: Reader::Http1(conn::Connection::new(info)),
        }
    }

    /// The two ends, as far as a proxy in front is believed.
    pub(super) fn info(&self) -> &FlowInfo {
        &self.info
    }

    /// Whether it is known to speak HTTP, or what HTTP went over to.
    pub(super) fn is_http(&self) -> bool {
        match &self.reader {
            Reader::Http1(http1) => http1.is_http(),
            Reader::Http2(_) | Reader::WebSocket(_) => true,
        }
    }

    /// What follows is for a reader of another layer.
    pub(super) fn switch(&mut self) -> Option<Switch> {
        match &mut self.reader {
            Reader::Http1(http1) => http1.switch.take(),
            _ => None,
        }
    }

    /// Steps over a header of the PROXY protocol; `None` where it is not whole.
    fn proxied(&mut self, data: &[u8], out: &mut Out) -> Option<usize> {
        let left = match self.proxy {
            Place::Through => return Some(0),
            Place::Skip(left) => left,
            Place::Begin => match proxy::parse(data) {
                proxy::Parsed::More => return None,
                proxy::Parsed::No => 0,
                proxy::Parsed::Header(header) => {
                    out.counters.proxied += 1;
                    if out.trusted.contains(self.info.orig.0) {
                        out.counters.proxied_trusted += 1;
                        self.on_behalf(header.source);
                    }
                    header.size
                }
            },
        };
        let used = left.min(data.len());
        self.proxy = match left - used {
            0 => Place::Through,
            left => Place::Skip(left),
        };
        Some(used)
    }

    fn on_behalf(&mut self, source: Option<(IpAddr, u16)>) {
        let Some(source) = source else { return };
        self.info.via = Some(std::mem::replace(&mut self.info.orig, source));
        if let Reader::Http1(http1) = &mut self.reader {
            http1.info = self.info;
        }
    }

    fn go_over(&mut self, switch: Switch, ts: Timestamp, out: &mut Out) {
        let connection = match switch {
            // Another layer's.
            Switch::Tls => return,
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

    fn read(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let mut used = 0;
        if let Reader::Http1(http1) = &mut self.reader {
            let first = chunk.offset == 0 && self.info.from_start;
            let switch = if first && h2::server_preface(chunk.data) {
                Some(Switch::Preface(None))
            } else {
                used = http1.on_data(side, chunk, out);
                // TLS is another layer's: `secure` takes it.
                http1.switch.take_if(|s| !matches!(s, Switch::Tls))
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
}

impl Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        let skipped = match side {
            Side::Orig => self.proxied(chunk.data, out),
            Side::Resp => Some(0),
        };
        match skipped {
            None => 0,
            Some(0) => self.read(side, chunk, out),
            Some(skipped) => {
                let behind = Chunk {
                    offset: chunk.offset + skipped as u64,
                    boundary: true,
                    data: &chunk.data[skipped..],
                    ..chunk
                };
                skipped + self.read(side, behind, out)
            }
        }
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, offset: u64, len: u64, out: &mut Out) {
        if side == Side::Orig {
            // What is missing of a header is no loss to what follows it.
            match self.proxy {
                Place::Skip(left) if left as u64 >= len => {
                    self.proxy = Place::Skip(left - len as usize);
                    return;
                }
                _ => self.proxy = Place::Through,
            }
        }
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

    fn due(&self) -> Timestamp {
        match &self.reader {
            Reader::Http1(http1) => http1.due(),
            Reader::Http2(http2) => http2.due(),
            Reader::WebSocket(ws) => ws.due(),
        }
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        match &mut self.reader {
            Reader::Http1(http1) => http1.on_tick(now, out),
            Reader::Http2(http2) => http2.on_tick(now, out),
            Reader::WebSocket(ws) => ws.on_tick(now, out),
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
