//! Drift from a document, by the program itself: from exchange lines, and from packets.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use apitap::compose::{Conversation, write_pcap};
use apitap::time::Timestamp;
use serde_json::{Value, json};

/// The operation in each dialect: `POST /v1/orders`, with a query, a key and a body.
const TWO: &str = "
swagger: '2.0'
info: { title: Shop, version: '1' }
host: shop.example
basePath: /v1
consumes: [application/json]
produces: [application/json]
securityDefinitions: { key: { type: apiKey, in: header, name: Authorization } }
security: [{ key: [] }]
definitions:
  Order: { type: object, required: [id, total], properties: { id: { type: integer }, total: { type: integer }, note: { type: string, x-nullable: true } } }
paths:
  /orders:
    post:
      parameters:
        - { name: dry, in: query, type: boolean }
        - { name: order, in: body, required: true, schema: { type: object, required: [items], properties: { items: { type: array, items: { type: string } } } } }
      responses: { '201': { description: made, schema: { $ref: '#/definitions/Order' } } }
";

const THREE: &str = "
openapi: 3.0.3
info: { title: Shop, version: '1' }
servers: [{ url: 'https://shop.example/v1' }]
security: [{ token: [] }]
components:
  securitySchemes: { token: { type: http, scheme: bearer } }
  schemas:
    Order: { type: object, required: [id, total], properties: { id: { type: integer }, total: { type: integer }, note: { type: string, nullable: true } } }
paths:
  /orders:
    post:
      parameters: [{ name: dry, in: query, schema: { type: boolean } }]
      requestBody: { content: { application/json: { schema: { type: object, required: [items], properties: { items: { type: array, items: { type: string } } } } } } }
      responses: { '201': { description: made, content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } } } }
";

fn three_one() -> String {
    THREE.replace("3.0.3", "3.1.0").replace(
        "{ type: string, nullable: true }",
        "{ type: [string, 'null'] }",
    )
}

