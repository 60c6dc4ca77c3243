use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::catalog::{
    Accepted, Auth, AuthVerdict, CatalogView, Documentation, EndpointView, Kind, Life, Quantiles,
    SensitiveView, Zone,
};
use crate::web::cursor::Start;
use crate::web::index::place;
use crate::web::search::{facts, parse};

const DAY: i64 = 86_400;
const NOW: i64 = 100 * DAY;

fn sensitive(class: &str) -> SensitiveView {
    SensitiveView {
        class: class.into(),
        direction: "response".into(),
        place: "body".into(),
        pointer: "/a".into(),
        count: 1,
    }
}

fn endpoint(method: &str, host: &str, template: &str) -> EndpointView {
    EndpointView {
        key: format!("{method} {host}{template}"),
        method: method.into(),
        host: host.into(),
        template: template.into(),
        ..EndpointView::default()
    }
}

/// In the order of a view.
fn index(mut all: Vec<EndpointView>) -> Index {
    all.sort_by(|a, b| (&a.host, &a.template, &a.method).cmp(&(&b.host, &b.template, &b.method)));
    all.dedup_by(|a, b| place(a) == place(b));
    let view = CatalogView {
        endpoints: all.into_iter().map(Arc::new).collect(),
        at: Timestamp::from_secs(NOW),
        ..CatalogView::default()
    };
    Index::new(Arc::new(view), None)
}

fn accepted() -> Accepted {
    Accepted {
        by: "ann".into(),
        at: Timestamp::from_secs(NOW),
        note: None,
    }
}

fn few() -> Index {
    let mut users = endpoint("GET", "api.example", "/v1/Users/{id}");
    users.sensitive = vec![sensitive("pii:email"), sensitive("pii:card")];
    users.risk = 8;
    users.requests = 5_000;
    users.last_seen = Some(Timestamp::from_secs(NOW - 60));
    users.auth = vec![Auth {
        scheme: "bearer".into(),
        requests: 1,
    }];
    users.auth_verdict = Some(AuthVerdict::Mixed);
    users.spec = Some("Shop API".into());
    users.documentation = Documentation::Documented;
    users.accepted = Some(accepted());
    users.owner = Some("Team A".into());
    users.tags = vec!["payments".into(), "gdpr".into()];
    let mut graph = endpoint("POST", "b.internal", "/graphql");
    graph.operation = Some("query GetUser".into());
    graph.sensitive = vec![sensitive("secret:token")];
    graph.latency = Some(Quantiles {
        p50: 1.0,
        p90: 700.0,
        p99: 900.0,
    });
    graph.last_seen = Some(Timestamp::from_secs(NOW - 2 * DAY));
    graph.deprecated = true;
    graph.accepted = Some(accepted());
    graph.confirmed = true;
    let mut page = endpoint("GET", "www.example", "/style.css");
    page.kind = Kind::Static;
    index(vec![users, graph, page])
}

#[test]
fn every_field_finds() {
    let index = few();
    let find = |text: &str| -> Vec<&str> {
        let query = parse(text).unwrap();
        let search = Search::new(&index, &query);
        let rows: Vec<usize> = search.rows().collect();
        let (found, _) = search.counted();
        assert!(
            found.iter().map(|n| *n as usize).eq(rows.iter().copied()),
            "{text}"
        );
        rows.into_iter()
            .map(|n| &*index.endpoint(n).template)
            .collect()
    };
    let (users, graph, css) = ("/v1/Users/{id}", "/graphql", "/style.css");
    for (text, found) in [
        ("", vec![users, graph]),
        ("users", vec![users]),
        ("GETUSER", vec![graph]),
        ("example", vec![users, css]),
        ("v1 b.internal", vec![]),
        ("kind:static", vec![css]),
        ("-kind:static", vec![users, graph]),
        ("host:API.example", vec![users]),
        ("host:api", vec![]),
        ("host:*.internal,api.*", vec![users, graph]),
        ("path:/V1/*", vec![users]),
        ("path:users", vec![users]),
        ("path:/v1", vec![users]),
        ("path:/*l", vec![graph]),
        ("method:get,put", vec![users]),
        ("-method:get", vec![graph]),
        ("operation:getuser", vec![graph]),
        ("operation:none", vec![users]),
        ("operation:any", vec![graph]),
        ("operation:query*", vec![graph]),
        ("status:unreviewed", vec![graph]),
        ("is:deprecated,new", vec![graph]),
        ("is:waiting", vec![]),
        ("flag:drift", vec![]),
        ("is:accepted", vec![users, graph]),
        ("documentation:documented is:accepted", vec![users]),
        ("-is:accepted kind:static", vec![css]),
        ("auth:mixed", vec![users]),
        ("auth:unknown", vec![graph]),
        ("scheme:bearer", vec![users]),
        ("data:email", vec![users]),
        ("data:secret", vec![graph]),
        ("data:PII:card", vec![users]),
        ("data:any", vec![users, graph]),
        ("data:none kind:static", vec![css]),
        ("risk:>6", vec![users]),
        ("risk:low", vec![]),
        ("requests:1k..5k", vec![users]),
        ("p90:>=700", vec![graph]),
        ("p90:<700", vec![]),
        ("seen:<1h", vec![users]),
        ("seen:1d..3d", vec![graph]),
        ("seen:never kind:static", vec![css]),
        ("spec:shop", vec![users]),
        ("spec:none", vec![graph]),
        ("owner:\"team a\"", vec![users]),
        ("owner:none", vec![graph]),
        ("tag:pay*", vec![users]),
        ("tag:pay", vec![]),
        ("-tag:any", vec![graph]),
    ] {
        assert_eq!(find(text), found, "{text}");
    }
}

