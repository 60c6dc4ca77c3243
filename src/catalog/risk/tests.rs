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
    use ExposureKind::*;
    let fact = |kind, severity| [exposed(kind, severity)];
    let (mail, card) = (
        sensitive("pii:email", "response"),
        sensitive("pii:card", "request"),
    );
    let secret = |direction| [sensitive("secret:password", direction)];
    let mails = [mail.clone()];
    let token = [sensitive("secret:jwt", "response")];
    let bare = fact(NoAuthentication, Severity::Low);
    let bare = Inputs {
        exposures: &bare,
        ..sound()
    };
    let outside = Inputs {
        exposure: Some(Zone::External),
        external: 4,
        ..sound()
    };
    let weak = [
        exposed(SelfSigned, Severity::Low),
        exposed(ObsoleteTls, Severity::Medium),
    ];
    let leaks = [
        exposed(FilePath, Severity::Low),
        exposed(SqlError, Severity::High),
    ];
    let rows: [(&str, Inputs<'_>, u8, &[&str]); 25] = [
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
        (
            "bare, writes",
            Inputs {
                exposures: &fact(NoAuthentication, Severity::Medium),
                ..sound()
            },
            6,
            &["no-auth"],
        ),
        ("bare, reads", bare, 4, &["no-auth"]),
        (
            "bare, and so is its host",
            Inputs {
                exposures: &fact(NoAuthentication, Severity::Info),
                ..sound()
            },
            3,
            &["no-auth"],
        ),
        (
            "mixed",
            Inputs {
                exposures: &fact(MixedAuthentication, Severity::Medium),
                ..sound()
            },
            4,
            &["mixed-auth"],
        ),
        (
            "cookies alone",
            Inputs {
                exposures: &fact(MixedAuthentication, Severity::Info),
                ..sound()
            },
            1,
            &["mixed-auth"],
        ),
        (
            "mail",
            Inputs {
                sensitive: &mails,
                ..sound()
            },
            5,
            &["sensitive"],
        ),
        (
            "card",
            Inputs {
                sensitive: &[card, mail],
                ..sound()
            },
            7,
            &["highly-sensitive", "sensitive"],
        ),
        (
            "password sent",
            Inputs {
                sensitive: &secret("request"),
                ..sound()
            },
            1,
            &["none"],
        ),
        (
            "password told",
            Inputs {
                sensitive: &secret("response"),
                ..sound()
            },
            7,
            &["highly-sensitive"],
        ),
        (
            "token told",
            Inputs {
                sensitive: &token,
                ..sound()
            },
            5,
            &["sensitive"],
        ),
        (
            "token of a login",
            Inputs {
                sensitive: &token,
                login: true,
                ..sound()
            },
            1,
            &["none"],
        ),
        ("outside", outside, 3, &["external"]),
        (
            "open inside",
            Inputs {
                sensitive: &mails,
                ..bare
            },
            8,
            &["open-data", "sensitive", "no-auth"],
        ),
        (
            "open outside",
            Inputs {
                sensitive: &mails,
                exposures: bare.exposures,
                ..outside
            },
            10,
            &["open-data", "sensitive", "no-auth", "external"],
        ),
        (
            "less without a credential",
            Inputs {
                sensitive: &mails,
                exposures: &fact(MixedAuthentication, Severity::Low),
                ..sound()
            },
            5,
            &["sensitive", "mixed-auth"],
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
                exposures: &fact(CredentialsInClear, Severity::Medium),
                ..sound()
            },
            4,
            &["credentials-in-clear"],
        ),
        (
            "vouched for",
            Inputs {
                exposures: &fact(CredentialsInClear, Severity::Info),
                ..sound()
            },
            1,
            &["none"],
        ),
        (
            "leaks",
            Inputs {
                exposures: &leaks,
                ..sound()
            },
            7,
            &["leaks"],
        ),
        (
            "long tokens",
            Inputs {
                exposures: &fact(JwtLongLife, Severity::Low),
                ..sound()
            },
            5,
            &["weak-tokens"],
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
fn statuses_and_drift_weigh() {
    let known = Inputs {
        shadow: Some("no spec has it"),
        zombie: Some("v2 is there"),
        deprecated: Some("its answers say so"),
        drift: 2,
        ..sound()
    };
    let expected = ["shadow", "zombie", "deprecated", "drift"];
    assert_eq!(told(&known), (6, expected.map(str::to_owned).to_vec()));
    let reasons = risk(&known, &Weights::default()).1;
    assert_eq!(reasons[3].why, "it differs from its spec in 2 ways");
}

#[test]
fn a_weight_of_zero_turns_a_reason_off() {
    let card = [sensitive("pii:card", "response")];
    let bare = [exposed(ExposureKind::NoAuthentication, Severity::High)];
    let known = Inputs {
        exposures: &bare,
        sensitive: &card,
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
