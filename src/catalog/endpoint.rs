//! What is kept of one endpoint: counts and sketches of fixed size.

use std::sync::Arc;

use cardinality_estimator::CardinalityEstimator;
use serde::{Deserialize, Serialize};

use super::auth::Authentication;
use super::clear::Clear;
use super::decision::Accepted;
use super::drift::Drift;
use super::events::Events;
use super::history::History;
use super::leaks::Leaking;
use super::parameters::Parameters;
use super::reach::Reach;
use super::schema::Schemas;
use super::sessions::Sessions;
use super::sketch::Sketch;
use super::small::Small;
use super::soft::Answers;
use super::trend::{Days, Lately};
use super::view::{Documentation, Quantiles};
use super::words::Words;
use super::{Admission, NodeId};
use crate::exchange::{Exchange, OperationKind};
use crate::time::Timestamp;

/// Statuses of one endpoint that are told apart: the lowest, so that it does not matter which came first.
const MAX_STATUSES: usize = 32;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Endpoint {
    pub(super) node: NodeId,
    pub(super) method: String,
    pub(super) host: String,
    /// Beneath the path: `query GetUser`.
    pub(super) operation: Option<String>,
    pub(super) operation_kind: Option<OperationKind>,
    /// The most that a GraphQL request had.
    pub(super) depth: Option<u16>,
    pub(super) aliases: Option<u16>,
    /// The schema was asked for; bytes of the largest answer.
    pub(super) introspection: Option<u64>,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// No response, 1xx … 5xx.
    pub(super) by_class: [u64; 6],
    /// First and last answer that something stands behind (2xx, 3xx).
    pub(super) answered: u64,
    pub(super) first_answer: Option<Timestamp>,
    pub(super) last_answer: Option<Timestamp>,
    /// What is evidence for it.
    pub(super) answers: Answers,
    pub(super) assets: u64,
    pub(super) unpaired: u64,
    latency: Sketch,
    request_size: Sketch,
    response_size: Sketch,
    callers: CardinalityEstimator<u64>,
    /// Of answered calls, by scheme.
    pub(super) auth: Small<String, u64>,
    /// Media types of answers: what kind of thing this is.
    pub(super) html: u64,
    pub(super) statuses: Small<u16, u64>,
    pub(super) deprecation: Option<Timestamp>,
    pub(super) sunset: Option<Timestamp>,
    /// Shared with the view that was published last, until the next exchange.
    pub(super) history: Arc<History>,
    /// Findings already told, by bit of their kind.
    pub(super) told: u16,
    pub(super) deprecated_since: Option<Timestamp>,
    pub(super) zombie_since: Option<Timestamp>,
    pub(super) zombie_of: Option<String>,
    pub(super) spec: Option<SpecRef>,
    pub(super) shadow: bool,
    /// A rule of the config deprecates it: since when, and its sunset.
    pub(super) ruled: Option<(Option<Timestamp>, Option<Timestamp>)>,
    /// What its spec had it as before a newer one dropped it.
    pub(super) dropped: Option<String>,
    pub(super) confirmed_at: Option<Timestamp>,
    /// What is said of its documentation, and since when.
    pub(super) said: Option<(Documentation, Timestamp)>,
    pub(super) accepted: Option<Accepted>,
    pub(super) words: Option<Box<Words>>,
    pub(super) events: Events,
    pub(super) days: Days,
    /// Of deprecated ones: who still calls.
    pub(super) lately: Option<Box<Lately>>,
    pub(super) sessions: Sessions,
    /// Credentials that it was sent in clear.
    pub(super) clear: Clear,
    /// They came in a way that the host's alert may not know of.
    pub(super) clear_news: bool,
    pub(super) schemas: Schemas,
    /// Who calls it, and from where.
    pub(super) reach: Reach,
    pub(super) authentication: Authentication,
    pub(super) leaking: Leaking,
    pub(super) drift: Drift,
    /// What it is sent.
    pub(super) parameters: Parameters,
}

