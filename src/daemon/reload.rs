//! What is read again while the daemon runs: specs when they or the uploads change, and on SIGHUP these, the country
//! database, and the config file, which is only looked at: a change of it is taken at the next start.
//! How it went is logged and shown on the page of settings.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::Notify;

use super::analyst::{Message, wall};
use super::specs::Watched;
use crate::config::Config;
use crate::sensor::Countries;
use crate::web::{Reload, SettingsView, Views};

/// How long specs that were read wait for the analysis thread.
const HAND_OVER: Duration = Duration::from_secs(30);

/// Keys that a line names; there may be more.
const NAMED: usize = 5;

/// What was read again, and what was wrong, as people are told.
type Lines = Vec<Result<String, String>>;

/// Files that the daemon was started with.
#[derive(Default)]
pub(super) struct Files {
    pub(super) specs: Watched,
    pub(super) countries: Countries,
    /// None: nothing was read.
    pub(super) path: Option<String>,
    /// The config as the file had it.
    pub(super) read: Config,
    pub(super) views: Arc<Views>,
    /// Told when an upload has changed.
    pub(super) again: Arc<Notify>,
}

impl Files {
    /// Whether a spec is not as it was read.
    pub(super) async fn have_changed(self) -> (bool, Self) {
        let mut files = self;
        let looked = tokio::task::spawn_blocking(move || (files.specs.has_changed(), files));
        looked.await.unwrap_or_default()
    }

    /// The specs are read again, and taken from then on.
    pub(super) async fn specs_again(self, cause: &'static str, messages: &Sender<Message>) -> Self {
        self.read_again(cause, messages, |files, messages| {
            vec![files.specs_line(messages)]
        })
        .await
    }

    /// All of them.
    pub(super) async fn hang_up(self, messages: &Sender<Message>) -> Self {
        self.read_again("SIGHUP", messages, |files, messages| {
            let mut lines = vec![files.config_line(), files.specs_line(messages)];
            lines.extend(files.countries_line());
            lines
        })
        .await
    }

    async fn read_again(
        self,
        cause: &'static str,
        messages: &Sender<Message>,
        read: fn(&mut Self, &Sender<Message>) -> Lines,
    ) -> Self {
        let (mut files, messages) = (self, messages.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let lines = read(&mut files, &messages);
            files.say(cause, lines);
            files
        });
        reading.await.unwrap_or_default()
    }

    fn say(&self, cause: &'static str, lines: Lines) {
        for line in &lines {
            match line {
                Ok(text) => tracing::info!("{cause}: {text}"),
                Err(text) => tracing::error!("{cause}: {text}"),
            }
        }
        let reload = Reload {
            at: wall(),
            cause,
            failed: lines.iter().any(Result::is_err),
            lines: lines.into_iter().map(|l| l.unwrap_or_else(|e| e)).collect(),
        };
        let settings = self.views.settings.load();
        self.views.settings.store(Arc::new(SettingsView {
            reload: Some(reload),
            ..settings.as_ref().clone()
        }));
    }

    fn config_line(&self) -> Result<String, String> {
        let Some(path) = &self.path else {
            return Ok("no config file was read at the start".into());
        };
        let now =
            Config::load(Path::new(path)).map_err(|e| format!("{e}: the next start would fail"))?;
        let keys = self.read.differences(&now);
        if keys.is_empty() {
            return Ok(format!("{path} is as it was at the start"));
        }
        let more = match keys.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let named = keys[..keys.len().min(NAMED)].join(", ");
        Ok(format!(
            "{path} is sound, and differs in {named}{more}: taken at the next start"
        ))
    }

    fn specs_line(&mut self, messages: &Sender<Message>) -> Result<String, String> {
        let reading = Box::new(self.specs.read(&self.views.specs.load()));
        let (documents, refused) = (reading.set.specs().len(), reading.refused.clone());
        messages
            .send_timeout(Message::Specs(reading), HAND_OVER)
            .map_err(|_| "the specs were not taken: the analysis is behind".to_owned())?;
        match refused.as_slice() {
            [] => Ok(format!("specs in use: {documents}")),
            [why, ..] => Err(format!(
                "specs in use: {documents}; refused: {}, such as {why}",
                refused.len()
            )),
        }
    }

    /// None where there is no database.
    fn countries_line(&self) -> Option<Result<String, String>> {
        let path = &self.read.sensor.country_db;
        if path.as_os_str().is_empty() {
            return None;
        }
        let read = self.countries.read_again();
        Some(match read {
            Ok(_) => Ok(format!("{} is in use", path.display())),
            Err(e) => Err(format!("{e}; the one before stays")),
        })
    }
}
