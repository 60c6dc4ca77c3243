use super::*;
use crate::capture::{Frame, LinkType};
use crate::decode::{Answer, Decoded};
use crate::decode::{Ignored, Malformed};
use crate::sensor::Checksums;
use crate::sensor::checks::Mode;
use crate::sensor::readings::TapReading;
use crate::sensor::tap::SourceTaps;
use crate::sensor::tap::{Flows, Segments};
use crate::time::Timestamp;

/// A live tap with a day's honest work behind it.
fn healthy() -> Readings {
    let mut tap = TapReading {
        name: "eth1".into(),
        live: true,
        flows: Flows {
            both: 1_000,
            ..Flows::default()
        },
        ..TapReading::default()
    };
    tap.frames.all.frames = 50_000;
    tap.frames.all.bytes = 40_000_000;
    tap.frames.segments = Segments {
        segments: 49_000,
        data: 20_000,
        bytes: 30_000_000,
        ..Segments::default()
    };
    let source = SourceReading {
        name: "eth1".into(),
        live: true,
        frames: 50_000,
        ..SourceReading::default()
    };
    Readings {
        taps: vec![tap],
        sources: vec![source],
        read_ports: vec![80],
        exchanges: 5_000,
        ..Readings::default()
    }
}

/// The symptoms after `change`; all others must stay away.
fn only(change: impl FnOnce(&mut Readings)) -> Vec<Symptom> {
    let mut r = healthy();
    change(&mut r);
    diagnose(&r)
}

fn codes(symptoms: &[Symptom]) -> Vec<(&'static str, Grade)> {
    symptoms.iter().map(|s| (s.code, s.severity)).collect()
}

fn feed(taps: &mut SourceTaps, n: usize, decoded: Decoded<'_>, detail: u16, cut: u32, ts: i64) {
    let data = [0; 100];
    for _ in 0..n {
        let frame = Frame {
            ts: Timestamp(ts),
            link: LinkType::ETHERNET,
            data: &data,
            wire_len: 100 + cut,
            interface: 0,
        };
        let mut answer = Answer {
            tunnels: Default::default(),
            decoded,
            frames: 1,
            detail,
        };
        taps.count(&frame, &mut answer, Checksums::Auto);
    }
}

#[test]
fn a_healthy_tap_has_nothing() {
    let r = healthy();
    assert_eq!(diagnose(&r), vec![]);
    assert_eq!(
        sound(&r),
        "the tap looks sound: 50,000 frames, both sides of 1,000 connections"
    );
}

#[test]
fn one_way_by_share_and_only_with_enough_connections() {
    let with = |both, one_way| {
        codes(&only(|r| {
            (r.taps[0].flows.both, r.taps[0].flows.one_way) = (both, one_way)
        }))
    };
    assert_eq!(with(0, 9), vec![]);
    assert_eq!(with(0, 10), vec![("one_way", Grade::Severe)]);
    assert_eq!(with(90, 10), vec![("one_way", Grade::Warning)]);
    assert_eq!(with(990, 10), vec![]);
    // A few connections that live for ever are judged by what they carry.
    let long = only(|r| {
        (r.taps[0].flows.both, r.taps[0].flows.blind) = (0, 15_000);
    });
    assert_eq!(codes(&long), vec![("one_way", Grade::Severe)]);
    assert!(
        long[0].text.contains("75 % of 20,000 segments"),
        "{}",
        long[0].text
    );
}

#[test]
fn copies_say_whether_one_interface_or_two_bring_them() {
    let same = only(|r| r.taps[0].flows.copies = 10_000);
    assert_eq!(codes(&same), vec![("copies", Grade::Warning)]);
    assert_eq!(same[0].share, Some(0.5));
    assert!(same[0].text.contains("twice"), "{}", same[0].text);
    let two = only(|r| {
        (r.taps[0].flows.copies, r.taps[0].flows.copies_across) = (10_000, 9_000);
    });
    assert!(two[0].text.contains("two interfaces"), "{}", two[0].text);
    assert_eq!(only(|r| r.taps[0].flows.copies = 100), vec![]);
}

#[test]
fn lost_bytes_are_severe_where_they_are_many() {
    let lost = |n| codes(&only(|r| r.taps[0].flows.lost_bytes = n));
    assert_eq!(lost(1_000), vec![]);
    assert_eq!(lost(100_000), vec![("lost", Grade::Warning)]);
    assert_eq!(lost(10_000_000), vec![("lost", Grade::Severe)]);
}

