//! Sessions: in memory, bounded, over after a time without use and after a time whatever happens.
//!
//! A session that was opened by a password is good for that password: it holds the hash that it was
//! opened with, and whoever asks compares it with the account's. So a new password, wherever it was
//! set, ends all older sessions, and nothing has to be told about it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Digest, Hash, Role, Secret};
use crate::time::Timestamp;

/// Sessions at most; past it the one used longest ago goes.
const SESSIONS: usize = 10_000;

/// Of one name.
const EACH: usize = 20;

/// Characters kept of a browser's name for itself.
const AGENT: usize = 200;

/// When a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Without use for so long.
    pub idle: Duration,
    /// After so long, used or not.
    pub life: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(2 * 3_600),
            life: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Who signed in, and how.
pub struct Opening {
    pub name: Arc<str>,
    /// Holds where there is no `hash`; else the account's does, which may change.
    pub role: Role,
    /// As the page of sessions has it: `password`.
    pub method: &'static str,
    /// Of the password that opened it.
    pub hash: Option<Hash>,
    /// The address, and what the browser calls itself.
    pub from: String,
    pub agent: String,
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Session {
    /// Names it without opening it.
    pub id: String,
    pub name: Arc<str>,
    pub role: Role,
    pub method: &'static str,
    pub hash: Option<Hash>,
    /// What its forms must carry.
    pub csrf: Arc<str>,
    pub from: String,
    pub agent: String,
    pub opened: Timestamp,
    /// By the clock of `now`.
    began: Duration,
    used: Duration,
}

impl Session {
    /// How long ago it was used.
    pub fn idle(&self, now: Duration) -> Duration {
        now.saturating_sub(self.used)
    }

    fn is_over(&self, now: Duration, times: Times) -> bool {
        self.idle(now) >= times.idle || now.saturating_sub(self.began) >= times.life
    }
}

/// `now` counts up from whatever moment; it never goes back.
#[derive(Debug, Default)]
pub struct Sessions {
    times: Times,
    open: HashMap<Digest, Session>,
}

impl Sessions {
    pub fn new(times: Times) -> Self {
        let open = HashMap::new();
        Self { times, open }
    }

    /// A new session; the secret is for its cookie, and is kept nowhere. Whatever way somebody
    /// signs in ends here.
    pub fn open(&mut self, now: Duration, who: Opening) -> Result<Secret, String> {
        let (secret, csrf) = (Secret::random()?, Secret::random()?);
        let digest = secret.digest();
        let session = Session {
            id: digest.short().to_owned(),
            csrf: csrf.reveal().into(),
            name: who.name,
            role: who.role,
            method: who.method,
            hash: who.hash,
            from: who.from,
            agent: who.agent.chars().take(AGENT).collect(),
            opened: who.at,
            began: now,
            used: now,
        };
        self.make_room(now, &session.name);
        self.open.insert(digest, session);
        Ok(secret)
    }

    fn make_room(&mut self, now: Duration, name: &str) {
        let times = self.times;
        let of_name = |s: &Session| &*s.name == name;
        if self.open.len() >= SESSIONS || self.open.values().filter(|s| of_name(s)).count() >= EACH
        {
            self.open.retain(|_, s| !s.is_over(now, times));
        }
        while self.open.values().filter(|s| of_name(s)).count() >= EACH {
            self.close_oldest(of_name);
        }
        while self.open.len() >= SESSIONS {
            self.close_oldest(|_| true);
        }
    }

    fn close_oldest(&mut self, among: impl Fn(&Session) -> bool) {
        let among = self.open.iter().filter(|(_, s)| among(s));
        let oldest = among.min_by_key(|(_, s)| s.used).map(|(d, _)| d.clone());
        if let Some(digest) = oldest {
            self.open.remove(&digest);
        }
    }

    /// The session of a cookie. `used`: a person did something, and no page by itself.
    pub fn find(&mut self, now: Duration, cookie: &str, used: bool) -> Option<Session> {
        let digest = Digest::of(cookie);
        let session = self.open.get_mut(&digest)?;
        if session.is_over(now, self.times) {
            self.open.remove(&digest);
            return None;
        }
        if used {
            session.used = now;
        }
        Some(session.clone())
    }

    /// How many are open.
    pub fn count(&self, now: Duration) -> usize {
        let open = self.open.values();
        open.filter(|s| !s.is_over(now, self.times)).count()
    }

