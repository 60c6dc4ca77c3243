//! How much of a flow the taps show: facts that say something of the mirror, not of the peers.

/// What was learnt of a flow, once it is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Packets of both sides, and data.
    Both,
    /// Data was acknowledged that no tap has shown, of a side of which nothing was ever seen.
    OneWay,
    /// One more segment with data of a flow that is one-way.
    Blind,
    /// A side said to be unseen appeared after all: the earlier word is taken back.
    Revealed,
    /// This many bytes were acknowledged by their receiver, and no tap has shown them, though it
    /// shows others of that side.
    Lost(u64),
}

/// A fact, and the tap and overlay network that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub sight: Sight,
    pub tap: u32,
    pub vni: Option<u32>,
}

/// Of one hole. A forged acknowledgement could claim half the sequence space.
const MAX_LOST: u64 = 1 << 20;

/// What one flow has told so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    told: Option<Sight>,
    tap: u32,
    vni: Option<u32>,
}

impl View {
    pub(super) fn new(tap: u32, vni: Option<u32>) -> Self {
        let told = None;
        Self { told, tap, vni }
    }

    /// Tells what `sides` (seen or not) and `acked` (what each side's peer has acknowledged of
    /// it) are proof of, if that is news. One byte more may have been a FIN alone (RFC 9293,
    /// section 3.4: it takes a sequence number), so it proves nothing.
    pub(super) fn look(&mut self, sides: [bool; 2], acked: [u64; 2], data: bool) -> Option<Seen> {
        let unseen = |i: usize| !sides[i] && acked[i] > 1;
        let sight = match self.told {
            Some(Sight::Both) => return None,
            Some(Sight::OneWay) if sides == [true; 2] => Sight::Revealed,
            Some(Sight::OneWay) => return data.then(|| self.seen(Sight::Blind)),
            _ if sides == [true; 2] && data => Sight::Both,
            _ if unseen(0) || unseen(1) => Sight::OneWay,
            _ => return None,
        };
        self.told = Some(sight);
        Some(self.seen(sight))
    }

    pub(super) fn lost(&self, bytes: u64) -> Seen {
        self.seen(Sight::Lost(bytes.min(MAX_LOST)))
    }

    fn seen(&self, sight: Sight) -> Seen {
        let Self { tap, vni, .. } = *self;
        Seen { sight, tap, vni }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_told_once_and_taken_back_if_need_be() {
        let mut view = View::new(3, Some(9));
        let told = |s: Option<Seen>| s.map(|s| s.sight);
        assert_eq!(view.look([true, false], [0, 0], true), None);
        assert_eq!(view.look([true, false], [0, 1], true), None, "a FIN");
        let seen = view.look([true, false], [0, 2], false).unwrap();
        assert_eq!(
            (seen.sight, seen.tap, seen.vni),
            (Sight::OneWay, 3, Some(9))
        );
        assert_eq!(view.look([true, false], [0, 900], false), None);
        assert_eq!(
            told(view.look([true, false], [0, 900], true)),
            Some(Sight::Blind)
        );
        assert_eq!(
            told(view.look([true, true], [0, 900], false)),
            Some(Sight::Revealed)
        );
        assert_eq!(
            told(view.look([true, true], [0, 900], true)),
            Some(Sight::Both)
        );
        assert_eq!(view.look([true, true], [0, 900], true), None);
    }

    #[test]
    fn a_handshake_alone_says_nothing() {
        let mut view = View::new(0, None);
        assert_eq!(view.look([true, true], [0, 0], false), None);
    }
}