#[test]
fn cut_frames_name_the_setting_of_the_side_that_cuts() {
    let live = only(|r| r.taps[0].frames.cut.frames = 1_000);
    assert_eq!(codes(&live), vec![("cut", Grade::Warning)]);
    assert!(live[0].mend.contains("capture.snap_length"));
    let file = only(|r| {
        r.taps[0].frames.cut.frames = 40_000;
        r.taps[0].live = false;
    });
    assert_eq!(codes(&file), vec![("cut", Grade::Severe)]);
    assert!(file[0].mend.contains("tcpdump -s 0"));
    assert!(live[0].is_loss() && file[0].is_loss());
}

#[test]
fn merged_segments_are_a_note_and_no_loss() {
    let jumbo = only(|r| r.taps[0].frames.segments.large = 5_000);
    assert_eq!(codes(&jumbo), vec![("merged", Grade::Note)]);
    assert!(jumbo[0].text.contains("jumbo") && jumbo[0].mend.contains("ethtool -K eth1 gro off"));
    assert!(!jumbo[0].is_loss());
}

#[test]
fn vxlan_on_another_port_is_named_with_the_port() {
    let mut taps = SourceTaps::default();
    feed(
        &mut taps,
        30,
        Decoded::Ignored(Ignored::VxlanPort),
        4_444,
        0,
        1,
    );
    feed(
        &mut taps,
        19,
        Decoded::Ignored(Ignored::VxlanPort),
        5_555,
        0,
        1,
    );
    let said = only(|r| r.taps[0].frames = taps.taps[0].clone());
    assert_eq!(codes(&said), vec![("vxlan_port", Grade::Severe)]);
    assert_eq!(said[0].mend, "add to capture.vxlan_ports: 4444, 5555");
    assert_eq!(said[0].share, Some(1.0));
}

#[test]
fn bytes_that_are_not_read_are_said_by_reason_and_share() {
    for (reason, detail, word) in [
        (Ignored::Esp, 0, "IPsec"),
        (Ignored::EtherType, 0x88e5, "MACsec"),
        (Ignored::OtherIp, 89, "OSPF"),
        (Ignored::LinkType, 147, "147"),
        (Ignored::Quic, 0, "HTTP/3"),
        (Ignored::Tunnel, 0, "tunnel"),
    ] {
        let mut taps = SourceTaps::default();
        feed(&mut taps, 100, Decoded::Ignored(reason), detail, 0, 1);
        feed(&mut taps, 900, Decoded::Ignored(Ignored::Icmp), 0, 0, 1);
        let said = only(|r| r.taps[0].frames = taps.taps[0].clone());
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].code, reason.name());
        assert_eq!(said[0].share, Some(0.1));
        assert!(said[0].text.contains(word), "{}", said[0].text);
        assert!(CODES.contains(&said[0].code));
    }
    // Chatter is not worth a word, and ten packets are no share.
    let mut taps = SourceTaps::default();
    feed(&mut taps, 10, Decoded::Ignored(Ignored::Esp), 0, 0, 1);
    feed(&mut taps, 500, Decoded::Ignored(Ignored::Arp), 0, 0, 1);
    assert_eq!(only(|r| r.taps[0].frames = taps.taps[0].clone()), vec![]);
}

#[test]
fn malformed_frames_are_listed_by_reason() {
    let mut taps = SourceTaps::default();
    feed(&mut taps, 50, Decoded::Malformed(Malformed::Ip), 0, 0, 1);
    feed(&mut taps, 950, Decoded::Ignored(Ignored::Arp), 0, 0, 1);
    let said = only(|r| r.taps[0].frames = taps.taps[0].clone());
    assert_eq!(codes(&said), vec![("malformed", Grade::Warning)]);
    assert!(said[0].text.contains("ip 50"), "{}", said[0].text);
}

#[test]
fn a_clock_that_goes_back_is_said_and_a_shuffle_is_not() {
    let clock = |steps: [i64; 3]| {
        let mut taps = SourceTaps::default();
        for ts in steps {
            feed(&mut taps, 300, Decoded::Ignored(Ignored::Arp), 0, 0, ts);
        }
        only(|r| r.taps[0].frames = taps.taps[0].clone())
    };
    let second = 1_000_000_000;
    assert_eq!(clock([second, second - 50_000, second + 1]), vec![]);
    let said = clock([60 * second, 30 * second, 90 * second]);
    assert_eq!(codes(&said), vec![("clock_backward", Grade::Warning)]);
    assert!(
        said[0].text.contains("1 time, by 30.0 s"),
        "{}",
        said[0].text
    );
}

