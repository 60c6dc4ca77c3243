//! Rules about places of the inventory, as the config writes them.

use serde::{Deserialize, Serialize};

use super::units::Date;
use crate::catalog;

/// `[[catalog.deprecated]]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deprecated {
    pub host: String,
    pub path: String,
    pub method: String,
    pub since: Option<Date>,
    pub sunset: Option<Date>,
}

/// `[[catalog.host_groups]]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HostGroup {
    pub pattern: String,
    #[serde(default)]
    pub name: String,
}

impl Deprecated {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.host.is_empty() && self.path.is_empty() {
            let why = "a rule names a host or a path: it would deprecate all otherwise";
            return Err(("deprecated", why.into()));
        }
        Ok(())
    }

    pub(super) fn rule(&self) -> catalog::DeprecationRule {
        catalog::DeprecationRule {
            host: self.host.clone(),
            path: self.path.clone(),
            method: self.method.clone(),
            since: self.since.map(|date| date.0),
            sunset: self.sunset.map(|date| date.0),
        }
    }
}

impl HostGroup {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let labels = self.pattern.split('.').filter(|l| !l.contains('*'));
        if !self.pattern.contains('*') || labels.count() < 2 {
            let why = "a pattern is like \"*.api.example.com\": a star, and a domain of two labels";
            return Err(("host_groups", why.into()));
        }
        if self.pattern.contains("**") {
            let why = "a star stands for one label, and two for no more";
            return Err(("host_groups", why.into()));
        }
        Ok(())
    }

    pub(super) fn rule(&self) -> catalog::HostGroup {
        catalog::HostGroup {
            pattern: self.pattern.to_ascii_lowercase(),
            name: self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use crate::time::Timestamp;

    #[test]
    fn rules_are_read_and_nonsense_is_refused() {
        let text = "[[catalog.deprecated]]\npath = \"/v1/**\"\nsunset = \"2026-12-31\"\n\
                    [[catalog.host_groups]]\npattern = \"*.api.Example.com\"\n";
        let settings = Config::parse(text, "a").unwrap().analysis().catalog;
        let sunset = settings.deprecated[0].sunset;
        assert_eq!(sunset, Some(Timestamp::from_secs(1_798_675_200)));
        assert_eq!(settings.host_groups[0].pattern, "*.api.example.com");
        for wrong in [
            "[[catalog.deprecated]]\nmethod = \"GET\"\n",
            "[[catalog.deprecated]]\npath = \"/a\"\nsunset = \"soon\"\n",
            "[[catalog.host_groups]]\npattern = \"*.com\"\n",
            "[[catalog.host_groups]]\npattern = \"api.example.com\"\n",
        ] {
            assert!(Config::parse(wrong, "a").is_err(), "{wrong}");
        }
    }
}
