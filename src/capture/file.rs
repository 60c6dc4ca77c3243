//! Savefiles: pcap by libpcap, pcapng by our own reader, plain, gzipped or zstd-compressed, by name
//! or on standard input.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pcap::{Capture, Offline, Precision};

use super::pcapng::{self, Next, Pcapng};
use super::{Drops, Frame, LinkType, Polled, Secrets, Source, SourceError, frame, raw_or};

/// Packets a poll hands out at most, so that the caller can drain what they led to.
const BATCH: usize = 256;

/// Damage told one by one; a file of garbage could go on for ever.
const MAX_ERRORS: usize = 16;

/// Why unpacking ended early, told by the thread that unpacks.
type Damage = Arc<Mutex<Option<String>>>;

enum Reader {
    Pcap {
        capture: Capture<Offline>,
        link: LinkType,
        /// libpcap reads the file itself: count by packets.
        direct: bool,
        damage: Damage,
    },
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
            return Self::new(name, None, None, Box::new(io::stdin()));
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
        Self::new(name, size.map(|_| path), size, Box::new(file))
    }

    /// A savefile from anything that reads.
    pub fn from_reader(name: &str, input: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Self::new(name.to_owned(), None, None, Box::new(input))
    }

    /// `direct`: a regular file, which libpcap may read itself.
    fn new(
        name: String,
        direct: Option<&Path>,
        size: Option<u64>,
        input: Box<dyn Read + Send>,
    ) -> Result<Self, SourceError> {
        let taken = Arc::new(AtomicU64::new(0));
        let counter = taken.clone();
        let opened = open(
            direct,
            Counted {
                input,
                taken: counter,
            },
        );
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
        match &mut self.reader {
            Reader::Pcap {
                capture,
                link,
                direct,
                damage,
            } => {
                let mut bytes = 0;
                let read = capture.dispatch(Some(BATCH), |packet| {
                    // A pcap record header has 16 bytes.
                    bytes += 16 + packet.data.len() as u64;
                    sink(frame(*link, &packet));
                });
                if *direct {
                    self.taken.fetch_add(bytes, Ordering::Relaxed);
                }
                let told = || damage.lock().unwrap_or_else(PoisonError::into_inner).take();
                match read.map_err(|e| pcap_reason(&e)) {
                    Ok(0) => told().map_or(Ok(Polled::End), Err),
                    Ok(_) => Ok(Polled::Frames),
                    Err(reason) => {
                        self.broken = true;
                        Err(told().unwrap_or(reason))
                    }
                }
            }
            Reader::Pcapng(reader) => {
                let mut packets = 0;
                while packets < BATCH {
                    match reader.next(sink)? {
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
            Reader::Pcap { .. } => self.name.clone(),
        }
    }

    fn secrets(&mut self) -> Vec<Secrets> {
        std::mem::take(&mut self.secrets)
    }

    fn drops(&mut self) -> Drops {
        match &self.reader {
            Reader::Pcapng(reader) => reader.drops(),
            Reader::Pcap { .. } => Drops::default(),
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

fn pcap_reason(e: &pcap::Error) -> String {
    match e {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Chooses the reader by the first bytes, packed and unpacked.
fn open(direct: Option<&Path>, mut input: Counted) -> Result<Reader, String> {
    let magic = peek(&mut input).map_err(|e| e.to_string())?;
    let packed = magic.starts_with(&GZIP) || magic.starts_with(&ZSTD);
    if let Some(path) = direct.filter(|_| !packed && magic != pcapng::MAGIC) {
        let capture = Capture::from_file_with_precision(path, Precision::Nano)
            .map_err(|e| pcap_reason(&e))?;
        input.taken.store(0, Ordering::Relaxed);
        return Ok(libpcap(capture, true, Damage::default()));
    }
    let mut plain = unpack(magic, input).map_err(|e| e.to_string())?;
    let magic = peek(&mut plain).map_err(|e| e.to_string())?;
    let is_pcapng = magic == pcapng::MAGIC;
    let plain = Box::new(io::Cursor::new(magic).chain(plain));
    if is_pcapng {
        Ok(Reader::Pcapng(Box::new(Pcapng::new(plain))))
    } else {
        pumped(plain)
    }
}

fn libpcap(capture: Capture<Offline>, direct: bool, damage: Damage) -> Reader {
    let link = raw_or(capture.get_datalink().0);
    Reader::Pcap {
        capture,
        link,
        direct,
        damage,
    }
}

fn peek(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut magic = Vec::new();
    input.by_ref().take(4).read_to_end(&mut magic)?;
    Ok(magic)
}

/// libpcap reads from a pipe what a thread writes into it. The thread ends with its input, or when
/// the reading end is closed.
fn pumped(mut input: impl Read + Send + 'static) -> Result<Reader, String> {
    let (reader, mut writer) = io::pipe().map_err(|e| e.to_string())?;
    let damage = Damage::default();
    let told = damage.clone();
    std::thread::spawn(move || {
        if let Err(e) = io::copy(&mut input, &mut writer)
            && e.kind() != io::ErrorKind::BrokenPipe
        {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string());
        }
    });
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    let capture =
        Capture::from_file_with_precision(path, Precision::Nano).map_err(|e| pcap_reason(&e))?;
    Ok(libpcap(capture, false, damage))
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
