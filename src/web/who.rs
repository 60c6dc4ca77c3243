//! Who asks: the person or token behind a request, as [`super::guard`] found out. Handlers take it
//! as an argument; what they change is recorded under its name.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::access::{By, Role};

tokio::task_local! {
    /// Who made the request that this task answers. The guard sets it around every handler, so that
    /// what a command is recorded under is not for handlers to hand on, or to forget.
    pub(super) static ASKER: By;
}

pub(super) fn asker() -> By {
    let nobody = || By {
        name: "nobody".into(),
        role: None,
        from: String::new(),
    };
    ASKER.try_with(By::clone).unwrap_or_else(|_| nobody())
}

/// How the guard knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    #[default]
    Nobody,
    /// There is no sign-in: whoever reaches us is the one who runs us.
    Local,
    /// By the id of a session.
    Session(Arc<str>),
    /// By the id of an API token.
    Token(Arc<str>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    /// As the audit has it.
    pub(super) name: Arc<str>,
    pub(super) role: Role,
    /// What a form of this person's pages must carry.
    pub(super) csrf: Arc<str>,
    pub(super) way: Way,
}

impl Who {
    /// The id of their session, where they have one.
    pub(super) fn session(&self) -> Option<&str> {
        match &self.way {
            Way::Session(id) => Some(id),
            Way::Nobody | Way::Local | Way::Token(_) => None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    /// Nobody, who may only read, where the guard was not passed.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
