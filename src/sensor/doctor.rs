//! The tap doctor: what the counters say is wrong with the mirror, in plain words, and the mend.
//!
//! A pure function of [`Readings`]: over a whole file, or over the last minute of a live port
//! ([`Readings::since`]). A symptom is said only once enough was seen to tell it from chance; the
//! thresholds stand below, each with its reason.

use std::fmt::Write as _;

use serde::Serialize;

use super::checks::Mode;
use super::readings::{NetworkReading, Readings, SourceReading, TapReading};
use super::tap::{Flows, Segments};
use crate::decode::{Ignored, Malformed};

mod words;

#[cfg(test)]
mod tests;

pub use words::{bytes, count, grouped};
use words::{percent, span};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Good to know; nothing is lost.
    Note,
    /// Part of the traffic is not read, or read less well.
    Warning,
    /// The picture is wrong: someone should act.
    Severe,
}

impl Grade {
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Severe => "severe",
        }
    }
}

/// Something that is wrong with a tap.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Symptom {
    /// The interface, file or overlay network.
    pub tap: String,
    pub code: &'static str,
    pub severity: Grade,
    /// Of what the text says.
    pub share: Option<f64>,
    /// What is seen, and what it means.
    pub text: String,
    /// What to change.
    pub mend: String,
}

/// Every code there is, for metrics.
pub const CODES: [&str; 25] = [
    "checksums_off",
    "checksums_wrong",
    "clock_backward",
    "copies",
    "cut",
    "esp",
    "ethertype",
    "interface_drops",
    "ip_protocol",
    "kernel_drops",
    "link_type",
    "lost",
    "malformed",
    "merged",
    "mpls",
    "one_way",
    "ppp",
    "quic",
    "sctp",
    "tls_only",
    "tunnel",
    "udp",
    "vxlan_port",
    "wlan",
    "worker_busy",
];

impl Symptom {
    /// Packets are missing: what rests on a complete view cannot be claimed.
    pub fn is_loss(&self) -> bool {
        let lossy = [
            "cut",
            "interface_drops",
            "kernel_drops",
            "lost",
            "one_way",
            "worker_busy",
        ];
        self.severity >= Grade::Warning && lossy.contains(&self.code)
    }
}

/// Connections with data, before a side is said to be missing: fewer may be one client's oddity.
const ENOUGH_FLOWS: u64 = 10;
/// From this share on the mirror itself is one-way; below, some paths are.
const ONE_WAY_MOST: f64 = 0.5;
/// Below it, it is capture that began in the middle, or a few asymmetric routes.
const ONE_WAY_SOME: f64 = 0.05;

/// Segments with data, before copies or losses are said.
const ENOUGH_DATA: u64 = 100;
/// A mirror that doubles, doubles whole ports or VLANs; single copies are retransmissions that
/// look like one (IPv6 without time stamps).
const COPIES: f64 = 0.05;
/// Bytes acknowledged and never seen. A good mirror loses none.
const LOST: f64 = 0.001;
const LOST_MUCH: f64 = 0.02;

/// Frames, before a share of them is said.
const ENOUGH_FRAMES: u64 = 100;
/// Events that are certain one by one (a cut frame, VXLAN on a port that is not named) need fewer.
const ENOUGH_CERTAIN: u64 = 20;
const CUT: f64 = 0.01;
const CUT_MUCH: f64 = 0.25;
const MERGED: f64 = 0.01;
const MALFORMED: f64 = 0.01;
/// Share of bytes that are not read. Every network has some chatter.
const UNREAD: f64 = 0.05;
const UNREAD_MOST: f64 = 0.5;
/// UDP is most of what many networks carry beside TCP (DNS, media), and nothing to mend.
const UDP: f64 = 0.5;
/// An overlay in part is hosts in part: said early.
const VXLAN: f64 = 0.01;

/// Steps below are cores and cards stamping side by side.
const CLOCK_STEP: u64 = 1_000_000_000;

/// Drops of packets, by share.
const DROPS_FEW: f64 = 0.0001;
const DROPS_MUCH: f64 = 0.01;

/// A network is named beside its interface where its share is so many times the interface's.
const OUTSTANDING: f64 = 1.5;

