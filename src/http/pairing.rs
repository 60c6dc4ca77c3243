//! Which request a response answers. Never a guess.
//!
//! While both directions are whole, responses answer requests in order (RFC 9112, section 9.3.2).
//! After a hole that order is worth nothing: requests or responses may have been in it. Then the
//! acknowledgement numbers decide:
//!
//! * A response whose packet had not acknowledged a request's first byte does not answer it.
//! * A client that was never seen to pipeline sends a request only after it has the whole answer
//!   to the one before; so the message that begins exactly where the client's own acknowledgement
//!   stood when it sent the request is that request's answer, if no other request is outstanding.
//!   After a hole in its own direction it must have received the beginning of an answer to what
//!   was in there: else it pipelines, if a request was in the hole. A client whose connection was
//!   joined in the middle is believed to wait until it is seen not to: nothing can show it.
//! * Where only the server's direction has a hole, every request is known; a single outstanding
//!   one owns whatever begins at or behind that place.
//!
//! What fits none of these is reported in halves, `unpaired`.

use std::collections::VecDeque;

use super::sampler::Place;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Requests outstanding on one connection; browsers allow 6, benchmarks some hundreds.
pub(super) const MAX_PIPELINE: usize = 1_024;

/// A request without its response.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) x: Box<Exchange>,
    /// Offset of the head's first byte in the client's direction.
    pub(super) start: u64,
    /// What the client had received when it sent that byte.
    pub(super) ack: Option<u64>,
    /// When its last byte came; none while the body is under way.
    pub(super) done: Option<Timestamp>,
    pub(super) place: Place,
    /// Bytes that it counts for.
    pub(super) cost: usize,
}

impl Pending {
    fn weigh(&self) -> usize {
        size_of::<Self>() + self.x.cost()
    }
}

/// Outstanding requests of one connection, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    queue: VecDeque<Pending>,
    /// What the queue holds, in bytes.
    held: usize,
    /// Requests may be outstanding that were never seen.
    hole: bool,
    /// Responses may have gone by that were never seen.
    server_hole: bool,
    /// The client has sent a request before the last one was answered.
    pipelined: bool,
    /// Where the first answer begins that came after the hole; none has yet.
    resumed: Option<u64>,
    /// The answers to what was in the hole may have gone by unseen.
    doubt: bool,
}

impl Pipeline {
    /// Of a connection that is seen from its first byte, or is not.
    pub(super) fn new(from_start: bool) -> Self {
        Self {
            hole: !from_start,
            ..Self::default()
        }
    }

    pub(super) fn request_hole(&mut self) {
        (self.hole, self.resumed) = (true, None);
    }

    /// A final response begins at `offset` in a packet that acknowledges `ack`; the hole in the
    /// requests began at `hole`, and something in it is what it answers if it has received it.
    pub(super) fn resume(&mut self, offset: u64, ack: Option<u64>, hole: Option<u64>) {
        if self.hole && hole.is_some() && ack > hole {
            self.resumed.get_or_insert(offset);
        }
    }

    /// Whether a response may begin at `offset`: where every request is known, one is outstanding.
    pub(super) fn may_begin(&self, offset: u64, ack: Option<u64>) -> bool {
        self.hole || self.answers_front(offset, ack) != Some(false)
    }

    /// Whether the next request may begin in a segment that acknowledges `ack`, though the end of
    /// the one before was lost: its sender has received an answer since.
    pub(super) fn may_follow(&self, ack: Option<u64>) -> bool {
        self.server_hole || self.queue.back().is_none_or(|last| ack > last.ack)
    }

    pub(super) fn response_hole(&mut self) {
        self.server_hole = true;
    }

    pub(super) fn certain(&self) -> bool {
        !self.hole && !self.server_hole
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The request whose body may be under way.
    pub(super) fn last(&mut self) -> Option<&mut Pending> {
        self.queue.back_mut()
    }

    /// Adds a request; returns those whose answers went by unseen. `hole`: where the last hole in
    /// the requests began.
    pub(super) fn push(&mut self, new: Pending, hole: Option<u64>) -> Vec<Pending> {
        let mut given_up = Vec::new();
        if let Some(last) = self.queue.back() {
            // The client has received more since its last request: that was the answer.
            let answered = self.server_hole && new.ack > last.ack;
            if answered || self.queue.len() >= MAX_PIPELINE {
                self.hole |= !answered;
                given_up = self.flush();
            } else {
                self.pipelined = true;
            }
        }
        // A request may have been in the hole, and the client did not wait for its answer.
        if self.hole && hole.is_some() && self.resumed.is_none_or(|at| new.ack <= Some(at)) {
            self.doubt |= self.server_hole;
            self.pipelined |= !self.server_hole;
        }
        let cost = new.weigh();
        self.held += cost;
        self.queue.push_back(Pending { cost, ..new });
        given_up
    }

    pub(super) fn flush(&mut self) -> Vec<Pending> {
        (self.held, self.doubt) = (0, false);
        self.queue.drain(..).collect()
    }

    /// The last request's body has added to its record.
    pub(super) fn weigh(&mut self) {
        if let Some(last) = self.queue.back_mut() {
            let cost = last.weigh();
            self.held = self.held + cost - last.cost;
            last.cost = cost;
        }
    }

    fn pop(&mut self) -> Option<Pending> {
        let first = self.queue.pop_front()?;
        self.held -= first.cost;
        Some(first)
    }

    /// Whether a response at `offset` of the server's direction, whose packet acknowledged `ack`,
    /// answers the oldest request. `None`: it cannot be told.
    fn answers_front(&self, offset: u64, ack: Option<u64>) -> Option<bool> {
        let Some(front) = self.queue.front() else {
            return Some(false);
        };
        if ack.is_some_and(|ack| ack <= front.start) {
            return Some(false);
        }
        if self.certain() {
            return Some(true);
        }
        let alone = self.queue.len() == 1 && !self.pipelined && !self.doubt;
        match front.ack {
            Some(had) if offset < had => Some(false),
            Some(had) if alone && (offset == had || !self.hole) => Some(true),
            _ => None,
        }
    }

    /// An interim response is no answer, but it is as good a proof of who is next.
    pub(super) fn interim(&mut self, offset: u64, ack: Option<u64>) {
        if self.answers_front(offset, ack) == Some(true) {
            (self.hole, self.server_hole) = (false, false);
        }
    }

    /// A final response begins. Returns the request that it answers, and the requests of which it
    /// can no longer be told.
    pub(super) fn answer(
        &mut self,
        offset: u64,
        ack: Option<u64>,
    ) -> (Option<Pending>, Vec<Pending>) {
        match self.answers_front(offset, ack) {
            Some(true) => {
                (self.hole, self.server_hole) = (false, false);
                (self.pop(), Vec::new())
            }
            Some(false) => (None, Vec::new()),
            None => {
                // One of the outstanding requests may be the one answered, or none of them.
                (self.hole, self.server_hole) = (true, false);
                (None, self.flush())
            }
        }
    }
}
