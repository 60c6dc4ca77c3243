//! The part of a body that something will look at: encoded bytes are kept while they come, and
//! decoded in one go at the end. So a connection that stalls inside a body holds the few bytes that
//! came, however many there are of them, and a decoder's window lives only while it is at work.

use super::Counters;
use super::coding::{Coding, Codings, Decoder, Limits, Status};
use crate::observe::operation::Worth;

/// Bytes that an encoding may be longer than its content: headers, checksums, stored blocks.
const CODING_OVERHEAD: usize = 512;

/// A zstd block yields nothing before its end: its largest size, and a frame's header.
const ZSTD_BLOCK: usize = (128 << 10) + 64;

/// A body under way.
#[derive(Debug)]
pub(super) struct Sample {
    codings: Codings,
    /// Bytes of content that are wanted.
    cap: usize,
    /// The beginning of a longer body is of no use.
    whole: bool,
    /// Once so much has come, whether the beginning is worth more; else it is of no use.
    judge: Option<(usize, Worth)>,
    kept: Vec<u8>,
    /// Some of the body is not in `kept`.
    cut: bool,
    /// Kept for its shape, too.
    shaped: bool,
    /// But for that it would not be here.
    aside: bool,
}

impl Sample {
    /// All of a body whose content has at most `cap` bytes.
    pub(super) fn whole(codings: Codings, cap: usize) -> Self {
        Self {
            codings,
            cap,
            whole: true,
            judge: None,
            kept: Vec::new(),
            cut: false,
            shaped: false,
            aside: false,
        }
    }

    /// The first `cap` bytes of any body's content.
    pub(super) fn prefix(codings: Codings, cap: usize) -> Self {
        Self {
            whole: false,
            ..Self::whole(codings, cap)
        }
    }

    /// A prefix, if `worth` says so of the first `small` bytes; a body no longer than that is kept
    /// whatever it is. What is encoded cannot be judged, and is kept.
    pub(super) fn judged(codings: Codings, small: usize, cap: usize, worth: Worth) -> Self {
        Self {
            judge: codings.is_identity().then_some((small, worth)),
            ..Self::prefix(codings, cap)
        }
    }

    /// The first `cap` bytes at least, whatever was wanted until now: for a body's shape. What that
    /// changes is told by [`Self::aside`].
    #[must_use]
    pub(super) fn shaped(mut self, cap: usize) -> Self {
        self.shaped = true;
        self.cap = self.cap.max(cap);
        self.whole = false;
        self
    }

    /// The content is of no use but for its shape.
    pub(super) fn aside(&self) -> bool {
        self.aside
    }

    /// Bytes as they came, transfer coding removed.
    pub(super) fn feed(&mut self, body: &[u8]) {
        if self.cut {
            return;
        }
        if let Some((small, worth)) = self.judge
            && self.kept.len() + body.len() > small
        {
            self.judge = None;
            let beginning = if self.kept.is_empty() {
                body
            } else {
                &self.kept
            };
            if !worth(beginning) && self.shaped {
                self.aside = true;
            } else if !worth(beginning) {
                self.whole = true;
                return self.cut();
            }
        }
        let room = self.most() - self.kept.len();
        self.kept.extend_from_slice(&body[..room.min(body.len())]);
        if body.len() > room {
            self.cut();
        }
    }

    /// Bytes are missing here; what follows cannot be decoded.
    pub(super) fn cut(&mut self) {
        self.cut = true;
        if self.whole {
            self.kept = Vec::new();
        }
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.kept.capacity()
    }

    /// Encoded bytes that are worth keeping.
    fn most(&self) -> usize {
        if self.codings.is_identity() {
            return self.cap;
        }
        let most = self.cap + self.cap / 4 + CODING_OVERHEAD;
        if self.whole || !self.codings.contains(Coding::Zstd) {
            most
        } else {
            most.max(ZSTD_BLOCK)
        }
    }

