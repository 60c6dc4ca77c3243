use super::super::{Manager, Notice, Settings};
use super::*;
use crate::detect::{Place, Verdict, VerdictKind};

/// A verdict at this second, by `identity@client` or nobody.
pub(in crate::alert) fn verdict(at: i64, kind: VerdictKind, who: &str) -> Verdict {
    let part = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    let (identity, client) = who.split_once('@').unwrap_or(("", who));
    let principal = Principal {
        identity: part(identity),
        client: part(client),
    };
    Verdict {
        at: Timestamp::from_secs(at),
        kind,
        severity: Severity::Medium,
        score: 50.0,
        detector: format!("{kind:?}").to_lowercase(),
        principal: Some(principal).filter(|_| !who.is_empty()),
        endpoint: None,
        host: None,
        since: Timestamp::from_secs(at - 60),
        until: Timestamp::from_secs(at),
        expected: 1.0,
        observed: 9.0,
        log10_p: -9.0,
        summary: format!("{kind:?} by {who}"),
        why: Vec::new(),
        samples: Vec::new(),
        series: Vec::new(),
        parts: Vec::new(),
        place: Place::default(),
        owasp: "API4:2023".into(),
    }
}

pub(in crate::alert) const ORDERS: &str = "GET api.example /v1/orders/{id}";
const USERS: &str = "GET api.example /v1/users/{id}";

/// Incidents by the order of their making, as one letter each for what was raised.
fn joined(raised: &[(i64, VerdictKind, &str, Option<&str>)]) -> String {
    let mut m = Manager::new(Settings::default());
    let mut names: Vec<String> = Vec::new();
    let mut out = String::new();
    for (at, kind, who, endpoint) in raised {
        let verdict = verdict(*at, *kind, who);
        let alert = m.raise(&verdict, endpoint.map(str::to_owned)).unwrap();
        let id = alert.incident.unwrap();
        let at = names.iter().position(|n| *n == id).unwrap_or_else(|| {
            names.push(id);
            names.len() - 1
        });
        out.push(char::from(b'A' + at as u8));
    }
    out
}

use VerdictKind::{Credential, Enumeration, Exfiltration, Scan, Volume};

#[test]
fn what_joins_and_what_does_not() {
    let cases: [(&str, &[_], &str); 11] = [
        (
            "one identity, whatever it does",
            &[
                (100, Scan, "t1@10.0.0.1", None),
                (5_000, Enumeration, "t1@10.0.0.9", Some(ORDERS)),
                (9_000, Exfiltration, "t1@10.0.0.9", Some(USERS)),
            ],
            "AAA",
        ),
        (
            "one address, with and without a token",
            &[
                (100, Scan, "10.0.0.1", None),
                (5_000, Enumeration, "t1@10.0.0.1", Some(ORDERS)),
                (9_000, Credential, "t2@10.0.0.1", Some(USERS)),
            ],
            "AAA",
        ),
        (
            "an address that the identity was seen with",
            &[
                (100, Enumeration, "t1@10.0.0.1", Some(ORDERS)),
                (200, Exfiltration, "t1@10.0.0.2", Some(ORDERS)),
                (9_000, Scan, "10.0.0.2", None),
            ],
            "AAA",
        ),
        (
            "nobody, at its endpoint, in its time",
            &[
                (100, Enumeration, "t1@10.0.0.1", Some(ORDERS)),
                (400, Volume, "", Some(ORDERS)),
            ],
            "AA",
        ),
        (
            "nobody, at its endpoint, much later",
            &[
                (100, Enumeration, "t1@10.0.0.1", Some(ORDERS)),
                (1_000, Volume, "", Some(ORDERS)),
            ],
            "AB",
        ),
        (
            "nobody, elsewhere",
            &[
                (100, Enumeration, "t1@10.0.0.1", Some(ORDERS)),
                (400, Credential, "", Some(USERS)),
            ],
            "AB",
        ),
        (
            "a crowd that does the same",
            &[
                (100, Volume, "10.0.0.1", None),
                (101, Volume, "10.0.0.2", None),
                (690, Volume, "10.0.0.3", None),
                (700, Volume, "", Some(ORDERS)),
            ],
            "AAAA",
        ),
        (
            "the same, but one by one",
            &[
                (100, Volume, "10.0.0.1", None),
                (701, Volume, "10.0.0.2", None),
            ],
            "AB",
        ),
        (
            "the same kind at two endpoints",
            &[
                (100, Enumeration, "10.0.0.1", Some(ORDERS)),
                (101, Enumeration, "10.0.0.2", Some(USERS)),
            ],
            "AB",
        ),
        (
            "two strangers who do different things",
            &[
                (100, Scan, "10.0.0.1", None),
                (101, Enumeration, "10.0.0.2", Some(ORDERS)),
            ],
            "AB",
        ),
        (
            "after six quiet hours it is another",
            &[
                (100, Scan, "t1@10.0.0.1", None),
                (21_700, Enumeration, "t1@10.0.0.1", Some(ORDERS)),
                (43_301, Exfiltration, "t1@10.0.0.1", Some(ORDERS)),
            ],
            "AAB",
        ),
    ];
    for (what, raised, expected) in cases {
        assert_eq!(joined(raised), expected, "{what}");
    }
}

