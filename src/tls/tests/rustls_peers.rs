//! Every suite of rustls, resumption, key updates, early data, late keys.

use super::*;

fn exchange(peers: &Peers) -> Conversation {
    let mut talk = peers.connect();
    talk.settle();
    for _ in 0..3 {
        talk.client_says(REQUEST);
        talk.server_says(ANSWER);
    }
    talk
}

fn check(heard: &Heard) {
    assert_eq!(
        heard.said(Side::Orig),
        String::from_utf8_lossy(&REQUEST.repeat(3))
    );
    assert_eq!(
        heard.said(Side::Resp),
        String::from_utf8_lossy(&ANSWER.repeat(3))
    );
    assert_eq!(heard.gaps, []);
    assert_eq!(heard.counters.not_authentic, 0);
    // What a side has received when it speaks is what was said to it so far.
    for (side, offset, ack) in &heard.acks {
        let expected = match side {
            Side::Orig => offset / REQUEST.len() as u64 * ANSWER.len() as u64,
            Side::Resp => (offset / ANSWER.len() as u64 + 1) * REQUEST.len() as u64,
        };
        assert_eq!(*ack, Some(expected), "{side:?} at {offset}");
    }
}

#[test]
fn every_suite_is_opened_whatever_the_segments() {
    for suite in ring::ALL_CIPHER_SUITES {
        if format!("{:?}", suite.suite()).contains("ECDHE_RSA") {
            continue; // the peers' key is of the other kind; the records are the same
        }
        let peers = Peers::new(*suite, |_, _| {});
        let talk = exchange(&peers);
        for size in [1, 7, 100, 1_460, 100_000] {
            let heard = hear(&talk.wire, &peers.keys(), size);
            check(&heard);
            let facts = &heard.facts;
            assert_eq!(facts.server_name.as_deref(), Some("api.example"));
            assert_eq!(facts.alpn.as_deref(), Some("http/1.1"));
            assert_eq!(facts.offered.as_deref(), Some("h2"));
            assert_eq!(facts.cipher, Some(u16::from(suite.suite())));
            assert!(facts.decrypted && !facts.resumed && !facts.ech);
            let names = &facts.certificate.as_ref().unwrap().names;
            assert_eq!(names[..], ["api.example", "*.api.example"]);
        }
    }
}

#[test]
fn without_keys_a_session_is_dark_and_its_hellos_are_known() {
    for suite in [
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ] {
        let peers = Peers::new(suite, |_, _| {});
        let talk = exchange(&peers);
        // Keys of another session do not help.
        let others = Peers::new(suite, |_, _| {});
        exchange(&others);
        let heard = hear(&talk.wire, &others.keys(), 1_460);
        assert_eq!(
            (heard.said(Side::Orig), heard.said(Side::Resp)),
            Default::default()
        );
        let facts = &heard.facts;
        assert!(!facts.decrypted);
        assert_eq!(facts.server_name.as_deref(), Some("api.example"));
        assert!(
            facts
                .ja4
                .as_ref()
                .is_some_and(|print| print.starts_with('t'))
        );
        // TLS 1.3 keeps certificate and choice of protocol to itself.
        let tls13 = facts.version == Some(hello::Version::TLS13);
        assert_eq!(facts.certificate.is_none(), tls13);
        assert_eq!(facts.alpn.is_none(), tls13);
    }
}

#[test]
fn sessions_that_go_on_are_opened_too() {
    for suite in [
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ] {
        // By session id (TLS 1.2) or stateful ticket (1.3), then by sealed ticket.
        for ticketer in [false, true] {
            let peers = Peers::new(suite, |_, server| {
                if ticketer {
                    server.ticketer = ring::Ticketer::new().unwrap();
                }
            });
            let first = exchange(&peers);
            let second = exchange(&peers);
            assert_eq!(
                second.client.handshake_kind(),
                Some(rustls::HandshakeKind::Resumed)
            );
            let keys = peers.keys();
            let (first, second) = (
                hear(&first.wire, &keys, 600),
                hear(&second.wire, &keys, 600),
            );
            check(&first);
            check(&second);
            assert_eq!((first.facts.resumed, second.facts.resumed), (false, true));
        }
    }
}

