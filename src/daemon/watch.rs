//! The doctor on a live sensor: looks at the last minutes, and tells each trouble once, when it
//! begins. A dead span port must page someone; a port that stays bad must not do so every second.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::detect::Severity;
use crate::sensor::doctor::{self, Grade, Symptom};
use crate::sensor::{Readings, SourceStatus};
use crate::time::Timestamp;

/// What is judged: long enough for shares to mean something, short enough for a trouble that is
/// over to be over.
const WINDOW: Duration = Duration::from_secs(600);
/// How often a reading is kept to compare with.
const STEP: Duration = Duration::from_secs(30);

/// A live source that has had traffic and is silent for this long, and for so many times its own
/// longest pause, is taken for dead. Nights are quiet; spans that were unplugged are quieter.
const SILENCE: Duration = Duration::from_secs(60);
const PAUSES: u32 = 3;

/// Something to raise an alert for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// The same words for the same trouble, so that it is one alert.
    pub(super) summary: String,
    pub(super) why: Vec<String>,
    pub(super) severity: Severity,
}

#[derive(Clone, Debug, Default)]
struct Pulse {
    frames: u64,
    /// When they last were more than before.
    at: Timestamp,
    longest: Duration,
    silent: bool,
}

/// Readings of the last minutes, and what is known to be wrong.
#[derive(Default)]
pub(super) struct Watch {
    kept: VecDeque<(Timestamp, Readings)>,
    known: BTreeSet<(String, &'static str)>,
    pulses: Vec<Pulse>,
}

impl Watch {
    /// Looks at the sensor at wall time `now`: what is wrong, and what of it is new.
    pub(super) fn look(
        &mut self,
        now: Timestamp,
        sources: &[SourceStatus],
        readings: &Readings,
    ) -> (Vec<Symptom>, Vec<Trouble>) {
        let symptoms = match self.kept.front() {
            Some((_, then)) => doctor::diagnose(&readings.since(then)),
            None => doctor::diagnose(readings),
        };
        let due = self
            .kept
            .back()
            .is_none_or(|(at, _)| now.since(*at) >= STEP);
        if due {
            // The first is the empty one: what came before the first look counts, too.
            let reading = if self.kept.is_empty() {
                Readings::default()
            } else {
                readings.clone()
            };
            self.kept.push_back((now, reading));
            while self.kept.len() > 1 && now.since(self.kept[0].0) > WINDOW {
                self.kept.pop_front();
            }
        }
        let mut troubles: Vec<Trouble> = symptoms
            .iter()
            .filter(|s| alarming(s) && !self.known.contains(&(s.tap.clone(), s.code)))
            .map(trouble)
            .collect();
        self.known = symptoms
            .iter()
            .filter(|s| alarming(s))
            .map(|s| (s.tap.clone(), s.code))
            .collect();
        self.pulses.resize(sources.len(), Pulse::default());
        for (pulse, source) in self.pulses.iter_mut().zip(sources) {
            troubles.extend(pulse.beat(now, source));
        }
        (symptoms, troubles)
    }
}

impl Pulse {
    fn beat(&mut self, now: Timestamp, source: &SourceStatus) -> Option<Trouble> {
        let frames = source.frames.foreign();
        if frames > self.frames {
            if self.frames > 0 && !self.silent {
                self.longest = self.longest.max(now.since(self.at));
            }
            (self.frames, self.at, self.silent) = (frames, now, false);
            return None;
        }
        let quiet = now.since(self.at);
        let dead = source.live && source.ended.is_none() && frames > 0 && !self.silent;
        if !dead || quiet < SILENCE.max(self.longest * PAUSES) {
            return None;
        }
        self.silent = true;
        Some(Trouble {
            summary: format!("{} has gone silent", source.name),
            why: vec![
                format!(
                    "{frames} frames had come, and none for {} s; the longest pause before was {} s",
                    quiet.as_secs(),
                    self.longest.as_secs()
                ),
                "see whether the mirror session still runs, the cable is in and the link is up (ip -s link)".into(),
            ],
            severity: Severity::High,
        })
    }
}

/// Worth waking someone for.
fn alarming(s: &Symptom) -> bool {
    s.severity == Grade::Severe || s.is_loss()
}

fn trouble(s: &Symptom) -> Trouble {
    let what = match s.code {
        "cut" => "packets are cut short",
        "interface_drops" => "the network card is dropping packets",
        "kernel_drops" => "the kernel is dropping packets before apitap sees them",
        "lost" => "packets are lost in the mirror",
        "one_way" => "one direction of the traffic is missing",
        "worker_busy" => "the workers are too busy for the traffic",
        _ => "most of the traffic cannot be read",
    };
    Trouble {
        summary: format!("{}: {what}", s.tap),
        why: vec![s.text.clone(), s.mend.clone()],
        severity: match s.severity {
            Grade::Severe => Severity::High,
            Grade::Warning | Grade::Note => Severity::Medium,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::SourceReading;

    fn status(frames: u64) -> Vec<SourceStatus> {
        let mut status = SourceStatus {
            name: "eth1".into(),
            live: true,
            ..SourceStatus::default()
        };
        status.frames.frames = frames;
        vec![status]
    }

    fn drops(frames: u64, kernel_drops: u64) -> Readings {
        let source = SourceReading {
            name: "eth1".into(),
            live: true,
            frames,
            kernel_drops,
            ..SourceReading::default()
        };
        Readings {
            sources: vec![source],
            ..Readings::default()
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_760_000_000 + secs)
    }

    #[test]
    fn a_trouble_is_told_once_and_once_more_when_it_comes_back() {
        let mut watch = Watch::default();
        let mut told = Vec::new();
        let mut frames = 0;
        for s in 0..4_000 {
            frames += 1_000;
            // Drops come for two minutes, then half an hour later again.
            let lost = match s {
                0..100 => 0,
                100..220 => (s as u64 - 100) * 50,
                220..2_500 => 6_000,
                _ => 6_000 + (s as u64 - 2_500) * 50,
            };
            let (_, new) = watch.look(at(s), &status(frames), &drops(frames, lost));
            told.extend(new.into_iter().map(|t| (s, t.summary)));
        }
        let what = "eth1: the kernel is dropping packets before apitap sees them";
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().all(|(_, t)| t == what));
        assert!(
            (100..110).contains(&told[0].0) && (2_500..2_510).contains(&told[1].0),
            "{told:?}"
        );
    }

    #[test]
    fn a_port_that_falls_silent_is_told_once() {
        let mut watch = Watch::default();
        let mut told = Vec::new();
        let mut look = |s: i64, frames| {
            let (_, new) = watch.look(at(s), &status(frames), &Readings::default());
            told.extend(new.into_iter().map(|t| (s, t.summary)));
        };
        (0..100).for_each(|s| look(s, 100 + s as u64));
        (100..400).for_each(|s| look(s, 199));
        assert_eq!(told, vec![(159, "eth1 has gone silent".to_owned())]);
    }

    #[test]
    fn a_port_that_is_often_quiet_is_given_time() {
        let mut watch = Watch::default();
        let mut told = Vec::new();
        for s in 0..2_000 {
            // A frame every 50 seconds, up to the end.
            let frames = (s.min(1_000) / 50 + 1) as u64;
            let (_, new) = watch.look(at(s), &status(frames), &Readings::default());
            told.extend(new.into_iter().map(|_| s));
        }
        assert_eq!(told, vec![1_150]);
    }

    #[test]
    fn a_port_that_never_had_traffic_is_not_called_dead() {
        let mut watch = Watch::default();
        for s in 0..1_000 {
            let (_, new) = watch.look(at(s), &status(0), &Readings::default());
            assert_eq!(new, vec![]);
        }
    }
}
