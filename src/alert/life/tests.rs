use super::super::Settings;
use super::super::incident::tests::{ORDERS, verdict};
use super::*;
use crate::catalog::{Finding, FindingKind};
use crate::detect::VerdictKind::{Exfiltration, Scan};

const HOUR: i64 = 3_600;

fn wanted(status: Status, at: i64) -> Wanted {
    let muted = status == Status::Muted;
    Wanted {
        status,
        until: muted.then(|| Timestamp::from_secs(at + HOUR)),
        by: "ann".into(),
        note: None,
        at: Timestamp::from_secs(at),
    }
}

fn scan(m: &mut Manager, at: i64) -> Option<Alert> {
    m.raise(&verdict(at, Scan, "10.0.0.1"), None)
}

/// One incident of two alerts, told.
fn two() -> (Manager, String, [Alert; 2]) {
    let mut m = Manager::new(Settings::default());
    let first = scan(&mut m, 100).unwrap();
    let second = verdict(200, Exfiltration, "t1@10.0.0.1");
    let second = m.raise(&second, Some(ORDERS.into())).unwrap();
    let notices = m.notices();
    (m, notices[0].incident.id.clone(), [first, second])
}

#[test]
fn acting_on_an_incident_acts_on_its_alerts() {
    let (mut m, id, alerts) = two();
    let mut out = Vec::new();
    let mut wanted = wanted(Status::Acknowledged, 300);
    wanted.note = Some("on it".into());
    let incident = m.set_incident(&id, &wanted, &mut out).unwrap();
    assert_eq!(incident.status, Status::Acknowledged);
    let changed: Vec<_> = out.iter().map(|a| (&a.id, a.status)).collect();
    let expected = alerts.each_ref().map(|a| (&a.id, Status::Acknowledged));
    assert_eq!(changed, expected);
    let step = Transition {
        at: Timestamp::from_secs(300),
        by: "ann".into(),
        from: Status::Open,
        to: Status::Acknowledged,
        until: None,
        note: Some("on it".into()),
    };
    assert_eq!(incident.history, std::slice::from_ref(&step));
    assert_eq!(out[0].history, [step]);
    let notices = m.notices();
    assert_eq!(notices[0].message.status, Status::Acknowledged);
    assert_eq!(notices[0].audience, Audience::Everybody);
    wanted.note = None;
    let again = m.set_incident(&id, &wanted, &mut out).unwrap_err();
    assert_eq!(again, "it is acknowledged already");
    assert!(m.set_incident("none", &wanted, &mut out).is_err());
}

#[test]
fn an_incident_follows_its_alerts_when_they_are_alike() {
    let (mut m, id, [first, second]) = two();
    let status = |m: &mut Manager| m.view().incidents[0].status;
    m.set_status(&first.id, &wanted(Status::Resolved, 300))
        .unwrap();
    assert_eq!((status(&mut m), m.notices().len()), (Status::Open, 0));
    m.set_status(&second.id, &wanted(Status::Resolved, 301))
        .unwrap();
    assert_eq!(status(&mut m), Status::Resolved);
    assert_eq!(m.notices()[0].message.status, Status::Resolved);
    // What rings now is another alert, of another incident.
    let next = scan(&mut m, 400).unwrap();
    assert!(next.id != first.id && next.incident.as_ref() != Some(&id));
    // The first cannot be opened beside it; the second can, and its incident with it.
    let error = m
        .set_status(&first.id, &wanted(Status::Open, 500))
        .unwrap_err();
    assert!(error.contains(&next.id), "{error}");
    m.set_status(&second.id, &wanted(Status::Open, 500))
        .unwrap();
    let view = m.view();
    let reopened = view.incidents.iter().find(|i| i.id == id).unwrap();
    assert_eq!(reopened.status, Status::Open);
}

#[test]
fn muted_comes_back_when_the_time_is_over_and_it_goes_on() {
    let (mut m, id, _) = two();
    let mut out = Vec::new();
    m.set_incident(&id, &wanted(Status::Muted, 300), &mut out)
        .unwrap();
    m.notices();
    for at in 400..450 {
        scan(&mut m, at);
    }
    // What joins it is muted with it.
    let third = m.raise(&verdict(500, Scan, "t1@10.0.0.7"), None).unwrap();
    assert_eq!(
        (third.status, third.incident.as_ref()),
        (Status::Muted, Some(&id))
    );
    assert_eq!(m.notices(), []);
    let c = m.counts();
    assert_eq!((c.muted, c.opened), (51, 2));
    out.clear();
    m.tick(Timestamp::from_secs(300 + HOUR - 1), &mut out);
    assert_eq!((out.len(), m.notices().len()), (0, 0));
    m.tick(Timestamp::from_secs(300 + HOUR), &mut out);
    let back: Vec<_> = out.iter().map(|a| a.status).collect();
    assert_eq!(back, [Status::Open; 3]);
    let notices = m.notices();
    let incident = &notices[0].incident;
    assert_eq!((notices.len(), incident.status), (1, Status::Open));
    assert_eq!(incident.changed_by.as_deref(), Some("apitap"));
    assert_eq!(incident.history.len(), 2);
}

#[test]
fn muted_that_is_silent_waits_until_it_rings() {
    let (mut m, id, [first, _]) = two();
    let mut out = Vec::new();
    m.set_incident(&id, &wanted(Status::Muted, 300), &mut out)
        .unwrap();
    m.notices();
    out.clear();
    m.tick(Timestamp::from_secs(300 + 2 * HOUR), &mut out);
    assert_eq!((out.len(), m.notices().len()), (0, 0));
    let rang = scan(&mut m, 300 + 3 * HOUR).unwrap();
    assert_eq!((rang.id, rang.status), (first.id, Status::Open));
    assert_eq!(m.came_back().len(), 2);
    assert_eq!(m.notices()[0].incident.status, Status::Open);
}

