//! What a flow did out of the ordinary, under the names that Wireshark's `tcp.analysis` and Zeek's
//! weirds have made common. Notes are counted beside the ledger: a segment may have several or none.

/// A remarkable thing about one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Note {
    /// Data on the SYN (RFC 7413).
    FastOpen,
    /// The SYN came behind the data that it announces: the mirror shuffled them.
    LateSyn,
    /// Came before what it follows.
    OutOfOrder,
    /// Other bytes for a place that was taken; the first ones stand.
    OverlapConflict,
    /// A SYN with another initial sequence number on ports in use.
    PortReuse,
    /// Data followed a RST: the receiver cannot have believed it.
    ResetDisbelieved,
    /// Both sides sent a SYN (RFC 9293, section 3.5).
    SimultaneousOpen,
    /// The receiver has no room.
    ZeroWindow,
}

impl Note {
    pub const ALL: [Self; 8] = [
        Self::FastOpen,
        Self::LateSyn,
        Self::OutOfOrder,
        Self::OverlapConflict,
        Self::PortReuse,
        Self::ResetDisbelieved,
        Self::SimultaneousOpen,
        Self::ZeroWindow,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::FastOpen => "fast_open",
            Self::LateSyn => "late_syn",
            Self::OutOfOrder => "out_of_order",
            Self::OverlapConflict => "overlap_conflict",
            Self::PortReuse => "port_reuse",
            Self::ResetDisbelieved => "reset_disbelieved",
            Self::SimultaneousOpen => "simultaneous_open",
            Self::ZeroWindow => "zero_window",
        }
    }
}

/// How often each was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes([u64; Note::ALL.len()]);

impl Notes {
    pub(super) fn take(&mut self, note: Note) {
        self.0[note as usize] += 1;
    }

    pub fn of(&self, note: Note) -> u64 {
        self.0[note as usize]
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_stand_at_their_own_place() {
        for (i, note) in Note::ALL.iter().enumerate() {
            assert_eq!(*note as usize, i);
        }
    }
}
