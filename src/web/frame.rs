//! What every page stands in: the frame with the sensor's state, selects and links, and the pages that say
//! no. Everything captured passes askama's escaping; only our own SVG goes as it is.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::asked::{Slip, Slips};
use super::routes::{App, Shared};
use super::who::Who;
use super::{Role, SensorView, SourceView, api, assets};
use crate::alert::Status;
use crate::sensor::doctor::{Grade, count};
use crate::time::Timestamp;

/// A live port without a frame for so many seconds is stale.
pub(super) const STALE: u64 = 60;

/// The analysis publishes each second; where it has not for so many, it does not go on.
const STILL: u64 = 20;

/// What the frame around every page needs.
pub(super) struct Frame {
    pub(super) here: &'static str,
    /// Incidents that nobody has taken on yet.
    pub(super) open: usize,
    pub(super) tone: &'static str,
    pub(super) health: String,
    pub(super) assets: String,
    pub(super) csrf: Arc<str>,
    /// Who reads the page, and what they may do.
    pub(super) user: Arc<str>,
    pub(super) role: Role,
    /// Whether they signed in, and so can sign out.
    pub(super) signed_in: bool,
    /// What was asked for and not understood.
    pub(super) slips: Vec<Slip>,
}

/// The side bar: groups of links, each with the name of the page that it leads to.
type Group = (
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

const NAVIGATION: [Group; 5] = [
    ("", &[("overview", "Overview", "/")]),
    (
        "Inventory",
        &[
            ("endpoints", "Endpoints", "/endpoints"),
            ("specs", "Specs", "/specs"),
            ("findings", "Findings", "/findings"),
            ("owasp", "OWASP", "/owasp"),
            ("decisions", "Decisions", "/decisions"),
        ],
    ),
    (
        "Detection",
        &[
            ("incidents", "Incidents", "/incidents"),
            ("alerts", "Alerts", "/alerts"),
            ("principals", "Principals", "/principals"),
            ("silences", "Silences", "/silences"),
            ("automation", "Automation", "/automation"),
        ],
    ),
    (
        "System",
        &[
            ("sensor", "Sensor", "/sensor"),
            ("coverage", "Coverage", "/coverage"),
            ("settings", "Settings", "/settings"),
            ("api", "API", "/api"),
        ],
    ),
    (
        "Access",
        &[
            ("users", "Users", "/users"),
            ("tokens", "API tokens", "/tokens"),
            ("audit", "Audit", "/audit"),
        ],
    ),
];

impl Frame {
    /// The last is for admins.
    pub(super) fn groups(&self) -> &'static [Group] {
        let seen = NAVIGATION.len() - usize::from(!self.may_admin());
        &NAVIGATION[..seen]
    }

    /// Whether its reader works on alerts, incidents and the inventory; others get no forms for it.
    pub(super) fn may_work(&self) -> bool {
        self.role >= Role::Analyst
    }

    /// Whether its reader changes who comes in and what goes out.
    pub(super) fn may_admin(&self) -> bool {
        self.role >= Role::Admin
    }

    pub(super) fn is(&self, page: &str) -> bool {
        self.here == page
    }

    pub(super) fn new(app: &App, who: &Who, here: &'static str) -> Self {
        let open = app
            .views
            .alerts
            .load()
            .incidents
            .iter()
            .filter(|i| i.status == Status::Open && i.loud > 0)
            .count();
        let (tone, health) = health(&app.views.sensor.load());
        Self {
            here,
            open,
            tone,
            health,
            assets: assets::version(),
            csrf: who.csrf.clone(),
            user: who.name.clone(),
            role: who.role,
            signed_in: who.session().is_some(),
            slips: Vec::new(),
        }
    }

    pub(super) fn told(self, slips: Slips) -> Self {
        Self {
            slips: slips.0,
            ..self
        }
    }
}

pub(super) fn show(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The sensor's state in words, with its tone.
pub(super) fn health(s: &SensorView) -> (&'static str, String) {
    state(s, Timestamp::from_secs(jiff::Timestamp::now().as_second()))
}

fn state(s: &SensorView, now: Timestamp) -> (&'static str, String) {
    let live: Vec<&SourceView> = s.sources.iter().filter(|x| x.live).collect();
    if let Some(ended) = live.iter().find(|x| x.ended.is_some()) {
        return ("bad", format!("Capture on {} has ended", ended.name));
    }
    if s.sources.is_empty() && s.ledger.stages.is_empty() {
        return ("", "No source".into());
    }
    let published = s.seconds.last().filter(|_| !live.is_empty());
    if let Some(last) = published.filter(|beat| now.since(beat.at).as_secs() > STILL) {
        return ("bad", format!("Analysis stands still since {}", last.at));
    }
    if !live.is_empty()
        && s.last_frame_wall > Timestamp::MIN
        && now.since(s.last_frame_wall).as_secs() > STALE
    {
        return ("warn", format!("Silent since {}", s.last_frame_wall));
    }
    if let Some(worst) = s.symptoms.first().filter(|x| x.severity == Grade::Severe) {
        return ("bad", format!("{}: see the tap doctor", worst.tap));
    }
    // What was lost long ago is over; of a file it never is.
    let (drops, when): (u64, _) = match live.is_empty() {
        true => {
            let all = s.sources.iter();
            (all.map(|x| x.kernel_drops + x.interface_drops).sum(), "")
        }
        false => {
            let hour = s.minutes.iter().map(|beat| beat.dropped).sum();
            (hour, " in the last hour")
        }
    };
    if drops > 0 {
        return ("warn", format!("{} dropped{when}", count(drops, "packet")));
    }
    if !s.ledger.balanced() {
        return ("bad", "Ledger not balanced".into());
    }
    (
        "good",
        if live.is_empty() {
            "Nothing lost".into()
        } else {
            "Live".into()
        },
    )
}

pub(super) struct Select {
    pub(super) label: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) options: Vec<(String, String)>,
}

