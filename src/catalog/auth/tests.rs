use std::sync::Arc;

use crate::catalog::{
    AuthVerdict, Catalog, Change, EndpointView, Exposed, ExposureKind, Settings, Severity,
};
use crate::exchange::{Exchange, Jwt, JwtFlags, Leaks, Presented, Rpc, Shapes};
use crate::time::Timestamp;

const T0: i64 = 1_760_000_000;

/// A catalogue, and what it tells.
struct Talk {
    catalog: Catalog,
    told: Vec<Exposed>,
    secs: i64,
}

impl Talk {
    fn new() -> Self {
        Self {
            catalog: Catalog::new(Settings::default()),
            told: Vec::new(),
            secs: T0,
        }
    }

    fn call(&mut self, method: &str, path: &str, change: impl Fn(&mut Exchange), times: usize) {
        for _ in 0..times {
            self.secs += 1;
            let mut x = Exchange::at(Timestamp::from_secs(self.secs));
            (x.method, x.host) = (Some(method.into()), Some("api.example".into()));
            (x.path, x.status) = (Some(path.into()), Some(200));
            x.content_type = Some("application/json".into());
            change(&mut x);
            let mut changes = Vec::new();
            self.catalog.apply(&x, &mut changes);
            self.told
                .extend(changes.into_iter().filter_map(|c| match c {
                    Change::Exposed(exposed) => Some(exposed),
                    _ => None,
                }));
        }
    }

    fn view(&mut self, path: &str) -> Arc<EndpointView> {
        let view = self.catalog.view();
        let found = view.endpoints.iter().find(|e| e.template == path);
        found.cloned().unwrap()
    }

    fn findings(&mut self, path: &str) -> Vec<(ExposureKind, Severity, u64)> {
        let all = self.view(path);
        let all = all.findings.iter();
        all.map(|f| (f.kind, f.severity, f.count)).collect()
    }

    fn detectors(&self) -> Vec<&'static str> {
        self.told.iter().map(|e| e.detector).collect()
    }
}

fn nobody(_: &mut Exchange) {}

fn bearer(x: &mut Exchange) {
    with(x, "header:authorization", "bearer");
    x.auth = Some("bearer".into());
}

fn with(x: &mut Exchange, place: &str, scheme: &str) {
    x.auth_in = Some(Arc::from([Presented {
        place: place.into(),
        scheme: scheme.into(),
    }]));
}

fn answers(x: &mut Exchange, shape: &str) {
    x.shapes = Some(Box::new(Shapes {
        response: serde_json::from_str(shape).ok(),
        ..Shapes::default()
    }));
}

const MAIL: &str = r#"{"":"object","/mail":"string email pii:email"}"#;

#[test]
fn the_verdict_is_of_answered_calls_alone() {
    let mut t = Talk::new();
    let refused = |x: &mut Exchange| x.status = Some(401);
    t.call("GET", "/a", refused, 3);
    t.call("GET", "/a", bearer, 3);
    assert_eq!(t.view("/a").auth_verdict, Some(AuthVerdict::Consistent));
    // A redirect asks for a login.
    t.call("GET", "/a", |x| x.status = Some(302), 3);
    assert_eq!(t.view("/a").auth_verdict, Some(AuthVerdict::Consistent));
    t.call("GET", "/a", nobody, 1);
    let a = t.view("/a");
    assert_eq!(a.auth_verdict, Some(AuthVerdict::Mixed));
    let schemes: Vec<_> = (a.auth_schemes.iter())
        .map(|s| (s.scheme.as_str(), s.place.as_str(), s.requests, s.by_class))
        .collect();
    let expected = [
        ("bearer", "header:authorization", 3, [0, 0, 3, 0, 0, 0]),
        // The first refusals came before there was an endpoint.
        ("none", "", 4, [0, 0, 1, 3, 0, 0]),
    ];
    assert_eq!(schemes, expected);
    t.call("GET", "/b", |x| with(x, "query:api_key", "apikey"), 2);
    assert_eq!(t.view("/b").auth_verdict, Some(AuthVerdict::Consistent));
    t.call("GET", "/c", |x| with(x, "tls:certificate", "mtls"), 2);
    assert_eq!(t.view("/c").auth_verdict, Some(AuthVerdict::Consistent));
    t.call("GET", "/d", nobody, 2);
    assert_eq!(t.view("/d").auth_verdict, Some(AuthVerdict::Missing));
}

