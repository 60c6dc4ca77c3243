//! Users and API tokens, and the changes that are made to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, Hash, Record, Role};
use crate::time::Timestamp;

/// Users at most, and tokens.
pub const MAX_USERS: usize = 200;
pub const MAX_TOKENS: usize = 200;

/// Records that wait for the daemon to take them into its journal.
const UNTOLD: usize = 1_000;

/// Names that stand for something else in the audit.
const RESERVED: [&str; 3] = ["web", "api", "config"];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub role: Role,
    pub hash: Hash,
    #[serde(default)]
    pub disabled: bool,
    pub created: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub name: String,
    pub role: Role,
    pub digest: Digest,
    pub created: Timestamp,
    /// Who made it.
    pub by: String,
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// To the minute or so.
    #[serde(default)]
    pub used: Option<Timestamp>,
}

impl Token {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Everybody who may come in. By value: a reader has what held at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accounts {
    pub users: BTreeMap<String, User>,
    /// By an id that says nothing of the token.
    pub tokens: BTreeMap<String, Token>,
    /// What was done from the command line and is not in the daemon's journal yet.
    pub untold: Vec<Record>,
}

/// Passwords and tokens are hashed by the time they are in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    AddUser {
        name: String,
        role: Role,
        hash: Hash,
    },
    SetRole {
        name: String,
        role: Role,
    },
    SetDisabled {
        name: String,
        disabled: bool,
    },
    SetPassword {
        name: String,
        hash: Hash,
    },
    RemoveUser {
        name: String,
    },
    AddToken {
        name: String,
        role: Role,
        digest: Digest,
        expires: Option<Timestamp>,
        by: String,
    },
    /// By id, or by a name that only one has.
    RevokeToken {
        id: String,
    },
    /// No change that anybody made: not in the audit.
    Used(BTreeMap<String, Timestamp>),
}

impl Change {
    /// What it does, to which, and what else the audit has of it.
    pub fn about(&self) -> (&'static str, String, String) {
        let one = |action, name: &String| (action, name.clone(), String::new());
        match self {
            Self::AddUser { name, role, .. } => ("user.add", name.clone(), role.to_string()),
            Self::SetRole { name, role } => ("user.role", name.clone(), role.to_string()),
            Self::SetDisabled { name, disabled } => one(
                if *disabled {
                    "user.disable"
                } else {
                    "user.enable"
                },
                name,
            ),
            Self::SetPassword { name, .. } => one("user.password", name),
            Self::RemoveUser { name } => one("user.remove", name),
            Self::AddToken { name, role, .. } => ("token.add", name.clone(), role.to_string()),
            Self::RevokeToken { id } => one("token.revoke", id),
            Self::Used(_) => ("token.used", String::new(), String::new()),
        }
    }
}

/// Names of users and tokens: what reads the same everywhere.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._@-".contains(c);
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !first || name.len() > 64 || !name.chars().all(plain) {
        return Err(
            "a name has 1 to 64 of a-z 0-9 . _ @ - and begins with a letter or digit".into(),
        );
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "`{name}` stands for something else: take another name"
        ));
    }
    Ok(())
}

impl Accounts {
    /// Makes a change, or says why not; then nothing is changed.
    pub fn apply(&mut self, change: Change, now: Timestamp) -> Result<(), String> {
        match change {
            Change::AddUser { name, role, hash } => self.add_user(name, role, hash, now),
            Change::SetRole { name, role } => {
                self.leaves_an_admin(&name, role != Role::Admin)?;
                self.user(&name)?.role = role;
                Ok(())
            }
            Change::SetDisabled { name, disabled } => {
                self.leaves_an_admin(&name, disabled)?;
                self.user(&name)?.disabled = disabled;
                Ok(())
            }
            Change::SetPassword { name, hash } => {
                self.user(&name)?.hash = hash;
                Ok(())
            }
            Change::RemoveUser { name } => {
                self.leaves_an_admin(&name, true)?;
                self.user(&name)?;
                self.users.remove(&name);
                Ok(())
            }
            Change::AddToken {
                name,
                role,
                digest,
                expires,
                by,
            } => self.add_token(Token {
                name,
                role,
                digest,
                created: now,
                by,
                expires,
                used: None,
            }),
            Change::RevokeToken { id } => {
                let id = self.token_id(&id)?;
                self.tokens.remove(&id);
                Ok(())
            }
            Change::Used(times) => {
                for (id, at) in times {
                    if let Some(token) = self.tokens.get_mut(&id) {
                        token.used = token.used.max(Some(at));
                    }
                }
                Ok(())
            }
        }
    }

    /// Leaves word of a change for the daemon.
    pub fn leave_word(&mut self, record: Record) {
        if self.untold.len() < UNTOLD {
            self.untold.push(record);
        }
    }

    fn add_user(
        &mut self,
        name: String,
        role: Role,
        hash: Hash,
        created: Timestamp,
    ) -> Result<(), String> {
        check_name(&name)?;
        if self.users.contains_key(&name) {
            return Err(format!("there is a user `{name}` already"));
        }
        if self.users.len() >= MAX_USERS {
            return Err(format!("there are {MAX_USERS} users: remove one first"));
        }
        let user = User {
            role,
            hash,
            disabled: false,
            created,
        };
        self.users.insert(name, user);
        Ok(())
    }

    fn add_token(&mut self, token: Token) -> Result<(), String> {
        check_name(&token.name)?;
        if self.tokens.values().any(|t| t.name == token.name) {
            return Err(format!("there is a token `{}` already", token.name));
        }
        if self.tokens.len() >= MAX_TOKENS {
            return Err(format!("there are {MAX_TOKENS} tokens: revoke one first"));
        }
        if token.is_expired(token.created) {
            return Err("it would have expired already".into());
        }
        self.tokens.insert(token.digest.short().to_owned(), token);
        Ok(())
    }

