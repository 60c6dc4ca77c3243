use super::*;

const DAY: i64 = 86_400;
const NOW: i64 = 1_760_000_000;
const WARNING: Duration = Duration::from_secs(30 * DAY as u64);

fn flow(name: &str, secs: i64) -> TlsFlow {
    TlsFlow {
        ts: Timestamp::from_secs(secs),
        end: Timestamp::from_secs(secs + 1),
        client: [10, 0, 0, 1].into(),
        client_port: 40_000,
        server: [10, 0, 0, 2].into(),
        server_port: 443,
        vni: None,
        server_name: Some(name.into()).filter(|n: &CompactString| !n.is_empty()),
        alpn: Some("h2".into()),
        version: Some(TlsVersion::TLS13),
        cipher: Some(0x1301),
        ja4: Some("t13d".into()),
        ech: false,
        quic: false,
        certificate: None,
        opened: false,
        bytes: [100, 900],
    }
}

/// A certificate that ends so many days after `NOW`.
fn shown(days: i64, self_signed: bool) -> Option<ServerCertificate> {
    Some(ServerCertificate {
        not_after: Some(Timestamp::from_secs(NOW + days * DAY)),
        self_signed,
    })
}

fn findings(hosts: &mut TlsHosts) -> Vec<(String, Severity, u64)> {
    let view = hosts.view(WARNING);
    let all = view.hosts.iter().flat_map(|h| &h.findings);
    all.map(|f| (format!("{} {}", f.subject, f.what), f.severity, f.count))
        .collect()
}

fn named(what: &str, severity: Severity, count: u64) -> (String, Severity, u64) {
    (format!("a.example:443 {what}"), severity, count)
}

#[test]
fn flows_add_up_by_name_or_address() {
    let mut hosts = TlsHosts::default();
    let opened = TlsFlow {
        opened: true,
        ..flow("a.example", 1)
    };
    let quic = TlsFlow {
        quic: true,
        ..flow("", 3)
    };
    for f in [opened, flow("a.example", 2), quic] {
        assert_eq!(hosts.apply(&f, WARNING), None);
    }
    hosts.add_clear(7_000);
    let view = hosts.view(WARNING);
    let [address, name] = &view.hosts[..] else {
        panic!("{view:?}")
    };
    assert_eq!(address.key, "10.0.0.2:443");
    assert_eq!(
        (address.inspection, address.quic, address.dark_bytes),
        (Inspection::Dark, 1, 1_000)
    );
    assert_eq!(name.key, "a.example:443");
    assert_eq!((name.inspection, name.flows), (Inspection::Partly, 2));
    assert_eq!((name.bytes, name.dark_bytes), ([200, 1_800], 1_000));
    assert_eq!(name.ciphers[0].name, Some("TLS_AES_128_GCM_SHA256"));
    let times = (name.first_seen.secs(), name.last_seen.secs());
    assert_eq!(times, (1, 3));
    let c = view.coverage;
    assert_eq!(
        (c.opened_bytes, c.dark_bytes, c.quic_flows),
        (1_000, 2_000, 1)
    );
    let sentence = "80 % of HTTP bytes inspected; 20 % in 2 TLS hosts that are not opened";
    assert_eq!(c.sentence().as_deref(), Some(sentence));
}

#[test]
fn no_part_is_called_nothing_and_no_part_all() {
    assert_eq!(percent(0, 10), "0 %");
    assert_eq!(percent(1, 1_000), "less than 1 %");
    assert_eq!(percent(63, 100), "63 %");
    assert_eq!(percent(999, 1_000), "more than 99 %");
    assert_eq!(percent(10, 10), "100 %");
    assert_eq!(Coverage::default().sentence(), None);
    let clear = Coverage {
        clear_bytes: 5,
        ..Coverage::default()
    };
    let all = "100 % of HTTP bytes inspected";
    assert_eq!(clear.sentence().as_deref(), Some(all));
}

#[test]
fn an_old_version_is_told_once_and_a_worse_one_again() {
    let mut hosts = TlsHosts::default();
    let old = |version, secs| TlsFlow {
        version: Some(version),
        ..flow("a.example", secs)
    };
    assert_eq!(hosts.apply(&old(TlsVersion::TLS12, 1), WARNING), None);
    let told = hosts.apply(&old(TlsVersion::TLS10, 10), WARNING).unwrap();
    assert_eq!(told.summary, "a.example:443 speaks TLS 1.0");
    assert_eq!(
        (told.subject.as_str(), told.owasp),
        ("a.example:443", "API8:2023")
    );
    assert_eq!((told.severity, told.since.secs()), (Severity::Medium, 10));
    assert_eq!(hosts.apply(&old(TlsVersion::TLS10, 20), WARNING), None);
    let told = hosts.apply(&old(TlsVersion::SSL3, 30), WARNING).unwrap();
    assert_eq!(told.summary, "a.example:443 speaks SSL 3.0, and 1 more");
    assert_eq!((told.severity, told.why.len()), (Severity::High, 2));
    let expected = [
        named("speaks SSL 3.0", Severity::High, 1),
        named("speaks TLS 1.0", Severity::Medium, 2),
    ];
    assert_eq!(findings(&mut hosts), expected);
}

