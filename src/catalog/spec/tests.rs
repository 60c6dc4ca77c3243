use std::collections::BTreeMap;

use super::*;

/// A document with these servers and paths, as YAML in flow style.
fn spec(title: &str, servers: &str, paths: &str) -> Spec {
    let text = format!(
        "openapi: 3.0.3\ninfo: {{ title: {title}, version: '1' }}\nservers: {servers}\npaths: {paths}\n"
    );
    parse(&format!("{title}.yaml"), &text).unwrap()
}

fn files<'a>(files: &'a [(&str, &str)]) -> impl FnMut(&str) -> Result<String, String> + 'a {
    let by_name: BTreeMap<_, _> = files.iter().copied().collect();
    move |path| {
        let text = by_name.get(path).copied();
        text.map(str::to_owned).ok_or_else(|| "not there".into())
    }
}

/// `title id template`, the title alone where the place is owned, nothing where it is nobody's.
fn look(set: &SpecSet, host: &str, method: &str, path: &str) -> String {
    let segments = crate::catalog::segment::split(path);
    match set.find(host, method, &segments) {
        None => String::new(),
        Some(Err(owner)) => owner.title.clone(),
        Some(Ok(found)) => {
            let id = found.operation.map_or("-", |(_, o)| &*o.id);
            let parts = found.template().map(|part| match part {
                Part::Word(word) => format!("/{}", word.spelt),
                Part::Param(name) => format!("/{{{name}}}"),
            });
            format!("{} {id} {}", found.spec.title, parts.collect::<String>())
        }
    }
}

#[test]
fn the_longest_scope_owns_a_place() {
    let get = |path: &str, id: &str| format!("{{ {path}: {{ get: {{ operationId: {id} }} }} }}");
    let set = SpecSet::new(vec![
        spec(
            "All",
            "[{ url: 'https://api.example/' }]",
            &get("/status", "status"),
        ),
        spec(
            "Shop",
            "[{ url: 'https://api.example/shop' }]",
            &get("/orders", "orders"),
        ),
        spec("Old", "[{ url: '/shop/v1' }]", &get("/orders", "old")),
        spec(
            "Deep",
            "[{ url: 'https://api.example/Shop/v1/' }]",
            &get("/x", "x"),
        ),
    ]);
    let at = |path: &str| look(&set, "api.example", "GET", path);
    assert_eq!(at("/status"), "All status /status");
    assert_eq!(at("/shop/orders"), "Shop orders /shop/orders");
    assert_eq!(at("/SHOP/Orders"), "Shop orders /shop/orders");
    assert_eq!(
        at("/shop/hidden"),
        "Shop",
        "shadow of its own document alone"
    );
    assert_eq!(at("/shopping"), "All");
    assert_eq!(at("/shop/v1/orders"), "Deep");
    assert_eq!(
        look(&set, "other.example", "GET", "/shop/v1/orders"),
        "Old old /shop/v1/orders"
    );
    assert_eq!(look(&set, "other.example", "GET", "/status"), "");
    assert_eq!(
        look(&set, "api.example", "POST", "/status"),
        "All - /status"
    );
}

#[test]
fn servers_and_their_variables() {
    let paths = "{ /a: { get: { operationId: a } } }";
    let of = |servers: &str| spec("S", servers, paths).scope();
    assert_eq!(of("[]"), ["*/"]);
    assert_eq!(of("[{ url: '/v1' }, { url: 'v2/' }]"), ["*/v1", "*/v2"]);
    assert_eq!(
        of("[{ url: 'https://A.example:443/x' }, { url: 'http://a.example/x' }]"),
        ["a.example/x"]
    );
    assert_eq!(
        of(
            "[{ url: '{s}://{r}.a.example/{v}', variables: { s: { default: https }, r: { enum: [eu, us], default: eu }, v: { default: v1, enum: [v1, v2] } } }]"
        ),
        [
            "eu.a.example/v1",
            "eu.a.example/v2",
            "us.a.example/v1",
            "us.a.example/v2"
        ]
    );
    assert_eq!(
        of(
            "[{ url: 'https://{t}.a.example:{p}/{b}', variables: { t: { default: demo }, p: { default: '8443' }, b: { default: v2 } } }]"
        ),
        ["*.a.example:*/v2"]
    );
    assert_eq!(
        of("[{ url: 'https://{h}/v1', variables: { h: { default: a.example } } }]"),
        ["a.example/v1"]
    );
    let set = SpecSet::new(vec![spec(
        "T",
        "[{ url: 'https://{tenant}.a.example', variables: { tenant: { default: x } } }]",
        paths,
    )]);
    assert_eq!(look(&set, "acme.a.example", "GET", "/a"), "T a /a");
    for other in [
        "a.example",
        "b.acme.a.example",
        ".a.example",
        "acme.a.example.evil",
    ] {
        assert_eq!(look(&set, other, "GET", "/a"), "", "{other}");
    }
}

