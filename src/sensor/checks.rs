//! Whether checksums are believed, by interface. A mirror shows segments as they were sent, so a
//! wrong checksum is a broken or a lying one, which the receiver drops and so must we. A capture
//! on the sender itself shows them before its card has filled the checksums in; refusing those
//! would refuse half of the traffic. The packets themselves tell which it is.

use serde::{Deserialize, Serialize};

use crate::decode::Segment;

/// What the settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksums {
    /// Enforced on each interface once enough of its checksums were seen to be right.
    #[default]
    Auto,
    /// Never looked at.
    Off,
    /// Enforced from the first packet.
    On,
}

/// Checksums that are looked at before each decision. Enforcing begins once all of so many were
/// right.
const ENOUGH: u64 = 1_000;

/// Wrong ones in `ENOUGH` past which enforcing ends. An attacker who wants it off must send one in
/// a hundred of all that the interface shows, and the doctor says so.
const END: u64 = 10;

/// One in so many is looked at while nothing is enforced.
const SAMPLE: u64 = 8;

/// What is done about checksums on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Too few were seen.
    #[default]
    Deciding,
    /// A segment with a wrong checksum is refused.
    Enforced,
    /// Many are wrong: none is refused.
    Off,
}

/// The checksums of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Checks {
    pub mode: Mode,
    pub right: u64,
    pub wrong: u64,
    /// Since the last decision.
    #[serde(skip)]
    round: (u64, u64),
    #[serde(skip)]
    turn: u64,
}

impl Checks {
    /// Whether the segment must be refused. Depends on the interface's packets in their order alone.
    pub(super) fn refuses(&mut self, segment: &Segment<'_>, setting: Checksums) -> bool {
        match (setting, self.mode) {
            (Checksums::Off, _) => return false,
            (Checksums::On, _) => self.mode = Mode::Enforced,
            (Checksums::Auto, Mode::Enforced) => {}
            (Checksums::Auto, Mode::Deciding | Mode::Off) => {
                self.turn += 1;
                if !self.turn.is_multiple_of(SAMPLE) {
                    return false;
                }
            }
        }
        let Some(right) = segment.checksum_is_right() else {
            return false;
        };
        let enforced = self.mode == Mode::Enforced;
        self.right += u64::from(right);
        self.wrong += u64::from(!right);
        self.round.0 += u64::from(right);
        self.round.1 += u64::from(!right);
        if setting == Checksums::Auto {
            self.decide();
        }
        enforced && !right
    }

    fn decide(&mut self) {
        let (right, wrong) = self.round;
        if self.mode == Mode::Enforced && wrong > END {
            // At once: each further one is a segment lost.
            (self.mode, self.round) = (Mode::Off, (0, 0));
        } else if right + wrong >= ENOUGH {
            self.mode = match self.mode {
                Mode::Enforced => Mode::Enforced,
                _ if wrong == 0 => Mode::Enforced,
                _ => Mode::Off,
            };
            self.round = (0, 0);
        }
    }

    pub(super) fn each(&mut self, other: &Self, f: fn(u64, u64) -> u64) {
        self.right = f(self.right, other.right);
        self.wrong = f(self.wrong, other.wrong);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Network, TcpFlags};
    use crate::time::Timestamp;

    /// A segment of nothing but a header, right or wrong.
    fn feed(checks: &mut Checks, setting: Checksums, n: usize, right: bool) -> usize {
        // Sums to 0xffff with the pseudo-header 0.0.0.0, 0.0.0.0, protocol 6, length 20.
        let mut header = [0_u8; 20];
        header[16..18].copy_from_slice(&(0xffff_u16 - 26).to_be_bytes());
        header[0] = u8::from(!right);
        let segment = Segment {
            ts: Timestamp(0),
            src: [0; 4].into(),
            dst: [0; 4].into(),
            src_port: 0,
            dst_port: 0,
            network: Network::default(),
            seq: 0,
            ack: 0,
            flags: TcpFlags::default(),
            window: 0,
            stamp: 0,
            header: &header,
            sum: 0,
            payload: &[],
            missing: 0,
            tap: 0,
        };
        (0..n).filter(|_| checks.refuses(&segment, setting)).count()
    }

    #[test]
    fn enforced_once_a_thousand_were_right_and_not_before() {
        let mut c = Checks::default();
        assert_eq!(feed(&mut c, Checksums::Auto, 7_999, true), 0);
        assert_eq!(
            (c.mode, feed(&mut c, Checksums::Auto, 1, true)),
            (Mode::Deciding, 0)
        );
        assert_eq!(c.mode, Mode::Enforced);
        assert_eq!(feed(&mut c, Checksums::Auto, 5, false), 5);
        assert_eq!(feed(&mut c, Checksums::Auto, 5, true), 0);
    }

    #[test]
    fn off_where_many_are_wrong_and_nothing_is_refused() {
        let mut c = Checks::default();
        for _ in 0..2_000 {
            // Every other one: eight of each, since one in eight is looked at.
            assert_eq!(feed(&mut c, Checksums::Auto, 8, true), 0);
            assert_eq!(feed(&mut c, Checksums::Auto, 8, false), 0);
        }
        assert_eq!(c.mode, Mode::Off);
        // The offload is gone: it comes back by itself.
        feed(&mut c, Checksums::Auto, 16_000, true);
        assert_eq!(c.mode, Mode::Enforced);
    }

    #[test]
    fn an_offload_that_begins_costs_a_few_segments() {
        let mut c = Checks::default();
        feed(&mut c, Checksums::Auto, 10_000, true);
        assert_eq!(feed(&mut c, Checksums::Auto, 10_000, false), 11);
        assert_eq!(c.mode, Mode::Off);
    }

    #[test]
    fn the_setting_overrules() {
        let mut c = Checks::default();
        assert_eq!(feed(&mut c, Checksums::On, 50, false), 50);
        let mut c = Checks::default();
        assert_eq!(feed(&mut c, Checksums::Off, 50, false), 0);
        assert_eq!(c, Checks::default());
    }
}
