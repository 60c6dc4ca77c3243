//! The TCP checksum (RFC 9293, section 3.1; RFC 1071). A receiver drops a segment whose checksum
//! is wrong, so what only a monitor believes may have been sent to deceive it.

use std::net::IpAddr;

use super::Segment;

/// Payload past which a segment was merged or not yet cut by a network card: its checksum is of
/// something else.
const MAX_PAYLOAD: usize = 1_500;

const TCP: u64 = 6;

impl Segment<'_> {
    /// Whether the checksum is right; `None` where that cannot be told.
    pub fn checksum_is_right(&self) -> Option<bool> {
        let whole = !self.header.is_empty() && self.missing == 0;
        if !whole || self.payload.len() > MAX_PAYLOAD {
            return None;
        }
        let length = (self.header.len() + self.payload.len()) as u64;
        // The header is a multiple of four bytes long, so the payload begins at an even place.
        let all = address(self.src)
            + address(self.dst)
            + word(TCP)
            + word(length)
            + sum(self.header)
            + sum(self.payload);
        Some(fold(all) == 0xffff)
    }
}

/// A number of 16 bits as it lies in a packet. The sum is the same in any byte order (RFC 1071,
/// section 2 B), so it is taken in the machine's own.
fn word(n: u64) -> u64 {
    u64::from((n as u16).to_be())
}

fn address(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    }
}

/// The sum of all 16-bit words. Of words of 32 bits two sums are kept, modulo 2^32: `all` of the
/// words, `high` of their upper halves; what `all` has beside `high` is the sum of the lower ones.
/// That is four instructions for 16 bytes where the compiler has vectors of that size. No half's
/// sum overflows below 256 KiB.
fn sum(data: &[u8]) -> u64 {
    debug_assert!(data.len() < 1 << 18);
    let (words, rest) = data.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let (mut all, mut high) = (0_u32, 0_u32);
    for word in words {
        let word = u32::from_ne_bytes(*word);
        all = all.wrapping_add(word);
        high = high.wrapping_add(word >> 16);
    }
    let last = u32::from_ne_bytes(last);
    all = all.wrapping_add(last);
    high = high.wrapping_add(last >> 16);
    u64::from(high) + u64::from(all.wrapping_sub(high << 16))
}

fn fold(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::super::{Decoded, Decoder, FragmentSettings, Ports};
    use crate::capture::{Frame, LinkType};
    use crate::time::Timestamp;

    fn check(data: &[u8], wire_len: usize) -> Option<bool> {
        let mut decoder = Decoder::new(Ports::default(), FragmentSettings::default(), 1);
        let frame = Frame {
            ts: Timestamp(0),
            link: LinkType::RAW,
            data,
            wire_len: wire_len as u32,
            interface: 0,
        };
        match decoder.decode(&frame).decoded {
            Decoded::Segment(s) => s.checksum_is_right(),
            other => panic!("{other:?}"),
        }
    }

    /// Checksums of another implementation are the judge.
    fn packet(v6: bool, payload: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        let tcp = |b: etherparse::PacketBuilderStep<etherparse::IpHeaders>| {
            b.tcp(40_000, 80, 0xfedc_ba98, 0xffff).ack(0x0123_4567)
        };
        let options = [etherparse::TcpOptionElement::Timestamp(0xdead_beef, 7)];
        let step = if v6 {
            tcp(PacketBuilder::ipv6([0xfe; 16], [0xa7; 16], 9))
        } else {
            tcp(PacketBuilder::ipv4([255, 254, 253, 252], [10, 0, 0, 1], 9))
        };
        step.options(&options)
            .unwrap()
            .write(&mut data, payload)
            .unwrap();
        data
    }

    #[test]
    fn right_at_every_length_and_wrong_at_every_flipped_bit() {
        for v6 in [false, true] {
            for length in (0..70).chain([1_447, 1_448, 1_500]) {
                let payload: Vec<u8> = (0..length).map(|i| (i * 37 + 255) as u8).collect();
                let data = packet(v6, &payload);
                assert_eq!(check(&data, data.len()), Some(true), "{v6} {length}");
            }
            let data = packet(v6, b"an odd number of bytes!");
            let tcp = if v6 { 40 } else { 20 };
            for at in (tcp + 4)..data.len() {
                // The header's length and what lies behind it must stay readable.
                if at == tcp + 12 {
                    continue;
                }
                let mut broken = data.clone();
                broken[at] ^= 0x10;
                assert_eq!(check(&broken, data.len()), Some(false), "{v6} {at}");
            }
        }
    }

    #[test]
    fn what_is_cut_or_merged_cannot_be_told() {
        let data = packet(false, &[7; 100]);
        assert_eq!(check(&data[..data.len() - 1], data.len()), None);
        let merged = packet(false, &[7; 1_501]);
        assert_eq!(check(&merged, merged.len()), None);
        // The length was left to the card.
        let mut offloaded = packet(false, &[7; 100]);
        offloaded[2..4].fill(0);
        assert_eq!(check(&offloaded, offloaded.len()), None);
    }
}