    /// Those of one name, used last first.
    pub fn of(&self, now: Duration, name: &str) -> Vec<Session> {
        let mine = self.open.values().filter(|s| &*s.name == name);
        let mine = mine.filter(|s| !s.is_over(now, self.times));
        let mut mine: Vec<Session> = mine.cloned().collect();
        mine.sort_by_key(|s| (std::cmp::Reverse(s.used), s.id.clone()));
        mine
    }

    /// Ends those of a name that are meant; says how many.
    pub fn close(&mut self, name: &str, meant: impl Fn(&Session) -> bool) -> usize {
        let before = self.open.len();
        self.open.retain(|_, s| &*s.name != name || !meant(s));
        before - self.open.len()
    }

    /// The session goes on with its owner's new password, all others of the name end.
    pub fn renew(&mut self, name: &str, id: &str, hash: &Hash) {
        self.close(name, |s| s.id != id);
        for session in self.open.values_mut().filter(|s| s.id == id) {
            session.hash = Some(hash.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn opening(name: &str) -> Opening {
        Opening {
            name: name.into(),
            role: Role::Analyst,
            method: "password",
            hash: None,
            from: "10.0.0.1".into(),
            agent: "x".repeat(5_000),
            at: Timestamp::default(),
        }
    }

    #[test]
    fn a_session_lasts_while_it_is_used_and_not_for_ever() {
        let mut sessions = Sessions::default();
        let secret = sessions.open(HOUR, opening("alice")).unwrap();
        let mut find = |at: u32, used| sessions.find(HOUR * at, secret.reveal(), used).is_some();
        // Used each hour from 1 to 24; what a page does by itself is no use.
        assert!((1..25).all(|at| find(at, true)));
        assert!(!find(25, true), "a day is over");
        let secret = sessions.open(HOUR, opening("alice")).unwrap();
        let mut find = |at: u32, used| sessions.find(HOUR * at, secret.reveal(), used).is_some();
        assert!(find(2, false) && !find(3, false), "two hours without use");
        assert!(sessions.open.is_empty());
    }

    #[test]
    fn a_cookie_finds_its_own_session_and_nothing_else_does() {
        let mut sessions = Sessions::default();
        let alice = sessions.open(HOUR, opening("alice")).unwrap();
        let bob = sessions.open(HOUR, opening("bob")).unwrap();
        let found = sessions.find(HOUR, alice.reveal(), true).unwrap();
        assert_eq!((&*found.name, found.agent.len()), ("alice", AGENT));
        assert!(sessions.find(HOUR, &found.id, true).is_none());
        assert!(sessions.find(HOUR, "", true).is_none());
        assert!(!format!("{sessions:?}").contains(alice.reveal()));
        assert_eq!(sessions.close("alice", |s| s.id == found.id), 1);
        assert!(sessions.find(HOUR, alice.reveal(), true).is_none());
        assert!(sessions.find(HOUR, bob.reveal(), true).is_some());
        assert_eq!((sessions.count(HOUR), sessions.count(HOUR * 9)), (1, 0));
    }

    #[test]
    fn a_new_password_ends_the_others() {
        let mut sessions = Sessions::default();
        let (one, two) = (
            sessions.open(HOUR, opening("alice")).unwrap(),
            sessions.open(HOUR, opening("alice")).unwrap(),
        );
        let id = sessions.find(HOUR, one.reveal(), true).unwrap().id;
        let hash: Hash = serde_json::from_str("\"new\"").unwrap();
        sessions.renew("alice", &id, &hash);
        assert!(sessions.find(HOUR, two.reveal(), true).is_none());
        let kept = sessions.find(HOUR, one.reveal(), true).unwrap();
        assert_eq!(kept.hash, Some(hash));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut sessions = Sessions::default();
        let first = sessions.open(HOUR, opening("alice")).unwrap();
        for n in 0..EACH {
            let later = HOUR + Duration::from_secs(1 + n as u64);
            sessions.open(later, opening("alice")).unwrap();
        }
        assert_eq!(sessions.of(HOUR, "alice").len(), EACH);
        assert!(sessions.find(HOUR, first.reveal(), true).is_none());
        for n in 0..SESSIONS + 10 {
            sessions.open(HOUR, opening(&n.to_string())).unwrap();
        }
        assert_eq!(sessions.open.len(), SESSIONS);
    }
}
