//! One direction of a session.

use std::collections::VecDeque;

use super::cipher::Opener;
use super::handshake::Joiner;
use super::record::Header;
use super::resync::Lost;

/// Records whose ends are remembered to translate acknowledgements; as many as a window holds.
const MAX_MARKS: usize = 64;

/// Which keys a direction's records are under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Epoch {
    #[default]
    Clear,
    /// TLS 1.3: the client's early data.
    Early,
    /// TLS 1.3.
    Handshake,
    /// TLS 1.3.
    Application,
    /// TLS 1.2, behind a ChangeCipherSpec.
    Sealed,
    /// Not to be opened; its bytes are passed over.
    Dark,
}

/// One direction. Invariants: `opener` belongs to `epoch`; `next` is the offset of the first byte
/// that was not consumed, and `partial` the header there of a record that is not whole; `plain` is
/// the offset behind the last of the application's bytes.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) epoch: Epoch,
    pub(super) opener: Option<Box<Opener>>,
    pub(super) joiner: Joiner,
    pub(super) next: u64,
    pub(super) partial: Option<Header>,
    /// Bytes to come of a record of which some are lost.
    pub(super) skip: u64,
    pub(super) lost: Option<Lost>,
    /// Records wait behind which it cannot be told where another begins.
    pub(super) blind: bool,
    pub(super) plain: u64,
    /// (offset behind a record, offset of the application's bytes there), ascending.
    marks: VecDeque<(u64, u64)>,
    forgotten: bool,
    /// TLS 1.3: some record was padded, so lengths of plain text cannot be told from outside.
    pub(super) padded: bool,
    /// Records that may still not be authentic: early data that the server refused.
    pub(super) refused: u16,
    pub(super) failures: u8,
}

impl Half {
    pub(super) fn begin(&mut self, epoch: Epoch) {
        (self.epoch, self.opener, self.failures) = (epoch, None, 0);
        self.joiner.reset();
    }

    /// What `offset` of the stream is in the application's bytes: the end of the last record that
    /// is whole there.
    pub(super) fn translate(&self, offset: u64) -> Option<u64> {
        let behind = self.marks.partition_point(|(end, _)| *end <= offset);
        match behind.checked_sub(1) {
            Some(at) => self.marks.get(at).map(|mark| mark.1),
            None => (!self.forgotten).then_some(0),
        }
    }

    pub(super) fn mark(&mut self, end: u64) {
        if self.marks.len() >= MAX_MARKS {
            self.marks.pop_front();
            self.forgotten = true;
        }
        self.marks.push_back((end, self.plain));
    }
}
