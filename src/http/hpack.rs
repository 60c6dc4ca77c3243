//! HPACK (RFC 7541) for a listener: a decoder that may join late.
//!
//! An endpoint sees a connection from its first byte and gives it up at the first error. A listener
//! begins where its capture begins and goes on behind a hole. So a name or a value may be unknown
//! here: one that refers to what was inserted before we joined. Everything inserted since resolves,
//! the table stays in step with placeholders, and in time nothing older is left. What is shown is
//! what the peers meant, or nothing. Blocks of one direction must be fed in wire order.

pub use fuzz::{Fields, fuzz_hpack};
use tables::{DEFAULT_SIZE, OVERHEAD, STATIC, Table, Text};

mod fuzz;
mod huffman;
mod tables;

#[cfg(test)]
pub(super) mod encoder;
#[cfg(test)]
mod tests;

/// A longer name is unknown. Stops blocks of two-byte fields that each insert a copy of one huge
/// name.
const MAX_NAME: usize = 1 << 10;

/// A longer value is unknown: nothing that we look for is as long.
const MAX_VALUE: usize = 16 << 10;

/// Names and values shown of one block, counted as RFC 9113, section 6.5.2, counts a list. Stops
/// the header bomb: a block of one-byte references to one large entry.
const MAX_LIST: usize = super::MAX_HEAD;

/// A name with its value; what is not known is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
}

/// Why a block is none. The decoder goes on with the next one, as one that joined there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    Huffman,
    /// No such entry.
    Index,
    Integer,
    /// A size update behind a field, or past what the other side allows.
    Resize,
    Truncated,
}

/// The fields of one block. Kept and used again, so that a block costs no allocation.
#[derive(Debug, Default)]
pub(super) struct List {
    text: Vec<u8>,
    fields: Vec<(Span, Span)>,
    /// What `MAX_LIST` still has room for.
    left: usize,
    /// Some fields did not fit.
    pub(super) cut: bool,
}

#[derive(Clone, Copy, Debug)]
enum Span {
    Static(&'static [u8]),
    /// From, to, in the list's text.
    Own(usize, usize),
    Unknown(usize),
}

/// The decoder of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
    /// The largest size that the receiver has allowed; the sender may use less.
    allowed: u32,
}

impl Decoder {
    /// For a connection that is seen from its first byte.
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            allowed: DEFAULT_SIZE,
        }
    }

    /// For one that is not.
    pub(super) fn joined_late() -> Self {
        let mut decoder = Self::new();
        decoder.lose();
        decoder
    }

    /// A block was missed, or could not be read: as if joined here.
    pub(super) fn lose(&mut self) {
        self.table.lose();
        self.allowed = u32::MAX;
    }

    /// The receiver sent SETTINGS_HEADER_TABLE_SIZE. The size in force is what the sender says in
    /// its next block (RFC 7541, section 4.2); until it has seen a lower bound, it keeps to the
    /// older one.
    pub(super) fn allow(&mut self, size: u32) {
        self.allowed = self.allowed.max(size);
    }

    /// Bytes that its table takes.
    pub(super) fn memory(&self) -> usize {
        self.table.memory()
    }

    /// Whether nothing that a block refers to can be unknown.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        self.table.is_whole()
    }

    /// Reads one whole block. A field that neither enters the table nor is `wanted`, by its name,
    /// is passed over: undoing the Huffman code is most of the work.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        wanted: impl Fn(&[u8]) -> bool,
        list: &mut List,
    ) -> Result<(), Error> {
        list.clear();
        let read = self.read(block, wanted, list);
        if read.is_err() {
            self.lose();
        }
        read
    }

    /// RFC 7541, section 6.
    fn read(
        &mut self,
        block: &[u8],
        wanted: impl Fn(&[u8]) -> bool,
        list: &mut List,
    ) -> Result<(), Error> {
        let mut input = Input(block);
        let mut opening = true;
        while let Some(&first) = input.0.first() {
            match first {
                0x80.. => self.indexed(&mut input, list)?,
                0x40.. => self.literal(&mut input, 6, |_| true, list)?,
                0x20.. => {
                    let size = input.integer(5)?;
                    if !opening || size > self.allowed {
                        return Err(Error::Resize);
                    }
                    self.table.resize(size);
                    continue;
                }
                _ => self.literal(&mut input, 4, &wanted, list)?,
            }
            opening = false;
        }
        Ok(())
    }

    /// RFC 7541, section 6.1.
    fn indexed(&self, input: &mut Input<'_>, list: &mut List) -> Result<(), Error> {
        let index = input.integer(7)?;
        let (name, value) = self.entry(index)?;
        if list.afford(name.len() + value.len()) {
            let field = (list.keep(name), list.keep(value));
            list.fields.push(field);
        }
        Ok(())
    }

    /// RFC 7541, section 6.2. A prefix of six bits is that of one that enters the table.
    fn literal(
        &mut self,
        input: &mut Input<'_>,
        prefix: u32,
        wanted: impl Fn(&[u8]) -> bool,
        list: &mut List,
    ) -> Result<(), Error> {
        let start = list.text.len();
        let name = match input.integer(prefix)? {
            0 => list.string(input, MAX_NAME)?,
            index => list.keep(self.entry(index)?.0),
        };
        if list.text(name).known().is_some_and(|name| !wanted(name)) {
            list.text.truncate(start);
            return input.string().map(|_| ());
        }
        let value = list.string(input, MAX_VALUE)?;
        let (known_name, known_value) = (list.text(name), list.text(value));
        let len = known_name.len() + known_value.len();
        if prefix == 6 {
            self.table.insert(known_name, known_value);
        }
        if list.afford(len) {
            list.fields.push((name, value));
        } else {
            list.text.truncate(start);
        }
        Ok(())
    }

    /// One address space for both tables (RFC 7541, section 2.3.3).
    fn entry(&self, index: u32) -> Result<(Text<'_>, Text<'_>), Error> {
        let index = (index as usize).checked_sub(1).ok_or(Error::Index)?;
        match STATIC.get(index) {
            Some((name, value)) => Ok((Text::Static(name), Text::Static(value))),
            None => self.table.get(index - STATIC.len()).ok_or(Error::Index),
        }
    }
}

