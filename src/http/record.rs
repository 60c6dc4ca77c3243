//! From a message's head to the record, the same way for every version of HTTP.

use std::sync::Arc;

use compact_str::CompactString;

use super::Out;
use super::head::{self, Fields};
use super::rpc;
use super::sample::Sample;
use super::sampler::{self, Place};
use crate::exchange::{Exchange, Leaks, MAX_HEADERS, Shapes};
use crate::flow::{FlowInfo, Side};
use crate::observe::custom::Direction;
use crate::observe::{Credential, Credentials, leaks, operation, shape};
use crate::time::Timestamp;

/// Content kept to look for a login; longer ones are no login.
const MAX_LOGIN_BODY: usize = 4 << 10;

/// Content kept to look for an operation: its name stands near the front, but GraphQL's documents
/// take some kilobytes.
const MAX_OPERATION_BODY: usize = 16 << 10;

/// Content kept for its shape: real messages of an API are shorter, or are lists whose beginning
/// says what they are lists of.
const MAX_SHAPE_BODY: usize = 16 << 10;

/// Bytes of what a server says that it runs which are compared with what it said before.
const MAX_BANNER: usize = 256;

/// What repeats from request to request on one connection is made once.
#[derive(Debug, Default)]
pub(super) struct Cache {
    user_agent: Option<Arc<str>>,
    credential: Vec<u8>,
    credentials: Credentials,
    software: Option<(Vec<u8>, Arc<str>)>,
}

/// An empty record between the two ends.
pub(super) fn record(
    info: &FlowInfo,
    client: Side,
    ts: Timestamp,
    protocol: &'static str,
) -> Box<Exchange> {
    let (from, to) = match client {
        Side::Orig => (info.orig, info.resp),
        Side::Resp => (info.resp, info.orig),
    };
    let mut x = Box::new(Exchange::at(ts));
    (x.client, x.client_port) = from;
    (x.server, x.server_port) = to;
    x.via = info.via.filter(|_| client == Side::Orig);
    x.vni = info.vni;
    x.clear = true;
    x.protocol = CompactString::const_new(protocol);
    x
}

/// Method, host, and a target without its authority.
pub(super) fn target(
    x: &mut Exchange,
    method: Option<&[u8]>,
    host: Option<CompactString>,
    path: Option<&str>,
    out: &Out,
) {
    x.method = method
        .filter(|m| !m.is_empty())
        .map(CompactString::from_utf8_lossy);
    // User information before the host is a secret, and no part of it.
    let named = host.as_deref().and_then(|h| h.rsplit('@').next());
    x.host = named.filter(|h| !h.is_empty()).map(|named| {
        let mut host = CompactString::from(named);
        host.make_ascii_lowercase();
        host
    });
    if let Some(target) = path {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        x.path = Some(out.observer.path(if path.is_empty() { "/" } else { path }));
        if x.method.as_deref() == Some("GET") {
            rpc::get(x, query);
        }
        x.query = query.map(|q| out.observer.query(q));
    }
}

/// What a request's header fields say beside its target.
pub(super) fn request_fields(x: &mut Exchange, fields: &Fields<'_>, cache: &mut Cache, out: &Out) {
    x.anomalies |= fields.anomalies;
    x.request_content_type = fields.content_type.and_then(head::media_type);
    fields.forwarding.apply(x, &out.trusted);
    x.user_agent = fields.user_agent.map(|agent| cache.user_agent(agent));
    let credential = match x.via {
        Some(_) => fields.credential,
        None => fields.credential.without_certificate(),
    };
    cache.credentials(&credential, x, out);
    let head = operation::Head {
        method: x.method.as_deref().unwrap_or_default(),
        path: x.path.as_deref().unwrap_or_default(),
        query: x.query.as_deref(),
        content_type: fields.content_type,
        soap_action: fields.soap_action,
        odata: fields.odata,
    };
    x.operation = operation::of_head(&head).map(Box::new);
}

/// A request's head is in the record: whether this exchange is to be looked into, and what its
/// head is made of.
pub(super) fn look_into<'a>(
    x: &mut Exchange,
    names: impl Iterator<Item = &'a [u8]>,
    out: &mut Out,
) -> Place {
    let place = sampler::place(x);
    if x.path.is_some() && out.sampler.is_due(place, 0, x.ts) {
        x.shapes = Some(Box::new(Shapes {
            query: Some(out.observer.query_shape(x.query.as_deref())),
            request_headers: headers(names),
            ..Shapes::default()
        }));
    }
    place
}

