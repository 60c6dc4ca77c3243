//! Packets of alerts, from the flight recorders to files that a person can take away.
//!
//! A thread of its own: it asks every source, waits, puts what they have in order of time and
//! writes it as pcapng behind what the alert's file has already. All files together are bounded;
//! past that the one that was written to longest ago goes.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::alert::{Alert, MARGIN};
use crate::capture::{Frame, LinkType, PcapngWriter};
use crate::config;
use crate::detect::{Route, Severity};
use crate::sensor::{Found, PoolHandle, Talk, Wish};
use crate::time::Timestamp;
use crate::web::{SavedView, Views};

/// Alerts whose packets wait to be saved.
const QUEUE: usize = 64;
/// How long the sources may take; a quiet one is asked every 100 ms.
const PATIENCE: Duration = Duration::from_secs(10);
/// Part of the room for all files that one alert may have.
const SHARE: u64 = 4;

/// Where alerts are handed in.
pub(super) struct Evidence {
    alerts: Sender<Job>,
    severity: Severity,
    views: Arc<Views>,
}

struct Job {
    alert: String,
    routes: Vec<Route>,
    since: Timestamp,
    until: Timestamp,
}

impl Evidence {
    /// `None` where nothing is recorded.
    pub(super) fn start(
        settings: &config::Evidence,
        state: &Path,
        pool: PoolHandle,
        views: Arc<Views>,
    ) -> anyhow::Result<Option<Self>> {
        if !settings.is_on() {
            return Ok(None);
        }
        let dir = settings.dir(state);
        let mut files = Files::open(dir.clone(), settings.max_saved.0)
            .with_context(|| format!("evidence.dir: {}", dir.display()))?;
        let (alerts, queue) = bounded(QUEUE);
        files.publish(&views);
        tracing::warn!(
            "packets are recorded: those of alerts are saved in {}, with all that they hold",
            dir.display()
        );
        let seen = views.clone();
        std::thread::spawn(move || run(&queue, &pool, &mut files, &seen));
        Ok(Some(Self {
            alerts,
            severity: settings.severity,
            views,
        }))
    }

    /// Has the packets of an alert saved, where it is one for that. Never waits.
    pub(super) fn take(&self, alert: &Alert) {
        let Some(evidence) = &alert.evidence else {
            return;
        };
        if alert.severity < self.severity {
            return;
        }
        let job = Job {
            alert: alert.id.clone(),
            routes: evidence.routes.clone(),
            since: alert.since,
            until: alert.until,
        };
        if self.alerts.try_send(job).is_err() {
            self.views.saved.rcu(|view| SavedView {
                shed: view.shed + 1,
                ..SavedView::clone(view)
            });
        }
    }
}

fn run(queue: &Receiver<Job>, pool: &PoolHandle, files: &mut Files, views: &Views) {
    while let Ok(job) = queue.recv() {
        let from = files.after(&job);
        let room = files.room(&job.alert);
        // Nothing has happened since this alert was saved last, or it has its share already.
        if job.until < from || room == 0 {
            continue;
        }
        let found = ask(pool, &job, from, room);
        if let Err(e) = files.save(&job.alert, found) {
            files.view.failed += 1;
            tracing::error!("packets of alert {} are not saved: {e}", job.alert);
        }
        files.publish(views);
    }
}

/// What the sources have, each by itself.
fn ask(pool: &PoolHandle, job: &Job, from: Timestamp, room: u64) -> Vec<Found> {
    let (reply, replies) = bounded(QUEUE);
    let talks = job.routes.iter().map(|route| Talk {
        client: route.client,
        server: route.server,
        port: route.port,
        vni: route.vni,
    });
    let asked = pool.wish(&Wish {
        talks: talks.collect(),
        from,
        max_bytes: usize::try_from(room).unwrap_or(usize::MAX),
        reply,
    });
    let deadline = std::time::Instant::now() + PATIENCE;
    let answers = (0..asked).map_while(|_| replies.recv_deadline(deadline).ok());
    answers.collect()
}

/// The folder, and what is in it.
struct Files {
    dir: PathBuf,
    max: u64,
    /// By alert: when it was written to last.
    written: BTreeMap<String, SystemTime>,
    /// The last packet that is saved of an alert, so that none is saved twice.
    last: BTreeMap<String, Timestamp>,
    view: SavedView,
}

