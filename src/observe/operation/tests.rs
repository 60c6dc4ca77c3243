use super::*;
use crate::exchange::{MAX_LISTED, OperationKind};

fn json(body: &str) -> Option<Operation> {
    of_body("application/json", body.as_bytes(), true)
}

fn name(found: Option<Operation>) -> Option<String> {
    found?.name.map(Into::into)
}

fn query(text: &str) -> String {
    serde_json::json!({ "query": text }).to_string()
}

fn get(path: &str, query: &str) -> Option<Operation> {
    of_head(&Head {
        method: "GET",
        path,
        query: Some(query),
        ..Head::default()
    })
}

#[test]
fn a_graphql_operation_has_its_type_and_name() {
    for (text, expected) in [
        (
            "query GetUser($id: ID! = \"}\") { user(id: $id) { name } }",
            "query GetUser",
        ),
        (
            "mutation AddItem @live { addItem { id } }",
            "mutation AddItem",
        ),
        ("subscription onTick{tick}", "subscription onTick"),
        (
            "# a comment {\n{ me, items(first: 3) { id } }",
            "query {me items}",
        ),
        (
            "query { a: user(id: 1) { id } b: user(id: 2) { id } }",
            "query {user}",
        ),
        (
            "mutation { addItem(input: {tags: [\"x\", \"\"\"\\\"\"\" }\"\"\"]}) { id } }",
            "mutation {addItem}",
        ),
        ("{ ...F } fragment F on Query { me { id } }", "query {me}"),
        (
            "{ ... on Query { me } ... @include(if: true) { you } }",
            "query {me you}",
        ),
    ] {
        let found = json(&query(text)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(found.kind, OperationKind::Graphql);
        assert_eq!(found.name.as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn the_operation_that_runs_is_the_one_that_is_named() {
    let two = "query A { a } mutation B { b } fragment F on T { x }";
    let sent = |name: &str| {
        json(&serde_json::json!({ "operationName": name, "query": two, "variables": {"password": "hunter2"} }).to_string()).unwrap()
    };
    assert_eq!(sent("B").name.as_deref(), Some("mutation B"));
    assert_eq!(sent("A").name.as_deref(), Some("query A"));
    // Servers refuse both.
    assert_eq!(sent("C").name, None);
    assert_eq!(json(&query(two)).unwrap().name, None);
    let null = r#"{"operationName":null,"variables":{},"query":"query A { a }"}"#;
    assert_eq!(name(json(null)).as_deref(), Some("query A"));
    assert!(!format!("{:?}", sent("B")).contains("hunter2"));
}

#[test]
fn depth_aliases_and_introspection_are_counted() {
    let text = "query Q { a: me { ...F } x: __schema { types { name } } }
        fragment F on User { b: friends { ... on User { ...G } } }
        fragment G on User { c: friends { d: name ...F } }";
    let found = json(&query(text)).unwrap();
    // me { friends { friends { … and round again.
    assert_eq!((found.depth, found.aliases), (Some(4), Some(5)));
    assert!(found.introspection);
    assert_eq!(found.fields, ["me", "__schema"]);
    // __typename is in every second query, and below the root anything may be a name.
    let plain = json(&query("{ __typename me { __schema } }")).unwrap();
    assert!(!plain.introspection);
    assert_eq!(plain.depth, Some(2));
}

#[test]
fn what_is_no_document_is_no_graphql() {
    for text in [
        "shoes",
        "select * from t",
        "{}",
        "{ }",
        "{a",
        "{a}}",
        "query",
        "query Q",
        "a:b AND c",
        "type T { a: Int }",
        "{ a(",
        "{ \"x\" }",
        "{job=\"x\"}",
        "fragment F on T { a }",
        "",
        "...",
    ] {
        assert_eq!(json(&query(text)), None, "{text}");
    }
    assert_eq!(json(r#"{"query":{"match":{"a":1}}}"#), None);
    assert_eq!(json(r#"{"query":"{a}""#), None);
    assert_eq!(json(r#"{"operationName":"A"}"#), None);
    assert_eq!(of_body("text/plain", query("{a}").as_bytes(), true), None);
}

#[test]
fn graphql_comes_by_get_as_a_document_and_in_batches() {
    assert_eq!(
        name(get("/g", "query=%7Bme%7Bid%7D%7D")).as_deref(),
        Some("query {me}")
    );
    let two = "query=query+A%7Ba%7D+query+B%7Bb%7D&operationName=B";
    assert_eq!(name(get("/g", two)).as_deref(), Some("query B"));
    assert_eq!(get("/search", "query=shoes"), None);
    let form = of_body("application/x-www-form-urlencoded", b"query=%7Ba%7D", true);
    assert_eq!(name(form).as_deref(), Some("query {a}"));
    let raw = of_body("application/graphql", b"query Raw { a }", true);
    assert_eq!(name(raw).as_deref(), Some("query Raw"));
    let batch = format!(
        "[{},{},{}]",
        query("query B{b}"),
        query("query A{x:a}"),
        query("query B{b}")
    );
    let found = json(&batch).unwrap();
    assert_eq!(found.name.as_deref(), Some("query A, query B"));
    assert_eq!((found.count, found.aliases), (Some(3), Some(1)));
    assert_eq!(found.fields, ["b", "a"]);
}

#[test]
fn a_persisted_query_has_the_name_it_is_sent_with() {
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    let extensions = format!(r#"{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}"#);
    let named = format!(r#"{{"operationName":"GetUser","extensions":{extensions}}}"#);
    assert_eq!(name(json(&named)).as_deref(), Some("GetUser"));
    let unnamed = format!(r#"{{"extensions":{extensions},"variables":{{}}}}"#);
    assert_eq!(
        name(json(&unnamed)).as_deref(),
        Some("persisted ecf4edb46db4")
    );
    let encoded: String = url::form_urlencoded::byte_serialize(extensions.as_bytes()).collect();
    let got = get("/graphql", &format!("extensions={encoded}"));
    assert_eq!(name(got).as_deref(), Some("persisted ecf4edb46db4"));
    let odd = r#"{"extensions":{"persistedQuery":{"sha256Hash":"Bearer abc"}}}"#;
    assert_eq!(name(json(odd)), None);
}

#[test]
fn json_rpc_is_its_method() {
    let call = r#"{"jsonrpc":"2.0","method":"eth_call","params":[{"to":"0x1"}],"id":1}"#;
    assert_eq!(json(call).unwrap().kind, OperationKind::JsonRpc);
    assert_eq!(name(json(call)).as_deref(), Some("eth_call"));
    let old = r#"{"method":"tools/list","params":[],"id":null}"#;
    assert_eq!(name(json(old)).as_deref(), Some("tools/list"));
    let batch = format!(r#"[{call},{{"jsonrpc":"2.0","method":"net_version"}},{call}]"#);
    let found = json(&batch).unwrap();
    assert_eq!(found.name.as_deref(), Some("eth_call, net_version"));
    assert_eq!(found.count, Some(3));
    for other in [
        r#"{"method":"card","amount":3}"#,
        r#"{"jsonrpc":"1.1","method":"a","params":[],"id":1}"#,
        r#"[{"a":1}]"#,
        "[]",
        "{}",
        "[1,2]",
    ] {
        assert_eq!(json(other), None, "{other}");
    }
    // What is no identifier is not kept: it may be anything.
    let key = format!("sk_live_{}", "4eC39HqLyjWDarjtT1zdp7dc");
    for odd in ["a b", "é", "<script>", "4111111111111111", &key] {
        let body = serde_json::json!({ "jsonrpc": "2.0", "method": odd }).to_string();
        assert_eq!(json(&body).unwrap().name, None, "{odd}");
    }
}

const ENVELOPE: &str = "<?xml version=\"1.0\"?><!-- <x> --><soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\">\
    <soap:Header a='>'><t:Body xmlns:t='u'><soap:Body/></t:Body></soap:Header>\
    <soap:Body>\n<m:GetWeather xmlns:m=\"w\"><m:City>Bern</m:City></m:GetWeather></soap:Body></soap:Envelope>";

#[test]
fn soap_is_its_action_else_the_root_of_its_body() {
    let acted = |content_type: &'static str, action: Option<&'static str>| {
        of_head(&Head {
            method: "POST",
            content_type: Some(content_type.as_bytes()),
            soap_action: action.map(str::as_bytes),
            ..Head::default()
        })
    };
    let eleven = acted(
        "text/xml",
        Some("\"http://example.com/weather/GetWeather\""),
    );
    assert_eq!(name(eleven).as_deref(), Some("GetWeather"));
    assert_eq!(
        name(acted("text/xml", Some("urn:svc#Find"))).as_deref(),
        Some("Find")
    );
    let twelve = acted(
        "application/soap+xml; charset=utf-8; action=\"urn:Find\"",
        None,
    );
    assert_eq!(name(twelve).as_deref(), Some("Find"));
    let empty = acted("text/xml", Some("\"\"")).unwrap();
    assert_eq!((empty.kind, empty.name), (OperationKind::Soap, None));
    assert_eq!(acted("text/xml", None), None);

    assert_eq!(
        name(of_body("text/xml", ENVELOPE.as_bytes(), true)).as_deref(),
        Some("GetWeather")
    );
    let entity = format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{ENVELOPE}");
    assert_eq!(of_body("text/xml", entity.as_bytes(), true), None);
    assert_eq!(
        of_body("text/xml", b"<Envelope><Body><a/></Body></Envelope>", true),
        None
    );
    let none = ENVELOPE.split("\n<m:Get").next().unwrap().to_owned() + "</soap:Body>";
    assert_eq!(
        of_body("text/xml", none.as_bytes(), true).unwrap().name,
        None
    );
}

#[test]
fn odata_and_forms_show_themselves() {
    let is_odata = |path, query| get(path, query).map(|o| o.kind) == Some(OperationKind::Odata);
    assert!(is_odata("/odata/Products", "$filter=Price%20gt%205&$top=3"));
    assert!(is_odata("/odata/Products", "%24select=Name"));
    assert!(is_odata("/odata/$metadata", ""));
    assert!(!is_odata("/products", "filter=a&$price=3"));
    let body = "--X\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nsecret\r\n--X\r\n\
        Content-Disposition: form-data; name=\"files[0]\"; filename=\"my cv.pdf\"\r\n\
        Content-Type: Application/PDF; a=b\r\n\r\n%PDF\r\n--Y\r\n\r\n--X--\r\n";
    let found = of_body("multipart/form-data", body.as_bytes(), true).unwrap();
    let parts: Vec<_> = found
        .parts
        .iter()
        .map(|p| (&*p.name, p.file, p.media_type.as_deref()))
        .collect();
    let expected = [
        ("title", false, None),
        ("files.0", true, Some("application/pdf")),
    ];
    assert_eq!(parts, expected);
    let shown = format!("{found:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("cv"),
        "{shown}"
    );
}

/// What a beginning says is what the whole says, or nothing.
#[test]
fn no_cut_makes_another_operation() {
    let apollo = serde_json::json!({
        "operationName": "GetUser", "variables": {"id": 7},
        "query": "query GetUser($id: ID) { user(id: $id) { ...F } }\nquery Get { a }\nfragment F on U { b }",
    });
    let batch = format!("[{},{}]", query("query One { a }"), query("{ b c }"));
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    let persisted = format!(
        r#"{{"variables":{{"a":["}}"]}},"extensions":{{"persistedQuery":{{"sha256Hash":"{hash}"}}}},"x":1}}"#
    );
    let rpc = r#"{"jsonrpc":"2.0","method":"eth_call","params":[{"to":"0x1"}],"id":1}"#;
    let rpcs = format!("[{rpc},{{\"jsonrpc\":\"2.0\",\"method\":\"net_version\"}}]");
    let bodies = [
        ("application/json", apollo.to_string()),
        ("application/json", query("query GetUser { user { id } }")),
        (
            "application/json",
            query("{ user(id: \"\u{e9}\\\"\") { id }, items }"),
        ),
        ("application/json", query("query A { a } mutation B { b }")),
        ("application/json", batch),
        ("application/json", persisted),
        ("application/json", rpc.to_owned()),
        ("application/json", rpcs),
        (
            "application/graphql",
            "query Raw($a: [Int]) { a }".to_owned(),
        ),
        ("text/xml", ENVELOPE.to_owned()),
    ];
    for (media_type, body) in &bodies {
        let whole = of_body(media_type, body.as_bytes(), true).unwrap_or_else(|| panic!("{body}"));
        for cut in 0..=body.len() {
            let Some(found) = of_body(media_type, &body.as_bytes()[..cut], false) else {
                continue;
            };
            assert_eq!(found.kind, whole.kind, "{cut} of {body}");
            assert!(
                found.name.is_none() || found.name == whole.name,
                "{found:?} at {cut} of {body}"
            );
        }
        let worth = worth(media_type).unwrap();
        assert!(worth(body.as_bytes()), "{body}");
    }
    assert!(!worth("application/json").unwrap()(
        br#"{"name":"x","query":"{a}"}"#
    ));
    assert!(worth("image/png").is_none());
}

#[test]
fn what_comes_first_says_what_an_object_is() {
    let graphql = r#"{"query":"query A { a }","method":"m","params":[],"id":1,"jsonrpc":"2.0"}"#;
    let rpc = r#"{"jsonrpc":"2.0","method":"m","query":"query A { a }"}"#;
    let late = r#"{"jsonrpc":"2.0","query":"query A { a }","method":"m"}"#;
    for (body, kind, named) in [
        (graphql, OperationKind::Graphql, "query A"),
        (rpc, OperationKind::JsonRpc, "m"),
        (late, OperationKind::Graphql, "query A"),
    ] {
        let whole = json(body).unwrap();
        assert_eq!((whole.kind, whole.name.as_deref()), (kind, Some(named)));
        for cut in 0..body.len() {
            let found = of_body("application/json", &body.as_bytes()[..cut], false);
            assert!(
                found.is_none_or(|found| found.kind == kind),
                "{cut} of {body}"
            );
        }
    }
    // Neither a document nor a call that began as one.
    let odd = r#"{"query":"{ a } b","method":"m","params":[],"id":1}"#;
    assert_eq!(json(odd), None);
}

#[test]
fn hostile_documents_cost_what_they_are_long() {
    let deep = format!("query Deep {}a{}", "{a".repeat(4_000), "}".repeat(4_000));
    let found = json(&query(&deep)).unwrap();
    assert_eq!(
        (name(Some(found.clone())).as_deref(), found.depth),
        (Some("query Deep"), Some(4_000))
    );

    let aliases: String = (0..3_000).map(|n| format!("a{n}:x ")).collect();
    let found = json(&query(&format!("{{{aliases}}}"))).unwrap();
    assert_eq!(
        (found.name.as_deref(), found.aliases),
        (Some("query {x}"), Some(3_000))
    );

    // Every fragment spreads every other: followed once each.
    let spreads: String = (0..100).map(|n| format!("...F{n} ")).collect();
    let circle: String = (0..100)
        .map(|n| format!("fragment F{n} on T {{a{{{spreads}}}}} "))
        .collect();
    let found = json(&query(&format!("query Q {{{spreads}}} {circle}"))).unwrap();
    assert_eq!(found.name.as_deref(), Some("query Q"));
    assert!(found.depth.unwrap() <= 102);

    let chain: String = (0..5_000)
        .map(|n| format!("fragment F{n} on T {{a{{...F{}}}}} ", n + 1))
        .collect();
    assert!(json(&query(&format!("query Q {{...F0}} {chain}"))).is_some());

    let long = "x".repeat(5_000);
    assert_eq!(
        json(&query(&format!("query {long} {{a}}"))).unwrap().name,
        None
    );
    let found = json(&query(&format!("{{ {long} a }}"))).unwrap();
    assert!(found.name.unwrap().len() <= MAX_NAME && found.fields == ["a"]);
    let many: String = (0..500).map(|n| format!("field{n} ")).collect();
    let found = json(&query(&format!("{{ {many} }}"))).unwrap();
    assert!(found.name.unwrap().ends_with(" ...}") && found.fields.len() == MAX_LISTED);

    let one = query("{a}");
    let batch = format!("[{}]", vec![one; 5_000].join(","));
    assert_eq!(json(&batch).unwrap().count, Some(5_000));
    let names: Vec<String> = (0..60)
        .map(|n| query(&format!("query Name{n} {{a}}")))
        .collect();
    let found = json(&format!("[{}]", names.join(","))).unwrap();
    let joined = found.name.unwrap();
    assert!(joined.len() <= MAX_NAME && joined.ends_with(", ..."));

    let nested = "<a>".repeat(50_000);
    let xml = ENVELOPE.replace("<soap:Header a='>'>", &format!("<soap:Header>{nested}"));
    assert_eq!(
        of_body("text/xml", xml.as_bytes(), true).unwrap().name,
        None
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived_and_names_are_bounded(bytes: Vec<u8>, whole: bool, n in 0_usize..5) {
        let types = ["application/json", "application/graphql", "text/xml", "multipart/form-data",
            "application/x-www-form-urlencoded"];
        if let Some(found) = of_body(types[n], &bytes, whole) {
            proptest::prop_assert_eq!(found.clone().bounded(), found);
        }
    }

    /// Pieces of documents in any order: nearer to what parsers take.
    #[test]
    fn any_document_is_survived(words in proptest::collection::vec(
        proptest::sample::select(vec!["query ", "fragment ", "on ", "A ", "b", "{", "}", "(", ")", ":", "...",
            "@", "\"", "\"\"\"", "\\", "#", "\n", "__schema", "1", "$", "é", "mutation", " "]), 0..60),
        whole: bool)
    {
        let text = words.concat();
        let direct = of_body("application/graphql", text.as_bytes(), whole);
        if whole {
            proptest::prop_assert_eq!(&json(&query(&text)), &direct);
        }
        // A beginning never names what the whole does not.
        let all = of_body("application/graphql", text.as_bytes(), true);
        if let (Some(all), Some(name)) = (all, direct.and_then(|d| d.name)) {
            proptest::prop_assert_eq!(all.name, Some(name));
        }
    }
}
