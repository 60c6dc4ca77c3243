//! What counts as evidence that something stands behind a path.
//!
//! A *soft answer* is what a host gives for whatever it does not know: a page of status 200 that is
//! the same everywhere, a redirection to one login page, the shell of a single-page application, a
//! gateway's refusal. It is told by evidence: many first words of paths, nearly each asked once,
//! share one [`Signature`], and the host has next to no real 404. What a server gives to any Host is
//! told the same way, with hosts in place of words. Of an endpoint the answers are kept apart by
//! signature as long as they are few ([`Answers`]), so that those are taken back which came before
//! the soft answer was known: the order of requests decides nothing.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::segment::{classify, fold, version};
use super::small::one_more;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Least time between the first and the last answer that confirm an endpoint. A client's own
/// repeats (retries, a page that loads a thing twice) and one pass of a scanner fall within a
/// second; traffic that is worth an entry goes on for longer, even in a capture of some seconds.
pub(super) const SPREAD: Duration = Duration::from_secs(1);

/// First words of a host's paths that must share an answer.
const ENOUGH_WORDS: usize = 32;
/// Hosts of a server that must share an answer.
const ENOUGH_HOSTS: usize = 8;
/// A word or host asked more often than this is one that somebody uses.
const ONCE: u8 = 2;
/// Words that were answered with a real 404 must be so many times fewer.
const RARE: usize = 4;

/// Hosts and servers weighed; past it those that show nothing go first.
const MAX_SCOPES: usize = 2_048;
/// Signatures weighed in one scope at a time.
const MAX_KINDS: usize = 24;
/// Words remembered of one signature.
const MAX_WORDS: usize = 96;
/// Soft answers of one scope.
const MAX_SOFT: usize = 8;
/// Different answers of one endpoint that are kept apart; with more it is no soft answer.
const MAX_ALIKE: usize = 3;

const HASH: FixedState = FixedState::with_seed(0x73_6f_66_74);

/// What answers of one kind have in common: status, content type, where it leads, and length. The
/// first is exact; the others allow for the path being echoed in it, or a page for small
/// differences (tokens, times). 0: does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signature([u64; 3]);

impl Signature {
    /// `None` where the answer does not say enough to be told from others.
    pub(super) fn of(x: &Exchange) -> Option<Self> {
        let status = x.status?;
        let kind = x.content_type.as_deref();
        let hash = |rule: u8, length: u64| HASH.hash_one((rule, status, kind, length)).max(1);
        if (300..=399).contains(&status) {
            let to = x.location.as_deref()?;
            return Some(Self([HASH.hash_one((status, to)).max(1), 0, 0]));
        }
        if !matches!(status, 200 | 203 | 401 | 403 | 422) || x.partial.truncated {
            return None;
        }
        let bytes = x.response_bytes?;
        if kind == Some("text/html") && bytes >= 512 {
            // Two grids of a twelfth each, so that no border divides what is alike.
            let size = (bytes as f64).log2() * 8.0;
            let rough = [hash(2, size as u64), hash(3, (size + 0.5) as u64)];
            return Some(Self([hash(0, bytes), rough[0], rough[1]]));
        }
        // `[]`, `{}` and `null` are what many lists answer while they are empty.
        if status == 200 && (1..=4).contains(&bytes) {
            return None;
        }
        let echo = bytes.checked_sub(x.path.as_deref().map_or(0, str::len) as u64);
        Some(Self([hash(0, bytes), echo.map_or(0, |n| hash(1, n)), 0]))
    }

    fn has(&self, one: u64) -> bool {
        self.0.contains(&one)
    }

    /// What both have in common.
    fn common(&self, other: &Self) -> Option<Self> {
        let mut both = self.0;
        for (mine, theirs) in both.iter_mut().zip(other.0) {
            if *mine != theirs {
                *mine = 0;
            }
        }
        (both != [0; 3]).then_some(Self(both))
    }
}

/// What is weighed: the paths of one host, or the hosts of one server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    Host(u64),
    Server(u64),
}

impl Scope {
    pub(super) fn host(name: &str) -> Self {
        Self::Host(HASH.hash_one(name))
    }

    /// `None` where the record does not say which server it was.
    pub(super) fn server(ip: IpAddr, port: u16) -> Option<Self> {
        (!ip.is_unspecified()).then(|| Self::Server(HASH.hash_one((ip, port))))
    }

