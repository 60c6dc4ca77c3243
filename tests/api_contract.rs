//! The API of the running demo against its own OpenAPI document: every answer has the shape that it
//! says, and Schemathesis (of PyPI, `make api-deps`) finds no server error and no violation of it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

#[path = "support/schemathesis.rs"]
mod schemathesis;

/// For the history to be read and the first attacks to be told of, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(420);

struct Demo {
    child: Child,
    base: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap().to_string();
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_apitap"))
            .args(["demo", "--listen", &listen])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            base: format!("http://{listen}"),
        }
    }

    async fn get(&self, client: &Client, path: &str) -> Option<(StatusCode, String)> {
        let answer = client
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .ok()?;
        let status = answer.status();
        Some((status, answer.text().await.ok()?))
    }

    /// Once there are endpoints and alerts.
    async fn until_ready(&self, client: &Client) {
        let begun = Instant::now();
        let has = async |path: &str| {
            let Some((StatusCode::OK, text)) = self.get(client, path).await else {
                return false;
            };
            let list: Value = serde_json::from_str(&text).unwrap();
            list["total"].as_u64().unwrap() > 0
        };
        while !(has("/api/v1/incidents").await && has("/api/v1/endpoints").await) {
            assert!(begun.elapsed() < PATIENCE, "the demo has no alerts");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn client() -> Client {
    // Never used, and asked for all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

/// A schema of the document as one that stands alone.
fn alone(document: &Value, schema: &Value) -> jsonschema::Validator {
    let whole = json!({ "allOf": [schema], "components": document["components"] });
    jsonschema::validator_for(&whole).unwrap()
}

/// For each part of a path, by the list that it is of, something that is there.
async fn names(demo: &Demo, client: &Client) -> BTreeMap<&'static str, String> {
    let mut out = BTreeMap::new();
    let lists = [
        ("endpoints", "?limit=1&sort=requests", "key"),
        ("alerts", "?limit=1", "id"),
        ("incidents", "?limit=1", "id"),
        ("specs", "?limit=1", "id"),
    ];
    for (list, query, member) in lists {
        let (_, text) = demo
            .get(client, &format!("/api/v1/{list}{query}"))
            .await
            .unwrap();
        let found: Value = serde_json::from_str(&text).unwrap();
        out.insert(list, found["items"][0][member].as_str().unwrap().to_owned());
    }
    out
}

/// A path with something that is there; `None` where nothing need be.
fn filled(path: &str, names: &BTreeMap<&'static str, String>) -> Option<String> {
    let mut out = Vec::new();
    for segment in path.split('/') {
        out.push(match segment.starts_with('{') {
            true => names.get(out.last().copied()?)?.as_str(),
            false => segment,
        });
    }
    Some(out.join("/"))
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let (demo, client) = (Demo::start(), client());
    demo.until_ready(&client).await;
    let (_, text) = demo.get(&client, "/api/v1/openapi.json").await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let names = names(&demo, &client).await;
    let (mut held, mut items) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        let content = &item["get"]["responses"]["200"]["content"]["application/json"];
        let (Some(schema), Some(path)) = (content.get("schema"), filled(path, &names)) else {
            continue;
        };
        let (status, text) = demo.get(&client, &path).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> = alone(&document, schema)
            .iter_errors(&answer)
            .map(|e| format!("{} {e}", e.instance_path()))
            .take(3)
            .collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
        held += 1;
        items += answer["items"].as_array().map_or(0, Vec::len);
    }
    assert!(held >= 15 && items > 200, "{held} answers, {items} items");
    schemathesis::run(&demo.base, &[]);
}