    /// The content, where the body is over, and whether it is all of it; `None` where there is not
    /// what was wanted.
    pub(super) fn content(self, counters: &mut Counters) -> Option<(Vec<u8>, bool)> {
        let wanted = !self.cut || !self.whole;
        if self.codings.is_identity() || !wanted {
            return wanted.then_some((self.kept, !self.cut));
        }
        let mut decoder = Decoder::new(self.codings, Limits::new(self.cap));
        let mut content = Vec::new();
        decoder.feed(&self.kept, &mut content);
        let status = decoder.finish(&mut content);
        counters.decoded(status, self.cut);
        match status {
            // Many servers do not mind the field, and read the body as it is.
            Status::Broken | Status::Unsupported if content.is_empty() => {
                let fits = !self.whole || self.kept.len() <= self.cap;
                fits.then_some((self.kept, !self.cut))
            }
            Status::Full | Status::Bomb if self.whole => None,
            _ => Some((content, status == Status::Whole && !self.cut)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn sample(mut sample: Sample, body: &[u8]) -> (Option<Vec<u8>>, Counters) {
        let mut counters = Counters::default();
        for piece in body.chunks(7) {
            sample.feed(piece);
        }
        (
            sample.content(&mut counters).map(|(content, _)| content),
            counters,
        )
    }

    #[test]
    fn whole_or_nothing_up_to_the_cap() {
        let identity = Codings::default();
        for (len, kept) in [(0, true), (100, true), (101, false)] {
            let body = vec![b'x'; len];
            let content = kept.then_some(body.clone());
            assert_eq!(sample(Sample::whole(identity, 100), &body).0, content);
            let encoded = Sample::whole(Codings::parse(b"gzip"), 100);
            let (got, counters) = sample(encoded, &gzip(&body));
            assert_eq!((got, counters.bodies_decoded), (content, 1));
        }
    }

    #[test]
    fn a_prefix_of_what_is_longer_or_cut() {
        let body: Vec<u8> = (0..20_000_u32)
            .flat_map(|n| n.to_string().into_bytes())
            .collect();
        let identity = Sample::prefix(Codings::default(), 100);
        assert_eq!(sample(identity, &body).0.as_deref(), Some(&body[..100]));
        let (got, counters) = sample(Sample::prefix(Codings::parse(b"gzip"), 100), &gzip(&body));
        assert_eq!(got.as_deref(), Some(&body[..100]));
        assert_eq!((counters.bodies_decoded, counters.coding_errors), (1, 0));

        let mut holed = Sample::prefix(Codings::parse(b"gzip"), 1_000);
        holed.feed(&gzip(&body)[..300]);
        holed.cut();
        holed.feed(b"garbage");
        let (content, _) = holed.content(&mut Counters::default()).unwrap();
        assert!(!content.is_empty() && body.starts_with(&content));
    }

    #[test]
    fn a_longer_body_is_kept_where_its_beginning_is_worth_it() {
        let judged = |codings: &[u8]| {
            Sample::judged(Codings::parse(codings), 100, 1_000, |b| b.starts_with(b"{"))
        };
        let body = |first: u8, len: usize| [&[first], &vec![b'x'; len - 1][..]].concat();
        // Small ones whatever they are, and then by their beginning.
        for (first, len, kept) in [
            (b'[', 100, 100),
            (b'[', 101, 0),
            (b'{', 101, 101),
            (b'{', 5_000, 1_000),
        ] {
            let body = body(first, len);
            let got = sample(judged(b""), &body).0;
            assert_eq!(got.map_or(0, |c| c.len()), kept, "{len}");
        }
        let mut refused = judged(b"");
        refused.feed(&body(b'[', 5_000));
        refused.feed(&body(b'{', 5_000));
        assert_eq!(refused.memory(), 0);
        let whole = |s: Sample| s.content(&mut Counters::default()).map(|(_, whole)| whole);
        let mut long = judged(b"gzip");
        long.feed(&gzip(&body(b'[', 2_000)));
        assert_eq!(whole(long), Some(false));
        let mut short = judged(b"gzip");
        short.feed(&gzip(&body(b'[', 1_000)));
        assert_eq!(whole(short), Some(true));
    }

    #[test]
    fn a_body_that_is_not_what_its_field_says_is_read_as_it_is() {
        for coding in [&b"gzip"[..], b"zstd", b"aws-chunked", b"gzip, compress"] {
            let codings = Codings::parse(coding);
            let (got, counters) = sample(Sample::whole(codings, 100), b"{\"password\":1}");
            assert_eq!(got.as_deref(), Some(&b"{\"password\":1}"[..]), "{coding:?}");
            assert_eq!((counters.bodies_decoded, counters.coding_errors), (0, 1));
            assert_eq!(
                sample(Sample::whole(codings, 5), b"{\"password\":1}").0,
                None
            );
        }
    }

    #[test]
    fn memory_is_what_came_and_no_more_than_the_cap() {
        let mut endless = Sample::prefix(Codings::parse(b"br"), 1_000);
        assert_eq!(endless.memory(), 0);
        for _ in 0..10_000 {
            endless.feed(&[7; 100]);
        }
        assert!(endless.memory() <= 2 * (1_250 + CODING_OVERHEAD));
        let mut longer = Sample::whole(Codings::parse(b"zstd"), 1_000);
        longer.feed(&[7; 100_000]);
        assert_eq!(longer.memory(), 0);
    }
}
