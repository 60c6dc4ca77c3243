//! The table of the API: every route with its description, one entry each. The router and the
//! OpenAPI document are both made from it, so that neither can lack what the other has.
//!
//! A new route is a line here: `get` or `post` with its path, its operation's id, a summary and the
//! handler; then what it answers, and where they differ from the rule the role it needs (a viewer
//! reads, an analyst changes), its errors, and a body that could be sent. What it takes is read off the handler's signature:
//! `api::Query`, `api::Path`, `api::Json`, whose types derive `JsonSchema`; the comments of their
//! fields are the descriptions of parameters.

use super::super::export::Form;
use super::super::{
    Known, account, acts, audit, automation, bundle, coverage, decide, deliveries, edges, endpoint,
    evidence, export, findings, history, incidents, life, live, named_views, openapi, owasp,
    own_sessions, principal, principals, schema, sensor, settings, silences, spec_diff, spec_text,
    spec_upload, specs, summary, tokens, users,
};
use super::route::{Route, get, post};
use crate::access::{Record, Role};
use crate::alert::{Acted, Alert, Incident, Silence};
use crate::catalog::owasp::OwaspView;
use crate::catalog::{EndpointView, Exposure, Foresight, HostView, NamedView, SpecChange};
use crate::detect::PrincipalView;

/// What routes are grouped under, in this order, and what that is.
pub(in crate::web) const TOPICS: &[(&str, &str)] = &[
    (
        "Inventory",
        "Endpoints and hosts, as they were observed, and what specs say of them.",
    ),
    (
        "Specs",
        "OpenAPI documents: what they own, how much of them is seen, uploads.",
    ),
    (
        "Decisions",
        "What people have decided about the inventory, and their audit.",
    ),
    (
        "Security",
        "What lies open: findings, callers, traffic that cannot be inspected.",
    ),
    (
        "Alerts",
        "Incidents, their alerts, rules for silence, known automation.",
    ),
    (
        "Delivery",
        "Sinks that alerts go to, and what could not be delivered.",
    ),
    (
        "Access",
        "Users, API tokens, and the audit of every change.",
    ),
    (
        "Sensor",
        "How the capture does, its settings, and this document.",
    ),
];

pub(in crate::web) fn routes() -> Vec<Route> {
    let topics = [
        inventory(),
        documents(),
        decisions(),
        security(),
        alerts(),
        delivery(),
        access(),
        sensor(),
    ];
    let named = TOPICS.iter().zip(topics);
    named
        .flat_map(|((topic, _), routes)| routes.into_iter().map(move |r| Route { topic, ..r }))
        .collect()
}