fn apitap(dir: &Path, args: &[&str], input: &Path) -> Vec<Value> {
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .args(args)
        .arg("--state")
        .args([tempfile::tempdir_in(dir).unwrap().path(), input])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{complaint}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// An exchange as the documents have it.
fn exchange(n: i64) -> Value {
    json!({
        "v": 1, "ts": 1_760_000_000 + n, "client": "192.0.2.1", "server": "192.0.2.9", "server_port": 443,
        "method": "POST", "host": "shop.example", "path": "/v1/orders", "query": "dry=true", "status": 201,
        "request_content_type": "application/json", "content_type": "application/json",
        "request_bytes": 20, "response_bytes": 40, "identity": "bearer:5f0c", "auth": "bearer",
        "query_shape": { "": "object", "/dry": "boolean" },
        "request_shape": { "": "object", "/items": "array", "/items/*": "string" },
        "response_shape": { "": "object", "/id": "integer", "/total": "integer", "/note": "null|string" },
    })
}

/// `kind direction name` of what each document finds in three such exchanges, which must be the
/// same for all of them; with the alerts.
fn drift(change: impl Fn(&mut Value)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("lines.jsonl");
    let mut text = String::new();
    for n in 0..3 {
        let mut x = exchange(n);
        change(&mut x);
        text.push_str(&format!("{x}\n"));
    }
    std::fs::write(&lines, text).unwrap();
    let mut found: Option<Vec<String>> = None;
    for (name, document) in [
        ("2.0", TWO.to_owned()),
        ("3.0", THREE.into()),
        ("3.1", three_one()),
    ] {
        let spec = dir.path().join(format!("{name}.yaml"));
        std::fs::write(&spec, document).unwrap();
        let spec = spec.to_str().unwrap();
        let inventory = apitap(
            dir.path(),
            &["analyze", "--spec", spec, "--format", "inventory"],
            &lines,
        );
        assert_eq!(inventory.len(), 1);
        let said = inventory[0]["drift"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = |d: &Value, key: &str| d[key].as_str().unwrap_or_default().to_owned();
        let one = |d: &Value| {
            assert_eq!(
                (&d["count"], &d["first_seen"], &d["last_seen"]),
                (&json!(3), &json!(1_760_000_000.0), &json!(1_760_000_002.0))
            );
            format!(
                "{} {} {}",
                text(d, "kind"),
                text(d, "direction"),
                text(d, "name")
            )
        };
        let all: Vec<String> = said.iter().map(one).collect();
        let alerts = apitap(
            dir.path(),
            &["analyze", "--spec", spec, "--format", "alerts"],
            &lines,
        );
        let alerts = alerts.iter().filter(|a| a["kind"] == "drift");
        let mut kinds: Vec<_> = said.iter().map(|d| text(d, "kind")).collect();
        kinds.dedup();
        assert_eq!(
            alerts.count(),
            kinds.len(),
            "{name}: one alert for each kind"
        );
        if let Some(others) = &found {
            assert_eq!(&all, others, "{name}");
        }
        found = Some(all);
    }
    found.unwrap()
}

#[test]
fn what_the_documents_say_is_no_drift() {
    assert_eq!(drift(|_| ()), Vec::<String>::new());
}

#[test]
fn fields_parameters_types() {
    let found = drift(|x| {
        x["query_shape"]["/debug"] = json!("boolean");
        x["request_shape"] = json!({ "": "object", "/coupon": "string" });
        x["response_shape"] =
            json!({ "": "object", "/id": "string", "/total": "number", "/cost": "integer" });
    });
    assert_eq!(
        found,
        [
            "undocumented-field request /coupon",
            "undocumented-field response /cost",
            "missing-required request /items",
            "wrong-type response /id",
            "wrong-type response /total",
            "undocumented-parameter request debug",
        ]
    );
}

#[test]
fn statuses_types_of_content_and_authentication() {
    assert_eq!(
        drift(|x| x["status"] = json!(202)),
        ["undocumented-status response 202"]
    );
    let found = drift(|x| {
        x["content_type"] = json!("text/csv");
        x["auth"] = json!("cookie");
        x["response_shape"] = Value::Null;
        x.as_object_mut().unwrap().remove("response_shape");
    });
    assert_eq!(
        found,
        [
            "undocumented-content-type response text/csv",
            "undocumented-auth request cookie"
        ]
    );
    let anonymous = drift(|x| {
        let fields = x.as_object_mut().unwrap();
        fields.remove("auth");
        fields.remove("identity");
    });
    assert_eq!(anonymous, ["undocumented-auth request none"]);
}

#[test]
fn what_was_not_seen_whole_is_not_said_to_be_missing() {
    let silent = drift(|x| {
        x["partial"] = json!(["truncated"]);
        x["request_shape"] = json!({ "": "object" });
        x["response_shape"] = json!({ "": "object" });
    });
    assert_eq!(silent, Vec::<String>::new());
    let silent = drift(|x| {
        x["request_shape"] = json!({ "": "object open" });
        x["response_shape"] = json!({ "": "object open", "/id": "integer" });
    });
    assert_eq!(silent, Vec::<String>::new());
    let not_looked_into = drift(|x| {
        let fields = x.as_object_mut().unwrap();
        for key in ["query_shape", "request_shape", "response_shape"] {
            fields.remove(key);
        }
    });
    assert_eq!(not_looked_into, Vec::<String>::new());
}

#[test]
fn a_neighbour_is_not_judged_by_it() {
    let elsewhere = drift(|x| {
        x["host"] = json!("other.example");
        x["status"] = json!(202);
    });
    assert_eq!(elsewhere, Vec::<String>::new());
}

/// From packets: the sensor makes the shapes.
#[test]
fn drift_from_packets() {
    let dir = tempfile::tempdir().unwrap();
    let mut packets = Vec::new();
    for n in 0..4 {
        let at = Timestamp::from_secs(1_760_000_000 + n);
        let client = format!("192.0.2.{}:{}", n + 1, 20_000 + n).parse().unwrap();
        let mut c = Conversation::open(client, "192.0.2.200:80".parse().unwrap(), at);
        let body = r#"{"items":["a","b"],"gift":true}"#;
        let answer = r#"{"id":7,"note":null,"card":{"last":"4242"}}"#;
        let request = format!(
            "POST /v1/orders?dry=true HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer abc{n}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = format!(
            "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        c.client(request.as_bytes())
            .wait(Duration::from_millis(5))
            .server(response.as_bytes());
        packets.extend(c.close());
    }
    let (capture, spec) = (dir.path().join("x.pcap"), dir.path().join("spec.yaml"));
    let mut bytes = Vec::new();
    write_pcap(&packets, &mut bytes).unwrap();
    std::fs::write(&capture, bytes).unwrap();
    std::fs::write(&spec, THREE).unwrap();
    let inventory = apitap(
        dir.path(),
        &[
            "read",
            "--spec",
            spec.to_str().unwrap(),
            "--format",
            "inventory",
        ],
        &capture,
    );
    let said = inventory[0]["drift"].as_array().unwrap();
    let found: Vec<String> = said
        .iter()
        .map(|d| {
            format!(
                "{} {}",
                d["kind"].as_str().unwrap(),
                d["name"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "undocumented-field /gift",
            "undocumented-field /card",
            "missing-required /total"
        ]
    );
    assert!(said.iter().all(|d| d["count"] == 4));
}

/// A spec whose servers say nothing of use is bound to hosts, on the command line and in the config.
#[test]
fn hosts_may_be_said_beside_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("x.jsonl"), format!("{}\n{}\n", exchange(0), exchange(1))).unwrap();
    let local = THREE.replace("https://shop.example/v1", "http://localhost:8080/v1");
    std::fs::write(at("local.yaml"), local).unwrap();
    let config = format!(
        "[[catalog.specs]]\npath = \"{}\"\nhosts = [\"shop.example\"]\n",
        at("local.yaml")
    );
    std::fs::write(at("config.toml"), config).unwrap();
    let status = |args: &[&str]| {
        let args: Vec<&str> = ["analyze", "--format", "inventory"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        apitap(dir.path(), &args, Path::new(&at("x.jsonl")))[0]["documentation"].clone()
    };
    assert_eq!(status(&["--spec", &at("local.yaml")]), "shadow");
    assert_eq!(
        status(&["--spec", &format!("shop.example={}", at("local.yaml"))]),
        "documented"
    );
    assert_eq!(status(&["--config", &at("config.toml")]), "documented");
}
