//! (skeleton)
pub mod demo;