#[test]
fn a_public_service_is_listed_and_a_hole_beside_others_rings() {
    let mut t = Talk::new();
    t.call("GET", "/open", nobody, 10);
    let found = |severity, n| [(ExposureKind::NoAuthentication, severity, n)];
    assert_eq!(t.findings("/open"), found(Severity::Info, 10));
    assert_eq!(t.detectors(), Vec::<&str>::new());
    t.call("GET", "/mine", bearer, 2);
    assert_eq!(t.detectors(), Vec::<&str>::new());
    t.call("POST", "/write", nobody, 10);
    t.call("GET", "/open", |x| answers(x, MAIL), 1);
    assert_eq!(t.findings("/write"), found(Severity::Medium, 10));
    assert_eq!(t.findings("/open"), found(Severity::High, 11));
    // One alert a host, from the first that was due.
    assert_eq!(t.detectors(), ["catalog-authentication"]);
    assert_eq!(
        (t.told[0].owasp, t.told[0].severity),
        ("API2:2023", Severity::Medium)
    );
    assert!(t.told[0].why[0].contains("demand"), "{:?}", t.told[0].why);
}

#[test]
fn what_is_open_by_design_is_no_finding() {
    let mut t = Talk::new();
    t.call("GET", "/mine", bearer, 6);
    for path in [
        "/login",
        "/v1/auth/token",
        "/healthz",
        "/.well-known/openid-configuration",
        "/openapi.json",
    ] {
        t.call("GET", path, nobody, 10);
        assert_eq!(t.findings(path), [], "{path}");
    }
    t.call("POST", "/enter", |x| x.login = Some("9ab1".into()), 10);
    assert_eq!(t.findings("/enter"), []);
    t.call(
        "GET",
        "/page",
        |x| x.content_type = Some("text/html".into()),
        10,
    );
    assert_eq!(t.findings("/page"), []);
    assert_eq!(t.detectors(), Vec::<&str>::new());
}

#[test]
fn mixed_is_worse_where_both_get_the_same() {
    let mixed = |severity, n| [(ExposureKind::MixedAuthentication, severity, n)];
    let shaped = |path: &str, plain: &str, with: &str| {
        let mut t = Talk::new();
        t.call(
            "GET",
            path,
            |x| {
                bearer(x);
                answers(x, with)
            },
            6,
        );
        t.call("GET", path, |x| answers(x, plain), 6);
        (t.findings(path), t.detectors().len())
    };
    let plain = r#"{"":"object","/id":"integer"}"#;
    assert_eq!(
        shaped("/a", plain, plain),
        (mixed(Severity::Medium, 6).into(), 1)
    );
    assert_eq!(
        shaped("/a", MAIL, MAIL),
        (mixed(Severity::High, 6).into(), 1)
    );
    assert_eq!(
        shaped("/a", plain, MAIL),
        (mixed(Severity::Low, 6).into(), 1)
    );
    // Cookies go along whether asked for or not.
    let mut t = Talk::new();
    t.call("GET", "/a", |x| with(x, "cookie:sid", "cookie"), 6);
    t.call("GET", "/a", nobody, 6);
    assert_eq!(t.findings("/a"), mixed(Severity::Info, 6));
    assert_eq!(t.detectors(), Vec::<&str>::new());
}

#[test]
fn a_call_of_grpc_that_failed_was_not_answered() {
    let mut t = Talk::new();
    let grpc = |status| {
        move |x: &mut Exchange| {
            x.content_type = Some("application/grpc".into());
            (x.rpc, x.grpc_status) = (Some(Rpc::Grpc), Some(status));
        }
    };
    t.call("POST", "/shop.Orders/List", grpc(16), 4);
    let list = t.view("/shop.Orders/List");
    assert_eq!((list.auth_verdict, list.findings.len()), (None, 0));
    t.call("POST", "/shop.Orders/List", grpc(0), 4);
    let low = [(ExposureKind::NoAuthentication, Severity::Low, 4)];
    assert_eq!(t.findings("/shop.Orders/List"), low);
}

