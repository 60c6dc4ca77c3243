//! Tags, owners and notes: what people say of endpoints stays with them.

use super::*;

fn said(b: &mut Bench, id: u64, action: Action, value: &str, templates: &[&str]) -> Decision {
    let view = b.catalog.view();
    let named = (view.endpoints.iter()).filter(|e| templates.contains(&e.template.as_str()));
    let keys: Vec<String> = named.map(|e| e.key.clone()).collect();
    let value = action.value(Some(value)).unwrap();
    let d = Decision {
        id,
        at: Timestamp::from_secs(1_770_000_000 + id as i64),
        seen: b.catalog.now(),
        by: "ann".into(),
        action,
        places: b.catalog.open_to(action, value.as_deref(), &keys).unwrap(),
        value,
        note: None,
        undoes: None,
    };
    b.catalog.decide(&d, &mut b.changes);
    d
}

impl Bench {
    fn words(&mut self, template: &str) -> (String, Option<String>, Option<String>) {
        let e = self.endpoint(template);
        (e.tags.join(" "), e.owner, e.note)
    }

    fn restarted(&self, decisions: &[Decision]) -> Self {
        let mut again = Self::new();
        again.now = self.now;
        again.catalog = Catalog::restore(Settings::default(), &self.catalog.save()).unwrap();
        again.catalog.replay(decisions);
        again
    }
}

fn words(
    tags: &str,
    owner: Option<&str>,
    note: Option<&str>,
) -> (String, Option<String>, Option<String>) {
    (
        tags.to_owned(),
        owner.map(str::to_owned),
        note.map(str::to_owned),
    )
}

#[test]
fn words_stay_over_a_restart_and_over_a_lost_inventory() {
    let mut b = Bench::new();
    let calls = |b: &mut Bench| {
        for path in ["/a", "/a", "/b", "/b"] {
            b.get(path);
        }
    };
    calls(&mut b);
    let all = [
        said(&mut b, 1, Action::Tag, "PCI", &["/a", "/b"]),
        said(&mut b, 2, Action::Tag, "beta", &["/a"]),
        said(&mut b, 3, Action::Own, "payments", &["/a", "/b"]),
        said(&mut b, 4, Action::Own, "search", &["/b"]),
        said(&mut b, 5, Action::Note, "goes in May", &["/a"]),
        said(&mut b, 6, Action::Untag, "pci", &["/b"]),
    ];
    let a = words("beta pci", Some("payments"), Some("goes in May"));
    let other = words("", Some("search"), None);
    assert_eq!((b.words("/a"), b.words("/b")), (a.clone(), other.clone()));
    assert!(
        b.found(FindingKind::Shadow).is_empty(),
        "words accept nothing"
    );
    let mut again = b.restarted(&all);
    assert_eq!(
        (again.words("/a"), again.words("/b")),
        (a.clone(), other.clone())
    );
    let mut fresh = Bench::new();
    fresh.catalog.replay(&all);
    calls(&mut fresh);
    assert_eq!((fresh.words("/a"), fresh.words("/b")), (a, other));
    let held = |d: &Decision| fresh.catalog.held(d).len();
    assert_eq!(all.each_ref().map(held), [1, 1, 1, 1, 1, 0]);
}

