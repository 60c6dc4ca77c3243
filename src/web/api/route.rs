//! A route of the API with its description. What a handler takes is read off its signature, so that
//! the document cannot say otherwise; what it answers is named beside it, and tests hold answers
//! against that.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, Uri};
use axum::routing::{self, MethodRouter};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::super::export::Form;
use super::super::routes::App;
use super::super::who::Who;
use super::extract::{DOCUMENTS, Document, Json, Path, Query};
use super::shape::Maker;
use crate::access::Role;

pub(in crate::web) struct Route {
    /// `/api/v1/alerts/{id}`.
    pub(in crate::web) path: &'static str,
    pub(in crate::web) method: &'static str,
    pub(in crate::web) handler: MethodRouter<Arc<App>>,
    /// What it is grouped under.
    pub(in crate::web) topic: &'static str,
    /// `getAlert`: one for each, never changed, since clients are made from it.
    pub(in crate::web) id: &'static str,
    /// One line.
    pub(in crate::web) summary: &'static str,
    /// What else is to be known.
    pub(in crate::web) detail: &'static str,
    /// The least that may call it.
    pub(in crate::web) role: Role,
    pub(in crate::web) takes: Inputs,
    /// A body that could be sent.
    pub(in crate::web) example: &'static str,
    pub(in crate::web) answers: Answer,
    /// Statuses beyond those that its form brings with it, and what they mean here.
    pub(in crate::web) errors: Vec<(u16, &'static str)>,
}

/// What a handler takes.
#[derive(Clone, Copy, Default)]
pub(in crate::web) struct Inputs {
    pub(in crate::web) query: Option<Maker>,
    pub(in crate::web) path: Option<Maker>,
    pub(in crate::web) body: Option<Maker>,
    /// Of the body; empty: JSON.
    pub(in crate::web) media: &'static [&'static str],
}

/// What it answers with 200.
#[derive(Clone, Copy)]
pub(in crate::web) enum Answer {
    Json(Maker),
    /// JSON, or by `Accept` CSV and JSON Lines.
    Forms(Maker),
    /// Something of a media type.
    File(&'static str, &'static str),
}

/// One page of a list; all of it where its number is bounded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub(in crate::web) struct List<T> {
    pub(in crate::web) items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    pub(in crate::web) next: Option<String>,
    /// Items on all pages.
    pub(in crate::web) total: usize,
}

impl<T> List<T> {
    /// All that there are.
    pub(in crate::web) fn whole(items: Vec<T>) -> Self {
        Self {
            total: items.len(),
            next: None,
            items,
        }
    }
}

pub(in crate::web) fn get<H, T>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    handler: H,
) -> Route
where
    H: Handler<T, Arc<App>> + Takes<T>,
    T: 'static,
{
    Route {
        path,
        method: "get",
        handler: routing::get(handler),
        topic: "",
        id,
        summary,
        detail: "",
        role: Role::Viewer,
        takes: H::inputs(),
        example: "{}",
        answers: Answer::File("application/json", "the answer"),
        errors: Vec::new(),
    }
}

/// It changes something, which takes an analyst where nothing else is said.
pub(in crate::web) fn post<H, T>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    handler: H,
) -> Route
where
    H: Handler<T, Arc<App>> + Takes<T>,
    T: 'static,
{
    Route {
        method: "post",
        handler: routing::post(handler.clone()),
        role: Role::Analyst,
        ..get(path, id, summary, handler)
    }
}

impl Route {
    pub(in crate::web) fn detail(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    /// A body that could be sent, where it is not `{}`.
    pub(in crate::web) fn like(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    pub(in crate::web) fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// JSON of this type.
    pub(in crate::web) fn gives<T: JsonSchema>(self) -> Self {
        let answers = Answer::Json(SchemaGenerator::subschema_for::<T>);
        Self { answers, ..self }
    }

    /// [`List`] of this type.
    pub(in crate::web) fn lists<T: JsonSchema>(self) -> Self {
        self.gives::<List<T>>()
    }

    /// The same, or by `Accept` CSV and JSON Lines.
    pub(in crate::web) fn in_forms<T: JsonSchema>(self) -> Self {
        let answers = Answer::Forms(SchemaGenerator::subschema_for::<List<T>>);
        Self { answers, ..self }
    }

    /// A list as a file; the handler is told the form.
    pub(in crate::web) fn exported(self, form: Form) -> Self {
        let (media_type, what) = match form {
            Form::Csv => ("text/csv", "CSV (RFC 4180) with a header line"),
            Form::Lines => ("application/jsonl", "one item a line"),
            Form::Json => ("application/json", "one array"),
        };
        Self {
            handler: self.handler.layer(Extension(form)),
            answers: Answer::File(media_type, what),
            ..self
        }
    }

    pub(in crate::web) fn file(self, media_type: &'static str, what: &'static str) -> Self {
        let answers = Answer::File(media_type, what);
        Self { answers, ..self }
    }

    /// A body may have so many bytes.
    pub(in crate::web) fn up_to(self, bytes: usize) -> Self {
        Self {
            handler: self.handler.layer(DefaultBodyLimit::max(bytes)),
            ..self
        }
    }

    pub(in crate::web) fn or(mut self, status: u16, when: &'static str) -> Self {
        self.errors.push((status, when));
        self
    }
}

/// An argument of a handler. Rejections of others than these would not be problems.
#[diagnostic::on_unimplemented(
    message = "a handler of the API cannot take `{Self}`",
    note = "take `Query`, `Path` and `Json` from `web::api`, not from axum"
)]
pub(in crate::web) trait Input {
    fn tell(_: &mut Inputs) {}
}

impl<S> Input for State<S> {}
impl<T> Input for Extension<T> {}
impl Input for HeaderMap {}
impl Input for Uri {}
impl Input for Who {}

impl<T: JsonSchema> Input for Query<T> {
    fn tell(inputs: &mut Inputs) {
        inputs.query = Some(SchemaGenerator::subschema_for::<T>);
    }
}

impl<T: JsonSchema> Input for Path<T> {
    fn tell(inputs: &mut Inputs) {
        inputs.path = Some(SchemaGenerator::subschema_for::<T>);
    }
}

impl<T: JsonSchema> Input for Json<T> {
    fn tell(inputs: &mut Inputs) {
        inputs.body = Some(SchemaGenerator::subschema_for::<T>);
    }
}

impl Input for Document {
    fn tell(inputs: &mut Inputs) {
        inputs.body =
            Some(SchemaGenerator::subschema_for::<serde_json::Map<String, serde_json::Value>>);
        inputs.media = &DOCUMENTS;
    }
}

/// A handler of which is known what it takes. `T` is as in [`Handler`].
pub(in crate::web) trait Takes<T> {
    fn inputs() -> Inputs;
}

macro_rules! takes {
    ($($argument:ident)*) => {
        impl<F, R, V, $($argument: Input),*> Takes<(V, $($argument,)*)> for F
        where
            F: FnOnce($($argument),*) -> R,
        {
            fn inputs() -> Inputs {
                let mut inputs = Inputs::default();
                $($argument::tell(&mut inputs);)*
                inputs
            }
        }
    };
}
takes!(A);
takes!(A B);
takes!(A B C);
takes!(A B C D);
takes!(A B C D E);
takes!(A B C D E G);

/// A handler that takes nothing.
impl<F: FnOnce() -> R, R> Takes<((),)> for F {
    fn inputs() -> Inputs {
        Inputs::default()
    }
}