fn token(x: &mut Exchange, alg: &str, life_s: Option<u64>, flags: JwtFlags) {
    bearer(x);
    x.jwt = Some(Arc::new(Jwt {
        alg: alg.into(),
        life_s,
        issuer: Some("9ab1".into()),
        flags,
        ..Jwt::default()
    }));
}

#[test]
fn tokens_count_where_they_were_answered() {
    let mut t = Talk::new();
    t.call(
        "GET",
        "/a",
        |x| token(x, "RS256", Some(3_600), JwtFlags::default()),
        5,
    );
    let none = |status| {
        move |x: &mut Exchange| {
            token(x, "none", None, JwtFlags::ALG_NONE);
            x.status = Some(status);
        }
    };
    t.call("GET", "/a", none(401), 3);
    assert_eq!(t.findings("/a"), []);
    t.call("GET", "/a", none(200), 1);
    t.call(
        "GET",
        "/a",
        |x| token(x, "RS256", Some(90_000), JwtFlags::EXPIRED),
        2,
    );
    t.call(
        "GET",
        "/a",
        |x| token(x, "HS256", None, JwtFlags::NO_EXP),
        3,
    );
    let expected = [
        (ExposureKind::JwtNone, Severity::Critical, 1),
        (ExposureKind::JwtExpiredAccepted, Severity::High, 2),
        (ExposureKind::JwtNoExpiry, Severity::Medium, 3),
        (ExposureKind::JwtLongLife, Severity::Low, 2),
        (ExposureKind::JwtMixedAlgorithms, Severity::Medium, 3),
    ];
    assert_eq!(t.findings("/a"), expected);
    assert_eq!(t.detectors(), ["catalog-tokens"]);
    let jwt = t.view("/a").jwt.clone().unwrap();
    assert_eq!(jwt.longest_life_s, Some(90_000));
    assert_eq!(jwt.algorithms["RS256"].count, 7);
    assert_eq!(jwt.flags["no-exp"].count, 3);
}

#[test]
fn what_answers_give_away_is_told_once_a_host_and_versions_are_the_hosts() {
    let mut t = Talk::new();
    t.call("GET", "/a", bearer, 3);
    let fails = |leaks| {
        move |x: &mut Exchange| {
            bearer(x);
            (x.status, x.leaks) = (Some(500), leaks);
            x.software = Some("nginx/1.18.0".into());
        }
    };
    t.call("GET", "/a", fails(Leaks::INTERNAL_ADDRESS), 1);
    assert_eq!(t.detectors(), Vec::<&str>::new());
    t.call("GET", "/a", fails(Leaks::SQL_ERROR), 2);
    t.call("GET", "/a", fails(Leaks::STACK_TRACE), 1);
    assert_eq!(t.detectors(), ["catalog-errors"]);
    let expected = [
        (ExposureKind::StackTrace, Severity::Medium, 1),
        (ExposureKind::SqlError, Severity::High, 2),
        (ExposureKind::InternalAddress, Severity::Low, 1),
    ];
    assert_eq!(t.findings("/a"), expected);
    let leaks = t.view("/a").leaks.clone();
    assert_eq!(
        (leaks[1].kind.as_str(), leaks[1].statuses[&500]),
        ("sql-error", 2)
    );
    let host = t.catalog.view().hosts[0].findings.clone();
    assert_eq!(
        (host.len(), host[0].count, host[0].severity),
        (1, 4, Severity::Info)
    );
    assert!(host[0].what.contains("nginx/1.18.0"));
}

#[test]
fn what_is_kept_comes_back_and_is_not_told_again() {
    let mut t = Talk::new();
    t.call("GET", "/mine", bearer, 6);
    t.call("GET", "/open", nobody, 10);
    assert_eq!(t.detectors().len(), 1);
    let saved = t.catalog.save();
    let before = t.view("/open").findings.clone();
    t.catalog = Catalog::restore(Settings::default(), &saved).unwrap();
    assert_eq!(t.view("/open").findings, before);
    t.call("GET", "/open", nobody, 10);
    t.call("GET", "/also", nobody, 10);
    assert_eq!(t.detectors().len(), 1);
}
