//! The tap doctor: what the counters say is wrong with the mirror, in plain words, and the mend.
//!
//! A pure function of [`Readings`]: over a whole file, or over the last minute of a live port
//! ([`Readings::since`]). A symptom is said only once enough was seen to tell it from chance; the
//! thresholds stand below, each with its reason.

use serde::Serialize;

use super::readings::{NetworkReading, Readings, SourceReading};

mod flows;
mod frames;
mod words;

#[cfg(test)]
mod tests;

use flows::{copies, lost, one_way};
use frames::{
    CUT, ENOUGH_CERTAIN, ENOUGH_FRAMES, checksums, clock, cut_frames, malformed, merged, tls_only,
    unread,
};
use words::percent;
pub use words::{bytes, count, grouped};

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

/// Drops of packets, by share.
const DROPS_FEW: f64 = 0.0001;
const DROPS_MUCH: f64 = 0.01;

/// A network is named beside its interface where its share is so many times the interface's.
const OUTSTANDING: f64 = 1.5;
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
