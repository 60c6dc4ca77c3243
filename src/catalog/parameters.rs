//! What an endpoint is sent: each parameter of its path, its query and its bodies with the kinds of
//! characters, lengths and sizes that its values had, so that a value, a name or a repetition that
//! never came can be told. Values are not kept; of a parameter that takes few words, their hashes.
//!
//! Learnt is what was answered with success. Once a parameter is settled, what it never had is an
//! [`Oddity`], and is learnt only when several callers were given it: an API that changes does so
//! for many, and whoever probes it is one. Query and path are seen with each request, bodies where
//! the sensor looked into them (the first of each place and day, then a sample).

use std::borrow::Cow;
use std::hash::BuildHasher;

use compact_str::CompactString;
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::oddity::{Oddities, Oddity, OddityKind, Whence};
use super::schema::MadeOf;
use super::small::one_more;
use crate::exchange::{Exchange, Field, Groups, MAX_POINTER, Shape, Texture, Types};
use crate::time::Timestamp;

mod query;

#[cfg(test)]
mod tests;

/// Parameters of one endpoint. Names that are data come in any number: past `MAX_NAMES` of one
/// place, no name of it is odd.
const MAX_PARAMETERS: usize = 96;
const MAX_NAMES: usize = 64;
/// Values after which a parameter is known, and the time that they are spread over.
const SETTLED: u32 = 50;
const SETTLED_SECS: i64 = 6 * 3_600;
/// Requests after which the names at an endpoint are known; and how much rarer than that a name
/// that came once must be (Good and Turing: the chance of one more new name).
const NAMES_SETTLED: u32 = 100;
const ONCE: u32 = 50;
/// What less than one of so many values had is as odd as what none had.
const RARE: u32 = 1_000;
/// Values between two looks at what is usual.
const REVIEW: u32 = 64;
/// Powers of two by which a value must be longer, or larger, than what was known.
const LONGER: u8 = 2;
const LARGER: u8 = 3;
/// Words of one parameter that are told apart, and values after which they are all.
const MAX_WORDS: usize = 8;
const MAX_WORD: u8 = 5;
const WORDS_SETTLED: u32 = 200;
/// Callers that make what is new a part of the API; or one caller, so often and over a day.
const CALLERS: u32 = 5;
const OFTEN: u32 = 50;
const DAY_SECS: i64 = 86_400;

const HASH: FixedState = FixedState::with_seed(0x70_61_72_61_6d_73);

/// How what the sensor masked begins.
const MASK: &str = "{secret:";

/// Kinds that are counted: those of characters, then of JSON's types.
const KINDS: usize = Groups::COUNT + 5;
const JSON: [(Types, u32); 5] = [
    (Types::STRING, 1 << 16),
    (Types(Types::INTEGER.0 | Types::NUMBER.0), 1 << 17),
    (Types::BOOLEAN, 1 << 18),
    (Types::OBJECT, 1 << 19),
    (Types::ARRAY, 1 << 20),
];

/// Of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameters {
    /// Requests answered with success, and those whose body was looked into.
    requests: u32,
    bodies: u32,
    first: Option<Timestamp>,
    /// Sorted by key.
    known: Vec<Parameter>,
    /// Names of the query, and of bodies, are data.
    open: [bool; 2],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Parameter {
    key: u64,
    whence: Whence,
    name: CompactString,
    /// It belongs to the API.
    accepted: bool,
    seen: u32,
    first: Timestamp,
    /// A bit for each caller, by hash.
    callers: u64,
    repeated: u32,
    /// Values by kind, and by the bits of their lengths and sizes.
    kinds: [u32; KINDS],
    lengths: [u16; 17],
    sizes: [u16; 32],
    words: Words,
    /// What is usual, by the last review.
    usual: Usual,
    /// What is not, and may become it.
    news: Option<Box<News>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Usual {
    kinds: u32,
    length: u8,
    size: u8,
    repeated: bool,
}

/// Hashes of the only words that it takes; none: it takes others, too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Words {
    open: bool,
    known: Vec<(u32, u32)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct News {
    kinds: u32,
    length: u8,
    size: u8,
    repeated: bool,
    seen: u32,
    callers: u64,
    first: Option<Timestamp>,
}

/// One parameter as one request has it.
#[derive(Clone, Copy, Debug)]
struct Sent<'a> {
    whence: Whence,
    name: &'a str,
    key: u64,
    kinds: u32,
    length: u8,
    size: u8,
    /// Of the value; 0 where it has several.
    hash: u32,
    /// Like a code: letters, joints and few characters.
    word: bool,
    /// A secret in a mask: of it only that it is there can be told.
    masked: bool,
    repeated: bool,
}

