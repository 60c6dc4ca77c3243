//! Published script injections through the whole program: a capture carries them in every place
//! where captured text is kept (paths, hosts, queries, header names and values, JSON keys, user
//! names, server names of TLS), a spec in every place of its own; then each page that can be reached
//! is parsed as a browser would, and each export, log line and summary is read by its own rules.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use apitap::compose::tls::Session;
use apitap::compose::{Conversation, Packet, write_pcap};
use apitap::time::Timestamp;
use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

const START: i64 = 1_760_000_000;

/// What our pages are made of: no frame, object, image from elsewhere, base, meta refresh, form to
/// elsewhere. An element that is not here came from the capture.
const ELEMENTS: &str = "html head meta title link script body a header footer main nav section aside div span p h1 h2 h3 h4 \
    ul ol li dl dt dd table thead tbody tfoot tr th td caption form label input select option optgroup button textarea fieldset legend details summary \
    figure figcaption svg g rect line polyline polygon path circle text tspan desc img time code pre kbd em strong small b i br hr \
    dialog meter progress output abbr datalist search colgroup col mark samp var del ins sup sub noscript template";

fn payloads() -> Option<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/payloads/xss.txt");
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    };
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|l| !l.trim().is_empty());
    Some(lines.map(str::to_owned).collect())
}

