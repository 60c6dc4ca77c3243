//! Lists of alerts and incidents, ready to be asked: what a search looks in, what facets count and
//! the orders are made once for each view of the alerts, so that a request neither sorts nor
//! lower-cases the whole.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use super::cursor::{self, Mark, greatest};
use super::export;
use super::query::Page;
use super::triage::{Filter, Question, STAGES, Stage};
use crate::alert::{Alert, AlertsView, Incident};
use crate::catalog::owasp;

/// Values of a facet that a page shows; the one that is chosen always is.
pub(super) const TOP: usize = 8;

/// What an item of a list says of itself.
pub(super) trait Listed {
    /// What cursors call the list.
    const LIST: &'static str;
    /// Names of its parts: all of them are searched and are filters.
    const PARTS: &'static [&'static str];

    fn id(&self) -> &str;
    /// All that one of its parts is.
    fn each<'a>(&'a self, part: &str, say: &mut dyn FnMut(&'a str));
    /// What else a search looks in.
    fn words(&self) -> String;
    fn stage(&self) -> Stage;
    /// First and last seen, in nanoseconds.
    fn span(&self) -> (i64, i64);
    /// By what it is sorted, greatest first; then by when it was seen last, where it is sorted by
    /// something at all.
    fn rank(&self, sort: &str) -> i64;
}

/// One part of all items: which of the values each has.
#[derive(Default)]
struct Column {
    values: Vec<Box<str>>,
    /// Without regard to case.
    lower: Vec<Box<str>>,
    /// Item n has `of[ends[n - 1]..ends[n]]`.
    of: Vec<u32>,
    ends: Vec<u32>,
}

impl Column {
    fn new<T: Listed>(items: &[Arc<T>], part: &str) -> Self {
        let mut column = Self::default();
        let mut known: HashMap<&str, u32, foldhash::fast::RandomState> = HashMap::default();
        for item in items {
            item.each(part, &mut |value| {
                let next = known.len() as u32;
                let id = *known.entry(value).or_insert(next);
                if id == next {
                    column.values.push(value.into());
                }
                column.of.push(id);
            });
            column.ends.push(column.of.len() as u32);
        }
        let lower = column.values.iter().map(|v| v.to_lowercase().into());
        column.lower = lower.collect();
        column
    }

    fn of(&self, item: usize) -> &[u32] {
        let from = item.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.of[from as usize..self.ends[item] as usize]
    }

    /// For each value whether a filter takes it.
    fn taken(&self, part: &str, filter: &str) -> Vec<bool> {
        let is = |value: &str| match part {
            "owasp" => owasp::matches(filter, value),
            _ => filter.eq_ignore_ascii_case(value),
        };
        self.values.iter().map(|value| is(value)).collect()
    }

    /// For each value whether a word is part of it.
    fn with(&self, word: &str) -> Vec<bool> {
        self.lower
            .iter()
            .map(|value| value.contains(word))
            .collect()
    }

    fn has(&self, item: usize, taken: &[bool]) -> bool {
        self.of(item).iter().any(|value| taken[*value as usize])
    }
}

/// All items of one kind in one view.
pub(super) struct Index<T> {
    items: Vec<Arc<T>>,
    words: Vec<String>,
    columns: Vec<Column>,
    by_id: HashMap<String, u32, foldhash::fast::RandomState>,
    /// By sort, made when it is asked for first.
    orders: [OnceLock<Vec<u32>>; SORTS.len()],
}

/// Orders of a list; the first is that of the view.
pub(super) const SORTS: [&str; 6] = ["", "last", "severity", "first", "occurrences", "score"];

/// What a list answers.
pub(super) struct Found<'a, T> {
    index: &'a Index<T>,
    /// Places of all that match, in the order that was asked for.
    order: Vec<u32>,
    /// By part and value, each counted without its own filter.
    counts: Vec<Vec<u32>>,
    /// By stage, counted without it.
    pub(super) stages: [usize; STAGES.len()],
}

