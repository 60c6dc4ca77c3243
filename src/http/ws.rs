//! WebSocket behind its upgrade (RFC 6455): both directions' frames in, session records out.
//!
//! What is counted is messages: a message is one frame or several, with control frames in between
//! as they come. Payload is stepped over by its length and not copied, so a connection costs its
//! counters and, in the flow table, the beginning of one header. Where somebody looks into messages
//! (`Out::look`), some texts are kept until they are whole, and their mask and compression (RFC 7692)
//! taken off: see `sampler`.
//!
//! A hole inside of a payload costs nothing but the bytes, since the length is known. Any other
//! loses the direction until a segment begins what can only be frames (`frame::plausible`); its
//! session then says `lossy`, and its counts are the least that there was.

use super::session::Log;
use super::{Message as Text, Out};
use crate::exchange::{Exchange, SessionKind, Traffic};
use crate::flow::{Chunk, End, Side};
use crate::time::Timestamp;
use frame::{Header, Opcode, Parsed};
use sampler::Sampler;

mod frame;
mod fuzz;
mod inflate;
mod sampler;

#[cfg(test)]
mod tests;

pub(super) use frame::Extensions;
pub use fuzz::fuzz_texts;

/// Where the reader of one direction stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Frame,
    /// Inside of a payload.
    Payload(Payload),
    /// Somewhere inside what cannot be told: waits for a segment that begins a frame.
    Lost,
    /// The close frame was its last (section 5.5.1).
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    left: u64,
    len: u64,
    /// Zeros where there is no mask.
    key: [u8; 4],
    /// It ends its message.
    ends: bool,
    /// It belongs to a message, not to a control frame.
    data: bool,
}

/// The message under way.
#[derive(Clone, Copy, Debug)]
enum Message {
    None,
    Counted {
        compressed: bool,
    },
    /// It began where nothing was seen.
    Headless,
}

#[derive(Debug)]
struct Half {
    place: Place,
    message: Message,
    /// Nothing was missed so far: what cannot be is the peers' fault, not the capture's.
    whole: bool,
    /// Where somebody looks into messages.
    sampler: Option<Box<Sampler>>,
}

/// The WebSocket reader of one flow.
#[derive(Debug)]
pub(super) struct Connection {
    client: Side,
    extensions: Extensions,
    halves: [Half; 2],
    log: Log,
}

impl Half {
    fn new() -> Self {
        Self {
            place: Place::Frame,
            message: Message::None,
            whole: true,
            sampler: None,
        }
    }

    fn missed(&mut self) {
        if let Some(sampler) = &mut self.sampler {
            sampler.missed();
        }
    }
}

impl crate::flow::Stream for Connection {
    type Out = Out;

    fn on_data(&mut self, side: Side, chunk: Chunk<'_>, out: &mut Out) -> usize {
        self.log.at(chunk.ts, out);
        let mut at = 0;
        while at < chunk.data.len() {
            let rest = &chunk.data[at..];
            match self.half(side).place {
                Place::Closed => return chunk.data.len(),
                Place::Lost => {
                    let segment = at == 0 && chunk.boundary;
                    let from_client = side == self.client;
                    if !segment || !frame::plausible(rest, from_client, self.extensions) {
                        return chunk.data.len();
                    }
                    self.half(side).place = Place::Frame;
                }
                Place::Frame => match self.header(side, rest, out) {
                    Some(used) => at += used,
                    None => return at,
                },
                Place::Payload(payload) => {
                    let used = payload.left.min(rest.len() as u64);
                    at += used as usize;
                    if let Some(sampler) = &mut self.half(side).sampler
                        && payload.data
                    {
                        let offset = payload.len - payload.left;
                        sampler.feed(&rest[..used as usize], payload.key, offset);
                    }
                    self.payload(side, used, payload, out);
                }
            }
        }
        at
    }

    fn on_gap(&mut self, side: Side, ts: Timestamp, _offset: u64, len: u64, out: &mut Out) {
        self.log.at(ts, out);
        match self.half(side).place {
            Place::Closed => {}
            Place::Payload(payload) if payload.left >= len => {
                self.log.counts.lossy = true;
                if payload.data {
                    self.half(side).missed();
                }
                self.payload(side, len, payload, out);
            }
            _ => self.lost(side, out),
        }
    }

    fn on_end(&mut self, _side: Side, _ts: Timestamp, _out: &mut Out) {}

    fn on_close(&mut self, ts: Timestamp, _end: End, out: &mut Out) {
        for side in [Side::Orig, Side::Resp] {
            self.cut(side, out);
        }
        self.log.over(ts, out);
    }

    fn due(&self) -> Timestamp {
        self.log.due()
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Out) {
        self.log.pass(now, out);
    }

    fn held(&self) -> usize {
        let samplers = self.halves.iter().flat_map(|h| &h.sampler);
        self.log.held() + samplers.map(|s| s.held()).sum::<usize>()
    }
}

impl Connection {
    pub(super) fn new(
        opener: Box<Exchange>,
        client: Side,
        extensions: Extensions,
        ts: Timestamp,
    ) -> Self {
        Self {
            client,
            extensions,
            halves: [Half::new(), Half::new()],
            log: Log::new(opener, SessionKind::WebSocket, ts),
        }
    }

