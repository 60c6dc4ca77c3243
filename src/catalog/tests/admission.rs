//! Soft answers, refusals and hosts that are none.

use super::*;

struct Server {
    b: Bench,
    ip: std::net::IpAddr,
}

impl Server {
    fn new() -> Self {
        Self {
            b: Bench::new(),
            ip: "10.0.0.9".parse().unwrap(),
        }
    }

    fn ask(&mut self, host: &str, path: &str, fill: impl Fn(&mut Exchange)) -> Access {
        self.b.now += 1;
        let mut x = Exchange::at(Timestamp::from_secs(self.b.now));
        (x.server, x.server_port) = (self.ip, 80);
        x.method = Some("GET".into());
        x.host = Some(host.into());
        x.path = Some(path.into());
        fill(&mut x);
        self.b.catalog.apply(&x, &mut self.b.changes)
    }

    fn page(&mut self, path: &str, bytes: u64) -> Access {
        self.ask("app.example", path, |x| {
            (x.status, x.response_bytes) = (Some(200), Some(bytes));
            x.content_type = Some("text/html".into());
        })
    }

    fn real(&mut self) {
        for n in 0..4 {
            self.ask("app.example", &format!("/api/orders/{n}"), |x| {
                (x.status, x.response_bytes) = (Some(200), Some(100 + n));
                x.content_type = Some("application/json".into());
            });
        }
    }

    fn confirmed(&mut self) -> Vec<String> {
        self.b.catalog.settle(&mut self.b.changes);
        let view = self.b.catalog.view();
        let confirmed = view.endpoints.iter().filter(|e| e.confirmed);
        confirmed.map(|e| e.label()).collect()
    }

    fn known(&mut self) -> usize {
        self.b.catalog.view().endpoints.len()
    }
}

const REAL: [&str; 1] = ["GET app.example /api/orders/{order_id}"];

fn probe(n: u32) -> String {
    // Letters alone, so that no path has the form of an id.
    let word = |n: u32| (0..5).map(move |k| char::from(b'a' + (n >> (k * 4)) as u8 % 16));
    let first: String = word(n.wrapping_mul(7_919)).collect();
    match n % 3 {
        0 => format!("/{first}"),
        1 => format!("/{first}/{}", word(n).collect::<String>()),
        _ => format!("/{first}.php"),
    }
}

#[test]
fn a_scanner_over_a_catch_all_makes_nothing_and_what_is_real_stays() {
    let mut s = Server::new();
    s.real();
    for n in 0..100_000 {
        s.page(&probe(n), 4_321);
    }
    s.real();
    assert_eq!(s.confirmed(), REAL);
    assert!(s.known() <= 2, "{}", s.known());
    // The same again: what was found is not forgotten, nor by a restart.
    let saved = s.b.catalog.save();
    s.b.catalog = Catalog::restore(Settings::default(), &saved).unwrap();
    for n in 0..200 {
        s.page(&probe(n), 4_321);
    }
    assert_eq!(s.confirmed(), REAL);
}

#[test]
fn a_page_that_echoes_the_path_or_a_token_is_soft_too() {
    for (kind, base) in [("application/json", 30_u64), ("text/html", 9_000)] {
        let mut s = Server::new();
        s.real();
        for n in 0..400 {
            let path = probe(n);
            let bytes = base + path.len() as u64;
            for _ in 0..2 {
                s.ask("app.example", &path, |x| {
                    (x.status, x.response_bytes) = (Some(200), Some(bytes));
                    x.content_type = Some(kind.into());
                });
            }
        }
        assert_eq!(s.confirmed(), REAL, "{kind}");
    }
}

#[test]
fn a_redirection_to_one_login_page_is_no_endpoint() {
    let mut s = Server::new();
    s.real();
    for round in 0..2 {
        for n in 0..60 {
            s.ask("app.example", &probe(n), |x| {
                (x.status, x.location) = (Some(302), Some("5f0c".into()));
            });
        }
        // Others lead elsewhere each, and are real.
        s.ask("app.example", "/goto/spring", |x| {
            (x.status, x.location) = (Some(302), Some(format!("{round}").into()));
        });
    }
    assert_eq!(s.confirmed(), [REAL[0], "GET app.example /goto/spring"]);
}

