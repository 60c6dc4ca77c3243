//! The Grafana dashboard and the Prometheus rules against what the program really says: every metric
//! that they name is there, its name keeps Prometheus' rules, and Debian's own Prometheus takes all of it.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

#[path = "support/promql.rs"]
mod promql;

const APITAP: &str = env!("CARGO_BIN_EXE_apitap");

/// What a test waits for at most: a debug build reads the demo's history in a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// Prometheus' own, of every target.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// Families of which a sensor without sinks has no series.
fn of_sinks(name: &str) -> bool {
    ["apitap_deliver", "apitap_sink_"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// A program of Debian's package, unpacked by `make prometheus-deps` or installed; said where it is not
/// there, and not passed over where all is required.
fn tool(name: &str) -> Option<PathBuf> {
    let unpacked = root().join("target/prometheus/usr/bin").join(name);
    let installed = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&installed).map(|dir| dir.join(name));
    let found = Some(unpacked)
        .filter(|p| p.is_file())
        .or_else(|| places.find(|p| p.is_file()));
    if found.is_none() {
        let needed = std::env::var_os("APITAP_NEED_NETNS").is_some();
        assert!(
            !needed,
            "required here, and missing: {name} (make prometheus-deps)"
        );
        eprintln!("SKIPPED: {name} is not here (make prometheus-deps)");
    }
    found
}

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// What `curl` gets; `None` while nobody answers.
fn get(url: &str, arguments: &[&str]) -> Option<String> {
    let out = Command::new("curl")
        .args(["-sS", "--max-time", "20"])
        .args(arguments)
        .arg(url)
        .output()
        .unwrap();
    out.status
        .success()
        .then(|| String::from_utf8(out.stdout).unwrap())
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(300));
    }
}

struct Demo {
    _child: Running,
    port: u16,
}

impl Demo {
    fn start() -> Self {
        let port = free_port();
        let child = Command::new(APITAP)
            .args(["demo", "--listen", &format!("127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let demo = Self {
            _child: Running(child),
            port,
        };
        until("the demo", || {
            demo.metrics(&[])
                .filter(|m| m.contains("\napitap_ready 1\n"))
        });
        demo
    }

    fn metrics(&self, arguments: &[&str]) -> Option<String> {
        get(
            &format!("http://127.0.0.1:{}/metrics", self.port),
            arguments,
        )
    }
}

/// Families with their types, of an exposition in Prometheus' text format.
fn families(metrics: &str) -> BTreeMap<&str, &str> {
    let types = metrics
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE ")?.split_once(' '));
    types.collect()
}

/// The family of a series.
fn family_of<'a>(families: &BTreeMap<&'a str, &'a str>, name: &str) -> Option<&'a str> {
    let of_histogram = || {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))?;
        families
            .get_key_value(base)
            .filter(|(_, kind)| **kind == "histogram")
    };
    families
        .get_key_value(name)
        .or_else(of_histogram)
        .map(|(name, _)| *name)
}

/// A query of the dashboard with its panel, the variables as Grafana would fill them in.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read("dashboards/grafana/apitap.json")).unwrap();
    let mut out = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap().to_owned();
            out.push((title, filled(target["expr"].as_str().unwrap())));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        out.extend(
            annotation["expr"]
                .as_str()
                .map(|e| ("annotation".to_owned(), filled(e))),
        );
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["definition"].as_str().unwrap_or_default();
        if let Some(inner) = query.strip_prefix("label_values(") {
            let (selector, _) = inner.rsplit_once(',').unwrap();
            out.push(("variable".to_owned(), filled(selector)));
        }
    }
    out
}

fn filled(expression: &str) -> String {
    let filled = expression
        .replace("$__rate_interval", "1m")
        .replace("$job", ".*")
        .replace("$instance", ".*");
    assert!(!filled.contains('$'), "a variable is unknown: {expression}");
    filled
}

#[derive(serde::Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(serde::Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(serde::Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let rules: Rules = serde_saphyr::from_str(&read("dashboards/prometheus/rules.yml")).unwrap();
    rules.groups.into_iter().flat_map(|g| g.rules).collect()
}

