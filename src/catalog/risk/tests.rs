use super::*;

fn sensitive(class: &str, direction: &str) -> SensitiveView {
    SensitiveView {
        class: class.into(),
        direction: direction.into(),
        place: "body".into(),
        pointer: "/a".into(),
        count: 3,
    }
}

fn exposed(kind: ExposureKind, severity: Severity) -> Exposure {
    Exposure::new(kind, severity, "h", "is so".into()).about("h:443")
}

/// A documented API that asks its callers inside for a credential: nothing weighs.
fn sound() -> Inputs<'static> {
    Inputs {
        confirmed: true,
        answered: 10,
        exposure: Some(Zone::Internal),
        ..Inputs::default()
    }
}

fn told(known: &Inputs<'_>) -> (u8, Vec<String>) {
    let (risk, reasons) = risk(known, &Weights::default());
    let weights: Vec<u8> = reasons.iter().map(|r| r.weight).collect();
    assert!(
        weights.is_sorted_by(|a, b| a >= b) && weights[0] == risk,
        "{reasons:?}"
    );
    assert!(reasons.iter().all(|r| !r.why.is_empty()));
    (risk, reasons.into_iter().map(|r| r.reason).collect())
}

#[test]
fn the_table() {
    let (mail, card) = (
        sensitive("pii:email", "response"),
        sensitive("pii:card", "request"),
    );
    let password = sensitive("secret:password", "request");
    let (token, secret) = (
        sensitive("secret:jwt", "response"),
        sensitive("secret:password", "response"),
    );
    let weak = [
        exposed(ExposureKind::SelfSigned, Severity::Low),
        exposed(ExposureKind::ObsoleteTls, Severity::Medium),
    ];
    let clear = [exposed(ExposureKind::CredentialsInClear, Severity::Medium)];
    let vouched = [exposed(ExposureKind::CredentialsInClear, Severity::Info)];
    let bare = Inputs {
        anonymous: 10,
        ..sound()
    };
    let outside = Inputs {
        exposure: Some(Zone::External),
        external: 4,
        ..sound()
    };
    let rows: [(&str, Inputs<'_>, u8, &[&str]); 21] = [
        ("nothing", sound(), 1, &["none"]),
        (
            "candidate",
            Inputs {
                confirmed: false,
                ..bare
            },
            1,
            &["none"],
        ),
        (
            "static",
            Inputs {
                kind: Kind::Static,
                ..bare
            },
            1,
            &["none"],
        ),
        (
            "probe",
            Inputs {
                kind: Kind::Infrastructure,
                ..bare
            },
            1,
            &["none"],
        ),
        ("bare", bare, 6, &["no-auth"]),
        (
            "web page",
            Inputs {
                kind: Kind::Web,
                ..bare
            },
            1,
            &["none"],
        ),
        (
            "login",
            Inputs {
                login: true,
                ..bare
            },
            1,
            &["none"],
        ),
        (
            "mixed",
            Inputs {
                anonymous: 1,
                ..sound()
            },
            4,
            &["mixed-auth"],
        ),
        (
            "mail",
            Inputs {
                sensitive: &[mail.clone()],
                ..sound()
            },
            5,
            &["sensitive"],
        ),
        (
            "card",
            Inputs {
                sensitive: &[card, mail.clone()],
                ..sound()
            },
            7,
            &["highly-sensitive", "sensitive"],
        ),
        (
            "password sent",
            Inputs {
                sensitive: &[password],
                ..sound()
            },
            1,
            &["none"],
        ),
        (
            "password told",
            Inputs {
                sensitive: &[secret],
                ..sound()
            },
            7,
            &["highly-sensitive"],
        ),
        (
            "token told",
            Inputs {
                sensitive: &[token.clone()],
                ..sound()
            },
            5,
            &["sensitive"],
        ),
        (
            "login answers",
            Inputs {
                sensitive: &[token],
                login: true,
                ..bare
            },
            1,
            &["none"],
        ),
        ("outside", outside, 3, &["external"]),
        (
            "open inside",
            Inputs {
                sensitive: &[mail.clone()],
                ..bare
            },
            8,
            &["open-data", "no-auth", "sensitive"],
        ),
        (
            "open outside",
            Inputs {
                sensitive: &[mail],
                anonymous: 1,
                ..outside
            },
            10,
            &["open-data", "sensitive", "mixed-auth", "external"],
        ),
        (
            "numbers",
            Inputs {
                numbered: 6,
                ..sound()
            },
            2,
            &["enumerable"],
        ),
        (
            "tls",
            Inputs {
                exposures: &weak,
                ..sound()
            },
            5,
            &["weak-tls"],
        ),
        (
            "clear",
            Inputs {
                exposures: &clear,
                ..sound()
            },
            4,
            &["credentials-in-clear"],
        ),
        (
            "vouched for",
            Inputs {
                exposures: &vouched,
                ..sound()
            },
            1,
            &["none"],
        ),
    ];
    for (name, known, risk, reasons) in rows {
        assert_eq!(
            told(&known),
            (risk, reasons.iter().map(|r| (*r).to_owned()).collect()),
            "{name}"
        );
    }
}

#[test]
fn what_others_found_weighs() {
    let known = Inputs {
        shadow: Some("no spec has it"),
        zombie: Some("v2 is there"),
        deprecated: Some("its answers say so"),
        leaks: &["stack-trace", "sql-error"],
        weak_tokens: &["jwt-none"],
        drift: 2,
        ..sound()
    };
    let expected = [
        "weak-tokens",
        "leaks",
        "shadow",
        "zombie",
        "deprecated",
        "drift",
    ];
    assert_eq!(told(&known), (7, expected.map(str::to_owned).to_vec()));
    let reasons = risk(&known, &Weights::default()).1;
    assert_eq!(reasons[1].why, "stack-trace, sql-error");
}

#[test]
fn a_weight_of_zero_turns_a_reason_off() {
    let mail = [sensitive("pii:card", "response")];
    let known = Inputs {
        anonymous: 10,
        sensitive: &mail,
        ..sound()
    };
    let mut weights = Weights {
        open_data: 0,
        no_auth: 0,
        highly_sensitive: 0,
        ..Weights::default()
    };
    let (risk_then, reasons) = risk(&known, &weights);
    assert_eq!(
        (risk_then, reasons[0].reason.as_str(), reasons.len()),
        (5, "sensitive", 1)
    );
    weights.sensitive = 0;
    assert_eq!(risk(&known, &weights).1[0].reason, "none");
    weights.no_auth = 9;
    assert_eq!(risk(&known, &weights).0, 9);
}

#[test]
fn every_weight_is_listed_with_its_value() {
    let weights = Weights::default();
    let json = serde_json::to_value(weights).unwrap();
    let listed: serde_json::Map<_, _> = weights
        .all()
        .into_iter()
        .map(|(name, weight)| (name.to_owned(), weight.into()))
        .collect();
    assert_eq!(json, serde_json::Value::Object(listed));
}
