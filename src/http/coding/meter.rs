//! What decoding a body may cost, and has.

use super::{Limits, Sink, Status, Step};

/// Output that is never a bomb: a short body of blanks may well be packed a thousandfold.
const RATIO_FREE: u64 = 64 << 10;

/// What a stage may take beyond [`EFFORT_PER_BYTE`] for each byte of the cap: headers, and one
/// whole zstd block of 128 KiB, which yields nothing before its end.
const EFFORT_FREE: u64 = 160 << 10;

/// Encoded bytes that a stage may take for each byte of the cap. Honest codings need one, and some
/// more where a sender flushes after every few bytes.
const EFFORT_PER_BYTE: u64 = 4;

/// What a body without end may swell to at once: a window that is given out, and blocks.
pub(super) const ENDLESS_FREE: u64 = 512 << 10;

/// What a body without end may refer back to where the window is ours to choose: there may be many
/// of them.
const ENDLESS_WINDOW: u64 = 256 << 10;

/// What was spent, over all stages.
#[derive(Debug)]
pub(super) struct Meter {
    limits: Limits,
    pub(super) endless: bool,
    /// Bytes that all stages may take together.
    effort: u64,
    /// Encoded bytes that the first stage took.
    wire: u64,
    /// Bytes that all stages took.
    taken: u64,
    /// Bytes that all stages made.
    made: u64,
    /// Bytes of content given out; `content <= limits.output`.
    content: usize,
}

impl Meter {
    pub(super) fn new(limits: Limits, stages: usize) -> Self {
        let each =
            EFFORT_FREE.saturating_add((limits.output as u64).saturating_mul(EFFORT_PER_BYTE));
        Self {
            limits,
            endless: false,
            effort: each.saturating_mul(stages as u64),
            wire: 0,
            taken: 0,
            made: 0,
            content: 0,
        }
    }

    /// What a stage can make before a bound stops it: the last one makes the content, the others
    /// what the next one takes.
    pub(super) fn most(&self, last: bool) -> u64 {
        match (self.endless, last) {
            (true, _) => ENDLESS_WINDOW,
            (false, true) => self.limits.output as u64,
            (false, false) => self.effort,
        }
    }

    /// Of a body without end: what the wire has paid for is forgotten, and so is what it paid too
    /// much.
    pub(super) fn settle(&mut self) {
        let paid = self.wire.saturating_mul(self.limits.ratio.into());
        self.made = self.made.saturating_sub(paid);
        (self.wire, self.taken, self.content) = (0, 0, 0);
    }

    pub(super) fn spend(&mut self, step: &Step, first: bool) -> Status {
        if first {
            self.wire += step.used as u64;
        }
        self.taken += step.used as u64;
        self.made += step.made as u64;
        let allowed = self.wire.saturating_mul(self.limits.ratio.into());
        let free = if self.endless {
            ENDLESS_FREE
        } else {
            RATIO_FREE
        };
        if self.taken > self.effort || self.made > free.saturating_add(allowed) {
            Status::Bomb
        } else {
            Status::More
        }
    }

    pub(super) fn give(&mut self, data: &[u8], out: &mut Sink<'_>) -> Status {
        let room = self.limits.output - self.content;
        let given = room.min(data.len());
        out(&data[..given]);
        self.content += given;
        if given < data.len() {
            Status::Full
        } else {
            Status::More
        }
    }
}
