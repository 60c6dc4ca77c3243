//! The evidence of an alert or incident as one download: a zip that is written while it is read, of a
//! bounded size, with nothing in it that the pages would mask. Packets alone are as they were sent;
//! who asks for `packets=no` gets none.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{DateTime, ZipWriter};

use super::api::{Path, Query, problem};
use super::dossier::members;
use super::routes::{App, Shared};
use super::worklist::lists;
use super::{evidence, places};
use crate::alert::delivery::Delivery;
use crate::alert::{Alert, Incident, Transition, wall};
use crate::catalog::EndpointView;
use crate::export::{self, Row};
use crate::time::Timestamp;

/// Alerts of an incident that its bundle holds.
const ALERTS: usize = 1_000;
/// Endpoints that it holds.
const ENDPOINTS: usize = 200;
/// Bytes of packets in one bundle; files beyond it are left out, and that is said.
const PACKETS: u64 = 512 << 20;
/// Sent at once, and chunks that wait for a slow receiver.
const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 4;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Choice {
    /// `no`: without packets, which are as they were sent.
    #[schemars(extend("enum" = ["no", "yes"]))]
    packets: String,
}

/// What goes into a bundle; plain data, so that it can be written away from the views.
struct Bundle {
    /// `incident-…` or `alert-…`.
    name: String,
    incident: Option<Arc<Incident>>,
    /// Newest first.
    alerts: Vec<Arc<Alert>>,
    more_alerts: usize,
    endpoints: Vec<Arc<EndpointView>>,
    deliveries: Arc<Vec<Delivery>>,
    /// Files of packets with their sizes, by alert.
    packets: Vec<(String, u64)>,
    /// Of files that had no room.
    left_out: usize,
    dir: PathBuf,
    at: Timestamp,
}

impl Bundle {
    fn of(
        app: &App,
        incident: Option<Arc<Incident>>,
        mut alerts: Vec<Arc<Alert>>,
        choice: &Choice,
    ) -> Self {
        let catalog = app.views.catalog.load();
        let saved = app.views.saved.load();
        let more_alerts = alerts.len().saturating_sub(ALERTS);
        alerts.truncate(ALERTS);
        let mut labels: Vec<&str> = (alerts.iter())
            .filter_map(|a| a.endpoint.as_deref())
            .chain(
                incident
                    .iter()
                    .flat_map(|i| i.endpoints.iter())
                    .map(|e| e.as_str()),
            )
            .collect();
        labels.sort_unstable();
        labels.dedup();
        let found = labels.iter().filter_map(|l| places::endpoint(&catalog, l));
        let endpoints = found.take(ENDPOINTS).cloned().collect();
        let (mut room, mut packets, mut left_out) = (PACKETS, Vec::new(), 0);
        for a in alerts.iter().filter(|_| choice.packets != "no") {
            match saved.files.get(&a.id) {
                Some(size) if *size <= room => {
                    room -= size;
                    packets.push((a.id.clone(), *size));
                }
                Some(_) => left_out += 1,
                None => {}
            }
        }
        let id = match (&incident, alerts.first()) {
            (Some(i), _) => format!("incident-{}", i.id),
            (None, Some(a)) => format!("alert-{}", a.id),
            (None, None) => "nothing".into(),
        };
        let told = incident.as_ref().map(|i| i.id.as_str());
        let told = told.or_else(|| alerts.first().map(|a| a.id.as_str()));
        let sent = &app.views.deliveries.load().sent;
        Self {
            name: safe(&id),
            deliveries: told
                .and_then(|id| sent.get(id).cloned())
                .unwrap_or_default(),
            incident,
            alerts,
            more_alerts,
            endpoints,
            packets,
            left_out,
            dir: saved.dir.clone(),
            at: wall(),
        }
    }

    fn write(&self, out: impl Write) -> io::Result<()> {
        let mut zip = Zip::new(out, &self.name, self.at);
        zip.file("README.txt", self.readme().as_bytes())?;
        if let Some(incident) = &self.incident {
            let mut text = serde_json::to_vec_pretty(incident.as_ref())?;
            text.push(b'\n');
            zip.file("incident.json", &text)?;
        }
        zip.lines("alerts.jsonl", &self.alerts)?;
        zip.lines("endpoints.jsonl", &self.endpoints)?;
        let mut csv = export::header::<Event>();
        self.timeline()
            .iter()
            .for_each(|e| csv.extend(export::row(e)));
        zip.file("timeline.csv", &csv)?;
        zip.file("filters.txt", self.filters().as_bytes())?;
        for (id, size) in &self.packets {
            // One that was put out meanwhile is no reason to break off.
            if let Ok(file) = File::open(self.dir.join(format!("{id}.pcapng"))) {
                zip.stored(&format!("packets/{}.pcapng", safe(id)), file.take(*size))?;
            }
        }
        zip.finish()
    }