    fn key(self) -> u64 {
        match self {
            Self::Host(key) | Self::Server(key) => key,
        }
    }
}

/// The first word of a path that says which part of a host it is of; typed ones are alike.
pub(super) fn word(segments: &[impl AsRef<str>]) -> u32 {
    let general = |s: &&str| matches!(fold(s).as_ref(), "api" | "rest") || version(s).is_some();
    let word = segments.iter().map(AsRef::as_ref).find(|s| !general(s));
    let hash = match word.map(|w| (w, classify(w))) {
        Some((_, Some(kind))) => HASH.hash_one(kind as u8),
        Some((word, None)) => HASH.hash_one(fold(word).as_ref()),
        None => 0,
    };
    hash as u32
}

pub(super) fn host_word(host: &str) -> u32 {
    HASH.hash_one(host) as u32
}

/// Words that share one signature, with how often each was asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kind {
    words: Vec<(u32, u8)>,
    last: Timestamp,
}

impl Kind {
    fn add(&mut self, word: u32, at: Timestamp) {
        self.last = self.last.max(at);
        if let Some((_, n)) = self.words.iter_mut().find(|(w, _)| *w == word) {
            *n = n.saturating_add(1);
        } else if self.words.len() < MAX_WORDS {
            self.words.push((word, 1));
        }
    }

    fn quiet(&self) -> usize {
        self.words.iter().filter(|(_, n)| *n <= ONCE).count()
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Weighed {
    soft: Vec<u64>,
    kinds: BTreeMap<u64, Kind>,
    /// Words that a real 404 answered.
    missed: Vec<u32>,
    last: Timestamp,
}

impl Weighed {
    /// Room for a new signature: the one that the fewest words share goes, of those the oldest.
    fn make_room(&mut self) {
        if self.kinds.len() < MAX_KINDS {
            return;
        }
        let least = self
            .kinds
            .iter()
            .min_by_key(|(sig, kind)| (kind.words.len(), kind.last, **sig));
        if let Some(sig) = least.map(|(sig, _)| *sig) {
            self.kinds.remove(&sig);
        }
    }
}

/// The soft answers of all hosts and servers, and what may become one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SoftAnswers {
    scopes: BTreeMap<u64, Weighed>,
}

impl SoftAnswers {
    pub(super) fn is_soft(&self, scope: Scope, signature: &Signature) -> bool {
        let known = self.scopes.get(&scope.key());
        known.is_some_and(|w| w.soft.iter().any(|soft| signature.has(*soft)))
    }

    /// An answer to GET at a place that has shown nothing else yet. Returns the signatures that are
    /// known to be soft from now on.
    pub(super) fn take(
        &mut self,
        scope: Scope,
        word: u32,
        signature: &Signature,
        html: bool,
        at: Timestamp,
    ) -> Vec<u64> {
        self.make_room(scope.key());
        let weighed = self.scopes.entry(scope.key()).or_default();
        weighed.last = weighed.last.max(at);
        let mut found = Vec::new();
        for (rule, sig) in signature.0.into_iter().enumerate() {
            if sig == 0 || weighed.soft.contains(&sig) || weighed.soft.len() >= MAX_SOFT {
                continue;
            }
            if !weighed.kinds.contains_key(&sig) {
                weighed.make_room();
            }
            let missed = weighed.missed.len();
            let kind = weighed.kinds.entry(sig).or_default();
            kind.add(word, at);
            let (quiet, all) = (kind.quiet(), kind.words.len());
            let enough = match (scope, rule) {
                // One page under many addresses is an application's shell, however often used.
                (Scope::Host(_), 0) if html => all >= ENOUGH_WORDS,
                (Scope::Host(_), 0 | 1) if !html => quiet >= ENOUGH_WORDS,
                (Scope::Host(_), _) => quiet >= 2 * ENOUGH_WORDS,
                (Scope::Server(_), 0) => quiet >= ENOUGH_HOSTS,
                (Scope::Server(_), _) => quiet >= 2 * ENOUGH_HOSTS,
            };
            if enough && missed * RARE <= all {
                weighed.kinds.remove(&sig);
                weighed.soft.push(sig);
                found.push(sig);
            }
        }
        found
    }