#[test]
fn key_updates_are_followed() {
    let peers = Peers::new(ring::cipher_suite::TLS13_AES_256_GCM_SHA384, |_, _| {});
    let mut talk = peers.connect();
    talk.settle();
    for round in 0..5 {
        talk.client_says(format!("request {round}\n").as_bytes());
        talk.server_says(format!("answer {round}\n").as_bytes());
        // This side's keys, and the other's by its request.
        talk.client.refresh_traffic_keys().unwrap();
        talk.settle();
    }
    let heard = hear(&talk.wire, &peers.keys(), 33);
    let expected = |what: &str| (0..5).map(|n| format!("{what} {n}\n")).collect::<String>();
    assert_eq!(heard.said(Side::Orig), expected("request"));
    assert_eq!(heard.said(Side::Resp), expected("answer"));
    assert_eq!(heard.counters.not_authentic, 0);
}

#[test]
fn a_second_hello_is_the_first_one_continued() {
    let mut peers = Peers::new(ring::cipher_suite::TLS13_AES_128_GCM_SHA256, |_, _| {});
    let with = |group| {
        let mut provider = ring::default_provider();
        provider.kx_groups = group;
        Arc::new(provider)
    };
    // The client's first key is of a group that the server does not have.
    let client = with(vec![ring::kx_group::X25519, ring::kx_group::SECP256R1]);
    let server = with(vec![ring::kx_group::SECP256R1]);
    let (mut with_client, mut with_server) = (
        ClientConfig::builder_with_provider(client)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_no_client_auth(),
        ServerConfig::builder_with_provider(server)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(peers.server.cert_resolver.clone()),
    );
    with_client.key_log = peers.log.clone();
    with_client.alpn_protocols = peers.client.alpn_protocols.clone();
    with_server.alpn_protocols = peers.server.alpn_protocols.clone();
    (peers.client, peers.server) = (Arc::new(with_client), Arc::new(with_server));
    let talk = exchange(&peers);
    assert_eq!(
        talk.client.handshake_kind(),
        Some(rustls::HandshakeKind::FullWithHelloRetryRequest)
    );
    for size in [1, 100, 100_000] {
        check(&hear(&talk.wire, &peers.keys(), size));
    }
    let dark = hear(&talk.wire, &Arc::default(), 100);
    assert_eq!(dark.facts.version, Some(hello::Version::TLS13));
}

/// A conversation that begins with early data, behind one that gave the ticket.
fn early(accept: bool) -> (Peers, Conversation) {
    let peers = Peers::new(
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        |client, server| {
            client.enable_early_data = true;
            server.max_early_data_size = 1_000;
        },
    );
    exchange(&peers);
    let peers = if accept {
        peers
    } else {
        // A server that no longer takes it.
        let mut server = ServerConfig::clone(&peers.server);
        server.max_early_data_size = 0;
        Peers {
            server: Arc::new(server),
            ..peers
        }
    };
    let mut talk = peers.connect();
    let mut writer = talk.client.early_data().unwrap();
    std::io::Write::write_all(&mut writer, b"early\n").unwrap();
    std::io::Write::write_all(&mut writer, b"bird\n").unwrap();
    talk.settle();
    assert_eq!(talk.client.is_early_data_accepted(), accept);
    talk.client_says(b"late\n");
    talk.server_says(b"answer\n");
    (peers, talk)
}

#[test]
fn early_data_is_heard_where_the_server_takes_it() {
    let (peers, talk) = early(true);
    for size in [1, 50, 100_000] {
        let heard = hear(&talk.wire, &peers.keys(), size);
        assert_eq!(heard.said(Side::Orig), "early\nbird\nlate\n");
        assert_eq!(heard.said(Side::Resp), "answer\n");
        assert_eq!(heard.counters.refused, 0);
    }
    // Without its key the rest is still opened.
    let text = String::from_utf8(peers.log()).unwrap();
    let without: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("CLIENT_EARLY"))
        .collect();
    assert_ne!(text, without);
    let heard = hear(&talk.wire, &store(without.as_bytes()), 50);
    assert_eq!(heard.said(Side::Orig), "late\n");
}