#[test]
fn many_endpoints_that_answer_alike_are_real_where_they_are_used_or_others_are_missed() {
    let calls = [
        "open", "close", "lock", "unlock", "start", "stop", "pause", "resume",
    ];
    let path = |n: usize| format!("/{}-{}", calls[n % 8], ["a", "b", "c", "d", "e"][n / 8]);
    let ok = |x: &mut Exchange| {
        (x.status, x.response_bytes) = (Some(200), Some(11));
        x.content_type = Some("application/json".into());
    };
    // Each used again and again.
    let mut s = Server::new();
    for n in 0..40 {
        for _ in 0..4 {
            s.ask("rpc.example", &path(n), ok);
        }
    }
    assert_eq!(s.known(), 40);
    // Each once a day, and whoever asks for anything else gets a 404.
    let mut s = Server::new();
    for n in 0..12 {
        s.ask("rpc.example", &path(n), ok);
        s.ask(
            "rpc.example",
            &format!("/no{}", path(n).replace('/', "")),
            |x| x.status = Some(404),
        );
    }
    for n in 0..40 {
        s.ask("rpc.example", &path(n), ok);
    }
    assert_eq!(s.known(), 40);
}

#[test]
fn refusals_count_where_something_else_answered() {
    let mut b = Bench::new();
    for status in [401, 403, 422, 401] {
        b.call("POST", "shop.example", "/v1/orders", status);
    }
    assert!(b.labels().is_empty(), "nothing ever answered here");
    b.get("/v1/orders");
    for _ in 0..2 {
        b.call("POST", "shop.example", "/v1/orders", 422);
        b.call("DELETE", "shop.example", "/v1/orders", 405);
        b.call("PUT", "shop.example", "/v1/orders", 502);
    }
    let view = b.catalog.view();
    let found: Vec<(&str, bool)> = view
        .endpoints
        .iter()
        .map(|e| (e.method.as_str(), e.confirmed))
        .collect();
    assert_eq!(found, [("GET", false), ("POST", true)]);
    // Another principal's 403 is the second answer.
    b.call("GET", "shop.example", "/v1/orders", 403);
    assert!(b.catalog.view().endpoints[0].confirmed);
}

#[test]
fn answers_within_a_moment_confirm_nothing() {
    let mut b = Bench::new();
    let mut at = |ms: i64| {
        let mut x = Exchange::at(Timestamp::from_nanos(
            1_760_000_000_000_000_000 + ms * 1_000_000,
        ));
        x.method = Some("GET".into());
        x.host = Some("shop.example".into());
        x.path = Some("/a".into());
        x.status = Some(200);
        b.catalog.apply(&x, &mut b.changes).confirmed
    };
    assert!(!at(0) && !at(5) && !at(999));
    assert!(at(1_000));
}

#[test]
fn any_host_at_one_server_is_none_until_it_differs() {
    let mut s = Server::new();
    s.real();
    let shell = |x: &mut Exchange| {
        (x.status, x.response_bytes) = (Some(200), Some(612));
        x.content_type = Some("text/html".into());
    };
    for round in 0..2 {
        for n in 0..1_000 {
            let host = format!("h{n}.example");
            s.ask(&host, "/", shell);
            s.ask(&host, &format!("/x{round}"), |x| x.status = Some(404));
        }
    }
    assert_eq!(s.known(), 1, "the real endpoint alone");
    for n in 0..3 {
        s.ask("h7.example", "/v1/carts", |x| {
            (x.status, x.response_bytes) = (Some(200), Some(50 + n));
        });
    }
    s.ask("h7.example", "/", shell);
    let confirmed = s.confirmed();
    assert_eq!(confirmed, [REAL[0], "GET h7.example /v1/carts"]);
}