    /// A real 404: the host says so where there is nothing. Files do not count; single-page
    /// applications answer for them only where they exist.
    pub(super) fn miss(&mut self, scope: Scope, segments: &[impl AsRef<str>]) {
        let file = segments.last().is_some_and(|s| s.as_ref().contains('.'));
        let Some(weighed) = self.scopes.get_mut(&scope.key()).filter(|_| !file) else {
            return;
        };
        let word = word(segments);
        if weighed.missed.len() < MAX_WORDS && !weighed.missed.contains(&word) {
            weighed.missed.push(word);
        }
    }

    fn make_room(&mut self, scope: u64) {
        if self.scopes.len() < MAX_SCOPES || self.scopes.contains_key(&scope) {
            return;
        }
        let most = |w: &Weighed| w.kinds.values().map(|k| k.words.len()).max().unwrap_or(0);
        let least = self
            .scopes
            .iter()
            .min_by_key(|(key, w)| (w.soft.len(), most(w), w.last, **key));
        if let Some(key) = least.map(|(key, _)| *key) {
            self.scopes.remove(&key);
        }
    }
}

/// So many answers, from the first to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Span(Option<(u64, Timestamp, Timestamp)>);

impl Span {
    fn at(ts: Timestamp) -> Self {
        Self(Some((1, ts, ts)))
    }

    fn add(&mut self, other: Self) {
        self.0 = match (self.0, other.0) {
            (Some((n, a, b)), Some((m, c, d))) => Some((n + m, a.min(c), b.max(d))),
            (mine, theirs) => mine.or(theirs),
        };
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Alike {
    signature: Signature,
    /// 401, 403 or 422.
    guarded: bool,
    span: Span,
}

/// The answers of one endpoint that are evidence for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Answers {
    alike: Vec<Alike>,
    /// Those that are of no one kind: answers, and refusals.
    varied: Span,
    refused: Span,
    /// Another method of the path was answered otherwise.
    pub(super) beside: bool,
}

impl Answers {
    pub(super) fn take(&mut self, signature: Option<Signature>, guarded: bool, ts: Timestamp) {
        match signature {
            Some(signature) => self.add(Alike {
                signature,
                guarded,
                span: Span::at(ts),
            }),
            None => self.various(guarded).add(Span::at(ts)),
        }
    }

    fn various(&mut self, guarded: bool) -> &mut Span {
        if guarded {
            &mut self.refused
        } else {
            &mut self.varied
        }
    }

    fn add(&mut self, one: Alike) {
        let same = |a: &&mut Alike| a.guarded == one.guarded;
        for known in self.alike.iter_mut().filter(same) {
            if let Some(common) = known.signature.common(&one.signature) {
                known.signature = common;
                known.span.add(one.span);
                return;
            }
        }
        if self.is_varied() {
            return self.various(one.guarded).add(one.span);
        }
        one_more(&mut self.alike);
        self.alike.push(one);
        if self.alike.len() > MAX_ALIKE {
            for one in std::mem::take(&mut self.alike) {
                self.various(one.guarded).add(one.span);
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.varied.add(other.varied);
        self.refused.add(other.refused);
        self.beside |= other.beside;
        for one in &other.alike {
            self.add(*one);
        }
    }

    /// Answers that no other place gives: whatever comes, this is real.
    pub(super) fn is_varied(&self) -> bool {
        self.varied.0.is_some()
    }

    /// Takes back what turned out to be a soft answer; whether nothing is left.
    pub(super) fn forget(&mut self, soft: u64) -> bool {
        let before = self.alike.len();
        self.alike.retain(|a| !a.signature.has(soft));
        let gone = self.alike.len() < before;
        gone && self.alike.is_empty()
            && *self
                == Self {
                    beside: self.beside,
                    ..Self::default()
                }
    }

    /// Whether all there is would be taken back.
    pub(super) fn only(&self, soft: u64) -> bool {
        self.clone().forget(soft)
    }

    /// Two or more, spread in time. A refusal counts where the place also answered otherwise.
    pub(super) fn confirm(&self) -> bool {
        let (mut answers, mut refusals) = (self.varied, self.refused);
        for one in &self.alike {
            if one.guarded {
                refusals.add(one.span);
            } else {
                answers.add(one.span);
            }
        }
        if answers.0.is_some() || self.beside {
            answers.add(refusals);
        }
        answers
            .0
            .is_some_and(|(n, first, last)| n >= 2 && last.since(first) >= SPREAD)
    }
}
