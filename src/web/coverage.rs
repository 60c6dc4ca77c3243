//! Coverage: how much of the traffic could be inspected, and the hosts that keep the rest.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::api::{List, Query};
use super::asked::Asked;
use super::cursor::{Mark, latest};
use super::frame::{Frame, Select, link, show};
use super::query::{Page, cut};
use super::routes::Shared;
use super::who::Who;
use super::{api, chart, filters};
use crate::catalog::{Coverage, Inspection, TlsHostView, TlsView, percent};
use crate::sensor::doctor::count;

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Filter {
    /// Part of a host's name, address or protocol, without case.
    q: String,
    /// How much of it could be inspected.
    #[schemars(with = "Option<Inspection>")]
    inspection: String,
    /// What some of its flows go over.
    #[schemars(extend("enum" = ["tls", "quic"]))]
    transport: String,
    /// The order: most dark bytes, most flows, by name, last seen first.
    #[schemars(extend("enum" = ["bytes", "flows", "name", "last"], "default" = "bytes"))]
    sort: String,
    /// `next` of the page before.
    cursor: String,
    #[schemars(schema_with = "super::query::limits")]
    limit: Option<usize>,
}

impl Filter {
    fn is_set(&self) -> bool {
        [&self.q, &self.inspection, &self.transport]
            .iter()
            .any(|f| !f.is_empty())
    }

    fn matches(&self, h: &TlsHostView, needle: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(needle);
        let text = has(&h.key)
            || h.alpn.iter().any(|a| has(a))
            || h.addresses.iter().any(|a| has(&a.to_string()));
        let transport = match self.transport.as_str() {
            "quic" => h.quic > 0,
            "tls" => h.quic < h.flows,
            _ => true,
        };
        let inspection = self.inspection.is_empty() || self.inspection == h.inspection.name();
        text && transport && inspection
    }

    fn page(&self, all: &[Arc<TlsHostView>]) -> Page<TlsHostView> {
        let needle = self.q.trim().to_lowercase();
        let mut found: Vec<_> = all.iter().filter(|h| self.matches(h, &needle)).collect();
        found.sort_by(|a, b| (self.rank(a), &a.key).cmp(&(self.rank(b), &b.key)));
        let order = format!("dark {}", self.sort);
        cut(&found, &order, (&self.cursor, self.limit), |h| {
            Mark::new([self.rank(h), 0], &[&h.key])
        })
    }