#[test]
fn the_stronger_rule_wins_and_then_the_later_incident() {
    let raised = [
        (100, Scan, "t1@10.0.0.1", None),
        (200, Enumeration, "t2@10.0.0.2", Some(ORDERS)),
        // An identity of the first from the address of the second.
        (300, Exfiltration, "t1@10.0.0.2", Some(USERS)),
        // The address is of both now; the first rang last.
        (400, Credential, "10.0.0.2", Some(USERS)),
    ];
    assert_eq!(joined(&raised), "ABAA");
}

fn tell(m: &mut Manager, v: &Verdict, endpoint: Option<&str>) -> Option<Notice> {
    m.raise(v, endpoint.map(str::to_owned));
    let mut all = m.notices();
    assert!(all.len() <= 1);
    all.pop()
}

#[test]
fn a_flood_is_one_incident_told_when_it_doubles() {
    let mut m = Manager::new(Settings::default());
    let mut told = Vec::new();
    for n in 1..=42 {
        let v = verdict(100 + n, Volume, &format!("10.0.0.{n}"));
        told.extend(tell(&mut m, &v, None).map(|n| (n.incident.count, n.message.revision)));
    }
    // At ten callers it becomes graver.
    let expected = [(1, 1), (2, 2), (4, 3), (8, 4), (10, 5), (20, 6), (40, 7)];
    assert_eq!(told, expected);
    let view = m.view();
    let [incident] = view.incidents.as_slice() else {
        panic!("{:?}", view.incidents);
    };
    assert_eq!(incident.title, "volume by 42 addresses");
    assert_eq!(
        (incident.count, incident.occurrences, incident.callers()),
        (42, 42, 42)
    );
    assert_eq!(incident.severity, Severity::High);
    assert!(
        view.alerts
            .iter()
            .all(|a| a.incident.as_ref() == Some(&incident.id))
    );
}

#[test]
fn one_attacker_is_one_story_that_becomes_graver() {
    let mut m = Manager::new(Settings::default());
    let first = tell(&mut m, &verdict(100, Scan, "t1@10.0.0.1"), None).unwrap();
    // Alone, an alert speaks for itself.
    assert_eq!(first.message.summary, "Scan by t1@10.0.0.1");
    assert_eq!((first.message.observed, first.message.revision), (9.0, 1));
    assert_eq!(first.message.id, first.incident.id);
    let second = verdict(200, Enumeration, "t1@10.0.0.1");
    let second = tell(&mut m, &second, Some(ORDERS)).unwrap();
    assert_eq!(second.incident.severity, Severity::Medium);
    let third = verdict(300, Exfiltration, "t1@10.0.0.1");
    let third = tell(&mut m, &third, Some(ORDERS)).unwrap();
    let i = &third.incident;
    assert_eq!(i.severity, Severity::High);
    assert_eq!(
        i.escalated.as_deref(),
        Some("scan, enumeration and exfiltration together")
    );
    assert_eq!(
        i.title,
        format!("scan, enumeration and exfiltration by t1 at {ORDERS}")
    );
    let line: Vec<&str> = i.timeline.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(line, ["scan", "enumeration", "exfiltration", "incident"]);
    let message = &third.message;
    assert_eq!(
        message.principal.as_ref().unwrap().identity.as_deref(),
        Some("t1")
    );
    assert_eq!((message.revision, message.why.len()), (3, 4));
    assert_eq!(message.endpoint.as_deref(), Some(ORDERS));
}

