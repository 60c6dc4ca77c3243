//! What the connections tell: a missing side, copies, losses.

use super::words::{bytes, count, percent};
use super::{Grade, Symptom, share};
use crate::sensor::tap::{Flows, Segments};

/// Connections with data, before a side is said to be missing: fewer may be one client's oddity.
const ENOUGH_FLOWS: u64 = 10;
/// From this share on the mirror itself is one-way; below, some paths are.
const ONE_WAY_MOST: f64 = 0.5;
/// Below it, it is capture that began in the middle, or a few asymmetric routes.
const ONE_WAY_SOME: f64 = 0.05;

/// Segments with data, before copies or losses are said.
pub(super) const ENOUGH_DATA: u64 = 100;
/// A mirror that doubles, doubles whole ports or VLANs; single copies are retransmissions that
/// look like one (IPv6 without time stamps).
const COPIES: f64 = 0.05;
/// Bytes acknowledged and never seen. A good mirror loses none.
const LOST: f64 = 0.001;
const LOST_MUCH: f64 = 0.02;
/// By connections, or, where those are few and live long, by their segments.
pub(super) fn one_way(tap: &str, flows: &Flows, segments: &Segments, out: &mut Vec<Symptom>) {
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

pub(super) fn copies(tap: &str, flows: &Flows, segments: &Segments, out: &mut Vec<Symptom>) {
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

pub(super) fn lost(tap: &str, flows: &Flows, segments: &Segments, out: &mut Vec<Symptom>) {
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
