//! Traffic of a large inventory, composed: so many endpoints of which each is its own (nothing
//! folds), so many principals, each with a few calls, as exchanges to the analysis half.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apitap::analysis::{Analysis, Settings};
use apitap::catalog::spec::{SpecSet, parse};
use apitap::catalog::{Catalog, CatalogView};
use apitap::detect::Detect;
use apitap::exchange::{Exchange, parse_line};
use apitap::time::Timestamp;

/// Endpoints of a host: five groups of five resources, each with four of them.
const OF_HOST: u64 = 100;

/// What an endpoint with its schema and view, and a principal may take, and what there is beside.
const ENDPOINT: u64 = 16 << 10;
const PRINCIPAL: u64 = 4 << 10;
const REST: u64 = 48 << 20;

/// Bytes that the inventory and the detectors may take.
pub(crate) fn budget(size: Size) -> u64 {
    REST + size.endpoints * ENDPOINT + size.principals * PRINCIPAL
}

const LINE: &str = r#"{"ts":1795719812.380734,"client":"10.99.0.2","client_port":14018,"server":"10.99.0.1","server_port":8081,"protocol":"http/1.1","scheme":"http","method":"GET","host":"a.example","path":"/","query":"page=0","status":200,"latency_ms":1.161,"request_bytes":0,"response_bytes":740,"content_type":"application/json","identity":"bearer:0","auth":"bearer","query_shape":{"":"object","/page":"integer"},"response_shape":{"":"object","/id":"integer","/uuid":"string hex","/items":"array","/items/*":"object","/items/*/sku":"string","/items/*/qty":"integer","/items/*/price":"number"},"end":1795719812.381928}"#;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) endpoints: u64,
    pub(crate) principals: u64,
    /// Calls of each of the two steady parts.
    pub(crate) steady: u64,
    /// All endpoints are documented.
    pub(crate) spec: bool,
    /// It is published and saved too; else called alone, for callgrind.
    pub(crate) whole: bool,
}

/// What one size came to.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) endpoints: usize,
    pub(crate) principals: usize,
    /// Nanoseconds an exchange: of endpoints that are new, of principals that are, and of neither,
    /// called evenly and as traffic calls them.
    pub(crate) admit: f64,
    pub(crate) arrive: f64,
    pub(crate) even: f64,
    pub(crate) skewed: f64,
    /// Publishing: all views anew, 1 % of them, none.
    pub(crate) view_all: Duration,
    pub(crate) view_some: Duration,
    pub(crate) view_none: Duration,
    /// The first publishing of a day.
    pub(crate) view_day: Duration,
    /// All templates judged by all evidence, as is done by the hour; endpoints after it.
    pub(crate) settle: Duration,
    pub(crate) settled: usize,
    /// Of catalogue and detectors together.
    pub(crate) save: Duration,
    pub(crate) saved_bytes: usize,
    pub(crate) restore: Duration,
    /// Resident memory that it took, in MiB.
    pub(crate) memory: u64,
    /// The inventory as it was restored has the same endpoints.
    pub(crate) restored: bool,
    /// Views that the publishing of 1 % made anew.
    pub(crate) made_anew: usize,
}

/// One line per exchange kind, changed in place: making a record costs next to nothing.
pub(crate) struct Traffic {
    x: Exchange,
    hosts: Vec<String>,
    shapeless: Exchange,
    now: Timestamp,
    /// Packet time from one call to the next.
    pub(crate) step: Duration,
    /// SplitMix64's state.
    random: u64,
}

impl Traffic {
    pub(crate) fn new(size: Size) -> Self {
        let x = parse_line(LINE.as_bytes()).unwrap();
        let shapeless = Exchange {
            shapes: None,
            ..x.clone()
        };
        let hosts = (0..size.endpoints.div_ceil(OF_HOST)).map(|n| format!("api{n}.example"));
        Self {
            now: x.ts,
            step: Duration::from_millis(5),
            x,
            shapeless,
            hosts: hosts.collect(),
            random: 7,
        }
    }

