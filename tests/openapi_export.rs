//! What `--format openapi` writes is legal by openapi-spec-validator, and read back as a spec it
//! documents what it was made from: the same templates, the same names, the same document again.
//!
//! `make peers-deps` installs the validator into `target/peers`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use apitap::analysis::{Analysis, Settings};
use apitap::catalog::spec::{SpecSet, parse};
use apitap::catalog::{CatalogView, Documentation, EndpointView, Kind, openapi};
use apitap::exchange::{Exchange, parse_line};
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "support/captures.rs"]
mod captures;
#[path = "support/change.rs"]
mod change;
#[path = "support/replay.rs"]
mod replay;

/// Lines that a call of templating traffic is tried with; all of it would take a debug build long.
const TEMPLATING_LINES: usize = 12_000;

fn inventory(exchanges: &[Exchange], specs: SpecSet) -> Arc<CatalogView> {
    let mut analysis = Analysis::new(Settings::default());
    let mut alerts = Vec::new();
    analysis.set_specs(specs, &mut alerts);
    for x in exchanges {
        analysis.apply(x.end, x, &mut alerts);
    }
    let last = exchanges.iter().map(|x| x.end).max().unwrap();
    analysis.finish(last, &mut alerts);
    analysis.view()
}

fn documents(view: &CatalogView) -> Vec<Value> {
    let endpoints: Vec<&EndpointView> = view.endpoints.iter().map(AsRef::as_ref).collect();
    openapi::documents(&endpoints)
}

/// Documented text may differ: it is no part of what a document means.
fn without_text(mut document: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.shift_remove("description");
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut document);
    document
}

type Described = BTreeMap<String, (Documentation, Vec<String>)>;

/// Confirmed endpoints of these kinds, as far as OpenAPI has a place for their methods, with the names of
/// their parameters.
fn described(view: &CatalogView, kinds: &[Kind]) -> Described {
    const METHODS: [&str; 8] = [
        "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE",
    ];
    let kept = view
        .endpoints
        .iter()
        .filter(|e| e.confirmed && kinds.contains(&e.kind) && METHODS.contains(&e.method.as_str()));
    let names = |e: &EndpointView| e.path_parameters.iter().map(|p| p.name.clone()).collect();
    kept.map(|e| (e.label(), (e.documentation, names(e))))
        .collect()
}

/// What one has that the other has not so.
fn beyond(one: &Described, other: &Described) -> Vec<String> {
    let only = one.iter().filter(|(k, v)| other.get(*k) != Some(v));
    only.map(|x| format!("{x:?}")).collect()
}

/// The documents of these exchanges, which were read back and made again.
fn round_trip(exchanges: &[Exchange]) -> Result<Vec<Value>, TestCaseError> {
    let back = read_back(exchanges)?;
    prop_assert!(back.lost.is_empty(), "{:#?}", back.lost);
    prop_assert!(back.new.is_empty(), "{:#?}", back.new);
    prop_assert_eq!(back.again.len(), back.made.len());
    for (one, other) in back.made.iter().zip(back.again) {
        let (one, other) = (without_text(one.clone()), without_text(other));
        for (path, item) in one["paths"].as_object().unwrap() {
            prop_assert_eq!(item, &other["paths"][path], "{}", path);
        }
        prop_assert_eq!(one, other);
    }
    Ok(back.made)
}

struct Back {
    made: Vec<Value>,
    again: Vec<Value>,
    /// Endpoints the first time.
    described: usize,
    /// Those that are not documented, or named otherwise, the second time.
    lost: Vec<String>,
    /// What is described beyond the first time.
    new: Vec<String>,
}

/// Documents of these exchanges, and what the inventory is once they are loaded.
fn read_back(exchanges: &[Exchange]) -> Result<Back, TestCaseError> {
    let first = inventory(exchanges, SpecSet::default());
    let made = documents(&first);
    let read = made.iter().enumerate().map(|(n, document)| {
        parse(&format!("{n}.json"), &document.to_string())
            .map_err(|e| TestCaseError::fail(e.to_string()))
    });
    let specs = SpecSet::new(read.collect::<Result<_, _>>()?);
    let second = inventory(exchanges, specs);
    let mut expected = described(&first, &[Kind::Api]);
    for (documentation, _) in expected.values_mut() {
        *documentation = Documentation::Documented;
    }
    let found = described(&second, &[Kind::Api]);
    // What else a parameter takes, once a spec has it, may be files.
    let lost = beyond(&expected, &described(&second, &[Kind::Api, Kind::Static]));
    let new = beyond(&found, &expected);
    let again = documents(&second);
    let described = expected.len();
    Ok(Back {
        made,
        again,
        described,
        lost,
        new,
    })
}

