//! Rules for silence as the file has them.

use serde::{Deserialize, Serialize};

use super::Date;
use crate::alert::{Scope, Silence};
use crate::time::Timestamp;

/// All that it names has to hold; it needs an end and a reason.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceRule {
    /// An identity, an address or a prefix; like the other texts a pattern with `*`.
    pub principal: Option<String>,
    pub endpoint: Option<String>,
    pub kind: Option<String>,
    pub detector: Option<String>,
    pub host: Option<String>,
    #[serde(default)]
    pub days: Vec<String>,
    pub hours: Option<String>,
    pub timezone: Option<String>,
    pub until: Date,
    pub reason: String,
    /// Who answers for it.
    pub author: Option<String>,
}

impl SilenceRule {
    fn ready(&self, number: usize) -> Silence {
        Silence {
            id: format!("config-{number}"),
            scope: Scope {
                principal: self.principal.clone(),
                endpoint: self.endpoint.clone(),
                kind: self.kind.clone(),
                detector: self.detector.clone(),
                host: self.host.clone(),
                days: self.days.clone(),
                hours: self.hours.clone(),
                timezone: self.timezone.clone(),
            },
            // The file does not say.
            at: Timestamp::default(),
            until: self.until.0,
            by: self.author.clone().unwrap_or_else(|| "config".into()),
            reason: self.reason.clone(),
            silenced: 0,
            ended: None,
        }
    }
}

impl super::Config {
    pub(super) fn silences(&self) -> Vec<Silence> {
        let rules = self.alert.silences.iter().enumerate();
        rules.map(|(n, rule)| rule.ready(n + 1)).collect()
    }

    pub(super) fn check_silences(&self) -> Result<(), (&'static str, String)> {
        let checked = self.silences().iter().try_for_each(Silence::check);
        checked.map_err(|why| ("silences", why))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn a_rule_is_checked_when_it_is_read() {
        let read = |rule: &str| {
            let text = format!("[[alert.silences]]\n{rule}\n");
            Config::parse(&text, "a.toml").map(|c| c.silences().remove(0))
        };
        let rule = "kind = \"scan\"\nprincipal = \"10.0.0.0/8\"\nuntil = \"2026-12-31\"\nreason = \"pentest\"";
        let silence = read(rule).unwrap();
        assert_eq!(
            (silence.id.as_str(), silence.by.as_str()),
            ("config-1", "config")
        );
        assert_eq!(silence.until.secs(), 1_798_675_200);
        for wrong in [
            "kind = \"scan\"\nreason = \"x\"",
            "kind = \"scan\"\nuntil = \"2026-12-31\"",
            "kind = \"scan\"\nuntil = \"2026-12-31\"\nreason = \" \"",
            "until = \"2026-12-31\"\nreason = \"x\"",
            "kind = \"scan\"\nuntil = \"2026-12-31\"\nreason = \"x\"\nhours = \"8-9\"",
            "kinds = \"scan\"\nuntil = \"2026-12-31\"\nreason = \"x\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
