//! What takes a pass over a whole view, made once for all requests that read the same view.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

struct Kept<K, V> {
    /// It stands beside what was made of it, so that its address is never another view's.
    of: Arc<K>,
    made: Arc<V>,
    at: Instant,
}

pub(super) struct Beside<K, V>(Mutex<Option<Kept<K, V>>>);

impl<K, V> Default for Beside<K, V> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<K, V> Beside<K, V> {
    /// What `make` makes of the view. Those that ask meanwhile wait for it rather than make it, too.
    /// What was made of an earlier view is good enough for so long, by the wall.
    pub(super) fn get(
        &self,
        view: &Arc<K>,
        good_for: Duration,
        make: impl FnOnce(&K) -> V,
    ) -> Arc<V> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && (Arc::ptr_eq(&kept.of, view) || kept.at.elapsed() < good_for)
        {
            return kept.made.clone();
        }
        let made = Arc::new(make(view));
        *kept = Some(Kept {
            of: view.clone(),
            made: made.clone(),
            at: Instant::now(),
        });
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_a_view() {
        let (now, long) = (Duration::ZERO, Duration::from_secs(3_600));
        let beside = Beside::default();
        let (one, two) = (Arc::new(1), Arc::new(1));
        let first = beside.get(&one, now, |n| n + 1);
        assert!(Arc::ptr_eq(&first, &beside.get(&one, now, |_| 0)));
        assert_eq!(*beside.get(&two, long, |_| 0), 2);
        assert_eq!(*beside.get(&two, now, |_| 7), 7);
    }
}
