//! The columns of the list of endpoints: which there are, what stands in them, and what an export has of
//! each.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::query::{documentation, life};
use super::security;
use crate::catalog::{EndpointView, Kind, Life, Zone};
use crate::time::Timestamp;

/// Characters of a captured text that a list shows; the endpoint's page shows it whole.
const SHOWN: usize = 160;
/// Classes of sensitive data that a cell names.
const CLASSES: usize = 3;

pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// What its head sorts by.
    pub(super) sort: Option<&'static str>,
    pub(super) number: bool,
    /// Without being chosen.
    shown: bool,
    pub(super) cell: fn(&EndpointView) -> Cell,
    /// Of CSV and of JSON, beside the key.
    pub(super) csv: &'static [&'static str],
    pub(super) json: &'static [&'static str],
}

/// What stands in a cell.
pub(super) enum Cell {
    Risk(u8, String),
    Method(String),
    Path {
        key: String,
        template: String,
        operation: Option<String>,
        host: String,
    },
    Badges(Vec<&'static str>),
    Number(u64),
    Text(String),
    Time(Option<Timestamp>),
}

const fn column(
    (name, label): (&'static str, &'static str),
    sort: Option<&'static str>,
    (shown, number): (bool, bool),
    cell: fn(&EndpointView) -> Cell,
    csv: &'static [&'static str],
    json: &'static [&'static str],
) -> Column {
    Column {
        name,
        label,
        sort,
        number,
        shown,
        cell,
        csv,
        json,
    }
}

#[rustfmt::skip]
const COLUMNS: [Column; 18] = [
    column(("risk", "Risk"), Some("risk"), (true, false), risk, &["risk"], &["risk", "risk_reasons"]),
    column(("method", "Method"), Some("method"), (true, false), |e| Cell::Method(clip(&e.method)), &["method"], &["method"]),
    column(("endpoint", "Endpoint"), Some("path"), (true, false), path, &["host", "template", "operation"], &["host", "template", "operation"]),
    column(("status", "Status"), None, (true, false), |e| Cell::Badges(badges(e)), &["documentation", "life", "deprecated", "zombie"],
        &["documentation", "life", "deprecated", "zombie", "accepted"]),
    column(("requests", "Requests"), Some("requests"), (true, true), |e| Cell::Number(e.requests), &["requests"], &["requests"]),
    column(("errors", "Errors"), Some("errors"), (true, true), |e| Cell::Number(e.by_class[4] + e.by_class[5]), &["4xx", "5xx"], &["by_class"]),
    column(("data", "Data"), None, (true, false), |e| Cell::Text(data(e)), &["sensitive"], &["sensitive"]),
    column(("auth", "Auth"), None, (true, false), |e| Cell::Text(security::column(e)), &["auth"], &["auth", "auth_verdict"]),
    column(("exposure", "Open to"), None, (false, false), |e| Cell::Text(e.exposure.map_or("", Zone::name).into()), &["exposure"], &["exposure"]),
    column(("p90", "p90 ms"), Some("p90"), (false, true), |e| Cell::Text(p90(e)), &["latency_ms_p90"], &["latency"]),
    column(("callers", "Callers"), Some("callers"), (false, true), |e| Cell::Number(e.callers), &["callers"], &["callers"]),
    column(("first", "First seen"), Some("first"), (false, false), |e| Cell::Time(e.first_seen), &["first_seen"], &["first_seen"]),
    column(("last", "Last seen"), Some("last"), (true, false), |e| Cell::Time(e.last_seen), &["last_seen"], &["last_seen"]),
    column(("kind", "Kind"), None, (false, false), |e| Cell::Text(kind(e.kind).into()), &["kind"], &["kind"]),
    column(("spec", "Spec"), None, (false, false), |e| Cell::Text(clip(e.spec.as_deref().unwrap_or_default())), &["spec", "operation_id"], &["spec", "operation_id"]),
    column(("owner", "Owner"), None, (false, false), |e| Cell::Text(clip(e.owner.as_deref().unwrap_or_default())), &["owner"], &["owner"]),
    column(("tags", "Tags"), None, (false, false), |e| Cell::Text(e.tags.join(", ")), &["tags"], &["tags"]),
    column(("week", "Last week"), None, (false, true), |e| Cell::Number(e.last_week), &["last_week", "week_before"], &["last_week", "week_before"]),
];

/// Names of columns apart by commas, for the document.
pub(super) fn list(_: &mut SchemaGenerator) -> Schema {
    let names = names(&COLUMNS.iter().collect::<Vec<_>>());
    let name = names.replace(',', "|");
    json_schema!({
        "type": "string",
        "pattern": format!("^(({name})(,({name}))*)?$"),
        "description": format!("Of exports: the columns of the page that they have, apart by commas; all by default. There are {names}."),
    })
}

