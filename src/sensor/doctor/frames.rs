//! What the frames of a tap tell: cut or merged, not read, badly stamped, encrypted.

use std::fmt::Write as _;

use super::flows::ENOUGH_DATA;
use super::words::{self, bytes, count, percent, span};
use super::{Grade, Symptom, share};
use crate::decode::{Ignored, Malformed};
use crate::sensor::checks::Mode;
use crate::sensor::readings::{Readings, TapReading};

/// Frames, before a share of them is said.
pub(super) const ENOUGH_FRAMES: u64 = 100;
/// Events that are certain one by one (a cut frame, VXLAN on a port that is not named) need fewer.
pub(super) const ENOUGH_CERTAIN: u64 = 20;
pub(super) const CUT: f64 = 0.01;
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
/// Handshakes on a port, before it is said to show TLS alone.
const ENOUGH_HELLOS: u64 = 10;
/// Ports that a line names.
const PORTS: usize = 8;
pub(super) fn cut_frames(tap: &TapReading, out: &mut Vec<Symptom>) {
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

pub(super) fn merged(tap: &TapReading, out: &mut Vec<Symptom>) {
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
pub(super) fn unread(tap: &TapReading, out: &mut Vec<Symptom>) {
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

pub(super) fn malformed(tap: &TapReading, out: &mut Vec<Symptom>) {
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

pub(super) fn clock(tap: &TapReading, out: &mut Vec<Symptom>) {
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

pub(super) fn checksums(tap: &TapReading, out: &mut Vec<Symptom>) {
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

pub(super) fn tls_only(tap: &TapReading, r: &Readings, out: &mut Vec<Symptom>) {
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
