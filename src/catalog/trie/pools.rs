//! Evidence that one place lends to another: words that are values or routes elsewhere, collections
//! whose members were told from routes elsewhere, and how this API spells its routes and its values.

use std::collections::{HashMap, HashSet};

/// What stands before a place: its word, and whether parameters lie between.
pub(super) type Before = (u32, bool);

/// Bits that one word's spelling is worth, for and against.
const STYLE: (f64, f64) = (0.7, 3.0);
/// Values and routes that must be known before their spelling says anything.
const KNOWN: (usize, usize) = (20, 10);

#[derive(Default)]
pub(super) struct Pools {
    values: HashMap<u32, HashSet<Before>>,
    routes: HashMap<u32, HashSet<Before>>,
    /// Places behind a word, and those of them with a parameter.
    behind: HashMap<Before, (u32, u32)>,
    value_style: Style,
    route_style: Style,
}

impl Pools {
    pub(super) fn value(&mut self, word: u32, before: Before) {
        self.values.entry(word).or_default().insert(before);
    }

    pub(super) fn route(&mut self, word: u32, before: Before) {
        self.routes.entry(word).or_default().insert(before);
    }

    pub(super) fn place(&mut self, before: Before, parameter: bool) {
        let (all, with) = self.behind.entry(before).or_default();
        *all += 1;
        *with += u32::from(parameter);
    }

    pub(super) fn spelt<'a>(
        &mut self,
        values: impl Iterator<Item = &'a str>,
        routes: impl Iterator<Item = &'a str>,
    ) {
        values.for_each(|word| self.value_style.take(word));
        routes.for_each(|word| self.route_style.take(word));
    }

    /// Bits for the word to be a value, by where else it stands.
    pub(super) fn word(&self, word: u32, here: Before) -> f64 {
        let values = self.values.get(&word).map_or(0, HashSet::len);
        let routes = self.routes.get(&word);
        let elsewhere = routes.map_or(0, |r| r.len() - usize::from(r.contains(&here)));
        let bits = |n: usize| (1.0 + n as f64).log2();
        (1.5 * (bits(values) - bits(elsewhere))).clamp(-3.0, 3.0)
    }

    /// Bits for a place to hold a parameter, by what stands behind the same word elsewhere.
    pub(super) fn collection(&self, before: Before) -> f64 {
        let (all, with) = self.behind.get(&before).copied().unwrap_or_default();
        let (all, with) = (f64::from(all), f64::from(with));
        (2.0 * (1.0 + with).log2()).min(4.0) * with / all.max(1.0)
    }

    /// Bits for the word to be a value, by its spelling.
    pub(super) fn style(&self, word: &str) -> f64 {
        let (values, routes) = (&self.value_style, &self.route_style);
        if (values.words as usize) < KNOWN.0 || (routes.words as usize) < KNOWN.1 {
            return 0.0;
        }
        let each = features(word).into_iter().enumerate();
        let bits: f64 = each
            .map(|(at, is)| values.bits(at, is) - routes.bits(at, is))
            .sum();
        (0.7 * bits).clamp(-STYLE.0, STYLE.1)
    }
}

/// How many words have each feature.
#[derive(Default)]
struct Style {
    words: u32,
    with: [[u32; 4]; FEATURES],
}

const FEATURES: usize = 7;

impl Style {
    fn take(&mut self, word: &str) {
        self.words += 1;
        for (counts, is) in self.with.iter_mut().zip(features(word)) {
            counts[is] += 1;
        }
    }

    fn bits(&self, feature: usize, is: usize) -> f64 {
        (f64::from(self.with[feature][is] + 1) / f64::from(self.words + 4)).log2()
    }
}

fn features(word: &str) -> [usize; FEATURES] {
    let has = |is: fn(char) -> bool| usize::from(word.contains(is));
    let length = match word.chars().count() {
        0..=4 => 0,
        5..=9 => 1,
        10..=15 => 2,
        _ => 3,
    };
    [
        has(|c| c == '-'),
        has(|c| c == '_'),
        has(|c| c == '.'),
        has(char::is_uppercase),
        has(|c| c.is_ascii_digit()),
        length,
        usize::from(word.starts_with(char::is_alphabetic)),
    ]
}
