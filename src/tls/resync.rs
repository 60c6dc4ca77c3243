//! Holes inside TLS: how a direction goes on behind bytes that were lost.
//!
//! Where the hole lies inside one record whose header was seen, all is known: that record is lost,
//! the next has the next number. Otherwise the stream is searched for what looks like a record,
//! and the numbers that it may have are tried: authentication tells a right guess from a wrong
//! one, so nothing is believed that is not certain. Both the numbers and the work are bounded.

use super::half::{Epoch, Half};
use super::handshake;
use super::record::{ContentType, HEADER, Header};
use super::session::{Event, Meta, Outcome, Session, Shared, Sink};
use super::waiting::Waiting;
use crate::flow::Side;
use crate::time::Timestamp;

/// Type and version of a record of application data in TLS 1.2 and 1.3.
const MARK: [u8; 3] = [23, 3, 3];

/// Numbers tried for one record: a burst of small records lost.
const MAX_TRIALS: u64 = 1_024;

/// Bytes put through a cipher in search of one record. A stream full of false marks would else
/// cost its length times the trials.
const MAX_WORK: usize = 16 << 20;

/// A hole that no certain record has followed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lost {
    /// Where the first lost record began.
    from: u64,
    work: usize,
}

impl Session {
    /// `len` bytes from `offset` on will never come; unconsumed bytes before it are gone.
    pub fn on_gap(
        &mut self,
        side: Side,
        ts: Timestamp,
        offset: u64,
        len: u64,
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) {
        let waiting = self.is_waiting();
        let half = self.half(side);
        if half.epoch == Epoch::Dark || half.blind || half.lost.is_some() {
            return;
        }
        let end = offset + len;
        let skipped = half.skip.min(len);
        half.skip -= skipped;
        if skipped == len {
            return;
        }
        match half.partial.take() {
            Some(header) if half.next + header.total() as u64 >= end => {
                let behind = half.next + header.total() as u64;
                half.skip = behind - end;
                let meta = Meta {
                    ts,
                    ack: None,
                    end: behind,
                };
                if waiting || self.lost_record(side, ts, &header, shared, sink) == Outcome::Wait {
                    self.wait(side, meta, Waiting::LostRecord(header), shared);
                }
            }
            _ if waiting => {
                half.blind = true;
                let meta = Meta { ts, ack: None, end };
                self.wait(side, meta, Waiting::Blind, shared);
            }
            _ => {
                let from = if skipped > 0 {
                    offset + skipped
                } else {
                    half.next
                };
                half.lost = Some(Lost { from, work: 0 });
                self.lose_place(side, shared);
            }
        }
    }

    /// One record of known length is lost.
    pub(super) fn lost_record(
        &mut self,
        side: Side,
        ts: Timestamp,
        header: &Header,
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) -> Outcome {
        let epoch = self.half(side).epoch;
        match (epoch, header.kind) {
            (Epoch::Dark, _) => return Outcome::Done,
            (Epoch::Clear, ContentType::Handshake) => {
                self.half(side).joiner.lose(header.length());
                return Outcome::Done;
            }
            // It says nothing but that it is.
            (Epoch::Clear, ContentType::ChangeCipherSpec) => {
                self.change_cipher(side);
                return Outcome::Done;
            }
            (Epoch::Clear, _) => return Outcome::Done,
            (Epoch::Early | Epoch::Handshake | Epoch::Application, kind)
                if kind != ContentType::ApplicationData =>
            {
                return Outcome::Done;
            }
            _ => {}
        }
        if let Err(outcome) = self.ensure_opener(side, shared) {
            return outcome;
        }
        let half = self.half(side);
        let Some(opener) = &mut half.opener else {
            return Outcome::Done;
        };
        opener.seek(opener.sequence() + 1);
        let content = opener
            .overhead()
            .and_then(|overhead| header.length().checked_sub(overhead));
        match (epoch, header.kind) {
            (Epoch::Handshake, _) => half.joiner.lose(content.unwrap_or(handshake::HEADER)),
            (_, ContentType::ApplicationData) => {
                let told = epoch == Epoch::Sealed || half.is_plain();
                let len = content.filter(|_| told).map(|len| len as u64);
                gap(half, side, ts, len, sink);
            }
            _ => {}
        }
        Outcome::Done
    }

    /// The place in the stream is lost. In clear, only what comes sealed can be found again.
    fn lose_place(&mut self, side: Side, shared: &mut Shared) {
        let version = self.negotiation.version;
        let half = self.half(side);
        half.joiner = handshake::Joiner::default();
        if half.epoch == Epoch::Clear && version.is_some() {
            half.begin(Epoch::Sealed);
        }
        if self.half(side).epoch == Epoch::Clear || self.ensure_opener(side, shared).is_err() {
            shared.counters.lost += 1;
            self.give_up(side);
        }
    }

