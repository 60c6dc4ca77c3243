//! Several savefiles as one, by packet time: the two directions of a two-armed tap, or one trace
//! in pieces.

use std::time::Duration;

use super::{Frame, LinkType, Polled, Source, SourceError};
use crate::time::Timestamp;

/// Frames of one source that wait for their turn. A batch is copied; single files are read without.
struct Lane {
    source: Box<dyn Source>,
    bytes: Vec<u8>,
    frames: Vec<(Timestamp, LinkType, u32, std::ops::Range<usize>)>,
    at: usize,
    ended: bool,
}

impl Lane {
    fn refill(&mut self) -> Option<SourceError> {
        self.bytes.clear();
        self.frames.clear();
        self.at = 0;
        while self.frames.is_empty() && !self.ended {
            let (bytes, frames) = (&mut self.bytes, &mut self.frames);
            let polled = self.source.poll(Duration::ZERO, &mut |f: Frame<'_>| {
                let start = bytes.len();
                bytes.extend_from_slice(f.data);
                frames.push((f.ts, f.link, f.wire_len, start..bytes.len()));
            });
            match polled {
                Ok(Polled::End) => self.ended = true,
                Ok(_) => {}
                Err(e) => {
                    self.ended = true;
                    return Some(e);
                }
            }
        }
        None
    }

    fn next(&self) -> Option<Timestamp> {
        self.frames.get(self.at).map(|f| f.0)
    }
}

pub struct MergedSource {
    name: String,
    lanes: Vec<Lane>,
    /// One file after the other, whatever their time stamps say.
    sequential: bool,
    errors: Vec<SourceError>,
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
        }
    }

    fn refill(&mut self) {
        for lane in &mut self.lanes {
            if lane.next().is_none() && !lane.ended {
                self.errors.extend(lane.refill());
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
            let Some(lane) = next.map(|i| &mut self.lanes[i]) else {
                break;
            };
            let (ts, link, wire_len, range) = lane.frames[lane.at].clone();
            sink(Frame {
                ts,
                link,
                data: &lane.bytes[range],
                wire_len,
            });
            lane.at += 1;
            if lane.next().is_none() && !lane.ended {
                return Ok(Polled::Frames);
            }
        }
        match self.errors.pop() {
            Some(e) => Err(e),
            None => Ok(Polled::End),
        }
    }
}
