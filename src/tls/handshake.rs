//! Handshake messages of one direction, joined across records (RFC 5246, section 7.4).
//!
//! A message that lies whole in one record, as nearly all do, is handed on as a slice of it. One
//! that does not is put together in a buffer whose size its type limits; a longer one is passed
//! over by its length, so that the messages behind it are still found.

/// Hellos and the rest. A hello with post-quantum key shares and a padded ticket has some 4 KiB;
/// without the limit one length field would reserve 16 MiB.
pub(super) const MAX_MESSAGE: usize = 64 << 10;

/// A chain of certificates; browsers and OpenSSL refuse more than 100 KiB. The same attack.
pub(super) const MAX_CERTIFICATE: usize = 256 << 10;

/// Type and length.
pub(super) const HEADER: usize = 4;

/// Message types (RFC 8446, appendix B.3, with those of RFC 5246).
pub(super) mod kind {
    pub(in super::super) const CLIENT_HELLO: u8 = 1;
    pub(in super::super) const SERVER_HELLO: u8 = 2;
    pub(in super::super) const NEW_SESSION_TICKET: u8 = 4;
    pub(in super::super) const END_OF_EARLY_DATA: u8 = 5;
    pub(in super::super) const ENCRYPTED_EXTENSIONS: u8 = 8;
    pub(in super::super) const CERTIFICATE: u8 = 11;
    pub(in super::super) const SERVER_KEY_EXCHANGE: u8 = 12;
    pub(in super::super) const SERVER_HELLO_DONE: u8 = 14;
    pub(in super::super) const CLIENT_KEY_EXCHANGE: u8 = 16;
    pub(in super::super) const FINISHED: u8 = 20;
    pub(in super::super) const KEY_UPDATE: u8 = 24;
}

/// One whole message, its header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: u8,
    pub whole: &'a [u8],
}

impl<'a> Message<'a> {
    pub fn body(&self) -> &'a [u8] {
        &self.whole[HEADER..]
    }
}

/// Joins fragments. Invariant: `buffer` holds less than one whole message.
#[derive(Debug, Default)]
pub struct Joiner {
    buffer: Vec<u8>,
    /// Bytes of a message that is passed over and still to come.
    skip: usize,
    /// Messages passed over for their length.
    oversized: u32,
    /// It cannot be told where the next message begins.
    lost: bool,
}

