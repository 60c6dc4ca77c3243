//! Which ways of authentication an operation documents, by the names that the record gives them.

use std::collections::BTreeSet;

use crate::catalog::spec::{Document, Place};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Neither the operation nor the document says anything.
    Unsaid,
    /// It needs none, or what it needs cannot be told by a passive observer.
    Anything,
    /// One of these is needed; not `anonymous`: each of them would have been seen.
    Needed {
        schemes: BTreeSet<&'static str>,
        anonymous: bool,
    },
}

impl Security {
    pub(super) fn of(document: &Document, operation: Place<'_>) -> Self {
        let root = document.root();
        let Some(list) = operation
            .child("security")
            .or_else(|| root.child("security"))
        else {
            return Self::Unsaid;
        };
        let (mut schemes, mut anonymous) = (BTreeSet::new(), false);
        let mut alternatives = 0;
        for requirement in list.items() {
            alternatives += 1;
            let mut seen = false;
            let mut names = 0;
            for (name, _) in requirement.members() {
                names += 1;
                match scheme(document, name) {
                    Some(Scheme { names, certain }) => {
                        schemes.extend(names);
                        seen |= certain;
                    }
                    None => return Self::Anything,
                }
            }
            if names == 0 {
                // Optional: whoever has something to show may show it.
                return Self::Anything;
            }
            anonymous |= !seen;
        }
        match alternatives {
            0 => Self::Anything,
            _ => Self::Needed { schemes, anonymous },
        }
    }

    /// What is not documented of how a call was authenticated; `none` where it had to be and was
    /// not.
    pub(super) fn undocumented<'x>(&self, auth: Option<&'x str>) -> Option<&'x str> {
        match (self, auth) {
            (Self::Anything, _) | (Self::Unsaid, None) => None,
            // Browsers send their cookies along everywhere.
            (Self::Unsaid, Some(scheme)) => Some(scheme).filter(|s| *s != "cookie"),
            (Self::Needed { anonymous, .. }, None) => (!anonymous).then_some("none"),
            (Self::Needed { schemes, anonymous }, Some(scheme)) => {
                let beside = scheme == "cookie" && *anonymous;
                (!schemes.contains(scheme) && !beside).then_some(scheme)
            }
        }
    }

    pub(super) fn names(&self) -> String {
        match self {
            Self::Unsaid | Self::Anything => "no authentication".into(),
            Self::Needed { schemes, .. } => {
                let names: Vec<&str> = schemes.iter().copied().collect();
                names.join(" or ")
            }
        }
    }
}

/// API keys that the document has, each with its name and where it is sent.
pub(super) fn keys(document: &Document) -> impl Iterator<Item = Place<'_>> {
    let all = schemes(document).into_iter().flat_map(Place::members);
    let all = all.filter_map(|(_, scheme)| document.follow(scheme));
    all.filter(|scheme| scheme.str("type") == Some("apiKey"))
}

fn schemes(document: &Document) -> Option<Place<'_>> {
    let root = document.root();
    match root.child("components") {
        Some(components) => document.get(components, "securitySchemes"),
        None => root.child("securityDefinitions"),
    }
}

struct Scheme {
    names: Vec<&'static str>,
    /// A call with it is always seen to have it.
    certain: bool,
}

/// `None`: it cannot be told from others by what is seen.
fn scheme(document: &Document, name: &str) -> Option<Scheme> {
    let scheme = document.get(schemes(document)?, name)?;
    let text = |key: &str| scheme.str(key).unwrap_or_default().to_ascii_lowercase();
    let certain = |names: &[&'static str]| {
        Some(Scheme {
            names: names.to_vec(),
            certain: true,
        })
    };
    match text("type").as_str() {
        "oauth2" | "openidconnect" => certain(&["bearer", "jwt"]),
        "basic" => certain(&["basic"]),
        "http" => match text("scheme").as_str() {
            "bearer" => certain(&["bearer", "jwt"]),
            "basic" => certain(&["basic"]),
            _ => None,
        },
        // The whole header is a matter of agreement there.
        "apikey" if text("in") == "header" && text("name") == "authorization" => {
            certain(&["apikey", "basic", "bearer", "jwt"])
        }
        "apikey" => Some(Scheme {
            names: match text("in").as_str() {
                "cookie" => vec!["cookie"],
                _ => vec!["apikey"],
            },
            certain: false,
        }),
        _ => None,
    }
}
