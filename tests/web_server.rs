//! Connections to the web server as they really come: HTTP/2 and what it names as its host, and the
//! end of the program, which answers what was asked, ends live streams and cuts the rest.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use apitap::compose::{Conversation, write_pcap};
use apitap::time::Timestamp;
use apitap::web::{self, Command as Wish, Live, Views};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tower::ServiceExt;

/// A server of which every wish is refused.
struct Site {
    at: SocketAddr,
    views: Arc<Views>,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Site {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let views = Arc::new(Views::default());
        let settings = web::Settings {
            listen: at,
            hosts: vec!["tap.example".into()],
            ..web::Settings::default()
        };
        let (commands, mut wishes) = tokio::sync::mpsc::channel::<Wish>(8);
        tokio::spawn(async move {
            while let Some(wish) = wishes.recv().await {
                wish.refuse("no");
            }
        });
        let app = web::router(views.clone(), commands, settings);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let served = tokio::spawn(web::serve(listener, app, None, views.clone(), stopped));
        Self {
            at,
            views,
            stop,
            served,
        }
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// The status that curl gets with these arguments.
fn curl(arguments: &[&str]) -> String {
    let out = Command::new("curl")
        .args(["-sS", "--max-time", "10", "-o", "/dev/null"])
        .args(["-w", "%{http_version} %{http_code}"])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

/// A name that is bound anew to our address is in the browser's `:authority`, or its Host.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_somebody_else_is_refused_in_every_version() {
    let site = Site::start();
    let port = site.at.port();
    let there = format!("::127.0.0.1:{port}");
    let asked = move |version: &str, authority: &str| {
        let url = format!("http://{authority}/readyz");
        curl(&[version, "--connect-to", &there, &url])
    };
    tokio::task::spawn_blocking(move || {
        for (version, number) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
            for own in ["127.0.0.1", "localhost", "tap.example"] {
                let own = format!("{own}:{port}");
                // Not ready, and told so.
                assert_eq!(asked(version, &own), format!("{number} 503"), "{own}");
            }
            for foreign in ["evil.example", "localhost.evil.example", "tap.example.evil"] {
                let foreign = format!("{foreign}:{port}");
                assert_eq!(
                    asked(version, &foreign),
                    format!("{number} 403"),
                    "{foreign}"
                );
            }
        }
    })
    .await
    .unwrap();
}

/// Of a target and a Host that name different ones, neither is believed (RFC 9113, 8.3.1).
#[tokio::test]
async fn two_hosts_are_none() {
    let commands = tokio::sync::mpsc::channel(1).0;
    let app = web::router(Default::default(), commands, web::Settings::default());
    let asked = async |target: &str, hosts: &[&str]| {
        let mut request = Request::get(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let request = request.body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap().status()
    };
    let (ours, evil) = ("localhost:8650", "evil.example:8650");
    let target = |host| format!("http://{host}/healthz");
    assert_eq!(asked(&target(ours), &[]).await, StatusCode::OK);
    assert_eq!(asked(&target(ours), &[ours]).await, StatusCode::OK);
    for (target, hosts) in [
        (target(evil), vec![ours]),
        (target(ours), vec![evil]),
        ("/healthz".into(), vec![ours, evil]),
        ("/healthz".into(), vec![evil, ours]),
        ("/healthz".into(), vec![]),
    ] {
        let status = asked(&target, &hosts).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{target} {hosts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_what_was_asked_is_answered_and_streams_are_over() {
    let site = Site::start();
    let host = format!("Host: {}", site.at);
    let mut live = site
        .send(&format!("GET /live HTTP/1.1\r\n{host}\r\n\r\n"))
        .await;
    while site.views.live.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    site.views.live.send(Live::Inventory).unwrap();
    // One whose body is still under way, one that has asked for nothing yet.
    let asked = format!(
        "POST /api/v1/silences HTTP/1.1\r\n{host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{"
    );
    let mut open = site.send(&asked).await;
    let mut idle = site.send("").await;
    // So far it would have been answered to; a server that had not read it could drop it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.stop.send(()).unwrap();
    let mut all = String::new();
    live.read_to_string(&mut all).await.unwrap();
    assert!(
        all.contains("event: inventory") && all.ends_with("\r\n0\r\n\r\n"),
        "{all}"
    );
    assert!(
        TcpStream::connect(site.at).await.is_err(),
        "nobody new is let in"
    );
    open.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    open.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    let begun = Instant::now();
    site.served.await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_finishes_does_not_hold_the_end() {
    let site = Site::start();
    let asked = format!(
        "POST /api/v1/silences HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{",
        site.at
    );
    let mut open = site.send(&asked).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    site.stop.send(()).unwrap();
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_secs(10), site.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        begun.elapsed() > Duration::from_millis(500),
        "it had its time"
    );
    let mut rest = String::new();
    let _ = open.read_to_string(&mut rest).await;
    assert_eq!(rest, "");
}

/// Ended with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_apitap"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// How it ends on a signal while a page listens.
    fn end(&mut self, at: SocketAddr, signal: &str) {
        let begun = Instant::now();
        let mut live = loop {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody answers");
            if let Ok(stream) = std::net::TcpStream::connect(at) {
                break stream;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let asked = format!("GET /live HTTP/1.1\r\nHost: {at}\r\n\r\n");
        std::io::Write::write_all(&mut live, asked.as_bytes()).unwrap();
        let mut all = vec![0; 64];
        live.read_exact(&mut all).unwrap();
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(told.success());
        live.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        live.read_to_end(&mut all).unwrap();
        let all = String::from_utf8(all).unwrap();
        assert!(all.ends_with("0\r\n\r\n"), "the stream was cut: {all}");
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_file_that_is_shown_ends_with_a_page_open() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (at, start) = (free(), Timestamp::from_secs(1_760_000_000));
    let mut talk = Conversation::open(
        "10.0.0.9:40000".parse().unwrap(),
        "10.0.0.3:80".parse().unwrap(),
        start,
    );
    let ask = "GET /v1/a HTTP/1.1\r\nHost: api.example\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    talk.exchange(ask, Duration::from_millis(3), answer);
    write_pcap(
        &talk.close(),
        &mut std::fs::File::create(file("a.pcap")).unwrap(),
    )
    .unwrap();
    std::fs::write(file("apitap.toml"), format!("[web]\nlisten = \"{at}\"\n")).unwrap();
    let arguments = [
        "read",
        &file("a.pcap"),
        "--serve",
        "--config",
        &file("apitap.toml"),
    ];
    let key = ["--identity-key", &file("key")];
    let mut program = Program::start(&[&arguments[..], &key].concat());
    program.end(at, "-INT");
}

#[test]
fn the_daemon_ends_with_a_page_open() {
    let at = free();
    let mut program = Program::start(&["demo", "--listen", &at.to_string()]);
    program.end(at, "-TERM");
    let pid = program.0.id();
    let state = std::env::temp_dir().join(format!("apitap-demo-{pid}"));
    assert!(!Path::new(&state).exists(), "its state went with it");
}
