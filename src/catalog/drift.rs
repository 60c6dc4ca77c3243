//! Drift: what an endpoint does, and its operation does not say, or says otherwise.
//!
//! The shapes of an exchange are held against the operation's schemas with a JSON Schema validator.
//! What was judged once is remembered by a digest of its types and names, so that a shape that is
//! known costs a look-up. Kept are names, types, counts and times; a value never was in a shape.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::EndpointId;
use super::spec::{OperationId, SpecSet};
use crate::exchange::{Exchange, Shape};
use crate::time::Timestamp;

mod contract;
mod instance;
mod judge;
mod schema;
mod security;

#[cfg(test)]
mod tests;

pub(super) use contract::Contracts;

/// Deviations of one endpoint, and of all. Past it new ones are not kept.
const MAX_DEVIATIONS: usize = 64;
pub(super) const MAX_ALL: usize = 100_000;
/// Different exchanges of one endpoint whose verdict is remembered.
const MAX_JUDGED: usize = 16;
/// Bytes of a name; a pointer is no longer.
const MAX_NAME: usize = 256;
const HASH: FixedState = FixedState::with_seed(0x64_72_69_66_74);

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DriftKind {
    UndocumentedField,
    MissingRequired,
    WrongType,
    UndocumentedParameter,
    MissingParameter,
    UndocumentedStatus,
    UndocumentedContentType,
    UndocumentedAuth,
}

impl DriftKind {
    pub const ALL: [Self; 8] = [
        Self::UndocumentedField,
        Self::MissingRequired,
        Self::WrongType,
        Self::UndocumentedParameter,
        Self::MissingParameter,
        Self::UndocumentedStatus,
        Self::UndocumentedContentType,
        Self::UndocumentedAuth,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::UndocumentedField => "undocumented-field",
            Self::MissingRequired => "missing-required",
            Self::WrongType => "wrong-type",
            Self::UndocumentedParameter => "undocumented-parameter",
            Self::MissingParameter => "missing-parameter",
            Self::UndocumentedStatus => "undocumented-status",
            Self::UndocumentedContentType => "undocumented-content-type",
            Self::UndocumentedAuth => "undocumented-auth",
        }
    }

    /// Of the OWASP API Security Top 10: improper inventory, or misconfiguration.
    pub fn owasp(self) -> &'static str {
        match self {
            Self::UndocumentedAuth => "API8:2023",
            _ => "API9:2023",
        }
    }
}

/// One difference between the traffic and the document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Deviation {
    kind: DriftKind,
    /// Of the response that it is in; none: it is in the request.
    status: Option<u16>,
    /// A pointer, a parameter, a status, a media type, a scheme.
    name: String,
    detail: String,
}

impl Deviation {
    fn new(kind: DriftKind, status: Option<u16>, name: &str, detail: String) -> Self {
        let end = (0..=MAX_NAME.min(name.len()))
            .rev()
            .find(|n| name.is_char_boundary(*n));
        Self {
            kind,
            status,
            name: name[..end.unwrap_or(0)].to_owned(),
            detail,
        }
    }

    /// Whether it is told by an alert. What any server does when it is in trouble or is asked for
    /// too much is listed alone.
    fn rings(&self) -> bool {
        let quiet = matches!(self.status, Some(401 | 403 | 404 | 405 | 429 | 500..));
        self.kind != DriftKind::UndocumentedStatus || !quiet
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    what: Deviation,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// Of one endpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Drift {
    /// Digest of the document and the operation that it was judged by.
    by: u64,
    seen: Vec<Seen>,
    /// Kinds already told, by bit.
    told: u8,
    #[serde(skip)]
    operation: Option<OperationId>,
    /// The digest of an exchange, and which of `seen` it shows.
    #[serde(skip)]
    judged: Vec<(u64, Box<[u8]>)>,
    #[serde(skip)]
    settled: bool,
}

/// A difference between an endpoint's traffic and its document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DriftView {
    pub kind: DriftKind,
    /// `request` or `response`.
    pub direction: String,
    /// Of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The field's pointer (RFC 6901, `*` for items), the parameter's, status', media type's or
    /// scheme's name.
    pub name: String,
    /// What the document says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    pub owasp: String,
    /// Exchanges that were looked into and show it.
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// An endpoint drifts in a way in which it did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Drifted {
    pub endpoint: EndpointId,
    /// Its label.
    pub subject: String,
    pub kind: DriftKind,
    pub at: Timestamp,
    pub since: Timestamp,
    pub why: Vec<String>,
}