/// Who asks, and whether what was sent is learnt.
#[derive(Clone, Copy, Debug)]
struct Visit {
    at: Timestamp,
    caller: u64,
    learn: bool,
    grow: bool,
}

impl Parameters {
    /// Takes what one request has; `path` yields the values at the template's parameters, with the
    /// place of their segments. `caller` is a hash. Not `grow`: there is no room for new names.
    pub(super) fn take<'p>(
        &mut self,
        x: &Exchange,
        path: impl Iterator<Item = (usize, &'p str)>,
        caller: u64,
        grow: bool,
    ) -> Oddities {
        let learn = x.status.is_some_and(|s| s < 400);
        self.visit(x, path, (caller, learn), grow)
    }

    /// What is odd about a request that is not the endpoint's, and would be but for its path.
    pub(super) fn judge<'p>(
        &mut self,
        x: &Exchange,
        path: impl Iterator<Item = (usize, &'p str)>,
    ) -> Oddities {
        self.visit(x, path, (0, false), false)
    }

    fn visit<'p>(
        &mut self,
        x: &Exchange,
        path: impl Iterator<Item = (usize, &'p str)>,
        (caller, learn): (u64, bool),
        grow: bool,
    ) -> Oddities {
        let visit = Visit {
            at: x.ts,
            caller,
            learn,
            grow,
        };
        let first = *self.first.get_or_insert(x.ts);
        self.requests = self.requests.saturating_add(u32::from(visit.learn));
        let aged = x.ts.secs().saturating_sub(first.secs()) >= SETTLED_SECS;
        let settled = aged && self.requests >= NAMES_SETTLED;
        let mut out = Oddities::judged(settled);
        for (place, value) in path {
            self.meet(&Sent::segment(place, value), visit, settled, &mut out);
        }
        if let Some(query) = x.query.as_deref().filter(|q| !q.is_empty()) {
            query::each(query, |sent| _ = self.meet(&sent, visit, settled, &mut out));
        }
        let body = x.shapes.as_deref().and_then(|s| s.request.as_ref());
        if let Some(body) = body {
            self.bodies = self.bodies.saturating_add(u32::from(visit.learn));
            self.body(body, visit, aged && self.bodies >= SETTLED, &mut out);
        }
        out
    }

    /// What stands in something that is new is no news of its own.
    fn body(&mut self, body: &Shape, visit: Visit, settled: bool, out: &mut Oddities) {
        let mut within: Option<&str> = None;
        for field in body.0.iter().filter(|f| !f.pointer.is_empty()) {
            let inside = within.and_then(|w| field.pointer.strip_prefix(w));
            if inside.is_some_and(|rest| rest.starts_with('/')) {
                continue;
            }
            let sent = Sent::field(field);
            within = self
                .meet(&sent, visit, settled, out)
                .then_some(&field.pointer);
        }
    }

    /// Judges and learns one parameter; whether its name is odd.
    fn meet(&mut self, sent: &Sent<'_>, visit: Visit, settled: bool, out: &mut Oddities) -> bool {
        let Ok(at) = self.known.binary_search_by_key(&sent.key, |p| p.key) else {
            return self.meet_stranger(sent, visit, settled, out);
        };
        let known = &mut self.known[at];
        let unknown = !known.accepted && !known.is_accepted(visit.at);
        known.accepted = !unknown;
        if unknown {
            out.add(Oddity::new(OddityKind::Unknown, sent.whence, sent.name, 0));
        } else if let Some(kind) = known.judge(sent, visit.at) {
            out.add(Oddity::new(kind, sent.whence, sent.name, sent.hash));
            if visit.learn {
                known.note(sent, visit);
            }
            return false;
        }
        if visit.learn {
            known.learn(sent, visit);
        }
        unknown
    }

    fn meet_stranger(
        &mut self,
        sent: &Sent<'_>,
        visit: Visit,
        settled: bool,
        out: &mut Oddities,
    ) -> bool {
        let odd = settled && !self.are_data(sent.whence) && self.have_settled(sent.whence);
        if visit.learn && visit.grow && self.makes_room(sent.whence) {
            let at = self.known.partition_point(|p| p.key < sent.key);
            let mut new = Parameter::new(sent, visit.at, !odd);
            new.learn(sent, visit);
            one_more(&mut self.known);
            self.known.insert(at, new);
        }
        if odd {
            out.add(Oddity::new(OddityKind::Unknown, sent.whence, sent.name, 0));
        }
        odd
    }