/// The operation that documents an endpoint, or the spec that owns its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SpecRef {
    /// Its id, while this set of specs is in use; looked up anew after a restart.
    #[serde(skip)]
    pub(super) id: Arc<str>,
    pub(super) title: String,
    pub(super) operation: Option<String>,
    pub(super) documented: bool,
    pub(super) deprecated: bool,
}

impl Endpoint {
    pub(super) fn new(node: NodeId, method: &str, host: &str, ts: Timestamp) -> Self {
        Self {
            node,
            method: method.to_owned(),
            host: host.to_owned(),
            operation: None,
            operation_kind: None,
            depth: None,
            aliases: None,
            introspection: None,
            first: ts,
            last: ts,
            by_class: [0; 6],
            answered: 0,
            first_answer: None,
            last_answer: None,
            answers: Answers::default(),
            assets: 0,
            unpaired: 0,
            latency: Sketch::default(),
            request_size: Sketch::default(),
            response_size: Sketch::default(),
            callers: CardinalityEstimator::new(),
            auth: Small::default(),
            html: 0,
            statuses: Small::default(),
            deprecation: None,
            sunset: None,
            history: Arc::default(),
            told: 0,
            deprecated_since: None,
            zombie_since: None,
            zombie_of: None,
            spec: None,
            shadow: false,
            ruled: None,
            dropped: None,
            confirmed_at: None,
            said: None,
            accepted: None,
            words: None,
            events: Events::default(),
            days: Days::default(),
            lately: None,
            sessions: Sessions::default(),
            clear: Clear::default(),
            clear_news: false,
            schemas: Schemas::default(),
            reach: Reach::default(),
            authentication: Authentication::default(),
            leaking: Leaking::default(),
            drift: Drift::default(),
            parameters: Parameters::default(),
        }
    }

    pub(super) fn take(&mut self, x: &Exchange, admission: Admission, asset: bool, principal: u64) {
        self.first = self.first.min(x.ts);
        self.last = self.last.max(x.ts);
        self.by_class[x.status_class()] += 1;
        self.unpaired += u64::from(x.partial.unpaired);
        self.assets += u64::from(asset);
        if let Some(status) = x.status {
            *self.statuses.or_default(status) += 1;
            self.statuses.truncate(MAX_STATUSES);
        }
        if let Some(ms) = x.latency_ms {
            self.latency.add(ms);
        }
        if let Some(bytes) = x.request_bytes.filter(|_| !x.partial.truncated) {
            self.request_size.add(bytes as f64);
        }
        if let Some(bytes) = x.response_bytes.filter(|_| !x.partial.truncated) {
            self.response_size.add(bytes as f64);
        }
        self.callers.insert(&principal);
        if let Some(o) = &x.operation {
            self.operation_kind = self.operation_kind.or(Some(o.kind));
            self.depth = self.depth.max(o.depth);
            self.aliases = self.aliases.max(o.aliases);
            if o.introspection {
                let answered = admission == Admission::Answered;
                let bytes = x.response_bytes.filter(|_| answered).unwrap_or(0);
                self.introspection = self.introspection.max(Some(bytes));
            }
        }
        self.clear_news |= self.clear.take(x);
        self.authentication.take(x, admission);
        self.leaking.take(x);
        // The latest word, whichever answer brought it.
        self.deprecation = self.deprecation.max(x.deprecation);
        self.sunset = self.sunset.max(x.sunset);
        if admission == Admission::Answered {
            self.answered += 1;
            self.first_answer = Some(self.first_answer.map_or(x.ts, |t| t.min(x.ts)));
            self.last_answer = Some(self.last_answer.map_or(x.ts, |t| t.max(x.ts)));
            let first = || x.presented().first().map(|p| p.scheme.as_str());
            let scheme = x.auth.as_deref().or_else(first).unwrap_or("none");
            match self.auth.get_mut(scheme) {
                Some(n) => *n += 1,
                None => *self.auth.or_default(scheme.to_owned()) = 1,
            }
            self.html += u64::from(x.content_type.as_deref() == Some("text/html"));
        }
        Arc::make_mut(&mut self.history).take(x);
        self.days.add(x.ts);
        if self.is_deprecated() || self.zombie_since.is_some() {
            self.lately.get_or_insert_default().add(principal, x.ts);
        }
    }

