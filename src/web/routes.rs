//! All routes, and the state that they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::mpsc;

use super::{
    Command, Settings, Views, alerts, api, assets, automation, compress, coverage, decisions,
    deliveries, endpoint, endpoints, findings, frame, guard, incidents, life, live, overview,
    owasp, sensor, silences,
};
use crate::telemetry;

pub(super) struct App {
    pub(super) views: Arc<Views>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) settings: Settings,
    /// Made anew at each start: forms of an older page must be loaded again.
    pub(super) csrf: Arc<str>,
    pub(super) clients: AtomicUsize,
}

pub(super) type Shared = State<Arc<App>>;

/// Pages, API, live stream, metrics.
pub fn router(views: Arc<Views>, commands: mpsc::Sender<Command>, settings: Settings) -> Router {
    let app = Arc::new(App {
        views,
        commands,
        settings,
        csrf: guard::token().into(),
        clients: AtomicUsize::new(0),
    });
    let mut router = Router::new()
        .route("/", get(overview::page))
        .route("/endpoints", get(endpoints::page))
        .route("/endpoints/{key}", get(endpoint::page))
        .route(
            "/endpoints/accept",
            get(decisions::confirm).post(decisions::accept),
        )
        .route("/endpoints/{key}/{action}", post(decisions::mark))
        .route("/decisions", get(decisions::page))
        .route("/decisions/{id}/undo", post(decisions::undo))
        .route("/alerts", get(alerts::page))
        .route("/alerts/{id}", get(alerts::one_page))
        .route("/alerts/{id}/status", post(life::alert_form))
        .route("/incidents", get(incidents::page))
        .route("/incidents/{id}", get(incidents::one_page))
        .route("/incidents/{id}/status", post(life::incident_form))
        .route("/automation", get(automation::page))
        .route("/silences", get(silences::page).post(silences::add_form))
        .route("/silences/{id}/end", post(silences::end_form))
        .route("/findings", get(findings::page))
        .route("/deliveries", get(deliveries::page).post(deliveries::act))
        .route("/coverage", get(coverage::page))
        .route("/owasp", get(owasp::page))
        .route("/sensor", get(sensor::page))
        .route("/live", get(live::stream))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/assets/app.css", get(assets::style))
        .route("/assets/app.js", get(assets::script))
        .route("/assets/icon.svg", get(assets::icon));
    for route in api::table::routes() {
        router = router.route(route.path, route.handler);
    }
    router
        .fallback(frame::not_found)
        .layer(DefaultBodyLimit::max(api::MAX_BODY))
        .layer(from_fn_with_state(app.clone(), api::polish::polish))
        .layer(compress::layer())
        .layer(from_fn_with_state(app.clone(), guard::check))
        .with_state(app)
}

async fn metrics(State(app): Shared) -> Response {
    match telemetry::render(&app.views) {
        Ok(text) => ([(header::CONTENT_TYPE, telemetry::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(app): Shared) -> Response {
    if app.views.ready.load(Ordering::Relaxed) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response()
    }
}
