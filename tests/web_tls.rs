//! The web server behind TLS, with an openssl client as the peer: what it agrees on, a renewed
//! certificate without a restart, and files that do not read.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use apitap::web::{self, Pem};

/// A self-signed certificate for `name`, by the openssl program.
fn certificate(dir: &Path, name: &str) -> Pem {
    let pem = Pem {
        certificate: dir.join("tls.crt"),
        key: dir.join("tls.key"),
    };
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", &format!("/CN={name}")])
        .arg("-keyout")
        .arg(&pem.key)
        .arg("-out")
        .arg(&pem.certificate)
        .output()
        .expect("openssl is installed by `make test`");
    assert!(made.status.success(), "{made:?}");
    pem
}

/// What `openssl s_client` says of a connection that asks for `/healthz`.
fn client(port: u16, more: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-ign_eof",
        ])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ask =
        format!("GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    // A handshake that is refused closes the pipe first.
    let _ = child.stdin.take().unwrap().write_all(ask.as_bytes());
    let out = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn agrees_on_tls_and_serves_a_renewed_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let pem = certificate(dir.path(), "first.example");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let at = listener.local_addr().unwrap();
    let settings = web::Settings {
        listen: at,
        tls: Some(pem.clone()),
        ..web::Settings::default()
    };
    let (commands, _queue) = tokio::sync::mpsc::channel(1);
    let app = web::router(Default::default(), commands, settings);
    let never = std::future::pending();
    tokio::spawn(web::serve(
        listener,
        app,
        Some(pem),
        Default::default(),
        never,
    ));
    let port = at.port();
    tokio::task::spawn_blocking(move || {
        for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
            let said = client(port, &[version]);
            assert!(
                said.contains(name) && said.contains("CN = first.example"),
                "{said}"
            );
            assert!(
                said.contains("200 OK") && said.contains("strict-transport-security"),
                "{said}"
            );
        }
        let old = client(port, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
        assert!(
            !old.contains("200 OK") && old.contains("SSL alert number"),
            "{old}"
        );
        let offered = client(port, &["-alpn", "h2"]);
        assert!(offered.contains("ALPN protocol: h2"), "{offered}");
        // Broken first: the old one stays.
        std::fs::write(dir.path().join("tls.crt"), "no certificate\n").unwrap();
        std::thread::sleep(Duration::from_secs(11));
        assert!(client(port, &[]).contains("CN = first.example"));
        certificate(dir.path(), "second.example");
        let start = Instant::now();
        while !client(port, &[]).contains("CN = second.example") {
            assert!(start.elapsed() < Duration::from_secs(30), "not renewed");
            std::thread::sleep(Duration::from_millis(500));
        }
    })
    .await
    .unwrap();
}

#[test]
fn files_that_do_not_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let pem = certificate(dir.path(), "a.example");
    pem.load().unwrap();
    let missing = Pem {
        key: dir.path().join("none.key"),
        ..pem.clone()
    };
    assert!(missing.load().unwrap_err().contains("none.key: "));
    let swapped = Pem {
        certificate: pem.key.clone(),
        key: pem.certificate.clone(),
    };
    let why = swapped.load().unwrap_err();
    assert!(
        why.contains("tls.key: no certificate in PEM is in it"),
        "{why}"
    );
    let other = tempfile::tempdir().unwrap();
    let mixed = Pem {
        key: certificate(other.path(), "b.example").key,
        ..pem
    };
    let why = mixed.load().unwrap_err();
    assert!(why.contains("does not go with"), "{why}");
}
