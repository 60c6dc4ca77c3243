//! The OWASP API Security Top 10: what of it is seen, and what is open.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::api::List;
use super::frame::{Frame, show};
use super::routes::{App, Shared};
use super::who::Who;
use super::{api, filters};
use crate::alert::Status;
use crate::catalog::owasp::{OwaspView, Visible, owasp};

fn views(app: &App) -> Vec<OwaspView> {
    let alerts = app.views.alerts.load();
    let open = alerts.alerts.iter().filter(|a| a.status == Status::Open);
    let categories = open.map(|a| a.owasp.as_str());
    owasp(&app.views.catalog.load(), categories)
}

/// `/api/v1/owasp`.
pub(super) async fn list(State(app): Shared) -> Response {
    api::json(&List::whole(views(&app)))
}

#[derive(Template)]
#[template(path = "owasp.html")]
struct Owasp {
    page: Frame,
    rows: Vec<OwaspView>,
}

/// `/owasp`.
pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    show(&Owasp {
        rows: views(&app),
        page: Frame::new(&app, &who, "owasp"),
    })
}
