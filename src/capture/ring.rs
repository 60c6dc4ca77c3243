//! The last packets, in memory of a fixed size: what a flight recorder is to an aircraft.
//!
//! A frame is copied behind the one before it; where it does not fit, it goes to the beginning, and
//! the oldest are written over. Nothing is allocated but the buffer, once. Frames have serial
//! numbers, so that a reader who comes back knows what it has missed.

use super::{Frame, LinkType};
use crate::time::Timestamp;

/// Time stamp, link type, length on the wire, length here, interface.
const HEADER: usize = 8 + 4 + 4 + 4 + 2;

#[derive(Debug)]
pub struct Ring {
    buffer: Box<[u8]>,
    snap_length: usize,
    /// Where the oldest frame begins, and where the next one goes.
    start: usize,
    end: usize,
    /// Behind the last frame before those that begin anew at 0; the buffer's end where none do.
    lap: usize,
    /// Serial numbers of the oldest frame and of the next one.
    oldest: u64,
    next: u64,
}

/// A place between two frames, for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    serial: u64,
    at: usize,
}

impl Ring {
    /// Holds so many bytes, frames with their heads; of each frame so many at most.
    pub fn new(bytes: usize, snap_length: usize) -> Self {
        Self {
            buffer: vec![0; bytes].into(),
            snap_length,
            start: 0,
            end: 0,
            lap: bytes,
            oldest: 0,
            next: 0,
        }
    }