#[test]
fn a_suite_without_forward_secrecy_is_listed_and_does_not_ring() {
    let mut hosts = TlsHosts::default();
    let with = |cipher, secs| TlsFlow {
        cipher: Some(cipher),
        ..flow("a.example", secs)
    };
    assert_eq!(hosts.apply(&with(0x002f, 1), WARNING), None);
    assert_eq!(hosts.apply(&with(0xc013, 1), WARNING), None);
    let mut rc4 = with(0xc011, 2);
    rc4.ja4 = Some("t12d".into());
    let told = hosts.apply(&rc4, WARNING).unwrap();
    assert_eq!(told.why.len(), 1, "{told:?}");
    let expected = [
        named("uses TLS_ECDHE_RSA_WITH_RC4_128_SHA", Severity::Medium, 1),
        named("uses TLS_RSA_WITH_AES_128_CBC_SHA", Severity::Info, 1),
    ];
    assert_eq!(findings(&mut hosts), expected);
    let view = hosts.view(WARNING);
    let first = &view.hosts[0].findings[0];
    assert_eq!(
        first.cipher.as_deref(),
        Some("TLS_ECDHE_RSA_WITH_RC4_128_SHA")
    );
    assert_eq!((first.clients, view.hosts[0].ja4.len()), (Some(1), 2));
}

#[test]
fn a_certificate_is_judged_by_packet_time() {
    let mut hosts = TlsHosts::default();
    let at = |days: i64, ends: i64| TlsFlow {
        certificate: shown(ends, false),
        ..flow("a.example", NOW + days * DAY)
    };
    assert_eq!(hosts.apply(&at(0, 40), WARNING), None);
    assert_eq!(findings(&mut hosts), []);
    // Resumed, so no certificate is shown: what is known of it still stands.
    let resumed = flow("a.example", NOW + 11 * DAY);
    let told = hosts.apply(&resumed, WARNING).unwrap();
    assert_eq!(told.severity, Severity::Low);
    assert_eq!(hosts.apply(&at(12, 40), WARNING), None);
    let told = hosts.apply(&at(41, 40), WARNING).unwrap();
    let expired = "shows a certificate that expired at 2025-11-18T08:53:20Z";
    assert_eq!(told.summary, format!("a.example:443 {expired}"));
    let expected = [named(expired, Severity::Medium, 3)];
    assert_eq!(findings(&mut hosts), expected);
    // A new one mends it; where the old one is still shown beside it, that is told no more.
    assert_eq!(hosts.apply(&at(42, 400), WARNING), None);
    assert_eq!(findings(&mut hosts), []);
    assert_eq!(hosts.apply(&at(43, 40), WARNING), None);
    assert_eq!(hosts.apply(&at(44, 400), WARNING), None);
    assert!(hosts.apply(&at(375, 400), WARNING).is_some());
}

#[test]
fn self_signed_is_a_finding_that_does_not_ring() {
    let mut hosts = TlsHosts::default();
    let flow = TlsFlow {
        certificate: shown(400, true),
        ..flow("a.example", NOW)
    };
    assert_eq!(hosts.apply(&flow, WARNING), None);
    let expected = [named("shows a self-signed certificate", Severity::Low, 1)];
    assert_eq!(findings(&mut hosts), expected);
}

#[test]
fn made_up_names_put_each_other_out_and_their_traffic_is_counted() {
    let mut hosts = TlsHosts::default();
    let many = MAX_HOSTS as i64 + 500;
    for n in 0..many {
        hosts.apply(&flow("real.example", n), WARNING);
        hosts.apply(&flow(&format!("{n}.example"), n), WARNING);
    }
    let view = hosts.view(WARNING);
    assert!(view.hosts.len() <= MAX_HOSTS);
    let real = view.hosts.iter().find(|h| h.host == "real.example");
    assert_eq!(real.map(|h| h.flows), Some(many as u64));
    let shown: u64 = view.hosts.iter().map(|h| h.flows).sum();
    let c = view.coverage;
    assert_eq!(shown + c.others.0, 2 * many as u64);
    assert_eq!(
        (c.dark_flows, c.dark_bytes),
        (2 * many as u64, 2_000 * many as u64)
    );
    assert_eq!(view.hosts.len() as u64 + c.evicted, many as u64 + 1);
}

#[test]
fn what_is_kept_of_a_host_is_bounded() {
    let mut hosts = TlsHosts::default();
    for n in 0..1_000_u16 {
        let f = TlsFlow {
            version: Some(TlsVersion(n)),
            cipher: Some(n),
            ja4: Some(n.to_compact_string()),
            alpn: Some(n.to_compact_string()),
            server: [10, 0, (n >> 8) as u8, n as u8].into(),
            ..flow("a.example", i64::from(n))
        };
        hosts.apply(&f, WARNING);
    }
    let view = hosts.view(WARNING);
    let h = &view.hosts[0];
    assert_eq!(
        (h.versions.len(), h.ciphers.len()),
        (MAX_VERSIONS, MAX_CIPHERS)
    );
    assert_eq!((h.ja4.len(), h.alpn.len()), (MAX_JA4, MAX_ALPN));
    assert_eq!(h.addresses.len(), MAX_ADDRESSES);
}

#[test]
fn a_restart_goes_on_counting_and_tells_nothing_twice() {
    let mut hosts = TlsHosts::default();
    let old = |secs| TlsFlow {
        version: Some(TlsVersion::TLS10),
        certificate: shown(-1, false),
        ..flow("a.example", NOW + secs)
    };
    assert!(hosts.apply(&old(1), WARNING).is_some());
    let saved = postcard::to_stdvec(&hosts).unwrap();
    let before = hosts.view(WARNING);
    let mut again: TlsHosts = postcard::from_bytes(&saved).unwrap();
    again.refresh();
    let after = again.view(WARNING);
    assert_eq!(
        (after.hosts, after.coverage),
        (before.hosts, before.coverage)
    );
    assert_eq!(again.apply(&old(2), WARNING), None);
    assert_eq!(again.view(WARNING).hosts[0].flows, 2);
}
