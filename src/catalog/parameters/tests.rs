use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exchange::Shapes;
use crate::observe::Observer;
use crate::observe::custom::Direction;

/// A call of `GET /orders/{id}?…` every ten minutes.
struct Api {
    known: Parameters,
    secs: i64,
}

impl Api {
    /// As it is after ordinary days: ids of five digits, a page, one of three orders.
    fn settled() -> Self {
        let mut api = Self {
            known: Parameters::default(),
            secs: 0,
        };
        for n in 0..400_u64 {
            let order = ["asc", "desc", "newest"][n as usize % 3];
            let query = format!("page={}&sort={order}", n % 9 + 1);
            let body = json!({ "qty": n % 5 + 1, "note": "two words", "to": { "city": "Bonn" } });
            let odd = api.asks(&(10_000 + n * 7).to_string(), &query, Some(&body), n, 200);
            assert_eq!(odd, "", "{query}");
        }
        api
    }

    fn asks(
        &mut self,
        id: &str,
        query: &str,
        body: Option<&Value>,
        who: u64,
        status: u16,
    ) -> String {
        self.secs += 600;
        let mut x = Exchange::at(Timestamp::from_secs(self.secs));
        x.query = Some(query.into());
        x.status = Some(status);
        x.shapes = body.map(|body| {
            let observer = Observer::new(&[7; 32], true);
            let text = body.to_string();
            let shape = observer.shape(
                Direction::Request,
                "application/json",
                text.as_bytes(),
                true,
            );
            Box::new(Shapes {
                request: shape,
                ..Shapes::default()
            })
        });
        let found = self.known.take(&x, [(1, id)].into_iter(), who, true);
        let told = found.iter().map(|o| {
            let (kind, place, name) = (o.kind, o.whence.name(), o.name.as_str());
            format!("{kind:?} {place} {name}").trim_end().to_owned()
        });
        told.collect::<Vec<_>>().join(", ")
    }

    fn get(&mut self, id: &str, query: &str) -> String {
        self.asks(id, query, None, 3, 400)
    }

    fn post(&mut self, body: Value) -> String {
        self.asks("10007", "", Some(&body), 3, 400)
    }
}

#[test]
fn what_a_parameter_never_had_is_odd() {
    let mut api = Api::settled();
    for usual in ["", "page=3", "page=12&sort=asc", "sort=newest", "page="] {
        assert_eq!(api.get("13000", usual), "", "{usual}");
    }
    for (id, query, odd) in [
        ("10007'", "", "Syntax path"),
        ("me", "", "Type path"),
        ("-1", "", "Type path"),
        ("99999999999", "", "Range path"),
        ("1", "page=1%27%20or%20%271%27=%271", "Syntax query page"),
        ("1", "page=9999", "Range query page"),
        ("1", "page=1&page=2", "Repeated query page"),
        ("1", "sort=name", "Enum query sort"),
        ("1", "sort=%3Cscript%3E", "Syntax query sort"),
        (
            "1",
            "sort=ascascascascascascascascascascascascasc",
            "Length query sort",
        ),
        ("1", "debug=true", "Unknown query debug"),
        (
            "1",
            "page=a&debug=1",
            "Type query page, Unknown query debug",
        ),
        ("1", "4111111111111111=1", "Unknown query *"),
    ] {
        assert_eq!(api.get(id, query), odd, "{id} {query}");
    }
}

#[test]
fn bodies_too() {
    let mut api = Api::settled();
    assert_eq!(
        api.post(json!({ "qty": 2, "note": "others", "to": { "city": "Ulm" } })),
        ""
    );
    assert_eq!(api.post(json!({ "qty": null })), "");
    for (body, odd) in [
        (
            json!({ "qty": 1, "is_admin": true }),
            "Unknown body is_admin",
        ),
        (
            json!({ "qty": { "$ne": 1 } }),
            "Type body qty, Unknown body qty/$ne",
        ),
        (json!({ "qty": 100_000 }), "Range body qty"),
        (json!({ "note": "' or 1=1 --" }), "Syntax body note"),
        // What stands in it is told with it.
        (
            json!({ "role": { "name": "a", "of": { "x": 1 } } }),
            "Unknown body role",
        ),
    ] {
        assert_eq!(api.post(body.clone()), odd, "{body}");
    }
}

#[test]
fn an_api_that_changes_does_so_for_many() {
    let mut api = Api::settled();
    let calls: Vec<String> = (0..8)
        .map(|who| api.asks("10007", "page=1&fields=id", None, who, 200))
        .collect();
    assert_eq!(calls[..5], ["Unknown query fields"; 5]);
    assert_eq!(calls[5..], ["", "", ""], "it is part of the API by now");
    let words: Vec<String> = (0..8)
        .map(|who| api.asks("10007", "sort=oldest", None, who, 200))
        .collect();
    assert_eq!(words[..5], ["Enum query sort"; 5]);
    assert_eq!(words[5..], ["", "", ""]);
}

