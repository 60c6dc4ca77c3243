//! Who may come in: users and API tokens with their roles, sessions, limits on guessing, and the
//! record of who changed what.
//!
//! Rules only: no file, no socket, no clock. The store keeps accounts and records, the web room asks
//! who somebody is, and each says what time it is. Passwords and tokens are here for as long as it
//! takes to hash them; nothing here prints one, hashed or not.

mod accounts;
mod limit;
mod password;
mod record;
mod role;
mod secret;
mod sessions;
mod tally;

pub use accounts::{Accounts, Change, MAX_TOKENS, MAX_USERS, Token, User, check_name};
pub use limit::Limits;
pub use password::{Hash, MIN_PASSWORD, Password};
pub use record::{AuditView, By, Record, Trail};
pub use role::Role;
pub use secret::{Digest, Secret};
pub use sessions::{Opening, Session, Sessions, Times};
pub use tally::{Outcome, Tally};
