//! Frames as they come: what is whole is taken, DATA is passed on in pieces, header blocks are put
//! together and decoded where they stand.

use super::frame::{self, Header};
use super::{Assembly, Block, Connection, Head, MAX_BLOCK, Place, malformed};
use crate::flow::Side;
use crate::http::Out;
use crate::http::probe::PREFACE;
use crate::time::Timestamp;

impl Connection {
    /// The preface, or for a server and where it was missed, the first frame.
    pub(super) fn start(&mut self, side: Side, data: &[u8]) -> Option<usize> {
        if data.starts_with(PREFACE) {
            self.client.get_or_insert(side);
            self.half(side).place = Place::Frame;
            return Some(PREFACE.len());
        }
        if PREFACE.starts_with(data) {
            return None;
        }
        self.half(side).place = Place::Frame;
        Some(0)
    }

    /// Reads the frame that begins `data`; `None`: it is not whole, and must be.
    pub(super) fn frame(
        &mut self,
        side: Side,
        ts: Timestamp,
        data: &[u8],
        out: &mut Out,
    ) -> Option<usize> {
        let header = Header::parse(data)?;
        let continues = self.half(side).assembly.as_ref().map(|a| a.stream);
        let in_turn = match header.kind {
            frame::CONTINUATION => continues == Some(header.stream),
            // Nothing may come between (RFC 9113, section 6.10).
            _ => continues.is_none(),
        };
        if !header.lawful() || !in_turn {
            if continues.is_some() {
                malformed(out);
            }
            self.lost(side);
            return Some(data.len());
        }
        let payload = data.get(frame::HEADER..frame::HEADER + header.len);
        match header.kind {
            frame::DATA => return self.data_begins(side, ts, header, data, out),
            frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION
                if header.len <= MAX_BLOCK =>
            {
                let first = self.half(side).first.unwrap_or(ts);
                self.block(side, header, payload?, (first, ts), out);
            }
            frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION => {
                self.oversized(side, header, ts, out);
                return self.pass(side, header);
            }
            frame::SETTINGS if header.len <= MAX_BLOCK => {
                if let Some(size) = frame::header_table_size(payload?) {
                    self.half(side.other()).decoder.allow(size);
                }
            }
            frame::RST_STREAM => {
                payload?;
                self.reset(header.stream, ts, out);
            }
            frame::GOAWAY => {
                let last = frame::number(data.get(frame::HEADER..)?)?;
                self.go_away(side, last, ts, out);
                return self.pass(side, header);
            }
            _ => return self.pass(side, header),
        }
        self.half(side).first = None;
        Some(frame::HEADER + header.len)
    }

    /// Takes a frame's header; its payload goes by.
    fn pass(&mut self, side: Side, header: Header) -> Option<usize> {
        let half = self.half(side);
        half.first = None;
        half.skip(header.len);
        Some(frame::HEADER)
    }

    fn data_begins(
        &mut self,
        side: Side,
        ts: Timestamp,
        header: Header,
        data: &[u8],
        out: &mut Out,
    ) -> Option<usize> {
        let (padding, used) = match header.padded() {
            true => (usize::from(*data.get(frame::HEADER)?), frame::HEADER + 1),
            false => (0, frame::HEADER),
        };
        let content = header.len - (used - frame::HEADER);
        let padding = padding.min(content);
        let half = self.half(side);
        half.first = None;
        half.place = Place::Data {
            stream: header.stream,
            left: content - padding,
            padding,
            end: header.end_stream(),
            first: true,
        };
        if content == padding {
            self.data_over(side, ts, out);
        }
        Some(used)
    }

