//! What takes a pass over a whole view, made once for all requests that read the same view.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

struct Kept<K, V> {
    /// It stands beside what was made of it, so that its address is never another view's.
    of: Arc<K>,
    made: Arc<V>,
    at: Instant,
}

struct State<K, V> {
    kept: Option<Kept<K, V>>,
    /// Somebody makes it anew.
    busy: bool,
}

pub(super) struct Beside<K, V>(Arc<Mutex<State<K, V>>>);

impl<K, V> Default for Beside<K, V> {
    fn default() -> Self {
        let (kept, busy) = (None, false);
        Self(Arc::new(Mutex::new(State { kept, busy })))
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Beside<K, V> {
    /// What `make` makes of the view. What was made of an earlier view is good enough for so long, by
    /// the wall, and after that while another thread makes it anew: only who comes first waits.
    pub(super) fn get(&self, view: &Arc<K>, good_for: Duration, make: fn(&K) -> V) -> Arc<V> {
        let mut state = lock(&self.0);
        if let Some(kept) = &state.kept {
            let made = kept.made.clone();
            if Arc::ptr_eq(&kept.of, view) || kept.at.elapsed() < good_for {
                return made;
            }
            if !good_for.is_zero() {
                if !std::mem::replace(&mut state.busy, true) {
                    let (state, view) = (self.0.clone(), view.clone());
                    std::thread::spawn(move || {
                        let made = Kept::new(&view, make);
                        *lock(&state) = State {
                            kept: Some(made),
                            busy: false,
                        };
                    });
                }
                return made;
            }
        }
        // Those that ask meanwhile wait for it rather than make it, too.
        let kept = state.kept.insert(Kept::new(view, make));
        kept.made.clone()
    }
}

impl<K, V> Kept<K, V> {
    fn new(view: &Arc<K>, make: fn(&K) -> V) -> Self {
        Self {
            of: view.clone(),
            made: Arc::new(make(view)),
            at: Instant::now(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_a_view() {
        let now = Duration::ZERO;
        let beside = Beside::default();
        let (one, two) = (Arc::new(1), Arc::new(1));
        let first = beside.get(&one, now, |n| n + 1);
        assert!(Arc::ptr_eq(&first, &beside.get(&one, now, |_| 0)));
        assert_eq!(*beside.get(&two, Duration::from_secs(3_600), |_| 0), 2);
        assert_eq!(*beside.get(&two, now, |_| 7), 7);
    }

    #[test]
    fn what_is_old_is_made_anew_behind_whoever_asks() {
        let beside = Beside::default();
        let (one, two) = (Arc::new(1), Arc::new(2));
        let soon = Duration::from_nanos(1);
        beside.get(&one, soon, |n| *n);
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(*beside.get(&two, soon, |n| *n), 1);
        while *beside.get(&two, soon, |n| *n) == 1 {
            std::thread::yield_now();
        }
        assert_eq!(*beside.get(&two, soon, |_| 0), 2);
    }
}
