#![no_main]

use loona_hpack::decoder::DecoderError;

// The other decoder has no bounds of its own: it is asked as long as ours has an answer.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut other = loona_hpack::Decoder::new();
    apitap::fuzzing::hpack_beside(data, |block| match other.decode(block) {
        Ok(fields) => Some(fields),
        // RFC 7541 does not ask for a field behind a size update.
        Err(DecoderError::SizeUpdateAtEnd) => None,
        Err(error) => panic!("{error:?}"),
    });
});
