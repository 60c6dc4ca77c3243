//! What a first-time user is missing while the inventory is empty, what to do about it, and with
//! which commands; and what stands at the top of the overview when the sensor does not see all.

use super::SensorView;
use super::frame::STALE;
use super::principals::percent;
use crate::catalog::CatalogView;
use crate::sensor::doctor::{self, Symptom};
use crate::time::Timestamp;

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) command: Option<String>,
}

/// Why there is nothing to show yet.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) steps: Vec<Step>,
    /// The page that says more.
    pub(super) more: (&'static str, &'static str),
}

fn step(text: &str, command: impl Into<Option<String>>) -> Step {
    Step {
        text: text.into(),
        command: command.into(),
    }
}

/// A port to put into commands: what is named otherwise than ports are is not.
fn port(s: &SensorView) -> &str {
    let plain = |name: &&str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        !name.is_empty() && !name.starts_with('-') && name.chars().all(fits)
    };
    let mut live = s.sources.iter().filter(|x| x.live).map(|x| x.name.as_str());
    live.find(plain).unwrap_or("eth1")
}

/// `None` once an endpoint is confirmed.
pub(super) fn missing(s: &SensorView, catalog: &CatalogView, confirmed: usize) -> Option<Missing> {
    if confirmed > 0 {
        return None;
    }
    let received = |name: &str| s.ledger.stages.get(name).map_or(0, |x| x.received);
    let one_way = s.symptoms.iter().any(|x| x.code == "one_way");
    let nothing = s.sources.is_empty() && received("frame") == 0;
    Some(if nothing && s.ledger.stages.is_empty() {
        no_source()
    } else if nothing {
        empty_file()
    } else if received("frame") == 0 {
        no_packet(port(s))
    } else if received("segment") == 0 {
        no_tcp(port(s))
    } else if one_way {
        one_sided()
    } else if received("message") == 0 && catalog.tls.coverage.hosts > 0 {
        only_tls(port(s))
    } else if received("message") == 0 {
        no_http(port(s))
    } else {
        no_answer()
    })
}

fn no_source() -> Missing {
    Missing {
        title: "No source is configured",
        text: "apitap has nothing to listen on yet. Give it the port that the mirror arrives at.",
        steps: vec![
            step("See which ports there are:", "apitap interfaces".to_owned()),
            step(
                "Listen on one, with no change to the config:",
                "apitap run -i eth1".to_owned(),
            ),
            step(
                "Or name it in the config, under [capture], and start the service again:",
                "interfaces = [\"eth1\"]".to_owned(),
            ),
        ],
        more: ("/sensor", "The sensor"),
    }
}

fn empty_file() -> Missing {
    Missing {
        title: "No packet was read",
        text: "The file holds none, or none of it could be read.",
        steps: vec![
            step(
                "What is in it, by another program?",
                "capinfos capture.pcapng".to_owned(),
            ),
            step(
                "Take a new one where requests and answers pass in clear:",
                "tcpdump -i eth1 -s 0 -w capture.pcap tcp".to_owned(),
            ),
            step(
                "And read it:",
                "apitap read capture.pcap --serve".to_owned(),
            ),
        ],
        more: ("/sensor", "The sensor"),
    }
}

fn no_packet(port: &str) -> Missing {
    Missing {
        title: "No packet has arrived",
        text: "The port is open, and silent. Either nothing is mirrored to it, or a filter keeps all of it out.",
        steps: vec![
            step(
                "Is the link up, and does its count of received packets grow?",
                format!("ip -s link show dev {port}"),
            ),
            step(
                "Does anything arrive without apitap?",
                format!("tcpdump -nn -c 5 -i {port}"),
            ),
            step(
                "Ask apitap what it can and cannot do here:",
                "apitap check".to_owned(),
            ),
            step(
                "Then look at the switch: its mirror session must be on, and lead to this port. And that capture.filter does not exclude everything.",
                None,
            ),
        ],
        more: ("/sensor", "The sensor"),
    }
}

fn no_tcp(port: &str) -> Missing {
    Missing {
        title: "Packets arrive, but none of them is TCP over IP that can be read",
        text: "The tap doctor on the sensor page says what they are, and what to change.",
        steps: vec![
            step(
                "See a few of them:",
                format!("tcpdump -nn -e -c 10 -i {port}"),
            ),
            step(
                "A tunnel that apitap does not open, or a filter, may hide the rest: see what was ignored, and why.",
                None,
            ),
        ],
        more: ("/sensor", "What the tap doctor says"),
    }
}

