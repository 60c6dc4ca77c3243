//! What becomes of segments, and what reassembly meets.

use super::note::Notes;

/// Where every segment went, and what reassembly met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub segments: u64,
    pub analysed: u64,
    /// Bare control segments of a flow that is not followed.
    pub no_flow: u64,
    /// The mirror's second sight of a packet.
    pub copies: u64,
    /// Nothing new in them.
    pub retransmitted: u64,
    /// A byte, or none, from before what comes next (RFC 9293, section 3.8.4).
    pub keep_alives: u64,
    /// Behind the sender's own FIN.
    pub after_fin: u64,
    /// Held, then put out by a budget.
    pub shed: u64,
    pub pending: u64,
    pub flows: u64,
    pub flows_evicted: u64,
    pub gaps: u64,
    pub gap_bytes: u64,
    /// RSTs too far from the flow to be its own.
    pub rst_ignored: u64,
    pub notes: Notes,
}

impl Counters {
    /// What `segments` must be.
    pub fn accounted(&self) -> u64 {
        let nothing_new = self.copies + self.retransmitted + self.keep_alives + self.after_fin;
        self.analysed + self.no_flow + nothing_new + self.shed + self.pending
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.segments, other.segments),
            (&mut self.analysed, other.analysed),
            (&mut self.no_flow, other.no_flow),
            (&mut self.copies, other.copies),
            (&mut self.retransmitted, other.retransmitted),
            (&mut self.keep_alives, other.keep_alives),
            (&mut self.after_fin, other.after_fin),
            (&mut self.shed, other.shed),
            (&mut self.pending, other.pending),
            (&mut self.flows, other.flows),
            (&mut self.flows_evicted, other.flows_evicted),
            (&mut self.gaps, other.gaps),
            (&mut self.gap_bytes, other.gap_bytes),
            (&mut self.rst_ignored, other.rst_ignored),
        ];
        for (mine, theirs) in pairs {
            *mine += theirs;
        }
        self.notes.add(&other.notes);
    }
}