#[test]
fn one_who_probes_does_not_teach() {
    let mut api = Api::settled();
    for n in 0..100 {
        let odd = api.asks(&format!("{n}' or 1=1"), "page=1&debug=1", None, 9, 200);
        assert_eq!(odd, "Syntax path, Unknown query debug");
    }
    // Whoever is refused is one too many.
    let mut api = Api::settled();
    for who in 0..60 {
        let odd = api.asks("1 or 1=1", "admin=1", None, who, 403);
        assert_eq!(odd, "Type path, Unknown query admin");
    }
}

#[test]
fn what_is_new_is_judged_by_nothing() {
    let mut known = Parameters::default();
    for n in 0..40 {
        let mut x = Exchange::at(Timestamp::from_secs(n));
        (x.query, x.status) = (Some(format!("a{n}=<b>").into()), Some(200));
        let odd = known.take(&x, [(0, "x'")].into_iter(), n as u64, true);
        assert!(!odd.judged && odd.iter().next().is_none());
    }
}

#[test]
fn what_is_odd_anywhere() {
    let odd = |path: &str, query: &str| {
        let mut x = Exchange::at(Timestamp(0));
        x.query = Some(query.into());
        let segments: Vec<_> = path.split('/').map(Cow::Borrowed).collect();
        let found = strange(&x, &segments);
        let told = found
            .iter()
            .map(|o| format!("{:?} {}", o.kind, o.whence.name()));
        told.collect::<Vec<_>>().join(", ")
    };
    for (path, query) in [
        ("a", "q=1'%20or%20'1'='1"),
        ("a", "q=%3Cscript%3Ealert(1)"),
        ("a", "q=7%0Aadmin"),
        ("a", "q=$(id)"),
    ] {
        assert_eq!(odd(path, query), "Syntax query", "{query}");
    }
    for path in ["{{7*7}}", "x<b>(1)", "{{a.__b__('os')}}"] {
        assert_eq!(odd(path, ""), "Syntax path", "{path}");
    }
    for (path, query) in [
        ("Orders('42')", "$filter=Name%20eq%20'O''Brien'"),
        (
            "a-b_c.d",
            "a[]=1&b[c]=2&q=rock%20%26%20roll&t=2026-01-01T00:00:00%2B02:00",
        ),
        (
            "a",
            "filter={%22price%22:1.5,%22to%22:[%22a%22]}&where=age%3E5",
        ),
        ("a,b", "fields=a(b,c)&s=%E4%BD%A0&e=a@b.example&p=100%25"),
    ] {
        assert_eq!(odd(path, query), "", "{path} {query}");
    }
}

#[test]
fn names_that_are_data_are_no_surprise() {
    let mut known = Parameters::default();
    let mut last = String::new();
    for n in 0..2_000 {
        let mut x = Exchange::at(Timestamp::from_secs(n * 600));
        (x.query, x.status) = (Some(format!("k{n}=1").into()), Some(200));
        let odd = known.take(&x, [].into_iter(), n as u64, true);
        last = format!("{:?}", odd.iter().next());
    }
    assert_eq!(last, "None");
    assert!(known.len() <= MAX_PARAMETERS);
}

#[test]
fn masked_values_and_files_say_nothing() {
    let mut api = Api::settled();
    assert_eq!(api.get("{secret:jwt:1f3a}", "page={secret:token:99}"), "");
}

#[test]
fn halves_of_a_template_become_one() {
    let mut both = Api::settled().known;
    both.merge(&Api::settled().known);
    let mut api = Api {
        known: both,
        secs: 10_000_000,
    };
    assert_eq!(api.known.requests, 800);
    assert_eq!(api.get("10050", "page=2&sort=asc"), "");
    assert_eq!(
        api.get("10050'", "page=2&x=1"),
        "Syntax path, Unknown query x"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_queries_stay_within_bounds(
        queries in prop::collection::vec("[a-z0-9&=%+'{:]{0,60}", 0..200),
        grow: bool,
    ) {
        let mut known = Parameters::default();
        for (n, query) in queries.iter().enumerate() {
            let mut x = Exchange::at(Timestamp::from_secs(n as i64 * 1_000));
            (x.query, x.status) = (Some(query.as_str().into()), Some(200));
            let odd = known.take(&x, [(n % 7, query.as_str())].into_iter(), n as u64, grow);
            prop_assert!(odd.iter().count() <= 4);
            prop_assert!(known.known.windows(2).all(|w| w[0].key < w[1].key));
        }
        prop_assert!(known.len() <= MAX_PARAMETERS);
        prop_assert!(grow || known.len() == 0);
        let saved = postcard::to_allocvec(&known).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Parameters>(&saved).unwrap(), known);
    }
}