impl<T: Listed> Index<T> {
    fn new(items: &[Arc<T>]) -> Self {
        let by_id = items.iter().enumerate();
        Self {
            words: items.iter().map(|i| i.words().to_lowercase()).collect(),
            columns: T::PARTS.iter().map(|p| Column::new(items, p)).collect(),
            by_id: by_id.map(|(n, i)| (i.id().to_owned(), n as u32)).collect(),
            orders: Default::default(),
            items: items.to_vec(),
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<T>> {
        self.items.get(*self.by_id.get(id)? as usize)
    }

    fn order(&self, sort: &str) -> &[u32] {
        let at = SORTS.iter().position(|s| *s == sort).unwrap_or(0);
        self.orders[at].get_or_init(|| {
            let mut order: Vec<u32> = (0..self.items.len() as u32).collect();
            order.sort_by_cached_key(|n| self.place(*n, SORTS[at]));
            order
        })
    }

    /// By what an item stands where it does.
    fn place(&self, item: u32, sort: &str) -> ([u64; 2], &str) {
        let item = &self.items[item as usize];
        let then = match sort {
            "" => 0,
            _ => greatest(item.span().1),
        };
        ([greatest(item.rank(sort)), then], item.id())
    }

    /// Looks at each item once.
    pub(super) fn find(&self, asked: &Question) -> Found<'_, T> {
        let filters: Vec<Option<Vec<bool>>> = (self.columns.iter().zip(T::PARTS))
            .map(|(column, part)| {
                let filter = asked.filter.part(part);
                (!filter.is_empty()).then(|| column.taken(part, filter))
            })
            .collect();
        let words: Vec<(&str, Vec<Vec<bool>>)> = (asked.words.iter())
            .map(|w| (w.as_str(), self.columns.iter().map(|c| c.with(w)).collect()))
            .collect();
        let mut found = Found {
            index: self,
            order: Vec::new(),
            counts: (self.columns.iter())
                .map(|c| vec![0; c.values.len()])
                .collect(),
            stages: [0; STAGES.len()],
        };
        let mut matches = vec![false; self.items.len()];
        for (n, item) in self.items.iter().enumerate() {
            if !asked.is_in_time(item.span()) || !self.says(n, &words) {
                continue;
            }
            let misses = |(at, column): (usize, &Column)| {
                let taken = filters[at].as_ref()?;
                (!column.has(n, taken)).then_some(at)
            };
            let mut missed = self.columns.iter().enumerate().filter_map(misses);
            let (first, more) = (missed.next(), missed.next().is_some());
            let stage = item.stage();
            let in_stage = asked.filter.stage().takes(stage);
            matches[n] = first.is_none() && in_stage;
            if first.is_none() {
                for (count, of) in found.stages.iter_mut().zip(STAGES) {
                    *count += usize::from(of.takes(stage));
                }
            }
            if more || !in_stage {
                continue;
            }
            for (at, column) in self.columns.iter().enumerate() {
                if first.is_none_or(|only| only == at) {
                    for value in column.of(n) {
                        found.counts[at][*value as usize] += 1;
                    }
                }
            }
        }
        let order = self.order(&asked.filter.sort).iter();
        found.order = order.filter(|n| matches[**n as usize]).copied().collect();
        found
    }

    /// Whether each word is somewhere in it.
    fn says(&self, item: usize, words: &[(&str, Vec<Vec<bool>>)]) -> bool {
        words.iter().all(|(word, parts)| {
            let mut columns = self.columns.iter().zip(parts);
            self.words[item].contains(word) || columns.any(|(c, with)| c.has(item, with))
        })
    }
}

impl<T: Listed> Found<'_, T> {
    pub(super) fn total(&self) -> usize {
        self.order.len()
    }

    pub(super) fn all(&self) -> Vec<Arc<T>> {
        let items = self.order.iter().map(|n| &self.index.items[*n as usize]);
        items.cloned().collect()
    }

    /// How many, and which: the same text for the same items, whatever their order.
    pub(super) fn stamp(&self) -> String {
        let hashes = self.order.iter().map(|n| {
            let id = self.index.items[*n as usize].id();
            foldhash::fast::FixedState::default().hash_one(id)
        });
        let which = hashes.fold(0, u64::wrapping_add);
        format!("{}-{which:016x}", self.total())
    }

    /// As it goes out.
    pub(super) fn part(&self, filter: &Filter) -> Page<T> {
        let at = (filter.cursor.as_str(), filter.limit);
        export::part(at, || self.page(filter), || self.all())
    }

    /// The page behind the cursor; from the start where it is lost.
    pub(super) fn page(&self, filter: &Filter) -> Page<T> {
        let sort = SORTS.into_iter().find(|sort| *sort == filter.sort);
        let sort = sort.unwrap_or_default();
        let mark = |n: &u32| {
            let (ranks, id) = self.index.place(*n, sort);
            Mark::new(ranks, &[id])
        };
        let at = (filter.cursor.as_str(), filter.limit);
        let cut = cursor::cut(&self.order, &format!("{} {sort}", T::LIST), at, mark);
        let items = self.order[cut.range].iter();
        Page {
            items: items
                .map(|n| self.index.items[*n as usize].clone())
                .collect(),
            next: cut.next,
            total: self.order.len(),
            lost: cut.lost,
        }
    }

    /// The values of a part with their counts, the most frequent first, and how many more there are.
    pub(super) fn counted(&self, part: &str, chosen: &str) -> (Vec<(&str, u32)>, usize) {
        let Some(at) = T::PARTS.iter().position(|p| *p == part) else {
            return (Vec::new(), 0);
        };
        let values = self.index.columns[at].values.iter().map(AsRef::as_ref);
        let mut all: Vec<(&str, u32)> = values.zip(self.counts[at].iter().copied()).collect();
        all.retain(|(value, n)| *n > 0 || (!chosen.is_empty() && *value == chosen));
        all.sort_unstable_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
        let most = all.len().min(TOP);
        // What is chosen is seen, however rare it is.
        if let Some(at) = all.iter().position(|(value, _)| *value == chosen)
            && at >= most
        {
            all.swap(at, most - 1);
        }
        let more = all.len() - most;
        all.truncate(most);
        (all, more)
    }
}

/// The lists of one view of the alerts, each made when it is asked for first.
pub(super) struct Lists {
    view: AlertsView,
    alerts: OnceLock<Index<Alert>>,
    incidents: OnceLock<Index<Incident>>,
}

impl Lists {
    pub(super) fn new(view: &AlertsView) -> Self {
        Self {
            view: view.clone(),
            alerts: OnceLock::new(),
            incidents: OnceLock::new(),
        }
    }

    pub(super) fn alerts(&self) -> &Index<Alert> {
        self.alerts.get_or_init(|| Index::new(&self.view.alerts))
    }

    pub(super) fn incidents(&self) -> &Index<Incident> {
        self.incidents
            .get_or_init(|| Index::new(&self.view.incidents))
    }
}

#[cfg(test)]
mod tests;
