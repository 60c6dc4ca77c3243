//! Content codings undone (RFC 9110, section 8.4): gzip, deflate, br and zstd, alone or stacked.
//!
//! A [`Decoder`] takes an encoded body in pieces cut anywhere and gives the first bytes of the
//! content, up to a cap. What was decoded before a stop stands: a body that was cut, broken or
//! made to burst is still known by its beginning. Checksums are not compared, for the same reason.
//!
//! A bomb costs at most the cap. Three bounds see to it, each over all stacked codings together:
//! *output* ends the content, *ratio* ends what grows out of proportion to the bytes that came,
//! and *effort* ends what takes bytes without end and yields nothing: empty blocks, skippable
//! frames, metadata, headers with an endless name, or an outer coding that swells for an inner
//! one. No state outlives a stop, none is made before the first byte, and a history window is
//! never larger than the bounds let a stage fill, whatever the stream asks for.
//!
//! A body without end, an event stream's, has no cap on its content, which is handed on and let go.
//! There the ratio holds over every stretch of it: what was not swelled earlier is no credit. And
//! memory is a bound: one that refers back farther than it allows is given up there.

use std::fmt;

use brotli::Brotli;
use meter::Meter;
use wrapped::{Deflate, Gzip};
use zstd::Zstd;

mod brotli;
mod inflate;
mod meter;
#[cfg(test)]
mod tests;
mod wrapped;
mod zstd;

/// Codings stacked on one body. More than two are unknown in practice; each one costs a decoder.
const MAX_CODINGS: usize = 4;

/// Bytes handed from one stage to the next at a time; one such buffer a stage lies on the stack.
const PIECE: usize = 4 << 10;

/// Deflate reaches 1,032 to one, and only with content that says nothing.
const DEFAULT_RATIO: u32 = 1_000;

/// Of a body without end. One flush for each event takes six bytes of the wire at least, and events
/// that say anything are shorter than six hundred.
const ENDLESS_RATIO: u32 = 100;

/// What the decoder of a body without end may hold: there may be many of them, and they share the
/// flow table's budget.
const ENDLESS_MEMORY: usize = 2 << 20;

/// The most that one stage holds: brotli's window and prefix codes.
const MAX_MEMORY: usize = 40 << 20;

/// A content coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    /// zlib (RFC 1950) as the RFC has it, or bare deflate (RFC 1951) as many senders do.
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of one body in the order in which they were applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codings {
    list: [Option<Coding>; MAX_CODINGS],
    /// One that is not known, or one too many: the body cannot be told.
    unsupported: bool,
}

/// Why a decoder goes on or has stopped. After anything but `More` it holds no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// More is expected; of [`Decoder::finish`]: the encoding was cut short.
    More,
    /// Of [`Decoder::finish`] alone: the encoding was complete, and all content was given.
    Whole,
    /// There is more content than the cap, or a body without end needs more memory than it may have;
    /// nothing more is looked at.
    Full,
    /// Past the ratio or the effort that the limits allow.
    Bomb,
    /// Not what its coding says.
    Broken,
    /// A coding, or an option of one, that is not undone here.
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of content that are wanted.
    pub output: usize,
    /// Decoded bytes, those between stacked codings included, for each encoded one.
    pub ratio: u32,
}

/// Undoes the codings of one body.
pub struct Decoder {
    codings: Codings,
    /// The coding applied last is undone first. Empty before the first byte and after a stop.
    stages: Vec<Stage>,
    meter: Meter,
    status: Status,
}

/// Takes content as it is made.
type Sink<'a> = dyn FnMut(&[u8]) + 'a;

enum Stage {
    Idle(Coding),
    Gzip(Gzip),
    Deflate(Deflate),
    Brotli(Box<Brotli>),
    Zstd(Box<Zstd>),
}

/// What one call of a stage did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Bytes of the input that were taken.
    used: usize,
    /// Bytes of the output buffer that were filled.
    made: usize,
    /// `More`, `Broken` or `Unsupported`.
    status: Status,
}

impl Codings {
    /// Reads a `Content-Encoding` value.
    pub fn parse(value: &[u8]) -> Self {
        let mut codings = Self::default();
        codings.add(value);
        codings
    }

