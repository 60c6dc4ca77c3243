//! Askama's filters of our own.
#![expect(unreachable_pub, reason = "what the macro writes")]

use std::fmt::Display;

use crate::sensor::doctor;

/// `12,345`; what is no whole number stays as it is.
#[askama::filter_fn]
pub(super) fn grouped<T: Display>(n: T, _: &dyn askama::Values) -> askama::Result<String> {
    let text = n.to_string();
    Ok(text.parse().map_or(text, doctor::grouped))
}
