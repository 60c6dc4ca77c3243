//! permessage-deflate undone (RFC 7692, section 7.2.2), for whoever looks into messages.
//!
//! A message is raw DEFLATE whose last sync flush was cut off. With context takeover a message refers
//! to those before it, so that one that was missed makes all later ones unreadable: an inflater then
//! says `None` for good, rather than something that was never sent.

use flate2::{Decompress, FlushDecompress, Status};

/// What the sender cut off: the end of an empty stored block.
const SYNC_FLUSH: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Content that one message is inflated to. Of longer ones no more is wanted, and the window behind
/// them is gone. Stops the bomb: DEFLATE makes a megabyte of a kilobyte.
const MAX_EFFORT: usize = 1 << 20;

/// The messages of one direction.
pub struct Inflater {
    decoder: Decompress,
    takeover: bool,
    /// Bytes of content that are wanted of each message.
    cap: usize,
    content: Vec<u8>,
    /// Content of the message under way, kept or not.
    made: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// This message is unreadable, or too much.
    Bad,
    /// All that follow are.
    Lost,
}

impl Inflater {
    /// `takeover`: the sender keeps its window from message to message.
    pub fn new(takeover: bool, cap: usize) -> Self {
        Self {
            decoder: Decompress::new(false),
            takeover,
            cap,
            content: Vec::new(),
            made: 0,
            state: State::Good,
        }
    }

    /// A piece of a compressed message, its mask taken off.
    pub fn feed(&mut self, mut piece: &[u8]) {
        let mut room = [0; 4 << 10];
        while self.state == State::Good && !piece.is_empty() {
            let (before, made) = (self.decoder.total_in(), self.decoder.total_out());
            let status = self
                .decoder
                .decompress(piece, &mut room, FlushDecompress::Sync);
            let used = (self.decoder.total_in() - before) as usize;
            let made = (self.decoder.total_out() - made) as usize;
            piece = &piece[used..];
            self.made += made;
            let wanted = made.min(self.cap.saturating_sub(self.content.len()));
            self.content.extend_from_slice(&room[..wanted]);
            let stuck = used == 0 && made == 0;
            match status {
                Ok(Status::Ok | Status::BufError) if !stuck && self.made <= MAX_EFFORT => {}
                // Section 7.2.3.6: a message may end with a final block, and another may follow.
                Ok(Status::StreamEnd) if self.made <= MAX_EFFORT => self.decoder.reset(false),
                _ => self.state = State::Bad,
            }
        }
        self.drain();
    }

    /// The message is over: the beginning of its content, where it can be told.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.feed(&SYNC_FLUSH);
        let content = std::mem::take(&mut self.content);
        let good = self.state == State::Good;
        self.made = 0;
        if good && !self.takeover {
            self.decoder.reset(false);
        } else if !good {
            self.missed();
        }
        good.then_some(content)
    }

    /// A compressed message went by that was not fed, or not whole.
    pub fn missed(&mut self) {
        (self.content, self.made) = (Vec::new(), 0);
        self.decoder.reset(false);
        self.state = if self.takeover {
            State::Lost
        } else {
            State::Good
        };
    }

    /// Whether a message to come can be read.
    pub fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Output that waits for room although all input was taken.
    fn drain(&mut self) {
        let mut room = [0; 4 << 10];
        while self.state == State::Good {
            let made = self.decoder.total_out();
            let status = self
                .decoder
                .decompress(&[], &mut room, FlushDecompress::Sync);
            let made = (self.decoder.total_out() - made) as usize;
            self.made += made;
            let wanted = made.min(self.cap.saturating_sub(self.content.len()));
            self.content.extend_from_slice(&room[..wanted]);
            match status {
                _ if self.made > MAX_EFFORT => self.state = State::Bad,
                Ok(Status::Ok | Status::BufError) if made == 0 => return,
                Ok(Status::StreamEnd) => return self.decoder.reset(false),
                Ok(_) => {}
                Err(_) => self.state = State::Bad,
            }
        }
    }
}

/// Takes the mask off (RFC 6455, section 5.3); `offset` is the piece's place in its payload.
pub fn unmask(key: [u8; 4], offset: u64, piece: &mut [u8]) {
    for (i, byte) in (offset % 4..).zip(piece) {
        *byte ^= key[(i % 4) as usize];
    }
}