    fn are_data(&self, whence: Whence) -> bool {
        match whence {
            // Templates change; what stands in a path has no name.
            Whence::Path => true,
            Whence::Query => self.open[0],
            Whence::Body => self.open[1],
        }
    }

    /// Whether a further name is a surprise.
    fn have_settled(&self, whence: Whence) -> bool {
        let requests = match whence {
            Whence::Body => self.bodies,
            Whence::Path | Whence::Query => self.requests,
        };
        let mine = self.known.iter().filter(|p| p.whence == whence);
        let once = mine.filter(|p| p.accepted && p.seen == 1).count() as u32;
        once.saturating_mul(ONCE) <= requests
    }

    /// What is not accepted makes room for what is new, oldest first.
    fn makes_room(&mut self, whence: Whence) -> bool {
        let mine = |p: &&Parameter| p.whence == whence;
        let full = self.known.iter().filter(mine).count() >= MAX_NAMES;
        if !full && self.known.len() < MAX_PARAMETERS {
            return true;
        }
        let strangers = self.known.iter().enumerate().filter(|(_, p)| !p.accepted);
        let oldest = strangers.min_by_key(|(_, p)| p.first).map(|(at, _)| at);
        if let Some(at) = oldest {
            self.known.remove(at);
        } else if full {
            match whence {
                Whence::Path => {}
                Whence::Query => self.open[0] = true,
                Whence::Body => self.open[1] = true,
            }
        }
        oldest.is_some()
    }

    /// Two endpoints were found to be one.
    pub(super) fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bodies = self.bodies.saturating_add(other.bodies);
        self.first = self.first.into_iter().chain(other.first).min();
        for (mine, theirs) in self.open.iter_mut().zip(other.open) {
            *mine |= theirs;
        }
        for theirs in &other.known {
            match self.known.binary_search_by_key(&theirs.key, |p| p.key) {
                Ok(at) => self.known[at].merge(theirs),
                Err(at) if self.known.len() < MAX_PARAMETERS => {
                    one_more(&mut self.known);
                    self.known.insert(at, theirs.clone());
                }
                Err(_) => {}
            }
        }
    }

    /// What the values at one part of the path are made of.
    pub(super) fn of_path(&self, part: usize) -> Option<MadeOf> {
        let known = self.known.iter().find(|p| p.key == part as u64);
        let known = known.filter(|p| p.whence == Whence::Path && p.seen > 0)?;
        let mut kinds: Vec<(String, u32)> = (0..Groups::COUNT)
            .filter(|bit| known.kinds[*bit] > 0)
            .map(|bit| (Groups(1 << bit).name().to_owned(), known.kinds[bit]))
            .collect();
        kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let lengths = &known.lengths;
        let least = lengths.iter().position(|n| *n > 0).unwrap_or_default();
        let most = lengths.iter().rposition(|n| *n > 0).unwrap_or_default();
        Some(MadeOf {
            kinds,
            shortest: 1 << least.saturating_sub(1),
            longest: ((1_u64 << most) - 1) as u32,
            seen: known.seen,
        })
    }

    /// Parameters that it has.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

/// What is odd about a request whose place too little is known of: syntax of a language that makes
/// no sense in data, wherever it is sent. Operations in the query (GraphQL) are such a language.
pub(super) fn strange(x: &Exchange, segments: &[Cow<'_, str>]) -> Oddities {
    let mut out = Oddities::default();
    if x.operation.is_some() {
        return out;
    }
    let mut look = |sent: Sent<'_>| {
        if !sent.masked && sent.is_payload() {
            let oddity = Oddity::new(OddityKind::Syntax, sent.whence, sent.name, sent.hash);
            out.add(oddity);
        }
    };
    for (place, segment) in segments.iter().enumerate() {
        look(Sent::segment(place, segment));
    }
    query::each(x.query.as_deref().unwrap_or_default(), look);
    out
}

impl<'a> Sent<'a> {
    /// A segment of the path, decoded; a template may change, the place of its segments does not.
    fn segment(place: usize, value: &'a str) -> Self {
        Self {
            whence: Whence::Path,
            name: "",
            key: place as u64,
            masked: value.starts_with(MASK),
            ..Self::value(value.bytes())
        }
    }

    /// Control characters, tags, a quote that ends something, brackets of templates and shells.
    /// `O'Brien`, `Orders('42')`, `age>5` and JSON are none.
    fn is_payload(&self) -> bool {
        let has = |group: Groups| Groups(self.kinds as u16).has(group);
        let (quote, bracket) = (has(Groups::QUOTE), has(Groups::BRACKET));
        let sign = has(Groups(Groups::SHELL.0 | Groups::EQUALS.0));
        has(Groups::CONTROL)
            || has(Groups::ANGLE) && (quote || bracket || has(Groups::SLASH))
            || quote && !bracket && sign
            || !quote && bracket && has(Groups::SHELL)
            || self.whence == Whence::Path && quote && bracket && has(Groups::JOINT)
    }