    /// Reads a further line of the same field, which continues the list (RFC 9110, section 5.3).
    pub fn add(&mut self, value: &[u8]) {
        for token in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            let is = |name: &[u8]| token.eq_ignore_ascii_case(name);
            let coding = match token {
                _ if token.is_empty() || is(b"identity") => continue,
                _ if is(b"gzip") || is(b"x-gzip") => Some(Coding::Gzip),
                _ if is(b"deflate") => Some(Coding::Deflate),
                _ if is(b"br") => Some(Coding::Brotli),
                _ if is(b"zstd") => Some(Coding::Zstd),
                // `compress` and `x-compress` too: LZW is long out of use.
                _ => None,
            };
            match self.list.iter_mut().find(|slot| slot.is_none()) {
                Some(slot) if coding.is_some() => *slot = coding,
                _ => self.unsupported = true,
            }
        }
    }

    /// The body is its content.
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    pub fn contains(&self, coding: Coding) -> bool {
        self.list.contains(&Some(coding))
    }

    fn len(&self) -> usize {
        self.list.iter().flatten().count()
    }
}

impl Limits {
    pub fn new(output: usize) -> Self {
        Self {
            output,
            ratio: DEFAULT_RATIO,
        }
    }
}

impl Decoder {
    /// Allocates nothing.
    pub fn new(codings: Codings, limits: Limits) -> Self {
        Self {
            codings,
            stages: Vec::new(),
            meter: Meter::new(limits, codings.len()),
            status: if codings.unsupported {
                Status::Unsupported
            } else {
                Status::More
            },
        }
    }

    /// Of a body that may go on for days; allocates nothing.
    pub fn endless(codings: Codings) -> Self {
        let limits = Limits {
            output: usize::MAX,
            ratio: ENDLESS_RATIO,
        };
        let mut decoder = Self::new(codings, limits);
        decoder.meter.endless = true;
        decoder
    }

    /// Takes the next piece of the body; appends the content that it gives.
    pub fn feed(&mut self, data: &[u8], out: &mut Vec<u8>) -> Status {
        self.feed_to(data, &mut |content| out.extend_from_slice(content))
    }

    /// The same, with the content handed on as it is made.
    pub fn feed_to(&mut self, data: &[u8], out: &mut Sink<'_>) -> Status {
        if self.status != Status::More || data.is_empty() {
            return self.status;
        }
        if self.stages.is_empty() {
            let applied_last_first = self.codings.list.iter().rev().flatten();
            self.stages = applied_last_first.map(|c| Stage::Idle(*c)).collect();
        }
        self.status = run(&mut self.stages, data, true, &mut self.meter, out);
        if self.meter.endless {
            self.meter.settle();
            if self.status == Status::More && self.memory() > ENDLESS_MEMORY {
                self.status = Status::Full;
            }
        }
        if self.status != Status::More {
            self.stages = Vec::new();
        }
        self.status
    }

    /// The body is over, or nothing more of it will come: gives the content that was held back.
    pub fn finish(self, out: &mut Vec<u8>) -> Status {
        self.finish_to(&mut |content| out.extend_from_slice(content))
    }

    pub fn finish_to(mut self, out: &mut Sink<'_>) -> Status {
        if self.status != Status::More {
            return self.status;
        }
        let whole = self.stages.iter().all(Stage::is_whole);
        let mut stages = &mut self.stages[..];
        while let Some((stage, rest)) = stages.split_first_mut() {
            let status = drain(stage, rest, &mut self.meter, out);
            if status != Status::More {
                return status;
            }
            stages = rest;
        }
        if whole { Status::Whole } else { Status::More }
    }

