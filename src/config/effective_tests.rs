use std::collections::BTreeSet;

use super::*;

const SAMPLE_PATH: &str = "/etc/apitap/apitap.toml";

/// The sample with every key set, and one of each sink.
fn full() -> Document {
    let text: String = SAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    Document::new(SAMPLE_PATH, text)
}

#[test]
fn a_config_that_is_written_reads_as_the_same() {
    for config in [Config::default(), full().config().unwrap()] {
        let text = toml::to_string(&config).unwrap();
        assert_eq!(Config::parse(&text, "again").unwrap(), config, "{text}");
    }
}

#[test]
fn every_key_of_a_file_that_sets_all_comes_from_its_line() {
    let document = full();
    let config = document.config().unwrap();
    let entries = config.entries(&document, &[]);
    for entry in &entries {
        match entry.origin {
            Origin::File { line } => {
                let text = document.text.lines().nth(line - 1).unwrap();
                let key = entry.key.rsplit('.').next().unwrap();
                assert!(
                    text.starts_with(&format!("{key} = ")),
                    "{}: {text}",
                    entry.key
                );
            }
            // What the sample's sinks leave out.
            Origin::Default => assert!(
                ["sink[", "alert.routes[", "webhook"]
                    .iter()
                    .any(|k| entry.key.starts_with(k)),
                "{entry:?}"
            ),
            Origin::CommandLine { .. } => panic!("{entry:?}"),
        }
    }
    let keys: BTreeSet<&str> = entries.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys.len(), entries.len(), "a key stands twice");
    for key in [
        "capture.interfaces",
        "catalog.risk.drift",
        "sink[0].url",
        "log.json",
        "alert.routes[1].timezone",
    ] {
        assert!(keys.contains(key), "{key} is missing: {keys:?}");
    }
}

#[test]
fn without_a_file_every_key_is_at_its_default_and_says_what_it_is_for() {
    let entries = Config::default().entries(&Document::default(), &[]);
    assert!(entries.iter().all(|e| {
        e.origin == Origin::Default
            && e.default
                .as_deref()
                .is_some_and(|d| e.secret_name.as_deref().unwrap_or(&e.value) == d)
    }));
    let sample: Vec<String> = sample().into_iter().map(|(key, _)| key).collect();
    let mine: Vec<&str> = entries
        .iter()
        .map(|e| e.key.as_str())
        .filter(|k| !["sink", "webhook", "alert.routes"].contains(k))
        .collect();
    assert_eq!(mine, sample, "in the sample's order");
    let dormant = entries
        .iter()
        .find(|e| e.key == "catalog.dormant_after")
        .unwrap();
    assert_eq!(
        (dormant.value.as_str(), dormant.words.as_str()),
        (
            "\"30d\"",
            "A documented operation without traffic for this long is dormant."
        )
    );
}

#[test]
fn the_command_line_wins_over_the_file() {
    let document = Document::new(
        "a.toml",
        "[capture]\ninterfaces = [\"eth1\"]\n[sensor]\nworkers = 2\n".into(),
    );
    let config = document.config().unwrap();
    let said = Origin::CommandLine {
        argument: "-i".into(),
    };
    let entries = config.entries(&document, &[("capture.interfaces", said.clone())]);
    let origin = |key: &str| {
        entries
            .iter()
            .find(|e| e.key == key)
            .unwrap()
            .origin
            .clone()
    };
    assert_eq!(origin("capture.interfaces"), said);
    assert_eq!(origin("sensor.workers"), Origin::File { line: 4 });
    assert_eq!(origin("sensor.max_flows"), Origin::Default);
}

#[test]
fn what_is_written_in_lists_and_inline_is_found() {
    let text = "catalog.specs = [\"a.yaml\", { path = \"b.yaml\", hosts = [\"b.example\"] }]\n[alert]\nsilences = [\n  { kind = \"scan\", until = \"2026-12-31\", reason = \"x\" },\n]\n";
    let document = Document::new("a.toml", text.into());
    let entries = document.config().unwrap().entries(&document, &[]);
    let line = |key: &str| match entries.iter().find(|e| e.key == key).map(|e| &e.origin) {
        Some(Origin::File { line }) => *line,
        other => panic!("{key}: {other:?}"),
    };
    assert_eq!(
        (line("catalog.specs[0]"), line("catalog.specs[1].hosts")),
        (1, 1)
    );
    assert_eq!(line("alert.silences[0].until"), 4);
}

#[test]
fn whatever_names_or_may_hold_a_secret_is_kept_back() {
    let document = full();
    let config = document.config().unwrap();
    let entries = config.entries(&document, &[]);
    let secrets: Vec<&Entry> = entries.iter().filter(|e| e.secret_name.is_some()).collect();
    let toml = config.without_secrets();
    // By the words alone, whatever `is_secret` thinks.
    let words = [
        "secret_",
        "token_",
        "password_",
        "url_file",
        "private_keys",
        "key_logs",
        "web.key",
    ];
    for entry in &entries {
        let named = words.iter().any(|w| entry.key.contains(w));
        let empty = ["[]", "\"\""].contains(&entry.value.as_str());
        assert!(
            !named || empty || entry.secret_name.is_some(),
            "{}",
            entry.key
        );
    }
    assert!(secrets.len() >= 8, "{secrets:?}");
    for entry in secrets {
        let name = entry.secret_name.as_deref().unwrap().trim_matches('"');
        assert!(entry.value.is_empty());
        assert!(
            entries.iter().all(|e| !e.value.contains(name)) && !toml.contains(name),
            "{name}"
        );
    }
    let url = entries.iter().find(|e| e.key == "sink[0].url").unwrap();
    assert_eq!(url.value, "\"https://soc.example/…\"");
    assert!(!toml.contains("hooks/apitap") && toml.contains("url = \"https://soc.example/\""));
    assert!(toml.contains("# left out or cut: sink[0].secret_file"));
}

#[test]
fn what_a_changed_file_would_change_is_told() {
    let now = Config::parse("[sensor]\nworkers = 2\n", "a").unwrap();
    let then = Config::parse(
        "[detect]\nlearning = \"2d\"\n[[sink]]\ntype = \"file\"\nname = \"x\"\npath = \"/x\"\n",
        "a",
    )
    .unwrap();
    assert_eq!(now.differences(&now), Vec::<String>::new());
    assert_eq!(
        now.differences(&then),
        [
            "detect.learning",
            "sensor.workers",
            "sink",
            "sink[0].name",
            "sink[0].path",
            "sink[0].type"
        ]
    );
}
