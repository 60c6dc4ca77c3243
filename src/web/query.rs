//! Filters, order and paging of lists: one meaning for pages and API.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::alert::{Alert, Status};
use crate::catalog::{AuthVerdict, Documentation, EndpointView, Kind, Life, Severity, Zone, owasp};

pub(super) const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EndpointFilter {
    /// Part of path or host, without case.
    pub(super) q: String,
    /// The host group's name.
    pub(super) host: String,
    /// The HTTP method.
    pub(super) method: String,
    /// What specs and people say of it.
    #[schemars(extend("enum" = ["documented", "shadow", "unreviewed", "accepted"]))]
    pub(super) documentation: String,
    /// Where it is in its life.
    #[schemars(with = "Option<Life>")]
    pub(super) life: String,
    /// What is marked of it.
    #[schemars(extend("enum" = ["deprecated", "zombie", "drift"]))]
    pub(super) flag: String,
    /// Whether answered calls had credentials.
    #[schemars(with = "Option<AuthVerdict>")]
    pub(super) auth: String,
    /// The least risk.
    #[schemars(with = "Option<u8>", extend("minimum" = 0, "maximum" = 10))]
    pub(super) min_risk: String,
    /// The widest zone that is answered.
    #[schemars(with = "Option<Zone>")]
    pub(super) exposure: String,
    /// The order; all but `path` have the highest first.
    #[schemars(extend("enum" = ["risk", "requests", "path", "errors", "last"], "default" = "risk"))]
    pub(super) sort: String,
    /// `next` of the page before.
    pub(super) cursor: String,
    #[schemars(schema_with = "limits")]
    pub(super) limit: Option<usize>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct AlertFilter {
    /// Where it is in its life cycle.
    #[schemars(with = "Option<Status>")]
    pub(super) status: String,
    /// What it is of.
    #[schemars(extend("enum" = super::alerts::KINDS))]
    pub(super) kind: String,
    /// How grave it is.
    #[schemars(with = "Option<Severity>")]
    pub(super) severity: String,
    /// Its category: `API1:2023` or `API1`.
    #[schemars(extend("pattern" = owasp::PATTERN))]
    pub(super) owasp: String,
    /// `next` of the page before.
    pub(super) cursor: String,
    #[schemars(schema_with = "limits")]
    pub(super) limit: Option<usize>,
}

/// How long a page may be.
pub(super) fn limits(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let about = format!("Items on a page; {PAGE} where it is not said.");
    schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "description": about })
}

/// One page, and where the next begins.
pub(super) struct Page<T> {
    pub(super) items: Vec<Arc<T>>,
    pub(super) next: Option<String>,
    pub(super) total: usize,
    /// The cursor names no item any more: this is the first page.
    pub(super) lost: bool,
}

impl EndpointFilter {
    pub(super) fn is_set(&self) -> bool {
        [
            &self.q,
            &self.host,
            &self.method,
            &self.documentation,
            &self.life,
            &self.flag,
            &self.auth,
            &self.min_risk,
            &self.exposure,
        ]
        .iter()
        .any(|f| !f.is_empty())
    }

    fn matches(&self, e: &EndpointView, needle: &str) -> bool {
        let is =
            |filter: &str, value: &str| filter.is_empty() || filter.eq_ignore_ascii_case(value);
        let shown = e.kind != Kind::Static || !needle.is_empty();
        let text = needle.is_empty()
            || e.template.to_lowercase().contains(needle)
            || e.host.contains(needle)
            || e.operation
                .as_ref()
                .is_some_and(|o| o.to_lowercase().contains(needle));
        let flag = match self.flag.as_str() {
            "deprecated" => e.deprecated,
            "zombie" => e.zombie,
            "drift" => !e.drift.is_empty(),
            _ => true,
        };
        shown
            && text
            && flag
            && is(&self.host, &e.host)
            && is(&self.method, &e.method)
            && is(&self.documentation, review(e))
            && is(&self.life, life(e.life))
            && is(&self.auth, e.auth_verdict.map_or("", |v| v.name()))
            && is(&self.exposure, e.exposure.map_or("", Zone::name))
            && (self.min_risk.is_empty()
                || self.min_risk.parse().is_ok_and(|least: u8| e.risk >= least))
    }