#[test]
fn what_a_term_leaves_out() {
    let index = few();
    let query = parse("users method:post data:email").unwrap();
    let search = Search::new(&index, &query);
    assert_eq!(search.rows().count(), 0);
    let blame = search.blame(3);
    let without: Vec<_> = blame.iter().map(|b| (b.without, b.alone)).collect();
    assert_eq!(without, [(0, 1), (1, 1), (0, 1)]);
}

#[test]
fn stars_stand_for_any_text() {
    for (glob, text, is) in [
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*b*c", "axxbyyc", true),
        ("a*bc*c", "abc", false),
        ("ab*b", "ab", false),
        ("*", "", true),
        ("a", "A", false),
        ("*é*", "xéy", true),
        ("**", "x", true),
    ] {
        assert_eq!(Glob::new(glob).matches(text), is, "{glob} {text}");
    }
}

fn any_endpoint() -> impl Strategy<Value = EndpointView> {
    let classes = ["pii:email", "pii:card", "secret:token"];
    let kinds = (0..3_usize, 0..4_usize, 0..3_usize, 0..4_usize);
    let numbers = (1..=10_u8, 0..40_u64, 0..5_i64);
    let more = prop::sample::subsequence(classes.to_vec(), 0..3);
    let place = (0..4_usize, 0..6_usize, 0..3_usize);
    (place, kinds, numbers, more, any::<bool>()).prop_map(|(place, kinds, n, data, flag)| {
        let method = ["GET", "POST", "PUT"][place.2];
        let mut e = endpoint(method, &format!("h{}", place.0), &format!("/r{}", place.1));
        e.documentation = [
            Documentation::Documented,
            Documentation::Shadow,
            Documentation::Unreviewed,
        ][kinds.0];
        e.life = [Life::Candidate, Life::New, Life::Active, Life::Dormant][kinds.1];
        e.kind = [Kind::Api, Kind::Static, Kind::Web][kinds.2];
        e.exposure = Zone::ALL.get(kinds.3).copied();
        (e.risk, e.requests, e.deprecated) = (n.0, n.1, flag);
        e.last_seen = (n.2 > 0).then(|| Timestamp::from_secs(NOW - n.2 * DAY));
        e.sensitive = data.into_iter().map(sensitive).collect();
        e
    })
}

const TERMS: [&str; 16] = [
    "method:GET",
    "method:GET,PUT",
    "-method:PUT",
    "status:shadow",
    "is:deprecated",
    "life:new,active",
    "data:email",
    "data:card,token",
    "host:h1,h2",
    "risk:8..10",
    "risk:>4",
    "exposure:external",
    "kind:static",
    "r1",
    "seen:<3d",
    "requests:>=20",
];

/// Whether an endpoint has what a counted value says, told from the endpoint itself.
fn has(e: &EndpointView, field: Field, value: &Value) -> bool {
    match (field, value) {
        (Field::Host, Value::Word(w)) => e.host == *w,
        (Field::Method, Value::Word(w)) => e.method == *w,
        (Field::Data, Value::Word(w)) => e.sensitive.iter().any(|s| s.class == *w),
        (Field::Risk, Value::Number(b)) => b.holds(f64::from(e.risk)),
        (field, Value::Word(w)) => facts(e) & bit(field, w) != 0,
        (_, Value::Number(_) | Value::Share(_)) => false,
    }
}

