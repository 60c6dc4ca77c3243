//! What a long-lived connection carried after the exchange that opened it: a WebSocket's messages,
//! an event stream's events. The opening exchange is a record of its own, handed on when its
//! response was seen. Its session follows in one record or several, since a connection may stay open
//! for weeks: each holds what came since the one before, so a reader adds them up.
//!
//! A session travels as an [`Exchange`] whose `session` is set: the request's fields are the opener's,
//! so that it is known whose traffic this is, and nothing of it is a request again. Its line has a
//! `type` and neither `method` nor `status`; the opener's method is `opened_by`.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::Exchange;
use super::json::{address, clear, millis, number, shapes, text, via};
use crate::time::{Timestamp, push_u64};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    #[serde(rename = "websocket")]
    WebSocket,
    EventStream,
}

impl SessionKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::EventStream => "event-stream",
        }
    }
}

/// One direction's messages.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Traffic {
    /// Whole messages or events.
    pub messages: u64,
    /// Their content as sent: without framing, before any coding is undone.
    pub bytes: u64,
    /// Messages that came compressed (RFC 7692).
    pub compressed: u64,
}

impl Traffic {
    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.compressed += other.compressed;
    }
}

/// What a connection carried between the record's `ts` and `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub kind: SessionKind,
    /// When the connection became one; the same in all its records.
    pub opened: Timestamp,
    /// The first record of its session.
    pub first: bool,
    /// The last one: the connection is over.
    pub over: bool,
    /// Client to server, server to client.
    pub up: Traffic,
    pub down: Traffic,
    pub pings: u64,
    pub pongs: u64,
    /// Status code of the close frame that came first (RFC 6455, section 7.4); its reason, which is
    /// free text, is not kept.
    pub close: Option<u16>,
    /// Something was missed or could not be read: the counts are the least that there was.
    pub lossy: bool,
}

impl Session {
    pub fn new(kind: SessionKind, opened: Timestamp) -> Self {
        Self {
            kind,
            opened,
            first: true,
            over: false,
            up: Traffic::default(),
            down: Traffic::default(),
            pings: 0,
            pongs: 0,
            close: None,
            lossy: false,
        }
    }
}

/// Appends the session's line.
pub(super) fn write(x: &Exchange, s: &Session, out: &mut Vec<u8>) {
    let time = |key: &[u8], t: Timestamp, out: &mut Vec<u8>| {
        out.extend_from_slice(key);
        t.write_decimal(out);
    };
    let flag = |key: &[u8], set: bool, out: &mut Vec<u8>| {
        if set {
            out.extend_from_slice(key);
        }
    };
    out.extend_from_slice(b"{\"v\":");
    push_u64(out, u64::from(super::VERSION));
    text(out, b",\"type\":", Some(s.kind.as_str()));
    time(b",\"ts\":", x.ts, out);
    address(out, b",\"client\":\"", &x.client);
    number(out, b",\"client_port\":", Some(u64::from(x.client_port)));
    via(x, out);
    address(out, b",\"server\":\"", &x.server);
    number(out, b",\"server_port\":", Some(u64::from(x.server_port)));
    text(out, b",\"protocol\":", Some(&x.protocol));
    text(out, b",\"scheme\":", Some(&x.scheme));
    clear(x, out);
    text(out, b",\"opened_by\":", x.method.as_deref());
    text(out, b",\"host\":", x.host.as_deref());
    text(out, b",\"path\":", x.path.as_deref());
    text(out, b",\"identity\":", x.identity.as_deref());
    text(out, b",\"auth\":", x.auth.as_deref());
    if let Some(s) = &x.shapes {
        shapes(s, out);
    }
    number(out, b",\"vni\":", x.vni.map(u64::from));
    number(out, b",\"messages_up\":", Some(s.up.messages));
    number(out, b",\"messages_down\":", Some(s.down.messages));
    number(out, b",\"bytes_up\":", Some(s.up.bytes));
    number(out, b",\"bytes_down\":", Some(s.down.bytes));
    let some = |n: u64| Some(n).filter(|n| *n > 0);
    number(out, b",\"compressed_up\":", some(s.up.compressed));
    number(out, b",\"compressed_down\":", some(s.down.compressed));
    number(out, b",\"pings\":", some(s.pings));
    number(out, b",\"pongs\":", some(s.pongs));
    number(out, b",\"close\":", s.close.map(u64::from));
    time(b",\"opened\":", s.opened, out);
    flag(b",\"first\":true", s.first, out);
    flag(b",\"over\":true", s.over, out);
    flag(b",\"lossy\":true", s.lossy, out);
    time(b",\"end\":", x.end, out);
    let spent = x.end.since(x.ts).as_nanos() as f64 / 1e6;
    millis(out, b",\"duration_ms\":", Some(spent));
    out.extend_from_slice(b"}\n");
}

