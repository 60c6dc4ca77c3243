//! Credentials that were seen in clear, by endpoint and scheme. That is a fact of the wire that is
//! watched: behind a proxy that ends TLS it is the hop behind the proxy, and says so.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::exposure::{Exposure, ExposureKind, Severity};
use super::small::Small;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// As exchanges name them, and in words.
const SCHEMES: [(&str, &str); 7] = [
    ("basic", "a user name with its password"),
    ("bearer", "bearer tokens"),
    ("jwt", "JSON web tokens"),
    ("apikey", "API keys"),
    ("cookie", "session cookies"),
    ("login", "passwords of logins"),
    ("query", "keys in its query, which logs keep,"),
];

/// Said with the alert, and on the page.
pub const ADVICE: &str = "Where a proxy in front ends TLS, what is seen here is the hop behind it: name the proxy in sensor.trusted_proxies, and calls whose clients spoke TLS to it are told apart.";

/// Of one endpoint, by place in [`SCHEMES`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Clear(Small<u8, Calls>);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Calls {
    calls: u64,
    /// Of those: through a trusted proxy that says that the client spoke TLS to it.
    proxied: u64,
    first: Timestamp,
    last: Timestamp,
}

impl Clear {
    /// Returns whether a credential was in clear that no trusted proxy vouches for, and no such was
    /// known of its scheme.
    pub(super) fn take(&mut self, x: &Exchange) -> bool {
        if !x.clear {
            return false;
        }
        let proxied = x.via.is_some() && x.scheme == "https";
        let by_place = x.presented().iter().map(|p| {
            let key = matches!(p.scheme.as_str(), "apikey" | "bearer" | "jwt");
            let query = key && p.place.starts_with("query:");
            if query { "query" } else { p.scheme.as_str() }
        });
        let login = x.login.as_ref().map(|_| "login");
        let sent: BTreeSet<usize> = (x.auth.as_deref().into_iter())
            .chain(by_place)
            .chain(login)
            .filter_map(|scheme| SCHEMES.iter().position(|(name, _)| *name == scheme))
            .collect();
        let mut news = false;
        for at in sent {
            let calls = self.0.or_insert_with(at as u8, || Calls {
                calls: 0,
                proxied: 0,
                first: x.ts,
                last: x.ts,
            });
            news |= !proxied && calls.calls == calls.proxied;
            calls.calls += 1;
            calls.proxied += u64::from(proxied);
            calls.first = calls.first.min(x.ts);
            calls.last = calls.last.max(x.ts);
        }
        news
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (scheme, theirs) in other.0.iter() {
            let Some(mine) = self.0.get_mut(scheme) else {
                self.0.or_insert_with(*scheme, || *theirs);
                continue;
            };
            mine.calls += theirs.calls;
            mine.proxied += theirs.proxied;
            mine.first = mine.first.min(theirs.first);
            mine.last = mine.last.max(theirs.last);
        }
    }

    /// What it comes to, for the endpoint with this host, label and key.
    pub(super) fn exposures(&self, host: &str, label: &str, key: &str) -> Vec<Exposure> {
        let seen = self.0.iter();
        let known = seen.filter_map(|(at, calls)| Some((SCHEMES.get(usize::from(*at))?, *calls)));
        let one = |((name, words), c): (&(&str, &str), Calls)| {
            let severity = if c.proxied == c.calls {
                Severity::Info
            } else {
                Severity::Medium
            };
            let what = format!("is sent {words} in clear");
            Exposure {
                endpoint: Some(key.to_owned()),
                why: c.why(),
                first_seen: c.first,
                last_seen: c.last,
                count: c.calls,
                scheme: Some((*name).to_owned()),
                ..Exposure::new(ExposureKind::CredentialsInClear, severity, host, what)
            }
            .about(label)
        };
        known.map(one).collect()
    }
}

impl Calls {
    fn why(&self) -> String {
        let open = "whoever sees the wire that is mirrored can use them";
        let vouched = "came through a trusted proxy that says that the client spoke TLS to it";
        match self.calls - self.proxied {
            0 => format!("behind the proxy alone: all {vouched}"),
            n if n == self.calls => open.to_owned(),
            _ => format!("{open}; {} calls {vouched}", self.proxied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(secs: i64, auth: Option<&str>) -> Exchange {
        let mut x = Exchange::at(Timestamp::from_secs(secs));
        (x.clear, x.auth) = (true, auth.map(Into::into));
        x
    }

    fn told(clear: &Clear) -> Vec<(Option<String>, Severity, u64, i64, i64)> {
        let all = clear.exposures("h", "GET h /a", "k").into_iter();
        all.map(|e| {
            let times = (e.first_seen.secs(), e.last_seen.secs());
            (e.scheme, e.severity, e.count, times.0, times.1)
        })
        .collect()
    }

    #[test]
    fn schemes_are_counted_by_themselves_and_are_news_once() {
        let mut clear = Clear::default();
        assert!(clear.take(&call(5, Some("basic"))));
        assert!(!clear.take(&call(7, Some("basic"))));
        assert!(!clear.take(&call(8, None)));
        assert!(!clear.take(&call(8, Some("digest"))));
        let mut login = call(9, None);
        login.login = Some("9ab1".into());
        assert!(clear.take(&login));
        let expected = [
            (Some("basic".into()), Severity::Medium, 2, 5, 7),
            (Some("login".into()), Severity::Medium, 1, 9, 9),
        ];
        assert_eq!(told(&clear), expected);
    }

    #[test]
    fn what_tls_hides_is_no_fact_and_what_a_proxy_vouches_for_is_one_to_know() {
        let mut clear = Clear::default();
        let mut opened = call(1, Some("bearer"));
        (opened.clear, opened.scheme) = (false, "https".into());
        assert!(!clear.take(&opened));
        assert_eq!(told(&clear), []);
        let mut proxied = call(2, Some("bearer"));
        proxied.scheme = "https".into();
        proxied.via = Some(([10, 0, 0, 9].into(), 4_000));
        assert!(!clear.take(&proxied));
        let expected = (Some("bearer".to_owned()), Severity::Info, 1, 2, 2);
        assert_eq!(told(&clear), [expected]);
        // One that came without the proxy.
        assert!(clear.take(&call(3, Some("bearer"))));
        assert!(!clear.take(&call(4, Some("bearer"))));
        let expected = (Some("bearer".to_owned()), Severity::Medium, 3, 2, 4);
        assert_eq!(told(&clear), [expected]);
    }

    #[test]
    fn two_endpoints_that_are_one_add_up_either_way() {
        let (mut a, mut b) = (Clear::default(), Clear::default());
        a.take(&call(5, Some("jwt")));
        b.take(&call(3, Some("jwt")));
        b.take(&call(9, Some("cookie")));
        let mut other_way = b.clone();
        other_way.merge(&a);
        a.merge(&b);
        assert_eq!(told(&a), told(&other_way));
        assert_eq!(told(&a)[0].2, 2);
    }
}