/// Whether a term asks for one of the values beside the list: another one is then added to it.
fn offers(offered: &[Value], term: &Term) -> bool {
    match &term.test {
        Test::Field(_, values) => values.iter().any(|v| offered.contains(v)),
        Test::Text(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Counts under the query; of a field, as if it were not asked for: told by asking again without it.
    #[test]
    fn counts_are_what_one_counts_by_hand(
        all in prop::collection::vec(any_endpoint(), 0..40),
        terms in prop::sample::subsequence(TERMS.to_vec(), 0..4),
    ) {
        let index = index(all);
        let query = parse(&terms.join(" ")).unwrap();
        let (_, counts) = Search::new(&index, &query).counted();
        for field in [Field::Status, Field::Life, Field::Flag, Field::Exposure, Field::Host, Field::Method, Field::Data, Field::Risk] {
            let mut others = query.clone();
            others.terms.retain(|t| t.not || t.field() != Some(field));
            let found: Vec<_> = Search::new(&index, &others).rows().map(|n| index.endpoint(n)).collect();
            let mut names = BTreeSet::new();
            let offered: Vec<Value> = counts.of(field, &index.known).into_iter().map(|c| c.value).collect();
            for counted in counts.of(field, &index.known) {
                let by_hand = found.iter().filter(|e| has(e, field, &counted.value)).count();
                prop_assert_eq!(counted.count, by_hand, "{} of {:?} under {}", counted.name, field, query);
                let others = query.terms.iter().any(|t| !t.not && t.field() == Some(field) && offers(&offered, t));
                if !others {
                    let led_to = query.toggled(field, &counted.value, &offered);
                    let led_to = Search::new(&index, &led_to).rows().count();
                    prop_assert_eq!(counted.count, led_to, "{} leads elsewhere under {}", counted.name, query);
                }
                names.insert(counted.name);
            }
            if field == Field::Host {
                let hosts: BTreeSet<_> = found.iter().map(|e| e.host.clone()).collect();
                prop_assert_eq!(names, hosts);
            }
        }
    }

    /// Page by page one sees all, once, in order; and back again.
    #[test]
    fn pages_are_the_whole_list_cut(
        all in prop::collection::vec(any_endpoint(), 0..40),
        sort in prop::sample::select(vec!["risk", "requests", "path", "errors", "last", "first", "callers", "p90", "method"]),
        dir in prop::sample::select(vec!["", "asc", "desc"]),
        limit in 1..9_usize,
    ) {
        let index = index(all);
        let order = Order::named(sort, dir);
        let whole = order.all(&index, 0..index.rows.len());
        let (mut seen, mut behind, mut starts) = (Vec::<usize>::new(), None, vec![None]);
        loop {
            let cursor = behind.map_or_else(String::new, |row| order.cursor(&index, row));
            let start = Start::read(&order.name(), &cursor);
            let cut = order.cut(&index, 0..index.rows.len(), &start, limit);
            prop_assert_eq!(cut.before, seen.len());
            let back = starts.len().checked_sub(2).map(|at| starts[at]);
            prop_assert_eq!(cut.previous, back);
            seen.extend(&cut.rows);
            if !cut.more {
                break;
            }
            behind = cut.rows.last().copied();
            starts.push(behind);
        }
        prop_assert_eq!(&seen, &whole);
        let requests: Vec<u64> = whole.iter().map(|n: &usize| index.rows[*n].requests).collect();
        let in_order = requests.is_sorted_by(|a, b| if dir == "asc" { a <= b } else { a >= b });
        prop_assert!(sort != "requests" || in_order);
    }

    /// The view changes between any two pages: what keeps its place is seen once, in order.
    #[test]
    fn what_keeps_its_place_is_seen_once(
        all in prop::collection::vec(any_endpoint(), 1..30),
        moves in prop::collection::vec((any_endpoint(), any::<prop::sample::Index>(), any::<bool>()), 60),
        sort in prop::sample::select(SORTS.to_vec()),
        dir in prop::sample::select(vec!["asc", "desc"]),
        limit in 1..5_usize,
    ) {
        let order = Order::named(sort, dir);
        let named = |e: &EndpointView| (e.host.clone(), e.template.clone(), e.method.clone());
        let mut now: std::collections::BTreeMap<_, _> = all.into_iter().map(|e| (named(&e), e)).collect();
        let mut stayed: BTreeSet<_> = now.keys().cloned().collect();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        let mut moves = moves.into_iter();
        loop {
            let index = index(now.values().cloned().collect());
            let start = Start::read(&order.name(), &cursor);
            prop_assert_ne!(&start, &Start::Lost);
            let cut = order.cut(&index, 0..index.rows.len(), &start, limit);
            seen.extend(cut.rows.iter().map(|n| named(index.endpoint(*n))));
            let Some(last) = cut.rows.last().filter(|_| cut.more) else { break };
            cursor = order.cursor(&index, *last);
            let Some((other, which, leaves)) = moves.next() else { continue };
            // One moves, or goes; and one comes.
            let name = now.keys().nth(which.index(now.len())).cloned().unwrap();
            stayed.remove(&name);
            match now.remove(&name) {
                Some(old) if !leaves => {
                    let (host, template, method) = name.clone();
                    let moved = EndpointView { host, template, method, key: old.key, ..other.clone() };
                    now.insert(name, moved);
                }
                _ => {}
            }
            now.entry(named(&other)).or_insert(other);
        }
        for name in &stayed {
            prop_assert_eq!(seen.iter().filter(|s| *s == name).count(), 1, "{:?}", name);
        }
    }
}