impl Joiner {
    /// Adds a record's fragment and hands on every message that it makes whole.
    pub fn push(&mut self, mut fragment: &[u8], mut each: impl FnMut(Message<'_>)) {
        if self.lost {
            return;
        }
        loop {
            let skipped = self.skip.min(fragment.len());
            self.skip -= skipped;
            fragment = &fragment[skipped..];
            if self.skip > 0 {
                return;
            }
            if self.buffer.is_empty() {
                // Whole messages straight from the fragment.
                while let Some((kind, total)) = header(fragment)
                    && total <= fragment.len()
                {
                    let (whole, rest) = fragment.split_at(total);
                    each(Message { kind, whole });
                    fragment = rest;
                }
            }
            if fragment.is_empty() {
                return;
            }
            let known = if self.buffer.is_empty() {
                header(fragment)
            } else {
                header(&self.buffer)
            };
            let wanted = match known {
                // The header itself is cut.
                None => HEADER - self.buffer.len(),
                Some((kind, total)) if total > limit(kind) => {
                    self.oversized = self.oversized.saturating_add(1);
                    self.skip = total - self.buffer.len();
                    self.buffer = Vec::new();
                    continue;
                }
                Some((_, total)) => total - self.buffer.len(),
            };
            let taken = wanted.min(fragment.len());
            self.buffer.extend_from_slice(&fragment[..taken]);
            fragment = &fragment[taken..];
            if let Some((kind, total)) = header(&self.buffer)
                && total == self.buffer.len()
            {
                let whole = std::mem::take(&mut self.buffer);
                each(Message {
                    kind,
                    whole: &whole,
                });
            }
        }
    }

    /// `len` bytes of fragments are gone. Where they end inside the message at hand, what comes
    /// behind that message is still certain.
    pub fn lose(&mut self, len: usize) {
        let rest = match header(&self.buffer) {
            Some((_, total)) => total - self.buffer.len(),
            None => self.skip,
        };
        self.buffer = Vec::new();
        match rest.checked_sub(len) {
            Some(left) if rest > 0 => self.skip = left,
            _ => self.lost = true,
        }
    }

    /// A new epoch begins at a message's start (RFC 8446, section 5.1).
    pub fn reset(&mut self) {
        (self.buffer, self.skip, self.lost) = (Vec::new(), 0, false);
    }

    pub fn held(&self) -> usize {
        self.buffer.len()
    }
}

fn header(data: &[u8]) -> Option<(u8, usize)> {
    let &[kind, a, b, c] = data.first_chunk()?;
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    Some((kind, HEADER + length))
}

fn limit(message: u8) -> usize {
    match message {
        kind::CERTIFICATE => MAX_CERTIFICATE,
        _ => MAX_MESSAGE,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![kind];
        out.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
        out.extend_from_slice(body);
        out
    }

    fn joined(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Joiner) {
        let (mut joiner, mut found) = (Joiner::default(), Vec::new());
        for piece in pieces {
            joiner.push(piece, |m| found.push(m.whole.to_vec()));
        }
        (found, joiner)
    }

    #[test]
    fn an_oversized_message_is_passed_over_and_the_next_is_found() {
        let big = message(kind::CLIENT_HELLO, &vec![7; MAX_MESSAGE + 1]);
        let next = message(kind::SERVER_HELLO, b"hello");
        let stream = [big, next.clone()].concat();
        for size in [1, 3, 1_000, 16_384] {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            let (found, joiner) = joined(&pieces);
            assert_eq!(found, std::slice::from_ref(&next));
            assert_eq!((joiner.oversized, joiner.held()), (1, 0));
        }
        // The same length is a sound chain of certificates.
        let chain = message(kind::CERTIFICATE, &vec![7; MAX_MESSAGE + 1]);
        assert_eq!(joined(&[&chain]).0, [chain]);
    }

    #[test]
    fn a_loss_inside_a_message_costs_that_message_alone() {
        let (first, next) = (message(11, &[1; 100]), message(14, b""));
        let stream = [first, next.clone()].concat();
        let mut joiner = Joiner::default();
        joiner.push(&stream[..40], |_| panic!("not whole"));
        joiner.lose(30);
        let mut found = Vec::new();
        joiner.push(&stream[70..], |m| found.push(m.whole.to_vec()));
        assert_eq!(found, [next]);
        // Lost at a message's start: nothing is known until the next epoch.
        joiner.lose(1);
        joiner.push(&stream, |_| panic!("a guess"));
        joiner.reset();
        joiner.push(&stream[104..], |m| found.push(m.whole.to_vec()));
        assert_eq!(found.len(), 2);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
            cuts in prop::collection::vec(1_usize..40, 1..40),
        ) {
            let messages: Vec<_> = bodies.iter().map(|b| message(2, b)).collect();
            let stream = messages.concat();
            let (mut pieces, mut rest) = (Vec::new(), &stream[..]);
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                pieces.push(head);
                rest = tail;
            }
            pieces.push(rest);
            prop_assert_eq!(joined(&pieces).0, messages);
        }

        #[test]
        fn any_bytes_are_bounded(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..500), 0..20)) {
            let mut joiner = Joiner::default();
            for piece in &pieces {
                joiner.push(piece, |m| assert!(m.whole.len() <= MAX_CERTIFICATE + HEADER));
                assert!(joiner.held() <= MAX_CERTIFICATE);
            }
        }
    }
}
