//! A message's head: whose it is, what it answers, and what follows it.

use compact_str::CompactString;

use super::{Answer, Connection, First, Half};
use crate::exchange::{Anomaly, Exchange};
use crate::flow::Side;
use crate::http::body::Body;
use crate::http::events::Events;
use crate::http::head::{self, Fields};
use crate::http::pairing::Pending;
use crate::http::record::{self, unanswered};
use crate::http::{Out, Switch, rpc};
use crate::time::Timestamp;

impl Connection {
    pub(super) fn request(
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
        self.offered = r.fields.http2_settings.and_then(head::table_size);
        let body = match &r.fields {
            Fields { chunked: true, .. } => Some(Body::CHUNKED),
            Fields {
                content_length: Some(n),
                ..
            } if *n > 0 => Some(Body::Length(*n)),
            _ => None,
        };
        let place = record::look_into(&mut x, head::field_names(r.head), out);
        let sample = record::body_sample(&x, &r.fields);
        let messages = rpc::request(&mut x, &r.fields);
        let open = body.is_some();
        let half = self.half(side);
        half.begin(body);
        half.sample = sample.filter(|_| open);
        half.messages = messages.filter(|_| open);
        half.expects = r.fields.expects;
        let pending = Pending {
            x,
            start,
            ack: first.ack,
            done: (!open).then_some(ts),
            place,
            cost: 0,
        };
        let hole = self.half(side).hole;
        for passed in self.pipeline.push(pending, hole) {
            unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
        }
        if let Some(last) = self.pipeline.last().filter(|_| !open) {
            last.x.request_bytes = (!r.fields.endless()).then_some(0);
        }
        if r.fields.endless() {
            // The server may have read what follows otherwise: it is shown, and paired with nothing
            // that the acknowledgements do not bear out.
            self.pipeline.request_hole();
        }
    }

    fn record(&self, client: Side, ts: Timestamp, minor: u8) -> Box<Exchange> {
        let protocol = if minor == 0 { "http/1.0" } else { "http/1.1" };
        record::record(&self.info, client, ts, protocol)
    }

    fn fill_request(&mut self, x: &mut Exchange, r: &head::Request<'_>, out: &Out) {
        let text = |bytes: &[u8]| CompactString::from_utf8_lossy(bytes);
        let target = String::from_utf8_lossy(r.target);
        let mut host = r.fields.host.map(|h| text(h.trim_ascii()));
        let mut path = &*target;
        if r.method == b"CONNECT" {
            host = host.or_else(|| Some(text(r.target)));
        } else {
            // Absolute form (RFC 9112, section 3.2.2): the target's authority is the host.
            if let Some((scheme, rest)) = target
                .split_once("://")
                .filter(|(s, _)| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric()))
            {
                let (authority, _) =
                    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
                if host
                    .as_deref()
                    .is_some_and(|h| !h.eq_ignore_ascii_case(authority))
                {
                    x.anomalies.add(Anomaly::HostConflict);
                }
                host = Some(CompactString::from(authority));
                path = &target[scheme.len() + 3 + authority.len()..];
            }
            path = path.split('#').next().unwrap_or_default();
        }
        let path = (!target.is_empty()).then_some(path);
        record::target(x, Some(r.method), host, path, out);
        record::request_fields(x, &r.fields, &mut self.cache, out);
    }

    pub(super) fn response(
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
        if let Some(answer) = self.answer.take() {
            // The server has read no further.
            self.cut_request(answer, ts, out);
        }
        let hole = self.half(side.other()).hole;
        self.pipeline.resume(start, first.ack, hole);
        let certain = self.pipeline.certain();
        let (pending, given_up) = self.pipeline.answer(start, first.ack);
        let ambiguous = !given_up.is_empty();
        for passed in given_up {
            unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
        }
        let place = pending.as_ref().map(|p| p.place).unwrap_or_default();
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
        record::response_fields(&mut x, r.status, &r.fields, &mut self.cache, out);
        let messages = rpc::response(&mut x, &r.fields);
        let events = Events::of(&x, &r.fields, ts);
        let names = head::field_names(r.head);
        let sample = record::answer_sample(&mut x, &r.fields, names, (place, ts), out);
        if status == 101 && r.fields.h2c {
            let client = side.other();
            self.switch = Some(if x.partial.no_request {
                Switch::Preface(Some(client))
            } else {
                Switch::Upgrade {
                    client,
                    request: x.clone(),
                    table_size: self.offered,
                }
            });
        } else if status == 101 && r.fields.websocket {
            self.switch = Some(Switch::WebSocket {
                client: side.other(),
                request: x.clone(),
                extensions: r.fields.extensions,
            });
        }
        let method = x.method.clone();
        let method = method.as_deref().unwrap_or_default();
        // A coding that is not known ends with the connection; lengths that differ nowhere.
        let body = response_body(method, status, &r.fields);
        let endless = r.fields.endless()
            && matches!(body, Some(Body::Length(_) | Body::Close))
            && !r.fields.transfer_encoding;
        let body = body.filter(|_| !endless);
        let open = body.is_some();
        self.half(side).begin(body);
        self.half(side).sample = sample.filter(|_| open);
        self.half(side).messages = messages;
        self.half(side).events = events.filter(|_| open);
        self.answer = Some(Answer {
            x,
            request_open,
            early: false,
        });
        if !open {
            self.half(side).cut = endless;
            self.message_over(side, ts, out);
        }
        if endless {
            self.lost(side);
        }
        let tunnel = method == "CONNECT" && (200..300).contains(&status);
        if tunnel {
            // What is inside is a connection of its own.
            self.client = None;
            for passed in std::mem::take(&mut self.pipeline).flush() {
                unanswered(passed.x, passed.done.unwrap_or(ts), true, out);
            }
            self.halves = [Half::new(true), Half::new(true)];
        } else if status == 101 && self.switch.is_none() {
            let _ = self.opaque(|out| &mut out.counters.upgraded, out);
        }
    }
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
