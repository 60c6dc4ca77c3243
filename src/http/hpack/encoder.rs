//! An HPACK encoder for tests: it does what it is told, right or strange.

use std::collections::VecDeque;

use super::huffman;
use super::tables::{OVERHEAD, STATIC};

/// How a field goes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Form {
    /// By index where the tables have it, else inserted.
    Best,
    /// Inserted, even if it is there.
    Insert,
    /// A literal that leaves the table alone.
    Plain,
}

#[derive(Debug)]
pub(in crate::http) struct Encoder {
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    limit: usize,
    /// Size update to send.
    update: Option<usize>,
    pub(in crate::http) huffman: bool,
}

impl Encoder {
    pub(in crate::http) fn new() -> Self {
        Self {
            table: VecDeque::new(),
            limit: 4_096,
            update: None,
            huffman: true,
        }
    }

    pub(in crate::http) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.update = Some(limit);
        self.evict();
    }

    pub(in crate::http) fn encode(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in fields {
            self.field(Form::Best, name.as_bytes(), value.as_bytes(), &mut out);
        }
        out
    }

    pub(in crate::http) fn field(
        &mut self,
        form: Form,
        name: &[u8],
        value: &[u8],
        out: &mut Vec<u8>,
    ) {
        if let Some(limit) = self.update.take() {
            integer(0x20, 5, limit, out);
        }
        let all = || {
            let own = self.table.iter().map(|(n, v)| (&n[..], &v[..]));
            STATIC.iter().copied().chain(own)
        };
        let whole = all().position(|entry| entry == (name, value));
        if let Some(at) = whole.filter(|_| form == Form::Best) {
            return integer(0x80, 7, at + 1, out);
        }
        let (pattern, prefix) = if form == Form::Plain {
            (0, 4)
        } else {
            (0x40, 6)
        };
        let named = all().position(|(n, _)| n == name).map_or(0, |at| at + 1);
        integer(pattern, prefix, named, out);
        if named == 0 {
            self.string(name, out);
        }
        self.string(value, out);
        if form != Form::Plain {
            self.table.push_front((name.to_vec(), value.to_vec()));
            self.evict();
        }
    }

    fn string(&self, text: &[u8], out: &mut Vec<u8>) {
        if self.huffman {
            let coded = huffman::encode(text);
            integer(0x80, 7, coded.len(), out);
            out.extend(coded);
        } else {
            integer(0, 7, text.len(), out);
            out.extend(text);
        }
    }

    fn evict(&mut self) {
        let size = |t: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
            t.iter().map(|(n, v)| n.len() + v.len() + OVERHEAD).sum()
        };
        while size(&self.table) > self.limit {
            self.table.pop_back();
        }
    }
}

fn integer(pattern: u8, bits: u32, value: usize, out: &mut Vec<u8>) {
    let full = (1 << bits) - 1;
    if value < full {
        return out.push(pattern | value as u8);
    }
    out.push(pattern | full as u8);
    let mut rest = value - full;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
