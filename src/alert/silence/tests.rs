use super::super::Settings;
use super::super::incident::tests::{ORDERS, verdict};
use super::*;
use crate::detect::VerdictKind::{Exfiltration, Scan};

fn wanted(scope: Scope) -> Silence {
    Silence {
        id: String::new(),
        scope,
        at: Timestamp::from_secs(0),
        until: Timestamp::from_secs(10_000),
        by: "ann".into(),
        reason: "a pentest".into(),
        silenced: 0,
        ended: None,
    }
}

fn scope(change: impl FnOnce(&mut Scope)) -> Scope {
    let mut scope = Scope::default();
    change(&mut scope);
    scope
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Whether the rule keeps the exfiltration of t1 from 10.0.0.1 at ORDERS silent.
fn keeps(scope: Scope) -> bool {
    let mut m = Manager::new(Settings::default());
    m.silence(wanted(scope)).unwrap();
    let v = verdict(100, Exfiltration, "t1@10.0.0.1");
    let alert = m.raise(&v, text(ORDERS)).unwrap();
    assert_eq!(m.notices().is_empty(), alert.silenced.is_some());
    alert.silenced.is_some()
}

#[test]
fn all_that_a_rule_says_has_to_hold() {
    assert!(keeps(scope(|s| s.principal = text("t1"))));
    assert!(keeps(scope(|s| s.principal = text("T*"))));
    assert!(keeps(scope(|s| s.principal = text("10.0.0.1"))));
    assert!(keeps(scope(|s| s.principal = text("10.0.0.0/24"))));
    assert!(!keeps(scope(|s| s.principal = text("10.0.1.0/24"))));
    assert!(keeps(scope(
        |s| s.endpoint = text("GET api.example /v1/orders*")
    )));
    assert!(!keeps(scope(|s| s.endpoint = text("POST *"))));
    assert!(keeps(scope(|s| s.host = text("*.example"))));
    assert!(keeps(scope(|s| s.detector = text("exfil*"))));
    assert!(!keeps(scope(|s| s.kind = text("scan"))));
    assert!(!keeps(scope(|s| {
        s.kind = text("exfiltration");
        s.principal = text("t2");
    })));
    // The beginning of the epoch was a Thursday night.
    let hours = |hours: &str, day: &str| {
        scope(|s| {
            s.kind = text("*");
            (s.hours, s.days) = (text(hours), vec![day.into()]);
            s.timezone = text("UTC");
        })
    };
    assert!(keeps(hours("00:00-01:00", "thu")));
    assert!(!keeps(hours("00:00-01:00", "fri")));
    assert!(!keeps(hours("01:00-02:00", "thu")));
}

#[test]
fn what_is_no_rule_is_refused() {
    let mut m = Manager::new(Settings::default());
    let kind = || scope(|s| s.kind = text("scan"));
    assert!(m.silence(wanted(Scope::default())).is_err());
    let refused = |m: &mut Manager, change: fn(&mut Silence)| {
        let mut silence = wanted(kind());
        change(&mut silence);
        m.silence(silence).is_err()
    };
    assert!(refused(&mut m, |s| s.reason = " ".into()));
    assert!(refused(&mut m, |s| s.until = s.at));
    assert!(refused(&mut m, |s| s.until = Timestamp::from_secs(367 * 86_400)));
    assert!(refused(&mut m, |s| s.scope.hours = text("8-9")));
    assert!(refused(&mut m, |s| s.scope.days = vec!["someday".into()]));
    assert!(refused(&mut m, |s| s.scope.host = Some("x".repeat(501))));
    assert!(refused(&mut m, |s| s.scope.kind = text("**")));
    assert!(refused(&mut m, |s| {
        s.scope = scope(|s| (s.host, s.principal) = (text("*"), text("*")));
    }));
    for prefix in ["10.0.0.0/99", "10.0.0.0/", "2001:db8::/129", "10.0.0.0/a"] {
        let mut silence = wanted(kind());
        silence.scope.principal = text(prefix);
        let why = m.silence(silence).unwrap_err();
        assert!(why.contains(prefix), "{why}");
    }
    for _ in 0..RULES {
        m.silence(wanted(kind())).unwrap();
    }
    assert!(m.silence(wanted(kind())).is_err());
}

#[test]
fn silenced_is_kept_and_counted_and_told_when_the_rule_is_over() {
    let mut m = Manager::new(Settings::default());
    let rule = m.silence(wanted(scope(|s| s.kind = text("scan")))).unwrap();
    assert_eq!(rule.id, "s1");
    for at in 100..150 {
        m.raise(&verdict(at, Scan, "10.0.0.1"), None);
    }
    // One that no rule holds for is told, and with it the incident.
    let loud = verdict(200, Exfiltration, "10.0.0.1");
    m.raise(&loud, text(ORDERS));
    let notices = m.notices();
    assert_eq!((notices.len(), notices[0].incident.loud), (1, 1));
    assert_eq!(notices[0].incident.occurrences, 1);
    let c = m.counts();
    assert_eq!((c.raised, c.silenced, c.opened), (51, 50, 1));
    let view = m.view();
    assert_eq!(view.silences[0].silenced, 50);
    let scan = view.alerts.iter().find(|a| a.kind == "scan").unwrap();
    assert_eq!(
        (scan.occurrences, scan.silenced.as_deref()),
        (50, Some("s1"))
    );
    // Nothing ticks here: the rule's own time decides.
    m.raise(&verdict(10_000, Scan, "10.0.0.1"), None);
    let notices = m.notices();
    assert_eq!((notices.len(), notices[0].incident.loud), (1, 2));
}

#[test]
fn a_rule_that_is_over_drops_out_and_is_said() {
    let mut m = Manager::new(Settings {
        silences: vec![Silence {
            id: "config-1".into(),
            until: Timestamp::from_secs(20_000),
            ..wanted(scope(|s| s.host = text("test.example")))
        }],
        ..Settings::default()
    });
    m.silence(wanted(scope(|s| s.kind = text("scan")))).unwrap();
    let mut out = Vec::new();
    m.tick(Timestamp::from_secs(9_999), &mut out);
    assert!(m.ended_silences().is_empty());
    m.tick(Timestamp::from_secs(10_000), &mut out);
    let over = m.ended_silences();
    assert_eq!((over.len(), over[0].id.as_str()), (1, "s1"));
    assert_eq!(over[0].ended.as_ref().unwrap().by, "apitap");
    assert!(m.end_silence("s1", "ann", Timestamp::from_secs(1)).is_err());
    let error = m.end_silence("config-1", "ann", Timestamp::from_secs(1));
    assert!(error.unwrap_err().contains("config"));
    m.tick(Timestamp::from_secs(20_000), &mut out);
    assert_eq!(m.ended_silences()[0].id, "config-1");
    // A restart knows what held, and counts on.
    let mut again = Manager::new(Settings::default());
    let held = Silence {
        id: "s7".into(),
        ..wanted(scope(|s| s.kind = text("scan")))
    };
    again.restore_silences(vec![held, over[0].clone()]);
    assert_eq!(again.view().silences.len(), 2);
    let next = again
        .silence(wanted(scope(|s| s.kind = text("x"))))
        .unwrap();
    assert_eq!(next.id, "s8");
    let ended = again
        .end_silence("s7", "bob", Timestamp::from_secs(5))
        .unwrap();
    assert_eq!(ended.ended.unwrap().by, "bob");
}