    fn field(field: &'a Field) -> Self {
        let texture = field.texture;
        let json = JSON.iter().filter(|(types, _)| field.types.has(*types));
        let kinds = u32::from(texture.groups.0) | json.map(|(_, bit)| bit).sum::<u32>();
        Self {
            whence: Whence::Body,
            name: field.pointer.strip_prefix('/').unwrap_or(&field.pointer),
            key: HASH.hash_one((1_u8, field.pointer.as_bytes())),
            kinds,
            length: texture.length,
            size: texture.magnitude,
            // Words come as keyed hashes; of other values only what they are made of is here.
            hash: match &field.words[..] {
                [one] => one.hash,
                _ => kinds ^ u32::from(texture.length) << 24,
            },
            word: field.words.len() == 1,
            masked: field.types == Types::NULL,
            repeated: field.repeated,
        }
    }

    fn value(value: impl Iterator<Item = u8> + Clone) -> Self {
        let texture = Texture::of(value.clone());
        let hash = value.fold(0x811c_9dc5_u32, |h, b| {
            (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
        });
        let letters = Groups(Groups::HEX.0 | Groups::LETTERS.0);
        let plain = letters.0 | Groups::HYPHEN.0 | Groups::JOINT.0;
        let groups = texture.groups;
        Self {
            whence: Whence::Query,
            name: "",
            key: 0,
            kinds: u32::from(groups.0),
            length: texture.length,
            size: texture.magnitude,
            hash,
            word: groups.has(letters) && groups.0 & !plain == 0 && texture.length <= MAX_WORD,
            masked: false,
            repeated: false,
        }
    }
}

impl Parameter {
    fn new(sent: &Sent<'_>, at: Timestamp, accepted: bool) -> Self {
        Self {
            key: sent.key,
            whence: sent.whence,
            name: sent.name.chars().take(MAX_POINTER).collect(),
            accepted,
            seen: 0,
            first: at,
            callers: 0,
            repeated: 0,
            kinds: [0; KINDS],
            lengths: [0; 17],
            sizes: [0; 32],
            words: Words::default(),
            usual: Usual::default(),
            news: None,
        }
    }

    fn is_accepted(&self, now: Timestamp) -> bool {
        is_common(self.callers, self.seen, self.first, now)
    }

    /// What of it never came, the most telling first.
    fn judge(&self, sent: &Sent<'_>, now: Timestamp) -> Option<OddityKind> {
        let aged = now.secs().saturating_sub(self.first.secs()) >= SETTLED_SECS;
        if sent.masked || self.seen < SETTLED || !aged {
            return None;
        }
        let strange = sent.kinds & !self.usual.kinds;
        let syntax = u32::from(Groups::SYNTAX.0);
        if strange & syntax != 0 {
            return Some(OddityKind::Syntax);
        }
        if sent.repeated && !self.usual.repeated {
            return Some(OddityKind::Repeated);
        }
        if strange != 0 {
            return Some(OddityKind::Type);
        }
        if sent.size > self.usual.size + LARGER {
            return Some(OddityKind::Range);
        }
        if sent.length > self.usual.length + LONGER {
            return Some(OddityKind::Length);
        }
        let member = self.words.known.iter().any(|(hash, _)| *hash == sent.hash);
        (self.words.are_all(self.seen) && !member).then_some(OddityKind::Enum)
    }

    fn learn(&mut self, sent: &Sent<'_>, visit: Visit) {
        self.seen = self.seen.saturating_add(1);
        self.callers |= 1 << (visit.caller % 64);
        self.repeated += u32::from(sent.repeated);
        if sent.masked {
            return;
        }
        for (kind, n) in self.kinds.iter_mut().enumerate() {
            *n = n.saturating_add(sent.kinds >> kind & 1);
        }
        count(&mut self.lengths, sent.length);
        count(&mut self.sizes, sent.size / 2);
        self.words.take(sent);
        if self.seen < SETTLED || self.seen.is_multiple_of(REVIEW) {
            self.review();
        }
    }

    /// What is usual by now.
    fn review(&mut self) {
        let rare = self.seen / RARE;
        let usual = self.kinds.iter().enumerate().filter(|(_, n)| **n > rare);
        self.usual = Usual {
            kinds: usual.map(|(kind, _)| 1 << kind).sum(),
            length: top(&self.lengths),
            size: top(&self.sizes) * 2 + 1,
            repeated: self.repeated > rare,
        };
    }