fn inventory() -> Vec<Route> {
    vec![
        get(
            "/api/v1/endpoints",
            "listEndpoints",
            "Endpoints, riskiest first",
            super::endpoints,
        )
        .in_forms::<EndpointView>(),
        get(
            "/api/v1/endpoints.csv",
            "exportEndpointsCsv",
            "All endpoints that a filter shows, as CSV",
            export::endpoints,
        )
        .exported(Form::Csv),
        get(
            "/api/v1/endpoints.jsonl",
            "exportEndpointsLines",
            "All endpoints that a filter shows, as JSON Lines",
            export::endpoints,
        )
        .exported(Form::Lines),
        get(
            "/api/v1/endpoints.json",
            "exportEndpointsJson",
            "All endpoints that a filter shows, as one array",
            export::endpoints,
        )
        .exported(Form::Json),
        get(
            "/api/v1/endpoints.openapi.json",
            "exportEndpointsOpenapi",
            "What was observed, as OpenAPI 3.1",
            export::openapi,
        )
        .detail("Of one host a document; of several, or of none, a list of documents.")
        .gives::<export::Documents>(),
        get(
            "/api/v1/endpoints/{key}",
            "getEndpoint",
            "One endpoint, with its whole schema",
            super::endpoint,
        )
        .gives::<schema::Whole>(),
        get(
            "/api/v1/endpoints/{key}/history",
            "getEndpointHistory",
            "Requests, errors, latency and bytes over time",
            history::series,
        )
        .detail("Steps that had no traffic are left out. `expected` is what is learnt by now: the mean of such windows by their rhythm, two deviations either way.")
        .gives::<history::Series<'static>>(),
        get(
            "/api/v1/endpoints/{key}/timeline",
            "getEndpointTimeline",
            "What happened to an endpoint, newest first",
            endpoint::timeline,
        )
        .lists::<endpoint::Entry>(),
        get(
            "/api/v1/endpoints/{key}/openapi.json",
            "exportEndpointOpenapi",
            "One endpoint as OpenAPI 3.1",
            endpoint::document,
        )
        .or(409, "only a confirmed endpoint of an API is described")
        .gives::<serde_json::Map<String, serde_json::Value>>(),
        get(
            "/api/v1/overview",
            "getOverview",
            "The inventory in numbers, and what is new since yesterday",
            summary::data,
        )
        .detail("Yesterday is the same packet time, a day before.")
        .gives::<summary::Summary>(),
        get(
            "/api/v1/views",
            "listViews",
            "Views of the endpoints that people saved",
            named_views::list,
        )
        .lists::<NamedView>(),
        post(
            "/api/v1/views",
            "saveView",
            "Save a view",
            named_views::add,
        )
        .like(r#"{"name": "Shadow, by risk", "query": "documentation=shadow&sort=risk"}"#)
            .or(409, "There is a view of this name, and `replace` is not said.")
            .gives::<NamedView>(),
        post(
            "/api/v1/views/{id}/remove",
            "removeView",
            "Remove a saved view",
            named_views::end,
        )
        .gives::<NamedView>(),
        get(
            "/api/v1/hosts",
            "listHosts",
            "Hosts, with their versions where they have several",
            super::hosts,
        )
        .lists::<HostView>(),
    ]
}

/// A time to come, in examples of bodies.
pub(in crate::web) const LATER: &str = "1893456000";

/// A small one.
const DOCUMENT: &str = r#"{"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "servers": [{"url": "https://api.shop.example"}], "paths": {"/v1/orders": {"get": {"operationId": "listOrders"}}}}"#;

fn documents() -> Vec<Route> {
    let text = "The body is neither JSON nor YAML.";
    let unreadable =
        "The text is no OpenAPI document; `errors` has the line, the column and the mend.";
    vec![
        get("/api/v1/specs", "listSpecs", "Specs, and how much of each was seen", specs::list)
            .gives::<specs::Listing>(),
        post("/api/v1/specs", "addSpec", "Put a document to use", spec_upload::add)
            .detail("The body is the document itself, JSON or YAML, one file. With `dry_run` it is told what would change, and nothing is changed.")
            .role(Role::Admin)
            .up_to(spec_upload::MAX_UPLOAD)
            .or(415, text)
            .or(422, unreadable)
            .like(DOCUMENT)
            .gives::<spec_upload::Put>(),
        get("/api/v1/specs/{id}", "getSpec", "One spec", specs::one).gives::<specs::Item>(),
        post("/api/v1/specs/{id}", "replaceSpec", "Put a new version of an upload to use", spec_upload::replace)
            .detail("What the config names is read-only here. A name and hosts that are not said stay as they are.")
            .role(Role::Admin)
            .up_to(spec_upload::MAX_UPLOAD)
            .or(415, text)
            .or(422, unreadable)
            .like(DOCUMENT)
            .gives::<spec_upload::Put>(),
        post("/api/v1/specs/{id}/remove", "removeSpec", "Take an upload away", spec_upload::remove)
            .role(Role::Admin)
            .gives::<SpecChange>(),
        get("/api/v1/specs/{id}/operations", "listSpecOperations", "Operations of a spec, with what was seen of each", specs::operations_list)
            .lists::<specs::Operation>(),
        get("/api/v1/specs/{id}/diff", "diffSpec", "A spec beside what was seen, another spec, or an earlier version", spec_diff::data)
            .gives::<spec_diff::Difference>(),
        get("/api/v1/specs/{id}/original", "getSpecOriginal", "The text of a spec", spec_text::original)
            .file("application/octet-stream", "the text as it is, JSON or YAML"),
        get("/api/v1/specs/{id}/observed.openapi.json", "getSpecObserved", "What was seen in the places of a spec, as OpenAPI 3.1", spec_text::observed)
            .detail("Of one host a document, of several a list of them.")
            .gives::<export::Documents>(),
    ]
}

fn decisions() -> Vec<Route> {
    vec![
        post("/api/v1/endpoints/accept", "acceptEndpoints", "Accept many endpoints", decide::accept)
            .detail("Say which: by `keys`, by a `filter`, or `all`; exactly one of the three. A filter takes those of the endpoints it shows that wait to be accepted.")
            .like(r#"{"filter": {"host": "api.shop.example"}, "note": "ours"}"#)
            .gives::<decide::Item>(),
        post("/api/v1/endpoints/mark", "markEndpoints", "Accept, tag, own or note many endpoints", decide::mark_many)
            .detail("Say which: by `keys`, by a `filter`, or `all`; exactly one of the three. `value` is the tag, owner or note; an owner or note that is empty takes the old one away.")
            .like(r#"{"action": "tag", "value": "payments", "filter": {"q": "/v1/payments"}}"#)
            .gives::<decide::Item>(),
        post("/api/v1/endpoints/{key}/{action}", "decideEndpoint", "Accept, tag, own or note an endpoint, or pin a part of its path", decide::mark)
            .detail("`value` is the tag, owner or note. A pin says with `part` which part of the path it is about; `word` names the one value that is a route of its own.")
            .like(r#"{"note": "meant to be there"}"#)
            .gives::<decide::Item>(),
        get("/api/v1/endpoints/{key}/foresee/{action}", "foreseePin", "What it would do to split or merge a part of a path", endpoint::foresee)
            .detail("To split makes a `word` of a parameter a route of its own (`pin-static`); to merge makes a word a parameter's value (`pin-parameter`). Nothing is changed.")
            .or(409, "the part cannot be pinned so, and why")
            .or(503, "busy")
            .gives::<Foresight>(),
        get("/api/v1/decisions", "listDecisions", "Decisions, newest first", decide::list)
            .lists::<decide::Item>(),
        post("/api/v1/decisions/{id}/undo", "undoDecision", "Take back a decision", decide::undo)
            .like(r#"{"note": "not ours"}"#)
            .gives::<decide::Item>(),
    ]
}

fn security() -> Vec<Route> {
    vec![
        get(
            "/api/v1/findings",
            "listFindings",
            "What lies open, gravest first",
            findings::list,
        )
        .in_forms::<Exposure>(),
        get(
            "/api/v1/findings.csv",
            "exportFindingsCsv",
            "All findings that a filter shows, as CSV",
            findings::all,
        )
        .exported(Form::Csv),
        get(
            "/api/v1/findings.jsonl",
            "exportFindingsLines",
            "All findings that a filter shows, as JSON Lines",
            findings::all,
        )
        .exported(Form::Lines),
        get(
            "/api/v1/owasp",
            "listOwasp",
            "The OWASP API Security Top 10: what of it is seen, and what is open",
            owasp::list,
        )
        .lists::<OwaspView>(),
        get(
            "/api/v1/dark",
            "listTlsHosts",
            "Hosts with TLS, and how much of each could be inspected",
            coverage::hosts,
        )
        .gives::<coverage::Hosts<'static>>(),
        get(
            "/api/v1/edges",
            "listEdges",
            "Who calls what: classes of callers by endpoint",
            edges::list,
        )
        .lists::<edges::Item<'static>>(),
        get(
            "/api/v1/principals",
            "listPrincipals",
            "Who calls, the latest first",
            principals::list,
        )
        .detail("Where many are followed these are those in open incidents, the latest and the busiest; any that is followed can be asked for by name. `total` is of those that match.")
        .in_forms::<principals::Item>(),
        get(
            "/api/v1/principals.csv",
            "exportPrincipalsCsv",
            "All principals that a filter shows, as CSV",
            principals::all,
        )
        .exported(Form::Csv),
        get(
            "/api/v1/principals.jsonl",
            "exportPrincipalsLines",
            "All principals that a filter shows, as JSON Lines",
            principals::all,
        )
        .exported(Form::Lines),
        get(
            "/api/v1/principals/{id}",
            "getPrincipal",
            "One principal: what it calls, when, from where and with what",
            principal::one,
        )
        .detail("`id` is the identity or address as alerts name it; of IPv6 the /64, as one part of the path.")
        .gives::<PrincipalView>(),
    ]
}

fn alerts() -> Vec<Route> {
    vec![
        get(
            "/api/v1/incidents",
            "listIncidents",
            "Incidents, the one that rang last first",
            incidents::list,
        )
        .in_forms::<Incident>()
        .or(400, "a time cannot be read"),
        get(
            "/api/v1/incidents.csv",
            "exportIncidentsCsv",
            "All incidents that a filter shows, as CSV",
            incidents::all,
        )
        .exported(Form::Csv)
        .or(400, "a time cannot be read"),
        get(
            "/api/v1/incidents.jsonl",
            "exportIncidentsLines",
            "All incidents that a filter shows, as JSON Lines",
            incidents::all,
        )
        .exported(Form::Lines)
        .or(400, "a time cannot be read"),
        post(
            "/api/v1/incidents/act",
            "actOnIncidents",
            "Change the status of several incidents, or leave a note on them",
            acts::api_incidents,
        )
        .detail("Say which: by `ids`, or by a `filter` as the list takes it with the `total` that the list told. Acts on the alerts in them, too, but for a note alone. Each says how it went.")
        .or(409, "another number matches by now")
        .like(r#"{"ids": ["7fe2658de18efcbaedb9"], "status": "acknowledged", "note": "on it"}"#)
        .gives::<Acted>(),
        get(
            "/api/v1/incidents/{id}/bundle",
            "getIncidentBundle",
            "The evidence of an incident as one download",
            bundle::incident,
        )
        .role(Role::Analyst)
        .file(
            "application/zip",
            "a zip: incident, alerts, endpoints, time line, filters, saved packets",
        ),
        get(
            "/api/v1/incidents/{id}",
            "getIncident",
            "One incident, with its time line",
            incidents::one,
        )
        .gives::<Incident>(),
        post(
            "/api/v1/incidents/{id}/status",
            "setIncidentStatus",
            "Acknowledge, resolve, dismiss, mute or reopen an incident",
            life::incident,
        )
        .detail("Acts on the alerts in it, too.")
        .like(r#"{"status": "acknowledged", "note": "on it"}"#)
            .gives::<Incident>(),
        get(
            "/api/v1/alerts",
            "listAlerts",
            "Alerts, newest first",
            super::alerts,
        )
        .in_forms::<Alert>()
        .or(400, "a time cannot be read"),
        post(
            "/api/v1/alerts/act",
            "actOnAlerts",
            "Change the status of several alerts, or leave a note on them",
            acts::api_alerts,
        )
        .detail("Say which: by `ids`, or by a `filter` as the list takes it with the `total` that the list told. Each says how it went.")
        .or(409, "another number matches by now")
        .like(r#"{"ids": ["7fe2658de18efcbaedb9"], "status": "acknowledged", "note": "on it"}"#)
        .gives::<Acted>(),
        get(
            "/api/v1/alerts/{id}/bundle",
            "getAlertBundle",
            "The evidence of an alert as one download",
            bundle::alert,
        )
        .role(Role::Analyst)
        .file(
            "application/zip",
            "a zip: the alert, its endpoint, time line, filters, saved packets",
        ),
        get(
            "/api/v1/alerts.csv",
            "exportAlertsCsv",
            "All alerts that a filter shows, as CSV",
            export::alerts,
        )
        .exported(Form::Csv),
        get(
            "/api/v1/alerts.jsonl",
            "exportAlertsLines",
            "All alerts that a filter shows, as JSON Lines",
            export::alerts,
        )
        .exported(Form::Lines),
        get("/api/v1/alerts/{id}", "getAlert", "One alert", super::alert).gives::<Alert>(),
        post(
            "/api/v1/alerts/{id}/status",
            "setAlertStatus",
            "Acknowledge, resolve, dismiss, mute or reopen an alert",
            life::alert,
        )
        .like(r#"{"status": "muted", "until": 1893456000}"#)
            .gives::<Alert>(),
        get(
            "/api/v1/alerts/{id}/packets",
            "getAlertPackets",
            "The packets that were saved of an alert",
            evidence::packets,
        )
        .role(Role::Analyst)
        .file("application/octet-stream", "a savefile (pcapng)"),
        get(
            "/api/v1/automation",
            "listAutomation",
            "Callers that are known to be automation",
            automation::list,
        )
        .lists::<Known>(),
        get(
            "/api/v1/silences",
            "listSilences",
            "Rules for silence: those that hold, then those that ended",
            silences::list,
        )
        .lists::<Silence>(),
        post(
            "/api/v1/silences",
            "addSilence",
            "Keep alerts silent until a time",
            silences::add,
        )
        .like(r#"{"principal": "10.0.0.0/8", "kind": "scan", "until": 1893456000, "reason": "our own scanner"}"#)
            .gives::<Silence>(),
        post(
            "/api/v1/silences/preview",
            "previewSilence",
            "Of the alerts that are kept, those that a rule would have kept silent",
            silences::preview,
        )
        .like(r#"{"principal": "10.0.0.0/8", "kind": "scan"}"#)
        .gives::<silences::Kept<'static>>(),
        post(
            "/api/v1/silences/{id}/end",
            "endSilence",
            "End a rule for silence before its time",
            silences::end,
        )
        .gives::<Silence>(),
    ]
}

fn delivery() -> Vec<Route> {
    vec![
        get(
            "/api/v1/deliveries",
            "listDeliveries",
            "Messages that were given up, newest first, and how each sink does",
            deliveries::list,
        )
        .gives::<deliveries::Answer<'static>>(),
        post(
            "/api/v1/deliveries/{sink}/{message}/send",
            "resendDelivery",
            "Send again what was given up",
            deliveries::send_again,
        )
        .role(Role::Admin)
        .gives::<super::Done>(),
        get(
            "/api/v1/sinks",
            "listSinks",
            "Sinks: what each is told of, and how it does",
            deliveries::sinks,
        )
        .lists::<deliveries::Row<'static>>(),
        post(
            "/api/v1/sinks/{name}/test",
            "testSink",
            "Send a test to a sink, and wait for what it says",
            deliveries::test,
        )
        .role(Role::Admin)
        .or(502, "The sink did not take it, and why.")
        .gives::<super::Done>(),
    ]
}

fn access() -> Vec<Route> {
    let of_admins = [
        get("/api/v1/users", "listUsers", "Who may sign in", users::list).lists::<users::Item>(),
        post("/api/v1/users", "addUser", "A new user", users::add).like(r#"{"name": "ada", "role": "analyst", "password": "correct horse battery staple"}"#)
            .lists::<users::Item>(),
        post(
            "/api/v1/users/{name}/{action}",
            "changeUser",
            "Another role or password, disable, enable or remove a user",
            users::act,
        )
        .detail("`action` is `role`, `password`, `disable`, `enable` or `remove`; the first two say which.")
        .like(r#"{"role": "viewer"}"#)
            .lists::<users::Item>(),
        get("/api/v1/tokens", "listTokens", "API tokens", tokens::list).lists::<tokens::Item>(),
        post("/api/v1/tokens", "addToken", "A new API token", tokens::add)
            .detail("Its answer alone has the token.")
            .like(r#"{"name": "soar", "role": "analyst", "expires": null}"#)
            .gives::<tokens::Made<'static>>(),
        post(
            "/api/v1/tokens/{id}/revoke",
            "revokeToken",
            "The token opens nothing any more",
            tokens::revoke,
        )
        .lists::<tokens::Item>(),
        get("/api/v1/audit", "listAudit", "Who changed what, newest first", audit::list)
            .in_forms::<Record>(),
        get(
            "/api/v1/audit.csv",
            "exportAuditCsv",
            "All of the audit that a filter shows, as CSV",
            audit::all,
        )
        .exported(Form::Csv),
        get(
            "/api/v1/audit.jsonl",
            "exportAuditLines",
            "All of the audit that a filter shows, as JSON Lines",
            audit::all,
        )
        .exported(Form::Lines),
    ];
    let own = [
        get(
            "/api/v1/me",
            "getMyself",
            "Who this is, and what they may",
            account::me,
        )
        .gives::<account::Me<'static>>(),
        post(
            "/api/v1/me/password",
            "changePassword",
            "Another password of one's own",
            account::password_json,
        )
        .detail("For a session: its user's other sessions end.")
        .role(Role::Viewer)
        .or(429, "Too many attempts.")
        .like(r#"{"current": "correct horse battery staple", "new": "another of at least twelve"}"#)
        .gives::<account::Me<'static>>(),
        get(
            "/api/v1/me/sessions",
            "listOwnSessions",
            "One's own open sessions",
            own_sessions::list,
        )
        .lists::<own_sessions::Item>(),
        post(
            "/api/v1/me/sessions/{id}/end",
            "endOwnSession",
            "End one of one's own sessions",
            own_sessions::end,
        )
        .role(Role::Viewer)
        .gives::<super::Done>(),
        post(
            "/api/v1/me/sessions/end",
            "endOwnSessions",
            "End all of one's own sessions, this one too",
            own_sessions::end_all,
        )
        .role(Role::Viewer)
        .gives::<super::Done>(),
    ];
    let of_admins = of_admins.into_iter().map(|route| route.role(Role::Admin));
    of_admins.chain(own).collect()
}

fn sensor() -> Vec<Route> {
    vec![
        get("/live", "streamEvents", "What changes, as it does", live::stream)
            .detail("Server-sent events. `inventory` and `sensor` (`{}`): ask for what you show anew. `alert`: its `id`, `severity` and `summary`. `resync`: some were missed, load anew. `beat`: at least each 15 seconds, where there is nothing else to say.")
            .or(503, "too many live streams")
            .file("text/event-stream", "events until the caller, its session or its token ends"),
        get(
            "/api/v1/sensor",
            "getSensor",
            "The ledger, sources, taps and what is wrong with them",
            sensor::data,
        )
        .gives::<sensor::Whole<'static>>(),
        get(
            "/api/v1/settings",
            "listSettings",
            "The config in effect: every key, and where its value came from",
            settings::list,
        )
        .detail("What names a secret is for admins alone.")
        .gives::<settings::Items<'static>>(),
        get(
            "/api/v1/settings.toml",
            "exportSettings",
            "The config in effect, without secrets, as TOML",
            settings::download,
        )
        .file("application/toml", "A config."),
        get(
            "/api/v1/openapi.json",
            "getOpenapi",
            "This document",
            openapi::document,
        )
        .gives::<serde_json::Map<String, serde_json::Value>>(),
    ]
}
