//! A large world for the web room: as many endpoints and alerts as asked for, with all that a page
//! shows of them, the same each time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use apitap::alert::{Alert, AlertsView, Incident};
use apitap::catalog::{
    Auth, AuthVerdict, CatalogView, Documentation, EndpointView, Exposure, ExposureKind, HostView,
    Kind, Life, Quantiles, RiskReason, SensitiveView, Severity, Zone,
};
use apitap::detect::{PrincipalKind, PrincipalRow, PrincipalsView};
use apitap::time::Timestamp;
use apitap::web::Views;
use serde_json::json;

use super::specs;

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const NOUNS: [&str; 20] = [
    "users", "orders", "invoices", "payments", "carts", "items", "sessions", "devices", "reports",
    "teams", "projects", "messages", "files", "events", "prices", "offers", "ratings", "claims",
    "routes", "keys",
];
const CLASSES: [&str; 6] = [
    "pii:email",
    "pii:card",
    "pii:phone",
    "secret:token",
    "secret:password",
    "pii:iban",
];
/// Endpoints of one host.
const A_HOST: usize = 400;
/// Of the packets of the last view: 24 November 2024.
const NOW: i64 = 1_732_420_000;

/// Spread evenly and without a pattern: SplitMix64's mix of a number.
fn mix(n: usize) -> u64 {
    let mut z = (n as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn host(n: usize) -> String {
    format!("api-{:03}.example.com", n / A_HOST)
}

fn endpoint(n: usize) -> EndpointView {
    let (m, at) = (mix(n), n % A_HOST);
    let noun = NOUNS[at / METHODS.len() % NOUNS.len()];
    let version = 1 + at / (METHODS.len() * NOUNS.len());
    let method = METHODS[at % METHODS.len()];
    let requests = m % 1_000 * (m >> 10) % 5_000_000;
    let errors = requests * (m >> 20 & 15) / 100;
    let class = CLASSES[(m >> 24) as usize % CLASSES.len()];
    let verdict = AuthVerdict::ALL[(m >> 32) as usize % 3];
    let key = format!("{:016x}", mix(n + 1_000_000));
    let finding = Exposure {
        id: format!("{:016x}", mix(n + 2_000_000)),
        kind: ExposureKind::NoAuthentication,
        severity: Severity::Medium,
        owasp: "API2:2023".into(),
        subject: format!("{method} {} /v{version}/{noun}", host(n)),
        host: host(n),
        port: None,
        endpoint: Some(key.clone()),
        what: "answers without a credential".into(),
        why: "whoever reaches it gets what it gives".into(),
        first_seen: Timestamp::from_secs(NOW - 86_400),
        last_seen: Timestamp::from_secs(NOW),
        count: requests,
        clients: None,
        version: None,
        cipher: None,
        not_after: None,
        scheme: None,
    };
    let sensitive = SensitiveView {
        class: class.into(),
        direction: "response".into(),
        place: "body".into(),
        pointer: "/contact".into(),
        count: 9,
    };
    let mut view = EndpointView {
        key,
        method: method.into(),
        host: host(n),
        template: format!("/v{version}/{noun}/{{{noun}_id}}/history"),
        kind: if m & 31 == 0 { Kind::Web } else { Kind::Api },
        confirmed: m & 63 != 1,
        documentation: [
            Documentation::Documented,
            Documentation::Shadow,
            Documentation::Unreviewed,
        ][(m >> 8) as usize % 3],
        life: [Life::Active, Life::Active, Life::New, Life::Candidate][(m >> 12) as usize % 4],
        deprecated: m >> 16 & 15 == 0,
        zombie: m >> 17 & 31 == 0,
        first_seen: Some(Timestamp::from_secs(NOW - (m >> 14 & 0x3f_ffff) as i64)),
        last_seen: Some(Timestamp::from_secs(NOW - (m >> 30 & 0xf_ffff) as i64)),
        requests,
        by_class: [0, 0, requests - errors, 0, errors, 0],
        latency: Some(Quantiles {
            p50: 4.0,
            p90: 12.5 + (m >> 40 & 255) as f64,
            p99: 400.0,
        }),
        callers: m >> 44 & 0xfff,
        auth: vec![Auth {
            scheme: "bearer".into(),
            requests,
        }],
        auth_verdict: Some(verdict),
        findings: (m & 7 == 0).then_some(finding).into_iter().collect(),
        hourly: vec![requests / 24; 24],
        risk: 1 + (m >> 50) as u8 % 10,
        risk_reasons: vec![RiskReason {
            reason: "no-auth".into(),
            weight: 6,
            why: "it answers without a credential".into(),
        }],
        exposure: Some(Zone::ALL[(m >> 54) as usize % 3]),
        sensitive: (m & 3 == 0).then_some(sensitive).into_iter().collect(),
        ..EndpointView::default()
    };
    specs::place(n, &mut view);
    view
}

fn catalog(endpoints: usize) -> CatalogView {
    let mut all: Vec<EndpointView> = (0..endpoints).map(endpoint).collect();
    all.sort_by(|a, b| (&a.host, &a.template, &a.method).cmp(&(&b.host, &b.template, &b.method)));
    let hosts = all.chunk_by(|a, b| a.host == b.host).map(|of| HostView {
        host: of[0].host.clone(),
        endpoints: of.len(),
        requests: of.iter().map(|e| e.requests).sum(),
        spec: None,
        unpaired: Some(0.0),
        risk: of.iter().map(|e| e.risk).max().unwrap(),
        findings: Vec::new(),
        versions: Vec::new(),
    });
    CatalogView {
        hosts: hosts.collect(),
        endpoints: all.into_iter().map(Arc::new).collect(),
        at: Timestamp::from_secs(NOW),
        ..CatalogView::default()
    }
}

fn severity(n: usize) -> &'static str {
    ["info", "low", "medium", "high", "critical"][mix(n) as usize % 5]
}

fn status(n: usize) -> &'static str {
    ["open", "open", "acknowledged", "resolved", "false-alarm"][(mix(n) >> 8) as usize % 5]
}

