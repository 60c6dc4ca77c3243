//! Versions of one operation side by side: what came, went and changed from one to the next.

use std::collections::BTreeMap;

use crate::catalog::{CatalogView, EndpointView, PartView};
use crate::sensor::doctor::grouped;
use crate::time::Timestamp;
use crate::web::columns::badges;
use crate::web::security;

/// Names that one cell has.
const NAMED: usize = 12;

pub(super) struct Version {
    pub(super) key: String,
    /// The word of its path: `v2`.
    pub(super) name: String,
    pub(super) template: String,
    /// It is the page's own.
    pub(super) here: bool,
    pub(super) badges: Vec<&'static str>,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    /// Requests of the last seven days, and their part of all versions'.
    pub(super) week: String,
    pub(super) auth: String,
    pub(super) callers: u64,
    pub(super) p90: String,
    /// Against the version before; none of the first.
    pub(super) changes: Option<Changes>,
}

pub(super) struct Changes {
    pub(super) added: Names,
    pub(super) gone: Names,
    pub(super) changed: Names,
}

/// The first of them, and how many more there are.
pub(super) struct Names {
    pub(super) first: Vec<String>,
    pub(super) more: usize,
}

impl Names {
    fn of(all: Vec<String>) -> Self {
        let more = all.len().saturating_sub(NAMED);
        let first = all.into_iter().take(NAMED).collect();
        Self { first, more }
    }
}

/// Oldest first; none where there is only one.
pub(super) fn versions(catalog: &CatalogView, e: &EndpointView) -> Vec<Version> {
    let all: Vec<&EndpointView> = e
        .versions
        .iter()
        .filter_map(|key| catalog.find(key).map(AsRef::as_ref))
        .collect();
    let whole: u64 = all.iter().map(|v| v.last_week).sum();
    let version = |(at, v): (usize, &&EndpointView)| {
        let before = at.checked_sub(1).and_then(|at| all.get(at));
        let changes = before.map(|old| changes(old, v));
        let share = v.last_week as f64 / whole.max(1) as f64 * 100.0;
        Version {
            key: v.key.clone(),
            name: name(&all, v),
            template: v.template.clone(),
            here: v.key == e.key,
            badges: badges(v),
            first: v.first_seen,
            last: v.last_seen,
            week: format!("{} ({share:.1} %)", grouped(v.last_week)),
            auth: security::column(v),
            callers: v.callers,
            p90: v
                .latency
                .map_or_else(|| "–".into(), |q| format!("{:.1} ms", q.p90)),
            changes,
        }
    };
    all.iter().enumerate().map(version).collect()
}

/// The part of the path that tells a version from another.
fn name(all: &[&EndpointView], own: &EndpointView) -> String {
    let other = all.iter().find(|v| v.template != own.template);
    let other = other.map_or("", |v| v.template.as_str());
    let mut parts = own.template.split('/').zip(other.split('/'));
    let differs = parts.find(|(a, b)| a != b && !a.starts_with('{'));
    differs.map_or_else(|| own.template.clone(), |(word, _)| word.to_owned())
}

fn changes(old: &EndpointView, new: &EndpointView) -> Changes {
    let (before, after) = (fields(old), fields(new));
    let missing = |of: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        of.keys()
            .filter(|name| !other.contains_key(*name))
            .cloned()
            .collect()
    };
    let changed = after.iter().filter_map(|(name, kind)| {
        let was = before.get(name).filter(|was| *was != kind)?;
        Some(format!("{name}: {was} → {kind}"))
    });
    Changes {
        added: Names::of(missing(&after, &before)),
        gone: Names::of(missing(&before, &after)),
        changed: Names::of(changed.collect()),
    }
}

/// Parameters and fields with their types.
fn fields(e: &EndpointView) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let Some(schema) = e.schema.as_deref() else {
        return out;
    };
    let mut take = |place: &str, part: &PartView| {
        for field in part.fields.iter().filter(|f| !f.pointer.is_empty()) {
            out.insert(
                format!("{place} {}", field.pointer),
                field.types.join(" or "),
            );
        }
    };
    let requests = [
        ("query", &schema.query),
        ("request header", &schema.request_headers),
        ("request", &schema.request),
    ];
    for (place, part) in requests {
        part.iter().for_each(|part| take(place, part));
    }
    // What an error looks like says little of the version.
    for (class, part) in schema
        .responses
        .iter()
        .filter(|(class, _)| class.starts_with('2'))
    {
        take(&format!("answer {class}"), part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Settings};
    use crate::exchange::parse_line;

    #[test]
    fn a_version_says_what_it_has_against_the_one_before() {
        let mut catalog = Catalog::new(Settings::default());
        let shapes = [
            r#"{"":"object","/id":"integer","/name":"string"}"#,
            r#"{"":"object","/id":"string","/title":"string"}"#,
        ];
        for n in 0..8 {
            let (version, shape) = (n % 2 + 1, shapes[n % 2]);
            let line = format!(
                r#"{{"v":1,"ts":{n},"method":"GET","host":"h","path":"/v{version}/a","status":200,"response_shape":{shape}}}"#
            );
            catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
        }
        catalog.tick(Timestamp::from_secs(9), &mut Vec::new());
        catalog.view();
        let view = catalog.view();
        let e = view
            .endpoints
            .iter()
            .find(|e| e.template == "/v2/a")
            .unwrap();
        let all = versions(&view, e);
        let names: Vec<(&str, bool)> = all.iter().map(|v| (v.name.as_str(), v.here)).collect();
        assert_eq!(names, [("v1", false), ("v2", true)]);
        assert!(all[0].changes.is_none());
        let changes = all[1].changes.as_ref().unwrap();
        assert_eq!(changes.added.first, ["answer 2xx /title"]);
        assert_eq!(changes.gone.first, ["answer 2xx /name"]);
        assert_eq!(changes.changed.first, ["answer 2xx /id: integer → string"]);
        assert_eq!(all[0].week, "4 (50.0 %)");
    }
}
