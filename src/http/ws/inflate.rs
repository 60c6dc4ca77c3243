//! permessage-deflate undone (RFC 7692, section 7.2.2): a message is raw DEFLATE whose last sync
//! flush was cut off.

use flate2::{Decompress, FlushDecompress, Status};

/// What the sender cut off: the end of an empty stored block.
pub(super) const SYNC_FLUSH: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// What messages were inflated to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    pub(super) content: Vec<u8>,
    /// Nothing stands behind `content`.
    pub(super) all: bool,
}

/// Content of whole messages, one behind the other, each with its `SYNC_FLUSH`; no more than `cap`
/// bytes of it. `None`: what is there is no DEFLATE.
pub(super) fn inflate(mut packed: &[u8], cap: usize) -> Option<Inflated> {
    let mut decoder = Decompress::new(false);
    let mut content = Vec::new();
    let mut room = [0; 4 << 10];
    loop {
        let (took, made) = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(packed, &mut room, FlushDecompress::Sync);
        let status = status.ok()?;
        packed = &packed[(decoder.total_in() - took) as usize..];
        let made = (decoder.total_out() - made) as usize;
        let wanted = made.min(cap - content.len());
        content.extend_from_slice(&room[..wanted]);
        if wanted < made {
            let all = false;
            return Some(Inflated { content, all });
        }
        match status {
            // Section 7.2.3.6: a message may end with a final block, and another may follow.
            Status::StreamEnd if !packed.is_empty() => decoder.reset(false),
            _ if packed.is_empty() && made < room.len() => {
                return Some(Inflated { content, all: true });
            }
            Status::StreamEnd => return Some(Inflated { content, all: true }),
            Status::Ok | Status::BufError => {
                if decoder.total_in() == took && made == 0 {
                    return None;
                }
            }
        }
    }
}

/// Takes the mask off (RFC 6455, section 5.3); `offset` is the piece's place in its payload.
pub(super) fn unmask(key: [u8; 4], offset: u64, piece: &mut [u8]) {
    for (i, byte) in (offset % 4..).zip(piece) {
        *byte ^= key[(i % 4) as usize];
    }
}