#[test]
fn the_same_again_is_told_at_doublings_only() {
    let mut m = Manager::new(Settings::default());
    let mut told = Vec::new();
    for n in 1..=20 {
        let v = verdict(100 + n, Scan, "10.0.0.1");
        told.extend(tell(&mut m, &v, None).map(|n| n.incident.occurrences));
    }
    assert_eq!(told, [1, 2, 4, 8, 16]);
}

#[test]
fn a_kind_that_comes_with_no_doubling_is_for_newcomers() {
    use super::super::Audience;
    let mut m = Manager::new(Settings::default());
    for n in 1..=4 {
        tell(
            &mut m,
            &verdict(100 + n, Volume, &format!("10.0.0.{n}")),
            None,
        );
    }
    let v = verdict(200, Scan, "10.0.0.1");
    let notice = tell(&mut m, &v, None).unwrap();
    assert_eq!(notice.audience, Audience::Newcomers);
    let v = verdict(300, Scan, "10.0.0.2");
    assert_eq!(tell(&mut m, &v, None), None);
}

#[test]
fn a_great_flood_costs_the_bounds() {
    let mut m = Manager::new(Settings::default());
    for n in 0..3_000_u32 {
        let who = std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string();
        m.raise(&verdict(1_000 + i64::from(n), Volume, &who), None);
    }
    let view = m.view();
    assert_eq!(view.incidents.len(), 1);
    let i = &view.incidents[0];
    assert_eq!((i.count, i.callers()), (3_000, 3_000));
    assert_eq!((i.callers.len(), i.clients.len()), (NAMED, NAMED));
    assert_eq!((i.alerts.len(), i.timeline.len()), (MEMBERS, LINES));
    assert_eq!(i.omitted, 3_001 - LINES as u64);
    assert_eq!(i.title, "volume by 3000 addresses");
    let notices = m.notices();
    assert_eq!(notices.len(), 1, "what was not fetched is told once");
    assert!(serde_json::to_vec(&notices[0].incident).unwrap().len() < 64 << 10);
}

#[test]
fn incidents_have_a_budget() {
    let mut m = Manager::new(Settings {
        max_incidents: 3,
        ..Settings::default()
    });
    for n in 0..100 {
        m.raise(&verdict(n * 1_000, Scan, &format!("10.0.0.{n}")), None);
    }
    assert_eq!(m.view().incidents.len(), 3);
    // One that is still going on comes back.
    let again = m.raise(&verdict(100_001, Scan, "10.0.0.95"), None);
    assert_eq!(again.unwrap().occurrences, 2);
    let newest = &m.view().incidents[0];
    assert_eq!(newest.title, "Scan by 10.0.0.95");
    assert_eq!(newest.told.alerts, 1);
}

#[test]
fn findings_are_joined_by_kind_and_host_and_not_with_attacks() {
    use crate::catalog::{Finding, FindingKind};
    let mut m = Manager::new(Settings::default());
    m.raise(&verdict(100, Scan, "10.0.0.1"), Some(ORDERS.into()));
    let find = |m: &mut Manager, kind, subject: &str, at| {
        let at = Timestamp::from_secs(at);
        let finding = Finding {
            kind,
            endpoint: None,
            subject: subject.into(),
            at,
            since: at,
            why: "w".into(),
        };
        m.raise_finding(&finding).unwrap().incident.unwrap()
    };
    let first = find(&mut m, FindingKind::Shadow, ORDERS, 110);
    let second = find(&mut m, FindingKind::Shadow, USERS, 5_000);
    let other = find(&mut m, FindingKind::Shadow, "GET other.example /", 5_000);
    let zombie = find(&mut m, FindingKind::Zombie, USERS, 5_000);
    assert_eq!(first, second);
    assert!(first != other && first != zombie);
    let view = m.view();
    let i = view.incidents.iter().find(|i| i.id == first).unwrap();
    assert_eq!(
        i.title,
        "2 findings of shadow at 2 endpoints of api.example"
    );
    assert_eq!((i.severity, view.incidents.len()), (Severity::Medium, 4));
}