/// As a client without scruples sends it: only what would end the request line is encoded.
fn raw(payload: &str, space: &str) -> String {
    let mut out = String::new();
    for c in payload.chars() {
        match c {
            ' ' => out += space,
            '\r' | '\n' | '\0' => {}
            c => out.push(c),
        }
    }
    out
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Calls that carry one payload everywhere.
fn conversation(n: usize, payload: &str, at: i64) -> Vec<Packet> {
    let client = format!("203.0.113.{}:{}", n % 200 + 1, 10_000 + n % 50_000);
    let at = Timestamp::from_secs(at);
    let mut talk = Conversation::open(client.parse().unwrap(), "10.1.0.10:80".parse().unwrap(), at);
    let (path, header) = (raw(payload, "%20"), raw(payload, " "));
    // A name of its own for some; else few enough paths a host that they are no parameter.
    let host = match n % 7 {
        0 => raw(payload, ""),
        _ => format!("h{}.example", n / 3),
    };
    let name: String = payload
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    let key =
        serde_json::json!({ payload: { payload: payload }, "list": [{ payload: 1 }] }).to_string();
    let token = match n % 3 {
        0 => format!("Authorization: Bearer {header}\r\n"),
        1 => format!("{header}: {header}\r\nX-Api-Key: {header}\r\n"),
        _ => format!("Authorization: {header} abc\r\n"),
    };
    let ask = format!(
        "POST /v{}/{path}/list?{path}={path}&user={path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {header}\r\nX{name}: {header}\r\n\
         Cookie: {header}={header}\r\nReferer: {header}\r\n{token}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{key}",
        n % 3,
        key.len()
    );
    let headers = format!(
        "Content-Type: {}\r\nServer: {header}\r\nWWW-Authenticate: {header}\r\nSunset: {header}\r\nDeprecation: {header}\r\n",
        if n.is_multiple_of(5) {
            header.as_str()
        } else {
            "application/json"
        }
    );
    talk.exchange(&ask, Duration::from_millis(5), &answer(200, &headers, &key));
    let login = serde_json::json!({ "username": payload, "password": payload }).to_string();
    let ask = format!(
        "POST /login HTTP/1.1\r\nHost: login.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{login}",
        login.len()
    );
    talk.exchange(&ask, Duration::from_millis(5), &answer(401, "", "{}"));
    let query = serde_json::json!({ "operationName": payload, "query": format!("query {name} {{ a{name} }}") }).to_string();
    let ask = format!(
        "POST /graphql HTTP/1.1\r\nHost: graph{}.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{query}",
        n % 9,
        query.len()
    );
    talk.exchange(
        &ask,
        Duration::from_millis(5),
        &answer(200, "Content-Type: application/json\r\n", &key),
    );
    let scan = format!("GET /{path}/{path}.php HTTP/1.1\r\nHost: scanned.example\r\n\r\n");
    talk.exchange(&scan, Duration::from_millis(5), &answer(404, "", "no"));
    talk.close()
}

fn hello(n: usize, payload: &str) -> Vec<Packet> {
    let client = format!("198.51.100.{}:{}", n % 200 + 1, 10_000 + n);
    let at = Timestamp::from_secs(START + n as i64);
    let mut talk = Conversation::open(
        client.parse().unwrap(),
        "10.2.0.10:443".parse().unwrap(),
        at,
    );
    let session = Session {
        server_name: payload,
        alpn: payload.get(..payload.len().min(200)).unwrap_or("h2"),
        version: 0x0301,
        cipher: 0x0005,
        certificate: None,
    };
    session.speak(&mut talk, 100, 100);
    talk.close()
}

/// Every payload twice, ten minutes apart.
fn capture(payloads: &[String], path: &Path) {
    let mut packets = Vec::new();
    for (n, payload) in payloads.iter().enumerate() {
        for round in 0..2 {
            packets.extend(conversation(
                n,
                payload,
                START + n as i64 / 20 + round * 600,
            ));
        }
        if n % 20 == 0 && payload.len() < 250 {
            packets.extend(hello(n, payload));
        }
    }
    packets.sort_by_key(|p| p.ts);
    let mut bytes = Vec::new();
    write_pcap(&packets, &mut bytes).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Payloads where a document has text.
fn spec(payloads: &[String], path: &Path) {
    let mut paths = serde_json::Map::new();
    for (n, p) in payloads.iter().step_by(40).enumerate() {
        let operation = serde_json::json!({ "summary": p, "description": p, "operationId": format!("{p}{n}"), "tags": [p],
            "parameters": [{ "name": p, "in": "query", "description": p, "schema": { "type": "string" } }],
            "responses": { "200": { "description": p } } });
        paths.insert(
            format!("/spec{n}/{p}"),
            serde_json::json!({ "get": operation }),
        );
    }
    let document = serde_json::json!({ "openapi": "3.0.0", "info": { "title": payloads[0], "version": payloads[1], "description": payloads[2] },
        "servers": [{ "url": "http://login.example/" }], "paths": paths });
    std::fs::write(path, document.to_string()).unwrap();
}

/// The program over the capture, with its UI; ended when dropped.
struct Served {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(dir: &Path, payloads: &[String]) -> Served {
    capture(payloads, &dir.join("xss.pcap"));
    spec(payloads, &dir.join("spec.json"));
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = format!(
        "[web]\nlisten = \"127.0.0.1:{port}\"\n[catalog]\nlearning = \"1s\"\nmax_endpoints = 30000\n"
    );
    std::fs::write(dir.join("apitap.toml"), config).unwrap();
    let log = dir.join("log");
    let child = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .arg("read")
        .arg(dir.join("xss.pcap"))
        .arg("--config")
        .arg(dir.join("apitap.toml"))
        .arg("--identity-key")
        .arg(dir.join("key"))
        .arg("--spec")
        .arg(dir.join("spec.json"))
        .arg("--serve")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let served = Served {
        child,
        port,
        log: log.clone(),
    };
    for _ in 0..1_200 {
        if get(port, "/readyz").is_some_and(|(status, ..)| status == 200) {
            return served;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no answer: {}", std::fs::read_to_string(&log).unwrap());
}

/// Status, headers in lower case and body.
fn get(port: u16, path: &str) -> Option<(u16, String, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let ask = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAccept: text/html, */*;q=0.8\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).ok()?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).ok()?;
    let end = all.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = all.split_off(end + 4);
    Some((
        status,
        head.clone(),
        if head.contains("transfer-encoding: chunked") {
            unchunked(&body)
        } else {
            body
        },
    ))
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        out.extend(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    out
}

/// What a page shows to the parser of a browser.
#[derive(Default)]
struct Looked {
    wrong: Vec<String>,
    links: BTreeSet<String>,
    scripts: usize,
    text: String,
}

fn look(node: &Handle, out: &mut Looked) {
    match &node.data {
        NodeData::Element { name, attrs, .. } => {
            let tag = name.local.to_string();
            if !ELEMENTS.split_whitespace().any(|known| known == tag) {
                out.wrong.push(format!("<{tag}>"));
            }
            out.scripts += usize::from(tag == "script");
            if tag == "script" && !node.children.borrow().is_empty() {
                out.wrong.push("a script with text".into());
            }
            for attr in attrs.borrow().iter() {
                let (name, value) = (attr.name.local.to_string(), attr.value.to_string());
                if name.starts_with("on")
                    || ["style", "srcdoc", "formaction", "ping", "http-equiv"]
                        .contains(&name.as_str())
                {
                    out.wrong.push(format!("{tag} {name}={value}"));
                }
                if ["href", "src", "action", "xlink:href"].contains(&name.as_str()) {
                    let own = value.starts_with('#')
                        || value.starts_with('?')
                        || (value.starts_with('/') && !value.starts_with("//"));
                    if !own {
                        out.wrong.push(format!("{tag} {name}={value}"));
                    } else if name == "href" && tag == "a" {
                        out.links.insert(value);
                    }
                }
            }
        }
        NodeData::Text { contents } => out.text += &contents.borrow(),
        _ => {}
    }
    for child in node.children.borrow().iter() {
        look(child, out);
    }
}

/// Pages of one kind that are visited; lists and their next pages come first.
const EACH: usize = 120;

fn kind(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap();
    let mut parts = path.split('/').skip(1);
    let first = parts.next().unwrap_or_default();
    format!("{first} {}", parts.count())
}

#[test]
fn nothing_runs_and_nothing_breaks_out() {
    let Some(payloads) = payloads() else { return };
    let dir = tempfile::tempdir().unwrap();
    let served = serve(dir.path(), &payloads);
    let (pages, text) = crawl(served.port);
    let carried = payloads
        .iter()
        .filter(|p| p.contains('<') && text.contains(&raw(p, "%20")))
        .count();
    let mut told = String::new();
    for (kind, n) in &pages {
        let _ = write!(told, "{kind}: {n}; ");
    }
    println!(
        "pages by kind: {told}\npayloads with `<` that pages showed as text: {carried} of {}",
        payloads.len()
    );
    assert!(carried > 500, "the pages hardly showed any: {carried}");
    exports(served.port);
    bundles(served.port);
    let log = std::fs::read(&served.log).unwrap();
    plain("the log", &log);
    drop(served);
    terminal(dir.path());
}

/// Follows all links; each page is looked at.
fn crawl(port: u16) -> (BTreeMap<String, usize>, String) {
    let mut todo: VecDeque<String> = VecDeque::from(["/".to_owned()]);
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut visited: BTreeMap<String, usize> = BTreeMap::new();
    let mut text = String::new();
    while let Some(path) = todo.pop_front() {
        let kind = kind(&path);
        let n = visited.entry(kind).or_default();
        if *n >= EACH {
            continue;
        }
        let (status, head, body) = get(port, &path).unwrap_or_else(|| panic!("{path}: no answer"));
        assert!(status < 500, "{path}: {status}");
        if !head.contains("content-type: text/html") {
            continue;
        }
        *n += 1;
        assert!(
            head.contains("content-security-policy: default-src 'none'"),
            "{path}"
        );
        let dom = parse_document(RcDom::default(), ParseOpts::default())
            .from_utf8()
            .one(&body[..]);
        let mut found = Looked::default();
        look(&dom.document, &mut found);
        assert!(
            found.wrong.is_empty(),
            "{path}: {:?}",
            &found.wrong[..found.wrong.len().min(5)]
        );
        assert_eq!(found.scripts, 1, "{path}");
        text += &found.text;
        for link in found.links {
            let link = link.split('#').next().unwrap().to_owned();
            if link.starts_with('/') && !link.starts_with("/live") && seen.insert(link.clone()) {
                todo.push_back(link);
            }
        }
    }
    (visited, text)
}

fn exports(port: u16) {
    for list in ["endpoints", "alerts", "findings", "incidents", "principals"] {
        let (status, _, body) = get(port, &format!("/api/v1/{list}.csv")).unwrap();
        assert_eq!(status, 200, "{list}");
        table(&format!("{list}.csv"), &body);
        let (_, _, body) = get(port, &format!("/api/v1/{list}.jsonl")).unwrap();
        lines(&format!("{list}.jsonl"), &body);
    }
}

fn table(name: &str, body: &[u8]) {
    let mut reader = csv::Reader::from_reader(body);
    let mut rows = 0;
    for row in reader.records() {
        let row = row.unwrap_or_else(|e| panic!("{name}: {e}"));
        rows += 1;
        // What a spreadsheet would take for a formula (OWASP, CSV injection).
        let formula =
            |c: &&str| c.starts_with(['=', '+', '-', '@', '\t', '\r']) && c.parse::<f64>().is_err();
        let wrong: Vec<&str> = row.iter().filter(formula).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    }
    assert!(rows > 0, "{name} is empty");
}

fn lines(name: &str, body: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(body).unwrap();
    let read = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}: {line}"));
    text.lines().map(read).collect()
}

/// The evidence of some incidents: texts and names are ours, and captured text is data in the others.
fn bundles(port: u16) {
    let (_, _, body) = get(port, "/api/v1/incidents.jsonl").unwrap();
    let incidents = lines("incidents.jsonl", &body);
    let ids = incidents.iter().map(|i| i["id"].as_str().unwrap());
    let mut timelines = 0;
    for id in ids.take(20) {
        let (status, head, body) = get(port, &format!("/api/v1/incidents/{id}/bundle")).unwrap();
        assert_eq!(status, 200, "{id}");
        let file = format!("filename=\"apitap-incident-{id}.zip\"");
        assert!(head.contains(&file), "{head}");
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(body)).unwrap();
        for at in 0..zip.len() {
            let mut file = zip.by_index(at).unwrap();
            let name = file.name().unwrap().into_owned();
            let mut text = Vec::new();
            file.read_to_end(&mut text).unwrap();
            match name.strip_prefix(&format!("incident-{id}/")).unwrap() {
                "README.txt" | "filters.txt" => {
                    plain(&name, &text);
                    assert!(
                        !String::from_utf8_lossy(&text).contains(['<', '`']),
                        "{name}"
                    );
                }
                "incident.json" => {
                    drop(serde_json::from_slice::<serde_json::Value>(&text).unwrap())
                }
                "alerts.jsonl" | "endpoints.jsonl" => drop(lines(&name, &text)),
                "timeline.csv" => {
                    table(&name, &text);
                    timelines += 1;
                }
                other => panic!("{other} in the bundle of {id}"),
            }
        }
    }
    assert!(timelines > 0, "no incident had a bundle");
}

/// No control character but the end of a line: nothing moves the cursor or forges a line's colour.
fn plain(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let wrong = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(wrong, None, "{what}");
}

fn terminal(dir: &Path) {
    let out = Command::new(env!("CARGO_BIN_EXE_apitap"))
        .arg("read")
        .arg(dir.join("xss.pcap"))
        .arg("--config")
        .arg(dir.join("apitap.toml"))
        .arg("--identity-key")
        .arg(dir.join("key"))
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    plain("the summary", &out.stdout);
    plain("its messages", &out.stderr);
}