/// All there are.
pub(super) fn all() -> &'static [Column] {
    &COLUMNS
}

/// Those of a list of names, in the order of the table; by default those that are shown without being
/// chosen.
pub(super) fn chosen(names: &str) -> Vec<&'static Column> {
    let named = |c: &&Column| names.split(',').any(|name| name == c.name);
    let found: Vec<_> = COLUMNS.iter().filter(named).collect();
    if found.is_empty() {
        return COLUMNS.iter().filter(|c| c.shown).collect();
    }
    found
}

/// The names of these; empty where they are those by default.
pub(super) fn canonical(columns: &[&Column]) -> String {
    if columns
        .iter()
        .map(|c| c.name)
        .eq(COLUMNS.iter().filter(|c| c.shown).map(|c| c.name))
    {
        return String::new();
    }
    names(columns)
}

pub(super) fn names(columns: &[&Column]) -> String {
    columns.iter().map(|c| c.name).collect::<Vec<_>>().join(",")
}

pub(super) fn badges(e: &EndpointView) -> Vec<&'static str> {
    let mut out = vec![documentation(e.documentation)];
    out.extend(e.accepted.is_some().then_some("accepted"));
    out.extend(e.deprecated.then_some("deprecated"));
    out.extend(e.zombie.then_some("zombie"));
    out.extend((!e.drift.is_empty()).then_some("drift"));
    out.extend((e.life != Life::Active).then_some(life(e.life)));
    out
}

/// As much of a captured text as a list shows.
pub(super) fn clip(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn risk(e: &EndpointView) -> Cell {
    let why = e.risk_reasons.first();
    Cell::Risk(e.risk, why.map_or_else(String::new, |r| r.reason.clone()))
}

fn path(e: &EndpointView) -> Cell {
    Cell::Path {
        key: e.key.clone(),
        template: clip(&e.template),
        operation: e.operation.as_deref().map(clip),
        host: clip(&e.host),
    }
}

fn data(e: &EndpointView) -> String {
    let mut classes: Vec<&str> = e.sensitive.iter().map(|s| s.class.as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    let more = classes.len().saturating_sub(CLASSES);
    classes.truncate(CLASSES);
    let bare = |class: &&str| {
        class
            .split_once(':')
            .map_or(*class, |(_, name)| name)
            .to_owned()
    };
    let mut out: Vec<String> = classes.iter().map(bare).collect();
    out.extend((more > 0).then(|| format!("{more} more")));
    out.join(", ")
}

fn p90(e: &EndpointView) -> String {
    e.latency
        .map_or_else(|| "–".into(), |q| format!("{:.1}", q.p90))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Api => "api",
        Kind::Web => "web",
        Kind::Static => "static",
        Kind::Infrastructure => "infrastructure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Row;

    #[test]
    fn what_a_column_exports_is_there() {
        let view = EndpointView {
            accepted: Some(crate::catalog::Accepted {
                by: "a".into(),
                at: Timestamp::from_secs(1),
                note: None,
            }),
            auth_verdict: Some(crate::catalog::AuthVerdict::Mixed),
            exposure: Some(Zone::Internal),
            owner: Some("o".into()),
            tags: vec!["t".into()],
            sensitive: vec![crate::catalog::SensitiveView {
                class: "pii:email".into(),
                direction: "request".into(),
                place: "body".into(),
                pointer: "/a".into(),
                count: 1,
            }],
            ..EndpointView::default()
        };
        let json = serde_json::to_value(&view).unwrap();
        for column in all() {
            assert!(!column.csv.is_empty(), "{}", column.name);
            for name in column.csv {
                assert!(EndpointView::COLUMNS.contains(name), "{name}");
            }
            for name in column.json {
                assert!(json.get(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn an_accepted_endpoint_says_so_beside_what_the_specs_say() {
        let mut e = EndpointView {
            life: Life::Active,
            documentation: crate::catalog::Documentation::Documented,
            ..EndpointView::default()
        };
        assert_eq!(badges(&e), ["documented"]);
        e.accepted = Some(crate::catalog::Accepted {
            by: "a".into(),
            at: Timestamp::from_secs(1),
            note: None,
        });
        assert_eq!(badges(&e), ["documented", "accepted"]);
    }

    #[test]
    fn columns_by_name_or_by_default() {
        let by_default = names(&chosen(""));
        assert!(by_default.starts_with("risk,method,endpoint"));
        assert_eq!(names(&chosen("callers,nothing,risk")), "risk,callers");
        assert_eq!(canonical(&chosen(&by_default)), "");
        assert_eq!(clip(&"é".repeat(SHOWN + 1)).chars().count(), SHOWN + 1);
    }
}
