//! Data flows one way: a room uses the types of the rooms before it and knows nothing of those
//! after it. Paths are read with syn, not with a search for text.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::Visit;

/// Rooms in the order of the data, with what each may import.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let all = [
        "time",
        "access",
        "exchange",
        "capture",
        "decode",
        "flow",
        "tls",
        "observe",
        "http",
        "sensor",
        "catalog",
        "detect",
        "alert",
        "analysis",
        "export",
        "store",
        "web",
        "telemetry",
        "config",
        "compose",
        "fuzzing",
        "cli",
        "daemon",
    ];
    BTreeMap::from([
        ("time", vec![]),
        ("access", vec!["time"]),
        ("exchange", vec!["time"]),
        ("capture", vec!["time"]),
        ("decode", vec!["time", "capture"]),
        ("flow", vec!["time", "decode"]),
        ("tls", vec!["time", "flow"]),
        ("observe", vec!["exchange"]),
        ("http", vec!["time", "exchange", "flow", "tls", "observe"]),
        (
            "sensor",
            vec![
                "time", "exchange", "capture", "decode", "flow", "tls", "observe", "http",
            ],
        ),
        ("catalog", vec!["time", "exchange"]),
        ("detect", vec!["time", "exchange", "catalog"]),
        // Delivery strikes off what was delivered; the store keeps alerts.
        ("alert", vec!["time", "catalog", "detect", "store"]),
        // It keeps alerts, people's decisions, accounts and the audit.
        ("store", vec!["time", "access", "alert", "catalog"]),
        (
            "analysis",
            vec!["time", "exchange", "catalog", "detect", "alert"],
        ),
        ("export", vec!["time", "catalog", "alert"]),
        (
            "web",
            vec![
                "time",
                "access",
                // Whose word is taken for who a proxy's client is.
                "http",
                "catalog",
                "detect",
                "alert",
                "export",
                "sensor",
                "telemetry",
            ],
        ),
        (
            "telemetry",
            vec!["time", "access", "alert", "catalog", "sensor", "web"],
        ),
        (
            "config",
            all.into_iter()
                .filter(|r| !["cli", "daemon", "compose", "fuzzing", "store"].contains(r))
                .collect(),
        ),
        ("compose", vec!["time", "capture", "catalog", "analysis"]),
        ("fuzzing", all.to_vec()),
        ("cli", all.to_vec()),
        ("daemon", all.to_vec()),
    ])
}

#[derive(Default)]
struct Imports {
    rooms: BTreeSet<String>,
    test: bool,
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, m: &'ast syn::ItemMod) {
        let is_test = m
            .attrs
            .iter()
            .any(|a| a.path().is_ident("cfg") && quote(a).contains("test"));
        if !is_test {
            syn::visit::visit_item_mod(self, m);
        }
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        if path.ident == "crate" {
            first_idents(&path.tree, &mut self.rooms);
        }
        syn::visit::visit_use_path(self, path);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut parts = path.segments.iter().map(|s| s.ident.to_string());
        if parts.next().as_deref() == Some("crate") {
            self.rooms.extend(parts.next());
        }
        syn::visit::visit_path(self, path);
    }
}

fn quote(attribute: &syn::Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

fn first_idents(tree: &syn::UseTree, out: &mut BTreeSet<String>) {
    match tree {
        syn::UseTree::Path(p) => drop(out.insert(p.ident.to_string())),
        syn::UseTree::Name(n) => drop(out.insert(n.ident.to_string())),
        syn::UseTree::Rename(r) => drop(out.insert(r.ident.to_string())),
        syn::UseTree::Group(g) => g.items.iter().for_each(|t| first_idents(t, out)),
        syn::UseTree::Glob(_) => {}
    }
}

fn files(dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Unit tests may use any room.
            if !path.ends_with("tests") {
                files(&path, out);
            }
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            out.push(path);
        }
    }
}

#[test]
fn rooms_import_only_what_comes_before_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (allowed, mut all, mut wrong) = (allowed(), Vec::new(), Vec::new());
    files(&src, &mut all);
    let mut seen = 0;
    for file in all {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("the room {room} is not on the map"));
        let mut imports = Imports::default();
        imports.visit_file(&syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap());
        assert!(!imports.test);
        seen += imports.rooms.len();
        for other in imports
            .rooms
            .iter()
            .filter(|o| **o != room && !may.contains(&o.as_str()))
        {
            wrong.push(format!("{} imports {other}", inside.display()));
        }
    }
    assert!(seen > 50, "the reader of imports saw only {seen}");
    assert_eq!(wrong, Vec::<String>::new());
}

/// Only the store knows sled; only capture knows pcap; decode to detect know no clock, thread or
/// socket.
#[test]
fn the_deterministic_rooms_touch_nothing_outside() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    for file in all {
        let inside = file.strip_prefix(&src).unwrap();
        let room = inside
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(
            room == "store" || !text.contains("sled::"),
            "{} knows sled",
            inside.display()
        );
        assert!(
            room == "capture" || !text.contains("pcap::"),
            "{} knows pcap",
            inside.display()
        );
        if [
            "decode", "flow", "tls", "http", "observe", "exchange", "catalog", "detect", "analysis",
        ]
        .contains(&room.as_str())
        {
            for outside in [
                "SystemTime",
                "Instant::now",
                "std::thread",
                "std::net::Tcp",
                "std::fs",
                "tokio::",
                "Timestamp::now()",
            ] {
                assert!(
                    !text.contains(outside),
                    "{} uses {outside}",
                    inside.display()
                );
            }
        }
    }
}
