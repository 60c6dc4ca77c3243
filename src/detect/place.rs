//! Where the packets behind a verdict are: who spoke with which server, as addresses on the wire.
//!
//! Of each principal the last few pairs of client and server are kept, and of each endpoint the
//! last few servers, each with the second of packet time at which it was last met. A verdict
//! takes those that its time covers. What was put out of so short a list is known to be missing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::principals::{Followed, network};
use crate::catalog::EndpointId;
use crate::exchange::Exchange;
use crate::time::Timestamp;

/// Pairs kept of a principal, and servers of an endpoint.
const FEW: usize = 4;
/// Records may come this much out of order, in seconds.
const LATE: u32 = 10;
/// A VNI has 24 bits.
const NO_VNI: u32 = u32::MAX;

/// Whose packets: those of a client, those of a server's port, or those between the two.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Route {
    /// The TCP peer of the server: a trusted proxy stands for its clients, and an IPv6 address as
    /// its /64. None: anybody.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub client: Option<IpNet>,
    /// None: any server.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<u16>,
    /// The overlay network that both are in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vni: Option<u32>,
}

/// Where something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub routes: Vec<Route>,
    /// Others took part that are not known any more.
    pub more: bool,
}

/// One pair, in few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pair {
    client: IpAddr,
    server: Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Server {
    address: IpAddr,
    port: u16,
    vni: u32,
}

/// The last few different things, each with the second at which it was last met.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Recent<T> {
    items: Vec<(T, u32)>,
    /// When the latest of those put out was last met; 0 where none was.
    lost: u32,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            lost: 0,
        }
    }
}

impl<T: Copy + PartialEq> Recent<T> {
    fn note(&mut self, item: T, secs: u32) {
        if let Some((_, met)) = self.items.iter_mut().find(|(known, _)| *known == item) {
            *met = secs.max(*met);
        } else if self.items.len() < FEW {
            // Most have one for ever.
            self.items.reserve_exact(1);
            self.items.push((item, secs));
        } else if let Some(oldest) = self.items.iter_mut().min_by_key(|(_, met)| *met) {
            self.lost = self.lost.max(oldest.1);
            *oldest = (item, secs);
        }
    }

    fn since(&self, secs: u32) -> impl Iterator<Item = T> {
        let met = self.items.iter().filter(move |(_, met)| *met >= secs);
        met.map(|(item, _)| *item)
    }

    /// None that was met since then was put out.
    fn whole(&self, secs: u32) -> bool {
        self.lost < secs.max(1)
    }
}

impl Recent<Pair> {
    pub(super) fn meet(&mut self, x: &Exchange) {
        let pair = Pair {
            client: network(x.peer().0),
            server: Server::of(x),
        };
        self.note(pair, second(x.end));
    }
}

impl Server {
    fn of(x: &Exchange) -> Self {
        Self {
            address: x.server,
            port: x.server_port,
            vni: x.vni.unwrap_or(NO_VNI),
        }
    }
}

/// Between the two; what a line of input did not say stands for anybody.
fn route(client: Option<IpAddr>, server: Option<Server>) -> Option<Route> {
    let known = |ip: &IpAddr| !ip.is_unspecified();
    let client = client.filter(known).map(|ip| match ip {
        IpAddr::V4(_) => IpNet::from(ip),
        IpAddr::V6(net) => Ipv6Net::new_assert(net, 64).into(),
    });
    let server = server.filter(|s| known(&s.address));
    (client.is_some() || server.is_some()).then(|| Route {
        client,
        server: server.map(|s| s.address),
        port: server.map(|s| s.port).filter(|port| *port != 0),
        vni: server.map(|s| s.vni).filter(|vni| *vni != NO_VNI),
    })
}

/// Seconds of the epoch, as far as 32 bits hold them.
fn second(at: Timestamp) -> u32 {
    u32::try_from(at.secs().max(0)).unwrap_or(u32::MAX)
}

/// Servers by endpoint; as many as the inventory has endpoints.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Servers(BTreeMap<EndpointId, Recent<Server>>);

impl Servers {
    pub(super) fn meet(&mut self, endpoint: EndpointId, x: &Exchange) {
        let servers = self.0.entry(endpoint).or_default();
        servers.note(Server::of(x), second(x.end));
    }

    pub(super) fn merged(&mut self, from: EndpointId, into: EndpointId) {
        if let Some(old) = self.0.remove(&from) {
            let kept = self.0.entry(into).or_default();
            kept.lost = kept.lost.max(old.lost);
            old.items.iter().for_each(|(s, met)| kept.note(*s, *met));
        }
    }

    pub(super) fn evicted(&mut self, endpoint: EndpointId) {
        self.0.remove(&endpoint);
    }

