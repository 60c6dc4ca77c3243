//! All routes, and the state that they share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tokio::sync::mpsc;

use super::beside::Beside;
use super::findings::Sorted;
use super::gate::Gate;
use super::index::{Index, Indexes};
use super::involved::Involved;
use super::listing::Lists;
use super::spec_places::AllPlaces;
use super::summary::Summary;
use super::{
    Audit, Command, Settings, Views, account, acts, alerts, api, assets, audit, automation, bulk,
    compress, coverage, decisions, deliveries, endpoint, endpoints, findings, frame, guard,
    incidents, login, named_views, overview, owasp, principal, principals, reference, retention,
    sensor, settings, silences, spec_diff, spec_form, spec_upload, specs, sso, tokens, users,
};
use crate::alert::AlertsView;
use crate::catalog::CatalogView;
use crate::telemetry;

pub(super) struct App {
    pub(super) views: Arc<Views>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) settings: Settings,
    pub(super) gate: Gate,
    pub(super) audit: Audit,
    pub(super) clients: AtomicUsize,
    /// Made once a view, for all that ask.
    pub(super) involved: Beside<AlertsView, Involved>,
    pub(super) lists: Beside<AlertsView, Lists>,
    pub(super) summary: Beside<CatalogView, Summary>,
    pub(super) findings: Beside<CatalogView, Sorted>,
    pub(super) places: Beside<CatalogView, AllPlaces>,
    pub(super) desk: spec_upload::Desk,
    pub(super) indexes: Indexes,
}

impl App {
    /// What lists of endpoints are answered from.
    pub(super) async fn index(&self) -> Arc<Index> {
        self.indexes.of(&self.views.catalog).await
    }
}

pub(super) type Shared = State<Arc<App>>;

/// Documents are larger than other bodies; a form has some parts beside it.
pub(super) fn large(handler: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    handler.layer(DefaultBodyLimit::max(spec_upload::MAX_UPLOAD + (64 << 10)))
}

/// As [`audited`] has it, where nothing is kept: of a result that nobody can change.
pub fn router(views: Arc<Views>, commands: mpsc::Sender<Command>, settings: Settings) -> Router {
    audited(views, commands, Arc::new(|_, told| told()), settings)
}

/// Pages, API, live stream, metrics. Whoever serves it tells it the caller's address as
/// `ConnectInfo<SocketAddr>`.
pub fn audited(
    views: Arc<Views>,
    commands: mpsc::Sender<Command>,
    audit: Audit,
    settings: Settings,
) -> Router {
    let app = Arc::new(App {
        gate: Gate::new(settings.sessions),
        audit,
        views,
        commands,
        settings,
        clients: AtomicUsize::new(0),
        involved: Beside::default(),
        lists: Beside::default(),
        summary: Beside::default(),
        findings: Beside::default(),
        places: Beside::default(),
        desk: spec_upload::Desk::default(),
        indexes: Indexes::default(),
    });
    let mut router = Router::new()
        .route("/", get(overview::page))
        .route("/endpoints", get(endpoints::page))
        .route("/endpoints/{key}", get(endpoint::page))
        .route("/endpoints/accept", get(bulk::confirm).post(bulk::act))
        .route("/endpoints/mark", get(bulk::confirm).post(bulk::act))
        .route("/endpoints/views", post(named_views::add_form))
        .route("/endpoints/views/{id}/remove", post(named_views::end_form))
        .route(
            "/endpoints/{key}/{action}",
            get(endpoint::confirm).post(decisions::mark),
        )
        .route("/decisions", get(decisions::page))
        .route("/decisions/{id}/undo", post(decisions::undo))
        .route("/alerts", get(alerts::page))
        .route("/alerts/{id}", get(alerts::one_page))
        .route("/alerts/{id}/status", post(acts::alert))
        .route("/alerts/act", post(acts::alerts))
        .route("/incidents", get(incidents::page))
        .route("/incidents/{id}", get(incidents::one_page))
        .route("/incidents/{id}/status", post(acts::incident))
        .route("/incidents/act", post(acts::incidents))
        .route("/automation", get(automation::page))
        .route("/principals", get(principals::page))
        .route("/principals/{id}", get(principal::page))
        .route("/silences", get(silences::page).post(silences::add_form))
        .route("/silences/{id}/end", post(silences::end_form))
        .route("/findings", get(findings::page))
        .route("/deliveries", get(deliveries::page).post(deliveries::act))
        .route("/settings", get(settings::page))
        .route(
            "/settings/sinks",
            get(deliveries::page).post(deliveries::act),
        )
        .route("/settings/retention", get(retention::page))
        .route("/coverage", get(coverage::page))
        .route("/owasp", get(owasp::page))
        .route("/specs", get(specs::page).post(spec_form::put))
        .route("/specs/new", get(spec_form::new))
        .route("/specs/check", large(post(spec_form::check)))
        .route("/specs/{id}", get(specs::one_page))
        .route("/specs/{id}/diff", get(spec_diff::page))
        .route("/specs/{id}/remove", post(spec_form::remove))
        .route("/sensor", get(sensor::page))
        .route("/login", get(login::page).post(login::sign_in))
        .route("/login/oidc", get(sso::begin))
        .route("/login/oidc/back", get(sso::back))
        .route("/logout", post(login::sign_out))
        .route("/account", get(account::page))
        .route("/account/password", post(account::password))
        .route("/account/sessions/end", post(account::end_all))
        .route("/account/sessions/{id}/end", post(account::end))
        .route("/users", get(users::page).post(users::add_form))
        .route("/users/{name}/{action}", post(users::act_form))
        .route("/tokens", get(tokens::page).post(tokens::add_form))
        .route("/tokens/{id}/revoke", post(tokens::revoke_form))
        .route("/audit", get(audit::page))
        .route("/api", get(reference::page))
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

async fn metrics(State(app): Shared, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    let format = telemetry::Format::accepted(accept);
    match telemetry::render(&app.views, app.gate.view(), format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
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