#[test]
fn every_rule_says_what_it_means_and_is_tested() {
    let tests = read("dashboards/prometheus/rules.test.yml");
    let mut names = BTreeSet::new();
    for rule in rules() {
        for part in ["summary", "description", "runbook"] {
            assert!(
                rule.annotations.get(part).is_some_and(|t| t.len() > 20),
                "{}: {part}",
                rule.alert
            );
        }
        let severity = rule.labels["severity"].as_str();
        assert!(
            ["info", "warning", "critical"].contains(&severity),
            "{}: {severity}",
            rule.alert
        );
        assert!(
            tests.contains(&format!("alertname=\"{}\"", rule.alert)),
            "{} has no unit test",
            rule.alert
        );
        assert!(
            names.insert(rule.alert.clone()),
            "{} stands twice",
            rule.alert
        );
    }
}

#[test]
fn panels_stand_side_by_side_and_say_what_they_show() {
    let dashboard: Value = serde_json::from_str(&read("dashboards/grafana/apitap.json")).unwrap();
    let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(
            ids.insert(panel["id"].as_u64()),
            "{title}: its id is another's"
        );
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|k| panel["gridPos"][k].as_u64().unwrap());
        assert!(x + w <= 24, "{title} sticks out");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            if let Some(other) = taken.insert(cell, title.to_owned()) {
                panic!("{title} lies on {other}");
            }
        }
    }
}

#[test]
fn what_dashboard_and_rules_name_is_really_said_by_its_right_name() {
    let demo = Demo::start();
    let metrics = demo.metrics(&[]).unwrap();
    let families = families(&metrics);
    let mut named = BTreeSet::new();
    let expressions = panels()
        .into_iter()
        .chain(rules().into_iter().map(|r| (r.alert, r.expr)));
    for (place, expression) in expressions {
        let found = promql::metrics(&expression);
        assert!(!found.is_empty(), "{place}: {expression}");
        for name in found {
            let known =
                OF_PROMETHEUS.contains(&name.as_str()) || family_of(&families, &name).is_some();
            assert!(
                known,
                "{place} asks for {name}, which /metrics does not say"
            );
            named.insert(name);
        }
    }
    assert!(named.len() > 40, "{named:?}");
    for (family, kind) in &families {
        assert!(
            metrics.contains(&format!("# HELP {family} ")),
            "{family} has no HELP"
        );
        assert_eq!(
            family.ends_with("_total"),
            *kind == "counter",
            "{family} is a {kind}"
        );
        let words: Vec<&str> = family.split('_').collect();
        for wrong in [
            "ms",
            "milliseconds",
            "minutes",
            "hours",
            "kb",
            "mb",
            "kib",
            "mib",
            "bits",
            "percent",
        ] {
            assert!(!words.contains(&wrong), "{family}: {wrong} is no base unit");
        }
        let bare = family.strip_suffix("_total").unwrap_or(family);
        for unit in ["bytes", "seconds", "ratio"] {
            assert!(
                !words.contains(&unit) || bare.ends_with(unit),
                "{family}: {unit} stands at the end"
            );
        }
    }
    // OpenMetrics, as Prometheus asks for it, says the same and the units.
    let open = demo
        .metrics(&["-H", "Accept: application/openmetrics-text;version=1.0.0"])
        .unwrap();
    assert!(open.ends_with("# EOF\n") && !metrics.contains("# EOF"));
    for family in families.keys() {
        let bare = family.strip_suffix("_total").unwrap_or(family);
        assert!(open.contains(&format!("# TYPE {bare} ")), "{family}");
        for unit in ["bytes", "seconds"]
            .into_iter()
            .filter(|unit| bare.ends_with(&format!("_{unit}")))
        {
            assert!(open.contains(&format!("# UNIT {bare} {unit}\n")), "{bare}");
        }
    }
}

