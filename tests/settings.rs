//! The page of settings of a running daemon: where each value came from, how a reload went, and that no
//! secret is on any page, whatever the config names. Needs root for a capture on lo.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

const APITAP: &str = env!("CARGO_BIN_EXE_apitap");

/// What is in files, in the environment, and in URLs: none may come out anywhere.
const SECRETS: [&str; 5] = [
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "slackpathd0e1f2",
    "splunktoken3a4b5c",
    "mailpassword6d7e8f",
    "urlpath9a0b1c",
];

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
    /// None where lo cannot be captured on; said, and not passed over where all is required.
    fn start(config: &Path, port: u16, log: &Path) -> Option<Self> {
        let child = Command::new(APITAP)
            .args(["run", "-i", "lo", "--config"])
            .arg(config)
            .env("APITAP_TEST_MAIL", SECRETS[3])
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut daemon = Self { child, port };
        let begun = Instant::now();
        while daemon.get("/readyz").is_none_or(|text| text != "ready\n") {
            if daemon.child.try_wait().unwrap().is_some() {
                let why = fs::read_to_string(log).unwrap();
                let needed = std::env::var_os("APITAP_NEED_NETNS").is_some();
                assert!(!needed, "required here, and missing: capture on lo: {why}");
                eprintln!("SKIPPED: capture on lo (no root?): {why}");
                return None;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the daemon did not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(daemon)
    }

    fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let out = Command::new("curl")
            .args(["-sS", "--max-time", "20", &url])
            .output()
            .unwrap();
        out.status
            .success()
            .then(|| String::from_utf8(out.stdout).unwrap())
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).unwrap()).unwrap()
    }

    /// How the reload went that a SIGHUP asked for.
    fn hang_up(&self) -> Value {
        let before = self.json("/api/v1/settings")["reload"].clone();
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-HUP", &pid])
                .status()
                .unwrap()
                .success()
        );
        let begun = Instant::now();
        loop {
            let now = self.json("/api/v1/settings")["reload"].clone();
            if now != before {
                return now;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no reload");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn config(at: &Path, port: u16) -> String {
    let at = at.display();
    let url = SECRETS[4];
    format!(
        r#"[capture]
interfaces = ["eth9"]
filter = "port 1"
[sensor]
workers = 2
[web]
listen = "127.0.0.1:{port}"
[store]
path = "{at}/state"
[[sink]]
type = "webhook"
name = "soc"
url = "https://soc.example/hooks/{url}?key={url}"
secret_file = "{at}/webhook.key"
[[sink]]
type = "slack"
name = "chat"
url_file = "{at}/slack.url"
[[sink]]
type = "splunk"
name = "splunk"
url = "https://splunk.example:8088/{url}"
token_file = "{at}/splunk.token"
[[sink]]
type = "email"
name = "mail"
host = "mail.example"
from = "apitap@example.com"
to = ["soc@example.com"]
user = "apitap"
password_env = "APITAP_TEST_MAIL"
[[alert.routes]]
sinks = ["mail"]
severity = "high"
kinds = ["sensor"]
"#
    )
}

#[test]
fn origins_are_told_reloads_are_and_secrets_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    fs::write(at.join("webhook.key"), format!("whsec_{}\n", SECRETS[0])).unwrap();
    fs::write(
        at.join("slack.url"),
        format!("https://hooks.example/{}", SECRETS[1]),
    )
    .unwrap();
    fs::write(at.join("splunk.token"), SECRETS[2]).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let file = at.join("apitap.toml");
    let text = config(at, port);
    fs::write(&file, &text).unwrap();
    let Some(daemon) = Daemon::start(&file, port, &at.join("log")) else {
        return;
    };
    let all = daemon.json("/api/v1/settings");
    let items = all["items"].as_array().unwrap();
    assert_eq!(all["file"], file.to_str().unwrap());
    let find = |key: &str| {
        items
            .iter()
            .find(|i| i["key"] == key)
            .unwrap_or_else(|| panic!("{key}"))
    };
    assert_eq!(find("capture.interfaces")["origin"]["from"], "command-line");
    assert_eq!(find("capture.interfaces")["value"], "[\"lo\"]");
    assert_eq!(find("sensor.workers")["origin"]["line"], 5);
    assert_eq!(find("sink[3].password_env")["secret"], true);
    assert_eq!(find("sink[0].url")["value"], "\"https://soc.example/…\"");
    assert_eq!(find("detect.learning")["origin"]["from"], "default");
    for item in items {
        assert!(
            item["origin"]["from"].is_string() && item["key"].is_string(),
            "{item}"
        );
    }
    let sinks = daemon.json("/api/v1/sinks");
    assert_eq!(
        sinks["items"][3]["takes"][0],
        "high and worse; kinds sensor"
    );
    assert_eq!(sinks["items"][0]["takes"][0], "every alert and incident");
    let pages = [
        "/",
        "/settings",
        "/settings?q=sink",
        "/settings/sinks",
        "/settings/retention",
        "/deliveries",
        "/sensor",
        "/metrics",
        "/api/v1/settings",
        "/api/v1/settings.toml",
        "/api/v1/sinks",
        "/api/v1/deliveries",
        "/api/v1/sensor",
        "/api/v1/openapi.json",
    ];
    let look = || {
        for page in pages {
            let text = daemon.get(page).unwrap();
            for secret in SECRETS {
                assert!(!text.contains(secret), "{page} tells {secret}");
            }
        }
    };
    look();
    // What can be taken away does not even name where they are, and reads.
    let toml = daemon.get("/api/v1/settings.toml").unwrap();
    for name in [
        "webhook.key",
        "slack.url",
        "splunk.token",
        "APITAP_TEST_MAIL",
    ] {
        assert!(!toml.contains(name), "{toml}");
    }
    assert!(toml.parse::<toml::Table>().is_ok(), "{toml}");
    // A reload says what would change, and what is wrong.
    let same = daemon.hang_up();
    assert_eq!(same["failed"], false, "{same}");
    assert!(
        same["lines"][0].as_str().unwrap().contains("is as it was"),
        "{same}"
    );
    fs::write(&file, text.replace("workers = 2", "workers = 3")).unwrap();
    let changed = daemon.hang_up();
    assert!(
        changed["lines"][0]
            .as_str()
            .unwrap()
            .contains("differs in sensor.workers: taken at the next start"),
        "{changed}"
    );
    assert!(
        daemon
            .get("/settings")
            .unwrap()
            .contains("differs in sensor.workers")
    );
    fs::write(&file, text.replace("workers = 2", "workers = 0")).unwrap();
    let broken = daemon.hang_up();
    assert_eq!(broken["failed"], true);
    let why = broken["lines"][0].as_str().unwrap();
    assert!(
        why.contains("apitap.toml:5:1: workers: must be 1 to 64")
            && why.contains("the next start would fail"),
        "{why}"
    );
    look();
}