#[test]
fn tls_alone_is_said_of_ports_where_nothing_was_read() {
    let hellos = |r: &mut Readings| {
        r.taps[0].hellos = [(443, 50), (80, 40), (8_443, 9)].into();
    };
    let said = only(hellos);
    assert_eq!(codes(&said), vec![("tls_only", Grade::Note)]);
    assert!(said[0].text.ends_with("443 (50)"), "{}", said[0].text);
    let nothing_read = only(|r| {
        hellos(r);
        r.exchanges = 0;
    });
    assert_eq!(codes(&nothing_read), vec![("tls_only", Grade::Warning)]);
}

#[test]
fn drops_name_the_setting_that_cures_them() {
    let said = only(|r| {
        r.sources[0].kernel_drops = 1;
        r.sources[0].interface_drops = 40;
        r.sources[0].shed = 5_000;
    });
    assert_eq!(
        codes(&said),
        vec![
            ("worker_busy", Grade::Severe),
            ("interface_drops", Grade::Warning),
            ("kernel_drops", Grade::Note),
        ]
    );
    assert!(said[0].mend.contains("sensor.workers"));
    assert!(said[1].mend.contains("ethtool -G eth1"));
    assert!(said[2].mend.contains("capture.buffer"));
    assert_eq!(
        said.iter().map(Symptom::is_loss).collect::<Vec<_>>(),
        [true, true, false]
    );
}

#[test]
fn a_network_is_named_where_the_interface_as_a_whole_is_well() {
    let network = NetworkReading {
        vni: Some(42),
        flows: Flows {
            one_way: 30,
            ..Flows::default()
        },
        ..NetworkReading::default()
    };
    let said = only(|r| r.networks = vec![network]);
    assert_eq!(codes(&said), vec![("one_way", Grade::Severe)]);
    assert_eq!(said[0].tap, "VNI 42");
    let both = only(|r| {
        r.networks = vec![network];
        r.taps[0].flows.one_way = 3_000;
    });
    assert_eq!(both.len(), 1, "{both:?}");
    assert_eq!(both[0].tap, "eth1");
}

#[test]
fn only_what_happened_since_the_earlier_reading_counts() {
    let mut then = healthy();
    then.taps[0].flows.one_way = 5_000;
    then.sources[0].kernel_drops = 5_000;
    then.taps[0].frames.clock.backward = 1;
    then.taps[0].frames.clock.farthest = 5_000_000_000;
    let mut now = then.clone();
    assert!(diagnose(&now).len() >= 3);
    assert_eq!(diagnose(&now.since(&then)), vec![]);
    now.sources[0].kernel_drops += 10;
    now.sources[0].frames += 90;
    assert_eq!(
        codes(&diagnose(&now.since(&then))),
        vec![("kernel_drops", Grade::Severe)]
    );
}

#[test]
fn interfaces_and_networks_are_bounded() {
    let mut taps = SourceTaps::default();
    let data = [0; 60];
    for interface in 0..1_000 {
        let frame = Frame {
            ts: Timestamp(0),
            link: LinkType::ETHERNET,
            data: &data,
            wire_len: 60,
            interface,
        };
        let decoded = Decoded::Ignored(Ignored::EtherType);
        let mut answer = Answer {
            tunnels: Default::default(),
            decoded,
            frames: 1,
            detail: interface + 1,
        };
        taps.count(&frame, &mut answer, Checksums::Auto);
    }
    assert_eq!(taps.taps.len(), 64);
    assert_eq!(taps.taps.iter().map(|t| t.all.frames).sum::<u64>(), 1_000);
    assert!(
        taps.taps
            .iter()
            .all(|t| t.details(Ignored::EtherType).len() <= 16)
    );
    for vni in 0..1_000 {
        taps.networks.of(vni).segments += 1;
    }
    assert_eq!(taps.networks.by_vni.len(), 256);
    assert_eq!(taps.networks.others.segments, 744);
}

#[test]
fn checksums_that_are_not_enforced_are_said_and_those_that_are_refused() {
    let with = |mode, right, wrong| {
        only(|r| {
            let checks = &mut r.taps[0].frames.checks;
            (checks.mode, checks.right, checks.wrong) = (mode, right, wrong);
        })
    };
    assert_eq!(with(Mode::Enforced, 50_000, 2), vec![]);
    assert_eq!(with(Mode::Deciding, 5, 5), vec![]);
    let off = with(Mode::Off, 600, 600);
    assert_eq!(codes(&off), vec![("checksums_off", Grade::Note)]);
    assert!(off[0].text.contains("50 %") && off[0].mend.contains("ethtool -K"));
    let refused = with(Mode::Enforced, 50_000, 25);
    assert_eq!(codes(&refused), vec![("checksums_wrong", Grade::Note)]);
}