    /// Made of our own words and numbers: nothing captured stands in it.
    fn readme(&self) -> String {
        let packets = match (self.packets.len(), self.left_out) {
            (0, 0) => {
                "No packets are in it: none are saved, or they were not asked for.".to_owned()
            }
            (n, left) => format!(
                "packets/*.pcapng   the packets of {n} alerts AS THEY WERE SENT: passwords, tokens and\n                   personal data in clear. Keep them as secret as those.{}",
                match left {
                    0 => String::new(),
                    left => format!("\n                   {left} files more had no room in it."),
                }
            ),
        };
        let more = match self.more_alerts {
            0 => String::new(),
            n => format!(", of which {n} more had no room"),
        };
        format!(
            "Evidence of {name}, written by apitap {version} at {at}.\n\n\
             incident.json      the incident with its time line and history, where there is one\n\
             alerts.jsonl       its alerts ({alerts}{more}), a line each, newest first\n\
             endpoints.jsonl    the endpoints that they name, as the inventory knows them\n\
             timeline.csv       what rang, what people did, and what was sent to whom\n\
             filters.txt        filters for tcpdump, tshark and Wireshark that find the packets\n\
             {packets}\n\n\
             Values of parameters, tokens and personal data are masked everywhere but in packets.\n\
             Times are UTC, RFC 3339; in JSON seconds of the epoch.\n",
            name = self.name,
            version = env!("CARGO_PKG_VERSION"),
            at = self.at,
            alerts = self.alerts.len(),
        )
    }

    /// Filters are made of addresses, numbers and checked letters; ids and kinds are ours.
    fn filters(&self) -> String {
        let mut text = String::new();
        for a in &self.alerts {
            let filters = evidence::filters(a);
            if !filters.is_empty() {
                text += &format!("# alert {}, {}\n", a.id, a.kind);
            }
            for (what, _, filter) in filters {
                text += &format!("# {what}\n{filter}\n");
            }
        }
        if text.is_empty() {
            text += "# nothing is known of who spoke with whom\n";
        }
        text
    }

    fn timeline(&self) -> Vec<Event> {
        let mut events = Vec::new();
        match &self.incident {
            Some(i) => {
                events.extend(i.timeline.iter().map(|e| Event {
                    at: e.at,
                    kind: e.kind.clone(),
                    severity: e.severity.name(),
                    by: String::new(),
                    text: e.text.clone(),
                    alert: e.alert.clone().unwrap_or_default(),
                }));
                events.extend(i.history.iter().map(|t| Event::change(t, "")));
            }
            None => {
                for a in &self.alerts {
                    events.push(Event {
                        at: a.ts,
                        kind: a.kind.clone(),
                        severity: a.severity.name(),
                        by: String::new(),
                        text: a.summary.clone(),
                        alert: a.id.clone(),
                    });
                }
            }
        }
        for a in &self.alerts {
            events.extend(a.history.iter().map(|t| Event::change(t, &a.id)));
        }
        events.extend(self.deliveries.iter().map(Event::delivery));
        events.sort_by_key(|e| e.at);
        events
    }
}

/// A row of the time line.
struct Event {
    at: Timestamp,
    /// The alert's kind, `incident`, `status`, `delivery`.
    kind: String,
    severity: &'static str,
    by: String,
    text: String,
    alert: String,
}

impl Event {
    fn change(t: &Transition, alert: &str) -> Self {
        let note = t.note.as_deref().unwrap_or_default();
        Self {
            at: t.at,
            kind: "status".into(),
            severity: "",
            by: t.by.clone(),
            text: format!("{} to {}: {note}", t.from.name(), t.to.name()),
            alert: alert.to_owned(),
        }
    }

    fn delivery(d: &Delivery) -> Self {
        let state = match (&d.settled, &d.given_up) {
            (None, _) => "waits".to_owned(),
            (Some(_), None) => "delivered".to_owned(),
            (Some(_), Some(why)) => format!("given up: {why}"),
        };
        Self {
            at: d.settled.unwrap_or(d.queued),
            kind: "delivery".into(),
            severity: "",
            by: d.sink.clone(),
            text: format!("revision {}: {state}", d.revision),
            alert: String::new(),
        }
    }
}