/// Handshakes on a port, before it is said to show TLS alone.
const ENOUGH_HELLOS: u64 = 10;
/// Ports that a line names.
const PORTS: usize = 8;

/// Everything that is wrong, the worst first.
pub fn diagnose(r: &Readings) -> Vec<Symptom> {
    let mut out = Vec::new();
    for source in &r.sources {
        drops(source, &mut out);
    }
    for tap in &r.taps {
        one_way(&tap.name, &tap.flows, &tap.frames.segments, &mut out);
        copies(&tap.name, &tap.flows, &tap.frames.segments, &mut out);
        lost(&tap.name, &tap.flows, &tap.frames.segments, &mut out);
        cut_frames(tap, &mut out);
        merged(tap, &mut out);
        unread(tap, &mut out);
        malformed(tap, &mut out);
        clock(tap, &mut out);
        checksums(tap, &mut out);
        tls_only(tap, r, &mut out);
    }
    let of_taps = out.len();
    for network in &r.networks {
        let mut own = Vec::new();
        overlay(network, &mut own);
        // What a whole interface has, is not said once more for each network on it.
        own.retain(|s| {
            let mut taps = out.iter().take(of_taps).filter(|o| o.code == s.code);
            !taps.any(|o| o.share.unwrap_or(1.0) * OUTSTANDING >= s.share.unwrap_or(1.0))
        });
        out.append(&mut own);
    }
    out.sort_by_key(|symptom| std::cmp::Reverse(symptom.severity));
    out
}

/// Why packets are known to be missing, if they are.
pub fn loss(symptoms: &[Symptom]) -> Option<String> {
    let worst = symptoms.iter().find(|s| s.is_loss())?;
    Some(format!("on {} {}", worst.tap, worst.text))
}