fn headers<'a>(names: impl Iterator<Item = &'a [u8]>) -> Vec<CompactString> {
    let mut kept: Vec<_> = names.filter_map(shape::header_name).collect();
    kept.sort_unstable();
    kept.dedup();
    kept.truncate(MAX_HEADERS);
    kept
}

/// Where the body that follows is to be kept, if it may be a login or tell an operation, or is to be
/// looked into. Which bodies are read for the former is decided by their first bytes alone, so it
/// is the same for every worker.
pub(super) fn body_sample(x: &Exchange, fields: &Fields<'_>) -> Option<Sample> {
    let media_type = x.request_content_type.as_deref()?;
    let shaped = x.shapes.is_some() && shape::is_shaped(media_type);
    let (small, cap) = (MAX_LOGIN_BODY, MAX_OPERATION_BODY);
    let sample = match operation::worth(media_type) {
        _ if !tells(x) && shaped => Sample::prefix(fields.codings, MAX_SHAPE_BODY),
        _ if !tells(x) => return None,
        Some(worth) => Sample::judged(fields.codings, small, cap, worth),
        None => Sample::whole(fields.codings, small),
    };
    Some(if shaped {
        sample.shaped(MAX_SHAPE_BODY)
    } else {
        sample
    })
}

/// Whether the body may be a login or tell an operation.
fn tells(x: &Exchange) -> bool {
    matches!(x.method.as_deref(), Some("POST" | "PUT"))
}

/// A response's head is in the record: where its body is to be kept, if it is to be looked into.
pub(super) fn answer_sample<'a>(
    x: &mut Exchange,
    fields: &Fields<'_>,
    names: impl Iterator<Item = &'a [u8]>,
    (place, ts): (Place, Timestamp),
    out: &mut Out,
) -> Option<Sample> {
    let media_type = x.content_type.as_deref();
    let shaped = media_type.is_some_and(shape::is_shaped);
    // An error may say too much in any text.
    let told = x.status.is_some_and(|s| s >= 400) && media_type.is_none_or(leaks::is_text);
    let wanted = (shaped || told) && x.path.is_some();
    if !wanted || !out.sampler.is_due(place, x.status_class(), ts) {
        return None;
    }
    if shaped {
        x.shapes.get_or_insert_default().response_headers = headers(names);
    }
    Some(Sample::prefix(fields.codings, MAX_SHAPE_BODY))
}

/// The response's body is over, or as much of it as will come.
pub(super) fn look_at_answer(x: &mut Exchange, sample: Option<Sample>, cut: bool, out: &mut Out) {
    let Some((content, whole)) = sample.and_then(|s| s.content(&mut out.counters)) else {
        return;
    };
    let media_type = x.content_type.as_deref().unwrap_or_default();
    if shape::is_shaped(media_type) {
        let shape = out
            .observer
            .shape(Direction::Response, media_type, &content, whole && !cut);
        x.shapes.get_or_insert_default().response = shape;
    }
    if leaks::is_text(media_type) {
        let answer = leaks::Answer {
            status: x.status.unwrap_or(0),
            media_type,
            host: x.host.as_deref().unwrap_or_default(),
            path: x.path.as_deref().unwrap_or_default(),
        };
        x.leaks |= leaks::in_body(answer, &content);
    }
}

/// The body is over, or as much of it as will come: who logs in, and which operation it asks for.
pub(super) fn look_at_body(x: &mut Exchange, sample: Option<Sample>, cut: bool, out: &mut Out) {
    let aside = sample.as_ref().is_some_and(Sample::aside) || !tells(x);
    let Some((content, whole)) = sample.and_then(|s| s.content(&mut out.counters)) else {
        return;
    };
    let Some(kind) = x.request_content_type.as_deref() else {
        return;
    };
    let whole = whole && !cut;
    if let Some(shapes) = &mut x.shapes {
        shapes.request = out
            .observer
            .shape(Direction::Request, kind, &content, whole);
    }
    let long = content.len() > MAX_LOGIN_BODY && operation::worth(kind).is_none();
    if aside || long {
        return;
    }
    if whole && content.len() <= MAX_LOGIN_BODY {
        x.login = out.observer.login(kind, &content);
    }
    // A name in the head says more than a body's root.
    if x.operation.as_ref().is_none_or(|o| o.name.is_none())
        && let Some(found) = operation::of_body(kind, &content, whole)
    {
        x.operation = Some(Box::new(found));
    }
}