    /// Feeds the content at hand; returns the bytes used.
    pub(super) fn data(&mut self, side: Side, ts: Timestamp, data: &[u8], out: &mut Out) -> usize {
        let is_client = self.client == Some(side);
        let half = &mut self.halves[side as usize];
        let Place::Data {
            stream,
            left,
            first,
            ..
        } = &mut half.place
        else {
            return 0;
        };
        let used = data.len().min(*left);
        *left -= used;
        let (over, first) = (*left == 0, std::mem::take(first));
        self.streams.with(*stream, |stream| {
            stream.data(is_client, first, ts, &data[..used], out);
        });
        if over {
            self.data_over(side, ts, out);
        }
        used
    }

    pub(super) fn data_over(&mut self, side: Side, ts: Timestamp, out: &mut Out) {
        let half = self.half(side);
        let Place::Data {
            stream,
            padding,
            end,
            ..
        } = half.place
        else {
            return;
        };
        half.skip(padding);
        if end {
            self.end_stream(side, stream, ts, out);
        }
    }

    /// Takes a HEADERS, PUSH_PROMISE or CONTINUATION frame.
    fn block(
        &mut self,
        side: Side,
        header: Header,
        payload: &[u8],
        (first, last): (Timestamp, Timestamp),
        out: &mut Out,
    ) {
        let parts = if header.kind == frame::PUSH_PROMISE {
            header.promise(payload).map(|(id, block)| (Some(id), block))
        } else {
            header.block(payload).map(|block| (None, block))
        };
        let Some((promised, block)) = parts else {
            // Padding longer than its frame.
            malformed(out);
            return self.lost(side);
        };
        if let Some(assembly) = self.half(side).assembly.take() {
            return self.continued(side, header, assembly, block, last, out);
        }
        let begun = Block {
            stream: header.stream,
            promised,
            end_stream: header.kind == frame::HEADERS && header.end_stream(),
            first,
            last,
            block,
        };
        if header.end_headers() {
            self.decode(side, &begun, out);
        } else {
            self.half(side).assembly = Some(Box::new(Assembly::of(&begun)));
        }
    }

    /// A CONTINUATION, which is in its turn.
    fn continued(
        &mut self,
        side: Side,
        header: Header,
        mut assembly: Box<Assembly>,
        piece: &[u8],
        last: Timestamp,
        out: &mut Out,
    ) {
        assembly.over |= assembly.block.len() + piece.len() > MAX_BLOCK;
        if !assembly.over {
            assembly.block.extend_from_slice(piece);
        }
        if !header.end_headers() {
            self.half(side).assembly = Some(assembly);
        } else if assembly.over {
            self.unreadable(side, out);
        } else {
            let whole = Block {
                stream: assembly.stream,
                promised: assembly.promised,
                end_stream: assembly.end_stream,
                first: assembly.first,
                last,
                block: &assembly.block,
            };
            self.decode(side, &whole, out);
        }
    }

    /// A frame of a header block that is too long by itself.
    fn oversized(&mut self, side: Side, header: Header, first: Timestamp, out: &mut Out) {
        if header.end_headers() {
            self.half(side).assembly = None;
            self.unreadable(side, out);
            return;
        }
        let begun = Block {
            stream: header.stream,
            promised: None,
            end_stream: false,
            first,
            last: first,
            block: &[],
        };
        let over = Assembly {
            over: true,
            ..Assembly::of(&begun)
        };
        self.half(side).assembly = Some(Box::new(over));
    }

    /// A block went by unread: what it inserted is unknown, and so is what it was.
    fn unreadable(&mut self, side: Side, out: &mut Out) {
        malformed(out);
        self.half(side).decoder.lose();
        if self.client == Some(side) {
            self.seen_from = None;
        }
    }

    fn decode(&mut self, side: Side, block: &Block<'_>, out: &mut Out) {
        let mut list = std::mem::take(&mut out.list);
        match self
            .half(side)
            .decoder
            .decode(block.block, Head::wants, &mut list)
        {
            Ok(()) => {
                list.join(b"cookie", b"; ");
                self.message(side, block, &Head::of(&list), out);
            }
            Err(_) => self.unreadable(side, out),
        }
        out.list = list;
    }
}
