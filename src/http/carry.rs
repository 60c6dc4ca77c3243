//! What a reader has left of one direction, where the flow table does not keep it: of bytes that
//! came out of TLS, or out of a stream of HTTP/2.

use crate::flow::Chunk;

#[derive(Debug, Default)]
pub(super) struct Carry {
    bytes: Vec<u8>,
    boundary: bool,
}

impl Carry {
    /// As the flow table does it: what `read` does not use is offered again with more behind it.
    pub(super) fn feed(&mut self, chunk: Chunk<'_>, read: impl FnOnce(Chunk<'_>) -> usize) {
        if self.bytes.is_empty() {
            let used = read(chunk);
            if used < chunk.data.len() {
                self.bytes.extend_from_slice(&chunk.data[used..]);
                self.boundary = chunk.boundary && used == 0;
            }
            return;
        }
        let offset = chunk.offset - self.bytes.len() as u64;
        self.bytes.extend_from_slice(chunk.data);
        let used = read(Chunk {
            offset,
            boundary: self.boundary,
            data: &self.bytes,
            ..chunk
        });
        self.boundary &= used == 0;
        if used < self.bytes.len() {
            self.bytes.drain(..used);
        } else {
            self.bytes = Vec::new();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}
