//! What people decided of path segments: this word is a route of its own, or it is a value.
//!
//! A decision names its place by the template before it, with every parameter as `{}`, so that it
//! outlives renamed parameters and nodes that come and go. It wins over all evidence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::segment;

/// Decisions kept at most; more are refused.
pub(super) const MAX_PINS: usize = 10_000;

/// What a person says of a word at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pinned {
    /// A route of its own, also beside a parameter.
    Route,
    /// A value of the place's parameter.
    Value,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub host: String,
    /// The template before the word, `/v1/users` or `/repos/{owner}`; empty for the first segment.
    pub place: String,
    pub word: String,
    pub is: Pinned,
}

/// All decisions, by host, place and folded word.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pins(BTreeMap<String, BTreeMap<String, BTreeMap<String, Pinned>>>);

impl Pins {
    /// Takes a decision, or takes it back with `None`. False: there are too many.
    pub(super) fn set(&mut self, host: &str, place: &str, word: &str, is: Option<Pinned>) -> bool {
        let (place, word) = (normal(place), segment::fold(word).into_owned());
        let Some(is) = is else {
            if let Some(places) = self.0.get_mut(host) {
                if let Some(words) = places.get_mut(&place) {
                    words.remove(&word);
                }
                places.retain(|_, words| !words.is_empty());
            }
            self.0.retain(|_, places| !places.is_empty());
            return true;
        };
        if self.iter().count() >= MAX_PINS {
            return false;
        }
        let places = self.0.entry(host.to_owned()).or_default();
        places.entry(place).or_default().insert(word, is);
        true
    }

    /// Adds another inventory's decisions; what stands here stays.
    pub(super) fn merge(&mut self, other: &Self) {
        for pin in other.iter() {
            let known = self.at(&pin.host, &pin.place);
            if known.is_none_or(|words| !words.contains_key(&pin.word)) {
                self.set(&pin.host, &pin.place, &pin.word, Some(pin.is));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was decided at one place, by folded word.
    pub(super) fn at(&self, host: &str, place: &str) -> Option<&BTreeMap<String, Pinned>> {
        self.0.get(host)?.get(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Pin> {
        self.0.iter().flat_map(|(host, places)| {
            places.iter().flat_map(move |(place, words)| {
                words.iter().map(move |(word, is)| Pin {
                    host: host.clone(),
                    place: place.clone(),
                    word: word.clone(),
                    is: *is,
                })
            })
        })
    }
}

/// A place as it is kept: static words folded, parameters without their names.
pub(super) fn normal(place: &str) -> String {
    let mut out = String::new();
    for part in place.split('/').filter(|part| !part.is_empty()) {
        out.push('/');
        match part.starts_with('{') {
            true => out.push_str("{}"),
            false => out.push_str(&segment::fold(part)),
        }
    }
    out
}
