//! The sampler's fuzz entry: messages by operations, plain or compressed, masked, in pieces.

use flate2::{Compress, Compression, FlushCompress};

use super::sampler::{MAX_CONTENT, Sampler};

/// The first byte: whether a message may refer to those before it; then each operation: what it is,
/// how long, and its bytes. Any bytes, or content that is compressed here.
pub fn fuzz_texts(data: &[u8]) {
    let Some((&how, mut rest)) = data.split_first() else {
        return;
    };
    let takeover = how & 1 != 0;
    let (mut whole, mut pieces) = (Sampler::default(), Sampler::default());
    let mut sender = Compress::new(Compression::fast(), false);
    // With a window of its own, what anyone else sent is no part of it.
    let mut own = true;
    while let [op, size, more @ ..] = rest {
        let (given, after) = more.split_at(more.len().min(usize::from(*size)));
        rest = after;
        let content = given.repeat(1 << (op >> 1 & 7));
        let composed = op & 1 == 0;
        let compressed = how & 2 != 0;
        let message = match (compressed, composed) {
            (true, true) => deflated(&mut sender, &content),
            _ => given.to_vec(),
        };
        if !takeover {
            sender.reset();
        }
        own &= composed || !takeover;
        let key = [how, *op, *size, 7];
        let masked = masked(key, &message);
        whole.begin(true, compressed, takeover);
        whole.feed(&masked, key, 0);
        pieces.begin(true, compressed, takeover);
        let step = usize::from(op >> 4) + 1;
        for (i, piece) in masked.chunks(step).enumerate() {
            pieces.feed(piece, key, (i * step) as u64);
        }
        let (a, b) = (whole.end(), pieces.end());
        assert_eq!(a, b);
        let Some((text, all)) = a else { continue };
        assert!(text.len() <= MAX_CONTENT);
        let sent = if compressed { &content } else { &message };
        if !compressed || own && composed {
            assert!(sent.starts_with(&text), "not what was sent");
            assert!(!all || text.len() == sent.len(), "not all of it");
        }
    }
}

fn masked(key: [u8; 4], message: &[u8]) -> Vec<u8> {
    let keys = key.into_iter().cycle();
    message.iter().zip(keys).map(|(b, k)| b ^ k).collect()
}

/// RFC 7692, section 7.2.1.
fn deflated(sender: &mut Compress, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 1_024);
    let done = sender.compress_vec(content, &mut out, FlushCompress::Sync);
    assert!(done.is_ok() && out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}