#[test]
fn path_items_and_operations_may_have_servers_of_their_own() {
    let set = SpecSet::new(vec![spec(
        "S",
        "[{ url: 'https://api.example/v1' }]",
        "{ /a: { get: { operationId: a }, put: { operationId: up, servers: [{ url: 'https://upload.example' }] } }, /b: { servers: [{ url: 'https://b.example/' }], get: { operationId: b } } }",
    )]);
    assert_eq!(look(&set, "api.example", "GET", "/v1/a"), "S a /v1/a");
    assert_eq!(look(&set, "api.example", "PUT", "/v1/a"), "S - /v1/a");
    assert_eq!(look(&set, "upload.example", "PUT", "/a"), "S up /a");
    assert_eq!(look(&set, "b.example", "GET", "/b"), "S b /b");
    let listed = set.specs()[0].listing();
    assert_eq!(listed.len(), 3);
    let up = listed.iter().find(|l| &*l.id == "up").unwrap();
    let place = [up.method, &*up.host, &*up.template];
    assert_eq!(place, ["PUT", "upload.example", "/a"]);
}

#[test]
fn a_document_may_be_bound_to_hosts() {
    let paths = "{ /a: { get: { operationId: a } } }";
    let mut bound = spec("S", "[{ url: 'http://localhost:3000/v1' }]", paths);
    let before = bound.digest;
    bound.bind(&["API.example".into(), "*.pods.example".into()]);
    assert_ne!(bound.digest, before);
    assert_eq!(bound.scope(), ["api.example/v1", "*.pods.example/v1"]);
    let set = SpecSet::new(vec![bound]);
    assert_eq!(look(&set, "p7.pods.example", "GET", "/v1/a"), "S a /v1/a");
    assert_eq!(look(&set, "localhost:3000", "GET", "/v1/a"), "");
}

#[test]
fn words_stand_before_patterns_and_these_before_parameters() {
    let set = SpecSet::new(vec![spec(
        "S",
        "[]",
        "{ '/f/{id}': { get: { operationId: p } }, '/f/{id}.json': { get: { operationId: j } }, '/f/index.json': { get: { operationId: i } }, '/c/{base}...{head}': { get: { operationId: c } }, '/f/{id}/x': { get: { operationId: x } } }",
    )]);
    let at = |path: &str| look(&set, "h", "GET", path);
    assert_eq!(at("/f/7"), "S p /f/{id}");
    assert_eq!(at("/f/7.JSON"), "S j /f/{id}.json");
    assert_eq!(at("/f/Index.json"), "S i /f/index.json");
    assert_eq!(
        at("/f/index.json/x"),
        "S x /f/{id}/x",
        "there is a way back"
    );
    assert_eq!(at("/c/main...topic"), "S c /c/{base}...{head}");
    assert_eq!(at("/c/main"), "S");
}

#[test]
fn openapi_2_has_host_and_base_path() {
    let text = r#"{"swagger":"2.0","info":{"title":"Two","version":"1"},"host":"api.example:443","basePath":"/v2","schemes":["https"],"paths":{"/a":{"get":{}},"x-y":{}}}"#;
    let set = SpecSet::new(vec![parse("two.json", text).unwrap()]);
    assert_eq!(
        look(&set, "api.example", "GET", "/v2/a"),
        "Two GET /a /v2/a"
    );
    assert_eq!(set.specs()[0].operations, 1);
}

