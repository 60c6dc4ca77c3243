//! Sinks against receivers that are not ours: rsyslog over UDP, TCP and TLS, which parses what it is
//! sent and writes down the parts, and aiosmtpd with and without TLS and a login.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use apitap::alert::Alert;
use apitap::alert::sink::{Carrier, Kind, Layout, Mail, Secret, Security, Settings, Syslog};
use serde_json::Value;

use super::receivers::{alerts, certificates, local, missing, settings, transport, until};

/// A program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(program: &str, args: &[&str]) -> Program {
    let child = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .spawn();
    Program(child.unwrap())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn listens(port: u16) {
    until("a listener", 30, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// Text that a receiver could trip over.
fn hostile() -> Alert {
    let mut alert = alerts(1).remove(0);
    alert.summary =
        "a\n<34>1 - - - - - forged\r\nBcc: all@example.com\r\n\r\n.\r\nQUIT\r\n]\"\\|= \u{1b}[2J ž"
            .into();
    alert.endpoint = Some("GET api.example /\"]] [forged@1 a=\"b\"]\n".into());
    alert.why = vec!["x\n.\nRCPT TO:<all@example.com>".into()];
    alert
}

struct Rsyslog {
    dir: tempfile::TempDir,
    ports: [u16; 3],
    _program: Program,
}

impl Rsyslog {
    async fn start() -> Option<Self> {
        let daemon = ["/usr/sbin/rsyslogd", "/sbin/rsyslogd"];
        let Some(daemon) = daemon.into_iter().find(|p| Path::new(p).exists()) else {
            missing("rsyslogd (`make deps-test` installs rsyslog and rsyslog-openssl)");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        certificates(dir.path());
        let ports = [free_port(), free_port(), free_port()];
        let at = dir.path().display();
        let parts = [
            "pri",
            "timereported",
            "hostname",
            "app-name",
            "procid",
            "msgid",
            "structured-data",
            "msg",
            "inputname",
        ]
        .map(|p| {
            let date = if p == "timereported" {
                r#" dateFormat="rfc3339""#
            } else {
                ""
            };
            format!(r#"property(outname="{p}" name="{p}" format="jsonf"{date})"#)
        })
        .join("\n  constant(value=\",\")\n  ");
        let config = format!(
            r#"global(workDirectory="{at}" defaultNetstreamDriverCAFile="{at}/ca.pem"
  defaultNetstreamDriverCertFile="{at}/cert.pem" defaultNetstreamDriverKeyFile="{at}/key.pem")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imudp" address="127.0.0.1" port="{}" name="udp")
input(type="imptcp" address="127.0.0.1" port="{}" name="tcp")
input(type="imtcp" address="127.0.0.1" port="{}" name="tls")
template(name="parts" type="list") {{
  constant(value="{{")
  {parts}
  constant(value="}}\n")
}}
action(type="omfile" file="{at}/messages" template="parts")
"#,
            ports[0], ports[1], ports[2]
        );
        let path = dir.path().join("rsyslog.conf");
        std::fs::write(&path, config).unwrap();
        let pid = format!("{at}/pid");
        let program = spawn(daemon, &["-n", "-f", path.to_str().unwrap(), "-i", &pid]);
        listens(ports[1]).await;
        listens(ports[2]).await;
        Some(Self {
            dir,
            ports,
            _program: program,
        })
    }

    fn sink(&self, carrier: Carrier, layout: Layout) -> Settings {
        let port = self.ports[match carrier {
            Carrier::Udp => 0,
            Carrier::Tcp => 1,
            Carrier::Tls => 2,
        }];
        let mut settings = settings(Kind::Syslog(Syslog {
            host: "localhost".into(),
            port,
            carrier,
            layout,
            facility: 16,
        }));
        settings.ca_file = Some(self.dir.path().join("ca.pem"));
        settings
    }

    fn messages(&self) -> Vec<Value> {
        lines(&self.dir.path().join("messages"))
            .into_iter()
            .filter(|m| m["app-name"] != "rsyslogd")
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_reads_every_part() {
    let Some(rsyslog) = Rsyslog::start().await else {
        return;
    };
    let (plain, hostile) = (alerts(1).remove(0), hostile());
    let mut sent = Vec::new();
    for (carrier, name) in [
        (Carrier::Udp, "udp"),
        (Carrier::Tcp, "tcp"),
        (Carrier::Tls, "tls"),
    ] {
        for layout in [Layout::Json, Layout::Cef] {
            for alert in [&plain, &hostile] {
                let it = transport(&rsyslog.sink(carrier, layout));
                it.send(alert).await.unwrap();
                sent.push((name, layout, alert));
                // Datagrams of one sender have no order between two connections.
                until("the message", 20, || rsyslog.messages().len() == sent.len()).await;
            }
        }
    }
    for (message, (name, layout, alert)) in rsyslog.messages().iter().zip(&sent) {
        let text = |part: &str| message[part].as_str().unwrap();
        assert_eq!(text("inputname"), *name, "{message}");
        // local0, warning.
        assert_eq!(
            (text("pri"), text("app-name"), text("msgid")),
            ("132", "apitap", "shadow")
        );
        assert_eq!(text("procid"), std::process::id().to_string());
        assert!(
            text("timereported").starts_with("2025-10-09T08:53:20"),
            "{message}"
        );
        let data = text("structured-data");
        assert!(
            data.starts_with("[apitap@32473 id=\"") && data.contains(&alert.id),
            "{data}"
        );
        assert!(!text("msg").contains(char::is_control), "{message}");
        match layout {
            Layout::Json => {
                let read: Alert = serde_json::from_str(text("msg").trim()).unwrap();
                assert_eq!(read, **alert);
            }
            Layout::Cef => assert!(text("msg").trim().starts_with("CEF:0|apitap|apitap|")),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syslog_server_that_is_another_gets_nothing() {
    let Some(rsyslog) = Rsyslog::start().await else {
        return;
    };
    let mut it = rsyslog.sink(Carrier::Tls, Layout::Json);
    it.ca_file = None;
    let failure = transport(&it).send(&alerts(1)[0]).await.unwrap_err();
    assert!(failure.why.contains("certificate"), "{failure:?}");
    // Frames in clear where TLS is spoken are not taken.
    let Kind::Syslog(syslog) = &mut it.kind else {
        unreachable!()
    };
    syslog.carrier = Carrier::Tcp;
    let _ = transport(&it).send(&alerts(1)[0]).await;
    syslog_port_is_dead().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rsyslog.messages(), Vec::<Value>::new());
}

async fn syslog_port_is_dead() {
    for carrier in [Carrier::Tcp, Carrier::Tls] {
        let it = settings(Kind::Syslog(Syslog {
            host: "127.0.0.1".into(),
            port: free_port(),
            carrier,
            layout: Layout::Json,
            facility: 1,
        }));
        let failure = transport(&it).send(&alerts(1)[0]).await.unwrap_err();
        assert!(failure.why.contains("refused"), "{failure:?}");
    }
}

struct Postman {
    dir: tempfile::TempDir,
    port: u16,
    _program: Program,
}

impl Postman {
    async fn start(security: &str) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/peers/bin/python");
        if !python.exists() {
            missing("aiosmtpd (`make peers-deps` installs it)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        certificates(dir.path());
        let port = free_port();
        let server = root.join("tests/peers/smtp_server.py");
        let args = [
            server.to_str().unwrap(),
            &port.to_string(),
            security,
            dir.path().to_str().unwrap(),
        ];
        let program = spawn(python.to_str().unwrap(), &args);
        listens(port).await;
        Some(Self {
            dir,
            port,
            _program: program,
        })
    }

    fn sink(&self, security: Security, to: &str) -> Settings {
        let login = ("apitap".to_owned(), Secret::new("hunter2"));
        let mut settings = settings(Kind::Mail(Mail {
            host: "localhost".into(),
            port: self.port,
            security,
            from: "apitap <apitap@example.com>".into(),
            to: vec![to.into()],
            login: (security != Security::None).then_some(login),
        }));
        settings.ca_file = Some(self.dir.path().join("ca.pem"));
        settings
    }

    fn mails(&self) -> Vec<Value> {
        lines(&self.dir.path().join("mails"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_signed_in_encrypted_and_whole() {
    for (name, security) in [
        ("starttls", Security::Starttls),
        ("tls", Security::Tls),
        ("none", Security::None),
    ] {
        let Some(postman) = Postman::start(name).await else {
            return;
        };
        let it = transport(&postman.sink(security, "soc@example.com"));
        it.send(&alerts(1)[0]).await.unwrap();
        it.send(&hostile()).await.unwrap();
        let mails = postman.mails();
        assert_eq!(mails.len(), 2, "{mails:?}");
        for mail in &mails {
            assert_eq!(mail["from"], "apitap@example.com");
            assert_eq!(
                mail["to"],
                serde_json::json!(["soc@example.com"]),
                "nobody else"
            );
            assert_eq!(mail["tls"], security != Security::None);
            let text = mail["text"].as_str().unwrap();
            let head = text.split("\r\n\r\n").next().unwrap();
            assert!(!head.lines().any(|l| l.starts_with("Bcc")), "{head}");
            // The end is there: no line of a single dot has cut it.
            assert!(text.trim_end().contains("apitap alert "), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_cannot_be_sent_safely_is_not_sent() {
    let Some(postman) = Postman::start("starttls").await else {
        return;
    };
    let say =
        async |settings: &Settings| transport(settings).send(&alerts(1)[0]).await.unwrap_err();
    // Another authority.
    let mut it = postman.sink(Security::Starttls, "soc@example.com");
    it.ca_file = None;
    assert!(say(&it).await.why.contains("certificate"));
    // A wrong password is tried again, once somebody has mended it.
    let mut it = postman.sink(Security::Starttls, "soc@example.com");
    let Kind::Mail(mail) = &mut it.kind else {
        unreachable!()
    };
    mail.login = Some(("apitap".into(), Secret::new("wr0ng")));
    let failure = say(&it).await;
    assert!(
        failure.why.contains("535") && !failure.is_refusal && !failure.why.contains("wr0ng"),
        "{failure:?}"
    );
    // A mailbox that is none is a refusal.
    let failure = say(&postman.sink(Security::Starttls, "a@refused.example")).await;
    assert!(
        failure.is_refusal && failure.why.contains("550"),
        "{failure:?}"
    );
    assert!(postman.mails().is_empty());
    // A server that offers no TLS gets no password.
    let Some(clear) = Postman::start("none").await else {
        return;
    };
    let failure = say(&clear.sink(Security::Starttls, "soc@example.com")).await;
    assert!(clear.mails().is_empty(), "{failure:?}");
    // Neither does one where nothing may be sent to.
    let it = postman.sink(Security::Starttls, "soc@example.com");
    let refused = apitap::alert::sink::Transport::new(&it, &std::sync::Arc::default()).unwrap();
    let failure = refused.send(&alerts(1)[0]).await.unwrap_err();
    assert!(failure.why.contains("alert.egress.allow"), "{failure:?}");
    assert!(local().check("127.0.0.1".parse().unwrap()).is_ok());
}
