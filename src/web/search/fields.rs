//! What can be asked for: the fields with what they take, and the names of what is one of a few.

use crate::catalog::{AuthVerdict, Documentation, EndpointView, Kind, Life, Zone};
use crate::web::decisions::waits;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) enum Field {
    Host,
    Path,
    Method,
    Operation,
    Status,
    Life,
    Flag,
    Is,
    Kind,
    Auth,
    Scheme,
    Data,
    Exposure,
    Risk,
    Requests,
    Errors,
    Callers,
    Latency,
    Seen,
    First,
    Shadow,
    Drift,
    Spec,
    Tag,
    Owner,
}

/// What stands behind the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Takes {
    /// Any words; `*` stands for any text.
    Words,
    /// Those of [`names`].
    Names,
    Number,
    /// A number, or with `%` a share of the requests.
    Count,
    /// Milliseconds, or with a unit.
    Latency,
    Age,
}

pub(in crate::web) struct About {
    pub(in crate::web) field: Field,
    pub(in crate::web) name: &'static str,
    /// Other names that people try.
    pub(super) also: &'static [&'static str],
    pub(in crate::web) takes: Takes,
    pub(in crate::web) example: &'static str,
    pub(in crate::web) what: &'static str,
}

const fn about(
    field: Field,
    name: &'static str,
    also: &'static [&'static str],
    takes: Takes,
    example: &'static str,
    what: &'static str,
) -> About {
    About {
        field,
        name,
        also,
        takes,
        example,
        what,
    }
}

/// In the order of [`Field`], which is that of the help.
#[rustfmt::skip]
pub(in crate::web) const FIELDS: [About; 25] = {
    use Takes::{Age, Count, Latency, Names, Number, Words};
    [
        about(Field::Host, "host", &[], Words, "host:api.example.com host:*shop*", "the whole name, or with a star"),
        about(Field::Path, "path", &["template"], Words, "path:/v1/* path:users", "with a star the whole path, else a part of it"),
        about(Field::Method, "method", &[], Words, "method:get,post", "of the request"),
        about(Field::Operation, "operation", &["op"], Words, "operation:GetUser", "of GraphQL, JSON-RPC, SOAP; a part of it, none, any"),
        about(Field::Status, "status", &["documentation"], Names, "status:shadow", "what the specs say of it"),
        about(Field::Life, "life", &[], Names, "life:new", "how long it is known, and called"),
        about(Field::Flag, "flag", &[], Names, "flag:zombie", "what should not be; accepted: what a person said is to be there"),
        about(Field::Is, "is", &[], Names, "is:deprecated -is:confirmed", "any status, life or flag"),
        about(Field::Kind, "kind", &[], Names, "kind:static", "without it, static files are not shown"),
        about(Field::Auth, "auth", &[], Names, "auth:missing", "whether answered calls had credentials; none is missing"),
        about(Field::Scheme, "scheme", &[], Words, "scheme:bearer", "a credential that it answered; none"),
        about(Field::Data, "data", &["sensitive"], Words, "data:email data:pii data:any", "a class of sensitive data, none, any"),
        about(Field::Exposure, "exposure", &["zone"], Names, "exposure:external", "the widest zone that is answered"),
        about(Field::Risk, "risk", &["min_risk"], Number, "risk:>6 risk:high", "1 to 10; low is to 4, high from 8"),
        about(Field::Requests, "requests", &[], Number, "requests:>1000 requests:1k..1m", "all that were seen"),
        about(Field::Errors, "errors", &[], Count, "errors:>=10 errors:>5%", "answers of 4xx and 5xx, or their share of the requests"),
        about(Field::Callers, "callers", &[], Number, "callers:1", "distinct ones, about"),
        about(Field::Latency, "p90", &["latency"], Latency, "p90:>500 p90:>2s", "latency in milliseconds, or with ms, s, m"),
        about(Field::Seen, "seen", &["last"], Age, "seen:<1d seen:never", "how long ago the last call was: s, m, h, d, w"),
        about(Field::First, "first", &[], Age, "first:<7d", "how long ago the first call was"),
        about(Field::Shadow, "shadow", &[], Age, "shadow:<1d", "how long ago it became a shadow endpoint"),
        about(Field::Drift, "drift", &[], Age, "drift:<1d", "how long ago its latest drift from its spec began"),
        about(Field::Spec, "spec", &[], Words, "spec:none", "a part of the title of the spec that owns the place, none, any"),
        about(Field::Tag, "tag", &["tags"], Words, "tag:payments tag:none", "the whole tag, or with a star; none, any"),
        about(Field::Owner, "owner", &[], Words, "owner:\"Team A\" owner:none", "the whole name, or with a star; none, any"),
    ]
};