/// The public validator; `None` where it is not installed, which is said.
fn validate(documents: &[Value]) -> Option<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/peers/bin/python");
    if !python.exists() {
        let needed = std::env::var_os("APITAP_NEED_NETNS").is_some();
        let what = format!("{} (`make peers-deps` makes it)", python.display());
        assert!(!needed, "required here, and missing: {what}");
        eprintln!("SKIPPED: {what}");
        return None;
    }
    let mut validator = Command::new(python)
        .arg(root.join("tests/peers/validate_openapi.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = documents.iter().map(|d| format!("{d}\n")).collect();
    validator
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let out = validator.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}");
    let expected = format!("{} documents, 0 errors", documents.len());
    assert!(said.contains(&expected), "{said}");
    Some(())
}

/// Each call some times over, by several callers, in packet time.
fn exchanges(calls: &[Value]) -> Vec<Exchange> {
    let mut out = Vec::new();
    for round in 0..12 {
        for call in calls {
            let mut line = call.clone();
            line["v"] = 1.into();
            line["ts"] = (1_760_000_000.0 + out.len() as f64).into();
            line["client"] = format!("192.0.2.{}", round % 5 + 1).into();
            if let Some(path) = line["path"].as_str() {
                line["path"] = path.replace("<n>", &(1_000 + round).to_string()).into();
            }
            out.push(parse_line(line.to_string().as_bytes()).unwrap());
        }
    }
    out
}

/// Calls of many shapes.
fn shapes() -> Vec<Value> {
    let call = |method: &str, path: &str, status: u16| json!({ "method": method, "host": "api.example", "path": path, "status": status });
    let with = |mut call: Value, more: Value| {
        for (name, value) in more.as_object().unwrap() {
            call[name] = value.clone();
        }
        call
    };
    let body = json!({ "": "object", "/id": "integer", "/mail": "null|string email pii:email", "/tags": "array", "/tags/*": "string",
        "/owner": "object optional", "/owner/name": "string optional", "/a~1b": "number", "/by": "object", "/by/*": "integer" });
    let mut calls = vec![
        with(
            call("GET", "/v1/users/<n>", 200),
            json!({ "auth": "bearer", "identity": "bearer:1", "query_shape": { "": "object", "/page": "integer", "/filter[x]": "string optional" },
                "request_headers": ["accept", "x-tenant"], "response_headers": ["content-type", "etag"], "content_type": "application/json", "response_shape": body }),
        ),
        call("GET", "/v1/users/<n>", 404),
        call("GET", "/v1/users/<n>", 500),
        call("HEAD", "/v1/users/<n>", 200),
        with(
            call("POST", "/v1/users", 201),
            json!({ "auth": "jwt", "identity": "jwt:1", "request_content_type": "application/json", "request_shape": body, "content_type": "application/json",
                "response_shape": { "": "array", "/*": "object", "/*/id": "integer" }, "deprecation": 1_700_000_000 }),
        ),
        with(
            call("DELETE", "/v1/users/<n>", 204),
            json!({ "auth": "basic", "identity": "basic:1" }),
        ),
        with(call("DELETE", "/v1/users/<n>", 204), json!({})),
        with(
            call("PUT", "/v1/users/<n>/avatar", 200),
            json!({ "auth": "apikey", "identity": "apikey:1", "auth_in": { "header:x-api-key": "apikey" } }),
        ),
        call("PATCH", "/v1/orders/5f0c1a2b3c4d/items/<n>", 200),
        call("GET", "/v1/days/2026-11-26", 200),
        call("GET", "/v1/mail/ann@mail.example", 200),
        call("PROPFIND", "/dav/files", 207),
        call("GET", "/", 200),
        with(
            call("GET", "/other", 200),
            json!({ "host": "other.example:8080" }),
        ),
        with(
            call("GET", "/v6", 200),
            json!({ "host": "[2001:db8::1]:8443" }),
        ),
        with(
            call("POST", "/pkg.Service/Call", 200),
            json!({ "rpc": "grpc", "request_content_type": "application/grpc",
            "request_shape": { "": "object", "/1": "varint", "/2": "len", "/2/1": "varint" } }),
        ),
    ];
    for name in ["query A", "mutation B", "query C"] {
        calls.push(with(
            call("POST", "/graphql", 200),
            json!({ "operation": name, "operation_kind": "graphql", "content_type": "application/json",
                "response_shape": { "": "object", format!("/{}", &name[..1]): "integer" } }),
        ));
    }
    // What a path may hold that a template must not be read otherwise for.
    // Each at a place of its own, else they are values.
    for path in [
        "/v10/%7Bid%7D",
        "/v11/{id}",
        "/v12/%7B",
        "/v13/a%2Fb",
        "/v14/a%20b",
        "/v15/a%25b",
        "/v16/a%2525b",
        "/v17/%D0%BF%D1%83%D1%82%D1%8C",
        "/v18/путь2",
        "/v19/a%3Bb",
        "/v20/a;b=c",
        "/v21/a%3Fb",
        "/v22/a%23b",
        "/v23/%00x",
        "/v24/a%FFb",
        "/v25/..%2F..",
        "/v26/a..b",
        "/v27/a b",
        "/v28/[x]",
        "/v29/a|b",
        "/v30/\"q\"",
        "/v31/<s>",
        "/v32/A-b",
        "/v33/a-B/c",
        "/v34/{/<n>",
        "/v35/x}y/<n>",
        "/v36/%C4%B0x",
    ] {
        calls.push(call("GET", path, 200));
        calls.push(call("POST", path, 200));
    }
    calls
}

