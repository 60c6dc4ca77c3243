//! Savefiles: pcap and pcapng by libpcap, plain, gzipped or zstd-compressed, by name or on
//! standard input.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pcap::{Capture, Offline, Precision};

use super::{Frame, LinkType, Polled, Source, SourceError, frame, link_type};

/// Packets a poll hands out at most, so that the caller can drain what they led to.
const BATCH: usize = 256;

pub struct FileSource {
    name: String,
    capture: Capture<Offline>,
    link: LinkType,
    /// Bytes of the file (compressed ones, where it is) taken so far; for progress.
    taken: Arc<AtomicU64>,
    size: Option<u64>,
    /// libpcap reads the file itself: count by packets.
    direct: bool,
    broken: bool,
}

impl FileSource {
    /// `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let fail = |reason: String| SourceError {
            name: name.clone(),
            reason,
        };
        let taken = Arc::new(AtomicU64::new(0));
        let (opened, size, direct) = if name == "-" {
            (pumped(io::stdin(), taken.clone()), None, false)
        } else {
            let mut file = File::open(path).map_err(|e| fail(open_reason(&e)))?;
            let size = file
                .metadata()
                .ok()
                .filter(|m| m.is_file())
                .map(|m| m.len());
            let packed = size.is_some() && is_packed(&mut file).map_err(|e| fail(e.to_string()))?;
            // Only a regular file can be opened a second time by libpcap.
            let direct = size.is_some() && !packed;
            let opened = if direct {
                Capture::from_file_with_precision(path, Precision::Nano)
                    .map_err(|e| pcap_reason(&e))
            } else {
                pumped(file, taken.clone())
            };
            (opened, size, direct)
        };
        let capture =
            opened.map_err(|reason| fail(format!("no capture that can be read: {reason}")))?;
        let link = link_type(capture.get_datalink());
        Ok(Self {
            name,
            capture,
            link,
            taken,
            size,
            direct,
            broken: false,
        })
    }

    /// Bytes taken so far, and the file's size where it is known.
    pub fn progress(&self) -> (Arc<AtomicU64>, Option<u64>) {
        (self.taken.clone(), self.size)
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
        let (link, mut bytes) = (self.link, 0);
        let read = self.capture.dispatch(Some(BATCH), |packet| {
            // A pcap record header has 16 bytes.
            bytes += 16 + packet.data.len() as u64;
            sink(frame(link, &packet));
        });
        if self.direct {
            self.taken.fetch_add(bytes, Ordering::Relaxed);
        }
        match read {
            Ok(0) => Ok(Polled::End),
            Ok(_) => Ok(Polled::Frames),
            Err(e) => {
                self.broken = true;
                Err(SourceError {
                    name: self.name.clone(),
                    reason: pcap_reason(&e),
                })
            }
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

fn is_packed(file: &mut File) -> io::Result<bool> {
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(magic.starts_with(&GZIP) || magic.starts_with(&ZSTD))
}

/// libpcap reads from a pipe what a thread unpacks into it. The thread ends with its input, or
/// when the reading end is closed.
fn pumped(
    input: impl Read + Send + 'static,
    taken: Arc<AtomicU64>,
) -> Result<Capture<Offline>, String> {
    let (reader, mut writer) = io::pipe().map_err(|e| e.to_string())?;
    let counted = Counted { input, taken };
    std::thread::spawn(move || {
        let unpacked = unpack(counted);
        // A closed pipe means that nobody wants more; a broken archive shows as a short capture.
        let _ = unpacked.and_then(|mut from| io::copy(&mut from, &mut writer));
    });
    let path = format!("/dev/fd/{}", reader.as_raw_fd());
    Capture::from_file_with_precision(path, Precision::Nano).map_err(|e| pcap_reason(&e))
}

fn unpack(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read>> {
    let mut magic = Vec::new();
    input.by_ref().take(4).read_to_end(&mut magic)?;
    let whole = io::Cursor::new(magic.clone()).chain(input);
    if magic.starts_with(&GZIP) {
        Ok(Box::new(flate2::read::MultiGzDecoder::new(whole)))
    } else if magic.starts_with(&ZSTD) {
        let decoder = ruzstd::decoding::StreamingDecoder::new(whole).map_err(io::Error::other)?;
        Ok(Box::new(decoder))
    } else {
        Ok(Box::new(whole))
    }
}

struct Counted<R> {
    input: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.taken.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
