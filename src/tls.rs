//! TLS on the wire: what it shows to anyone, and what it holds for who has the keys.
//!
//! Sans-IO: two byte streams in; facts about the session and, with keys, the application's bytes
//! in order out.

pub mod certificate;
mod cipher;
pub mod cursor;
pub mod handshake;
pub mod hello;
pub mod ja4;
pub mod keylog;
pub mod record;
pub mod secrets;
pub mod suite;
