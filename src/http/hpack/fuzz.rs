//! A fuzz entry: blocks of one direction, read by decoders that know more or less of it.

use super::tables::MAX_TABLE;
use super::{Decoder, Error, List, MAX_LIST, MAX_NAME, MAX_VALUE};

/// Names and values of one block.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

type Shown = Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>;

/// The first byte says at which block a second listener joins; blocks follow, each behind its
/// length in two bytes. `other` is another decoder's reading of the same blocks, asked as long as
/// ours has one; `None`: it is not asked again.
#[doc(hidden)]
pub fn fuzz_hpack(data: &[u8], mut other: impl FnMut(&[u8]) -> Option<Fields>) {
    let Some((&join, mut rest)) = data.split_first() else {
        return;
    };
    let (mut whole, mut late, mut picky) = (Decoder::new(), Decoder::joined_late(), Decoder::new());
    let (mut sound, mut asked) = (true, true);
    let mut list = List::default();
    for n in 0_usize.. {
        let Some((length, behind)) = rest.split_first_chunk::<2>() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let (block, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        if n == 0 {
            a_beginning_says_no_other(block);
        }
        let read = whole.decode(block, |_| true, &mut list);
        let (meant, cut) = (bounded(&whole, &list), list.cut);
        // What is behind an error may mean anything.
        sound &= read.is_ok();
        if n >= usize::from(join) {
            let read = late.decode(block, |_| true, &mut list);
            let shown = bounded(&late, &list);
            if sound {
                assert_eq!(read, Ok(()), "a late joiner refuses what is sound");
                assert!(shown.len() == meant.len() || cut || list.cut);
                agree(&shown, &meant);
            }
        }
        let read = picky.decode(block, odd, &mut list);
        let shown = bounded(&picky, &list);
        if sound {
            assert_eq!(read, Ok(()), "what is passed over is not read");
            let mut all = meant.iter();
            assert!(cut || list.cut || shown.iter().all(|field| all.any(|f| f == field)));
        }
        asked &= sound && !cut;
        if asked {
            match other(block) {
                Some(fields) => same(&meant, &fields),
                None => asked = false,
            }
        }
    }
}

/// Half of all names.
fn odd(name: &[u8]) -> bool {
    name.first().is_some_and(|b| b & 1 == 1)
}

/// The fields of the block that was read last, and whether the bounds hold.
fn bounded(decoder: &Decoder, list: &List) -> Shown {
    // What is dead is moved out of the way once it is half of all.
    assert!(decoder.memory() <= 2 * MAX_TABLE + MAX_NAME + MAX_VALUE);
    assert!(list.text.len() <= MAX_LIST);
    let own = |text: Option<&[u8]>| text.map(<[u8]>::to_vec);
    list.iter().map(|f| (own(f.name), own(f.value))).collect()
}

fn a_beginning_says_no_other(block: &[u8]) {
    let (mut whole, mut part) = (List::default(), List::default());
    let read = Decoder::new().decode(block, |_| true, &mut whole);
    let end = block.last().map_or(0, |b| usize::from(*b) % block.len());
    let mut decoder = Decoder::new();
    let beginning = decoder.decode(&block[..end], |_| true, &mut part);
    if read.is_ok() {
        assert!(matches!(beginning, Ok(()) | Err(Error::Truncated)));
        let (part, whole) = (bounded(&decoder, &part), bounded(&decoder, &whole));
        assert!(beginning.is_err() || whole.starts_with(&part));
    }
}

/// What both know is the same.
fn agree(shown: &Shown, meant: &Shown) {
    for ((name, value), (meant_name, meant_value)) in shown.iter().zip(meant) {
        for (text, meant) in [(name, meant_name), (value, meant_value)] {
            let both = text.as_ref().zip(meant.as_ref());
            assert!(both.is_none_or(|(a, b)| a == b), "{text:?} {meant:?}");
        }
    }
}

/// Everything is known but what is too long.
fn same(shown: &Shown, meant: &Fields) {
    assert_eq!(shown.len(), meant.len());
    for ((name, value), (meant_name, meant_value)) in shown.iter().zip(meant) {
        for (text, meant, most) in [
            (name, meant_name, MAX_NAME),
            (value, meant_value, MAX_VALUE),
        ] {
            match text {
                Some(text) => assert_eq!(text, meant),
                None => assert!(meant.len() > most),
            }
        }
    }
}