/// One line for a tap without symptoms.
pub fn sound(r: &Readings) -> String {
    let frames: u64 = r.taps.iter().map(|t| t.frames.all.frames).sum();
    let flows: u64 = r.taps.iter().map(|t| t.flows.both).sum();
    match frames {
        0 => "nothing has arrived yet".into(),
        1..ENOUGH_FRAMES => format!(
            "nothing looks wrong; {} are too few to judge the tap by",
            count(frames, "frame")
        ),
        _ => format!(
            "the tap looks sound: {}, both sides of {}",
            count(frames, "frame"),
            count(flows, "connection"),
        ),
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// By connections, or, where those are few and live long, by their segments.
fn one_way(tap: &str, flows: &Flows, segments: &Segments, out: &mut Vec<Symptom>) {
    let all = flows.both + flows.one_way;
    let of_flows = (share(flows.one_way, all), count(all, "connection"));
    let of_data = (
        share(flows.blind, segments.data),
        count(segments.data, "segment") + " with data",
    );
    let judged = [
        (all >= ENOUGH_FLOWS).then_some(of_flows),
        (segments.data >= ENOUGH_DATA).then_some(of_data),
    ];
    let worst = judged
        .into_iter()
        .flatten()
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((share, whole)) = worst.filter(|(share, _)| *share >= ONE_WAY_SOME) else {
        return;
    };
    let most = share >= ONE_WAY_MOST;
    let meaning = if most {
        "the mirror brings one direction alone, so requests cannot be matched with responses"
    } else {
        "the mirror misses one direction on some paths (asymmetric routing, or a port left out)"
    };
    out.push(Symptom {
        tap: tap.into(),
        code: "one_way",
        severity: if most { Grade::Severe } else { Grade::Warning },
        share: Some(share),
        text: format!(
            "in {} of {whole}, the other side acknowledges data that is never shown: {meaning}",
            percent(share),
        ),
        mend: "mirror both directions (on the switch: source … both, or rx and tx); of a two-armed tap \
               name both interfaces in capture.interfaces"
            .into(),
    });
}

fn copies(tap: &str, flows: &Flows, segments: &Segments, out: &mut Vec<Symptom>) {
    let share = share(flows.copies, segments.data);
    if segments.data < ENOUGH_DATA || share < COPIES {
        return;
    }
    let across = flows.copies_across * 2 > flows.copies;
    let (meaning, mend) = if across {
        (
            "two interfaces show the same packets",
            "take one of the interfaces out of capture.interfaces, or mirror each port on one of them alone",
        )
    } else {
        (
            "the mirror sends packets twice (as they enter the switch and as they leave it)",
            "mirror rx and tx of the servers' ports alone, or rx alone of every port; not both of a whole VLAN",
        )
    };
    out.push(Symptom {
        tap: tap.into(),
        code: "copies",
        severity: Grade::Warning,
        share: Some(share),
        text: format!(
            "{} of {} with data are copies of one just seen: {meaning}; nothing is counted twice, but it costs half the capacity",
            percent(share),
            count(segments.data, "segment"),
        ),
        mend: mend.into(),
    });
}

fn lost(tap: &str, flows: &Flows, segments: &Segments, out: &mut Vec<Symptom>) {
    let share = share(flows.lost_bytes, segments.bytes + flows.lost_bytes);
    if segments.data < ENOUGH_DATA || share < LOST {
        return;
    }
    let much = share >= LOST_MUCH;
    out.push(Symptom {
        tap: tap.into(),
        code: "lost",
        severity: if much { Grade::Severe } else { Grade::Warning },
        share: Some(share),
        text: format!(
            "{} ({}) of the bytes that receivers acknowledged were never shown: packets are lost on the way to apitap",
            percent(share),
            bytes(flows.lost_bytes),
        ),
        mend: "a span port drops what exceeds its speed: mirror less to it, or give it a faster port; \
               see the lines on drops, if there are any"
            .into(),
    });
}

fn cut_frames(tap: &TapReading, out: &mut Vec<Symptom>) {
    let frames = &tap.frames;
    let share = share(frames.cut.frames, frames.all.frames);
    if frames.cut.frames < ENOUGH_CERTAIN || share < CUT {
        return;
    }
    let heads = frames.malformed(Malformed::Truncated).frames;
    let mut text = format!(
        "{} of {} were cut short, {} are missing: bodies and long heads cannot be read",
        percent(share),
        count(frames.all.frames, "frame"),
        bytes(frames.cut.bytes),
    );
    if heads > 0 {
        let _ = write!(text, "; {heads} were cut inside their headers");
    }
    let mend = if tap.live {
        "capture.snap_length = 262144; where the switch or an ERSPAN session truncates, lift its limit (MTU of the mirror's path)"
    } else {
        "capture whole packets: tcpdump -s 0, dumpcap without -s"
    };
    out.push(Symptom {
        tap: tap.name.clone(),
        code: "cut",
        severity: if share >= CUT_MUCH {
            Grade::Severe
        } else {
            Grade::Warning
        },
        share: Some(share),
        text,
        mend: mend.into(),
    });
}

fn merged(tap: &TapReading, out: &mut Vec<Symptom>) {
    let s = &tap.frames.segments;
    let share = share(s.large, s.data);
    if s.data < ENOUGH_DATA || share < MERGED {
        return;
    }
    let meaning = if s.merged > 0 {
        "the network card or the kernel has merged segments (GRO, LRO), or the capture is on the sender before they are cut (TSO)"
    } else {
        "jumbo frames, or segments merged by the network card (GRO, LRO)"
    };
    out.push(Symptom {
        tap: tap.name.clone(),
        code: "merged",
        severity: Grade::Note,
        share: Some(share),
        text: format!(
            "{} of {} with data are larger than an MTU of 1,500: {meaning}; they are read, as long as the snap length is larger",
            percent(share),
            count(s.data, "segment"),
        ),
        mend: if tap.live {
            format!(
                "for times of single packets: ethtool -K {} gro off lro off",
                tap.name
            )
        } else {
            "for times of single packets, capture with ethtool -K IFACE gro off lro off".into()
        },
    });
}

/// Bytes that are not read, by what they are.
fn unread(tap: &TapReading, out: &mut Vec<Symptom>) {
    let all = tap.frames.all;
    for reason in Ignored::ALL {
        let Some(words) = words::of(reason) else {
            continue;
        };
        let volume = tap.frames.ignored(reason);
        let share = share(volume.bytes, all.bytes);
        let (enough, least) = match reason {
            Ignored::VxlanPort => (ENOUGH_CERTAIN, VXLAN),
            Ignored::Udp => (ENOUGH_FRAMES, UDP),
            _ => (ENOUGH_FRAMES, UNREAD),
        };
        if volume.frames < enough || share < least {
            continue;
        }
        let numbers = tap.frames.details(reason);
        let severity = match reason {
            Ignored::Quic | Ignored::Udp | Ignored::Sctp => Grade::Note,
            _ if share >= UNREAD_MOST => Grade::Severe,
            _ => Grade::Warning,
        };
        out.push(Symptom {
            tap: tap.name.clone(),
            code: reason.name(),
            severity,
            share: Some(share),
            text: format!(
                "{} of the bytes ({}) are {}",
                percent(share),
                count(volume.frames, "frame"),
                words.what(&numbers),
            ),
            mend: words.mend(&numbers),
        });
    }
}

fn malformed(tap: &TapReading, out: &mut Vec<Symptom>) {
    let of = |m: Malformed| tap.frames.malformed(m).frames;
    let reasons: Vec<Malformed> = Malformed::ALL
        .into_iter()
        .filter(|m| !matches!(m, Malformed::Truncated | Malformed::Checksum) && of(*m) > 0)
        .collect();
    let frames = reasons.iter().map(|m| of(*m)).sum();
    let share = share(frames, tap.frames.all.frames);
    if frames < ENOUGH_CERTAIN || share < MALFORMED {
        return;
    }
    let list: Vec<String> = reasons
        .iter()
        .map(|m| format!("{} {}", m.name(), of(*m)))
        .collect();
    out.push(Symptom {
        tap: tap.name.clone(),
        code: "malformed",
        severity: Grade::Warning,
        share: Some(share),
        text: format!(
            "{} of the frames are not what they claim to be ({})",
            percent(share),
            list.join(", ")
        ),
        mend: "look at some of them in Wireshark; a mirror that adds a header of its own needs it turned off".into(),
    });
}

fn clock(tap: &TapReading, out: &mut Vec<Symptom>) {
    let clock = &tap.frames.clock;
    if clock.backward == 0 || clock.farthest < CLOCK_STEP {
        return;
    }
    out.push(Symptom {
        tap: tap.name.clone(),
        code: "clock_backward",
        severity: Grade::Warning,
        share: None,
        text: format!(
            "the time stamps went backwards, {}, by {} at most: times and rates around it are wrong",
            count(clock.backward, "time"),
            span(clock.farthest),
        ),
        mend: if tap.live {
            "let the clock be slewed, not set (chronyd without makestep), or use the card's own stamps".into()
        } else {
            "put the packets in order (reordercap, mergecap), or name the files without --sequential".into()
        },
    });
}

fn checksums(tap: &TapReading, out: &mut Vec<Symptom>) {
    let checks = &tap.frames.checks;
    let all = checks.right + checks.wrong;
    let share = share(checks.wrong, all);
    if checks.wrong < ENOUGH_CERTAIN || checks.mode == Mode::Deciding {
        return;
    }
    let (code, text, mend) = if checks.mode == Mode::Off {
        (
            "checksums_off",
            format!(
                "{} of {} that were looked at are wrong, so wrong ones are not refused: the capture is on a sender, whose card fills them in later",
                percent(share),
                count(all, "checksum"),
            ),
            "mirror at the switch; or on the sender: ethtool -K IFACE tx off".to_owned(),
        )
    } else {
        (
            "checksums_wrong",
            format!(
                "{} with a wrong checksum were refused ({}): broken on the way, or sent to deceive a monitor; their receivers drop them, too",
                count(checks.wrong, "segment"),
                percent(share),
            ),
            "if they are of one host whose card fills checksums in later: capture.checksums = \"off\"".to_owned(),
        )
    };
    out.push(Symptom {
        tap: tap.name.clone(),
        code,
        severity: Grade::Note,
        share: Some(share),
        text,
        mend,
    });
}

fn tls_only(tap: &TapReading, r: &Readings, out: &mut Vec<Symptom>) {
    let mut ports: Vec<(u64, u16)> = tap
        .hellos
        .iter()
        .filter(|(port, n)| **n >= ENOUGH_HELLOS && !r.read_ports.contains(port))
        .map(|(port, n)| (*n, *port))
        .collect();
    if ports.is_empty() {
        return;
    }
    ports.sort_unstable_by_key(|(n, port)| (std::cmp::Reverse(*n), *port));
    let all: u64 = ports.iter().map(|(n, _)| n).sum();
    let mut list: Vec<String> = ports
        .iter()
        .take(PORTS)
        .map(|(n, port)| format!("{port} ({n})"))
        .collect();
    if ports.len() > PORTS {
        list.push(format!("{} more", ports.len() - PORTS));
    }
    out.push(Symptom {
        tap: tap.name.clone(),
        code: "tls_only",
        severity: if r.exchanges == 0 { Grade::Warning } else { Grade::Note },
        share: Some(share(all, tap.hellos.values().sum())),
        text: format!(
            "server ports on which TLS alone is seen, by handshakes: {}",
            list.join(", ")
        ),
        mend: "mirror behind the point where TLS ends, such as between the load balancer and the services, or give the sessions' keys".into(),
    });
}

/// What only the kernel and the card know.
fn drops(s: &SourceReading, out: &mut Vec<Symptom>) {
    let kernel = if s.live {
        "a larger capture.buffer, more sensor.workers, or a narrower capture.filter"
    } else {
        "the program that wrote the file lost them: give it a larger buffer (dumpcap -B, tcpdump -B)"
    };
    let card = if s.live {
        format!(
            "larger rings on the card: ethtool -g {0} shows them, ethtool -G {0} rx MAX sets them",
            s.name
        )
    } else {
        "where it was captured: larger rings on the card (ethtool -G IFACE rx MAX)".into()
    };
    let cases = [
        (
            "kernel_drops",
            s.kernel_drops,
            "dropped by the kernel, whose buffer was full",
            kernel.to_owned(),
        ),
        (
            "interface_drops",
            s.interface_drops,
            "dropped by the network card",
            card,
        ),
        (
            "worker_busy",
            s.shed,
            "let go because their worker was busy",
            "more sensor.workers, or a narrower capture.filter".into(),
        ),
    ];
    for (code, n, what, mend) in cases.into_iter().filter(|(_, n, ..)| *n > 0) {
        let seen = if code == "worker_busy" {
            s.frames
        } else {
            s.frames + n
        };
        let share = share(n, seen);
        out.push(Symptom {
            tap: s.name.clone(),
            code,
            severity: match share {
                // The file may be an extract of what was captured then.
                _ if !s.live => Grade::Warning,
                s if s >= DROPS_MUCH => Grade::Severe,
                s if s >= DROPS_FEW => Grade::Warning,
                _ => Grade::Note,
            },
            share: Some(share),
            text: if s.live {
                format!("{} ({}) were {what}", count(n, "packet"), percent(share))
            } else {
                format!(
                    "{} were {what}, says the file, which has {}",
                    count(n, "packet"),
                    count(s.frames, "frame"),
                )
            },
            mend,
        });
    }
}

fn overlay(n: &NetworkReading, out: &mut Vec<Symptom>) {
    let name = match n.vni {
        Some(vni) => format!("VNI {vni}"),
        None => "VNIs past the first 256".into(),
    };
    one_way(&name, &n.flows, &n.segments, out);
    copies(&name, &n.flows, &n.segments, out);
    lost(&name, &n.flows, &n.segments, out);
    let share = share(n.segments.cut, n.segments.data);
    if n.segments.cut >= ENOUGH_CERTAIN && share >= CUT {
        out.push(Symptom {
            tap: name,
            code: "cut",
            severity: Grade::Warning,
            share: Some(share),
            text: format!(
                "{} of {} with data were cut short inside the tunnel, {} are missing",
                percent(share),
                count(n.segments.data, "segment"),
                bytes(n.segments.cut_bytes),
            ),
            mend: "give the mirror session a larger packet length, and its path an MTU with room for the tunnel's headers".into(),
        });
    }
}