    /// A path was found to be an endpoint of its own: its calls leave. How they were spread over
    /// time, callers and sizes is not known; of these each has what both had.
    pub(super) fn split(&mut self, by_class: [u64; 6], answered: u64) -> Self {
        for (mine, theirs) in self.by_class.iter_mut().zip(by_class) {
            *mine = mine.saturating_sub(theirs);
        }
        self.answered = self.answered.saturating_sub(answered);
        Self {
            by_class,
            answered,
            ..self.clone()
        }
    }

    /// Two endpoints were found to be one.
    pub(super) fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for (mine, theirs) in self.by_class.iter_mut().zip(other.by_class) {
            *mine += theirs;
        }
        self.answered += other.answered;
        self.first_answer = self
            .first_answer
            .into_iter()
            .chain(other.first_answer)
            .min();
        self.last_answer = self.last_answer.max(other.last_answer);
        self.answers.merge(&other.answers);
        self.assets += other.assets;
        self.unpaired += other.unpaired;
        self.latency.merge(&other.latency);
        self.request_size.merge(&other.request_size);
        self.response_size.merge(&other.response_size);
        self.callers.merge(&other.callers);
        for (scheme, n) in other.auth.iter() {
            *self.auth.or_default(scheme.clone()) += n;
        }
        self.html += other.html;
        for (status, n) in other.statuses.iter() {
            *self.statuses.or_default(*status) += n;
        }
        self.statuses.truncate(MAX_STATUSES);
        self.operation_kind = self.operation_kind.or(other.operation_kind);
        self.depth = self.depth.max(other.depth);
        self.aliases = self.aliases.max(other.aliases);
        self.introspection = self.introspection.max(other.introspection);
        self.deprecation = self.deprecation.max(other.deprecation);
        self.sunset = self.sunset.max(other.sunset);
        Arc::make_mut(&mut self.history).merge(&other.history);
        self.days.merge(&other.days);
        match (&mut self.lately, &other.lately) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => mine.clone_from(theirs),
            (Some(_), None) => {}
        }
        self.confirmed_at = self
            .confirmed_at
            .into_iter()
            .chain(other.confirmed_at)
            .min();
        // Whoever accepted a part of it accepted it.
        if self.accepted.is_none() {
            self.accepted.clone_from(&other.accepted);
        }
        if let Some(theirs) = &other.words {
            self.words.get_or_insert_default().merge(theirs);
        }
        self.told |= other.told;
        self.sessions.merge(&other.sessions);
        self.clear.merge(&other.clear);
        self.clear_news |= other.clear_news;
        self.schemas.merge(&other.schemas);
        self.reach.merge(&other.reach);
        self.authentication.merge(&other.authentication);
        self.leaking.merge(&other.leaking);
        self.drift.merge(&other.drift);
        self.parameters.merge(&other.parameters);
    }

    /// What the budget of fields is of: those of its schemas, and its parameters.
    pub(super) fn fields(&self) -> usize {
        self.schemas.len() + self.parameters.len()
    }

    /// More than one answer, spread in time.
    pub(super) fn confirmed(&self) -> bool {
        self.answers.confirm()
    }

    pub(super) fn is_static(&self) -> bool {
        let requests: u64 = self.by_class.iter().sum();
        self.assets * 10 >= requests * 9
    }

    pub(super) fn quantiles(&self) -> [Option<Quantiles>; 3] {
        [&self.latency, &self.request_size, &self.response_size].map(Sketch::quantiles)
    }

    /// Deprecated by header, spec or rule.
    pub(super) fn is_deprecated(&self) -> bool {
        let by_spec = self.spec.as_ref().is_some_and(|s| s.deprecated);
        self.deprecation.is_some() || by_spec || self.ruled.is_some()
    }

    /// By header, else by rule.
    pub(super) fn sunset_at(&self) -> Option<Timestamp> {
        self.sunset
            .or_else(|| self.ruled.and_then(|(_, sunset)| sunset))
    }

    pub(super) fn callers(&self) -> u64 {
        self.callers.estimate() as u64
    }
}