fn one_sided() -> Missing {
    Missing {
        title: "The mirror shows one direction only",
        text: "Requests or answers are missing: without both, an endpoint cannot be told from a guess.",
        steps: vec![
            step(
                "On the switch, mirror received and sent packets of the port, such as:",
                "monitor session 1 source interface Gi1/0/1 both".to_owned(),
            ),
            step(
                "A tap with an output for each direction needs both ports:",
                "apitap run -i eth1 -i eth2".to_owned(),
            ),
        ],
        more: ("/sensor", "What the tap doctor says"),
    }
}

fn only_tls(port: &str) -> Missing {
    Missing {
        title: "Only TLS arrives",
        text: "What is encrypted here can be counted by host, and not be read. HTTP in clear is needed.",
        steps: vec![
            step(
                "Mirror behind the point where TLS ends, such as between the load balancer and the services. Is there HTTP on the port you chose?",
                format!("tcpdump -nn -A -c 20 -i {port} 'tcp port 80 or tcp port 8080'"),
            ),
            step(
                "Where the services can write their session keys (SSLKEYLOGFILE), a savefile opens with them:",
                "apitap read capture.pcapng --keylog keys.log --serve".to_owned(),
            ),
        ],
        more: ("/coverage", "Which hosts speak TLS"),
    }
}

fn no_http(port: &str) -> Missing {
    Missing {
        title: "TCP arrives, but no HTTP",
        text: "No connection so far begins like HTTP/1 or HTTP/2 in clear.",
        steps: vec![
            step(
                "See which ports the traffic is for:",
                format!("tcpdump -nn -c 50 -i {port} tcp"),
            ),
            step(
                "Connections that were open before apitap began are read from their next request on; else mirror another place.",
                None,
            ),
        ],
        more: ("/sensor", "The sensor"),
    }
}

fn no_answer() -> Missing {
    Missing {
        title: "HTTP arrives; no endpoint is confirmed yet",
        text: "An endpoint is confirmed by two answers of 2xx or 3xx that are spread in time. Until then it is a candidate.",
        steps: vec![step(
            "Wait for more traffic, or read a longer capture.",
            None,
        )],
        more: ("/endpoints?life=candidate", "The candidates"),
    }
}

/// What is said before all else.
#[derive(Debug)]
pub(super) struct Banner {
    /// `bad`, `warn`, or nothing.
    pub(super) tone: &'static str,
    pub(super) title: String,
    pub(super) text: String,
    /// Since when, or until when.
    pub(super) at: Option<Timestamp>,
    pub(super) href: &'static str,
    pub(super) link: &'static str,
}

const SENSOR: (&str, &str) = ("/sensor", "See the sensor");

fn banner(tone: &'static str, title: String, text: String, at: Option<Timestamp>) -> Banner {
    Banner {
        tone,
        title,
        text,
        at,
        href: SENSOR.0,
        link: SENSOR.1,
    }
}

/// A sensor that has ended, is silent or loses packets; and learning. `now` is the wall's time.
pub(super) fn banners(s: &SensorView, catalog: &CatalogView, now: Timestamp) -> Vec<Banner> {
    let mut all = Vec::new();
    let live = || s.sources.iter().filter(|x| x.live);
    for source in live() {
        if let Some(why) = &source.ended {
            let title = format!("Capture on {} has ended", source.name);
            let text = format!("{why}. What is below is of then");
            all.push(banner("bad", title, text, None));
        }
    }
    let silent = now.since(s.last_frame_wall).as_secs();
    let was = s.last_frame_wall > Timestamp::MIN;
    if all.is_empty() && live().next().is_some() && was && silent > STALE {
        let text = "No packet has arrived since. What is below is of then";
        let at = Some(s.last_frame_wall);
        all.push(banner(
            "bad",
            "The sensor is silent".into(),
            text.into(),
            at,
        ));
    }
    let losses: Vec<&Symptom> = s.symptoms.iter().filter(|x| x.is_loss()).collect();
    if let Some(worst) = losses.first() {
        let more = match losses.len() {
            1 => String::new(),
            n => format!(" ({} more)", n - 1),
        };
        let text = format!(
            "{}: {} {}{more}. Meanwhile nothing is claimed that rests on a complete view",
            worst.tap,
            worst.text.trim_end_matches('.'),
            mend(worst),
        );
        all.push(banner("warn", "Packets are missing".into(), text, None));
    } else if loss(s).0 > 0 {
        let (lost, share) = loss(s);
        let text = format!(
            "{} ({share}) since the start, in the kernel or the interface",
            doctor::count(lost, "packet")
        );
        all.push(banner("warn", "Packets were dropped".into(), text, None));
    }
    let learning = catalog.learning_until.filter(|until| *until > catalog.at);
    if let Some(until) = learning.filter(|_| !catalog.endpoints.is_empty()) {
        let text = "What is seen until then is taken as normal: nothing is called new, and detectors stay silent";
        all.push(Banner {
            href: "/endpoints",
            link: "See what is there by now",
            ..banner("", "Learning".into(), text.into(), Some(until))
        });
    }
    all
}