    /// Searches `data`, at `offset`, for a record that is certain. Returns how many bytes are
    /// passed over, and whether to go on reading there.
    pub(super) fn search(
        &mut self,
        side: Side,
        data: &[u8],
        offset: u64,
        ts: Timestamp,
        shared: &mut Shared,
        sink: &mut Sink<'_>,
    ) -> (usize, bool) {
        let mut at = 0;
        loop {
            match memchr::memmem::find(&data[at..], &MARK) {
                Some(found) => at += found,
                // The mark may lie across the end.
                None => return (data.len().saturating_sub(MARK.len() - 1).max(at), false),
            }
            let header = match Header::parse(&data[at..]) {
                Ok(Some(header)) if data.len() - at < header.total() => return (at, false),
                Ok(Some(header)) => header,
                Ok(None) => return (at, false),
                Err(_) => {
                    at += 1;
                    continue;
                }
            };
            let payload = &data[at + HEADER..at + header.total()];
            match self.try_record(side, &header, payload, offset + at as u64, shared) {
                Some(lost) => {
                    shared.counters.resynchronised += 1;
                    let half = self.half(side);
                    half.lost = None;
                    gap(half, side, ts, lost, sink);
                    return (at, true);
                }
                None => at += 1,
            }
            let spent = self.half(side).lost.is_none_or(|lost| lost.work > MAX_WORK);
            if spent {
                shared.counters.lost += 1;
                self.give_up(side);
                return (data.len(), false);
            }
        }
    }

    /// Tries a record at `offset` under the numbers that it may have. `Some`: it is one, the
    /// opener stands at its number, and inside is how many of the application's bytes were lost,
    /// where that can be told.
    fn try_record(
        &mut self,
        side: Side,
        header: &Header,
        payload: &[u8],
        offset: u64,
        shared: &mut Shared,
    ) -> Option<Option<u64>> {
        let next = self.next_epoch(side, shared);
        let half = self.half(side);
        let lost = half.lost.as_mut()?;
        let opener = half.opener.as_mut()?;
        let bytes = offset.saturating_sub(lost.from);
        let smallest = HEADER + opener.overhead().unwrap_or(32);
        let most = (bytes / smallest as u64).min(MAX_TRIALS);
        let first = opener.sequence();
        for sequence in first..=first + most {
            lost.work += payload.len();
            opener.seek(sequence);
            if opener.open(header, payload, &mut shared.plain).is_ok() {
                opener.seek(sequence);
                let framing = opener
                    .overhead()
                    .map(|overhead| (sequence - first) * (HEADER + overhead) as u64);
                let content = framing.and_then(|framing| bytes.checked_sub(framing));
                return Some(content.filter(|_| half.is_plain()));
            }
        }
        opener.seek(first);
        let (epoch, mut opener) = next?;
        for sequence in 0..=most {
            lost.work += payload.len();
            opener.seek(sequence);
            if opener.open(header, payload, &mut shared.plain).is_ok() {
                opener.seek(sequence);
                half.begin(epoch);
                half.opener = Some(opener);
                return Some(None);
            }
        }
        None
    }

    /// The epoch that may have begun inside the hole.
    fn next_epoch(
        &mut self,
        side: Side,
        shared: &Shared,
    ) -> Option<(Epoch, Box<super::cipher::Opener>)> {
        let from_client = self.client == Some(side);
        let half = self.half(side);
        let epoch = match half.epoch {
            Epoch::Early => Epoch::Handshake,
            Epoch::Handshake => Epoch::Application,
            Epoch::Application => {
                let updated = half.opener.as_ref()?.updated()?;
                return Some((Epoch::Application, Box::new(updated)));
            }
            _ => return None,
        };
        let opener = self
            .negotiation
            .opener(from_client, epoch, &shared.keys)
            .ok()?;
        Some((epoch, Box::new(opener)))
    }
}

impl Half {
    /// Records that come are the application's and not padded, so that their content's length
    /// shows. In TLS 1.3 the tickets at the start of an epoch look the same, hence the wait for
    /// the first of the application's bytes.
    fn is_plain(&self) -> bool {
        matches!(self.epoch, Epoch::Application | Epoch::Sealed) && self.plain > 0 && !self.padded
    }
}

/// Tells the reader of the application's bytes of a hole in them.
fn gap(half: &mut Half, side: Side, ts: Timestamp, len: Option<u64>, sink: &mut Sink<'_>) {
    if len == Some(0) {
        return;
    }
    let offset = half.plain;
    // Where the length is not known, offsets must still grow.
    half.plain += len.unwrap_or(1);
    sink(Event::Gap {
        side,
        ts,
        offset,
        len,
    });
}
