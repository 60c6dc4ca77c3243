//! A fuzz entry: what stands inside of a client's Initial packets, which are sealed here as clients
//! seal them.

use super::*;

/// A byte of ways, one of the connection id; then a stream of CRYPTO cut into pieces, or datagrams
/// by operations.
#[doc(hidden)]
pub fn fuzz_initial(data: &[u8]) {
    let [how, id, rest @ ..] = data else {
        return;
    };
    let version = if how & 1 == 0 {
        Version::V1
    } else {
        Version::V2
    };
    let id = &[*id; MAX_CONNECTION_ID][..usize::from(how >> 3) % (MAX_CONNECTION_ID + 1)];
    if how & 2 == 0 {
        datagrams(version, id, rest);
    } else if let [cut, overlap, content @ ..] = rest {
        pieces(version, id, (*cut).into(), (*overlap).into(), content);
    }
}

/// An operation and a length, then bytes of a datagram: frames to be sealed, or whatever.
fn datagrams(version: Version, id: &[u8], mut rest: &[u8]) {
    let (mut hello, mut known) = (Hello::default(), false);
    let mut datagram = Vec::new();
    let mut count = 0;
    while let [op, length, behind @ ..] = rest {
        let (bytes, behind) = behind.split_at(behind.len().min(usize::from(*length) * 8));
        rest = behind;
        if op & 1 == 0 {
            datagram.extend(seal(version, id, *op, bytes));
        } else {
            datagram.extend_from_slice(bytes);
        }
        if op & 2 != 0 {
            // The next packet is part of the same datagram.
            continue;
        }
        let progress = hello.on_datagram(&std::mem::take(&mut datagram));
        count += 1;
        known |= progress == Progress::Known;
        assert_eq!(progress == Progress::Known, known, "forgotten");
        assert_eq!(hello.facts.ja4.is_some(), known);
        let never = !known && count >= MAX_DATAGRAMS;
        assert_eq!(progress == Progress::Never, never);
        let held: usize = hello.pieces.iter().map(|(_, piece)| piece.len()).sum();
        assert!(held <= MAX_CRYPTO && hello.pieces.len() <= MAX_PIECES);
        assert!(hello.joined.len() <= MAX_CRYPTO);
        count = count.min(MAX_DATAGRAMS);
    }
}

/// A stream says the same however it is cut and in whatever order it comes.
fn pieces(version: Version, id: &[u8], cut: usize, overlap: usize, content: &[u8]) {
    // As many as are kept while the first is missing, all of them together no more than fits.
    let step = (cut + 1).max(content.len().div_ceil(MAX_PIECES));
    let count = content.len().div_ceil(step);
    if content.is_empty() || content.len() + count * overlap > MAX_CRYPTO {
        return;
    }
    let piece = |at: usize| {
        let from = (at * step).saturating_sub(overlap);
        crypto(from, &content[from..content.len().min((at + 1) * step)])
    };
    // Every third, then those between.
    let order = (0..3).flat_map(|first| (first..count).rev().step_by(3).collect::<Vec<_>>());
    let mut seen = vec![false; count];
    let mut frames = Vec::new();
    for at in order.chain(0..count) {
        if !std::mem::replace(&mut seen[at], true) {
            frames.extend(piece(at));
        }
    }
    let listen = |frames: &[u8]| {
        let mut hello = Hello::default();
        let progress = hello.on_datagram(&seal(version, id, 0, frames));
        assert_eq!(hello.joined, content);
        (progress, hello.facts)
    };
    assert_eq!(listen(&crypto(0, content)), listen(&frames));
}

fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    put(&mut frame, offset);
    put(&mut frame, data.len());
    frame.extend_from_slice(data);
    frame
}

/// The four-byte form.
fn put(out: &mut Vec<u8>, value: usize) {
    out.extend((0x8000_0000 | value as u32).to_be_bytes());
}

/// RFC 9001, section 5: the other way round. Two bytes of packet number.
fn seal(version: Version, id: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
    let keys = Keys::new(version, id).expect("32 bytes are a secret");
    // The sample begins four bytes behind the number's first.
    let mut plain = frames.to_vec();
    plain.resize(frames.len().max(2), 0);
    let wire: u32 = match version {
        Version::V1 => 1,
        Version::V2 => 0x6b33_43cf,
    };
    let mut packet = vec![0xc0 | version.initial() << 4 | 1];
    packet.extend(wire.to_be_bytes());
    packet.push(id.len() as u8);
    packet.extend_from_slice(id);
    packet.extend([0, 0]); // no source id, no token
    put(&mut packet, 2 + plain.len() + 16);
    let number_at = packet.len();
    packet.extend([0, number]);
    let mut nonce = keys.iv;
    nonce[11] ^= number;
    let mut content = plain.clone();
    let sealed =
        keys.aead
            .encrypt_inout_detached(&nonce.into(), &packet, content.as_mut_slice().into());
    packet.extend_from_slice(&content);
    packet.extend_from_slice(&sealed.expect("it is short enough"));
    let mut mask = [0; 16];
    mask.copy_from_slice(&packet[number_at + 4..number_at + 20]);
    let mut mask = Array::from(mask);
    keys.protection.encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    packet[number_at] ^= mask[1];
    packet[number_at + 1] ^= mask[2];

    let (long, behind) = Long::read(&packet).expect("it has a long header");
    assert!(long.is_initial && behind.is_empty());
    assert_eq!(keys.open(&long).as_ref(), Some(&plain));
    packet
}
