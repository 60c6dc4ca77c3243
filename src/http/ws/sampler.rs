//! Some of the messages of one direction, kept while they come, for whoever looks into them: the
//! first ones, then few, so that the cost follows novelty.
//!
//! Messages are kept as sent, but for the mask, and inflated at their end. Where a message refers to
//! those before it (RFC 7692, section 7.1.1), all of these are kept and inflated again each time:
//! they are short and few, and a window of 32 KiB for each silent connection would be neither. Past
//! the first ones, or past the bounds, what refers back is let go.

use super::inflate::{Inflated, SYNC_FLUSH, inflate, unmask};

/// Messages that are looked into, from the first on, and from then on each of so many.
const FIRST: u64 = 16;
const EACH: u64 = 64;

/// Content of one message that is given.
pub(super) const MAX_CONTENT: usize = 8 << 10;

/// Compressed bytes that are kept, and what they are inflated to.
const MAX_PACKED: usize = 8 << 10;
const MAX_INFLATED: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// Messages that have begun.
    count: u64,
    hand: Hand,
    /// Of the message at hand, uncompressed.
    content: Vec<u8>,
    /// Of the message at hand, compressed, behind those that it may refer to.
    packed: Vec<u8>,
    /// Content of the latter.
    before: usize,
    /// Some of the message at hand was not kept.
    cut: bool,
    /// What refers back can no longer be read.
    lost: bool,
}

/// The message at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hand {
    #[default]
    Skipped,
    Plain,
    Packed {
        /// It is to be given, and not kept only for those that refer to it.
        wanted: bool,
        takeover: bool,
    },
}

impl Sampler {
    /// A message begins. `takeover`: it may refer to those before it.
    pub(super) fn begin(&mut self, text: bool, compressed: bool, takeover: bool) {
        let wanted = text && (self.count < FIRST || self.count.is_multiple_of(EACH));
        self.count += 1;
        self.cut = false;
        self.hand = match (compressed, takeover) {
            (false, _) if wanted => Hand::Plain,
            (true, false) if wanted => Hand::Packed { wanted, takeover },
            (true, true) if self.count > FIRST => {
                self.missed();
                Hand::Skipped
            }
            (true, true) if !self.lost => Hand::Packed { wanted, takeover },
            _ => Hand::Skipped,
        };
    }

    /// A piece of the message at hand, `offset` bytes into its frame.
    pub(super) fn feed(&mut self, piece: &[u8], key: [u8; 4], offset: u64) {
        let (kept, cap) = match self.hand {
            Hand::Skipped => return,
            Hand::Plain => (&mut self.content, MAX_CONTENT),
            Hand::Packed { .. } => (&mut self.packed, MAX_PACKED),
        };
        let from = kept.len();
        let room = cap.saturating_sub(from).min(piece.len());
        kept.extend_from_slice(&piece[..room]);
        unmask(key, offset, &mut kept[from..]);
        self.cut |= room < piece.len();
    }

    /// The message at hand is over: the beginning of its content, and whether that is all.
    pub(super) fn end(&mut self) -> Option<(Vec<u8>, bool)> {
        match std::mem::take(&mut self.hand) {
            Hand::Skipped => None,
            Hand::Plain => Some((std::mem::take(&mut self.content), !self.cut)),
            Hand::Packed { wanted, takeover } => {
                if !self.cut {
                    self.packed.extend(SYNC_FLUSH);
                }
                let inflated = inflate(&self.packed, MAX_INFLATED);
                let whole = !self.cut && inflated.as_ref().is_some_and(|i| i.all);
                let before = std::mem::take(&mut self.before);
                if takeover && whole {
                    self.before = inflated.as_ref().map_or(0, |i| i.content.len());
                } else {
                    self.packed = Vec::new();
                    self.lost |= takeover;
                }
                let Inflated { mut content, .. } = inflated.filter(|_| wanted)?;
                content.drain(..before.min(content.len()));
                let whole = whole && content.len() <= MAX_CONTENT;
                content.truncate(MAX_CONTENT);
                Some((content, whole))
            }
        }
    }

    /// Messages went by, or pieces of one, and what they said is unknown.
    pub(super) fn missed(&mut self) {
        self.hand = Hand::Skipped;
        (self.content, self.packed) = (Vec::new(), Vec::new());
        (self.before, self.lost) = (0, true);
    }

    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.content.capacity() + self.packed.capacity()
    }
}