    pub(crate) fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let h = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (h ^ (h >> 31)) % below
    }

    /// The n-th most called has an n-th of the calls of the first (Zipf's law), and stands anywhere.
    fn zipf(&mut self, of: u64) -> u64 {
        let even = self.random(1 << 32) as f64 / (1_u64 << 32) as f64;
        let rank = ((of + 1) as f64).powf(even) as u64 - 1;
        rank * 48_271 % of
    }

    /// A call; one of 64 was looked into, as of a place that is long known.
    pub(crate) fn call(&mut self, endpoint: u64, principal: u64, looked_into: bool) -> &Exchange {
        self.now = self.now + self.step;
        let id = self.random(1_000_000);
        let (method, path) = place(endpoint % OF_HOST, id);
        let x = if looked_into {
            &mut self.x
        } else {
            &mut self.shapeless
        };
        x.host = Some(self.hosts[(endpoint / OF_HOST) as usize].as_str().into());
        x.method = Some(method.into());
        x.path = Some(path.as_str().into());
        // An answer that all had alike would be a server's answer to anything.
        x.response_bytes = Some(200 + endpoint * 37 % 4_096);
        x.identity = Some(format!("bearer:{principal:016x}").into());
        (x.ts, x.end) = (self.now, self.now);
        x
    }
}

/// Method and path of a host's endpoint.
fn place(n: u64, id: u64) -> (&'static str, String) {
    // Each group has resources of its own, as APIs do: groups that are called alike would be values.
    const GROUPS: [(&str, [&str; 5]); 5] = [
        (
            "billing",
            ["credits", "invoices", "payments", "refunds", "taxes"],
        ),
        (
            "catalog",
            ["brands", "categories", "prices", "products", "reviews"],
        ),
        (
            "people",
            ["addresses", "contacts", "devices", "roles", "users"],
        ),
        (
            "shipping",
            ["carriers", "labels", "parcels", "rates", "returns"],
        ),
        (
            "stock",
            ["counts", "moves", "shelves", "suppliers", "warehouses"],
        ),
    ];
    let (group, resources) = GROUPS[(n / 20) as usize];
    let resource = resources[(n / 4 % 5) as usize];
    match n % 4 {
        0 => ("GET", format!("/v1/{group}/{resource}")),
        1 => ("POST", format!("/v1/{group}/{resource}")),
        2 => ("GET", format!("/v1/{group}/{resource}/{id}")),
        _ => ("DELETE", format!("/v1/{group}/{resource}/{id}")),
    }
}

