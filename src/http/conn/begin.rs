//! Where a message begins: behind the one before it, or somewhere in a direction that was lost.

use super::{Connection, First, Read};
use crate::flow::{Chunk, Side};
use crate::http::probe::{PREFACE, Probe, probe, whole_method};
use crate::http::{MAX_HEAD, Out, Switch, h2, head};

/// Segments of a stream of unknown protocol that are probed before it is given up.
const MAX_PROBES: u8 = 32;

impl Connection {
    /// A segment begins while the direction is lost: does it begin a message?
    pub(super) fn resync(&mut self, side: Side, chunk: &Chunk<'_>, out: &mut Out) -> Read {
        let data = chunk.data;
        let fits = |wanted| match self.client {
            None => true,
            Some(client) => (client == side) == wanted,
        };
        let found = match probe(data) {
            Probe::Request if fits(true) && whole_method(data) => {
                // A body may speak HTTP.
                !self.halves[side as usize].inside || self.pipeline.may_follow(chunk.ack)
            }
            Probe::Response if fits(false) => {
                self.client.is_none() || self.pipeline.may_begin(chunk.offset, chunk.ack)
            }
            // Any text may still become a request line; waiting would swallow the next segment's
            // beginning, so only what looks like a method is waited for.
            Probe::More if data.len() <= MAX_HEAD && may_begin(data) => return Read::Incomplete,
            Probe::Tls if self.client.is_none() => {
                self.switch = Some(Switch::Tls);
                return Read::Incomplete;
            }
            Probe::Http2 if self.client.is_none() => {
                self.switch = Some(Switch::Preface(Some(side)));
                return Read::Incomplete;
            }
            _ if self.client.is_none() => match h2::sync(data, |_| false) {
                h2::Sync::Yes => {
                    self.switch = Some(Switch::Frames);
                    return Read::Incomplete;
                }
                h2::Sync::More => return Read::Incomplete,
                h2::Sync::No => false,
            },
            _ => false,
        };
        let unknown = self.client.is_none();
        let half = self.half(side);
        if found {
            half.begin(None);
            return Read::Used(0);
        }
        half.probes = half.probes.saturating_add(1);
        if unknown && half.probes >= MAX_PROBES {
            return self.opaque(|out| &mut out.counters.unknown, out);
        }
        Read::Broken
    }

    /// Reads the message that begins at `at`.
    pub(super) fn message(
        &mut self,
        side: Side,
        chunk: &Chunk<'_>,
        at: usize,
        out: &mut Out,
    ) -> Read {
        let data = &chunk.data[at..];
        if !self.half(side).sure {
            match probe(data) {
                // The first words of HTTP/2's preface are a whole head of HTTP/1.
                Probe::More if PREFACE.starts_with(data) => return Read::Incomplete,
                Probe::More => {}
                Probe::Request if self.client.is_none_or(|c| c == side) => {
                    self.half(side).sure = true;
                }
                Probe::Response if self.client.is_none_or(|c| c != side) => {
                    self.half(side).sure = true;
                }
                _ if self.client.is_some() => return self.malformed(side, out),
                // Another protocol, or one that HTTP comes after: keep looking at boundaries.
                _ => {
                    self.half(side).lose();
                    return if at == 0 {
                        self.resync(side, chunk, out)
                    } else {
                        Read::Broken
                    };
                }
            }
        }
        let half = self.half(side);
        let first = *half.first.get_or_insert(First {
            ts: chunk.ts,
            ack: chunk.ack,
        });
        let end = head::end(data, half.searched);
        if end.unwrap_or(data.len()) > MAX_HEAD {
            out.counters.huge_heads += 1;
            // It began as HTTP does, so what follows it is looked at.
            self.client.get_or_insert_with(|| match probe(data) {
                Probe::Response => side.other(),
                _ => side,
            });
            return self.malformed(side, out);
        }
        let Some(end) = end.filter(|_| half.sure) else {
            half.searched = data.len();
            return Read::Incomplete;
        };
        let start = chunk.offset + at as u64;
        let head = &data[..end];
        let is_response = head
            .get(..5)
            .is_some_and(|b| b.eq_ignore_ascii_case(b"HTTP/"));
        let read = if is_response {
            head::response(head).map(|r| self.response(side, &r, first, start, chunk.ts, out))
        } else {
            head::request(head).map(|r| self.request(side, &r, first, start, chunk.ts, out))
        };
        match read {
            Some(()) => Read::Used(end),
            None => self.malformed(side, out),
        }
    }

    fn malformed(&mut self, side: Side, out: &mut Out) -> Read {
        out.counters.messages += 1;
        out.counters.malformed += 1;
        self.lost(side);
        Read::Broken
    }
}

/// Still too short to tell, and what is there may be the beginning of a message.
fn may_begin(data: &[u8]) -> bool {
    whole_method(data) || data.starts_with(b"HTTP/") || b"HTTP/".starts_with(data)
}