    fn rank(&self, h: &TlsHostView) -> u64 {
        match self.sort.as_str() {
            "name" => 0,
            "flows" => !h.flows,
            "last" => latest(h.last_seen),
            _ => !h.dark_bytes,
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TlsHost")]
struct Item<'a> {
    #[serde(flatten)]
    host: &'a TlsHostView,
    /// Of all bytes that are or may be HTTP: those of this host that were not opened.
    share: f64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TlsHosts")]
pub(super) struct Hosts<'a> {
    #[serde(flatten)]
    list: List<Item<'a>>,
    coverage: Coverage,
    /// The coverage in words; null where there was no traffic to speak of.
    summary: Option<String>,
}

/// `/api/v1/dark`.
pub(super) async fn hosts(State(app): Shared, Query(filter): Query<Filter>) -> Response {
    let catalog = app.views.catalog.load();
    let TlsView { hosts, coverage } = &catalog.tls;
    let page = filter.page(hosts);
    if page.lost {
        return api::lost().into_response();
    }
    let whole = coverage.whole().max(1) as f64;
    let item = |host| Item {
        host,
        share: host.dark_bytes as f64 / whole,
    };
    api::json(&Hosts {
        list: List {
            items: page.items.iter().map(|host| item(host)).collect(),
            next: page.next,
            total: page.total,
        },
        coverage: *coverage,
        summary: coverage.sentence(),
    })
}

struct Row {
    host: Arc<TlsHostView>,
    share: String,
    dark: String,
    versions: String,
    alpn: String,
    until: String,
    /// What else was seen of it.
    more: Vec<(&'static str, String)>,
}

impl Row {
    fn of(host: &Arc<TlsHostView>, whole: u64) -> Self {
        let or_dash = |text: String| {
            if text.is_empty() { "–".into() } else { text }
        };
        let until = host.certificate.and_then(|c| c.not_after);
        let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
        let suites = host.ciphers.iter().map(|s| match s.name {
            Some(name) => name.to_owned(),
            None => format!("0x{:04x}", s.id),
        });
        let more = [
            ("Addresses", addresses),
            ("Cipher suites", suites.collect()),
            ("Clients (JA4)", host.ja4.clone()),
        ];
        let more = more.into_iter().filter(|(_, all)| !all.is_empty());
        Self {
            share: percent(host.dark_bytes, whole),
            dark: size(host.dark_bytes),
            versions: or_dash(host.versions.join(", ").replace("TLS ", "")),
            alpn: or_dash(host.alpn.join(", ")),
            until: until.map(|t| t.to_string()).unwrap_or_default(),
            more: more.map(|(name, all)| (name, all.join(", "))).collect(),
            host: Arc::clone(host),
        }
    }
}

/// The part of the picture that it is about, its name, and the figures.
type Fact = (&'static str, &'static str, String);

#[derive(Template)]
#[template(path = "coverage.html")]
struct CoveragePage {
    page: Frame,
    summary: Option<String>,
    picture: String,
    facts: Vec<Fact>,
    total: usize,
    f: Filter,
    selects: Vec<Select>,
    filtered: bool,
    rows: Vec<Row>,
    next: Option<String>,
}

/// `/coverage`.
pub(super) async fn page(State(app): Shared, who: Who, Asked(f, slips): Asked<Filter>) -> Response {
    let catalog = app.views.catalog.load();
    let TlsView { hosts, coverage } = &catalog.tls;
    let found = f.page(hosts);
    let selects = vec![
        Select::new(
            "Inspection",
            "inspection",
            &f.inspection,
            "any",
            &["dark", "partly", "opened"],
        ),
        Select::new(
            "Transport",
            "transport",
            &f.transport,
            "any",
            &["tls", "quic"],
        ),
        Select::new("Sort", "sort", &f.sort, "bytes", &["flows", "name", "last"]),
    ];
    let parts = [
        ("q", &f.q),
        ("inspection", &f.inspection),
        ("transport", &f.transport),
        ("sort", &f.sort),
    ];
    let whole = coverage.whole();
    show(&CoveragePage {
        summary: coverage.sentence(),
        picture: chart::shares(&[
            ("seen", coverage.clear_bytes),
            ("opened", coverage.opened_bytes),
            ("dark", coverage.dark_bytes),
        ]),
        facts: facts(coverage),
        total: found.total,
        selects,
        filtered: f.is_set(),
        rows: found.items.iter().map(|h| Row::of(h, whole)).collect(),
        next: found.next.map(|c| link("/coverage", &parts, &c)),
        f: f.clone(),
        page: Frame::new(&app, &who, "coverage").told(slips.lost(found.lost)),
    })
}

fn facts(c: &Coverage) -> Vec<Fact> {
    let whole = c.whole();
    let part = |bytes: u64| format!("{} ({})", percent(bytes, whole), size(bytes));
    let flows = |flows: u64, bytes: u64| format!("{}, {}", part(bytes), count(flows, "flow"));
    let mut facts = vec![
        ("seen", "HTTP in clear", part(c.clear_bytes)),
        (
            "opened",
            "TLS opened with your keys",
            flows(c.opened_flows, c.opened_bytes),
        ),
        ("dark", "Not opened", flows(c.dark_flows, c.dark_bytes)),
    ];
    if c.quic_flows > 0 {
        facts.push((
            "",
            "of that over QUIC (HTTP/3)",
            flows(c.quic_flows, c.quic_bytes),
        ));
    }
    if c.others.0 > 0 {
        let text = format!(
            "{}, {}: their {} were put out by the budget, or records were shed",
            count(c.others.0, "flow"),
            size(c.others.1),
            count(c.evicted, "host")
        );
        facts.push(("", "Of none of the hosts below", text));
    }
    facts
}

/// In the unit that people would choose.
fn size(bytes: u64) -> String {
    let units = ["KB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let (mut value, mut unit) = (bytes as f64 / 1e3, 0);
    while value >= 999.95 && unit + 1 < units.len() {
        (value, unit) = (value / 1e3, unit + 1);
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Inspection;
    use crate::time::Timestamp;

    fn host(key: &str, inspection: Inspection, quic: u64, dark_bytes: u64) -> Arc<TlsHostView> {
        let (host, port) = key.split_once(':').unwrap();
        Arc::new(TlsHostView {
            key: key.into(),
            host: host.into(),
            port: port.parse().unwrap(),
            inspection,
            addresses: vec![[10, 0, 0, 7].into()],
            flows: 2,
            opened: 0,
            quic,
            bytes: [0, dark_bytes],
            dark_bytes,
            versions: Vec::new(),
            ciphers: Vec::new(),
            alpn: vec!["h3".into()],
            ja4: Vec::new(),
            ech: false,
            certificate: None,
            first_seen: Timestamp::MIN,
            last_seen: Timestamp::MIN,
            findings: Vec::new(),
        })
    }

    #[test]
    fn hosts_are_found_sorted_and_paged() {
        let all = [
            host("a.example:443", Inspection::Dark, 0, 10),
            host("b.example:443", Inspection::Partly, 2, 30),
            host("c.example:8443", Inspection::Dark, 1, 20),
        ];
        let keys = |filter: Filter| {
            let page = filter.page(&all);
            let keys: Vec<_> = page.items.iter().map(|h| h.key[..1].to_owned()).collect();
            (keys.concat(), page.next, page.total)
        };
        let filter = Filter::default;
        assert_eq!(keys(filter()), ("bca".into(), None, 3));
        let q = |q: &str| Filter {
            q: q.into(),
            ..filter()
        };
        assert_eq!(keys(q("B.EX")).0, "b");
        assert_eq!(keys(q("8443")).0, "c");
        assert_eq!(keys(q("10.0.0.7")).2, 3);
        assert_eq!(keys(q("H3")).2, 3);
        let inspection = "dark".to_owned();
        assert_eq!(
            keys(Filter {
                inspection,
                ..filter()
            })
            .0,
            "ca"
        );
        let transport = |t: &str| Filter {
            transport: t.into(),
            ..filter()
        };
        assert_eq!(keys(transport("quic")).0, "bc");
        assert_eq!(keys(transport("tls")).0, "ca");
        let by_name = Filter {
            sort: "name".into(),
            limit: Some(2),
            ..filter()
        };
        let (first, next, total) = keys(by_name.clone());
        assert_eq!((first.as_str(), total), ("ab", 3));
        let cursor = next.unwrap();
        assert_eq!(keys(Filter { cursor, ..by_name }), ("c".into(), None, 3));
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        let sizes = [0, 999, 1_000, 999_949, 999_950, 12_345_678];
        let shown = sizes.map(size);
        assert_eq!(
            shown,
            [
                "0 bytes",
                "999 bytes",
                "1.0 KB",
                "999.9 KB",
                "1.0 MB",
                "12.3 MB"
            ]
        );
        assert_eq!(size(u64::MAX), "18446.7 PB");
    }
}
