//! The static table, and a dynamic table that may have been joined late.
//!
//! Indices count from the newest entry back, so what was inserted since we joined has its right
//! place whatever is behind it. Three things can be unknown: whether older entries are there
//! (`older`), how long a text is that names an unknown entry, and the size in force. Sizes are
//! therefore lower bounds: an entry goes only when it has gone from the encoder's table for
//! certain. One that may have gone stays, since an encoder never refers to what is not there; an
//! index that reaches it proves it.

use std::collections::VecDeque;

/// The size in force before anyone says otherwise (RFC 9113, section 6.5.2).
pub(super) const DEFAULT_SIZE: u32 = 4_096;

/// Text and overhead of the entries that are kept, whatever size the peers agree on: a hostile
/// pair may announce 4 GiB. Older entries become unknown. Browsers ask for as much as this.
pub(super) const MAX_TABLE: usize = 64 << 10;

/// What an entry counts beside its text (RFC 7541, section 4.1).
pub(super) const OVERHEAD: usize = 32;

/// A text of an entry or of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    Static(&'static [u8]),
    Own(&'a [u8]),
    /// Not known, but no shorter than this.
    Unknown(usize),
}

impl<'a> Text<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Static(text) => text.len(),
            Self::Own(text) => text.len(),
            Self::Unknown(least) => least,
        }
    }

    pub(super) fn known(self) -> Option<&'a [u8]> {
        match self {
            Self::Static(text) => Some(text),
            Self::Own(text) => Some(text),
            Self::Unknown(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its text begins, counted from the first byte that was ever kept.
    at: u64,
    /// Lengths of name and value as kept; none is unknown.
    name: Option<u32>,
    value: Option<u32>,
    /// No more than its size in the encoder's table.
    size: usize,
}

/// Invariants: `size` is the sum over `entries`; the live text is the end of `bytes`, in the order
/// of insertion; with a known `limit`, `size <= limit`.
#[derive(Debug)]
pub(super) struct Table {
    /// Newest first.
    entries: VecDeque<Entry>,
    bytes: Vec<u8>,
    /// What came before `bytes[0]`.
    base: u64,
    size: usize,
    /// Size in force, where it is known.
    limit: Option<usize>,
    /// There may be entries behind the last one.
    older: bool,
}

impl Table {
    /// Seen from its beginning: empty.
    pub(super) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: Vec::new(),
            base: 0,
            size: 0,
            limit: Some(DEFAULT_SIZE as usize),
            older: false,
        }
    }

    /// Nothing is known of it any more.
    pub(super) fn lose(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        (self.size, self.limit, self.older) = (0, None, true);
    }

    /// Whether every index resolves, or is none.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        !self.older && self.entries.iter().all(|e| e.name.and(e.value).is_some())
    }

    /// The entry at `index`, 0 the newest. `None`: there is none.
    pub(super) fn get(&self, index: usize) -> Option<(Text<'_>, Text<'_>)> {
        let Some(entry) = self.entries.get(index) else {
            return self.older.then_some((Text::Unknown(0), Text::Unknown(0)));
        };
        let start = (entry.at - self.base) as usize;
        let middle = start + entry.name.unwrap_or(0) as usize;
        let text = |from: usize, len: Option<u32>| match len {
            Some(len) => Text::Own(&self.bytes[from..from + len as usize]),
            None => Text::Unknown(0),
        };
        Some((text(start, entry.name), text(middle, entry.value)))
    }

    /// RFC 7541, section 4.4. One larger than the table empties it.
    pub(super) fn insert(&mut self, name: Text<'_>, value: Text<'_>) {
        let size = name.len() + value.len() + OVERHEAD;
        if let Some(limit) = self.limit {
            self.evict(limit.saturating_sub(size));
            if size > limit {
                self.older = false;
                return;
            }
        }
        let at = self.base + self.bytes.len() as u64;
        let mut keep = |text: Text<'_>| {
            text.known().map(|text| {
                self.bytes.extend_from_slice(text);
                text.len() as u32
            })
        };
        let entry = Entry {
            at,
            name: keep(name),
            value: keep(value),
            size,
        };
        self.size += size;
        self.entries.push_front(entry);
        self.settle();
    }

    /// RFC 7541, section 4.3.
    pub(super) fn resize(&mut self, limit: u32) {
        self.limit = Some(limit as usize);
        self.evict(limit as usize);
        self.settle();
    }

    /// Drops the oldest entries until those left need `room` at most. They are gone from the
    /// encoder's table for certain, and with them whatever was older.
    fn evict(&mut self, room: usize) {
        while self.size > room {
            self.drop_oldest();
            self.older = false;
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_back() {
            self.size -= oldest.size;
        }
    }

    /// Keeps to the memory bound, and notices where nothing older can be left.
    fn settle(&mut self) {
        while self.size > MAX_TABLE && self.entries.len() > 1 {
            self.drop_oldest();
            self.older = true;
        }
        if self.limit.is_some_and(|limit| self.size + OVERHEAD > limit) {
            self.older = false;
        }
        let first = self.entries.back().map(|e| (e.at - self.base) as usize);
        let dead = first.unwrap_or(self.bytes.len());
        // No more is moved than was dropped since the last time.
        if first.is_none() || (dead > 1_024 && dead * 2 > self.bytes.len()) {
            self.bytes.drain(..dead);
            self.base += dead as u64;
        }
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes that it takes.
    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + self.entries.len() * OVERHEAD
    }
}

/// RFC 7541, appendix A. The first is index 1.
pub(super) const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];
