//! Several savefiles as one, by packet time: the two directions of a two-armed tap, or one trace
//! in pieces.

use std::time::Duration;

use super::{Drops, Frame, LinkType, Polled, Secrets, Source, SourceError};
use crate::time::Timestamp;

/// Frames of one source that wait for their turn. A batch is copied; single files are read without.
struct Lane {
    source: Box<dyn Source>,
    bytes: Vec<u8>,
    frames: Vec<Waiting>,
    at: usize,
    ended: bool,
}

struct Waiting {
    ts: Timestamp,
    link: LinkType,
    wire_len: u32,
    interface: u16,
    bytes: std::ops::Range<usize>,
}

impl Lane {
    /// A source goes on behind an error, and so does its lane.
    fn refill(&mut self, errors: &mut Vec<SourceError>) {
        self.bytes.clear();
        self.frames.clear();
        self.at = 0;
        while self.frames.is_empty() && !self.ended {
            let (bytes, frames) = (&mut self.bytes, &mut self.frames);
            let polled = self.source.poll(Duration::ZERO, &mut |f: Frame<'_>| {
                let start = bytes.len();
                bytes.extend_from_slice(f.data);
                frames.push(Waiting {
                    ts: f.ts,
                    link: f.link,
                    wire_len: f.wire_len,
                    interface: f.interface,
                    bytes: start..bytes.len(),
                });
            });
            match polled {
                Ok(Polled::End) => self.ended = true,
                Ok(_) => {}
                Err(e) => errors.push(e),
            }
        }
    }

    fn next(&self) -> Option<Timestamp> {
        self.frames.get(self.at).map(|f| f.ts)
    }
}

pub struct MergedSource {
    name: String,
    lanes: Vec<Lane>,
    /// One file after the other, whatever their time stamps say.
    sequential: bool,
    errors: Vec<SourceError>,
    secrets: Vec<Secrets>,
    /// Interfaces of all lanes, in the order of their first frame: lane and its own index.
    interfaces: Vec<(usize, u16)>,
}

impl MergedSource {
    pub fn new(sources: Vec<Box<dyn Source>>, sequential: bool) -> Self {
        let name = format!("{} files", sources.len());
        let lane = |source| Lane {
            source,
            bytes: Vec::new(),
            frames: Vec::new(),
            at: 0,
            ended: false,
        };
        Self {
            name,
            lanes: sources.into_iter().map(lane).collect(),
            sequential,
            errors: Vec::new(),
            secrets: Vec::new(),
            interfaces: Vec::new(),
        }
    }

    fn refill(&mut self) {
        for lane in &mut self.lanes {
            if lane.next().is_none() && !lane.ended {
                lane.refill(&mut self.errors);
            }
            if self.sequential && lane.next().is_some() {
                break;
            }
        }
    }
}

impl Source for MergedSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn poll(
        &mut self,
        _patience: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        self.refill();
        let keys = self.lanes.iter_mut().flat_map(|l| l.source.secrets());
        self.secrets.extend(keys);
        if !self.secrets.is_empty() {
            // The caller takes them before it has the packets that they serve.
            return Ok(Polled::Frames);
        }
        loop {
            let next = if self.sequential {
                self.lanes.iter().position(|l| l.next().is_some())
            } else {
                // Equal stamps: the file named first.
                let stamps = self
                    .lanes
                    .iter()
                    .enumerate()
                    .filter_map(|(i, l)| Some((l.next()?, i)));
                stamps.min().map(|(_, i)| i)
            };
            let Some(index) = next else {
                break;
            };
            let lane = &mut self.lanes[index];
            let frame = &lane.frames[lane.at];
            let own = (index, frame.interface);
            let known = self.interfaces.iter().position(|i| *i == own);
            let interface = known.unwrap_or_else(|| {
                self.interfaces.push(own);
                self.interfaces.len() - 1
            });
            sink(Frame {
                ts: frame.ts,
                link: frame.link,
                data: &lane.bytes[frame.bytes.clone()],
                wire_len: frame.wire_len,
                interface: u16::try_from(interface).unwrap_or(u16::MAX),
            });
            lane.at += 1;
            if lane.next().is_none() && !lane.ended {
                return Ok(Polled::Frames);
            }
        }
        if self.errors.is_empty() {
            Ok(Polled::End)
        } else {
            Err(self.errors.remove(0))
        }
    }

    fn interface(&self, index: u16) -> String {
        match self.interfaces.get(usize::from(index)) {
            Some((lane, own)) => self.lanes[*lane].source.interface(*own),
            None => self.name.clone(),
        }
    }

    fn secrets(&mut self) -> Vec<Secrets> {
        std::mem::take(&mut self.secrets)
    }

    fn drops(&mut self) -> Drops {
        self.lanes.iter_mut().fold(Drops::default(), |sum, lane| {
            let drops = lane.source.drops();
            Drops {
                kernel: sum.kernel.saturating_add(drops.kernel),
                interface: sum.interface.saturating_add(drops.interface),
            }
        })
    }
}
