//! What an alert's page shows beside its words: the parts of its score, and the filters that find
//! its packets.

use crate::alert::Alert;

/// The numbers of a score, named in words.
pub(super) fn parts(a: &Alert) -> Vec<(String, String)> {
    let parts = a.parts.iter();
    parts
        .map(|p| (p.name.replace('_', " "), format!("{:.2}", p.value)))
        .collect()
}

/// What a filter is for, its place on the page, and its text.
pub(super) fn filters(a: &Alert) -> Vec<(&'static str, &'static str, String)> {
    let Some(e) = &a.evidence else {
        return Vec::new();
    };
    let all = [
        ("Capture filter (tcpdump)", "bpf", Some(&e.bpf)),
        (
            "Display filter (tshark, Wireshark)",
            "tshark",
            Some(&e.tshark),
        ),
        (
            "Display filter: requests to this endpoint alone",
            "requests",
            e.requests.as_ref(),
        ),
    ];
    let known = all
        .into_iter()
        .filter_map(|(what, id, text)| Some((what, id, text?.clone())));
    known.collect()
}
