//! What went wrong, as RFC 9457 has it: every answer of the API that is no success is one.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

pub(in crate::web) const MEDIA_TYPE: &str = "application/problem+json";

/// Something went wrong (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(in crate::web) struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// What is wrong in this case, for people.
    detail: String,
    /// The parameters and members of the body that are wrong, where it is one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Wrong>,
}

/// One input that cannot be taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub(in crate::web) struct Wrong {
    pub(in crate::web) detail: String,
    /// A parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) parameter: Option<String>,
    /// A place in the body (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) pointer: Option<String>,
    /// Of a text: the line, and the column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) column: Option<usize>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::web) mend: Option<&'static str>,
}

impl Problem {
    pub(in crate::web) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// 422: a text of the body cannot be read, here and for this reason.
    pub(in crate::web) fn in_text(
        (line, column): (Option<usize>, Option<usize>),
        reason: &str,
        mend: &'static str,
    ) -> Self {
        let wrong = Wrong {
            detail: reason.to_owned(),
            line,
            column,
            mend: Some(mend).filter(|m| !m.is_empty()),
            ..Wrong::default()
        };
        Self {
            errors: vec![wrong],
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
        }
    }

    /// 400, with what is wrong.
    pub(in crate::web) fn wrong(wrong: Wrong) -> Self {
        let place = wrong.parameter.as_deref().or(wrong.pointer.as_deref());
        let detail = match place {
            Some(place) if !place.is_empty() => format!("`{place}`: {}", wrong.detail),
            _ => wrong.detail.clone(),
        };
        Self {
            errors: vec![wrong],
            ..Self::new(StatusCode::BAD_REQUEST, detail)
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        // Texts and numbers, which serde_json writes always.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
    }
}

pub(in crate::web) fn problem(status: StatusCode, detail: &str) -> Response {
    Problem::new(status, detail).into_response()
}
