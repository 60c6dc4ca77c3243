//! Where deliveries may go: an address is checked after its name was resolved, and the connection
//! goes to that very address, so that no answer of a name server leads alerts to another place.
//!
//! Order: what is denied by name of the config is refused; where there is an allow list, it alone
//! decides; without one everything is allowed but [`GUARDED`]. A guarded network is entered only by
//! an entry of the allow list that lies inside it: `0.0.0.0/0` does not mean loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Name look-up and connection, each.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// This machine, its link, what clouds keep their instances' credentials behind, and no single host.
const GUARDED: [&str; 14] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fe80::/10",
    "fec0::/10",
    "fd00:ec2::254/128",
    "ff00::/8",
];

/// The allow and the deny list.
#[derive(Clone, Debug)]
pub struct Egress {
    allow: Vec<IpNet>,
    deny: Vec<IpNet>,
    guarded: Vec<IpNet>,
}

impl Default for Egress {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl Egress {
    pub fn new(allow: Vec<IpNet>, deny: Vec<IpNet>) -> Self {
        let guarded = GUARDED.iter().filter_map(|n| n.parse().ok()).collect();
        Self {
            allow,
            deny,
            guarded,
        }
    }

    /// Whether a delivery may go there; the error says which list refuses it.
    pub fn check(&self, ip: IpAddr) -> Result<(), String> {
        let ip = plain(ip);
        let within = |nets: &[IpNet]| nets.iter().any(|n| n.contains(&ip));
        if within(&self.deny) {
            return Err(format!("{ip} is in alert.egress.deny"));
        }
        if let Some(guard) = self.guarded.iter().find(|n| n.contains(&ip)) {
            let lifted = |n: &&IpNet| n.contains(&ip) && guard.contains(*n);
            return match self.allow.iter().find(lifted) {
                Some(_) => Ok(()),
                None => Err(format!(
                    "{ip} is in {guard}, where nothing is sent unless alert.egress.allow names it"
                )),
            };
        }
        if !self.allow.is_empty() && !within(&self.allow) {
            return Err(format!("{ip} is not in alert.egress.allow"));
        }
        Ok(())
    }

    /// The addresses of a host that may be connected to.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found: Vec<SocketAddr> = match timeout(CONNECT, lookup_host((bare, port))).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(e)) => return Err(format!("{bare} cannot be resolved: {e}")),
            Err(_) => return Err(format!("{bare} cannot be resolved in time")),
        };
        let mut refused = format!("{bare} has no address");
        let allowed = found.into_iter().filter(|at| match self.check(at.ip()) {
            Ok(()) => true,
            Err(why) => {
                refused = format!("{bare}: {why}");
                false
            }
        });
        let allowed: Vec<SocketAddr> = allowed.collect();
        if allowed.is_empty() {
            Err(refused)
        } else {
            Ok(allowed)
        }
    }

    /// A connection to one of the allowed addresses.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let addresses = self.addresses(host, port).await?;
        match timeout(CONNECT, TcpStream::connect(&*addresses)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(e)) => Err(format!("{host}:{port}: {e}")),
            Err(_) => Err(format!("{host}:{port}: no answer")),
        }
    }
}

/// An IPv4 address inside an IPv6 one (mapped, NAT64) is that IPv4 address.
fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => {
            let [[a, b], [c, d]] = [a.to_be_bytes(), b.to_be_bytes()];
            Ipv4Addr::new(a, b, c, d).into()
        }
        _ => v6.to_canonical(),
    }
}

/// For the HTTP client: it connects to what this gives, and to nothing else. Addresses in a URL
/// never come here; [`Egress::check`] is asked for them.
pub(super) struct Resolver(pub(super) Arc<Egress>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            let found = egress.addresses(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(allow: &[&str], deny: &[&str]) -> Egress {
        let nets = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
        Egress::new(nets(allow), nets(deny))
    }

    fn goes(egress: &Egress, to: &str) -> bool {
        egress.check(to.parse().unwrap()).is_ok()
    }

    #[test]
    fn guarded_networks_are_entered_by_name_only() {
        let plain = egress(&[], &[]);
        assert_eq!(plain.guarded.len(), GUARDED.len(), "each one reads");
        for open in ["10.1.2.3", "192.0.2.1", "8.8.8.8", "2001:db8::1"] {
            assert!(goes(&plain, open), "{open}");
        }
        for shut in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(!goes(&plain, shut), "{shut}");
            assert!(!goes(&egress(&["0.0.0.0/0", "::/0"], &[]), shut), "{shut}");
        }
        let local = egress(&["127.0.0.1/32"], &[]);
        assert!(goes(&local, "127.0.0.1") && goes(&local, "::ffff:127.0.0.1"));
        assert!(!goes(&local, "127.0.0.2") && !goes(&local, "10.0.0.1"));
    }

    #[test]
    fn a_deny_list_wins_over_an_allow_list() {
        let both = egress(&["10.0.0.0/8"], &["10.9.0.0/16"]);
        assert!(goes(&both, "10.8.0.1"));
        assert!(!goes(&both, "10.9.0.1") && !goes(&both, "192.0.2.1"));
        let why = both.check("10.9.0.1".parse().unwrap()).unwrap_err();
        assert_eq!(why, "10.9.0.1 is in alert.egress.deny");
    }

    #[tokio::test]
    async fn names_are_checked_by_their_addresses() {
        let why = egress(&[], &[])
            .addresses("localhost", 9)
            .await
            .unwrap_err();
        assert!(why.contains("localhost") && why.contains("alert.egress.allow"));
        let found = egress(&["127.0.0.1/32"], &[])
            .addresses("localhost", 9)
            .await
            .unwrap();
        assert_eq!(found, ["127.0.0.1:9".parse().unwrap()]);
    }
}
