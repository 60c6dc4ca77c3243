//! The program itself: `check --send-test`, and the daemon's deliveries in API and page.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;

use super::receivers::{Receiver, Reply, alerts, missing, store, until};

const APITAP: &str = env!("CARGO_BIN_EXE_apitap");

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_sends_a_test_to_every_sink() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    let well = Receiver::start(202, Vec::new()).await;
    let ill = Receiver::start(403, Vec::new()).await;
    write(
        &dir.path().join("url"),
        &ill.url("/services/hunter2hunter2"),
    );
    write(&dir.path().join("key"), "R0\n");
    let config = dir.path().join("apitap.toml");
    let pager = well.url("/v2/enqueue");
    write(
        &config,
        &format!(
            r#"
[web]
listen = "127.0.0.1:0"
[store]
path = "{at}/state"
[alert.egress]
allow = ["127.0.0.1"]
[[sink]]
type = "pagerduty"
name = "pager"
url = "{pager}"
token_file = "{at}/key"
[[sink]]
type = "slack"
name = "chat"
url_file = "{at}/url"
[[sink]]
type = "file"
name = "lines"
path = "{at}/alerts.jsonl"
[[sink]]
type = "webhook"
name = "unset"
url = "{pager}"
secret_env = "APITAP_TEST_NO_SUCH_VARIABLE"
"#
        ),
    );
    let check = |arguments: &[&str]| {
        let out = Command::new(APITAP)
            .args(["check", "--config"])
            .arg(&config)
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let sinks: Vec<String> = text
            .lines()
            .filter(|l| l.starts_with("sink"))
            .map(str::to_owned)
            .collect();
        assert!(!text.contains("hunter2"), "{text}");
        (out.status.code(), sinks)
    };
    let (code, sinks) = check(&[]);
    assert_eq!((code, sinks.len()), (Some(1), 4), "{sinks:?}");
    assert!(sinks[..3].iter().all(|l| l.contains(" ok ")), "{sinks:?}");
    assert!(sinks[3].contains("FAIL") && sinks[3].contains("APITAP_TEST_NO_SUCH_VARIABLE"));
    assert!(well.calls().is_empty() && !dir.path().join("alerts.jsonl").exists());
    let (_, sinks) = check(&["--send-test"]);
    assert!(
        sinks[0].contains(" ok ") && sinks[2].contains(" ok "),
        "{sinks:?}"
    );
    assert!(
        sinks[1].contains("FAIL") && sinks[1].contains("403"),
        "{sinks:?}"
    );
    assert_eq!(well.calls().len(), 2, "triggered and resolved");
    let line = std::fs::read_to_string(dir.path().join("alerts.jsonl")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap()["detector"],
        "test"
    );
}

