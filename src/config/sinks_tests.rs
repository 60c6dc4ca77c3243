use super::*;
use crate::config::Config;

const ALL: &str = r#"
[alert.egress]
allow = ["10.0.0.0/8", "127.0.0.1"]
deny = ["10.9.0.0/16"]

[[alert.routes]]
sinks = ["pager"]
severity = "high"
kinds = ["enumeration", "credential"]
hosts = ["*.example.com"]
days = ["mon", "fri"]
hours = "08:00-18:30"
timezone = "UTC"

[[webhook]]
name = "old"
url = "https://soc.example/hook"
secret_file = "/etc/apitap/webhook.secret"

[[sink]]
type = "slack"
name = "chat"
url_file = "/etc/apitap/slack.url"

[[sink]]
type = "pagerduty"
name = "pager"
token_env = "PAGERDUTY"

[[sink]]
type = "syslog"
name = "siem"
host = "syslog.example"
transport = "tls"
format = "cef"

[[sink]]
type = "email"
name = "mail"
host = "mail.example"
from = "apitap@example.com"
to = ["soc@example.com"]

[[sink]]
type = "file"
name = "lines"
path = "/var/log/apitap/alerts.jsonl"
"#;

fn wrong(text: &str) -> String {
    Config::parse(text, "a.toml").unwrap_err().to_string()
}

#[test]
fn sinks_and_routes_read() {
    let config = Config::parse(ALL, "a.toml").unwrap();
    let names: Vec<String> = config.sinks().iter().map(|s| s.name().to_owned()).collect();
    assert_eq!(names, ["old", "chat", "pager", "siem", "mail", "lines"]);
    assert!(config.router().unwrap().has("lines"));
    let settings = config.sinks()[3].settings().unwrap();
    let Kind::Syslog(syslog) = settings.kind else {
        panic!("{settings:?}")
    };
    assert_eq!(
        (syslog.port, syslog.carrier, syslog.facility),
        (6514, Carrier::Tls, 16)
    );
}

#[test]
fn what_is_wrong_with_a_sink_is_said() {
    let sink = |text: &str| wrong(&format!("[[sink]]\n{text}\n"));
    insta::assert_snapshot!(sink("type = \"slack\"\nname = \"a\""), @"a.toml:1:3: sink: `a` needs url_file or url_env, one of them");
    insta::assert_snapshot!(sink("type = \"file\"\nname = \"a b\"\npath = \"x\""), @"a.toml:1:3: sink: `a b`: a name is 1 to 64 letters, digits, `-`, `_` and `.`");
    insta::assert_snapshot!(sink("type = \"pager\"\nname = \"a\""), @"a.toml:2:8: unknown variant `pager`, expected one of `webhook`, `slack`, `teams`, `pagerduty`, `splunk`, `elastic`, `ocsf`, `syslog`, `email`, `file`");
    insta::assert_snapshot!(sink("type = \"file\"\nname = \"a\"\npath = \"x\"\nmode = 1"), @"a.toml:1:1: unknown field `mode`, expected `name` or `path`");
    insta::assert_snapshot!(sink("type = \"splunk\"\nname = \"a\"\nurl = \"ftp://h\"\ntoken_env = \"T\""), @"a.toml:1:3: sink: `a` url must be http:// or https://");
    insta::assert_snapshot!(sink("type = \"splunk\"\nname = \"a\"\nurl = \"https://u:p@h\"\ntoken_env = \"T\""), @"a.toml:1:3: sink: `a` url must not hold a password: a config is no place for secrets");
    let route = |text: &str| {
        wrong(&format!(
            "[[alert.routes]]\n{text}\n[[sink]]\ntype = \"file\"\nname = \"f\"\npath = \"x\"\n"
        ))
    };
    insta::assert_snapshot!(route("sinks = [\"g\"]"), @"a.toml:1:9: routes: there is no sink `g`");
    insta::assert_snapshot!(route("sinks = [\"f\"]\nhours = \"8-18\""), @"a.toml:1:9: routes: `8-18` are no hours: write them like 08:00-18:00");
    insta::assert_snapshot!(route("sinks = [\"f\"]\ndays = [\"monday\"]"), @"a.toml:1:9: routes: `monday` is no day: write mon, tue, wed, thu, fri, sat or sun");
    insta::assert_snapshot!(route("sinks = [\"f\"]\ntimezone = \"Mars/Olympus\""), @"a.toml:1:9: routes: failed to find time zone `Mars/Olympus` in time zone database");
    let twice = ALL.replace("name = \"chat\"", "name = \"mail\"");
    assert!(wrong(&twice).contains("two are named `mail`"));
}

#[test]
fn secrets_come_from_files_and_never_print() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("url");
    std::fs::write(&path, "https://hooks.slack.example/services/T0/hunter2\n").unwrap();
    let sink = |path: &Path| {
        let path = path.display();
        let text = format!("[[sink]]\ntype = \"slack\"\nname = \"chat\"\nurl_file = \"{path}\"\n");
        Config::parse(&text, "a").unwrap().sink.remove(0)
    };
    let settings = sink(&path).settings().unwrap();
    assert!(!format!("{settings:?} {:?}", sink(&path)).contains("hunter2"));
    std::fs::write(&path, "hunter2").unwrap();
    let why = sink(&path).settings().unwrap_err();
    assert_eq!(why, "sink `chat`: the secret is no http:// or https:// URL");
    let why = sink(&dir.path().join("none")).settings().unwrap_err();
    assert!(
        why.starts_with("sink `chat`: ") && why.contains("No such file"),
        "{why}"
    );
}
