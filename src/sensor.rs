//! Capture to exchange: decode, flows, HTTP and observation joined, and the ledger of all of it.

mod ledger;

pub use ledger::{Counters, Drops, Ledger, Stage};