    /// Keeps a frame, cut to the snap length; one that is larger than the whole ring is left out.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let data = &frame.data[..frame.data.len().min(self.snap_length)];
        let need = HEADER + data.len();
        if need > self.buffer.len() {
            return;
        }
        if self.end + need > self.buffer.len() {
            // What lies between here and the buffer's end is older than what lies before.
            while !self.is_empty() && self.start >= self.end {
                self.drop_oldest();
            }
            (self.lap, self.end) = (self.end, 0);
            if self.is_empty() {
                (self.start, self.lap) = (0, self.buffer.len());
            }
        }
        while !self.is_empty() && self.start >= self.end && self.start < self.end + need {
            self.drop_oldest();
        }
        let (head, body) = self.buffer[self.end..self.end + need].split_at_mut(HEADER);
        head[..8].copy_from_slice(&frame.ts.nanos().to_ne_bytes());
        head[8..12].copy_from_slice(&frame.link.0.to_ne_bytes());
        head[12..16].copy_from_slice(&frame.wire_len.to_ne_bytes());
        // A snap length fits in 32 bits.
        head[16..20].copy_from_slice(&(data.len() as u32).to_ne_bytes());
        head[20..].copy_from_slice(&frame.interface.to_ne_bytes());
        body.copy_from_slice(data);
        self.end += need;
        self.next += 1;
    }

    fn is_empty(&self) -> bool {
        self.oldest == self.next
    }

    fn drop_oldest(&mut self) {
        self.start = self.behind(self.start);
        self.oldest += 1;
        if self.start == 0 {
            self.lap = self.buffer.len();
        }
    }

    /// Where the frame behind the one at `at` begins.
    fn behind(&self, at: usize) -> usize {
        let next = at + HEADER + self.frame(at).data.len();
        // The newest frame of a lap may end where the buffer does.
        if next >= self.lap { 0 } else { next }
    }

    fn frame(&self, at: usize) -> Frame<'_> {
        let head = &self.buffer[at..at + HEADER];
        let word = |from: usize| [head[from], head[from + 1], head[from + 2], head[from + 3]];
        let mut nanos = [0; 8];
        nanos.copy_from_slice(&head[..8]);
        let length = u32::from_ne_bytes(word(16)) as usize;
        Frame {
            ts: Timestamp::from_nanos(i64::from_ne_bytes(nanos)),
            link: LinkType(i32::from_ne_bytes(word(8))),
            data: &self.buffer[at + HEADER..at + HEADER + length],
            wire_len: u32::from_ne_bytes(word(12)),
            interface: u16::from_ne_bytes([head[20], head[21]]),
        }
    }

    /// In front of the oldest frame.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            serial: self.oldest,
            at: self.start,
        }
    }

    /// Serial numbers of the frames that are here.
    pub fn serials(&self) -> std::ops::Range<u64> {
        self.oldest..self.next
    }

    /// The frame behind the cursor, which moves on; `None` at the end. Where it was written over,
    /// reading goes on with the oldest there is.
    pub fn read(&self, cursor: &mut Cursor) -> Option<(u64, Frame<'_>)> {
        if cursor.serial <= self.oldest {
            *cursor = self.cursor();
        }
        if cursor.serial >= self.next {
            return None;
        }
        // The newest may have begun a lap since the cursor came to its place.
        let at = if cursor.at >= self.lap { 0 } else { cursor.at };
        let (serial, frame) = (cursor.serial, self.frame(at));
        *cursor = Cursor {
            serial: serial + 1,
            at: at + HEADER + frame.data.len(),
        };
        Some((serial, frame))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn frame(n: i64, data: &[u8]) -> Frame<'_> {
        Frame {
            ts: Timestamp::from_nanos(n),
            link: LinkType::ETHERNET,
            data,
            wire_len: data.len() as u32 + 4,
            interface: n as u16 % 3,
        }
    }

    fn all(ring: &Ring) -> Vec<(u64, i64, Vec<u8>)> {
        let mut cursor = ring.cursor();
        std::iter::from_fn(|| {
            let (serial, f) = ring.read(&mut cursor)?;
            assert!(f.wire_len as usize >= f.data.len() + 4);
            assert_eq!(f.interface, f.ts.nanos() as u16 % 3);
            Some((serial, f.ts.nanos(), f.data.to_vec()))
        })
        .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// It holds the last frames, whole and in order, in its bytes and no more; and as many of
        /// them as fit, but for the room that one frame may leave at each of two ends.
        #[test]
        fn it_holds_the_last_frames_that_fit(
            bytes in HEADER..900,
            lengths in prop::collection::vec(0_usize..300, 1..120),
            looks in 1_usize..10,
        ) {
            let mut ring = Ring::new(bytes, 256);
            let mut pushed = VecDeque::new();
            let (mut reader, mut read) = (ring.cursor(), Vec::new());
            for (n, length) in lengths.iter().enumerate() {
                let data = vec![n as u8; *length];
                ring.push(&frame(n as i64, &data));
                let kept = (*length).min(256);
                if HEADER + kept <= bytes {
                    pushed.push_back((n as i64, vec![n as u8; kept]));
                }
                let held = all(&ring);
                let size: usize = held.iter().map(|(.., d)| HEADER + d.len()).sum();
                prop_assert!(size <= bytes && ring.buffer.len() == bytes);
                let last: Vec<_> = pushed.iter().skip(pushed.len() - held.len()).cloned().collect();
                let seen: Vec<_> = held.iter().map(|(_, n, d)| (*n, d.clone())).collect();
                prop_assert_eq!(&seen, &last);
                if held.len() < pushed.len() {
                    let most = pushed.iter().map(|(_, d)| HEADER + d.len()).max().unwrap_or(0);
                    prop_assert!(size + 2 * most >= bytes, "{} of {}", size, bytes);
                }
                // Somebody who comes back now and then misses what was written over, and no more.
                if n % looks == 0 {
                    while let Some((serial, f)) = ring.read(&mut reader) {
                        read.push((serial, f.ts.nanos()));
                    }
                }
            }
            while let Some((serial, f)) = ring.read(&mut reader) {
                read.push((serial, f.ts.nanos()));
            }
            prop_assert!(read.windows(2).all(|w| w[0].0 < w[1].0));
            for (serial, n) in &read {
                prop_assert_eq!(*n, pushed[*serial as usize].0);
            }
            let held = all(&ring);
            prop_assert!(held.iter().all(|(serial, n, _)| read.contains(&(*serial, *n))));
        }
    }
}