#[test]
fn a_muted_alert_of_the_sensor_comes_back_and_is_sent() {
    let mut m = Manager::new(Settings::default());
    let ring = |m: &mut Manager, at| {
        let at = Timestamp::from_secs(at);
        m.raise_sensor(
            "silent".into(),
            Vec::new(),
            crate::detect::Severity::High,
            at,
        )
    };
    let first = ring(&mut m, 100).unwrap();
    m.set_status(&first.id, &wanted(Status::Muted, 200))
        .unwrap();
    assert_eq!(ring(&mut m, 300), None);
    let mut out = Vec::new();
    m.tick(Timestamp::from_secs(200 + HOUR), &mut out);
    assert_eq!((out.len(), out[0].status), (1, Status::Open));
}

#[test]
fn a_false_alarm_is_counted_and_not_told_until_it_expires() {
    let (mut m, id, [first, _]) = two();
    let mut out = Vec::new();
    m.set_incident(&id, &wanted(Status::FalseAlarm, 300), &mut out)
        .unwrap();
    m.notices();
    for at in 400..420 {
        scan(&mut m, at);
    }
    assert_eq!((m.notices().len(), m.counts().dismissed), (0, 20));
    let view = m.view();
    let alert = view.alerts.iter().find(|a| a.id == first.id).unwrap();
    assert_eq!((alert.occurrences, alert.status), (21, Status::FalseAlarm));
    let month = 300 + 30 * 24 * HOUR;
    assert_eq!(alert.status_until, Some(Timestamp::from_secs(month)));
    scan(&mut m, month - 1);
    assert_eq!(m.notices().len(), 0);
    let next = scan(&mut m, month).unwrap();
    assert_ne!(next.id, first.id);
    assert_eq!(m.notices().len(), 1);
}

#[test]
fn what_cannot_be_is_refused() {
    let (mut m, _, [first, _]) = two();
    let mut muted = wanted(Status::Muted, 300);
    muted.until = None;
    assert!(m.set_status(&first.id, &muted).is_err());
    muted.until = Some(Timestamp::from_secs(299));
    assert!(m.set_status(&first.id, &muted).is_err());
    let mut open = wanted(Status::Acknowledged, 300);
    open.until = Some(Timestamp::from_secs(400));
    assert!(m.set_status(&first.id, &open).is_err());
    let longest = Timestamp::from_secs(300) + LONGEST_MUTE;
    for late in [Timestamp::MAX, longest + Duration::from_nanos(1)] {
        muted.until = Some(late);
        assert!(m.set_status(&first.id, &muted).is_err());
    }
    muted.until = Some(longest);
    let muted = m.set_status(&first.id, &muted).unwrap();
    assert_eq!(muted.status_until, Some(longest));
}

#[test]
fn an_accepted_endpoint_is_no_open_shadow() {
    let mut m = Manager::new(Settings::default());
    let at = Timestamp::from_secs(1);
    let mut find = |kind| {
        let finding = Finding {
            kind,
            endpoint: None,
            subject: ORDERS.into(),
            at,
            since: at,
            why: "w".into(),
        };
        m.raise_finding(&finding).unwrap().id
    };
    let (shadow, zombie) = (find(FindingKind::Shadow), find(FindingKind::Zombie));
    let mut out = Vec::new();
    m.accepted("GET api.example /other", ("ann", at), &mut out);
    assert!(out.is_empty());
    m.accepted(ORDERS, ("ann", at), &mut out);
    assert_eq!(
        (out.len(), &out[0].id, out[0].status),
        (1, &shadow, Status::Resolved)
    );
    assert_eq!(out[0].changed_by.as_deref(), Some("ann"));
    let view = m.view();
    let zombie = view.alerts.iter().find(|a| a.id == zombie).unwrap();
    assert_eq!(zombie.status, Status::Open);
}

#[test]
fn the_history_is_bounded() {
    let (mut m, _, [first, _]) = two();
    let mut last = None;
    for at in 0..100 {
        let to = [Status::Acknowledged, Status::Open][at as usize % 2];
        last = Some(m.set_status(&first.id, &wanted(to, 300 + at)).unwrap());
    }
    let last = last.unwrap();
    assert_eq!(last.history.len(), 50);
    assert_eq!(last.history[49].at, Timestamp::from_secs(399));
}

#[test]
fn what_was_found_of_an_endpoint_ends_with_it_and_what_happened_there_stays() {
    let (mut m, _, [_, attack]) = two();
    let finding = |subject: &str| Finding {
        kind: FindingKind::Shadow,
        endpoint: None,
        subject: subject.into(),
        at: Timestamp::from_secs(300),
        since: Timestamp::from_secs(300),
        why: String::new(),
    };
    let found = m.raise_finding(&finding(ORDERS)).unwrap();
    let other = m.raise_finding(&finding("GET b.example /x")).unwrap();
    let labels: Vec<String> = m.found_of().into_iter().collect();
    assert_eq!(labels.len(), 2, "{labels:?}");
    let mut out = Vec::new();
    m.gone(ORDERS, ("ann", Timestamp::from_secs(400)), &mut out);
    let resolved: Vec<_> = out.iter().map(|a| (&a.id, a.status)).collect();
    assert_eq!(resolved, [(&found.id, Status::Resolved)]);
    let note = out[0].history.last().and_then(|h| h.note.as_deref());
    assert!(
        note.is_some_and(|n| n.contains("there no longer")),
        "{note:?}"
    );
    let status = |id: &str| m.alerts[id].status;
    assert_eq!(
        (status(&attack.id), status(&other.id)),
        (Status::Open, Status::Open)
    );
}