    /// The parts that choose, by their names.
    pub(super) fn parts_mut(&mut self) -> [(&'static str, &mut String); 9] {
        [
            ("q", &mut self.q),
            ("host", &mut self.host),
            ("method", &mut self.method),
            ("documentation", &mut self.documentation),
            ("life", &mut self.life),
            ("flag", &mut self.flag),
            ("auth", &mut self.auth),
            ("min_risk", &mut self.min_risk),
            ("exposure", &mut self.exposure),
        ]
    }

    /// What the filter shows of the endpoints that wait for somebody to accept them.
    pub(super) fn waiting<'a>(
        &self,
        all: &'a [Arc<EndpointView>],
    ) -> impl Iterator<Item = &'a Arc<EndpointView>> {
        let needle = self.q.trim().to_lowercase();
        all.iter()
            .filter(move |e| super::decisions::waits(e) && self.matches(e, &needle))
    }

    pub(super) fn page(&self, all: &[Arc<EndpointView>]) -> Page<EndpointView> {
        cut(&self.found(all), &self.cursor, self.limit, |e| &e.key)
    }

    /// All that match, in the order that was asked for.
    pub(super) fn found<'a>(&self, all: &'a [Arc<EndpointView>]) -> Vec<&'a Arc<EndpointView>> {
        let needle = self.q.trim().to_lowercase();
        let mut found: Vec<&Arc<EndpointView>> =
            all.iter().filter(|e| self.matches(e, &needle)).collect();
        // `all` is sorted by host, path and method; these sorts are stable.
        match self.sort.as_str() {
            "path" => {}
            "errors" => found.sort_by_key(|e| std::cmp::Reverse(e.by_class[4] + e.by_class[5])),
            "last" => found.sort_by_key(|e| std::cmp::Reverse(e.last_seen)),
            "requests" => found.sort_by_key(|e| std::cmp::Reverse(e.requests)),
            _ => found.sort_by_key(|e| std::cmp::Reverse((e.risk, e.requests))),
        }
        found
    }
}

impl AlertFilter {
    pub(super) fn is_set(&self) -> bool {
        [&self.status, &self.kind, &self.severity, &self.owasp]
            .iter()
            .any(|f| !f.is_empty())
    }

    pub(super) fn page(&self, all: &[Arc<Alert>]) -> Page<Alert> {
        cut(&self.found(all), &self.cursor, self.limit, |a| &a.id)
    }

    /// All that match.
    pub(super) fn found<'a>(&self, all: &'a [Arc<Alert>]) -> Vec<&'a Arc<Alert>> {
        let is =
            |filter: &str, value: &str| filter.is_empty() || filter.eq_ignore_ascii_case(value);
        let wanted = |a: &&Arc<Alert>| {
            is(&self.status, a.status.name())
                && is(&self.kind, &a.kind)
                && is(&self.severity, &severity(a))
                && owasp::matches(&self.owasp, &a.owasp)
        };
        all.iter().filter(wanted).collect()
    }
}

/// The endpoint that a URL names.
pub(super) fn by_key<'a>(all: &'a [Arc<EndpointView>], key: &str) -> Option<&'a EndpointView> {
    all.iter().find(|e| e.key == key).map(AsRef::as_ref)
}

/// The page behind the item that the cursor names; from the start where it is gone.
pub(super) fn cut<T>(
    found: &[&Arc<T>],
    cursor: &str,
    limit: Option<usize>,
    key: impl Fn(&T) -> &String,
) -> Page<T> {
    let place = position(found, cursor, |x| key(x) == cursor);
    let start = place.unwrap_or(0);
    let end = (start + self::limit(limit)).min(found.len());
    let items: Vec<Arc<T>> = found[start..end].iter().map(|x| Arc::clone(x)).collect();
    let next = if end < found.len() {
        items.last().map(|x| key(x).clone())
    } else {
        None
    };
    Page {
        items,
        next,
        total: found.len(),
        lost: place.is_none(),
    }
}

/// Where a page begins; `None` where the cursor's item is gone.
pub(super) fn position<T>(found: &[T], cursor: &str, is_it: impl Fn(&T) -> bool) -> Option<usize> {
    if cursor.is_empty() {
        return Some(0);
    }
    found.iter().position(is_it).map(|at| at + 1)
}

/// How long a page is.
pub(super) fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(PAGE).clamp(1, MAX_PAGE)
}

fn documentation(d: Documentation) -> &'static str {
    match d {
        Documentation::Documented => "documented",
        Documentation::Shadow => "shadow",
        Documentation::Unreviewed => "unreviewed",
    }
}

/// What is said of its documentation, or that a person has accepted it.
pub(super) fn review(e: &EndpointView) -> &'static str {
    match e.documentation {
        Documentation::Unreviewed if e.accepted.is_some() => "accepted",
        other => documentation(other),
    }
}

pub(super) fn life(l: Life) -> &'static str {
    match l {
        Life::Candidate => "candidate",
        Life::New => "new",
        Life::Active => "active",
        Life::Dormant => "dormant",
    }
}

pub(super) fn severity(a: &Alert) -> String {
    format!("{:?}", a.severity).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part that the form of the list does not carry over would accept more than was shown.
    #[test]
    fn every_part_of_the_filter_is_carried_over() {
        let shown = format!("{:?}", EndpointFilter::default());
        let fields = shown
            .split([' ', '{', ','])
            .filter_map(|w| w.strip_suffix(':'));
        let mut fields: Vec<&str> = fields
            .filter(|f| !["sort", "cursor", "limit"].contains(f))
            .collect();
        let mut filter = EndpointFilter::default();
        let mut parts: Vec<&str> = filter.parts_mut().map(|(name, _)| name).into();
        fields.sort_unstable();
        parts.sort_unstable();
        assert_eq!(fields, parts);
    }
}