    /// Something odd was answered with success. What several callers are given is no longer odd.
    fn note(&mut self, sent: &Sent<'_>, visit: Visit) {
        let news = self.news.get_or_insert_default();
        let stale = news
            .first
            .is_some_and(|t| visit.at.secs() - t.secs() > 7 * DAY_SECS);
        if stale {
            **news = News::default();
        }
        let first = *news.first.get_or_insert(visit.at);
        news.seen = news.seen.saturating_add(1);
        news.callers |= 1 << (visit.caller % 64);
        news.kinds |= sent.kinds;
        news.length = news.length.max(sent.length);
        news.size = news.size.max(sent.size);
        news.repeated |= sent.repeated;
        let few = self.callers.count_ones() < CALLERS;
        let common =
            news.callers.count_ones() >= CALLERS || few && is_common(0, news.seen, first, visit.at);
        if !common {
            return;
        }
        // As much as it takes not to be rare.
        let enough = self.seen / RARE + news.seen;
        for (kind, n) in self.kinds.iter_mut().enumerate() {
            if news.kinds >> kind & 1 == 1 {
                *n = (*n).max(enough);
            }
        }
        self.repeated = self.repeated.max(enough * u32::from(news.repeated));
        raise(&mut self.lengths, news.length, enough);
        raise(&mut self.sizes, news.size / 2, enough);
        self.words.open = true;
        self.words.known.clear();
        self.news = None;
        self.review();
    }

    fn merge(&mut self, other: &Self) {
        self.accepted |= other.accepted;
        self.seen = self.seen.saturating_add(other.seen);
        self.first = self.first.min(other.first);
        self.callers |= other.callers;
        self.repeated = self.repeated.saturating_add(other.repeated);
        for (mine, theirs) in self.kinds.iter_mut().zip(other.kinds) {
            *mine = mine.saturating_add(theirs);
        }
        let lengths = self.lengths.iter_mut().zip(other.lengths);
        for (mine, theirs) in lengths.chain(self.sizes.iter_mut().zip(other.sizes)) {
            *mine = mine.saturating_add(theirs);
        }
        self.words.merge(&other.words);
        self.review();
    }
}

/// Several callers had it, or somebody all the time.
fn is_common(callers: u64, seen: u32, first: Timestamp, now: Timestamp) -> bool {
    let day = now.secs().saturating_sub(first.secs()) >= DAY_SECS;
    callers.count_ones() >= CALLERS || (seen >= OFTEN && day)
}

fn count(places: &mut [u16], bits: u8) {
    raise(places, bits, 1);
}

/// All are halved where one is full: what is rare is forgotten.
fn raise(places: &mut [u16], bits: u8, by: u32) {
    let at = usize::from(bits).min(places.len() - 1);
    let by = u16::try_from(by).unwrap_or(u16::MAX);
    if places[at].checked_add(by).is_none() {
        places.iter_mut().for_each(|n| *n /= 2);
    }
    places[at] = places[at].saturating_add(by);
}

/// The highest place that more than one of [`RARE`] reached.
fn top(places: &[u16]) -> u8 {
    let all: u32 = places.iter().map(|n| u32::from(*n)).sum();
    let mut above = 0;
    for (at, n) in places.iter().enumerate().rev() {
        above += u32::from(*n);
        if above > all / RARE {
            return at as u8;
        }
    }
    0
}

impl Words {
    fn take(&mut self, sent: &Sent<'_>) {
        if self.open {
            return;
        }
        let room = self.known.len() < MAX_WORDS;
        match self.known.iter_mut().find(|(hash, _)| *hash == sent.hash) {
            Some((_, n)) => *n = n.saturating_add(1),
            None if sent.word && room => {
                one_more(&mut self.known);
                self.known.push((sent.hash, 1));
            }
            None => self.close(),
        }
    }

    /// It takes other values, too.
    fn close(&mut self) {
        self.open = true;
        self.known = Vec::new();
    }

    /// Whether no other is to be expected. One alone is a default, not a choice.
    fn are_all(&self, seen: u32) -> bool {
        !self.open
            && self.known.len() > 1
            && seen >= WORDS_SETTLED
            && self.known.iter().all(|(_, n)| *n > 2)
    }

    fn merge(&mut self, other: &Self) {
        for (hash, n) in &other.known {
            match self.known.iter_mut().find(|(h, _)| h == hash) {
                Some((_, mine)) => *mine = mine.saturating_add(*n),
                None => self.known.push((*hash, *n)),
            }
        }
        if self.open || other.open || self.known.len() > MAX_WORDS {
            self.close();
        }
    }
}
