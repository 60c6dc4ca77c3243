use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Query {
    parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

fn one(text: &str) -> Term {
    let mut terms = read(text).terms;
    assert_eq!(terms.len(), 1, "{text}");
    terms.remove(0)
}

fn word(text: &str) -> Value {
    Value::Word(text.into())
}

#[test]
fn every_kind_of_term() {
    let field = |text: &str| match one(text).test {
        Test::Field(field, values) => (field, values),
        Test::Text(text) => panic!("{text} is text"),
    };
    let number = |text: &str| match field(text).1.remove(0) {
        Value::Number(bound) => bound,
        Value::Share(bound) => bound,
        Value::Word(word) => panic!("{word} is a word"),
    };
    assert_eq!(one("orders").test, Test::Text("orders".into()));
    assert_eq!(one("\"a \\\"b\\\\\"").test, Test::Text("a \"b\\".into()));
    assert_eq!(
        one("/v1/users:batchGet").test,
        Test::Text("/v1/users:batchGet".into())
    );
    assert_eq!(
        one("10.0.0.1:8080").test,
        Test::Text("10.0.0.1:8080".into())
    );
    assert_eq!(one("-").test, Test::Text("-".into()));
    assert!(one("-method:get").not && one("-\"x y\"").not);
    assert_eq!(field("HOST:a.b:80"), (Field::Host, vec![word("a.b:80")]));
    assert_eq!(
        field("data:pii:email"),
        (Field::Data, vec![word("pii:email")])
    );
    assert_eq!(
        field("method:get,\"a b\",post"),
        (Field::Method, vec![word("get"), word("a b"), word("post")])
    );
    assert_eq!(
        field("documentation:Shadow"),
        (Field::Status, vec![word("shadow")])
    );
    assert_eq!(field("auth:none"), (Field::Auth, vec![word("missing")]));
    assert_eq!(number("risk:>6"), Bound::More(6));
    assert_eq!(number("risk:high"), Bound::Between(8, 10));
    assert_eq!(number("requests:<=2k"), Bound::AtMost(2_000));
    assert_eq!(number("requests:1k..3M"), Bound::Between(1_000, 3_000_000));
    assert_eq!(number("seen:<1d"), Bound::Less(86_400));
    assert_eq!(number("p90:>2s"), Bound::More(2_000));
    assert_eq!(number("p90:100ms..1m"), Bound::Between(100, 60_000));
    assert_eq!(number("p90:>500"), Bound::More(500));
    assert_eq!(number("errors:>5%"), Bound::More(500));
    assert_eq!(number("errors:0.5%..12.25%"), Bound::Between(50, 1_225));
    assert_eq!(number("errors:>=10"), Bound::AtLeast(10));
    assert_eq!(one("\"OR\"").test, Test::Text("OR".into()));
    assert_eq!(one("or").test, Test::Text("or".into()));
    assert_eq!(field("seen:never"), (Field::Seen, vec![word("never")]));
    assert_eq!(read("  ").terms.len(), 0);
    let spans: Vec<_> = read("é host:x  y")
        .terms
        .into_iter()
        .map(|t| t.span)
        .collect();
    assert_eq!(spans, [0..2, 3..9, 11..12]);
}

#[test]
fn is_asks_for_the_field_that_has_it() {
    assert_eq!(one("is:deprecated,zombie").field(), Some(Field::Flag));
    assert_eq!(one("is:deprecated,new").field(), Some(Field::Is));
    assert_eq!(one("is:confirmed").field(), Some(Field::Is));
}

/// What is wrong, where and how it is mended.
#[test]
fn faults_say_where_and_the_mend() {
    for (text, column, what, mend) in [
        ("x colour:red", 3, "no field `colour`", "host, path, method"),
        ("http://x", 1, "no field `http`", "quotes"),
        ("é status:grey", 10, "never `grey`", "documented, shadow"),
        ("risk:>six", 6, "no number", "risk:>6"),
        ("risk:9..3", 6, "ends before it begins", "risk:3..9"),
        (
            "requests:5k..1K",
            10,
            "ends before it begins",
            "requests:1K..5k",
        ),
        ("p90:>soon", 5, "no latency", "p90:>2s"),
        ("errors:>5.123%", 8, "no number", "errors:>5%"),
        ("risk:>6 OR status:shadow", 9, "no `OR`", "commas"),
        ("a AND b", 3, "no `AND`", "leave it out"),
        ("NOT a", 1, "no `NOT`", "- in front"),
        ("requests:99999999999999999999", 10, "no number", "1000"),
        ("seen:<1", 6, "no age", "seen:<1d"),
        ("host:", 6, "lacks a value", "host:api"),
        ("method:get, post", 12, "lacks a value", "method:get,post"),
        ("host:\"a", 6, "not closed", "\""),
        ("\"a\"b", 4, "follows", "space"),
        ("\"\"", 1, "nothing between", "leave them out"),
    ] {
        let fault = parse(text).expect_err(text);
        assert_eq!(fault.column, column, "{text}: {fault}");
        assert!(fault.what.contains(what), "{text}: {fault}");
        assert!(fault.mend.contains(mend), "{text}: {fault}");
        assert!(text.get(fault.at).is_some(), "{text}");
    }
    assert!(parse(&"x".repeat(MAX_TEXT + 1)).is_err());
    assert!(parse(&"x ".repeat(MAX_TERMS + 1)).is_err());
    assert!(parse(&format!("host:{}b", "a,".repeat(MAX_VALUES))).is_err());
}

#[test]
fn a_click_adds_a_value_and_another_takes_it_out() {
    let offered = ["GET", "PUT", "zombie"].map(word);
    let click = |query: &str, field, value: &str| {
        let query = read(query)
            .toggled(field, &word(value), &offered)
            .to_string();
        assert_eq!(read(&query).to_string(), query);
        query
    };
    assert_eq!(click("x", Field::Method, "GET"), "x method:GET");
    assert_eq!(click("method:GET", Field::Method, "PUT"), "method:GET,PUT");
    assert_eq!(click("method:GET,PUT", Field::Method, "GET"), "method:PUT");
    assert_eq!(click("method:GET x", Field::Method, "GET"), "x");
    assert_eq!(click("method:P* x", Field::Method, "PUT"), "x method:PUT");
    assert_eq!(click("is:zombie", Field::Flag, "zombie"), "");
    assert_eq!(
        click("-method:GET", Field::Method, "PUT"),
        "-method:GET method:PUT"
    );
    assert_eq!(
        read("a b:c".replace("b:c", "host:c").as_str())
            .without(0)
            .to_string(),
        "host:c"
    );
}

/// Each example of the help is a query, and the facts stand where their names do.
#[test]
fn the_help_is_true() {
    for (n, about) in FIELDS.iter().enumerate() {
        assert_eq!(about.field as usize, n);
        assert!(
            read(about.example)
                .terms
                .iter()
                .all(|t| { matches!(t.test, Test::Field(field, _) if field == about.field) })
        );
    }
    let e = crate::catalog::EndpointView {
        documentation: crate::catalog::Documentation::Shadow,
        life: crate::catalog::Life::Dormant,
        zombie: true,
        kind: crate::catalog::Kind::Static,
        auth_verdict: Some(crate::catalog::AuthVerdict::Mixed),
        exposure: Some(crate::catalog::Zone::External),
        confirmed: true,
        ..Default::default()
    };
    let holds = (0..FACTS.len()).filter(|at| facts(&e) >> at & 1 == 1);
    let holds: Vec<_> = holds.map(|at| FACTS[at].1).collect();
    let names = [
        "shadow",
        "dormant",
        "zombie",
        "static",
        "mixed",
        "external",
        "confirmed",
        "waiting",
    ];
    assert_eq!(holds, names);
    let none = (0..FACTS.len()).filter(|at| facts(&Default::default()) >> at & 1 == 1);
    let none: Vec<_> = none.map(|at| FACTS[at].1).collect();
    assert_eq!(none, ["unreviewed", "candidate", "api", "unknown", "none"]);
}

fn bound() -> impl Strategy<Value = Bound> {
    let n = 0_u64..3_000_000;
    (n.clone(), n, 0..6).prop_map(|(a, b, kind)| match kind {
        0 => Bound::Is(a),
        1 => Bound::Less(a),
        2 => Bound::AtMost(a),
        3 => Bound::More(a),
        4 => Bound::AtLeast(a),
        _ => Bound::Between(a.min(b), a.max(b)),
    })
}

fn value(field: Field) -> BoxedStrategy<Value> {
    match field.about().takes {
        Takes::Words => prop_oneof![".{1,8}", "[a-z*.,:\"\\\\ -]{1,8}"]
            .prop_map(Value::Word)
            .boxed(),
        Takes::Names => {
            let names: Vec<_> = names(field).map(word).collect();
            prop::sample::select(names).boxed()
        }
        Takes::Number | Takes::Latency => bound().prop_map(Value::Number).boxed(),
        Takes::Count => prop_oneof![
            bound().prop_map(Value::Number),
            bound().prop_map(Value::Share)
        ]
        .boxed(),
        Takes::Age => prop_oneof![bound().prop_map(Value::Number), Just(word("never"))].boxed(),
    }
}

fn term() -> impl Strategy<Value = Term> {
    let text = prop_oneof![".{1,8}", "[a-z:\"\\\\ -]{1,8}"].prop_map(Test::Text);
    let field = (0..FIELDS.len()).prop_flat_map(|n| {
        let field = FIELDS[n].field;
        let values = prop::collection::vec(value(field), 1..4);
        values.prop_map(move |values| Test::Field(field, values))
    });
    let test = prop_oneof![text, field];
    (any::<bool>(), test).prop_map(|(not, test)| Term {
        not,
        test,
        span: 0..0,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_printed_is_read_back(terms in prop::collection::vec(term(), 0..5)) {
        let query = Query { terms };
        let text = query.to_string();
        if text.len() <= MAX_TEXT {
            prop_assert_eq!(parse(&text), Ok(query), "{}", text);
        }
    }

    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), "[a-z:\",.<>=0-9\\\\ é-]{0,40}", "(-?(host|risk|seen|is):[a-z0-9<>.,\"]{0,9} ?){0,4}"]) {
        match parse(&text) {
            Ok(query) => prop_assert_eq!(parse(&query.to_string()), Ok(query)),
            Err(fault) => prop_assert!(text.get(fault.at.clone()).is_some(), "{}", fault),
        }
    }
}