struct Daemon {
    child: Child,
    port: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Daemon {
    /// None where lo cannot be captured on.
    async fn start(config: &Path, port: u16, log: &Path) -> Option<Self> {
        let child = Command::new(APITAP)
            .args(["run", "--config"])
            .arg(config)
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, port };
        until("the daemon or its end", 30, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
                || std::fs::read_to_string(format!("/proc/{}/stat", daemon.child.id()))
                    .map_or(true, |s| s.contains(") Z "))
        })
        .await;
        if daemon.child.try_wait().unwrap().is_some() {
            let why = std::fs::read_to_string(log).unwrap();
            missing(&format!("capture on lo (no root?): {why}"));
            return None;
        }
        Some(daemon)
    }

    /// Status and body.
    fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let port = self.port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text[9..12].parse().unwrap();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, b)| b);
        (status, body.to_owned())
    }

    fn deliveries(&self) -> Value {
        let (status, body) = self.http("GET", "/api/v1/deliveries", "", "");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The token of a page's forms.
fn csrf(page: &str) -> &str {
    let rest = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
    rest.split('"').next().unwrap()
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_was_given_up_and_sends_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    // What an earlier run left in the outbox.
    let state = dir.path().join("state");
    let (earlier, _, recorded) = store(&state);
    for alert in alerts(2) {
        earlier.record(alert);
        recorded.recv().unwrap();
    }
    earlier.close();
    drop(earlier);
    let refusals = (0..5).map(|_| Reply::Status(422, Vec::new())).collect();
    let receiver = Receiver::start(200, refusals).await;
    write(
        &dir.path().join("key"),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
    );
    let chat = Receiver::start(200, Vec::new()).await;
    write(
        &dir.path().join("url"),
        &chat.url("/services/hunter2hunter2"),
    );
    write(&dir.path().join("token"), "hunter2hunter2");
    let port = free_port();
    let config = dir.path().join("apitap.toml");
    write(
        &config,
        &format!(
            r#"
[capture]
interfaces = ["lo"]
filter = "port 1"
[web]
listen = "127.0.0.1:{port}"
[store]
path = "{at}/state"
[alert.egress]
allow = ["127.0.0.1"]
[[sink]]
type = "webhook"
name = "it"
url = "{}"
secret_file = "{at}/key"
[[sink]]
type = "slack"
name = "chat"
url_file = "{at}/url"
[[sink]]
type = "splunk"
name = "splunk"
url = "{}"
token_file = "{at}/token"
[log]
level = "trace"
"#,
            receiver.url("/hook"),
            chat.url("/services/collector/event")
        ),
    );
    let log = dir.path().join("log");
    let Some(daemon) = Daemon::start(&config, port, &log).await else {
        return;
    };
    // The first message is refused five times; the second is taken.
    until("the dead letter", 60, || {
        let all = daemon.deliveries();
        all["items"].as_array().unwrap().len() == 1 && all["sinks"][0]["delivered"] == 1
    })
    .await;
    let all = daemon.deliveries();
    let message = all["items"][0]["message"].as_str().unwrap();
    assert!(
        all["items"][0]["why"].as_str().unwrap().contains("422"),
        "{all}"
    );
    assert_eq!(all["sinks"][0]["dead"], 1);
    until("an alert of it", 10, || {
        let (_, body) = daemon.http("GET", "/api/v1/alerts?kind=sensor", "", "");
        body.contains("alerts for the sink `it` were given up")
    })
    .await;
    let (_, metrics) = daemon.http("GET", "/metrics", "", "");
    assert!(
        metrics.contains(r#"apitap_deliveries_total{sink="it",outcome="dead"} 1"#),
        "{metrics}"
    );
    // The page shows it; a form without its token changes nothing, nor does a form of another site.
    let (_, page) = daemon.http("GET", "/deliveries", "", "");
    assert!(
        page.contains("GET api.example /v1/things0") && page.contains("Send again"),
        "{page}"
    );
    let path = format!("/api/v1/deliveries/it/{message}/send");
    assert_eq!(daemon.http("POST", &path, "", "").0, 415);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let fields = format!("csrf=x&sink=it&message={message}");
    assert_eq!(daemon.http("POST", "/deliveries", form, &fields).0, 403);
    let foreign = format!("{JSON}Origin: http://evil.example\r\n");
    assert_eq!(daemon.http("POST", &path, &foreign, "{}").0, 403);
    assert_eq!(
        daemon
            .http("POST", "/api/v1/deliveries/it/none-1/send", JSON, "{}")
            .0,
        404
    );
    assert_eq!(daemon.deliveries()["items"].as_array().unwrap().len(), 1);
    // Sent again by the page.
    let csrf = csrf(&page);
    let fields = format!("csrf={csrf}&sink=it&message={message}");
    let (status, body) = daemon.http("POST", "/deliveries", form, &fields);
    assert_eq!(status, 303, "{body}");
    until("its delivery", 20, || {
        let all = daemon.deliveries();
        all["items"].as_array().unwrap().is_empty()
            && all["sinks"][0]["delivered"].as_u64() >= Some(3)
    })
    .await;
    // A test goes past all of it.
    let before = receiver.calls().len();
    assert_eq!(
        daemon.http("POST", "/api/v1/sinks/it/test", JSON, "{}").0,
        200
    );
    assert_eq!(receiver.calls().len(), before + 1);
    assert_eq!(
        daemon.http("POST", "/api/v1/sinks/none/test", JSON, "{}").0,
        404
    );
    // Nobody asked for its secrets, at whatever level it tells what it does.
    until("alerts in the chat", 10, || chat.calls().len() >= 2).await;
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("422"), "{log}");
    for secret in ["hunter2", "MfKQ9r8G"] {
        let told: Vec<&str> = log.lines().filter(|l| l.contains(secret)).collect();
        assert_eq!(told, Vec::<&str>::new());
    }
    let journal = std::fs::read_to_string(state.join("journal")).unwrap();
    assert!(
        journal.contains(r#""by":"web""#),
        "who had it sent again is kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_given_up_for_a_sink_is_sent_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display();
    // Given up by an earlier run: two messages for a sink that refused all.
    let state = dir.path().join("state");
    let refusing = Receiver::start(422, Vec::new()).await;
    let kind = super::webhook(refusing.url("/hook"));
    let all = alerts(2);
    let (earlier, sink) = super::running(&state, &super::settings(kind), &all);
    until("two dead letters", 60, || earlier.dead_letters().len() == 2).await;
    sink.stop(std::time::Duration::from_secs(1)).await;
    earlier.close();
    drop(earlier);
    let well = Receiver::start(200, Vec::new()).await;
    write(
        &dir.path().join("key"),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
    );
    let (port, config) = (free_port(), dir.path().join("apitap.toml"));
    write(
        &config,
        &format!(
            r#"
[capture]
interfaces = ["lo"]
filter = "port 1"
[web]
listen = "127.0.0.1:{port}"
[store]
path = "{at}/state"
[alert.egress]
allow = ["127.0.0.1"]
[[sink]]
type = "webhook"
name = "it"
url = "{}"
secret_file = "{at}/key"
"#,
            well.url("/hook")
        ),
    );
    let log = dir.path().join("log");
    let Some(daemon) = Daemon::start(&config, port, &log).await else {
        return;
    };
    until("the store", 30, || {
        daemon.http("GET", "/readyz", "", "").0 == 200 && daemon.deliveries()["total"] == 2
    })
    .await;
    let (_, page) = daemon.http("GET", "/settings/sinks", "", "");
    assert!(page.contains("Send all 2 again to it"), "{page}");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let send = |csrf: &str| {
        let fields = format!("csrf={csrf}&sink=it&message=all");
        daemon.http("POST", "/settings/sinks", form, &fields).0
    };
    assert_eq!(send("x"), 403);
    assert!(well.calls().is_empty() && daemon.deliveries()["total"] == 2);
    assert_eq!(send(csrf(&page)), 303);
    until("both of them", 20, || {
        daemon.deliveries()["total"] == 0 && well.calls().len() == 2
    })
    .await;
    let mut sent = super::ids(&well.calls());
    sent.sort();
    let mut given_up: Vec<String> = all.into_iter().map(|a| a.id).collect();
    given_up.sort();
    assert_eq!(sent, given_up);
    let (_, page) = daemon.http("GET", "/settings/sinks", "", "");
    assert!(page.contains("None: every alert was taken"), "{page}");
}