impl Row for Event {
    const COLUMNS: &'static [&'static str] = &["at", "kind", "severity", "by", "text", "alert"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.at.to_string(),
            self.kind.clone(),
            self.severity.to_owned(),
            self.by.clone(),
            self.text.clone(),
            self.alert.clone(),
        ]
    }
}

/// A name that no file system takes for anything but a name.
fn safe(name: &str) -> String {
    let keep = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    name.chars().filter(keep).take(80).collect()
}

/// A zip that is never read back: it goes out as it is written.
struct Zip<W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    folder: String,
    options: SimpleFileOptions,
}

impl<W: Write> Zip<W> {
    fn new(out: W, folder: &str, at: Timestamp) -> Self {
        let options = SimpleFileOptions::default().unix_permissions(0o600);
        Self {
            zip: ZipWriter::new_stream(out),
            folder: folder.to_owned(),
            options: options.last_modified_time(dos_time(at)),
        }
    }

    fn file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let options = self
            .options
            .compression_method(zip::CompressionMethod::Deflated);
        self.zip
            .start_file(format!("{}/{name}", self.folder), options)?;
        self.zip.write_all(content)
    }

    fn lines<T: Serialize>(&mut self, name: &str, items: &[Arc<T>]) -> io::Result<()> {
        self.file(name, b"")?;
        for item in items {
            let mut line = serde_json::to_vec(item.as_ref())?;
            line.push(b'\n');
            self.zip.write_all(&line)?;
        }
        Ok(())
    }

    /// What is large and hardly gets smaller. More than 4 GiB would need another form.
    fn stored(&mut self, name: &str, mut content: impl Read) -> io::Result<()> {
        let options = self
            .options
            .compression_method(zip::CompressionMethod::Stored);
        self.zip
            .start_file(format!("{}/{name}", self.folder), options)?;
        io::copy(&mut content, &mut self.zip).map(drop)
    }

    fn finish(self) -> io::Result<()> {
        let mut out = self.zip.finish()?.into_inner();
        out.flush()
    }
}

/// As zips have it; their own beginning of time where it lies outside of theirs.
fn dos_time(at: Timestamp) -> DateTime {
    let Ok(at) = jiff::Timestamp::from_second(at.secs()) else {
        return DateTime::default();
    };
    let at = at.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let part = |n: i8| u8::try_from(n).unwrap_or(1);
    let date = (
        u16::try_from(at.year()).unwrap_or(1980),
        part(at.month()),
        part(at.day()),
    );
    let time = (part(at.hour()), part(at.minute()), part(at.second()));
    DateTime::from_date_and_time(date.0, date.1, date.2, time.0, time.1, time.2).unwrap_or_default()
}

/// Hands what is written to the response, a chunk at a time; breaks off where nobody receives.
struct Pipe {
    chunks: Sender<io::Result<Bytes>>,
    held: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.held);
        if chunk.is_empty() {
            return Ok(());
        }
        let sent = self.chunks.blocking_send(Ok(chunk.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn send(bundle: Bundle) -> Response {
    let (chunks, receiver) = channel(CHUNKS);
    let file = format!("attachment; filename=\"apitap-{}.zip\"", bundle.name);
    tokio::task::spawn_blocking(move || {
        let pipe = Pipe {
            chunks: chunks.clone(),
            held: Vec::new(),
        };
        // A download that breaks off must not look whole.
        if let Err(e) = bundle.write(pipe) {
            let _ = chunks.blocking_send(Err(e));
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    (headers, Body::from_stream(ReceiverStream::new(receiver))).into_response()
}

/// `/api/v1/incidents/{id}/bundle`.
pub(super) async fn incident(
    State(app): Shared,
    Path(id): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    let view = app.views.alerts.load();
    let lists = lists(&app);
    let Some(incident) = lists.incidents().get(&id) else {
        return problem(StatusCode::NOT_FOUND, "there is no such incident");
    };
    let alerts = members(&view, &id).into_iter().cloned().collect();
    send(Bundle::of(&app, Some(incident.clone()), alerts, &choice))
}

/// `/api/v1/alerts/{id}/bundle`.
pub(super) async fn alert(
    State(app): Shared,
    Path(id): Path<String>,
    Query(choice): Query<Choice>,
) -> Response {
    let lists = lists(&app);
    let Some(alert) = lists.alerts().get(&id) else {
        return problem(StatusCode::NOT_FOUND, "there is no such alert");
    };
    let incident = alert.incident.as_deref();
    let incident = incident.and_then(|id| lists.incidents().get(id)).cloned();
    // The incident of this alert alone; that of others too has a bundle of its own.
    let incident = incident.filter(|i| i.count == 1);
    send(Bundle::of(&app, incident, vec![alert.clone()], &choice))
}
