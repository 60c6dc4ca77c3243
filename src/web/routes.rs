//! All routes, and the state that they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tokio::sync::mpsc;

use super::export::Form;
use super::{
    Command, Settings, Views, alerts, api, assets, automation, coverage, decide, decisions,
    deliveries, edges, endpoint, endpoints, evidence, export, findings, frame, guard, history,
    incidents, life, live, openapi, overview, owasp, sensor, silences,
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

/// Paths of the JSON API with their methods: the router and its OpenAPI document are both made
/// from it, so that neither can lack what the other has.
pub(super) fn api_routes() -> Vec<(&'static str, &'static str, MethodRouter<Arc<App>>)> {
    vec![
        ("/api/v1/endpoints", "get", get(api::endpoints)),
        (
            "/api/v1/endpoints.csv",
            "get",
            form(get(export::endpoints), Form::Csv),
        ),
        (
            "/api/v1/endpoints.jsonl",
            "get",
            form(get(export::endpoints), Form::Lines),
        ),
        (
            "/api/v1/endpoints.openapi.json",
            "get",
            get(export::openapi),
        ),
        ("/api/v1/endpoints/{key}", "get", get(api::endpoint)),
        (
            "/api/v1/endpoints/{key}/history",
            "get",
            get(history::series),
        ),
        (
            "/api/v1/endpoints/{key}/timeline",
            "get",
            get(endpoint::timeline),
        ),
        (
            "/api/v1/endpoints/{key}/openapi.json",
            "get",
            get(endpoint::document),
        ),
        (
            "/api/v1/endpoints/{key}/foresee/{action}",
            "get",
            get(endpoint::foresee),
        ),
        ("/api/v1/endpoints/accept", "post", post(decide::accept)),
        ("/api/v1/endpoints/mark", "post", post(decide::mark_many)),
        (
            "/api/v1/endpoints/{key}/{action}",
            "post",
            post(decide::mark),
        ),
        ("/api/v1/decisions", "get", get(decide::list)),
        ("/api/v1/decisions/{id}/undo", "post", post(decide::undo)),
        ("/api/v1/hosts", "get", get(api::hosts)),
        ("/api/v1/alerts", "get", get(api::alerts)),
        (
            "/api/v1/alerts.csv",
            "get",
            form(get(export::alerts), Form::Csv),
        ),
        (
            "/api/v1/alerts.jsonl",
            "get",
            form(get(export::alerts), Form::Lines),
        ),
        ("/api/v1/alerts/{id}", "get", get(api::alert)),
        ("/api/v1/alerts/{id}/status", "post", post(life::alert)),
        ("/api/v1/alerts/{id}/packets", "get", get(evidence::packets)),
        ("/api/v1/incidents", "get", get(incidents::list)),
        ("/api/v1/incidents/{id}", "get", get(incidents::one)),
        (
            "/api/v1/incidents/{id}/status",
            "post",
            post(life::incident),
        ),
        ("/api/v1/automation", "get", get(automation::list)),
        ("/api/v1/silences", "get", get(silences::list)),
        ("/api/v1/silences", "post", post(silences::add)),
        ("/api/v1/silences/{id}/end", "post", post(silences::end)),
        ("/api/v1/deliveries", "get", get(deliveries::list)),
        (
            "/api/v1/deliveries/{sink}/{message}/send",
            "post",
            post(deliveries::send_again),
        ),
        ("/api/v1/sinks/{name}/test", "post", post(deliveries::test)),
        ("/api/v1/dark", "get", get(coverage::hosts)),
        ("/api/v1/edges", "get", get(edges::list)),
        ("/api/v1/findings", "get", get(findings::list)),
        (
            "/api/v1/findings.csv",
            "get",
            form(get(findings::all), Form::Csv),
        ),
        (
            "/api/v1/findings.jsonl",
            "get",
            form(get(findings::all), Form::Lines),
        ),
        ("/api/v1/owasp", "get", get(owasp::list)),
        ("/api/v1/sensor", "get", get(api::sensor)),
        ("/api/v1/specs", "get", get(api::specs)),
        ("/api/v1/openapi.json", "get", get(openapi::document)),
    ]
}

/// One handler serves a list in several forms.
fn form(handler: MethodRouter<Arc<App>>, form: Form) -> MethodRouter<Arc<App>> {
    handler.layer(Extension(form))
}

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
        .route(
            "/endpoints/{key}/{action}",
            get(endpoint::confirm).post(decisions::mark),
        )
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
    for (path, _, handler) in api_routes() {
        router = router.route(path, handler);
    }
    router
        .fallback(frame::not_found)
        .layer(axum::middleware::from_fn_with_state(
            app.clone(),
            guard::check,
        ))
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