#[test]
fn what_is_said_already_is_not_said_again_and_undone_comes_what_was_before() {
    let mut b = Bench::new();
    for path in ["/a", "/a", "/b", "/b"] {
        b.get(path);
    }
    let mut all = vec![said(&mut b, 1, Action::Own, "payments", &["/a"])];
    let keys: Vec<String> = ["/a", "/b"].map(|t| b.endpoint(t).key).into();
    let open = |b: &Bench, keys: &[String]| b.catalog.open_to(Action::Own, Some("payments"), keys);
    assert_eq!(open(&b, &keys).unwrap().len(), 1);
    assert!(open(&b, &keys[..1]).is_err());
    all.push(said(&mut b, 2, Action::Own, "search", &["/a", "/b"]));
    let mut places = b.catalog.held(&all[1]);
    bring_back(&mut places, &all[1], all[..1].iter());
    all.push(Decision {
        id: 3,
        action: Action::Disown,
        places,
        undoes: Some(2),
        ..all[1].clone()
    });
    b.catalog.decide(&all[2], &mut b.changes);
    let before = (words("", Some("payments"), None), words("", None, None));
    assert_eq!((b.words("/a"), b.words("/b")), before);
    let mut again = b.restarted(&all);
    assert_eq!((again.words("/a"), again.words("/b")), before);
    // The journal keeps of it what still holds.
    let mut later = Later::default();
    let rest: Vec<Decision> = (all.iter().rev())
        .filter_map(|d| remains(d, &mut later))
        .collect();
    assert_eq!(rest.iter().map(|d| d.id).collect::<Vec<_>>(), [3]);
    assert_eq!(rest[0].places.len(), 1);
}

#[test]
fn words_follow_merges_and_splits_of_templates() {
    let names = [
        "ann", "bob", "cleo", "dan", "eve", "fay", "gus", "hal", "ivy", "jon",
    ];
    let mut b = Bench::new();
    for name in names {
        b.get(&format!("/teams/{name}/members"));
    }
    let mut all = vec![
        said(&mut b, 1, Action::Tag, "x", &["/teams/eve/members"]),
        said(&mut b, 2, Action::Own, "first", &["/teams/jon/members"]),
        said(&mut b, 3, Action::Tag, "y", &["/teams/jon/members"]),
        said(&mut b, 4, Action::Own, "second", &["/teams/bob/members"]),
    ];
    for name in names {
        b.get(&format!("/teams/{name}/projects"));
    }
    b.catalog.settle(&mut b.changes);
    let events = b.endpoint("/teams/{team_name}/members").events;
    let happened: Vec<&Happened> = events.iter().map(|e| &e.what).collect();
    let name = Happened::Renamed("/teams/{team_name}/members".into());
    assert!(
        happened.contains(&&Happened::Joined(9)) || happened.len() > 1,
        "{happened:?}"
    );
    assert!(
        !happened.contains(&&name),
        "it was no confirmed endpoint before: {happened:?}"
    );
    let merged = words("x y", Some("second"), None);
    assert_eq!(b.words("/teams/{team_name}/members"), merged);
    assert_eq!(
        b.words("/teams/{team_name}/projects"),
        words("", None, None)
    );
    let mut again = b.restarted(&all);
    assert_eq!(again.words("/teams/{team_name}/members"), merged);
    // What was said of a part is taken back of what it became.
    let undo = Decision {
        id: 5,
        action: Action::Untag,
        places: b.catalog.held(&all[0]),
        undoes: Some(1),
        ..all[0].clone()
    };
    b.catalog.decide(&undo, &mut b.changes);
    assert_eq!(b.words("/teams/{team_name}/members").0, "y");
    all.push(undo);
    let mut again = b.restarted(&all);
    assert_eq!(again.words("/teams/{team_name}/members").0, "y");
    // A word that is made a route of its own has what the whole had.
    b.get("/teams/eve/members");
    let key = b.endpoint("/teams/{team_name}/members").key;
    let split = Decision {
        id: 6,
        action: Action::PinStatic,
        places: vec![b.catalog.pin_place(&key, 1, Some("eve")).unwrap()],
        value: None,
        ..all[0].clone()
    };
    b.catalog.decide(&split, &mut b.changes);
    let parted = b.endpoint("/teams/eve/members").events;
    let from = Happened::Parted("/teams/{team_name}/members".into());
    assert!(parted.iter().any(|e| e.what == from), "{parted:?}");
    let lost = b.endpoint("/teams/{team_name}/members").events;
    assert_eq!(lost.last().map(|e| &e.what), Some(&Happened::Lost(1)));
    for template in ["/teams/eve/members", "/teams/{team_name}/members"] {
        let (tags, owner, _) = b.words(template);
        assert_eq!(
            (tags.as_str(), owner.as_deref()),
            ("y", Some("second")),
            "{template}"
        );
    }
}