    /// Anybody at the servers that have answered for the endpoint since then.
    pub(super) fn of(&self, endpoint: EndpointId, since: Timestamp) -> Place {
        let since = second(since).saturating_sub(LATE);
        let Some(servers) = self.0.get(&endpoint) else {
            return Place::default();
        };
        // Where nobody has come since then, it is where they came before.
        let met = servers.items.iter().map(|(_, met)| *met).max();
        let since = since.min(met.unwrap_or_default());
        let routes = servers.since(since).filter_map(|s| route(None, Some(s)));
        Place {
            routes: routes.collect(),
            more: !servers.whole(since),
        }
    }

    /// What is told when a window ends is of no exchange: where the endpoint is.
    pub(super) fn silent(&self, v: &Verdict) -> Place {
        let known = v.endpoint.map(|e| self.of(e, v.since));
        known
            .filter(|place| !place.routes.is_empty())
            .unwrap_or(Place {
                routes: Vec::new(),
                more: true,
            })
    }

    /// Where a verdict's packets are, raised by an exchange of `who`.
    pub(super) fn place(&self, v: &Verdict, x: &Exchange, who: Option<&Followed>) -> Place {
        let named = v.endpoint.map(|e| self.of(e, v.since));
        let place = match (&v.principal, who) {
            (None, _) => named.unwrap_or_default(),
            (Some(principal), Some(who)) if who.principal() == *principal => {
                self.of_principal(v, x, who)
            }
            (Some(_), _) => Place::default(),
        };
        if !place.routes.is_empty() {
            return place;
        }
        // What is about many together may be about others than this exchange's.
        let here = v
            .host
            .as_deref()
            .is_none_or(|h| x.host.as_deref() == Some(h));
        if v.principal.is_none() && (v.endpoint.is_some() || !here) {
            return place;
        }
        let client = v.principal.as_ref().map(|_| network(x.peer().0));
        Place {
            routes: route(client, Some(Server::of(x))).into_iter().collect(),
            more: place.more,
        }
    }

    /// Where the verdict names an endpoint, at its servers alone.
    fn of_principal(&self, v: &Verdict, x: &Exchange, who: &Followed) -> Place {
        let since = second(v.since).saturating_sub(LATE);
        let servers = v.endpoint.and_then(|e| self.0.get(&e));
        let serves = |server: &Server| {
            servers
                .is_none_or(|known| !known.whole(since) || known.since(since).any(|s| s == *server))
        };
        let more = !who.routes.whole(since);
        // Who is its address needs no list of the servers that it asked.
        if more && who.nameless() && x.via.is_none() {
            let client = network(x.client);
            let everywhere = route(Some(client), None);
            let at: Vec<Route> = servers
                .filter(|known| known.whole(since))
                .into_iter()
                .flat_map(|known| known.since(since))
                .filter_map(|server| route(Some(client), Some(server)))
                .collect();
            let routes = if at.is_empty() {
                everywhere.into_iter().collect()
            } else {
                at
            };
            return Place {
                routes,
                more: false,
            };
        }
        let pairs = who.routes.since(since).filter(|pair| serves(&pair.server));
        Place {
            routes: pairs
                .filter_map(|pair| route(Some(pair.client), Some(pair.server)))
                .collect(),
            more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(client: &str, server: &str, secs: i64) -> Exchange {
        let mut x = Exchange::at(Timestamp::from_secs(secs));
        (x.client, x.server, x.server_port) =
            (client.parse().unwrap(), server.parse().unwrap(), 8080);
        x
    }

    #[test]
    fn the_last_few_are_kept_and_what_is_lost_is_known() {
        let mut recent = Recent::default();
        for n in 0..20_u32 {
            recent.note(n / 2, n);
        }
        assert_eq!(recent.since(0).count(), FEW);
        assert_eq!(recent.since(16).collect::<Vec<_>>(), [8, 9]);
        assert!(recent.whole(12) && !recent.whole(11));
    }

    #[test]
    fn an_endpoint_is_at_the_servers_that_answered_in_time() {
        let mut servers = Servers::default();
        let (a, b) = (EndpointId(1), EndpointId(2));
        servers.meet(a, &call("10.0.0.5", "10.0.1.1", 1_000));
        servers.meet(b, &call("10.0.0.5", "10.0.1.2", 5_000));
        servers.merged(a, b);
        let of = |since| {
            let place = servers.of(b, Timestamp::from_secs(since));
            let servers = place.routes.iter().map(|r| r.server.unwrap().to_string());
            servers.collect::<Vec<_>>()
        };
        assert_eq!(of(500), ["10.0.1.2", "10.0.1.1"]);
        assert_eq!(of(5_000), ["10.0.1.2"]);
    }

    #[test]
    fn neighbours_in_a_64_are_one_client_and_nobody_is_anybody() {
        let x = call("2001:db8:0:5:1::7", "fd00::1", 1);
        let known = route(Some(network(x.client)), Some(Server::of(&x))).unwrap();
        assert_eq!(known.client, Some("2001:db8:0:5::/64".parse().unwrap()));
        let line = Exchange::at(Timestamp::from_secs(1));
        assert_eq!(route(Some(line.client), Some(Server::of(&line))), None);
    }
}
