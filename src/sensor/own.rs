//! apitap's own traffic: where it watches `lo` or the management interface, it would take its own
//! pages for an API and its own alerts for calls of one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::decode::Segment;
use crate::exchange::Exchange;

/// What tells apitap's own traffic. Empty for files: what they hold was captured elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Where the web UI listens.
    pub listens: Arc<[SocketAddr]>,
    /// Addresses of this machine.
    pub addresses: Arc<[IpAddr]>,
    /// How deliveries name themselves.
    pub agent: Option<Arc<str>>,
}

impl Own {
    /// To or from the web UI.
    pub(super) fn is_segment(&self, s: &Segment<'_>) -> bool {
        self.listens.iter().any(|at| {
            (at.port() == s.dst_port && at.ip() == s.dst)
                || (at.port() == s.src_port && at.ip() == s.src)
        })
    }

    /// A delivery of an alert. The agent's name alone would let anybody hide behind it, so it must
    /// come from this machine.
    pub(super) fn is_exchange(&self, x: &Exchange) -> bool {
        self.agent.is_some()
            && x.user_agent.as_deref() == self.agent.as_deref()
            && self.addresses.contains(&x.peer().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn the_agents_name_hides_nobody_else() {
        let own = Own {
            listens: Arc::new([]),
            addresses: Arc::new(["10.0.0.9".parse().unwrap()]),
            agent: Some("apitap/1".into()),
        };
        let mut x = Exchange::at(Timestamp(0));
        x.user_agent = Some("apitap/1".into());
        x.client = "10.0.0.9".parse().unwrap();
        assert!(own.is_exchange(&x));
        assert!(!Own::default().is_exchange(&x));
        x.client = "10.0.0.8".parse().unwrap();
        assert!(!own.is_exchange(&x), "somebody else by that name");
        (x.client, x.user_agent) = ("10.0.0.9".parse().unwrap(), None);
        assert!(!own.is_exchange(&x), "somebody else on this machine");
    }
}