#[test]
fn references_lead_within_and_across_files() {
    let root = r##"
openapi: 3.1.0
info: { title: T, version: '1' }
paths:
  /a: { $ref: 'paths/a.yaml#/~1a%7Bid%7D' }
  /b: { $ref: '#/components/pathItems/b~0x' }
components:
  pathItems: { 'b~x': { get: { operationId: b } } }
  schemas:
    Loop: { $ref: '#/components/schemas/Pool' }
    Pool: { $ref: '#/components/schemas/Loop' }
    Far: { $ref: 'https://example.com/schema.json#/X' }
    None: { $ref: '#/components/schemas/Nothing' }
"##;
    let a = r#"{"/a{id}":{"get":{"operationId":"a","responses":{"200":{"$ref":"../common.yaml#/ok"}}}}}"#;
    let common = "ok: { content: { application/json: { schema: { $ref: './paths/a.yaml#/~1a{id}/get' } } } }";
    let texts = [("paths/a.yaml", a), ("common.yaml", common)];
    let mut read = files(&texts);
    let spec = load("dir/api.yaml", root, &mut read).unwrap();
    assert_eq!(spec.operations, 2);
    let notes = spec.notes.join("\n");
    assert!(
        notes.contains("dir/api.yaml:12: `https://example.com/schema.json#/X` is not read"),
        "{notes}"
    );
    assert!(
        notes.contains("dir/api.yaml:13: `#/components/schemas/Nothing` points nowhere"),
        "{notes}"
    );
    let (_, own) = spec.place(&spec.all[0]).unwrap();
    let ok = spec
        .document
        .get(own.child("responses").unwrap(), "200")
        .unwrap();
    let json = ok
        .child("content")
        .unwrap()
        .child("application/json")
        .unwrap();
    let schema = spec.document.get(json, "schema").unwrap();
    assert_eq!(schema.str("operationId"), Some("a"));
    let schemas = spec
        .document
        .root()
        .child("components")
        .unwrap()
        .child("schemas")
        .unwrap();
    assert!(
        spec.document.get(schemas, "Loop").is_none(),
        "a circle ends"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let fail = |text: &str| parse("a.yaml", text).unwrap_err().to_string();
    assert!(fail("openapi: 3.0.0\npaths:\n  /a: [\n").starts_with("a.yaml:"));
    assert!(fail("{\n\"openapi\": \"3.0.0\",\n oops }").starts_with("a.yaml:3: "));
    assert_eq!(
        fail("info: {}\n"),
        "a.yaml: no OpenAPI document: neither `openapi` nor `swagger` at the top"
    );
    assert!(fail("info: {}\nopenapi: 4.0.0\n").starts_with("a.yaml:2: OpenAPI version 4.0.0"));
    assert!(fail("openapi: 3.0.0\n\npaths: 7\n").starts_with("a.yaml:3: `paths`"));
    let nowhere = fail("openapi: 3.0.0\npaths:\n  /gone: { $ref: '#/nothing' }\n");
    assert_eq!(nowhere, "a.yaml:3: the `$ref` of `/gone` points nowhere");
    let other = fail("openapi: 3.0.0\npaths:\n  /gone: { $ref: 'other.yaml' }\n");
    assert_eq!(other, "a.yaml:3: `other.yaml`: no other file is read here");
    let part = load(
        "d/a.yaml",
        "openapi: 3.0.0\npaths:\n  /a: { $ref: 'p.json' }\n",
        &mut files(&[("p.json", "{\n{")]),
    );
    assert!(part.unwrap_err().to_string().starts_with("d/p.json:2: "));
}

#[test]
fn what_is_huge_ends_with_an_error() {
    let mut paths = String::new();
    for n in 0..=MAX_OPERATIONS {
        paths.push_str(&format!("\"/p{n}\":{{\"get\":{{}}}},"));
    }
    let text = format!("{{\"openapi\":\"3.0.0\",\"paths\":{{{paths}\"/z\":{{}}}}}}");
    let why = parse("a.json", &text).unwrap_err().to_string();
    assert!(why.contains("more than 50000 operations"), "{why}");
    // Files that refer to ever more files.
    let mut number = 0;
    let endless = load(
        "a.yaml",
        "openapi: 3.0.0\npaths: {}\nx: { $ref: 'f0.yaml' }\n",
        &mut |_| {
            number += 1;
            Ok(format!("$ref: f{number}.yaml\n"))
        },
    );
    assert!(endless.unwrap_err().reason.contains("more than 256 files"));
    let big = load(
        "a.yaml",
        "openapi: 3.0.0\npaths: {}\nx: { $ref: 'f.json' }\n",
        &mut |_| Ok(" ".repeat((64 << 20) + 1)),
    );
    assert!(big.unwrap_err().reason.contains("64 MiB"));
}

const FAULTY: &str = "openapi: 3.0.3
info: { title: Faulty, version: '1' }
paths:
  /a:
    get: 5
    post:
      operationId: same
      parameters:
        - { name: n, in: nowhere, schema: { type: strnig } }
        - { in: query }
      responses:
        '20x': { description: none }
        '404': { description: none }
        2XX: { description: some }
  /b: []
  v2/bad:
    gett: {}
    get: { operationId: same, responses: { default: {} } }
  /fine:
    summary: nothing wrong
    parameters: [{ $ref: '#/components/parameters/page' }]
    get: { x-any: 1, responses: { 200: {} } }
components:
  parameters:
    page: { name: page, in: query, schema: { type: integer } }
  schemas:
    type: { type: object, properties: { type: { enum: [type, strnig] }, in: { type: [string, 'null'] } } }
  securitySchemes:
    key: { type: apiKey, in: header, name: k }
";

#[test]
fn every_fault_is_said_with_its_place_and_what_mends_it() {
    let spec = parse("faulty.yaml", FAULTY).unwrap();
    let expected = [
        (
            "faulty.yaml",
            "no server names a host: it owns this place on every host",
        ),
        (
            "faulty.yaml:5:5",
            "`get` of `/a` is no operation, and is left out",
        ),
        (
            "faulty.yaml:8:7",
            "a parameter has no `name`, and is left out",
        ),
        ("faulty.yaml:9:26", "a parameter cannot be in `nowhere`"),
        (
            "faulty.yaml:9:51",
            "there is no type `strnig`: that part takes anything",
        ),
        ("faulty.yaml:12:10", "`20x` is no status of a response"),
        (
            "faulty.yaml:15:3",
            "`/b` is no path item, and has no operation",
        ),
        (
            "faulty.yaml:16:3",
            "the path `v2/bad` does not begin with `/`: it is read as if it did",
        ),
        (
            "faulty.yaml:17:5",
            "`gett` of `v2/bad` is no method that is read here",
        ),
        (
            "faulty.yaml:18:25",
            "`same` is the `operationId` of POST /a already",
        ),
    ];
    let found = spec.notes.iter().map(|note| {
        let (place, what) = note.split_once(": ").unwrap();
        let (what, mend) = what.split_once("; ").unwrap();
        assert!(!mend.is_empty(), "{note}");
        (place, what)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn faults_of_json_have_their_places_too_and_are_bounded() {
    let text = "{\"openapi\": \"3.1.0\",\n \"servers\": [{\"url\": \"https://a.example\"}],\n \"paths\": {\"/x\": {\"get\": {\"parameters\":\n  [{\"name\": \"q\", \"in\": \"nowhere\"}]}}}}";
    let spec = parse("a.json", text).unwrap();
    assert_eq!(spec.notes.len(), 1, "{:?}", spec.notes);
    assert!(spec.notes[0].starts_with("a.json:4:25: a parameter cannot be in `nowhere`"));
    let paths: String = (0..200).map(|n| format!("  /p{n}: []\n")).collect();
    let many =
        format!("openapi: 3.0.3\nservers: [{{ url: 'https://a.example' }}]\npaths:\n{paths}");
    let notes = parse("many.yaml", &many).unwrap().notes;
    assert_eq!(notes.len(), 51);
    assert!(notes[50].ends_with("and 150 more faults"), "{}", notes[50]);
}

#[test]
fn a_document_that_is_bound_has_hosts_and_an_empty_one_owns_nothing() {
    let text = "openapi: 3.0.3\ninfo: { title: T }\npaths: {}\n";
    let mut empty = parse("t.yaml", text).unwrap();
    assert_eq!(empty.notes.len(), 2, "{:?}", empty.notes);
    assert!(empty.notes[1].starts_with("t.yaml:3:1: `paths` is empty"));
    empty.bind(&["a.example".to_owned()]);
    assert_eq!(empty.notes.len(), 1);
    let set = SpecSet::new(vec![empty]);
    assert_eq!(look(&set, "a.example", "GET", "/x"), "");
}

#[test]
fn what_two_documents_have_is_held_by_the_first() {
    let servers = "[{ url: 'https://api.example/' }]";
    let both = "{ /orders: { get: { operationId: list } }, /own: { get: { operationId: own } } }";
    let first = spec(
        "First",
        servers,
        "{ /orders: { get: { operationId: orders } } }",
    );
    let mut second = spec("Second", servers, both);
    second.id = "second".into();
    let set = SpecSet::new(vec![first, second]);
    let held = |spec: &Spec| -> Vec<String> {
        let held = spec.held(&set);
        held.map(|(listed, holder, id)| format!("{} {} {id}", listed.id, holder.title))
            .collect()
    };
    assert_eq!(held(set.by_id("second").unwrap()), ["list First orders"]);
    assert!(held(&set.specs()[0]).is_empty());
}
