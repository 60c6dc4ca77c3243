//! Durations, sizes and prefixes as people write them: `7d`, `1h30m`, `64MiB`, `10.0.0.0/8`.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::time::Timestamp;

/// A duration. jiff's "friendly" format has calendar units too; those of fixed length suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        parse_span(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no duration: write it like 30s, 15m, 1h30m or 7d"
            ))
        })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// As it is read: `1d12h`; `0s` for none.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        for (unit, name) in [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
            (1, "ns"),
        ] {
            if nanos >= unit {
                write!(f, "{}{name}", nanos / unit)?;
                nanos %= unit;
            }
        }
        Ok(())
    }
}

fn parse_span(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(relative).ok()?;
    Duration::try_from(duration).ok()
}

/// A day (`2026-12-31`, its beginning in UTC) or a moment (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(pub Timestamp);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        parse_date(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no date: write it like \"2026-12-31\" or \"2026-12-31T08:00:00Z\""
            ))
        })
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let moment = self.0.to_string();
        s.serialize_str(moment.strip_suffix("T00:00:00Z").unwrap_or(&moment))
    }
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let moment = text.trim().parse::<jiff::Timestamp>().ok().or_else(|| {
        let date: jiff::civil::Date = text.trim().parse().ok()?;
        let midnight = date.at(0, 0, 0, 0);
        jiff::tz::Offset::UTC.to_timestamp(midnight).ok()
    })?;
    Some(Timestamp::from_secs(moment.as_second()))
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64MiB\"")
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<ByteSize, E> {
                u64::try_from(v)
                    .map(ByteSize)
                    .map_err(|_| E::custom("a size is not negative"))
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<ByteSize, E> {
                parse_size(v).ok_or_else(|| {
                    E::custom(format!(
                        "`{v}` is no size: write it like 512KiB, 64MiB or 2GiB"
                    ))
                })
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match units.iter().find(|(unit, _)| self.0.is_multiple_of(*unit)) {
            Some((unit, name)) if self.0 > 0 => {
                s.collect_str(&format_args!("{}{name}", self.0 / unit))
            }
            _ => s.serialize_u64(self.0),
        }
    }
}

fn parse_size(text: &str) -> Option<ByteSize> {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..at].parse().ok()?;
    let unit: u64 = match text[at..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit).map(ByteSize)
}

/// Addresses that begin alike, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix(pub IpNet);

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        parse_prefix(text.trim()).map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is no address or prefix: write it like 10.0.0.0/8 or 2001:db8::1"
            ))
        })
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

fn parse_prefix(text: &str) -> Option<IpNet> {
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        assert_eq!(parse_span("7d"), Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(parse_span("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(parse_span("soon"), None);
        assert_eq!(parse_span("-1s"), None);
        assert_eq!(parse_size("64MiB"), Some(ByteSize(64 << 20)));
        assert_eq!(parse_size("10"), Some(ByteSize(10)));
        assert_eq!(parse_size("99999999999GiB"), None);
        assert_eq!(parse_size("64 apples"), None);
        let prefix = |text| parse_prefix(text).map(|p| p.to_string());
        assert_eq!(prefix("10.0.0.0/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(prefix("2001:db8::1").as_deref(), Some("2001:db8::1/128"));
        assert_eq!(prefix("10.0.0.0/33"), None);
    }
}
