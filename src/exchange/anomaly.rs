//! What a message did against the rules, and servers took all the same. Two readers of one message
//! who take such a thing differently can be played against each other (request smuggling, RFC 9112,
//! section 11.2), so it is written down.

/// A departure from the rules of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Anomaly {
    /// Lines ended by LF alone.
    BareLf,
    /// A header line without a colon, or with a space before it.
    HeaderLine,
    /// Several hosts, or a target that names another one than `Host`.
    HostConflict,
    /// Transfer-Encoding and Content-Length together.
    LengthAndChunked,
    /// Several values of Content-Length.
    LengthConflict,
    /// A Content-Length that is no number.
    LengthInvalid,
    /// A header continued on the next line.
    ObsFold,
    /// More or fewer words than method, target and version.
    RequestLine,
    /// A Transfer-Encoding that does not end in `chunked`.
    TransferCoding,
}

impl Anomaly {
    pub const ALL: [Self; 9] = [
        Self::BareLf,
        Self::HeaderLine,
        Self::HostConflict,
        Self::LengthAndChunked,
        Self::LengthConflict,
        Self::LengthInvalid,
        Self::ObsFold,
        Self::RequestLine,
        Self::TransferCoding,
    ];

    /// Its name in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::BareLf => "bare_lf",
            Self::HeaderLine => "header_line",
            Self::HostConflict => "host_conflict",
            Self::LengthAndChunked => "length_and_chunked",
            Self::LengthConflict => "length_conflict",
            Self::LengthInvalid => "length_invalid",
            Self::ObsFold => "obs_fold",
            Self::RequestLine => "request_line",
            Self::TransferCoding => "transfer_coding",
        }
    }
}

/// A set of anomalies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anomalies(u16);

impl Anomalies {
    const FRAMING: [Anomaly; 4] = [
        Anomaly::LengthAndChunked,
        Anomaly::LengthConflict,
        Anomaly::LengthInvalid,
        Anomaly::TransferCoding,
    ];

    pub fn add(&mut self, anomaly: Anomaly) {
        self.0 |= 1 << anomaly as u16;
    }

    pub fn has(self, anomaly: Anomaly) -> bool {
        self.0 & 1 << anomaly as u16 != 0
    }

    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Where the message ends is a matter of opinion: what smuggling is made of.
    pub fn ambiguous_framing(self) -> bool {
        Self::FRAMING.into_iter().any(|a| self.has(a))
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let mine = move |a: &Anomaly| self.has(*a);
        Anomaly::ALL.into_iter().filter(mine).map(Anomaly::name)
    }

    /// Names that are unknown are passed over.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = Self::default();
        for name in names {
            if let Some(a) = Anomaly::ALL.into_iter().find(|a| a.name() == name) {
                set.add(a);
            }
        }
        set
    }
}

impl std::ops::BitOrAssign for Anomalies {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_the_set() {
        for a in Anomaly::ALL {
            let mut set = Anomalies::default();
            set.add(a);
            assert_eq!(Anomalies::from_names(set.names()), set);
        }
        let both = Anomalies::from_names(["obs_fold", "length_and_chunked", "of another version"]);
        assert_eq!(both.names().count(), 2);
        assert!(both.ambiguous_framing());
    }
}