#[test]
fn early_data_that_is_refused_was_never_said() {
    let (peers, talk) = early(false);
    let heard = hear(&talk.wire, &peers.keys(), 50);
    assert_eq!(heard.said(Side::Orig), "late\n");
    assert_eq!(heard.said(Side::Resp), "answer\n");
    assert_eq!(
        (heard.counters.refused, heard.counters.not_authentic),
        (2, 0)
    );
}

#[test]
fn late_keys_are_waited_for_within_bounds() {
    for suite in [
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ] {
        let peers = Peers::new(suite, |_, _| {});
        let talk = exchange(&peers);
        let log = peers.log();
        // Whole or in two halves, after any number of messages.
        for (after, cut) in (0..=talk.wire.len()).flat_map(|n| [(n, 0), (n, log.len() / 2)]) {
            let keys = Arc::new(KeyStore::growing());
            let (mut listener, mut reader) = (Listener::new(keys.clone()), KeyLog::default());
            reader.push(&log[..cut], &keys);
            for (at, (side, bytes)) in talk.wire.iter().enumerate() {
                if at == after {
                    reader.push(&log[cut..], &keys);
                }
                listener.hear(*side, Timestamp::from_secs(at as i64), bytes);
            }
            reader.push(&log[cut..], &keys);
            check(&listener.end());
        }
    }
}

#[test]
fn keys_that_never_come_are_not_waited_for_for_ever() {
    let peers = Peers::new(ring::cipher_suite::TLS13_AES_128_GCM_SHA256, |_, _| {});
    let mut talk = exchange(&peers);
    talk.server_says(&vec![b'x'; 1 << 20]);
    let mut listener = Listener::new(Arc::new(KeyStore::growing()));
    for (side, bytes) in &talk.wire {
        for piece in bytes.chunks(1_460) {
            listener.hear(*side, Timestamp::from_secs(0), piece);
            assert!(listener.shared.waiting() <= 256 << 10);
        }
    }
    assert!(listener.session.is_dark());
    assert_eq!(listener.shared.waiting(), 0);
    assert_eq!(listener.end().counters.late, 1);
    // Few bytes, and much time.
    let mut listener = Listener::new(Arc::new(KeyStore::growing()));
    for (at, (side, bytes)) in talk.wire.iter().enumerate().take(12) {
        listener.hear(*side, Timestamp::from_secs(at as i64 * 5), bytes);
    }
    assert!(listener.session.is_dark());
}

#[test]
fn a_record_that_is_damaged_gives_nothing() {
    let peers = Peers::new(ring::cipher_suite::TLS13_AES_128_GCM_SHA256, |_, _| {});
    let mut talk = exchange(&peers);
    let answer = talk.wire.len();
    talk.server_says(b"damaged");
    talk.server_says(b"sound");
    let middle = talk.wire[answer].1.len() / 2;
    talk.wire[answer].1[middle] ^= 1;
    let heard = hear(&talk.wire, &peers.keys(), 1_460);
    let said = [&ANSWER.repeat(3)[..], b"sound"].concat();
    assert_eq!(heard.said(Side::Resp), String::from_utf8_lossy(&said));
    let at = ANSWER.len() as u64 * 3;
    assert_eq!(
        heard.gaps,
        [(Side::Resp, at, Some(b"damaged".len() as u64))]
    );
    assert_eq!(heard.counters.not_authentic, 1);
}

#[test]
fn what_is_kept_for_a_premaster_secret_is_held() {
    let suite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let talk = exchange(&Peers::new(suite, |_, _| {}));
    let (side, hello) = &talk.wire[0];
    let held = |log: &str| {
        let mut listener = Listener::new(store(log.as_bytes()));
        listener.hear(*side, Timestamp::from_secs(0), hello);
        listener.session.held()
    };
    assert_eq!(held(""), 0);
    let other = format!("RSA {} {}\n", "5a".repeat(8), "03".repeat(48));
    assert!(held(&other) >= hello.len() - record::HEADER);
}