fn mend(symptom: &Symptom) -> String {
    match symptom.mend.trim_end_matches('.') {
        "" => String::new(),
        mend => format!("({mend})"),
    }
}

/// Packets dropped before they were seen, and their share.
pub(super) fn loss(s: &SensorView) -> (u64, String) {
    let lost = s.ledger.dropped.kernel + s.ledger.dropped.interface;
    let seen = s.ledger.stages.get("frame").map_or(0, |x| x.received);
    (lost, percent(lost, lost + seen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::doctor::Grade;
    use crate::web::SourceView;

    fn sensor(frames: u64, segments: u64, messages: u64) -> SensorView {
        let mut s = SensorView::default();
        for (name, n) in [
            ("frame", frames),
            ("segment", segments),
            ("message", messages),
        ] {
            s.ledger.stage(name).received = n;
        }
        s.sources = vec![SourceView {
            name: "ens5".into(),
            live: true,
            ..SourceView::default()
        }];
        s
    }

    fn symptom(code: &'static str) -> Symptom {
        Symptom {
            tap: "ens5".into(),
            code,
            severity: Grade::Severe,
            share: None,
            text: "it is so.".into(),
            mend: "change it".into(),
        }
    }

    #[test]
    fn each_way_to_see_nothing_has_its_own_words() {
        let mut tls = CatalogView::default();
        tls.tls.coverage.hosts = 2;
        let none = CatalogView::default();
        let title = |s: &SensorView, c: &CatalogView| missing(s, c, 0).unwrap().title;
        let mut one_way = sensor(100, 100, 50);
        one_way.symptoms = vec![symptom("one_way")];
        let mut file = sensor(0, 0, 0);
        file.sources.clear();
        let titles = [
            title(&SensorView::default(), &none),
            title(&file, &none),
            title(&sensor(0, 0, 0), &none),
            title(&sensor(9, 0, 0), &none),
            title(&one_way, &none),
            title(&sensor(9, 9, 0), &tls),
            title(&sensor(9, 9, 0), &none),
            title(&sensor(9, 9, 9), &none),
        ];
        let different: std::collections::BTreeSet<&str> = titles.into_iter().collect();
        assert_eq!(different.len(), titles.len(), "{titles:?}");
        assert!(missing(&sensor(0, 0, 0), &none, 1).is_none());
    }

    #[test]
    fn commands_name_the_port_unless_it_could_be_more_than_a_name() {
        let command = |s: &SensorView| {
            let steps = missing(s, &CatalogView::default(), 0).unwrap().steps;
            steps[0].command.clone().unwrap()
        };
        let mut s = sensor(0, 0, 0);
        assert_eq!(command(&s), "ip -s link show dev ens5");
        for name in ["a;reboot", "$(id)", "-i", "a b", ""] {
            s.sources[0].name = name.into();
            assert_eq!(command(&s), "ip -s link show dev eth1");
        }
    }

    #[test]
    fn a_silent_a_lossy_and_an_ended_sensor_say_so_first() {
        let none = CatalogView::default();
        let now = Timestamp::from_secs(1_760_000_000);
        let titles = |s: &SensorView| -> Vec<String> {
            banners(s, &none, now)
                .into_iter()
                .map(|b| b.title)
                .collect()
        };
        let mut s = sensor(1_000, 9, 9);
        s.last_frame_wall = now;
        assert_eq!(titles(&s), [""; 0]);
        s.last_frame_wall = Timestamp::from_secs(now.secs() - 61);
        assert_eq!(titles(&s), ["The sensor is silent"]);
        s.ledger.dropped.kernel = 10;
        assert_eq!(titles(&s)[1], "Packets were dropped");
        s.symptoms = vec![symptom("kernel_drops")];
        s.sources[0].ended = Some("the link is gone".into());
        let all = banners(&s, &none, now);
        assert_eq!(all[0].title, "Capture on ens5 has ended");
        assert_eq!(
            (all[1].title.as_str(), all.len()),
            ("Packets are missing", 2)
        );
        assert!(
            all[1].text.starts_with("ens5: it is so (change it)."),
            "{}",
            all[1].text
        );
        assert_eq!(loss(&s), (10, "1.0 %".into()));
    }
}
