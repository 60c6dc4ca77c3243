use super::super::{Status, Wanted};
use super::*;
use crate::catalog::{Exposed, Finding, FindingKind, Severity};

fn finding(subject: &str, at: i64) -> Finding {
    let at = Timestamp::from_secs(at);
    Finding {
        kind: FindingKind::Shadow,
        endpoint: None,
        subject: subject.into(),
        at,
        since: at,
        why: "w".into(),
    }
}

#[test]
fn the_same_again_is_counted_and_told_seldom() {
    let mut m = Manager::new(Settings::default());
    let first = m.raise_finding(&finding("GET h /a", 1)).unwrap();
    let told: Vec<u64> = (2..=20)
        .filter_map(|t| m.raise_finding(&finding("GET h /a", t)))
        .map(|a| a.occurrences)
        .collect();
    assert_eq!(told, [2, 4, 8, 16]);
    let view = m.view();
    assert_eq!(
        (
            view.alerts.len(),
            view.alerts[0].occurrences,
            &view.alerts[0].id
        ),
        (1, 20, &first.id)
    );
    let c = m.counts();
    assert_eq!(c.raised, c.opened + c.revised + c.duplicate);
}

#[test]
fn after_it_is_resolved_it_is_another() {
    let mut m = Manager::new(Settings::default());
    let first = m.raise_finding(&finding("GET h /a", 1)).unwrap();
    let wanted = |status, note: Option<&str>| Wanted {
        status,
        until: None,
        by: "ann".into(),
        note: note.map(str::to_owned),
        at: Timestamp::from_secs(2),
    };
    let resolved = wanted(Status::Resolved, Some("known"));
    let done = m.set_status(&first.id, &resolved).unwrap();
    assert_eq!(
        (
            done.revision,
            done.changed_by.as_deref(),
            done.note.as_deref()
        ),
        (2, Some("ann"), Some("known"))
    );
    let resolved = wanted(Status::Resolved, None);
    assert!(m.set_status(&first.id, &resolved).is_err());
    let open = wanted(Status::Open, None);
    assert!(m.set_status("nothing", &open).is_err());
    assert_ne!(
        m.raise_finding(&finding("GET h /a", 3)).unwrap().id,
        first.id
    );
}

#[test]
fn a_restart_goes_on_counting() {
    let mut m = Manager::new(Settings::default());
    let first = m.raise_finding(&finding("GET h /a", 1)).unwrap();
    let mut again = Manager::new(Settings::default());
    again.restore(vec![first.clone()], Vec::new());
    assert_eq!(
        again.raise_finding(&finding("GET h /a", 2)).unwrap().id,
        first.id
    );
}

/// One alert a host, which names the endpoint that is worst; and its incident all of them.
#[test]
fn what_lies_open_names_its_endpoint() {
    let mut m = Manager::new(Settings::default());
    let exposed = |endpoint: &str, at| Exposed {
        detector: "catalog-tokens",
        owasp: "API2:2023",
        severity: Severity::High,
        subject: "h".into(),
        endpoint: Some(endpoint.into()),
        at: Timestamp::from_secs(at),
        since: Timestamp::from_secs(1),
        summary: format!("{endpoint} takes a token that nobody signed"),
        why: Vec::new(),
    };
    let first = m.raise_exposed(&exposed("GET h /a", 1)).unwrap();
    assert_eq!(first.endpoint.as_deref(), Some("GET h /a"));
    assert_eq!(first.host.as_deref(), Some("h"));
    m.raise_exposed(&exposed("GET h /b", 2));
    let view = m.view();
    let alert = &view.alerts[0];
    assert_eq!((view.alerts.len(), &alert.id), (1, &first.id));
    assert_eq!(alert.endpoint.as_deref(), Some("GET h /b"));
    assert!(alert.summary.starts_with("GET h /b"));
    let places: Vec<&String> = view.incidents[0].endpoints.iter().collect();
    assert_eq!(places, ["GET h /a", "GET h /b"]);
}

proptest::proptest! {
    #[test]
    fn counts_add_up_and_the_budgets_hold(ops in proptest::collection::vec((0_u8..6, 0_u8..30), 0..200)) {
        let settings = Settings {
            max_alerts: 10,
            max_incidents: 5,
            ..Settings::default()
        };
        let mut m = Manager::new(settings);
        for (i, (op, which)) in ops.into_iter().enumerate() {
            let at = i as i64;
            if op < 3 {
                m.raise_finding(&finding(&format!("GET h{} /{which}", which % 7), at));
            } else if let Some(a) = m.view().alerts.get(usize::from(which)) {
                let status = [Status::Resolved, Status::FalseAlarm, Status::Muted][usize::from(op) - 3];
                let until = (op == 5).then(|| Timestamp::from_secs(at + 20));
                let at = Timestamp::from_secs(at);
                let _ = m.set_status(&a.id, &Wanted { status, until, by: "p".into(), note: None, at });
            }
            m.tick(Timestamp::from_secs(i as i64), &mut Vec::new());
            let view = m.view();
            proptest::prop_assert!(view.alerts.len() <= 10 && view.incidents.len() <= 5);
            proptest::prop_assert!(m.notices().len() <= 5);
        }
        let c = m.counts();
        let ignored: u64 = c.ignored().iter().map(|(_, n)| n).sum();
        proptest::prop_assert_eq!(c.raised, c.opened + c.revised + ignored);
    }
}
