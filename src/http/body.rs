//! Message framing (RFC 9112, section 6): where a body ends, and how many bytes it had.

/// How the rest of a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    /// Until the sender closes.
    Close,
}

/// Place inside the chunked coding (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// In the size line: the number so far, and whether it has a digit.
    Size {
        size: u64,
        digits: bool,
    },
    /// Behind the size, up to the line's end.
    Extension {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// The line end behind a chunk.
    DataEnd,
    /// In the trailer section; `empty` while the line at hand has nothing in it.
    Trailer {
        empty: bool,
    },
}

/// What a call to [`Body::feed`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fed {
    /// Bytes of `data` that belong to the message.
    pub(super) used: usize,
    pub(super) state: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
    /// No chunked coding: what follows cannot be told.
    Broken,
}

impl Body {
    pub(super) const CHUNKED: Self = Self::Chunked(Chunked::Size {
        size: 0,
        digits: false,
    });

    /// Takes bytes; `payload` is called with each run of content.
    pub(super) fn feed(&mut self, data: &[u8], mut payload: impl FnMut(&[u8])) -> Fed {
        match self {
            Self::Close => {
                payload(data);
                Fed {
                    used: data.len(),
                    state: Progress::More,
                }
            }
            Self::Length(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                payload(&data[..used]);
                *left -= used as u64;
                Fed {
                    used,
                    state: if *left == 0 {
                        Progress::Done
                    } else {
                        Progress::More
                    },
                }
            }
            Self::Chunked(place) => place.feed(data, payload),
        }
    }

    /// Skips `len` bytes that will never come. Only a known length says where the message goes on.
    pub(super) fn skip(&mut self, len: u64) -> Progress {
        match self {
            Self::Length(left) if *left >= len => {
                *left -= len;
                if *left == 0 {
                    Progress::Done
                } else {
                    Progress::More
                }
            }
            Self::Chunked(Chunked::Data { left }) if *left > len => {
                *left -= len;
                Progress::More
            }
            Self::Close => Progress::More,
            _ => Progress::Broken,
        }
    }
}

impl Chunked {
    fn feed(&mut self, data: &[u8], mut payload: impl FnMut(&[u8])) -> Fed {
        let mut at = 0;
        while at < data.len() {
            if let Self::Data { left } = self {
                let run = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(data.len() - at);
                payload(&data[at..at + run]);
                *left -= run as u64;
                at += run;
                if *left == 0 {
                    *self = Self::DataEnd;
                }
                continue;
            }
            let byte = data[at];
            at += 1;
            match self.step(byte) {
                Progress::More => {}
                state => return Fed { used: at, state },
            }
        }
        Fed {
            used: at,
            state: Progress::More,
        }
    }

    fn step(&mut self, byte: u8) -> Progress {
        match *self {
            Self::Size { size, digits } => match (byte as char).to_digit(16) {
                Some(_) if size >> 60 != 0 => return Progress::Broken,
                Some(digit) => {
                    *self = Self::Size {
                        size: size << 4 | u64::from(digit),
                        digits: true,
                    }
                }
                None if !digits => {
                    return if byte == b' ' {
                        Progress::More
                    } else {
                        Progress::Broken
                    };
                }
                None if byte == b'\n' => self.size_line_over(size),
                None if matches!(byte, b'\r' | b';' | b' ' | b'\t') => {
                    *self = Self::Extension { size }
                }
                None => return Progress::Broken,
            },
            Self::Extension { size } if byte == b'\n' => self.size_line_over(size),
            Self::Extension { .. } => {}
            Self::DataEnd => match byte {
                b'\n' => {
                    *self = Self::Size {
                        size: 0,
                        digits: false,
                    }
                }
                b'\r' => {}
                _ => return Progress::Broken,
            },
            Self::Trailer { empty } => match byte {
                b'\n' if empty => return Progress::Done,
                b'\n' => *self = Self::Trailer { empty: true },
                b'\r' => {}
                _ => *self = Self::Trailer { empty: false },
            },
            Self::Data { .. } => {}
        }
        Progress::More
    }

    fn size_line_over(&mut self, size: u64) {
        *self = if size == 0 {
            Self::Trailer { empty: true }
        } else {
            Self::Data { left: size }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(body: &mut Body, data: &[u8], step: usize) -> (Vec<u8>, usize, Progress) {
        let (mut content, mut used) = (Vec::new(), 0);
        for piece in data.chunks(step) {
            let fed = body.feed(piece, |b| content.extend_from_slice(b));
            used += fed.used;
            if fed.state != Progress::More {
                return (content, used, fed.state);
            }
        }
        (content, used, Progress::More)
    }

    #[test]
    fn chunks_end_where_they_end_at_every_step() {
        let data = b"4;name=value\r\nWiki\r\n6 \r\npedia \r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1";
        let message = data.len() - b"GET / HTTP/1.1".len();
        for step in 1..data.len() {
            let (content, used, state) = run(&mut Body::CHUNKED.clone(), data, step);
            assert_eq!(
                (content.as_slice(), used, state),
                (&b"Wikipedia "[..], message, Progress::Done),
                "{step}"
            );
        }
    }

    #[test]
    fn nonsense_is_broken_and_never_wraps() {
        for bad in [
            &b"x\r\n"[..],
            b"11111111111111111\r\n",
            b"1\r\nab",
            b"-1\r\n",
        ] {
            assert_eq!(run(&mut Body::CHUNKED.clone(), bad, 1).2, Progress::Broken);
        }
        let mut huge = Body::CHUNKED;
        assert_eq!(
            run(&mut huge, b"ffffffffffffffff\r\nabc", 64).2,
            Progress::More
        );
    }

    #[test]
    fn a_hole_is_skipped_only_where_the_length_is_known() {
        let mut body = Body::Length(10);
        assert_eq!(body.skip(4), Progress::More);
        assert_eq!(
            run(&mut body, b"abcdefGET", 9),
            (b"abcdef".to_vec(), 6, Progress::Done)
        );
        assert_eq!(Body::Length(4).clone().skip(4), Progress::Done);
        assert_eq!(Body::Length(3).clone().skip(4), Progress::Broken);
        assert_eq!(Body::CHUNKED.clone().skip(1), Progress::Broken);
        assert_eq!(Body::Close.clone().skip(1), Progress::More);
    }
}
