//! Savefiles: pcap and pcapng, plain, gzipped or zstd-compressed, by name or on standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::classic::Classic;
use super::input::Input;
use super::pcapng::{self, Next, Pcapng};
use super::{Drops, Frame, Polled, Secrets, Source, SourceError};

/// Packets a poll hands out at most, so that the caller can drain what they led to.
const BATCH: usize = 256;

/// Damage told one by one; a file of garbage could go on for ever.
const MAX_ERRORS: usize = 16;

enum Reader {
    Classic(Box<Classic>),
    Pcapng(Box<Pcapng>),
}

pub struct FileSource {
    name: String,
    reader: Reader,
    /// Bytes of the file (compressed ones, where it is) taken so far; for progress.
    taken: Arc<AtomicU64>,
    size: Option<u64>,
    errors: usize,
    broken: bool,
    secrets: Vec<Secrets>,
}

impl FileSource {
    /// `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        if name == "-" {
            return Self::new(name, None, Box::new(io::stdin()));
        }
        let file = File::open(path).map_err(|e| SourceError {
            name: name.clone(),
            reason: open_reason(&e),
        })?;
        let size = file
            .metadata()
            .ok()
            .filter(|m| m.is_file())
            .map(|m| m.len());
        Self::new(name, size, Box::new(file))
    }

    /// A savefile from anything that reads.
    pub fn from_reader(name: &str, input: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Self::new(name.to_owned(), None, Box::new(input))
    }

    fn new(
        name: String,
        size: Option<u64>,
        input: Box<dyn Read + Send>,
    ) -> Result<Self, SourceError> {
        let taken = Arc::new(AtomicU64::new(0));
        let counter = taken.clone();
        let opened = open(Counted {
            input,
            taken: counter,
        });
        match opened {
            Ok(reader) => Ok(Self {
                name,
                reader,
                taken,
                size,
                errors: 0,
                broken: false,
                secrets: Vec::new(),
            }),
            Err(reason) => Err(SourceError {
                name,
                reason: format!("no capture that can be read: {reason}"),
            }),
        }
    }

    /// Bytes taken so far, and the file's size where it is known.
    pub fn progress(&self) -> (Arc<AtomicU64>, Option<u64>) {
        (self.taken.clone(), self.size)
    }

    fn read(&mut self, sink: &mut dyn FnMut(Frame<'_>)) -> Result<Polled, String> {
        let mut packets = 0;
        while packets < BATCH {
            let next = match &mut self.reader {
                Reader::Classic(reader) => reader.next(sink)?,
                Reader::Pcapng(reader) => reader.next(sink)?,
            };
            match next {
                Next::Packet => packets += 1,
                Next::Other => {}
                // The caller takes them before it has the packets behind them.
                Next::Secrets(secrets) => {
                    self.secrets.push(secrets);
                    break;
                }
                Next::End if packets > 0 => break,
                Next::End => return Ok(Polled::End),
            }
        }
        Ok(Polled::Frames)
    }
}

impl Source for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn poll(
        &mut self,
        _patience: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        if self.broken {
            return Ok(Polled::End);
        }
        self.read(sink).map_err(|mut reason| {
            self.errors += 1;
            if self.errors >= MAX_ERRORS {
                self.broken = true;
                reason.push_str("; too much damage, the rest is given up");
            }
            SourceError {
                name: self.name.clone(),
                reason,
            }
        })
    }

    fn interface(&self, index: u16) -> String {
        match &self.reader {
            Reader::Pcapng(reader) => match reader.interface(index) {
                Some(name) => format!("{} ({name})", self.name),
                None => format!("{} (interface {index})", self.name),
            },
            Reader::Classic(_) => self.name.clone(),
        }
    }

    fn secrets(&mut self) -> Vec<Secrets> {
        std::mem::take(&mut self.secrets)
    }

    fn drops(&mut self) -> Drops {
        match &self.reader {
            Reader::Pcapng(reader) => reader.drops(),
            Reader::Classic(_) => Drops::default(),
        }
    }
}

fn open_reason(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "no permission to read it".into(),
        _ => e.to_string(),
    }
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Chooses the reader by the first bytes, packed and unpacked.
fn open(mut input: Counted) -> Result<Reader, String> {
    let magic = peek(&mut input).map_err(|e| e.to_string())?;
    let mut plain = unpack(magic, input).map_err(|e| e.to_string())?;
    let magic = peek(&mut plain).map_err(|e| e.to_string())?;
    let is_pcapng = magic == pcapng::MAGIC;
    let whole = Input::new(Box::new(io::Cursor::new(magic).chain(plain)));
    Ok(if is_pcapng {
        Reader::Pcapng(Box::new(Pcapng::new(whole)))
    } else {
        Reader::Classic(Box::new(Classic::new(whole)?))
    })
}

fn peek(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut magic = Vec::new();
    input.by_ref().take(4).read_to_end(&mut magic)?;
    Ok(magic)
}

/// `magic` was read from `input` already.
fn unpack(magic: Vec<u8>, input: Counted) -> io::Result<Box<dyn Read + Send>> {
    let (gzip, zstd) = (magic.starts_with(&GZIP), magic.starts_with(&ZSTD));
    let whole = io::Cursor::new(magic).chain(input);
    if gzip {
        Ok(Box::new(flate2::read::MultiGzDecoder::new(whole)))
    } else if zstd {
        let decoder = ruzstd::decoding::StreamingDecoder::new(whole).map_err(io::Error::other)?;
        Ok(Box::new(decoder))
    } else {
        Ok(Box::new(whole))
    }
}

struct Counted {
    input: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
