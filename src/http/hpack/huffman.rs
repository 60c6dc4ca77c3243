//! The Huffman code of RFC 7541, appendix B, decoded four bits at a time.
//!
//! The code is canonical: the lengths of the code words give the words. From them the compiler
//! builds a machine with one state for each inner node of the code's tree and one step for each
//! nibble; no code word is shorter than five bits, so a step ends one symbol at most.

/// Bits of each symbol's code word; the last one is EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const EOS: u16 = 256;

/// A full binary tree with 257 leaves has this many inner nodes.
const STATES: usize = 256;

/// Marks a child that is a leaf; the rest is its symbol.
const LEAF: u16 = 0x8000;

const TREE: [[u16; 2]; STATES] = tree();
static STEPS: [[Step; 16]; STATES] = steps();
static ENDS: [bool; STATES] = ends();

#[derive(Clone, Copy)]
struct Step {
    next: u8,
    symbol: u8,
    /// Whether there is a symbol: 0 or 1.
    ends: u8,
    /// 1 for the code word of EOS, which no string has (RFC 7541, section 5.2).
    eos: u8,
}

/// Not the code of any string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Appends the decoded string to `out`, which grows by 8/5 of the input at most.
///
/// Where symbols end is as good as random, so there is no branch on it: every step writes, and the
/// place moves on or does not.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Invalid> {
    let start = out.len();
    out.resize(start + coded.len() * 2, 0);
    let (mut state, mut len, mut eos) = (0_u8, 0, 0);
    let room = &mut out[start..];
    for byte in coded {
        for nibble in [byte >> 4, byte & 15] {
            let step = STEPS[usize::from(state)][usize::from(nibble)];
            room[len] = step.symbol;
            len += usize::from(step.ends);
            eos |= step.eos;
            state = step.next;
        }
    }
    out.truncate(start + len);
    if eos == 0 && ENDS[usize::from(state)] {
        Ok(())
    } else {
        Err(Invalid)
    }
}

/// Words in the order of length, then symbol, each one more than the one before.
const fn tree() -> [[u16; 2]; STATES] {
    let mut tree = [[0; 2]; STATES];
    let (mut nodes, mut word, mut length) = (1, 0_u32, 1);
    while length <= 30 {
        word <<= 1;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] == length {
                let (mut node, mut bit) = (0, length - 1);
                while bit > 0 {
                    let child = (word >> bit & 1) as usize;
                    if tree[node][child] == 0 {
                        tree[node][child] = nodes;
                        nodes += 1;
                    }
                    node = tree[node][child] as usize;
                    bit -= 1;
                }
                tree[node][(word & 1) as usize] = LEAF | symbol as u16;
                word += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    assert!(nodes as usize == STATES);
    tree
}

const fn steps() -> [[Step; 16]; STATES] {
    let nothing = Step {
        next: 0,
        symbol: 0,
        ends: 0,
        eos: 0,
    };
    let mut steps = [[nothing; 16]; STATES];
    let mut state = 0;
    while state < STATES {
        let mut nibble = 0;
        while nibble < 16 {
            let (mut node, mut step, mut bit) = (state as u16, nothing, 4);
            while bit > 0 {
                bit -= 1;
                node = TREE[node as usize][nibble >> bit & 1];
                if node == LEAF | EOS {
                    step.eos = 1;
                    node = 0;
                } else if node & LEAF != 0 {
                    step.ends = 1;
                    step.symbol = node as u8;
                    node = 0;
                }
            }
            step.next = node as u8;
            steps[state][nibble] = step;
            nibble += 1;
        }
        state += 1;
    }
    steps
}

/// States in which a string may end: what is left over are at most seven ones, the beginning of
/// EOS (RFC 7541, section 5.2).
const fn ends() -> [bool; STATES] {
    let mut ends = [false; STATES];
    let (mut node, mut padding) = (0, 0);
    while padding <= 7 {
        ends[node] = true;
        node = TREE[node][1] as usize;
        padding += 1;
    }
    ends
}

/// The words, in the low bits.
#[cfg(test)]
static WORDS: std::sync::LazyLock<Vec<u32>> = std::sync::LazyLock::new(|| {
    let mut order: Vec<usize> = (0..LENGTHS.len()).collect();
    order.sort_by_key(|s| (LENGTHS[*s], *s));
    let (mut words, mut next) = (vec![0; LENGTHS.len()], 0_u64);
    for symbol in order {
        words[symbol] = (next >> (32 - LENGTHS[symbol])) as u32;
        next += 1 << (32 - LENGTHS[symbol]);
    }
    words
});

#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u64, 0);
    for byte in text {
        let length = LENGTHS[usize::from(*byte)];
        bits = bits << length | u64::from(WORDS[usize::from(*byte)]);
        held += length;
        while held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    if held > 0 {
        out.push((bits << (8 - held)) as u8 | 0xff >> held);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encode(&all)).unwrap(), all);
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Invalid> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn strings_of_the_rfc() {
        let www = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decoded(&www).unwrap(), b"www.example.com");
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    #[test]
    fn padding_is_short_and_of_ones() {
        // `0` is 00000, padded with three bits.
        assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
        for bad in [
            &[0b0000_0110][..],
            &[0b0000_0000],
            &[0xff],
            &[0b0000_0111, 0xff],
        ] {
            assert_eq!(decoded(bad), Err(Invalid), "{bad:?}");
        }
        // EOS itself, whole.
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(Invalid));
    }
}
