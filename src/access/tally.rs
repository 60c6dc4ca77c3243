//! How sign-ins went since the start, for whoever watches. Counts alone: names and addresses are the
//! audit's.

use std::sync::atomic::{AtomicU64, Ordering};

/// Ways in.
const METHODS: [&str; 2] = ["password", "oidc"];

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Name, password or role.
    Failed,
    /// Refused before anything was looked at: too many attempts.
    Limited,
    Busy,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::Limited, Self::Busy];

    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Busy => "busy",
        }
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    sign_ins: [[AtomicU64; Outcome::ALL.len()]; METHODS.len()],
    refused_tokens: AtomicU64,
}

impl Tally {
    /// `method`: as sessions have it.
    pub fn sign_in(&self, method: &str, outcome: Outcome) {
        let counts = METHODS.iter().zip(&self.sign_ins);
        for (_, counts) in counts.filter(|(name, _)| **name == method) {
            counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request came with a token that opens nothing.
    pub fn refused_token(&self) {
        self.refused_tokens.fetch_add(1, Ordering::Relaxed);
    }

    /// Method, outcome and how often, of all that there can be.
    pub fn sign_ins(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let methods = METHODS.into_iter().zip(&self.sign_ins);
        methods.flat_map(|(method, counts)| {
            let counts = Outcome::ALL.into_iter().zip(counts);
            counts.map(move |(outcome, n)| (method, outcome.name(), n.load(Ordering::Relaxed)))
        })
    }

    pub fn refused_tokens(&self) -> u64 {
        self.refused_tokens.load(Ordering::Relaxed)
    }
}
