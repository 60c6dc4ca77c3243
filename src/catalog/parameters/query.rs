//! A query as its parameters, read once and decoded on the way (`application/x-www-form-urlencoded`).

use std::hash::BuildHasher;

use super::{HASH, MASK, Sent, Whence};

/// Parameters of one query that are looked at: no form is longer, whoever sends more is told by
/// their number.
const MAX_PAIRS: usize = 64;

/// Tells `each` of the parameters in turn.
pub(super) fn each<'a>(query: &'a str, mut tell: impl FnMut(Sent<'a>)) {
    let mut before = [0_u64; MAX_PAIRS];
    let pairs = query.split('&').filter(|p| !p.is_empty()).take(MAX_PAIRS);
    for (at, pair) in pairs.enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = HASH.hash_one((2_u8, name.as_bytes()));
        let repeated = before[..at].contains(&key);
        before[at] = key;
        tell(Sent {
            whence: Whence::Query,
            name,
            key,
            masked: value.starts_with(MASK),
            repeated,
            ..Sent::value(decoded(value.as_bytes()))
        });
    }
}

/// Bytes of a value: `+` is a space, `%41` an `A`; what is no such thing stands for itself.
fn decoded(raw: &[u8]) -> impl Iterator<Item = u8> + Clone + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (b, next) = match *raw.get(at)? {
            b'+' => (b' ', at + 1),
            b'%' => match raw.get(at + 1..at + 3).and_then(hex) {
                Some(b) => (b, at + 3),
                None => (b'%', at + 1),
            },
            b => (b, at + 1),
        };
        at = next;
        Some(b)
    })
}

fn hex(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |b: &u8| char::from(*b).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_as_servers_decode_them() {
        for (raw, clear) in [
            ("a+b", "a b"),
            ("%27%20or%201", "' or 1"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("", ""),
        ] {
            let text: Vec<u8> = decoded(raw.as_bytes()).collect();
            assert_eq!(text, clear.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn a_name_that_came_before_is_repeated() {
        let mut seen = Vec::new();
        each("id=1&x&id=2&&k={secret:jwt:1f}", |s| {
            seen.push((s.name.to_owned(), s.repeated, s.masked));
        });
        let expected = [
            ("id", false, false),
            ("x", false, false),
            ("id", true, false),
            ("k", false, true),
        ];
        assert_eq!(seen, expected.map(|(n, r, m)| (n.to_owned(), r, m)));
        let mut count = 0;
        each(&"a=1&".repeat(1_000), |_| count += 1);
        assert_eq!(count, MAX_PAIRS);
    }
}