impl Select {
    pub(super) fn new(
        label: &'static str,
        name: &'static str,
        value: &str,
        any: &str,
        options: &[&str],
    ) -> Self {
        let first = (String::new(), any.to_owned());
        let rest = options.iter().map(|o| ((*o).to_owned(), (*o).to_owned()));
        Self {
            label,
            name,
            value: value.to_owned(),
            options: std::iter::once(first).chain(rest).collect(),
        }
    }
}

/// The same list from the next item on.
pub(super) fn link(path: &str, parts: &[(&str, &String)], cursor: &str) -> String {
    let cursor = cursor.to_owned();
    let mut parts = parts.to_vec();
    parts.push(("cursor", &cursor));
    query_link(path, &parts)
}

/// A path with those of the parts that are set.
pub(super) fn query_link(path: &str, parts: &[(&str, &String)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parts.iter().filter(|(_, v)| !v.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// A link's name and target.
pub(super) type Link = (&'static str, String);

/// A name, and when; `None`: never, or not known.
pub(super) type Moment = (&'static str, Option<Timestamp>);

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    page: Frame,
    title: &'a str,
    text: &'a str,
}

pub(super) fn failed(app: &App, who: &Who, code: StatusCode, title: &str, text: &str) -> Response {
    (
        code,
        show(&ErrorPage {
            page: Frame::new(app, who, ""),
            title,
            text,
        }),
    )
        .into_response()
}

pub(super) fn missing(app: &App, who: &Who, title: &str) -> Response {
    failed(
        app,
        who,
        StatusCode::NOT_FOUND,
        title,
        "It may have been merged into another, or put out by the budget.",
    )
}

pub(super) async fn not_found(
    State(app): Shared,
    who: Who,
    uri: axum::http::Uri,
    headers: axum::http::HeaderMap,
) -> Response {
    let html = headers
        .get(header::ACCEPT)
        .and_then(|a| a.to_str().ok())
        .is_some_and(|a| a.contains("text/html"));
    if html && !uri.path().starts_with("/api/") {
        failed(
            &app,
            &who,
            StatusCode::NOT_FOUND,
            "There is no such page",
            "Nothing is at this address.",
        )
    } else {
        api::problem(StatusCode::NOT_FOUND, "there is no such path")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Beat;

    const NOW: i64 = 1_760_000_000;

    /// A port on which a frame came so many seconds ago, and an analysis that published then.
    fn sensor(frame: i64, published: i64, dropped: u64) -> SensorView {
        let beat = |at| Beat {
            at: Timestamp::from_secs(at),
            dropped,
            ..Beat::default()
        };
        SensorView {
            sources: vec![SourceView {
                name: "eth1".into(),
                live: true,
                kernel_drops: 7,
                ..SourceView::default()
            }],
            seconds: vec![beat(NOW - published)],
            minutes: vec![beat(NOW - 3_000), beat(NOW - 60)],
            last_frame_wall: Timestamp::from_secs(NOW - frame),
            ..SensorView::default()
        }
    }

    #[test]
    fn what_is_stale_says_so_and_what_is_over_is_over() {
        let state = |s: &SensorView| state(s, Timestamp::from_secs(NOW));
        assert_eq!(state(&sensor(1, 1, 0)), ("good", "Live".into()));
        let (tone, words) = state(&sensor(61, 1, 0));
        assert!(
            tone == "warn" && words.starts_with("Silent since"),
            "{words}"
        );
        // Whose analysis does not go on cannot say that nothing comes.
        let (tone, words) = state(&sensor(61, 61, 0));
        assert!(
            tone == "bad" && words.starts_with("Analysis stands still"),
            "{words}"
        );
        let lossy = ("warn", "10 packets dropped in the last hour".into());
        assert_eq!(state(&sensor(1, 1, 5)), lossy);
        // A file was read to its end long ago, and is what it is.
        let mut file = sensor(9_000, 9_000, 5);
        file.sources[0].live = false;
        assert_eq!(state(&file), ("warn", "7 packets dropped".into()));
    }
}
