//! What a page is asked for in its URL. A slip that the API refuses is passed over here, since a page
//! is better than none; but it is said on the page, which would else show something else than what was
//! asked for.

use axum::extract;
use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use axum::http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::api::extract::faults;

/// Slips that a page names.
const NAMED: usize = 5;
/// Characters of a parameter's name that it shows.
const NAME: usize = 60;

/// A parameter, and why it was passed over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slip {
    pub(super) name: String,
    pub(super) why: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Slips(pub(super) Vec<Slip>);

/// The parameters of a page, as far as they are understood, and those that are not.
pub(super) struct Asked<T>(pub(super) T, pub(super) Slips);

impl<T, S> FromRequestParts<S> for Asked<T>
where
    T: DeserializeOwned + JsonSchema + 'static,
    S: Sync,
{
    type Rejection = QueryRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, QueryRejection> {
        let extract::Query(read) = extract::Query::try_from_uri(&parts.uri)?;
        let mut slips = Slips::default();
        for (name, why) in faults::<T>(parts.uri.query().unwrap_or_default()) {
            slips.add(&name, &why);
        }
        Ok(Self(read, slips))
    }
}

impl Slips {
    pub(super) fn add(&mut self, name: &str, why: &str) {
        if self.0.len() < NAMED {
            self.0.push(Slip {
                name: name.chars().take(NAME).collect(),
                why: why.to_owned(),
            });
        }
    }

    /// Without those of parameters that this page has beside the list's.
    pub(super) fn but(mut self, known: &[&str]) -> Self {
        self.0.retain(|slip| !known.contains(&slip.name.as_str()));
        self
    }

    /// Where the cursor is lost, the page is the first.
    pub(super) fn lost(mut self, lost: bool) -> Self {
        if lost {
            let why = "it is of another list or order; this is the first page";
            self.add("cursor", why);
        }
        self
    }
}
