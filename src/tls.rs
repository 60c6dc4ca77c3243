//! TLS on the wire: what it shows to anyone, and what it holds for who has the keys.
//!
//! Sans-IO: two byte streams in; facts about the session and, with keys, the application's bytes
//! in order out. See [`Session`].

pub mod certificate;
mod cipher;
pub mod cursor;
mod facts;
mod follow;
mod half;
pub mod handshake;
pub mod hello;
pub mod ja4;
pub mod keylog;
mod negotiation;
pub mod quic;
pub mod record;
mod resync;
mod secrets;
mod session;
pub mod suite;
mod waiting;

#[cfg(test)]
pub(crate) mod tests;

pub use facts::Facts;
pub use keylog::{KeyError, KeyLog, KeyStore, Lines};
pub use session::{Counters, Event, MAX_HELD, Session, Shared, Sink};
pub use waiting::MAX_WAIT;
