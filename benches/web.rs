//! Every page with 100,000 endpoints and 10,000 alerts, asked for in-process. Prints the time of the
//! median and of the 99th percentile, and the bytes; fails where one takes more than 50 ms or is no
//! answer, or a page is heavier than 200 KB.
//!
//! `cargo bench --bench web` (or `make bench-web`); `ONLY=/alerts` asks for the URLs that begin so,
//! `REQUESTS=1000` so often for each.
#![allow(clippy::unwrap_used)]

#[path = "web/specs.rs"]
mod specs;
#[path = "web/world.rs"]
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use apitap::web::{Settings, router};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt;

const ENDPOINTS: usize = 100_000;
const ALERTS: usize = 10_000;
const SLOWEST: Duration = Duration::from_millis(50);
const HEAVIEST: usize = 200_000;

/// What is asked for. In braces stands what `world` names.
const URLS: &[&str] = &[
    "/",
    "/endpoints",
    "/endpoints?q=orders",
    "/endpoints?q=history",
    "/endpoints?q=nothing+like+it",
    "/endpoints?q=status:shadow+risk:>6+seen:<1d&sort=requests",
    "/endpoints?q=host:*-1*+method:get,post+-flag:zombie&sort=last",
    "/endpoints?q=data:email+auth:none&sort=p90",
    "/endpoints?sort=path&cursor={endpoint}",
    "/endpoints?cursor={endpoint}&limit=200",
    "/endpoints?host={host}",
    "/endpoints?view=tree",
    "/endpoints?view=tree&at={host}",
    "/endpoints?view=tree&at={host}/v1",
    "/endpoints/accept?q=orders",
    "/endpoints/{endpoint}",
    "/alerts",
    "/alerts?kind=scan&status=open",
    "/alerts/{alert}",
    "/incidents",
    "/incidents/{incident}",
    "/findings",
    "/owasp",
    "/principals",
    "/principals?q=orders&sort=requests",
    "/principals?incidents=open&cursor={principal}",
    "/coverage",
    "/silences",
    "/automation",
    "/deliveries",
    "/decisions",
    "/sensor",
    "/settings",
    "/api/v1/endpoints?limit=200",
    "/api/v1/alerts?limit=200",
    "/api/v1/incidents?limit=200",
    "/api/v1/edges?sort=first",
    "/specs",
    "/specs/largest",
    "/specs/largest?show=unseen",
    "/specs/largest?show=seen&cursor={operation}",
    "/specs/largest?show=undocumented",
    "/specs/largest?show=drift",
    "/specs/largest/diff",
    "/specs/largest/diff?from=25000",
    "/specs/largest/diff?show=all&from=40000",
    "/specs/largest/diff?against=newer",
    "/specs/usual",
    "/specs/usual/diff",
    "/specs/usual/diff?against=largest",
];

struct Figures {
    p50: Duration,
    p99: Duration,
    bytes: usize,
    status: StatusCode,
}

async fn ask(router: &Router, url: &str) -> (StatusCode, usize) {
    let request = Request::get(url)
        .header(header::HOST, "127.0.0.1:8650")
        .header(header::ACCEPT, "*/*")
        .body(Body::empty())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, body.len())
}

/// `between`: what happens before each request, and is not measured.
async fn measure(router: &Router, url: &str, requests: usize, between: impl Fn(usize)) -> Figures {
    let (status, bytes) = ask(router, url).await;
    let mut times = Vec::new();
    for n in 0..requests {
        between(n);
        let start = Instant::now();
        ask(router, url).await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Figures {
        p50: times[requests / 2],
        p99: times[(requests * 99).div_ceil(100) - 1],
        bytes,
        status,
    }
}

fn main() -> ExitCode {
    let only = std::env::var("ONLY").unwrap_or_default();
    let requests = std::env::var("REQUESTS").map_or(200, |n| n.parse().unwrap());
    let (views, names) = world::views(ENDPOINTS, ALERTS);
    let (commands, _inbox) = tokio::sync::mpsc::channel(1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let router = router(views.clone(), commands, Settings::default());
    println!("{ENDPOINTS} endpoints, {ALERTS} alerts; {requests} requests each");
    println!("  p50 ms   p99 ms    bytes  url");
    let mut sound = true;
    let mut show = |f: Figures, url: &str| {
        // What the API answers is for programs, and as long as they ask for.
        let light = f.bytes <= HEAVIEST || url.starts_with("/api/");
        let good = f.status.is_success() && f.p99 <= SLOWEST && light;
        sound &= good;
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        println!(
            "{:>8.2} {:>8.2} {:>8}  {url}{}",
            ms(f.p50),
            ms(f.p99),
            f.bytes,
            match good {
                true => String::new(),
                false => format!("  NOT SOUND: {}", f.status),
            }
        );
    };
    for url in URLS.iter().filter(|url| url.starts_with(&only)) {
        let put = |url: String, (name, value): &(&str, String)| url.replace(name, value);
        // A URL has no `<` or `>`.
        let url = url.replace('<', "%3C").replace('>', "%3E");
        let url = names.iter().fold(url, put);
        show(
            runtime.block_on(measure(&router, &url, requests, |_| ())),
            &url,
        );
    }
    // As where packets come in: a view is asked for once, and one endpoint in a hundred is another.
    let anew = ["/endpoints", "/specs/largest", "/specs/largest/diff"];
    for url in anew.iter().filter(|url| url.starts_with(&only)) {
        let publish = |n: usize| world::publish(&views, n);
        let f = runtime.block_on(measure(&router, url, requests, publish));
        show(f, &format!("{url}, of a new view each time"));
    }
    ExitCode::from(u8::from(!sound))
}