impl Drift {
    /// The operation that documents the endpoint by now. What another one said no longer counts.
    pub(super) fn set(&mut self, operation: Option<(OperationId, u64)>) {
        let by = operation.map_or(0, |(_, digest)| digest);
        if by != self.by {
            *self = Self {
                by,
                ..Self::default()
            };
        }
        self.operation = operation.map(|(id, _)| id);
        self.judged.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Takes an exchange; `room` for new deviations.
    pub(super) fn take(
        &mut self,
        x: &Exchange,
        specs: &SpecSet,
        contracts: &mut Contracts,
        room: bool,
    ) {
        let Some(id) = self.operation else { return };
        let digest = digest(x);
        if let Some((_, shown)) = self.judged.iter().find(|(d, _)| *d == digest) {
            for at in shown {
                let seen = &mut self.seen[usize::from(*at)];
                seen.count += 1;
                seen.first = seen.first.min(x.ts);
                seen.last = seen.last.max(x.ts);
            }
            return;
        }
        let Some((contract, spec, operation)) = contracts.of(specs, id) else {
            return;
        };
        let found = judge::judge(contract, (spec, operation), x);
        let shown = found
            .into_iter()
            .filter_map(|what| self.add(what, x.ts, room));
        let shown: Box<[u8]> = shown.collect();
        if self.judged.len() >= MAX_JUDGED {
            self.judged.remove(0);
        }
        self.judged.push((digest, shown));
    }

    fn add(&mut self, what: Deviation, at: Timestamp, room: bool) -> Option<u8> {
        let known = self.seen.iter().position(|s| s.what == what);
        let place = match known {
            Some(place) => place,
            None if room && self.seen.len() < MAX_DEVIATIONS => {
                self.settled = false;
                self.seen.push(Seen {
                    what,
                    count: 0,
                    first: at,
                    last: at,
                });
                self.seen.len() - 1
            }
            None => return None,
        };
        let seen = &mut self.seen[place];
        seen.count += 1;
        seen.first = seen.first.min(at);
        seen.last = seen.last.max(at);
        u8::try_from(place).ok()
    }

    /// Two endpoints were found to be one.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.by != other.by {
            return;
        }
        self.told |= other.told;
        self.settled = false;
        for theirs in &other.seen {
            if let Some(mine) = self.seen.iter_mut().find(|s| s.what == theirs.what) {
                mine.count += theirs.count;
                mine.first = mine.first.min(theirs.first);
                mine.last = mine.last.max(theirs.last);
            } else if self.seen.len() < MAX_DEVIATIONS {
                self.seen.push(theirs.clone());
            }
        }
    }

    /// Kinds that were not told yet: since when, and what of them there is.
    pub(super) fn news(&mut self) -> Vec<(DriftKind, Timestamp, Vec<String>)> {
        if std::mem::replace(&mut self.settled, true) {
            return Vec::new();
        }
        let mut out = Vec::new();
        for kind in DriftKind::ALL {
            let bit = 1 << kind as u8;
            let mine = || {
                self.seen
                    .iter()
                    .filter(|s| s.what.kind == kind && s.what.rings())
            };
            let Some(since) = mine()
                .map(|s| s.first)
                .min()
                .filter(|_| self.told & bit == 0)
            else {
                continue;
            };
            out.push((kind, since, mine().map(|s| s.what.sentence()).collect()));
            self.told |= bit;
        }
        out
    }

    pub(super) fn view(&self) -> Vec<DriftView> {
        let mut seen: Vec<&Seen> = self.seen.iter().collect();
        seen.sort_by(|a, b| a.what.cmp(&b.what));
        let one = |s: &Seen| DriftView {
            kind: s.what.kind,
            direction: s.what.direction().to_owned(),
            status: s.what.status,
            name: s.what.name.clone(),
            detail: s.what.detail.clone(),
            owasp: s.what.kind.owasp().to_owned(),
            count: s.count,
            first_seen: s.first,
            last_seen: s.last,
        };
        seen.into_iter().map(one).collect()
    }
}

impl Deviation {
    fn direction(&self) -> &'static str {
        match self.status {
            Some(_) => "response",
            None => "request",
        }
    }

    fn sentence(&self) -> String {
        let kind = self.kind.name().replace('-', " ");
        let place = match self.status {
            Some(status) if self.kind != DriftKind::UndocumentedStatus => {
                format!(" in the {status} response")
            }
            Some(_) => String::new(),
            None => " in the request".into(),
        };
        let detail = match self.detail.as_str() {
            "" => String::new(),
            detail => format!(": {detail}"),
        };
        format!("{kind} `{}`{place}{detail}", self.name)
    }
}

/// Of all that is judged of an exchange.
fn digest(x: &Exchange) -> u64 {
    let mut h = HASH.build_hasher();
    (x.status, &x.content_type, &x.request_content_type, &x.auth).hash(&mut h);
    let sent = |bytes: Option<u64>| bytes.map(|n| n > 0);
    (
        sent(x.request_bytes),
        sent(x.response_bytes),
        x.partial.flags(),
    )
        .hash(&mut h);
    if let Some(shapes) = x.shapes.as_deref() {
        for shape in [&shapes.query, &shapes.request, &shapes.response] {
            shape.is_some().hash(&mut h);
            shape.iter().for_each(|s| digest_shape(s, &mut h));
        }
        shapes.request_headers.hash(&mut h);
    }
    h.finish()
}

fn digest_shape(shape: &Shape, h: &mut impl Hasher) {
    shape.0.len().hash(h);
    for f in &shape.0 {
        (&f.pointer, f.types, f.format, f.optional, f.open).hash(h);
    }
}
