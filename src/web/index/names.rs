//! Names by numbers, and numbers by names.

use std::collections::HashMap;
use std::sync::Arc;

/// The number of no name.
pub(in crate::web) const NONE: u32 = u32::MAX;

/// A copy is cheap, and shares its names until one of the two learns another.
#[derive(Clone, Default)]
pub(in crate::web) struct Names(Arc<Both>);

#[derive(Clone, Default)]
struct Both {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Names {
    /// The number of a name, which gets one where it has none.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.0.numbers.get(name) {
            return *number;
        }
        let both = Arc::make_mut(&mut self.0);
        let (number, name): (u32, Arc<str>) = (both.names.len() as u32, name.into());
        both.names.push(name.clone());
        both.numbers.insert(name, number);
        number
    }

    pub(in crate::web) fn len(&self) -> usize {
        self.0.names.len()
    }

    /// In the order of their numbers.
    pub(in crate::web) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(|name| &**name)
    }
}
