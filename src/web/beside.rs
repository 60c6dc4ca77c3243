//! What takes a pass over a whole view, made once for all requests that read the same view.

use std::sync::{Arc, Mutex, PoisonError};

type Kept<K, V> = Option<(Arc<K>, Arc<V>)>;

/// The view it was made of stands beside it, so that an address is never taken for another view's.
pub(super) struct Beside<K, V>(Mutex<Kept<K, V>>);

impl<K, V> Default for Beside<K, V> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<K, V> Beside<K, V> {
    /// What `make` makes of the view. Those that ask meanwhile wait for it rather than make it, too.
    /// What was made of another view is good enough where `still` says so of the two.
    pub(super) fn get(
        &self,
        view: &Arc<K>,
        still: impl FnOnce(&K, &K) -> bool,
        make: impl FnOnce(&K) -> V,
    ) -> Arc<V> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, made)) = kept.as_ref()
            && (Arc::ptr_eq(of, view) || still(of, view))
        {
            return made.clone();
        }
        let made = Arc::new(make(view));
        *kept = Some((view.clone(), made.clone()));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_a_view() {
        let beside = Beside::default();
        let (one, two) = (Arc::new(1), Arc::new(1));
        let first = beside.get(&one, |_, _| false, |n| n + 1);
        assert!(Arc::ptr_eq(&first, &beside.get(&one, |_, _| false, |_| 0)));
        assert_eq!(*beside.get(&two, |_, _| true, |_| 0), 2);
        assert_eq!(*beside.get(&two, |_, _| false, |_| 7), 7);
    }
}