impl List {
    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|(name, value)| Field {
            name: self.text(*name).known(),
            value: self.text(*value).known(),
        })
    }

    /// Makes one of the fields of that name: a client may send each cookie by itself (RFC 9113,
    /// section 8.2.3).
    pub(super) fn join(&mut self, name: &[u8], separator: &[u8]) {
        let named = |list: &Self, at: usize| list.text(list.fields[at].0).known() == Some(name);
        let mut crumbs = (0..self.fields.len()).filter(|at| named(self, *at));
        let (Some(first), Some(_)) = (crumbs.next(), crumbs.next()) else {
            return;
        };
        let from = self.text.len();
        for at in first..self.fields.len() {
            if !named(self, at) {
                continue;
            }
            if at > first {
                self.text.extend_from_slice(separator);
            }
            match self.fields[at].1 {
                Span::Static(text) => self.text.extend_from_slice(text),
                Span::Own(start, end) => self.text.extend_from_within(start..end),
                // With one of them unknown, so is the whole.
                Span::Unknown(least) => {
                    self.text.truncate(from);
                    self.fields[first].1 = Span::Unknown(least);
                    return;
                }
            }
        }
        self.fields[first].1 = Span::Own(from, self.text.len());
    }

    fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        (self.left, self.cut) = (MAX_LIST, false);
    }

    /// Whether a field of that length is still shown; behind one that is not, none is.
    fn afford(&mut self, len: usize) -> bool {
        let left = self.left.checked_sub(len + OVERHEAD);
        self.left = left.unwrap_or(0);
        self.cut |= left.is_none();
        left.is_some()
    }

    fn text(&self, span: Span) -> Text<'_> {
        match span {
            Span::Static(text) => Text::Static(text),
            Span::Own(from, to) => Text::Own(&self.text[from..to]),
            Span::Unknown(least) => Text::Unknown(least),
        }
    }

    fn keep(&mut self, text: Text<'_>) -> Span {
        match text {
            Text::Static(text) => Span::Static(text),
            Text::Own(text) => {
                let from = self.text.len();
                self.text.extend_from_slice(text);
                Span::Own(from, self.text.len())
            }
            Text::Unknown(least) => Span::Unknown(least),
        }
    }

    /// A string literal (RFC 7541, section 5.2).
    fn string(&mut self, input: &mut Input<'_>, max: usize) -> Result<Span, Error> {
        let (huffman, coded) = input.string()?;
        let from = self.text.len();
        if huffman {
            huffman::decode(coded, &mut self.text).map_err(|_| Error::Huffman)?;
        } else {
            self.text.extend_from_slice(coded);
        }
        let len = self.text.len() - from;
        if len > max {
            self.text.truncate(from);
            return Ok(Span::Unknown(len));
        }
        Ok(Span::Own(from, from + len))
    }
}

/// What is left of a block.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Whether a string literal has the Huffman code, and its bytes.
    fn string(&mut self) -> Result<(bool, &'a [u8]), Error> {
        let huffman = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let len = self.integer(7)?;
        Ok((huffman, self.take(len as usize)?))
    }

    /// An integer with a prefix of `bits` (RFC 7541, section 5.1). No size or index needs more
    /// than 32 bits, nor, however padded, more than five bytes behind the prefix.
    fn integer(&mut self, bits: u32) -> Result<u32, Error> {
        let full = (1 << bits) - 1;
        let prefix = u32::from(self.take(1)?[0]) & full;
        if prefix < full {
            return Ok(prefix);
        }
        let mut value = u64::from(prefix);
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Error::Integer);
            }
        }
        Err(Error::Integer)
    }
}