#[test]
fn calls_of_many_shapes() {
    let made = round_trip(&exchanges(&shapes())).unwrap();
    assert_eq!(made.len(), 3);
    validate(&made);
    let api = made
        .iter()
        .find(|d| d["servers"][0]["url"] == "http://api.example")
        .unwrap();
    assert_eq!(api["x-apitap-left-out"], json!(["PROPFIND /dav/files"]));
    let get = &api["paths"]["/v1/users/{user_id}"]["get"];
    let codes: Vec<&String> = get["responses"].as_object().unwrap().keys().collect();
    assert_eq!(codes, ["200", "404", "500"]);
    assert_eq!(get["operationId"], "get_v1_users_user_id");
    let parameters = get["parameters"].as_array().unwrap();
    let places: Vec<(&str, &str)> = parameters
        .iter()
        .map(|p| (p["in"].as_str().unwrap(), p["name"].as_str().unwrap()))
        .collect();
    assert_eq!(
        places,
        [
            ("path", "user_id"),
            ("header", "x-tenant"),
            ("query", "filter[x]"),
            ("query", "page")
        ]
    );
    let content = &get["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(
        content["properties"]["mail"]["x-apitap-sensitive"],
        json!(["pii:email"])
    );
    let post = &api["paths"]["/v1/users"]["post"];
    assert_eq!(
        (&post["deprecated"], &post["security"]),
        (&json!(true), &json!([{ "jwt": [] }]))
    );
    let delete = &api["paths"]["/v1/users/{user_id}"]["delete"];
    assert_eq!(delete["security"], json!([{}, { "basic": [] }]));
    assert!(delete["responses"]["204"].get("content").is_none());
    let schemes = &api["components"]["securitySchemes"];
    assert_eq!(
        schemes["jwt"],
        json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" })
    );
    let key = json!({ "type": "apiKey", "in": "header", "name": "x-api-key" });
    assert_eq!(schemes["apikey-header-x-api-key"], key, "{schemes}");
    let graphql = &api["paths"]["/graphql"]["post"];
    assert_eq!(graphql["x-apitap-operations"].as_array().unwrap().len(), 3);
    let schema = &graphql["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(schema["anyOf"].as_array().unwrap().len(), 2, "{schema}");
    for path in [
        "/v10/%7Bid%7D",
        "/v13/a%2Fb",
        "/v14/a%20b",
        "/v15/a%25b",
        "/v17/%D0%BF%D1%83%D1%82%D1%8C",
    ] {
        assert!(api["paths"][path]["get"].is_object(), "{path}");
    }
}

/// Tenants with hosts of their own share a document, whose server has the tenant as a variable.
#[test]
fn tenants_share_a_document() {
    let mut calls = Vec::new();
    for tenant in [
        "acme", "birch", "cedar", "dahlia", "elm", "fir", "gorse", "hazel", "iris", "juniper",
    ] {
        for path in ["/v1/users/<n>", "/v1/orders", "/v1/orders/<n>/items"] {
            let host = format!("{tenant}.tenants.example");
            calls.push(json!({ "method": "GET", "host": host, "path": path, "status": 200 }));
        }
    }
    let made = round_trip(&exchanges(&calls)).unwrap();
    let servers: Vec<&Value> = made.iter().map(|d| &d["servers"][0]["url"]).collect();
    assert_eq!(servers, ["http://{tenant}.tenants.example"]);
    validate(&made);
}

/// By the program: several hosts are several documents, `--host` takes one.
#[test]
fn a_document_for_each_host() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.jsonl");
    let lines: String = exchanges(&shapes())
        .iter()
        .map(|x| {
            let mut line = Vec::new();
            apitap::exchange::write_line(x, &mut line);
            String::from_utf8(line).unwrap()
        })
        .collect();
    std::fs::write(&file, lines).unwrap();
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
            .args(["analyze", "--format", "openapi"])
            .args(args)
            .arg(&file)
            .output()
            .unwrap();
        assert!(out.status.success());
        let all = serde_json::Deserializer::from_slice(&out.stdout).into_iter::<Value>();
        all.map(|d| d.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(run(&[]).len(), 3);
    let one = run(&["--host", "other.example:8080"]);
    assert_eq!(one.len(), 1);
    assert!(one[0]["paths"]["/other"]["get"].is_object());
    let none = run(&["--host", "nobody.example"]);
    assert_eq!(none[0]["paths"], json!({}));
}

#[test]
fn the_exchanges_of_real_captures() {
    let small = |p: &PathBuf| std::fs::metadata(p).is_ok_and(|m| m.len() < 1 << 20);
    let (mut made, mut files) = (Vec::new(), 0);
    for path in captures::captures().into_iter().filter(small) {
        let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
            .args(["read", "--format", "exchanges"])
            .arg(&path)
            .output()
            .unwrap();
        let lines = out.stdout.split(|b| *b == b'\n');
        let mut read: Vec<Exchange> = lines.filter_map(|l| parse_line(l).ok()).collect();
        read.sort_by_key(|x| x.end);
        if !read.is_empty() {
            files += 1;
            made.extend(round_trip(&read).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
        }
    }
    if files > 0 {
        println!("{files} captures, {} documents", made.len());
        assert!(made.len() > 5);
        validate(&made);
    }
}

#[test]
fn the_templating_traffic() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/templating");
    if !dir.is_dir() {
        eprintln!("SKIPPED: {} is absent", dir.display());
        return;
    }
    let mut made = Vec::new();
    for api in ["box", "kubernetes", "slack"] {
        let file = std::fs::File::open(dir.join(format!("{api}.requests.jsonl.gz"))).unwrap();
        let lines = BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines();
        let lines = lines.take(TEMPLATING_LINES).map(|l| l.unwrap());
        let mut read: Vec<Exchange> = lines
            .filter_map(|l| parse_line(l.as_bytes()).ok())
            .collect();
        read.sort_by_key(|x| x.end);
        let back = read_back(&read).unwrap_or_else(|e| panic!("{api}: {e}"));
        // A spec's words are kept out of what siblings are judged by, and its parameters take what was
        // refused before anything answered: where free text was taken for words in part, some
        // requests go another way, and what was seen too seldom to be described comes together.
        println!(
            "{api}: {} of {} endpoints not as before, {} new",
            back.lost.len(),
            back.described,
            back.new.len()
        );
        assert!(back.lost.len() * 50 <= back.described, "{:#?}", back.lost);
        assert!(back.new.len() * 10 <= back.described, "{:#?}", back.new);
        let documents = back.made;
        let operations: usize = documents
            .iter()
            .flat_map(|d| d["paths"].as_object().unwrap().values())
            .map(|item| item.as_object().unwrap().len())
            .sum();
        println!(
            "{api}: {} documents, {operations} operations",
            documents.len()
        );
        assert!(operations > 50, "{api}");
        made.extend(documents);
    }
    validate(&made);
}

/// Segments as people and scanners write them.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{1,2}",
        2 => "[0-9]{1,3}",
        2 => Just("{id}".to_owned()),
        2 => "%7B[a-b]?%7D?",
        2 => "[a-b]?%(25|2F|20|3B|3F|23|00|FF|2E)[a-b.]?",
        2 => "[{}%;.,:@!$&'()*+=~|^`\\[\\]<> \"-]{1,3}",
        1 => "\\PC{1,4}",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_path_the_document_is_legal(
        paths in proptest::collection::vec(
            (prop_oneof![Just("GET"), Just("POST")], proptest::collection::vec(segment(), 0..5)), 1..40,
        ),
    ) {
        let calls: Vec<Value> = paths
            .iter()
            .map(|(method, segments)| json!({ "method": method, "host": "h.example", "path": format!("/{}", segments.join("/")), "status": 200 }))
            .collect();
        let made = round_trip(&exchanges(&calls))?;
        for document in &made {
            let mut seen = std::collections::BTreeSet::new();
            for path in document["paths"].as_object().unwrap().keys() {
                let legal = |c: char| c.is_ascii_graphic() && !"\"<>\\^`|".contains(c);
                prop_assert!(path.starts_with('/') && path.chars().all(legal), "{}", path);
                let shape: String = path.split('/').map(|s| if s.starts_with('{') { "/{}".to_owned() } else { format!("/{s}") }).collect();
                prop_assert!(seen.insert(shape), "{}", path);
            }
        }
        validate(&made);
    }
}