fn promtool(tool: &Path, arguments: &[&str]) {
    let out = Command::new(tool)
        .args(arguments)
        .current_dir(root().join("dashboards/prometheus"))
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr]
        .map(|o| String::from_utf8_lossy(&o).into_owned())
        .concat();
    assert!(out.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn promtool_takes_rules_config_and_unit_tests() {
    let Some(tool) = tool("promtool") else { return };
    promtool(&tool, &["check", "rules", "rules.yml"]);
    promtool(&tool, &["check", "config", "prometheus.yml"]);
    promtool(&tool, &["test", "rules", "rules.test.yml"]);
}

struct Prometheus {
    _child: Running,
    _dir: tempfile::TempDir,
    port: u16,
}

impl Prometheus {
    fn start(program: &Path, target: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = read("dashboards/prometheus/prometheus.yml")
            .replace("127.0.0.1:8650", &format!("127.0.0.1:{target}"))
            .replace("15s", "1s")
            .replace(
                "rules.yml",
                root()
                    .join("dashboards/prometheus/rules.yml")
                    .to_str()
                    .unwrap(),
            );
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let port = free_port();
        let child = Command::new(program)
            .arg(format!(
                "--config.file={}/prometheus.yml",
                dir.path().display()
            ))
            .arg(format!("--storage.tsdb.path={}/data", dir.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            _child: Running(child),
            _dir: dir,
            port,
        }
    }

    /// None while it is starting; an error of the query fails the test.
    fn ask(&self, place: &str, query: &str) -> Option<Vec<Value>> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let answer: Value = serde_json::from_str(&get(
            &url,
            &["--data-urlencode", &format!("query={query}")],
        )?)
        .ok()?;
        assert_eq!(answer["status"], "success", "{place}: {query}: {answer}");
        answer["data"]["result"].as_array().cloned()
    }
}

/// Whether every series of an answer is a number.
fn is_number(series: &[Value]) -> bool {
    let value = |s: &Value| s["value"][1].as_str().and_then(|v| v.parse::<f64>().ok());
    series.iter().all(|s| value(s).is_some_and(f64::is_finite))
}

#[test]
fn a_real_prometheus_scrapes_the_demo_and_answers_every_query() {
    let (Some(program), Some(tool)) = (tool("prometheus"), tool("promtool")) else {
        return;
    };
    let demo = Demo::start();
    let lint = Command::new(&tool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = demo.metrics(&[]).unwrap();
    std::io::Write::write_all(&mut lint.stdin.as_ref().unwrap(), metrics.as_bytes()).unwrap();
    let out = lint.wait_with_output().unwrap();
    assert!(
        out.status.success() && out.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let prometheus = Prometheus::start(&program, demo.port);
    until("a scrape", || {
        prometheus
            .ask("scrape", "up == 1")
            .filter(|r| !r.is_empty())
    });
    // Nothing is lost, hidden or severe in the demo, and it has no sink.
    let quiet = ["Symptoms now", "Hosts with lost halves", "annotation"];
    let mut asked = 0;
    for (place, query) in panels() {
        let may_be_empty = quiet.contains(&place.as_str())
            || promql::metrics(&query).iter().all(|m| of_sinks(m))
            || query.contains("outcome=\"shed\"")
            || query.contains("outcome=\"ignored\"")
            || query.contains("ignored|malformed");
        let answer = until(&format!("{place}: an answer to {query}"), || {
            prometheus
                .ask(&place, &query)
                .filter(|r| may_be_empty || !r.is_empty())
        });
        assert!(is_number(&answer), "{place}: {query}: {answer:?}");
        asked += 1;
    }
    for rule in rules() {
        prometheus.ask(&rule.alert, &rule.expr).unwrap();
        for name in promql::metrics(&rule.expr).iter().filter(|m| !of_sinks(m)) {
            let series = prometheus.ask(&rule.alert, name).unwrap();
            assert!(!series.is_empty(), "{}: {name} has no series", rule.alert);
        }
        asked += 1;
    }
    assert!(asked > 60, "{asked}");
    // And it evaluates the rules by itself.
    let url = format!("http://127.0.0.1:{}/api/v1/rules", prometheus.port);
    let health = until("the rules", || {
        let answer: Value = serde_json::from_str(&get(&url, &[])?).ok()?;
        let groups = answer["data"]["groups"].as_array()?.clone();
        let all: Vec<Value> = groups
            .iter()
            .flat_map(|g| g["rules"].as_array().unwrap().clone())
            .collect();
        Some(all).filter(|all| !all.is_empty() && all.iter().all(|r| r["health"] != "unknown"))
    });
    assert_eq!(health.len(), rules().len());
    for rule in health {
        assert_eq!(rule["health"], "ok", "{rule}");
        assert_ne!(
            rule["state"], "firing",
            "{rule}: nothing is wrong with the demo's sensor"
        );
    }
}
