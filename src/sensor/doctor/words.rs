//! Numbers and protocols in words.

use crate::decode::Ignored;
use crate::sensor::tap::Volume;

/// `1 frame`, `12,345 frames`.
pub fn count(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `12,345`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Two digits that mean something: `97 %`, `4.2 %`, `0.012 %`.
pub(super) fn percent(share: f64) -> String {
    let p = share * 100.0;
    match p {
        p if p >= 10.0 => format!("{p:.0} %"),
        p if p >= 1.0 => format!("{p:.1} %"),
        p if p >= 0.01 => format!("{p:.2} %"),
        _ => "less than 0.01 %".into(),
    }
}

/// In the unit that people would use: `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if size < 1_024.0 {
            return match unit {
                "bytes" => format!("{n} bytes"),
                _ => format!("{size:.1} {unit}"),
            };
        }
        size /= 1_024.0;
    }
    format!("{size:.1} TiB")
}

/// Nanoseconds, in the unit that people would use.
pub(super) fn span(nanos: u64) -> String {
    let seconds = nanos as f64 / 1e9;
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7_200.0 => format!("{:.0} minutes", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} hours", s / 3_600.0),
        s => count((s / 86_400.0) as u64, "day"),
    }
}

/// What is said of bytes that are not read.
pub(super) struct Words {
    reason: Ignored,
    what: &'static str,
    mend: &'static str,
}

/// `None` for what belongs in every network, and is not worth a word.
pub(super) fn of(reason: Ignored) -> Option<Words> {
    let (what, mend) = match reason {
        Ignored::Esp => (
            "IPsec (ESP), which is encrypted",
            "mirror behind the gateway that ends the IPsec tunnel",
        ),
        Ignored::EtherType => (
            "Ethernet payload that apitap does not read",
            "mirror where the packets are plain IP, VLAN, MPLS or PPPoE",
        ),
        Ignored::LinkType => (
            "frames of a link type that apitap does not read",
            "capture on an Ethernet interface, or with a cooked (SLL) link type",
        ),
        Ignored::Mpls => (
            "MPLS operation and maintenance",
            "leave the associated channel out of the mirror",
        ),
        Ignored::OtherIp => (
            "IP protocols that apitap does not read",
            "if one of them is a tunnel, mirror where it has ended",
        ),
        Ignored::Ppp => (
            "PPP that carries no IP (control, compressed or encrypted)",
            "mirror behind the access concentrator, or turn compression and encryption off",
        ),
        Ignored::Quic => (
            "QUIC (HTTP/3), which is encrypted and not read",
            "mirror behind the load balancer; or block UDP 443 to the servers, and clients fall back to TCP",
        ),
        Ignored::Sctp => (
            "SCTP, which carries no HTTP in practice",
            "leave it out with capture.filter, if the box is short of breath",
        ),
        Ignored::Tunnel => (
            "tunnels in a form that apitap does not read",
            "mirror where the tunnel has ended, and report its header, please",
        ),
        Ignored::Udp => (
            "UDP that is no tunnel known here",
            "if it is a tunnel, name its port: capture.vxlan_ports, capture.geneve_ports; else leave it out of the mirror",
        ),
        Ignored::VxlanPort => (
            "VXLAN on a UDP port that is not named in the settings",
            "add the port to capture.vxlan_ports",
        ),
        Ignored::Wlan => (
            "802.11 that is encrypted or no data",
            "mirror on the wired side of the access point or its controller",
        ),
        _ => return None,
    };
    Some(Words { reason, what, mend })
}

impl Words {
    /// `numbers`: what was met, the most bytes first.
    pub(super) fn what(&self, numbers: &[(u16, Volume)]) -> String {
        if numbers.is_empty() {
            return self.what.to_owned();
        }
        let name = |(n, _): &(u16, Volume)| match self.reason {
            Ignored::EtherType => ether_type(*n),
            Ignored::OtherIp => ip_protocol(*n),
            _ => n.to_string(),
        };
        let list: Vec<String> = numbers.iter().take(4).map(name).collect();
        format!("{}: {}", self.what, list.join(", "))
    }

    pub(super) fn mend(&self, numbers: &[(u16, Volume)]) -> String {
        match (self.reason, numbers) {
            (Ignored::VxlanPort, [_, ..]) => {
                let ports: Vec<String> =
                    numbers.iter().take(4).map(|(n, _)| n.to_string()).collect();
                format!("add to capture.vxlan_ports: {}", ports.join(", "))
            }
            (Ignored::EtherType, [(0x88e5, _), ..]) => {
                "MACsec is encrypted: mirror behind the switch that ends it".into()
            }
            _ => self.mend.into(),
        }
    }
}

fn ether_type(n: u16) -> String {
    let name = match n {
        0x0842 => "Wake-on-LAN",
        0x22f0 => "AVTP",
        0x8035 => "RARP",
        0x8137 => "IPX",
        0x8808 => "pause frames",
        0x8809 => "LACP",
        0x888e => "802.1X",
        0x8892 => "PROFINET",
        0x88a2 => "ATA over Ethernet",
        0x88cc => "LLDP",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        0x8902 => "CFM",
        0x8906 => "FCoE",
        0x8915 => "RoCE",
        0x894f => "NSH",
        _ => return format!("0x{n:04x}"),
    };
    format!("{name} (0x{n:04x})")
}

fn ip_protocol(n: u16) -> String {
    let name = match n {
        2 => "IGMP",
        46 => "RSVP",
        51 => "AH",
        88 => "EIGRP",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        115 => "L2TPv3",
        124 => "IS-IS",
        136 => "UDP-Lite",
        _ => return n.to_string(),
    };
    format!("{name} ({n})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1, "frame"), "1 frame");
        assert_eq!(count(1_234_567, "frame"), "1,234,567 frames");
        assert_eq!(count(123, "frame"), "123 frames");
        assert_eq!(percent(0.973), "97 %");
        assert_eq!(percent(0.042), "4.2 %");
        assert_eq!(percent(0.00012), "0.01 %");
        assert_eq!(percent(0.0), "less than 0.01 %");
        assert_eq!(bytes(900), "900 bytes");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
    }
}
