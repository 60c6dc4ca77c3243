//! How sure an alert is, and of what its score is made: the detector's numbers in words, those of
//! one scale as bars beside each other.

use super::dossier::number;
use crate::alert::Alert;

/// One number of a score.
pub(super) struct Measure {
    pub(super) name: String,
    pub(super) text: String,
    /// Of the greatest of its scale, 0 to 100; none where it stands alone.
    pub(super) share: Option<u32>,
    /// Which of the bars: what was seen, or what it is held against.
    pub(super) class: &'static str,
}

/// How sure, in a sentence, and why.
pub(super) struct Score {
    pub(super) sentence: String,
    pub(super) groups: Vec<Vec<Measure>>,
}

/// A scale with the parts on it: their names, in words, and which bar they are.
type Scale = &'static [(&'static str, &'static str, &'static str)];

/// Counts, in the unit of the alert's sentence.
const COUNTS: Scale = &[
    ("observed", "Seen", "seen"),
    ("steps", "Looked at", "seen"),
    ("expected", "Expected", "expected"),
    ("own_most", "Its own most before", "expected"),
    ("peers_mean", "Others of its kind, on average", "expected"),
];

/// Digits of one in so many.
const RARITY: Scale = &[
    (
        "log10_p",
        "This, by chance: 1 in 10 to the power of",
        "seen",
    ),
    (
        "bar_log10_p",
        "The budget of false alarms asks for",
        "expected",
    ),
];

/// What stands alone.
const ALONE: Scale = &[
    ("usual_share", "Usual share", ""),
    ("callers", "Callers that took part", ""),
    ("own_windows", "Windows seen of it before", ""),
    ("tests_a_week", "Windows tested a week", ""),
    ("rarity_log10", "Rarity, as a power of ten", ""),
];

impl Score {
    /// None of what is no matter of chance, such as a finding of the inventory.
    pub(super) fn of(a: &Alert) -> Option<Self> {
        if a.score <= 0.0 {
            return None;
        }
        let part = |name: &str| a.parts.iter().find(|p| p.name == name).map(|p| p.value);
        let mut known: Vec<&str> = Vec::new();
        let mut groups: Vec<Vec<Measure>> = Vec::new();
        for scale in [RARITY, COUNTS] {
            let parts = scale.iter().filter_map(|(name, words, class)| {
                known.push(name);
                Some((*words, part(name)?.abs(), *class))
            });
            let parts: Vec<(&str, f64, &'static str)> = parts.collect();
            let most = parts.iter().map(|p| p.1).fold(0.0, f64::max);
            let measure = |(words, value, class): (&str, f64, &'static str)| Measure {
                name: words.to_owned(),
                text: number(value),
                share: (most > 0.0).then(|| (value / most * 100.0).round() as u32),
                class,
            };
            groups.push(parts.into_iter().map(measure).collect());
        }
        let rest = a.parts.iter().filter(|p| !known.contains(&p.name.as_ref()));
        let alone = rest.map(|p| {
            let words = ALONE.iter().find(|(name, ..)| p.name == *name);
            Measure {
                name: words.map_or_else(|| p.name.replace('_', " "), |w| w.1.to_owned()),
                text: number(p.value),
                share: None,
                class: "",
            }
        });
        groups.push(alone.collect());
        groups.retain(|g| !g.is_empty());
        Some(Self {
            sentence: sentence(a, part("bar_log10_p")),
            groups,
        })
    }
}

fn sentence(a: &Alert, bar: Option<f64>) -> String {
    let score = a.score.round();
    let Some(bar) = bar.filter(|bar| *bar < 0.0 && a.log10_p < 0.0) else {
        return format!("Score {score:.0} of 100; 50 is the bar.");
    };
    let times = a.log10_p / bar;
    let sure = match times {
        t if t >= 3.0 => "Very sure",
        t if t >= 1.5 => "Sure",
        _ => "Just past the bar",
    };
    format!(
        "{sure}: by chance this happens in one of 10^{} windows, {} times the digits that the budget of false alarms asks for. Score {score:.0} of 100; 50 is the bar.",
        number(-a.log10_p),
        number(times)
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::detect::Part;

    /// A scan with these parts of a score, and nothing else.
    pub(in crate::web) fn alert(parts: &[(&'static str, f64)]) -> Alert {
        let text = r#"{"v":1,"id":"a","ts":1,"kind":"scan","severity":"high","score":88.6,"detector":"d","since":1,"until":1,
            "expected":20,"observed":912,"p_value":0,"log10_p":-12.5,"summary":"s","owasp":"","status":"open","fingerprint":"f",
            "occurrences":1,"last_seen":1,"revision":1}"#;
        let mut a: Alert = serde_json::from_str(text).unwrap();
        let part = |(name, value): &(&'static str, f64)| Part {
            name: (*name).into(),
            value: *value,
        };
        a.parts = parts.iter().map(part).collect();
        a
    }

    #[test]
    fn parts_of_one_scale_are_bars_of_one_scale() {
        let a = alert(&[
            ("observed", 912.0),
            ("expected", 20.4),
            ("own_windows", 40.0),
            ("log10_p", -12.5),
            ("bar_log10_p", -5.0),
            ("something_new", 1.5),
        ]);
        let score = Score::of(&a).unwrap();
        assert!(score.sentence.starts_with("Sure: "), "{}", score.sentence);
        let shares: Vec<Vec<Option<u32>>> = (score.groups.iter())
            .map(|g| g.iter().map(|m| m.share).collect())
            .collect();
        assert_eq!(
            shares,
            [
                vec![Some(100), Some(40)],
                vec![Some(100), Some(2)],
                vec![None, None]
            ]
        );
        // A part that is new here is said all the same.
        assert_eq!(score.groups[2][1].name, "something new");
        let finding = Alert { score: 0.0, ..a };
        assert!(Score::of(&finding).is_none());
    }
}