const KINDS: [&str; 6] = [
    "enumeration",
    "scan",
    "credential",
    "volume",
    "exfiltration",
    "shadow",
];

fn alert(n: usize, endpoints: usize) -> Alert {
    let e = endpoint(mix(n) as usize % endpoints);
    let at = NOW - n as i64 * 60;
    let series: Vec<_> = (0..48)
        .map(|i| json!({ "at": at + i * 300, "expected": 10.0, "observed": 12.0 + i as f64 }))
        .collect();
    serde_json::from_value(json!({
        "v": 1, "id": format!("{:016x}", mix(n + 3_000_000)), "ts": at, "kind": KINDS[n % KINDS.len()],
        "severity": severity(n), "score": 12.5, "detector": "objects",
        "principal": { "identity": format!("bearer:{:08x}", mix(n) as u32), "client": "203.0.113.9" },
        "endpoint": e.label(), "host": e.host, "since": at, "until": at + 600, "expected": 10.0, "observed": 480.0,
        "p_value": 1e-9, "log10_p": -9.0, "summary": "one caller asked for 480 objects of others, 10 were expected",
        "why": ["it never asked for so many", "most were never asked for before"], "series": series,
        "owasp": "API1:2023", "status": status(n), "fingerprint": format!("{n}"), "occurrences": 3,
        "last_seen": at + 600, "revision": n, "incident": incident_id(n / 5),
    }))
    .unwrap()
}

fn incident_id(n: usize) -> String {
    format!("{:016x}", mix(n + 4_000_000))
}

/// Of the five alerts from `5 n` on.
fn incident(n: usize, alerts: &[Alert]) -> Incident {
    let of = &alerts[n * 5..n * 5 + 5];
    let first = &of[0];
    serde_json::from_value(json!({
        "v": 1, "id": incident_id(n), "title": first.summary, "severity": first.severity, "worst": first.severity,
        "status": first.status, "kinds": [first.kind], "callers": ["203.0.113.9"], "clients": ["203.0.113.9"],
        "endpoints": [first.endpoint], "hosts": [first.host], "first_seen": first.ts, "last_seen": first.last_seen,
        "peak": 12.5, "occurrences": 15, "count": 5, "alerts": of.iter().map(|a| &a.id).collect::<Vec<_>>(),
        "loud": 5, "timeline": [], "lead": first.id, "kind": first.kind, "owasp": first.owasp, "revision": n,
        "told": { "severity": first.severity, "alerts": 5, "occurrences": 15 },
    }))
    .unwrap()
}

fn principal(n: usize) -> PrincipalRow {
    let m = mix(n + 5_000_000);
    PrincipalRow {
        // Those that alerts name, and as many others.
        id: match n % 2 {
            0 => format!("bearer:{:08x}", mix(n) as u32),
            _ => format!("203.0.{}.{}", n >> 8 & 255, n & 255),
        },
        kind: [PrincipalKind::Identity, PrincipalKind::Address][n % 2],
        first_seen: Timestamp::from_secs(NOW - (m & 0xf_ffff) as i64),
        last_seen: Timestamp::from_secs(NOW - n as i64),
        requests: m >> 20 & 0xf_ffff,
        errors: m >> 40 & 0xfff,
        endpoints: m >> 52 & 0xff,
        program: ["orders", "okhttp", "curl", ""][(m >> 8) as usize % 4].into(),
        country: Some(["DE", "FR", "US", "JP"][(m >> 12) as usize % 4].into()),
        automation: m & 31 == 0,
        calls: Box::default(),
    }
}

/// What the pages read; and by name what their URLs may speak of.
pub(crate) fn views(endpoints: usize, alerts: usize) -> (Arc<Views>, Vec<(&'static str, String)>) {
    let views = Views::default();
    let mut catalog = catalog(endpoints);
    let all: Vec<Alert> = (0..alerts).map(|n| alert(n, endpoints)).collect();
    let incidents = (0..alerts / 5).map(|n| incident(n, &all));
    let middle = &catalog.endpoints[endpoints / 2];
    let mut names = vec![
        ("{endpoint}", middle.key.clone()),
        ("{host}", middle.host.clone()),
        ("{alert}", all[alerts / 2].id.clone()),
        ("{incident}", incident_id(alerts / 10)),
        ("{principal}", principal(alerts / 2).id),
    ];
    views.principals.store(Arc::new(PrincipalsView {
        items: (0..alerts).map(|n| Arc::new(principal(n))).collect(),
        total: 10 * alerts,
        at: Timestamp::from_secs(NOW),
        ..PrincipalsView::default()
    }));
    names.extend(specs::add(&mut catalog));
    views.alerts.store(Arc::new(AlertsView {
        incidents: incidents.map(Arc::new).collect(),
        alerts: all.into_iter().map(Arc::new).collect(),
        ..AlertsView::default()
    }));
    views.catalog.store(Arc::new(catalog));
    views.ready.store(true, Ordering::Relaxed);
    (Arc::new(views), names)
}

/// Another view, in which one endpoint in a hundred is another.
pub(crate) fn publish(views: &Views, n: usize) {
    let mut view = views.catalog.load().as_ref().clone();
    for e in view.endpoints.iter_mut().skip(n % 100).step_by(100) {
        let mut changed = e.as_ref().clone();
        changed.requests += 1;
        *e = Arc::new(changed);
    }
    views.catalog.store(Arc::new(view));
}
