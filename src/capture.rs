//! Packets from interfaces, savefiles, standard input, or a composer: one seam for all of them.
//!
//! A [`Source`] hands out borrowed [`Frame`]s in the order of capture. Each source is polled by a
//! thread of its own, never by tokio.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::time::Timestamp;

/// Link-layer type as in LINKTYPE_ of the pcap registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub i32);

impl LinkType {
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const PPP: Self = Self(9);
    pub const PPP_SERIAL: Self = Self(50);
    pub const PPP_ETHER: Self = Self(51);
    pub const RAW: Self = Self(101);
    pub const IEEE802_11: Self = Self(105);
    pub const LOOP: Self = Self(108);
    pub const LINUX_SLL: Self = Self(113);
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    pub const LINUX_SLL2: Self = Self(276);
}

/// One captured packet; the bytes belong to the source.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub ts: Timestamp,
    pub link: LinkType,
    pub data: &'a [u8],
    /// Length on the wire; more than `data.len()` where the snap length cut it.
    pub wire_len: u32,
    /// Which of the source's interfaces it came from; [`Source::interface`] names it.
    pub interface: u16,
}

/// What a poll found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Frames were handed out.
    Frames,
    /// Nothing came within the time given; the port is quiet.
    Idle,
    /// A file ended, or the source was stopped.
    End,
}

/// Counters of the kernel and the interface; they stand beside the ledger, never in its sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    pub kernel: u64,
    pub interface: u64,
}

/// Text of an NSS key log; wiped when dropped.
pub type Secrets = Zeroizing<Vec<u8>>;

/// Why a source ended early. The part read before it stands.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct SourceError {
    pub name: String,
    pub reason: String,
}

pub trait Source: Send {
    /// File name or interface, for messages.
    fn name(&self) -> &str;

    /// Hands frames to `sink` as they come, a batch at a time; waits `patience` at most. After an
    /// error the next call goes on with what is left, or says `End`.
    fn poll(
        &mut self,
        patience: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError>;

    /// The name of an interface that a frame came from.
    fn interface(&self, _index: u16) -> String {
        self.name().to_owned()
    }

    fn drops(&mut self) -> Drops {
        Drops::default()
    }

    /// Key logs of TLS that the source itself carries, met since the last call. They serve packets
    /// that the next poll hands out.
    fn secrets(&mut self) -> Vec<Secrets> {
        Vec::new()
    }

    /// A live source ticks by wall clock while it is quiet; a file's time is its packets' alone.
    fn live(&self) -> bool {
        false
    }
}

mod classic;
mod file;
mod input;
mod live;
mod merge;
mod pcapng;
mod pcapng_writer;
mod ring;

#[cfg(test)]
mod tests;

pub use file::FileSource;
pub use live::{LiveSettings, LiveSource, addresses, interfaces};
pub use merge::MergedSource;
pub use pcapng_writer::PcapngWriter;
pub use ring::{Cursor, Ring};

/// LINKTYPE_RAW is 101; an old BSD's DLT_RAW, 12 or 14, stands in some files and in memory.
const fn raw_or(number: i32) -> LinkType {
    match number {
        12 | 14 => LinkType::RAW,
        other => LinkType(other),
    }
}
