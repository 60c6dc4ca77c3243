//! What becomes an alert: a detector's verdict, a finding of the catalogue, trouble of the sensor.

use super::manager::{Manager, fingerprint};
use super::{Alert, Evidence, Status, VERSION};
use crate::catalog::{DriftKind, Drifted, Exposed, Finding, FindingKind};
use crate::detect::{Severity, Verdict, VerdictKind};
use crate::time::Timestamp;

impl Manager {
    /// A verdict becomes a new alert, a revision of an open one, or nothing worth telling.
    pub fn raise(&mut self, v: &Verdict, endpoint: Option<String>) -> Option<Alert> {
        let kind = kind_name(v.kind);
        let who = v
            .principal
            .as_ref()
            .and_then(|p| p.identity.as_deref().or(p.client.as_deref()));
        let fingerprint = fingerprint(&[
            kind,
            &v.detector,
            who.unwrap_or("-"),
            endpoint.as_deref().or(v.host.as_deref()).unwrap_or("-"),
        ]);
        self.end_quiet(&fingerprint, v.at);
        self.take(Alert {
            v: VERSION,
            id: String::new(),
            ts: v.at,
            kind: kind.to_owned(),
            severity: v.severity,
            score: v.score,
            detector: v.detector.clone(),
            principal: v.principal.clone(),
            evidence: Evidence::of(&v.place, (v.since, v.until), endpoint.as_deref()),
            host: (v.host.clone()).or_else(|| endpoint.as_deref().and_then(host_of)),
            endpoint,
            since: v.since,
            until: v.until,
            expected: v.expected,
            observed: v.observed,
            p_value: 10_f64.powf(v.log10_p),
            log10_p: v.log10_p,
            summary: v.summary.clone(),
            why: v.why.clone(),
            samples: v.samples.clone(),
            series: v.series.clone(),
            parts: v.parts.clone(),
            owasp: v.owasp.clone(),
            status: Status::Open,
            fingerprint,
            occurrences: 1,
            last_seen: v.at,
            revision: 1,
            changed_by: None,
            note: None,
            incident: None,
            status_until: None,
            silenced: None,
            history: Vec::new(),
        })
    }

    /// The same for a lasting fact of the catalogue. New endpoints and callers are inventory
    /// news, no alert.
    pub fn raise_finding(&mut self, f: &Finding) -> Option<Alert> {
        let (kind, severity, what) = match f.kind {
            FindingKind::New | FindingKind::NewCaller => return None,
            FindingKind::Shadow => ("shadow", Severity::Medium, "no spec has it"),
            FindingKind::UnknownHost => ("shadow", Severity::Medium, "no spec knows this host"),
            FindingKind::DeprecatedInUse => {
                ("deprecated", Severity::Low, "deprecated, and still called")
            }
            FindingKind::Zombie => (
                "deprecated",
                Severity::Low,
                "an old version, and still called",
            ),
            FindingKind::Introspection => (
                "exposure",
                Severity::Low,
                "gives its GraphQL schema to whoever asks",
            ),
            FindingKind::WiderExposure => (
                "exposure",
                Severity::Medium,
                "answers callers from a wider zone than before",
            ),
            FindingKind::SunsetPassed => (
                "deprecated",
                Severity::Medium,
                "past its sunset, and still called",
            ),
        };
        let detector = format!("catalog-{}", serde_json::to_value(f.kind).ok()?.as_str()?);
        let is_host = f.kind == FindingKind::UnknownHost;
        self.plain(
            kind,
            severity,
            &detector,
            &f.subject,
            (!is_host).then_some(f.subject.as_str()),
            format!("{}: {what}", f.subject),
            vec![f.why.clone()],
            f.at,
            f.since,
            f.kind.owasp(),
        )
    }

    /// What lies open at a host: one alert, which grows with what is found later.
    pub fn raise_exposed(&mut self, e: &Exposed) -> Option<Alert> {
        let (summary, why) = (e.summary.clone(), e.why.clone());
        self.plain(
            "exposure",
            e.severity,
            e.detector,
            &e.subject,
            e.endpoint.as_deref(),
            summary,
            why,
            e.at,
            e.since,
            e.owasp,
        )
    }

    /// An endpoint does what its document does not say: once for each kind of difference.
    pub fn raise_drift(&mut self, d: &Drifted) -> Option<Alert> {
        let severity = match d.kind {
            DriftKind::UndocumentedAuth => Severity::Medium,
            _ => Severity::Low,
        };
        let detector = format!("catalog-{}", d.kind.name());
        let what = d.kind.name().replace('-', " ");
        let summary = format!("{}: drifts from its document, {what}", d.subject);
        self.plain(
            "drift",
            severity,
            &detector,
            &d.subject,
            Some(&d.subject),
            summary,
            d.why.clone(),
            d.at,
            d.since,
            d.kind.owasp(),
        )
    }

    /// Something is wrong with the watching itself.
    pub fn raise_sensor(
        &mut self,
        summary: String,
        why: Vec<String>,
        severity: Severity,
        at: Timestamp,
    ) -> Option<Alert> {
        let subject = summary.clone();
        self.plain(
            "sensor", severity, "sensor", &subject, None, summary, why, at, at, "",
        )
    }

    #[allow(clippy::too_many_arguments)] // an alert's own fields
    fn plain(
        &mut self,
        kind: &str,
        severity: Severity,
        detector: &str,
        subject: &str,
        endpoint: Option<&str>,
        summary: String,
        why: Vec<String>,
        at: Timestamp,
        since: Timestamp,
        owasp: &str,
    ) -> Option<Alert> {
        self.take(Alert {
            v: VERSION,
            id: String::new(),
            ts: at,
            kind: kind.to_owned(),
            severity,
            score: 0.0,
            detector: detector.to_owned(),
            principal: None,
            endpoint: endpoint.map(str::to_owned),
            host: match (endpoint, kind) {
                (Some(endpoint), _) => host_of(endpoint),
                (None, "sensor") => None,
                (None, _) => Some(subject.to_owned()),
            },
            since,
            until: at,
            expected: 0.0,
            observed: 0.0,
            p_value: 1.0,
            log10_p: 0.0,
            summary,
            why,
            samples: Vec::new(),
            series: Vec::new(),
            parts: Vec::new(),
            evidence: None,
            owasp: owasp.to_owned(),
            status: Status::Open,
            fingerprint: fingerprint(&[kind, detector, subject]),
            occurrences: 1,
            last_seen: at,
            revision: 1,
            changed_by: None,
            note: None,
            incident: None,
            status_until: None,
            silenced: None,
            history: Vec::new(),
        })
    }
}

/// `api.example.com` of `GET api.example.com /v1/users/{user_id}`.
fn host_of(endpoint: &str) -> Option<String> {
    endpoint.split(' ').nth(1).map(str::to_owned)
}

fn kind_name(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Enumeration => "enumeration",
        VerdictKind::Scan => "scan",
        VerdictKind::Scraping => "scraping",
        VerdictKind::Credential => "credential",
        VerdictKind::Volume => "volume",
        VerdictKind::Exfiltration => "exfiltration",
        VerdictKind::Authorization => "authorization",
        VerdictKind::Source => "source",
        VerdictKind::Availability => "availability",
        VerdictKind::Tampering => "tampering",
        VerdictKind::Exposure => "exposure",
    }
}
