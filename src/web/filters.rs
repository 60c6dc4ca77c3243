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

/// How a risk of 1 to 10 is shown.
#[askama::filter_fn]
pub(super) fn tone(risk: &u8, _: &dyn askama::Values) -> askama::Result<&'static str> {
    Ok(match risk {
        8.. => "high",
        5..=7 => "medium",
        _ => "low",
    })
}

/// `wrong-type` in words.
#[askama::filter_fn]
pub(super) fn spaced<T: Display>(n: T, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(n.to_string().replace('-', " "))
}
