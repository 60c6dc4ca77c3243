//! The filters that find an alert's packets, and those packets themselves, where they are saved.

use std::fs::File;
use std::io::Read;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc::Sender;
use tokio_stream::wrappers::ReceiverStream;

use super::SavedView;
use super::api::{Path, problem};
use super::routes::Shared;
use crate::alert::Alert;

/// How many bytes of packets are saved of an alert, in words.
pub(super) fn saved(view: &SavedView, a: &Alert) -> Option<String> {
    let bytes = *view.files.get(&a.id)? as f64;
    Some(if bytes < 1_024.0 * 1_024.0 {
        format!("{:.0} KiB", (bytes / 1_024.0).ceil())
    } else {
        format!("{:.1} MiB", bytes / 1_024.0 / 1_024.0)
    })
}

/// What a filter is for, its place on the page, and its text.
pub(super) type Filter = (&'static str, &'static str, String);

pub(super) fn filters(a: &Alert) -> Vec<Filter> {
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

/// Filters of several alerts that one filter joins; past it the text would be no longer one to copy.
const JOINED: usize = 16;

/// The filters that find the packets of all of these, and whether more took part than they name.
pub(super) fn joined<'a>(alerts: impl Iterator<Item = &'a Alert>) -> (Vec<Filter>, bool) {
    let (mut all, mut more) = (Vec::<Filter>::new(), false);
    let mut parts: [Vec<String>; 2] = Default::default();
    for a in alerts {
        let Some(e) = &a.evidence else { continue };
        more |= e.more;
        for (parts, text) in parts.iter_mut().zip([&e.bpf, &e.tshark]) {
            match parts.len() {
                _ if parts.contains(text) => {}
                JOINED.. => more = true,
                _ => parts.push(text.clone()),
            }
        }
        if all.is_empty() {
            all = filters(a);
        }
    }
    if parts.iter().any(|parts| parts.len() > 1) {
        // Requests to one endpoint are those of one alert.
        all.truncate(parts.len());
        for ((_, _, text), parts) in all.iter_mut().zip(parts) {
            *text = format!("({})", parts.join(") or ("));
        }
    }
    (all, more)
}

/// Read and sent at once.
const CHUNK: usize = 64 << 10;
/// Chunks that wait for a slow receiver.
const CHUNKS: usize = 4;

/// `/api/v1/alerts/{id}/packets`: the file as it is saved. Only names of files that are known to be
/// there reach the file system.
pub(super) async fn packets(State(app): Shared, Path(id): Path<String>) -> Response {
    let saved = app.views.saved.load_full();
    let Some((id, size)) = saved.files.get_key_value(&id) else {
        return problem(
            StatusCode::NOT_FOUND,
            "no packets of such an alert are saved",
        );
    };
    let path = saved.dir.join(format!("{id}.pcapng"));
    let opened = tokio::task::spawn_blocking(move || File::open(path)).await;
    let Ok(Ok(file)) = opened else {
        return problem(StatusCode::NOT_FOUND, "the packets were put out meanwhile");
    };
    // As far as it is written whole: more may come while it is read.
    let file = file.take(*size);
    let (sender, chunks) = tokio::sync::mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || send(file, &sender));
    let name = format!("attachment; filename=\"apitap-{id}.pcapng\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    (headers, Body::from_stream(ReceiverStream::new(chunks))).into_response()
}

/// Until the end, or until nobody receives any more.
fn send(mut file: impl Read, chunks: &Sender<std::io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).map(|n| {
            chunk.truncate(n);
            chunk
        });
        let end = read.as_ref().is_ok_and(Vec::is_empty);
        let failed = read.is_err();
        if end || chunks.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Evidence;
    use crate::web::score;

    fn nothing() -> Alert {
        score::tests::alert(&[])
    }

    fn alert(address: &str, requests: Option<&str>) -> Alert {
        Alert {
            evidence: Some(Evidence {
                routes: Vec::new(),
                more: false,
                bpf: format!("host {address}"),
                tshark: format!("ip.addr == {address}"),
                requests: requests.map(str::to_owned),
            }),
            ..nothing()
        }
    }

    fn texts(alerts: &[Alert]) -> Vec<String> {
        let (filters, _) = joined(alerts.iter());
        filters.into_iter().map(|(_, _, text)| text).collect()
    }

    #[test]
    fn the_packets_of_an_incident_are_those_of_all_its_alerts() {
        let one = alert("192.0.2.1", Some("http.request.uri"));
        let alike = texts(&[one.clone(), one.clone()]);
        assert_eq!(
            alike,
            ["host 192.0.2.1", "ip.addr == 192.0.2.1", "http.request.uri"]
        );
        assert_eq!(
            texts(&[one, nothing(), alert("192.0.2.2", None)]),
            [
                "(host 192.0.2.1) or (host 192.0.2.2)",
                "(ip.addr == 192.0.2.1) or (ip.addr == 192.0.2.2)"
            ]
        );
        let many: Vec<Alert> = (0..40)
            .map(|n| alert(&format!("192.0.2.{n}"), None))
            .collect();
        let (filters, more) = joined(many.iter());
        assert!(more && filters[0].2.matches(" or ").count() == JOINED - 1);
        assert_eq!(joined([].into_iter()), (Vec::new(), false));
    }
}