impl Field {
    pub(in crate::web) fn about(self) -> &'static About {
        &FIELDS[self as usize]
    }

    pub(in crate::web) fn name(self) -> &'static str {
        self.about().name
    }

    pub(super) fn find(name: &str) -> Option<Self> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let mut all = FIELDS.iter();
        let found = all.find(|a| is(a.name) || a.also.iter().any(|also| is(also)));
        found.map(|a| a.field)
    }
}

/// What holds of an endpoint or not: each is one bit of [`facts`].
pub(in crate::web) const FACTS: [(Field, &str); 25] = [
    (Field::Status, "documented"),
    (Field::Status, "shadow"),
    (Field::Status, "unreviewed"),
    (Field::Life, "candidate"),
    (Field::Life, "new"),
    (Field::Life, "active"),
    (Field::Life, "dormant"),
    (Field::Flag, "deprecated"),
    (Field::Flag, "zombie"),
    (Field::Flag, "drift"),
    (Field::Flag, "accepted"),
    (Field::Kind, "api"),
    (Field::Kind, "web"),
    (Field::Kind, "static"),
    (Field::Kind, "infrastructure"),
    (Field::Auth, "missing"),
    (Field::Auth, "mixed"),
    (Field::Auth, "consistent"),
    (Field::Auth, "unknown"),
    (Field::Exposure, "internal"),
    (Field::Exposure, "partner"),
    (Field::Exposure, "external"),
    (Field::Exposure, "none"),
    (Field::Is, "confirmed"),
    (Field::Is, "waiting"),
];

/// The bit of a fact; none where there is no such.
pub(in crate::web) fn bit(field: Field, name: &str) -> u32 {
    let of = |known: Field| known == field || field == Field::Is && is_state(known);
    let at = FACTS.iter().position(|(f, n)| of(*f) && *n == name);
    at.map_or(0, |at| 1 << at)
}

/// What `is:` takes.
fn is_state(field: Field) -> bool {
    matches!(field, Field::Status | Field::Life | Field::Flag | Field::Is)
}

/// What a field of few values takes.
pub(in crate::web) fn names(field: Field) -> impl Iterator<Item = &'static str> {
    let of = move |known: Field| known == field || field == Field::Is && is_state(known);
    FACTS
        .iter()
        .filter(move |(f, _)| of(*f))
        .map(|(_, name)| *name)
}

/// The field that has a state by this name.
pub(super) fn owner(name: &str) -> Field {
    let found = FACTS.iter().find(|(f, n)| is_state(*f) && *n == name);
    found.map_or(Field::Is, |(field, _)| *field)
}

/// What holds of an endpoint, in the order of [`FACTS`].
pub(in crate::web) fn facts(e: &EndpointView) -> u32 {
    let status = match e.documentation {
        Documentation::Documented => 0,
        Documentation::Shadow => 1,
        Documentation::Unreviewed => 2,
    };
    let life = match e.life {
        Life::Candidate => 3,
        Life::New => 4,
        Life::Active => 5,
        Life::Dormant => 6,
    };
    let kind = match e.kind {
        Kind::Api => 11,
        Kind::Web => 12,
        Kind::Static => 13,
        Kind::Infrastructure => 14,
    };
    let auth = match e.auth_verdict {
        Some(AuthVerdict::Missing) => 15,
        Some(AuthVerdict::Mixed) => 16,
        Some(AuthVerdict::Consistent) => 17,
        None => 18,
    };
    let exposure = match e.exposure {
        Some(Zone::Internal) => 19,
        Some(Zone::Partner) => 20,
        Some(Zone::External) => 21,
        None => 22,
    };
    let ones = [status, life, kind, auth, exposure];
    let flags = [
        (e.deprecated, 7),
        (e.zombie, 8),
        (!e.drift.is_empty(), 9),
        (e.accepted.is_some(), 10),
        (e.confirmed, 23),
        (waits(e), 24),
    ];
    let flags = flags.iter().filter(|(holds, _)| *holds).map(|(_, at)| *at);
    ones.into_iter()
        .chain(flags)
        .fold(0, |all, at| all | 1 << at)
}
