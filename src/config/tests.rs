use std::collections::HashSet;

use super::*;

const SAMPLE: &str = include_str!("../../systemd/apitap.toml");

#[test]
fn the_sample_shows_every_key_at_its_default() {
    assert_eq!(Config::parse(SAMPLE, "sample").unwrap(), Config::default());
    // A commented key is `#key = value`; prose has a space behind the hash.
    let uncommented: String = SAMPLE
        .lines()
        .take_while(|line| !line.starts_with("#[["))
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(
        Config::parse(&uncommented, "sample").unwrap(),
        Config::default()
    );
    let keys = uncommented
        .lines()
        .filter(|l| l.contains(" = ") && !l.starts_with('#'))
        .count();
    let fields = format!("{:?}", Config::default()).matches(": ").count();
    // Beside the keys, Debug shows the names of eleven sections, of three within one, of the lists of
    // routes and sinks, and of the identity provider.
    assert_eq!(keys, fields - 17, "a key is missing in the sample");
}

#[test]
fn the_sinks_and_routes_of_the_sample_are_some() {
    let at = SAMPLE.find("#[[").unwrap();
    let text: String = SAMPLE[at..]
        .lines()
        .filter_map(|l| l.strip_prefix('#').filter(|k| !k.starts_with(' ')))
        .map(|l| format!("{l}\n"))
        .collect();
    let config = Config::parse(&text, "sample").unwrap();
    let kinds: HashSet<_> = config.sink.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 10, "one of each type: {text}");
    assert_eq!(config.alert.routes.len(), 2, "{text}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let wrong = |text: &str| Config::parse(text, "a.toml").unwrap_err().to_string();
    insta::assert_snapshot!(wrong("[capture]\ninterface = \"eth1\"\n"), @"a.toml:2:1: unknown field `interface`, expected one of `interfaces`, `filter`, `snap_length`, `buffer`, `promiscuous`, `checksums`, `vxlan_ports`, `geneve_ports`, `same_network`");
    insta::assert_snapshot!(wrong("[catalog]\nlearning = \"soon\"\n"), @"a.toml:2:12: `soon` is no duration: write it like 30s, 15m, 1h30m or 7d");
    insta::assert_snapshot!(wrong("[detect]\nfalse_alarms_per_week = 0.0\n"), @"a.toml:2:1: false_alarms_per_week: must be a number above 0, such as 1.0");
    let rule = "[[catalog.sensitive]]\nclass = \"badge\"\nfield = \"(\"\n";
    insta::assert_snapshot!(wrong(rule), @"a.toml:1:11: sensitive: class `badge`: field: unclosed group");
    insta::assert_snapshot!(wrong("[sensor\n"), @r"a.toml:1:8: unclosed table, expected `]`");
    insta::assert_snapshot!(wrong("[catalog.risk]\nshadow = 11\n"), @"a.toml:2:1: shadow: must be 0 (never a reason) to 10");
    insta::assert_snapshot!(wrong("[catalog.zones]\npartner = [\"10.0.0.0/8\"]\n"), @"a.toml:2:1: partner: 10.0.0.0/8 is internal already");
    assert!(wrong("[[webhook]]\nname = \"x\"\nurl = \"ftp://h\"\n").contains("http"));
}