    /// Bytes held, and never fewer than are.
    pub fn memory(&self) -> usize {
        let own = self.stages.capacity() * size_of::<Stage>();
        own + self.stages.iter().map(Stage::memory).sum::<usize>()
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("codings", &self.codings)
            .field("meter", &self.meter)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Feeds the first of `stages` and hands what it makes to the rest.
fn run(
    stages: &mut [Stage],
    mut data: &[u8],
    first: bool,
    meter: &mut Meter,
    out: &mut Sink<'_>,
) -> Status {
    let Some((stage, rest)) = stages.split_first_mut() else {
        return meter.give(data, out);
    };
    if data.is_empty() {
        return Status::More;
    }
    let mut buffer = [0; PIECE];
    loop {
        let most = meter.most(rest.is_empty());
        let step = stage.step(data, &mut buffer, most);
        data = &data[step.used..];
        // What was made before a stop is content all the same.
        let spent = meter.spend(&step, first);
        let status = run(rest, &buffer[..step.made], false, meter, out);
        let stop = [status, step.status, spent]
            .into_iter()
            .find(|s| *s != Status::More);
        if let Some(stop) = stop {
            return stop;
        }
        if data.is_empty() && step.made < PIECE {
            return Status::More;
        }
        // No stage does so; but then this loop rests on three crates.
        if step.used == 0 && step.made == 0 {
            return Status::Broken;
        }
    }
}

/// Hands what `stage` has held back to the rest.
fn drain(stage: &mut Stage, rest: &mut [Stage], meter: &mut Meter, out: &mut Sink<'_>) -> Status {
    let Stage::Zstd(zstd) = stage else {
        return Status::More;
    };
    let mut buffer = [0; PIECE];
    loop {
        let step = zstd.finish(&mut buffer);
        let spent = meter.spend(&step, false);
        let status = run(rest, &buffer[..step.made], false, meter, out);
        let stop = [status, step.status, spent]
            .into_iter()
            .find(|s| *s != Status::More);
        if stop.is_some() || step.made < PIECE {
            return stop.unwrap_or(Status::More);
        }
    }
}

impl Stage {
    /// `most`: bytes that this stage can make before it is stopped.
    fn step(&mut self, input: &[u8], output: &mut [u8], most: u64) -> Step {
        if let Self::Idle(coding) = self {
            *self = match coding {
                Coding::Gzip => Self::Gzip(Gzip::default()),
                Coding::Deflate => Self::Deflate(Deflate::default()),
                Coding::Brotli => Self::Brotli(Box::default()),
                Coding::Zstd => Self::Zstd(Box::new(Zstd::new(most))),
            };
        }
        match self {
            Self::Idle(_) => Step::default(),
            Self::Gzip(stage) => stage.step(input, output),
            Self::Deflate(stage) => stage.step(input, output),
            Self::Brotli(stage) => stage.step(input, output),
            Self::Zstd(stage) => stage.step(input, output),
        }
    }

    fn is_whole(&self) -> bool {
        match self {
            // No body at all, which every coding has of no content.
            Self::Idle(_) => true,
            Self::Gzip(stage) => stage.is_whole(),
            Self::Deflate(stage) => stage.is_whole(),
            Self::Brotli(stage) => stage.is_whole(),
            Self::Zstd(stage) => stage.is_whole(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Idle(_) => 0,
            Self::Gzip(stage) => stage.memory(),
            Self::Deflate(stage) => stage.memory(),
            Self::Brotli(stage) => size_of::<Brotli>() + stage.memory(),
            Self::Zstd(stage) => size_of::<Zstd>() + stage.memory(),
        }
    }
}

impl Default for Step {
    fn default() -> Self {
        Self {
            used: 0,
            made: 0,
            status: Status::More,
        }
    }
}

impl Step {
    fn stop(used: usize, status: Status) -> Self {
        Self {
            used,
            made: 0,
            status,
        }
    }
}

/// A fuzz entry: three bytes choose codings, cap and step, the rest is the body.
#[doc(hidden)]
pub fn fuzz_coding(data: &[u8]) {
    let [choice, cap, step, body @ ..] = data else {
        return;
    };
    let all = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
    let mut codings = Codings::default();
    codings.list[0] = Some(all[usize::from(choice & 3)]);
    codings.list[1] = all.get(usize::from(choice >> 2 & 7)).copied();
    let limits = Limits::new(1 << (cap & 0xf));
    let decode = |step: usize| {
        let (mut decoder, mut out) = (Decoder::new(codings, limits), Vec::new());
        for piece in body.chunks(step) {
            let status = decoder.feed(piece, &mut out);
            assert!(status == Status::More || decoder.memory() == 0);
            assert!(decoder.memory() <= MAX_MEMORY * codings.len());
        }
        let status = decoder.finish(&mut out);
        assert!(out.len() <= limits.output);
        (status, out)
    };
    let (whole, pieces) = (decode(usize::MAX), decode(usize::from(*step).max(1)));
    // How much a stage makes before it notices an error or a bomb depends on the pieces.
    let early = |status| matches!(status, Status::Broken | Status::Bomb);
    let common = whole.1.len().min(pieces.1.len());
    assert!(whole.1[..common] == pieces.1[..common]);
    assert!(early(whole.0) || early(pieces.0) || whole == pieces);
}