pub(super) fn response_fields(
    x: &mut Exchange,
    status: Option<u16>,
    fields: &Fields<'_>,
    cache: &mut Cache,
    out: &Out,
) {
    x.status = status;
    x.software = cache.software(fields);
    if x.software.is_some() {
        x.leaks |= Leaks::SERVER_VERSION;
    }
    x.anomalies |= fields.anomalies;
    x.content_type = fields.content_type.and_then(head::media_type);
    x.deprecation = fields.deprecation.and_then(head::deprecation);
    x.sunset = fields.sunset.and_then(head::http_date);
    if let (Some(300..=399), Some(path)) = (status, x.path.as_deref()) {
        x.location = fields.location.map(|to| out.observer.location(to, path));
    }
}

/// A request whose response was not seen, or cannot be told.
pub(super) fn unanswered(mut x: Box<Exchange>, at: Timestamp, unpaired: bool, out: &mut Out) {
    x.partial.no_response = true;
    x.partial.unpaired = unpaired;
    x.end = at;
    emit(x, out);
}

pub(super) fn emit(x: Box<Exchange>, out: &mut Out) {
    let halves = 2 - u64::from(x.partial.no_request) - u64::from(x.partial.no_response);
    out.counters.analysed += halves;
    out.counters.pending -= halves;
    out.counters.exchanges += 1;
    out.counters.unpaired += u64::from(x.partial.unpaired);
    out.counters.ambiguous_framing += u64::from(x.anomalies.ambiguous_framing());
    out.exchanges.push(x);
}

impl Cache {
    fn user_agent(&mut self, agent: &[u8]) -> Arc<str> {
        match &self.user_agent {
            Some(known) if known.as_bytes() == agent => known.clone(),
            _ => {
                let made: Arc<str> = String::from_utf8_lossy(agent).into();
                self.user_agent = Some(made.clone());
                made
            }
        }
    }

    /// Bytes that what the peer sent takes here.
    pub(super) fn held(&self) -> usize {
        self.credential.len() + self.software.as_ref().map_or(0, |(raw, _)| raw.len())
    }

    /// What the credentials say, in the record.
    fn credentials(&mut self, c: &Credential<'_>, x: &mut Exchange, out: &Out) {
        let parts = [c.authorization, c.api_key, c.cookie];
        let fields = c.fields.to_le_bytes();
        if parts.iter().all(Option::is_none) && c.fields == 0 {
            x.auth_in = out.observer.with_query(None, x.query.as_deref());
            return;
        }
        let raw = parts
            .iter()
            .flat_map(|p| p.unwrap_or_default().iter().chain(b"\n"))
            .chain(&fields);
        if !raw.clone().eq(&self.credential) {
            self.credentials = out.observer.credentials(c, x.ts.secs());
            self.credential.clear();
            self.credential.extend(raw);
        }
        let known = &self.credentials;
        if let Some((identity, kind)) = known.identity.clone() {
            (x.identity, x.auth) = (Some(identity), Some(kind));
        }
        x.jwt = known.token.as_ref().map(|token| token.at(x.ts.secs()));
        x.auth_in = out
            .observer
            .with_query(known.presented.as_ref(), x.query.as_deref());
    }

    /// What the server says that it runs; it says the same with each answer.
    fn software(&mut self, fields: &Fields<'_>) -> Option<Arc<str>> {
        if fields.software.iter().all(Option::is_none) {
            return None;
        }
        let said = fields.software.iter();
        let raw = said.flat_map(|s| s.unwrap_or_default().iter().take(MAX_BANNER).chain(b"\n"));
        match &self.software {
            Some((known, text)) if raw.clone().eq(known) => Some(text.clone()),
            _ => {
                let text: Arc<str> = leaks::software(fields.software)?.into();
                self.software = Some((raw.copied().collect(), text.clone()));
                Some(text)
            }
        }
    }
}