    fn user(&mut self, name: &str) -> Result<&mut User, String> {
        let none = || format!("there is no user `{name}`");
        self.users.get_mut(name).ok_or_else(none)
    }

    fn token_id(&self, wanted: &str) -> Result<String, String> {
        let is_it = |(id, token): &(&String, &Token)| *id == wanted || token.name == wanted;
        let found = self.tokens.iter().find(is_it).map(|(id, _)| id.clone());
        found.ok_or_else(|| format!("there is no token `{wanted}`"))
    }

    /// The token that somebody shows. One that has expired is none.
    pub fn token(&self, shown: &str, now: Timestamp) -> Option<(&String, &Token)> {
        let digest = Digest::of(shown);
        let found = self.tokens.iter().find(|(_, t)| t.digest == digest);
        found.filter(|(_, t)| !t.is_expired(now))
    }

    /// Users who may sign in.
    pub fn enabled(&self, name: &str) -> Option<&User> {
        self.users.get(name).filter(|user| !user.disabled)
    }

    /// Whoever locks everybody out has to do it on the machine, by the file.
    fn leaves_an_admin(&self, without: &str, takes_away: bool) -> Result<(), String> {
        let admin = |user: &User| user.role == Role::Admin && !user.disabled;
        let is_one = self.users.get(without).is_some_and(admin);
        let others = self.users.iter().filter(|(name, _)| *name != without);
        if takes_away && is_one && !others.into_iter().any(|(_, user)| admin(user)) {
            return Err(format!("`{without}` is the last admin: add another first"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Secret;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn hash(text: &str) -> Hash {
        serde_json::from_value(text.into()).unwrap()
    }

    fn add(name: &str, role: Role) -> Change {
        Change::AddUser {
            name: name.into(),
            role,
            hash: hash("h"),
        }
    }

    fn token(name: &str, secret: &Secret, expires: Option<i64>) -> Change {
        Change::AddToken {
            name: name.into(),
            role: Role::Viewer,
            digest: secret.digest(),
            expires: expires.map(Timestamp::from_secs),
            by: "alice".into(),
        }
    }

    #[test]
    fn the_last_admin_stays() {
        let mut all = Accounts::default();
        all.apply(add("alice", Role::Admin), NOW).unwrap();
        all.apply(add("bob", Role::Viewer), NOW).unwrap();
        let name = || "alice".to_owned();
        let (role, disabled) = (Role::Viewer, true);
        let away = [
            Change::RemoveUser { name: name() },
            Change::SetRole { name: name(), role },
            Change::SetDisabled {
                name: name(),
                disabled,
            },
        ];
        for change in &away {
            let said = all.apply(change.clone(), NOW).unwrap_err();
            assert!(said.contains("last admin"), "{said}");
        }
        all.apply(add("carol", Role::Admin), NOW).unwrap();
        for change in away.into_iter().rev() {
            all.apply(change, NOW).unwrap();
        }
        assert!(!all.users.contains_key("alice"));
    }

    #[test]
    fn names_are_plain_and_taken_once() {
        let mut all = Accounts::default();
        all.apply(add("alice", Role::Viewer), NOW).unwrap();
        let wrong = [
            "alice", "", "Alice", "a b", "-a", "web", "é", "a\nb", "../x",
        ];
        for name in wrong.map(String::from).into_iter().chain(["a".repeat(65)]) {
            assert!(all.apply(add(&name, Role::Viewer), NOW).is_err(), "{name}");
        }
        for n in 1..MAX_USERS {
            all.apply(add(&format!("u{n}"), Role::Viewer), NOW).unwrap();
        }
        assert!(all.apply(add("more", Role::Viewer), NOW).is_err());
    }

    #[test]
    fn a_token_opens_until_it_expires_or_is_revoked() {
        let mut all = Accounts::default();
        let (ci, grafana) = (Secret::token().unwrap(), Secret::token().unwrap());
        all.apply(token("ci", &ci, Some(2_000)), NOW).unwrap();
        all.apply(token("grafana", &grafana, None), NOW).unwrap();
        assert!(all.apply(token("ci", &ci, None), NOW).is_err());
        assert!(all.apply(token("old", &ci, Some(1_000)), NOW).is_err());
        let opens = |all: &Accounts, secret: &Secret, at| {
            all.token(secret.reveal(), Timestamp::from_secs(at))
                .is_some()
        };
        assert!(opens(&all, &ci, 1_999) && !opens(&all, &ci, 2_000));
        assert!(opens(&all, &grafana, 2_000));
        let id = grafana.digest().short().to_owned();
        let used = Change::Used([(id.clone(), NOW)].into());
        all.apply(used, NOW).unwrap();
        assert_eq!(all.tokens[&id].used, Some(NOW));
        all.apply(Change::RevokeToken { id }, NOW).unwrap();
        assert!(!opens(&all, &grafana, 1_500));
        let id = "ci".into();
        all.apply(Change::RevokeToken { id }, NOW).unwrap();
        assert!(all.tokens.is_empty());
    }

    #[test]
    fn no_secret_is_printed() {
        let mut all = Accounts::default();
        all.apply(add("alice", Role::Admin), NOW).unwrap();
        let secret = Secret::token().unwrap();
        let change = token("ci", &secret, None);
        let mut shown = format!("{change:?} {:?}", change.about());
        all.apply(change, NOW).unwrap();
        shown += &format!("{all:?}");
        assert!(!shown.contains(secret.reveal()) && !shown.contains("\"h\""));
        let saved = serde_json::to_string(&all).unwrap();
        assert!(!saved.contains(secret.reveal()));
    }
}
