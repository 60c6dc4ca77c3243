//! apitap: a passive API monitor.
//!
//! Packets from a mirror port become HTTP exchanges, exchanges become an inventory of API
//! endpoints and a stream of alerts. Data flows one way through the rooms below; a room uses the
//! types of the rooms before it and knows nothing of those after it (`tests/architecture.rs`).

pub mod access;
pub mod alert;
pub mod analysis;
pub mod capture;
pub mod catalog;
pub mod cli;
pub mod compose;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod detect;
pub mod exchange;
pub mod export;
pub mod flow;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod observe;
pub mod sensor;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod tls;
pub mod web;