/// A document that has every endpoint, whatever the host.
fn spec() -> SpecSet {
    let mut paths: HashMap<String, Vec<String>> = HashMap::new();
    for n in 0..OF_HOST {
        let (method, path) = place(n, 0);
        let path = match path.strip_suffix("/0") {
            Some(stem) => format!("{stem}/{{id}}"),
            None => path,
        };
        let operation = format!(r#""{}":{{"responses":{{}}}}"#, method.to_lowercase());
        paths.entry(path).or_default().push(operation);
    }
    let paths: Vec<String> = paths
        .iter()
        .map(|(path, operations)| format!(r#""{path}":{{{}}}"#, operations.join(",")))
        .collect();
    let text = format!(
        r#"{{"openapi":"3.0.0","info":{{"title":"all","version":"1"}},"paths":{{{}}}}}"#,
        paths.join(",")
    );
    SpecSet::new(vec![parse("all.json", &text).unwrap()])
}

pub(crate) fn settings(size: Size) -> Settings {
    let mut settings = Settings::default();
    settings.catalog.max_endpoints = size.endpoints as usize + 1;
    settings.detect.max_principals = size.principals as usize;
    settings
}

/// Kept out of line, as the next is: callgrind counts each by itself.
#[inline(never)]
pub(crate) fn evenly(analysis: &mut Analysis, traffic: &mut Traffic, size: Size) -> usize {
    calls(analysis, traffic, size, Traffic::random)
}

#[inline(never)]
pub(crate) fn skewed(analysis: &mut Analysis, traffic: &mut Traffic, size: Size) -> usize {
    calls(analysis, traffic, size, Traffic::zipf)
}

fn calls(
    analysis: &mut Analysis,
    traffic: &mut Traffic,
    size: Size,
    pick: impl Fn(&mut Traffic, u64) -> u64,
) -> usize {
    let mut alerts = Vec::new();
    for n in 0..size.steady {
        let endpoint = pick(traffic, size.endpoints);
        let principal = pick(traffic, size.principals);
        let x = traffic.call(endpoint, principal, n % 64 == 0);
        analysis.apply(x.end, x, &mut alerts);
    }
    alerts.len()
}

pub(crate) fn run(size: Size) -> Figures {
    let mut figures = Figures {
        // Before anything is there.
        memory: memory("VmRSS:"),
        ..Figures::default()
    };
    let mut traffic = Traffic::new(size);
    let mut analysis = fill(size, &mut traffic, &mut figures);
    let since = Clock::start();
    evenly(&mut analysis, &mut traffic, size);
    figures.even = since.each(size.steady);
    let since = Clock::start();
    skewed(&mut analysis, &mut traffic, size);
    figures.skewed = since.each(size.steady);
    if !size.whole {
        return figures;
    }
    publish(&mut analysis, &mut traffic, size, &mut figures);
    keep(&analysis, size, &mut figures);
    later(&mut analysis, &mut traffic, &mut figures);
    figures
}

/// All endpoints and all principals, each called a few times.
fn fill(size: Size, traffic: &mut Traffic, figures: &mut Figures) -> Analysis {
    let mut analysis = Analysis::new(settings(size));
    let mut alerts = Vec::new();
    if size.spec {
        analysis.set_specs(spec(), &mut alerts);
    }
    let since = Clock::start();
    for round in 0..3 {
        for endpoint in 0..size.endpoints {
            let x = traffic.call(endpoint, (endpoint + round) % size.principals, true);
            analysis.apply(x.end, x, &mut alerts);
        }
    }
    figures.admit = since.each(3 * size.endpoints);
    let since = Clock::start();
    for principal in 0..size.principals {
        for _ in 0..2 {
            let endpoint = traffic.random(size.endpoints);
            let x = traffic.call(endpoint, principal, false);
            analysis.apply(x.end, x, &mut alerts);
        }
    }
    figures.arrive = since.each(2 * size.principals);
    analysis
}

fn publish(analysis: &mut Analysis, traffic: &mut Traffic, size: Size, figures: &mut Figures) {
    let timed = |analysis: &mut Analysis| {
        let since = Instant::now();
        let view = analysis.view();
        (since.elapsed(), view)
    };
    let (took, all) = timed(analysis);
    figures.view_all = took;
    figures.endpoints = confirmed(&all);
    for n in 0..size.endpoints / 100 {
        let x = traffic.call(n * 100, 1, false);
        analysis.apply(x.end, x, &mut Vec::new());
    }
    let (took, some) = timed(analysis);
    figures.view_some = took;
    figures.made_anew = anew(&all, &some);
    figures.view_none = timed(analysis).0;
    figures.principals = analysis.detect.principals().0;
    figures.memory = memory("VmRSS:").saturating_sub(figures.memory);
}

/// What comes by the hour and by the day.
fn later(analysis: &mut Analysis, traffic: &mut Traffic, figures: &mut Figures) {
    let since = Instant::now();
    analysis.settle(&mut Vec::new());
    figures.settle = since.elapsed();
    figures.settled = confirmed(&analysis.view());
    traffic.now = traffic.now + Duration::from_secs(86_400);
    let x = traffic.call(0, 1, false);
    analysis.apply(x.end, x, &mut Vec::new());
    let since = Instant::now();
    analysis.view();
    figures.view_day = since.elapsed();
}

fn confirmed(view: &CatalogView) -> usize {
    view.endpoints.iter().filter(|e| e.confirmed).count()
}

fn anew(before: &CatalogView, after: &CatalogView) -> usize {
    let pairs = before.endpoints.iter().zip(&after.endpoints);
    pairs.filter(|(a, b)| !Arc::ptr_eq(a, b)).count()
}

/// Of the time that this thread has run: others on the machine change it less than the time of day.
struct Clock(u64);

impl Clock {
    fn start() -> Self {
        Self(Self::now())
    }

    /// Nanoseconds, as the kernel has it.
    fn now() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let run = stat.split_whitespace().next().and_then(|n| n.parse().ok());
        run.unwrap_or(0)
    }

    fn each(&self, n: u64) -> f64 {
        Self::now().saturating_sub(self.0) as f64 / n.max(1) as f64
    }
}

/// A checkpoint, and back from it.
fn keep(analysis: &Analysis, size: Size, figures: &mut Figures) {
    let since = Instant::now();
    let saved = (analysis.catalog.save(), analysis.detect.save());
    figures.save = since.elapsed();
    figures.saved_bytes = saved.0.len() + saved.1.len();
    let settings = settings(size);
    let since = Instant::now();
    let mut catalog = Catalog::restore(settings.catalog, &saved.0).unwrap();
    let detect = Detect::restore(settings.detect, &saved.1).unwrap();
    figures.restore = since.elapsed();
    let there = (confirmed(&catalog.view()), detect.principals().0);
    figures.restored = there == (figures.endpoints, figures.principals);
}

/// Of this process, in MiB, as the kernel has it.
pub(crate) fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(what));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}