/// What a session's line has beside an exchange's.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: SessionKind,
    opened_by: Option<CompactString>,
    #[serde(borrow)]
    opened: Option<&'a serde_json::value::RawValue>,
    #[serde(default)]
    first: bool,
    #[serde(default)]
    over: bool,
    #[serde(default)]
    lossy: bool,
    #[serde(default)]
    messages_up: u64,
    #[serde(default)]
    messages_down: u64,
    #[serde(default)]
    bytes_up: u64,
    #[serde(default)]
    bytes_down: u64,
    #[serde(default)]
    compressed_up: u64,
    #[serde(default)]
    compressed_down: u64,
    #[serde(default)]
    pings: u64,
    #[serde(default)]
    pongs: u64,
    close: Option<u16>,
}

/// Makes a session's record of the exchange that was read of the same line.
pub(super) fn read(line: &[u8], x: &mut Exchange) -> Result<(), serde_json::Error> {
    let l: Line<'_> = serde_json::from_slice(line)?;
    let opened = l.opened.and_then(|raw| Timestamp::parse_decimal(raw.get()));
    let traffic = |messages, bytes, compressed| Traffic {
        messages,
        bytes,
        compressed,
    };
    x.method = l.opened_by;
    x.session = Some(Box::new(Session {
        kind: l.kind,
        opened: opened.unwrap_or(x.ts),
        first: l.first,
        over: l.over,
        up: traffic(l.messages_up, l.bytes_up, l.compressed_up),
        down: traffic(l.messages_down, l.bytes_down, l.compressed_down),
        pings: l.pings,
        pongs: l.pongs,
        close: l.close,
        lossy: l.lossy,
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{parse_line, write_line};
    use super::*;

    #[test]
    fn a_line_comes_back_as_it_was_and_is_no_request() {
        let mut x = Exchange::at(Timestamp(1_732_420_000_123_456_000));
        x.end = Timestamp(1_732_420_060_000_000_000);
        x.method = Some("GET".into());
        x.host = Some("chat.example.com".into());
        x.path = Some("/live".into());
        x.clear = true;
        let mut session = Session::new(SessionKind::WebSocket, x.ts);
        session.up = Traffic {
            messages: 3,
            bytes: 120,
            compressed: 1,
        };
        (session.pings, session.close, session.over) = (2, Some(1001), true);
        x.session = Some(Box::new(session));
        let mut out = Vec::new();
        write_line(&x, &mut out);
        assert_eq!(parse_line(&out).unwrap(), x);
        let line = String::from_utf8(out).unwrap();
        insta::assert_snapshot!(line.trim_end(), @r#"{"v":1,"type":"websocket","ts":1732420000.123456,"client":"0.0.0.0","client_port":0,"server":"0.0.0.0","server_port":0,"protocol":"http/1.1","scheme":"http","opened_by":"GET","host":"chat.example.com","path":"/live","messages_up":3,"messages_down":0,"bytes_up":120,"bytes_down":0,"compressed_up":1,"pings":2,"close":1001,"opened":1732420000.123456,"first":true,"over":true,"end":1732420060.000000,"duration_ms":59876.544}"#);
        assert!(parse_line(br#"{"ts":1,"type":"tls"}"#).is_err());
    }
}