impl Files {
    fn open(dir: PathBuf, max: u64) -> std::io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut files = Self {
            view: SavedView {
                dir: dir.clone(),
                ..SavedView::default()
            },
            dir,
            max,
            written: BTreeMap::new(),
            last: BTreeMap::new(),
        };
        for entry in fs::read_dir(&files.dir)?.filter_map(Result::ok) {
            let name = entry.file_name();
            // What is not ours is neither counted nor touched.
            let id = name.to_str().and_then(|n| n.strip_suffix(".pcapng"));
            let Some(id) = id.filter(|id| is_id(id)) else {
                continue;
            };
            let meta = entry.metadata()?;
            files.view.files.insert(id.to_owned(), meta.len());
            files.written.insert(id.to_owned(), meta.modified()?);
        }
        files.make_room(0, None);
        Ok(files)
    }

    /// What an alert's file lacks begins here.
    fn after(&self, job: &Job) -> Timestamp {
        match self.last.get(&job.alert) {
            Some(last) => *last + Duration::from_nanos(1),
            None => job.since - MARGIN,
        }
    }

    /// Bytes that an alert's file may still take.
    fn room(&self, alert: &str) -> u64 {
        let has = self.view.files.get(alert).copied().unwrap_or_default();
        (self.max / SHARE).saturating_sub(has)
    }

    fn save(&mut self, alert: &str, found: Vec<Found>) -> std::io::Result<()> {
        let Some((section, last)) = section(alert, &found) else {
            return Ok(());
        };
        let frames: usize = found.iter().map(|f| f.frames.len()).sum();
        self.view.missed += found.iter().map(|f| f.missed).sum::<u64>();
        self.view.cut += u64::from(found.iter().any(|f| f.cut));
        self.make_room(section.len() as u64, Some(alert));
        let path = self.path(alert);
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(&path)?;
        let before = file.metadata()?.len();
        if let Err(e) = file.write_all(&section).and_then(|()| file.sync_data()) {
            // Half a section would hide the sections behind it.
            let _ = file.set_len(before);
            return Err(e);
        }
        self.written.insert(alert.to_owned(), SystemTime::now());
        self.last.insert(alert.to_owned(), last);
        let size = before + section.len() as u64;
        self.view.files.insert(alert.to_owned(), size);
        self.view.saved += frames as u64;
        Ok(())
    }

    /// Past the bound the file that was written to longest ago goes; not that of `alert`.
    fn make_room(&mut self, more: u64, alert: Option<&str>) {
        while self.view.bytes() + more > self.max {
            let others = self
                .written
                .iter()
                .filter(|(id, _)| Some(id.as_str()) != alert);
            let oldest = others.min_by_key(|(id, at)| (**at, id.as_str()));
            let Some(id) = oldest.map(|(id, _)| id.clone()) else {
                return;
            };
            if let Err(e) = fs::remove_file(self.path(&id)) {
                tracing::warn!("{}: {e}", self.path(&id).display());
            }
            self.written.remove(&id);
            self.last.remove(&id);
            self.view.files.remove(&id);
            self.view.evicted += 1;
        }
    }

    fn path(&self, alert: &str) -> PathBuf {
        self.dir.join(format!("{alert}.pcapng"))
    }

    fn publish(&mut self, views: &Views) {
        views.saved.rcu(|old| SavedView {
            // Counted where alerts are handed in.
            shed: old.shed,
            ..self.view.clone()
        });
    }
}

/// Ids of alerts are hexadecimal.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// All of it in order of time, and the time of the last; `None` where nothing was found.
fn section(alert: &str, found: &[Found]) -> Option<(Vec<u8>, Timestamp)> {
    let mut writer = PcapngWriter::new(&format!("packets of alert {alert}"));
    let mut first = 0;
    let mut frames = Vec::new();
    for source in found {
        for (name, link) in &source.interfaces {
            writer.interface(name, *link);
        }
        for frame in &source.frames {
            frames.push((
                frame,
                first + frame.interface,
                &source.bytes[frame.data.clone()],
            ));
        }
        first += u16::try_from(source.interfaces.len()).ok()?;
    }
    frames.sort_by_key(|(frame, ..)| frame.ts);
    for (frame, interface, data) in &frames {
        writer.packet(&Frame {
            ts: frame.ts,
            // It stands with the interface.
            link: LinkType::ETHERNET,
            data,
            wire_len: frame.wire_len,
            interface: *interface,
        });
    }
    let last = frames.last().map(|(frame, ..)| frame.ts)?;
    Some((writer.into_bytes(), last))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sensor::Kept;

    fn found(at: i64, size: usize) -> Vec<Found> {
        vec![Found {
            interfaces: vec![("eth1".into(), LinkType::ETHERNET)],
            frames: vec![Kept {
                ts: Timestamp::from_secs(at),
                wire_len: size as u32,
                interface: 0,
                data: 0..size,
            }],
            bytes: vec![7; size],
            ..Found::default()
        }]
    }

    #[test]
    fn the_oldest_files_go_and_no_stranger_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("evidence");
        let mut files = Files::open(at.clone(), 40_000).unwrap();
        fs::write(at.join("notes.pcapng"), vec![0; 90_000]).unwrap();
        for n in 0..10 {
            files.save(&format!("{n:020x}"), found(n, 5_000)).unwrap();
            let held: u64 = files.view.bytes();
            assert!(held <= 40_000, "{held}");
        }
        let mode = fs::metadata(at.join(format!("{:020x}.pcapng", 9))).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::metadata(&at).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!((files.view.saved, files.view.evicted), (10, 3));
        assert!(!at.join(format!("{:020x}.pcapng", 2)).exists());
        // After a restart under a tighter bound.
        let again = Files::open(at.clone(), 12_000).unwrap();
        assert_eq!(again.view.files.len(), 2);
        assert!(at.join("notes.pcapng").exists());
    }

    #[test]
    fn an_alert_that_goes_on_gets_what_is_new_up_to_its_share() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Files::open(dir.path().to_owned(), 40_000).unwrap();
        let job = Job {
            alert: "ab".into(),
            routes: Vec::new(),
            since: Timestamp::from_secs(100),
            until: Timestamp::from_secs(200),
        };
        assert_eq!(files.after(&job), Timestamp::from_secs(90));
        files.save("ab", found(150, 3_000)).unwrap();
        assert_eq!(files.after(&job).nanos(), 150_000_000_001);
        files.save("ab", found(160, 6_000)).unwrap();
        assert!(files.room("ab") < 1_000 && files.room("cd") == 10_000);
        let size = fs::metadata(dir.path().join("ab.pcapng")).unwrap().len();
        assert_eq!(Some(&size), files.view.files.get("ab"));
    }
}
