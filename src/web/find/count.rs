//! How many endpoints there are of each kind, for the facets beside the list.

use crate::web::index::{Index, Known, NONE, Names, Row};
use crate::web::search::{Bound, FACTS, Field, Value};

/// Risks that are counted together.
const BANDS: [(&str, u64, u64); 3] = [("high", 8, 10), ("medium", 5, 7), ("low", 1, 4)];

/// Counts by field; of names by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct Counts {
    facts: [usize; FACTS.len()],
    bands: [usize; BANDS.len()],
    hosts: Vec<usize>,
    methods: Vec<usize>,
    data: Vec<usize>,
    tags: Vec<usize>,
    owners: Vec<usize>,
}

/// One value of a field, how it is called, and how many there are.
pub(in crate::web) struct Counted {
    pub(in crate::web) value: Value,
    pub(in crate::web) name: String,
    pub(in crate::web) count: usize,
}

const fn mask(field: Field) -> u32 {
    let (mut mask, mut at) = (0, 0);
    while at < FACTS.len() {
        if FACTS[at].0 as usize == field as usize {
            mask |= 1 << at;
        }
        at += 1;
    }
    mask
}

/// The bits of the fields that are counted.
const COUNTED: u32 = mask(Field::Status)
    | mask(Field::Life)
    | mask(Field::Flag)
    | mask(Field::Kind)
    | mask(Field::Auth)
    | mask(Field::Exposure);

/// The fields that are counted, but for those of facts.
const NAMED: [Field; 6] = [
    Field::Risk,
    Field::Host,
    Field::Method,
    Field::Data,
    Field::Tag,
    Field::Owner,
];

impl Counts {
    pub(super) fn new(known: &Known) -> Self {
        Self {
            facts: [0; FACTS.len()],
            bands: [0; BANDS.len()],
            hosts: vec![0; known.hosts.len()],
            methods: vec![0; known.methods.len()],
            data: vec![0; known.data.len()],
            tags: vec![0; known.tags.len()],
            owners: vec![0; known.owners.len()],
        }
    }

    /// Counts for every field.
    pub(super) fn add(&mut self, index: &Index, row: &Row) {
        self.add_facts(row.facts & COUNTED);
        for field in NAMED {
            self.add_to(field, index, row);
        }
    }

    /// Counts for one field alone.
    pub(super) fn add_to(&mut self, field: Field, index: &Index, row: &Row) {
        match field {
            Field::Risk => {
                let band =
                    |(_, from, to): &(&str, u64, u64)| (*from..=*to).contains(&u64::from(row.risk));
                if let Some(at) = BANDS.iter().position(band) {
                    self.bands[at] += 1;
                }
            }
            Field::Host => self.hosts[row.host as usize] += 1,
            Field::Method => self.methods[row.method as usize] += 1,
            Field::Data => index
                .set(row.data)
                .iter()
                .for_each(|n| self.data[*n as usize] += 1),
            Field::Tag => index
                .set(row.tags)
                .iter()
                .for_each(|n| self.tags[*n as usize] += 1),
            Field::Owner if row.owner != NONE => self.owners[row.owner as usize] += 1,
            field => self.add_facts(row.facts & mask(field)),
        }
    }

    fn add_facts(&mut self, mut bits: u32) {
        while bits != 0 {
            self.facts[bits.trailing_zeros() as usize] += 1;
            bits &= bits - 1;
        }
    }

    /// The values of a field: of few in their order, of names those with the most first.
    pub(in crate::web) fn of(&self, field: Field, known: &Known) -> Vec<Counted> {
        match field {
            Field::Risk => {
                let bands = BANDS.iter().zip(self.bands);
                let counted = |(band, count): (&(&str, u64, u64), usize)| Counted {
                    value: Value::Number(Bound::Between(band.1, band.2)),
                    name: format!("{}: {} to {}", band.0, band.1, band.2),
                    count,
                };
                bands.map(counted).collect()
            }
            Field::Host => names(&known.hosts, &self.hosts),
            Field::Method => names(&known.methods, &self.methods),
            Field::Data => names(&known.data, &self.data),
            Field::Tag => names(&known.tags, &self.tags),
            Field::Owner => names(&known.owners, &self.owners),
            field => {
                let facts = FACTS.iter().zip(self.facts);
                let facts = facts.filter(|((of, _), _)| *of == field);
                facts.map(|((_, name), n)| counted(name, n)).collect()
            }
        }
    }
}

fn counted(name: &str, count: usize) -> Counted {
    Counted {
        value: Value::Word(name.to_owned()),
        name: name.to_owned(),
        count,
    }
}

/// Those that there are.
fn names(names: &Names, counts: &[usize]) -> Vec<Counted> {
    let all = names.iter().zip(counts).filter(|(_, n)| **n > 0);
    let mut all: Vec<_> = all.map(|(name, n)| counted(name, *n)).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all
}