    fn half(&mut self, side: Side) -> &mut Half {
        &mut self.halves[side as usize]
    }

    fn traffic(&mut self, side: Side) -> &mut Traffic {
        if side == self.client {
            &mut self.log.counts.up
        } else {
            &mut self.log.counts.down
        }
    }

    /// Reads a frame's header; `None` where it is not whole. A close frame's code counts as part
    /// of it.
    fn header(&mut self, side: Side, data: &[u8], out: &mut Out) -> Option<usize> {
        let from_client = side == self.client;
        let header = match frame::parse(data, from_client, self.extensions) {
            Parsed::Header(header) => header,
            Parsed::More => return None,
            Parsed::Broken => {
                self.broken(side, out);
                return Some(0);
            }
        };
        match header.opcode {
            Opcode::Close => {
                if header.len >= 2 {
                    let code = data.get(header.size..header.size + 2)?;
                    let key = header.mask.unwrap_or_default();
                    let code = u16::from_be_bytes([code[0] ^ key[0], code[1] ^ key[1]]);
                    self.log.counts.close.get_or_insert(code);
                }
                self.cut(side, out);
                self.half(side).place = Place::Closed;
                return Some(header.size);
            }
            Opcode::Ping => self.log.counts.pings += 1,
            Opcode::Pong => self.log.counts.pongs += 1,
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                if !self.begin(side, &header, out) {
                    self.broken(side, out);
                    return Some(0);
                }
            }
        }
        let data = matches!(
            header.opcode,
            Opcode::Text | Opcode::Binary | Opcode::Continuation
        );
        let payload = Payload {
            left: header.len,
            len: header.len,
            key: header.mask.unwrap_or_default(),
            ends: header.fin && data,
            data,
        };
        self.payload(side, 0, payload, out);
        Some(header.size)
    }

    /// A frame of a message begins; `false` where none may (section 5.4).
    fn begin(&mut self, side: Side, header: &Header, out: &mut Out) -> bool {
        let no_context = if side == self.client {
            self.extensions.client_no_context
        } else {
            self.extensions.server_no_context
        };
        let half = self.half(side);
        let first = header.opcode != Opcode::Continuation;
        match (first, half.message) {
            (true, Message::None) => {
                half.message = Message::Counted {
                    compressed: header.compressed,
                };
                out.counters.sessions.messages += 1;
                out.counters.sessions.pending += 1;
                if out.look.is_some() {
                    let sampler = half.sampler.get_or_insert_default();
                    let text = header.opcode == Opcode::Text;
                    sampler.begin(text, header.compressed, !no_context);
                }
            }
            (false, Message::None) if !half.whole => half.message = Message::Headless,
            (false, Message::Counted { .. } | Message::Headless) => {}
            // The end of what began unseen was not seen either.
            (true, Message::Headless) => {
                half.message = Message::None;
                return self.begin(side, header, out);
            }
            (true, Message::Counted { .. }) | (false, Message::None) => return false,
        }
        true
    }

    /// `used` bytes of a payload came, or went by unseen.
    fn payload(&mut self, side: Side, used: u64, mut payload: Payload, out: &mut Out) {
        if payload.data {
            let bytes = &mut self.traffic(side).bytes;
            *bytes = bytes.saturating_add(used);
        }
        payload.left -= used;
        if payload.left > 0 {
            self.half(side).place = Place::Payload(payload);
            return;
        }
        self.half(side).place = Place::Frame;
        if !payload.ends {
            return;
        }
        let message = std::mem::replace(&mut self.half(side).message, Message::None);
        if let Message::Counted { compressed } = message {
            let traffic = self.traffic(side);
            traffic.messages += 1;
            traffic.compressed += u64::from(compressed);
            out.counters.sessions.pending -= 1;
            out.counters.sessions.analysed += 1;
            self.look(side, out);
        }
    }

    /// Hands on the text that has just ended, if it was chosen.
    fn look(&mut self, side: Side, out: &mut Out) {
        let sampler = self.half(side).sampler.as_mut();
        let Some((content, whole)) = sampler.and_then(|s| s.end()) else {
            return;
        };
        let text = Text {
            from_client: side == self.client,
            content: &content,
            whole,
        };
        if let Some(look) = &mut out.look {
            look(self.log.record(), &text);
        }
    }

    /// The message under way will not be seen whole.
    fn cut(&mut self, side: Side, out: &mut Out) {
        let message = std::mem::replace(&mut self.half(side).message, Message::None);
        if matches!(message, Message::Counted { .. }) {
            self.log.counts.lossy = true;
            out.counters.sessions.pending -= 1;
            out.counters.sessions.cut += 1;
        }
    }

    fn lost(&mut self, side: Side, out: &mut Out) {
        self.cut(side, out);
        self.log.counts.lossy = true;
        let half = self.half(side);
        half.missed();
        (half.place, half.whole) = (Place::Lost, false);
    }

    /// What stands here is no frame.
    fn broken(&mut self, side: Side, out: &mut Out) {
        out.counters.sessions.messages += 1;
        out.counters.sessions.malformed += 1;
        self.lost(side, out);
    }
}
