//! Every HTTP sink against a server of ours that checks what it is sent, and every fault that a
//! receiver, a network or a disk can have: nothing is lost, nothing goes where it is not configured.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use apitap::alert::delivery::{REFUSALS, Sink, TRIP};
use apitap::alert::sink::{
    Class, Elastic, Kind, Ocsf, PagerDuty, Secret, SigningKey, Slack, Splunk, Teams, Transport,
    Webhook,
};
use apitap::alert::{Alert, Egress, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[path = "sinks/peers.rs"]
mod peers;
#[path = "support/receivers.rs"]
mod receivers;
#[path = "sinks/whole.rs"]
mod whole;

use receivers::{
    Call, FAST, Receiver, Reply, alerts, certificates, local, missing, running, settings, store,
    transport, until,
};

const KEYS: [&str; 2] = [
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
];

fn webhook(url: String) -> Kind {
    let keys = KEYS.map(|k| SigningKey::parse(&format!("whsec_{k}")).unwrap());
    Kind::Webhook(Webhook {
        url,
        keys: keys.to_vec(),
    })
}

fn ids(calls: &[Call]) -> Vec<String> {
    let id = |c: &Call| c.json()["data"]["id"].as_str().unwrap().to_owned();
    calls.iter().map(id).collect()
}

fn status(code: u16) -> Reply {
    Reply::Status(code, Vec::new())
}

async fn sent(kind: Kind, receiver: &Receiver, alert: &Alert) -> Call {
    let done = transport(&settings(kind)).send(alert).await;
    done.unwrap();
    receiver.calls().pop().unwrap()
}

#[tokio::test]
async fn each_http_sink_says_what_its_receiver_checks() {
    let receiver = Receiver::start(200, Vec::new()).await;
    let alert = alerts(1).remove(0);
    let token = || Secret::new("t0ken");

    let call = sent(webhook(receiver.url("/hook")), &receiver, &alert).await;
    let signed = [
        call.header("webhook-id"),
        call.header("webhook-timestamp"),
        "",
    ]
    .join(".");
    let signed = [signed.as_bytes(), &call.body].concat();
    for (key, signature) in KEYS.iter().zip(call.header("webhook-signature").split(' ')) {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
        let sent = STANDARD
            .decode(signature.strip_prefix("v1,").unwrap())
            .unwrap();
        ring::hmac::verify(&key, &signed, &sent).unwrap();
    }
    assert!(call.header("user-agent").starts_with("apitap/"));

    let url = Secret::new(&receiver.url("/services/T0/B0/x"));
    let call = sent(Kind::Slack(Slack { url }), &receiver, &alert).await;
    assert_eq!(call.uri.path(), "/services/T0/B0/x");
    assert_eq!(call.json()["blocks"][0]["type"], "header");

    let url = Secret::new(&receiver.url("/workflows/1?sig=2"));
    let call = sent(Kind::Teams(Teams { url }), &receiver, &alert).await;
    assert_eq!(call.uri.query(), Some("sig=2"));
    assert_eq!(
        call.json()["attachments"][0]["content"]["type"],
        "AdaptiveCard"
    );

    let splunk = Splunk {
        url: receiver.url("/services/collector/event"),
        token: token(),
        index: None,
    };
    let call = sent(Kind::Splunk(splunk), &receiver, &alert).await;
    assert_eq!(call.header("authorization"), "Splunk t0ken");
    assert_eq!(call.json()["event"]["id"], alert.id);

    let elastic = Elastic {
        url: receiver.url(""),
        index: "alerts".into(),
        api_key: token(),
    };
    let call = sent(Kind::Elastic(elastic), &receiver, &alert).await;
    assert_eq!(call.method, "PUT");
    assert_eq!(call.uri.path(), format!("/alerts/_create/{}%2D1", alert.id));
    assert_eq!(call.header("authorization"), "ApiKey t0ken");
    assert_eq!(call.json()["event"]["kind"], "alert");

    let ocsf = Ocsf {
        url: receiver.url("/ocsf"),
        token: Some(token()),
        class: Class::DetectionFinding,
    };
    let call = sent(Kind::Ocsf(ocsf), &receiver, &alert).await;
    assert_eq!(call.header("authorization"), "Bearer t0ken");
    assert_eq!(call.json()["class_uid"], 2_004);
}

#[tokio::test]
async fn a_pager_is_triggered_acknowledged_and_resolved() {
    let receiver = Receiver::start(202, Vec::new()).await;
    let pager = settings(Kind::PagerDuty(PagerDuty {
        url: receiver.url("/v2/enqueue"),
        routing_key: Secret::new("R0"),
    }));
    let pager = transport(&pager);
    let mut alert = alerts(1).remove(0);
    for status in [Status::Open, Status::Acknowledged, Status::Resolved] {
        alert.status = status;
        pager.send(&alert).await.unwrap();
    }
    // A test opens nothing that stays open.
    pager.test().await.unwrap();
    let said: Vec<String> = receiver
        .calls()
        .iter()
        .map(|c| c.json()["event_action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        said,
        ["trigger", "acknowledge", "resolve", "trigger", "resolve"]
    );
    let keys: Vec<_> = receiver
        .calls()
        .iter()
        .map(|c| c.json()["dedup_key"].clone())
        .collect();
    assert!(keys[..3].iter().all(|k| *k == alert.id) && keys[3] == keys[4] && keys[3] != keys[0]);
}

#[tokio::test]
async fn elastic_has_it_already_and_that_is_fine() {
    let receiver = Receiver::start(409, Vec::new()).await;
    let elastic = settings(Kind::Elastic(Elastic {
        url: receiver.url(""),
        index: "alerts".into(),
        api_key: Secret::new("k"),
    }));
    transport(&elastic).send(&alerts(1)[0]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_every_kind_are_outlived() {
    let dir = tempfile::tempdir().unwrap();
    let wait = |n: &str| Reply::Status(429, vec![("retry-after", n.to_owned())]);
    let replies = vec![
        status(500),
        status(503),
        wait("1"),
        status(401),
        status(404),
        // Refusals that end before they are final.
        status(400),
        status(422),
    ];
    let receiver = Receiver::start(200, replies).await;
    let all = alerts(3);
    let (store, sink) = running(dir.path(), &settings(webhook(receiver.url("/"))), &all);
    until("all three", 20, || sink.view().delivered == 3).await;
    let calls = receiver.calls();
    assert_eq!(calls.len(), 10);
    let expected: Vec<String> = all.iter().map(|a| a.id.clone()).collect();
    let mut found = ids(&calls);
    found.dedup();
    assert_eq!(found, expected, "in order");
    let patience = calls[3].at - calls[2].at;
    assert!(
        patience >= Duration::from_secs(1),
        "Retry-After: {patience:?}"
    );
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_circuit_opens_is_probed_and_closes() {
    let dir = tempfile::tempdir().unwrap();
    let replies = (0..2 * TRIP).map(|_| status(503)).collect();
    let receiver = Receiver::start(200, replies).await;
    let (store, sink) = running(
        dir.path(),
        &settings(webhook(receiver.url("/"))),
        &alerts(2),
    );
    until("an open circuit", 10, || sink.view().open).await;
    assert!(sink.view().last_error.as_ref().unwrap().contains("503"));
    until("both", 20, || sink.view().delivered == 2).await;
    let view = sink.view();
    assert!(!view.open && view.last_error.is_none() && view.failed == u64::from(2 * TRIP));
    // Behind the open circuit at least half of the ceiling is waited.
    let calls = receiver.calls();
    for pair in calls[TRIP as usize + 1..2 * TRIP as usize].windows(2) {
        assert!(pair[1].at - pair[0].at >= FAST.cap / 2);
    }
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_becomes_a_dead_letter_and_is_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let replies = (0..REFUSALS).map(|_| status(400)).collect();
    let receiver = Receiver::start(200, replies).await;
    let all = alerts(2);
    let it = settings(webhook(receiver.url("/")));
    let (store, sink) = running(dir.path(), &it, &all);
    until("the other one", 20, || sink.view().delivered == 1).await;
    until("the dead letter", 5, || store.dead_letters().len() == 1).await;
    let letter = store.dead_letters()[0].clone();
    assert_eq!(
        (&letter.sink, &letter.alert.id),
        (&"it".to_owned(), &all[0].id)
    );
    assert!(letter.why.contains("400"), "{}", letter.why);
    sink.stop(Duration::from_secs(1)).await;
    store.close();
    drop(store);
    // It outlasts a restart, and is sent when a person says so.
    let (store, recovered, _) = receivers::store(dir.path());
    assert!(recovered.outbox.is_empty());
    assert_eq!(*store.dead_letters(), std::slice::from_ref(&letter));
    let sink = Arc::new(Sink::start(&it, &local(), FAST, store.clone()).unwrap());
    let again = |message: &str| {
        let (tell, done) = std::sync::mpsc::channel();
        let answer = Box::new(move |done| drop(tell.send(done)));
        store.again("it".into(), message.into(), "ann".into(), answer);
        done.recv().unwrap()
    };
    assert!(again("nothing-1").unwrap_err().contains("no dead letter"));
    sink.send(Arc::new(again(&letter.message).unwrap()));
    until("its delivery", 5, || sink.view().delivered == 1).await;
    until("no dead letter", 5, || store.dead_letters().is_empty()).await;
    assert_eq!(ids(&receiver.calls()).last(), Some(&all[0].id));
    assert!(again(&letter.message).is_err(), "once");
    store.close();
    drop(store);
    let journal = std::fs::read_to_string(dir.path().join("journal")).unwrap();
    assert!(journal.contains(r#""by":"ann""#), "who did it is kept");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::start(200, Vec::new()).await;
    for code in [301, 302, 303, 307, 308] {
        let to = vec![("location", elsewhere.url("/stolen"))];
        let receiver = Receiver::start(200, vec![Reply::Status(code, to)]).await;
        let it = transport(&settings(webhook(receiver.url("/"))));
        let failure = it.send(&alerts(1)[0]).await.unwrap_err();
        assert!(failure.why.contains(&code.to_string()), "{failure:?}");
    }
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test]
async fn nothing_goes_to_an_address_that_the_lists_refuse() {
    let receiver = Receiver::start(200, Vec::new()).await;
    let port = receiver.port;
    let plain = Arc::new(Egress::default());
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::1]",
    ] {
        let it = settings(webhook(format!("http://{host}:{port}/")));
        let failure = Transport::new(&it, &plain)
            .unwrap()
            .send(&alerts(1)[0])
            .await
            .unwrap_err();
        assert!(
            failure.why.contains("alert.egress.allow"),
            "{host}: {failure:?}"
        );
    }
    assert!(receiver.calls().is_empty());
    // A name that resolves to what is allowed.
    let it = settings(webhook(format!("http://localhost:{port}/")));
    transport(&it).send(&alerts(1)[0]).await.unwrap();
    assert_eq!(receiver.calls().len(), 1);
}

#[tokio::test]
async fn a_network_that_fails_is_said_without_the_secret() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let say = async |url: String| {
        let url = Secret::new(&url);
        let it = transport(&settings(Kind::Slack(Slack { url })));
        let failure = it.send(&alerts(1)[0]).await.unwrap_err();
        assert!(
            !failure.why.contains("hunter2") && !failure.is_refusal,
            "{failure:?}"
        );
        failure.why
    };
    let refused = say(format!("http://127.0.0.1:{port}/hunter2")).await;
    assert!(refused.contains("refused"), "{refused}");
    let nowhere = say("http://no.such.name.invalid/hunter2".into()).await;
    assert!(nowhere.contains("cannot be resolved"), "{nowhere}");
    // Nobody there speaks TLS.
    let receiver = Receiver::start(200, Vec::new()).await;
    let clear = say(format!("https://localhost:{}/hunter2", receiver.port)).await;
    assert!(receiver.calls().is_empty(), "{clear}");
    // A receiver that says the secret back.
    let echo = Receiver::start(200, vec![status(403)]).await;
    let url = echo.url("/hunter2");
    assert!(say(url).await.contains("403"));
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left() {
    let receiver = Receiver::start(200, vec![Reply::Hang(Duration::from_secs(60))]).await;
    let it = transport(&settings(webhook(receiver.url("/"))));
    let begun = Instant::now();
    let failure = it.send(&alerts(1)[0]).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(20), "{failure:?}");
    it.send(&alerts(1)[0]).await.unwrap();
}

#[tokio::test]
async fn certificates_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let ca = certificates(dir.path());
    let port = serve_tls(dir.path()).await;
    let mut it = settings(webhook(format!("https://localhost:{port}/")));
    let failure = transport(&it).send(&alerts(1)[0]).await.unwrap_err();
    assert!(failure.why.contains("certificate"), "{failure:?}");
    it.ca_file = Some(ca.clone());
    transport(&it).send(&alerts(1)[0]).await.unwrap();
    // Another name than the certificate's.
    it.kind = webhook(format!("https://127.0.0.1:{port}/"));
    let failure = transport(&it).send(&alerts(1)[0]).await.unwrap_err();
    assert!(failure.why.contains("certificate"), "{failure:?}");
    // No authority at all is an error of the settings.
    std::fs::write(&ca, "nothing").unwrap();
    assert!(
        Transport::new(&it, &local())
            .err()
            .unwrap()
            .contains("ca_file")
    );
}

/// A TLS server that answers any request with 200.
async fn serve_tls(dir: &std::path::Path) -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let certificate = CertificateDer::from_pem_file(dir.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 16 << 10];
                let _ = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_past_the_queue_and_wakes_it() {
    let dir = tempfile::tempdir().unwrap();
    let patient = vec![Reply::Status(503, vec![("retry-after", "600".into())])];
    let receiver = Receiver::start(200, patient).await;
    let (store, sink) = running(
        dir.path(),
        &settings(webhook(receiver.url("/"))),
        &alerts(1),
    );
    until("the first attempt", 5, || sink.view().failed == 1).await;
    let (tell, done) = tokio::sync::oneshot::channel();
    sink.test(|done| drop(tell.send(done)));
    assert_eq!(done.await.unwrap(), Ok(()));
    until("the alert", 5, || sink.view().delivered == 1).await;
    let calls = receiver.calls();
    assert_eq!(calls[1].json()["data"]["detector"], "test");
    assert!(store.dead_letters().is_empty());
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_has_no_room_for_comes_from_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, recorded) = store(dir.path());
    let path = dir.path().join("alerts.jsonl");
    let it = settings(Kind::File(path.clone()));
    let n = 3_500; // the queue has room for 1,000
    for alert in alerts(n) {
        store.record(alert);
    }
    let all: Vec<_> = (0..n).map(|_| Arc::new(recorded.recv().unwrap())).collect();
    let sink = Sink::start(&it, &local(), FAST, store.clone()).unwrap();
    for pending in all {
        sink.send(pending);
    }
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    until("all of them", 120, || lines().lines().count() >= n).await;
    let ids: std::collections::BTreeSet<String> = lines()
        .lines()
        .map(|l| serde_json::from_str::<Alert>(l).unwrap().id)
        .collect();
    assert_eq!(ids.len(), n);
    sink.stop(Duration::from_secs(5)).await;
    store.close();
    drop(store);
    assert!(receivers::store(dir.path()).1.outbox.is_empty());
}

/// A disk as small as a pond: alerts wait for room, and none is lost or told before it is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "apitap-test"])
        .arg(dir.path())
        .status();
    if !mounted.is_ok_and(|s| s.success()) {
        missing("a small tmpfs cannot be mounted (no root?)");
        return;
    }
    let _unmount = Unmount(dir.path().to_owned());
    let receiver = Receiver::start(200, Vec::new()).await;
    let it = settings(webhook(receiver.url("/")));
    let (store, _, recorded) = store(dir.path());
    let sink = Sink::start(&it, &local(), FAST, store.clone()).unwrap();
    let pond = dir.path().join("pond");
    let mut filled = std::fs::File::create(&pond).unwrap();
    while std::io::Write::write_all(&mut filled, &[0; 512]).is_ok() {}
    let all = alerts(40);
    let writer = store.clone();
    let given = all.clone();
    let recording = std::thread::spawn(move || given.into_iter().for_each(|a| writer.record(a)));
    until("the trouble", 10, || store.trouble().is_some()).await;
    let early = recorded.try_iter().count();
    assert!(early < all.len(), "the disk was not full");
    drop(filled);
    std::fs::remove_file(&pond).unwrap();
    recording.join().unwrap();
    for _ in early..all.len() {
        let pending = recorded.recv_timeout(Duration::from_secs(10)).unwrap();
        sink.send(Arc::new(pending));
    }
    until("the rest", 20, || {
        sink.view().delivered as usize == all.len() - early
    })
    .await;
    until("no trouble", 5, || store.trouble().is_none()).await;
    sink.stop(Duration::from_secs(1)).await;
    store.close();
    drop(store);
    let (store, recovered, _) = receivers::store(dir.path());
    assert_eq!(recovered.alerts.len(), all.len());
    assert_eq!(recovered.outbox.len(), early, "what was not handed over");
    store.close();
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}