#[test]
fn the_sensor_speaks_for_itself() {
    let mut m = Manager::new(Settings::default());
    let at = Timestamp::from_secs(1);
    let alert = m.raise_sensor(
        "the mirror is silent".into(),
        Vec::new(),
        Severity::High,
        at,
    );
    assert!(alert.unwrap().is_told_alone());
    assert!(m.notices().is_empty() && m.view().incidents.is_empty());
}

/// The same alerts in the same order are the same incidents, to the last byte.
#[test]
fn deterministic() {
    let run = || {
        let mut m = Manager::new(Settings::default());
        for n in 0..500_i64 {
            let kind = [Scan, Volume, Enumeration, Exfiltration][(n * 7 % 4) as usize];
            let who = format!("t{}@10.0.{}.1", n * 13 % 29, n * 5 % 17);
            let endpoint = [None, Some(ORDERS), Some(USERS)][(n % 3) as usize];
            m.raise(&verdict(n * 97, kind, &who), endpoint.map(str::to_owned));
        }
        let all: Vec<Incident> = m
            .view()
            .incidents
            .iter()
            .map(|i| i.as_ref().clone())
            .collect();
        serde_json::to_string(&all).unwrap()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_restart_loses_no_joining_and_tells_nothing_twice() {
    let mut m = Manager::new(Settings::default());
    let mut alerts = Vec::new();
    for n in 1..=3 {
        alerts.extend(m.raise(&verdict(100 + n, Volume, &format!("10.0.0.{n}")), None));
    }
    let kept: Vec<Incident> = m.notices().into_iter().map(|n| n.incident).collect();
    // The third was recorded, and the incident's line was not written any more.
    let before = m.view().incidents[0].clone();
    let mut again = Manager::new(Settings::default());
    again.restore(alerts.clone(), kept);
    assert_eq!(again.notices(), []);
    assert_eq!(again.view().incidents[0].count, 3);
    let fourth = verdict(104, Volume, "10.0.0.4");
    let notice = tell(&mut again, &fourth, None).unwrap();
    assert_eq!(
        (&notice.incident.id, notice.incident.count),
        (&before.id, 4)
    );
    // An alert on disk whose incident was never told is told.
    let mut lost = Manager::new(Settings::default());
    lost.restore(alerts, Vec::new());
    let notices = lost.notices();
    assert_eq!((notices.len(), &notices[0].incident.id), (1, &before.id));
    assert_eq!(notices[0].incident.count, 3);
}

#[test]
fn an_incident_names_what_raised_its_alerts_and_finds_it_again() {
    let mut m = Manager::new(Settings::default());
    let alerts: Vec<Alert> = [Scan, Enumeration, Scan]
        .into_iter()
        .zip(1..)
        .filter_map(|(kind, n)| m.raise(&verdict(100 + n, kind, "10.0.0.1"), None))
        .collect();
    let kept: Vec<Incident> = m.notices().into_iter().map(|n| n.incident).collect();
    assert_eq!(kept.len(), 1);
    let names = |m: &mut Manager| Vec::from_iter(m.view().incidents[0].detectors.clone());
    assert_eq!(names(&mut m), ["enumeration", "scan"]);
    // What was kept before incidents named them has none.
    let mut old = kept[0].clone();
    old.detectors.clear();
    let mut again = Manager::new(Settings::default());
    again.restore(alerts, vec![old]);
    assert_eq!(names(&mut again), ["enumeration", "scan"]);
}

#[test]
fn the_names_of_an_incident_are_bounded() {
    let mut incident = None;
    for n in 0..2 * NAMED {
        let mut m = Manager::new(Settings::default());
        let mut v = verdict(100, Scan, "10.0.0.1");
        v.detector = format!("detector-{n}");
        let alert = m.raise(&v, None).unwrap();
        let incident = incident.get_or_insert_with(|| Incident::new("i".into(), &alert));
        incident.join(&alert);
    }
    assert_eq!(incident.unwrap().detectors.len(), NAMED);
}

#[test]
fn alerts_from_before_there_were_incidents_are_joined_and_not_told() {
    let mut m = Manager::new(Settings::default());
    let mut old = m.raise(&verdict(100, Scan, "10.0.0.1"), None).unwrap();
    old.incident = None;
    let mut again = Manager::new(Settings::default());
    again.restore(vec![old], Vec::new());
    assert_eq!(again.notices(), []);
    assert_eq!(again.view().incidents.len(), 1);
}
