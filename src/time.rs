//! Packet time: nanoseconds of the Unix epoch as the capture stamped them.
//!
//! Everything from decode to detect runs on this clock, so that an old file, a live port and a
//! literal in a test give the same answers.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in packet time, in nanoseconds of the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub const MIN: Self = Self(i64::MIN);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Rounded to microseconds: an `f64` of this size holds no more.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self(((secs * 1e6).round() as i64).saturating_mul(1_000))
    }

    pub const fn nanos(self) -> i64 {
        self.0
    }

    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Time since `earlier`; zero where the clock went backwards.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Time between the two, whichever is earlier.
    pub fn apart(self, other: Self) -> Duration {
        self.since(other).max(other.since(self))
    }

    /// Decimal seconds, exact: six digits of fraction, nine where the capture had nanoseconds.
    pub fn write_decimal(self, out: &mut Vec<u8>) {
        let (secs, nanos) = (self.secs(), self.0.rem_euclid(1_000_000_000) as u32);
        let (mut fraction, digits) = if nanos.is_multiple_of(1_000) {
            (nanos / 1_000, 6)
        } else {
            (nanos, 9)
        };
        if secs < 0 {
            // div_euclid rounds down: -0.25 s is (-1, 750 ms). Captures before 1970 are forged
            // anyway, but the line must still be a number.
            let exact = format!("{:.9}", self.0 as f64 / 1e9);
            out.extend_from_slice(exact.as_bytes());
            return;
        }
        let mut buf = [b'0'; 9];
        for slot in buf[..digits].iter_mut().rev() {
            *slot = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
        push_u64(out, secs as u64);
        out.push(b'.');
        out.extend_from_slice(&buf[..digits]);
    }

    /// Reads what `write_decimal` writes, and any other decimal number of seconds.
    pub fn parse_decimal(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = !whole.is_empty()
            && whole.bytes().all(|b| b.is_ascii_digit())
            && fraction.bytes().all(|b| b.is_ascii_digit());
        if !plain {
            let secs: f64 = text.parse().ok()?;
            return (secs.is_finite() && secs.abs() < 9e9).then(|| Self::from_secs_f64(secs));
        }
        let secs: i64 = whole.parse().ok()?;
        let mut nanos = 0_i64;
        for i in 0..9 {
            nanos = nanos * 10 + i64::from(fraction.as_bytes().get(i).map_or(0, |b| b - b'0'));
        }
        secs.checked_mul(1_000_000_000)?
            .checked_add(nanos)
            .map(Self)
    }
}

/// Appends `n` in decimal, two digits at a time.
pub fn push_u64(out: &mut Vec<u8>, mut n: u64) {
    let mut buf = [0_u8; 20];
    let mut at = buf.len();
    while n >= 100 {
        at -= 2;
        buf[at..at + 2].copy_from_slice(&PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    let [tens, ones] = PAIRS[n as usize];
    at -= 1;
    buf[at] = ones;
    if n >= 10 {
        at -= 1;
        buf[at] = tens;
    }
    out.extend_from_slice(&buf[at..]);
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)),
        )
    }
}

/// RFC 3339 in UTC, to the second: for people and logs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.secs()) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "@{}", self.secs()),
        }
    }
}

/// Seconds as a JSON number.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64((self.0 / 1_000) as f64 / 1e6)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    /// Small enough to stand where it is used.
    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "description": "Seconds of the epoch." })
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        f64::deserialize(d).map(Self::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(nanos: i64) -> String {
        let mut out = Vec::new();
        Timestamp(nanos).write_decimal(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_of_every_length() {
        let lengths = (0..20).map(|e| 10_u64.pow(e));
        let edges = lengths.flat_map(|n| [n - 1, n, n + 1, n.saturating_mul(7)]);
        for n in edges.chain([u64::MAX]) {
            let mut out = Vec::new();
            push_u64(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal(1_732_420_000_123_456_000), "1732420000.123456");
        assert_eq!(decimal(1_732_420_000_123_456_789), "1732420000.123456789");
        assert_eq!(decimal(0), "0.000000");
        for n in [0, 1, 999_999_999, 1_732_420_000_123_456_789] {
            assert_eq!(Timestamp::parse_decimal(&decimal(n)), Some(Timestamp(n)));
        }
        assert_eq!(
            Timestamp::parse_decimal("1.5e3"),
            Some(Timestamp::from_secs(1_500))
        );
        assert_eq!(
            Timestamp::parse_decimal("-1"),
            Some(Timestamp::from_secs(-1))
        );
        assert_eq!(Timestamp::parse_decimal("nan"), None);
        assert_eq!(Timestamp::parse_decimal(""), None);
    }
}
