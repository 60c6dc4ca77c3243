//! Who asks: the person or token behind a request, as [`super::guard`] found out. Handlers take it
//! as an argument; what they change is recorded under its name.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// What somebody may do; each may what those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    #[default]
    Viewer,
    /// Works on alerts, incidents and the inventory.
    Analyst,
    /// Changes users, tokens, sinks and specs.
    Admin,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    /// As the audit has it.
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// What a form of this person's pages must carry.
    pub(super) csrf: Arc<str>,
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    /// Nobody, who may only read, where the guard was not passed.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
