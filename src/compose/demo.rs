//! The demo's world: a shop's API over three days, then live traffic with attacks in it. Packets
//! are composed as they are asked for, in order of time, and enter through the capture seam.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Conversation, Packet, tls};
use crate::analysis;
use crate::capture::{Frame, LinkType, Polled, Source, SourceError};
use crate::catalog::spec::{self, SpecSet};
use crate::time::Timestamp;

/// What the shop has documented.
pub const SPEC: &str = include_str!("../../captures/demo.openapi.yaml");

const HISTORY: Duration = Duration::from_secs(3 * 86_400);
const USERS: u64 = 400;
/// Sessions a day at noon's pace; a session is some requests of one user.
const SESSIONS_PER_HOUR: f64 = 420.0;

/// How time passes after the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// With the wall clock.
    Wall,
    /// As fast as it is read, up to there.
    AsFast { until: Timestamp },
}

/// The settings under which the demo runs: what was learnt in two of its three days is normal.
pub fn settings() -> analysis::Settings {
    let mut settings = analysis::Settings::default();
    settings.catalog.learning = Duration::from_secs(2 * 86_400);
    settings.detect.learning = Duration::from_secs(2 * 86_400);
    settings
}

pub fn specs() -> anyhow::Result<SpecSet> {
    Ok(SpecSet::new(vec![spec::parse("demo.openapi.yaml", SPEC)?]))
}

pub struct DemoSource {
    random: Random,
    pace: Pace,
    /// Where history ends and live begins.
    live: Timestamp,
    /// Next session begins here.
    next: Timestamp,
    /// Attacks that are still to begin, earliest first.
    attacks: Vec<(Timestamp, Attack)>,
    /// Composed and not handed out, earliest first.
    queue: BinaryHeap<Reverse<Queued>>,
    composed: u64,
    port: u16,
}

/// One session in so many brings one under TLS.
const PARTNER: u16 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    IdWalk,
    PathScan,
    Spike,
    Shadow,
    Deprecated,
}

#[derive(PartialEq, Eq)]
struct Queued(Timestamp, u64, Vec<u8>);

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl DemoSource {
    /// The history ends at `now`.
    pub fn new(seed: u64, now: Timestamp, pace: Pace) -> Self {
        let after = |s| now + Duration::from_secs(s);
        let attacks = vec![
            (after(10), Attack::Shadow),
            (after(15), Attack::Deprecated),
            (after(25), Attack::IdWalk),
            (after(55), Attack::PathScan),
            (after(85), Attack::Spike),
        ];
        Self {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            pace,
            live: now,
            next: now - HISTORY,
            attacks,
            queue: BinaryHeap::new(),
            composed: 0,
            port: 1_024,
        }
    }

    fn wall(&self) -> Timestamp {
        match self.pace {
            Pace::AsFast { until } => until,
            Pace::Wall => {
                let since = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
            }
        }
    }

    /// Composes whatever begins before `limit`, so that the queue's front is in order.
    fn compose(&mut self, limit: Timestamp) {
        while self.next <= limit {
            let at = self.next;
            self.session(at);
            let hour = at.secs().rem_euclid(86_400) as f64 / 3_600.0;
            let season =
                0.35 + 0.65 * (0.5 - 0.5 * ((hour - 3.0) / 24.0 * std::f64::consts::TAU).cos());
            let pause = 3_600.0 / (SESSIONS_PER_HOUR * season);
            self.next = at + Duration::from_secs_f64(pause * (0.2 + 1.6 * self.random.unit()));
        }
        while let Some((at, attack)) = self.attacks.first().copied().filter(|(at, _)| *at <= limit)
        {
            self.attacks.remove(0);
            self.attack(attack, at);
            if matches!(attack, Attack::Shadow | Attack::Deprecated) {
                self.attacks.push((at + Duration::from_secs(30), attack));
            } else {
                // The next of its kind comes in a while, so that the pages stay alive.
                self.attacks.push((at + Duration::from_secs(1_200), attack));
            }
            self.attacks.sort_by_key(|(at, _)| *at);
        }
    }

    fn push(&mut self, packets: Vec<Packet>) {
        for p in packets {
            self.composed += 1;
            self.queue
                .push(Reverse(Queued(p.ts, self.composed, p.data)));
        }
    }

    fn connect(&mut self, client: Ipv4Addr, at: Timestamp) -> Conversation {
        self.connect_to(
            client,
            SocketAddrV4::new(Ipv4Addr::new(10, 1, 0, 10), 80),
            at,
        )
    }

    fn connect_to(
        &mut self,
        client: Ipv4Addr,
        server: SocketAddrV4,
        at: Timestamp,
    ) -> Conversation {
        self.port = if self.port == u16::MAX {
            1_024
        } else {
            self.port + 1
        };
        Conversation::open(SocketAddrV4::new(client, self.port), server, at)
    }

    /// One user does what users do; now and then it is a machine.
    fn session(&mut self, at: Timestamp) {
        if self.port.is_multiple_of(PARTNER) {
            self.partner(at);
        }
        match self.random.below(40) {
            0 => return self.crawler(at),
            1 | 2 => return self.probe(at),
            _ => {}
        }
        let user = self.random.below(USERS);
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 100, 0)) + user as u32 % 250);
        let mut talk = self.connect(address, at);
        if self.random.below(4) == 0 {
            let wrong = self.random.below(12) == 0;
            let body = format!(
                r#"{{"email":"user{user}@mail.example","password":"{}"}}"#,
                self.random.next()
            );
            let ask = post("api.shop.example", "/v1/login", None, &body);
            talk.exchange(
                &ask,
                self.think(),
                &if wrong {
                    answer(401, "{}", "")
                } else {
                    answer(200, r#"{"ok":true}"#, "")
                },
            );
        }
        for _ in 0..1 + self.random.below(5) {
            let (ask, reply) = self.request(user);
            talk.wait(Duration::from_millis(200 + self.random.below(6_000)));
            talk.exchange(&ask, self.think(), &reply);
        }
        self.push(talk.close());
    }

    fn request(&mut self, user: u64) -> (String, String) {
        let token = token(user);
        let own = 10_000 + user * 40 + self.random.below(5);
        let get = |path: String| get("api.shop.example", &path, Some(&token));
        let order = |r: &mut Random| order(own, r.below(50_000), r.below(9));
        let trouble = self.random.below(60);
        let (ask, mut reply) = match self.random.below(100) {
            0..20 => (
                get(format!("/v1/orders?page={}", 1 + self.random.below(4))),
                answer(200, &list(&order(&mut self.random), 6), ""),
            ),
            20..45 => (
                get(format!("/v1/orders/{own}")),
                answer(200, &order(&mut self.random), ""),
            ),
            45..52 => (
                get(format!("/v2/orders/{own}")),
                answer(200, &order(&mut self.random), ""),
            ),
            52..60 => (
                get(format!("/v1/customers/{}", 500 + user)),
                answer(200, r#"{"name":"A. Customer"}"#, ""),
            ),
            60..75 => (
                get("/v1/products?sort=price".into()),
                answer(200, &list(&product(self.random.below(300)), 9), ""),
            ),
            75..88 => (
                get(format!("/v1/products/SKU-{:05}", self.random.below(300))),
                answer(200, &product(self.random.below(300)), ""),
            ),
            88..95 => {
                let cart = format!(
                    "{:016x}",
                    0x51_7c_c1_b7_27_22_0a_95_u64.wrapping_mul(user + 1)
                );
                let ask = post(
                    "api.shop.example",
                    &format!("/v1/carts/{cart}/items"),
                    Some(&token),
                    r#"{"sku":"SKU-00001","n":1}"#,
                );
                (ask, answer(201, r#"{"ok":true}"#, ""))
            }
            _ => (
                post(
                    "api.shop.example",
                    "/v1/orders",
                    Some(&token),
                    &order(&mut self.random),
                ),
                answer(201, r#"{"ok":true}"#, ""),
            ),
        };
        if trouble < 2 {
            reply = answer([404, 500][trouble as usize], r#"{"error":"no"}"#, "");
        }
        (ask, reply)
    }

    /// What nobody gave the keys for: partners outside, and a back office that was forgotten.
    fn partner(&mut self, at: Timestamp) {
        let partners = [
            ("pay.partner.example", 0x0304, 0x1301, 10),
            ("ship.partner.example", 0x0303, 0xc02f, 11),
            ("office.shop.example", 0x0301, 0x000a, 12),
            ("pay.partner.example", 0x0304, 0x1301, 10),
        ];
        let (name, version, cipher, host) = partners[usize::from(self.port / PARTNER) % 4];
        let server = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, host), 443);
        let mut talk = self.connect_to(Ipv4Addr::new(10, 1, 0, 10), server, at);
        let session = tls::Session {
            server_name: name,
            alpn: "http/1.1",
            version,
            cipher,
            // Nearly over when the demo is live.
            certificate: Some(tls::certificate(
                self.live + Duration::from_secs(12 * 86_400),
            )),
        };
        session.speak(&mut talk, 900, 2_600);
        self.push(talk.close());
    }

    fn crawler(&mut self, at: Timestamp) {
        let mut talk = self.connect(Ipv4Addr::new(203, 0, 113, 9), at);
        for page in ["/", "/robots.txt", "/static/app.js", "/static/site.css"] {
            let kind = if page == "/" {
                "text/html"
            } else {
                "text/plain"
            };
            let reply =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 2\r\n\r\nok");
            talk.exchange(&get("www.shop.example", page, None), self.think(), &reply);
        }
        self.push(talk.close());
    }

    fn probe(&mut self, at: Timestamp) {
        let mut talk = self.connect(Ipv4Addr::new(10, 0, 0, 5), at);
        talk.exchange(
            &get("api.shop.example", "/health", None),
            Duration::from_millis(1),
            &answer(200, "{}", ""),
        );
        self.push(talk.close());
    }

    fn attack(&mut self, attack: Attack, at: Timestamp) {
        match attack {
            Attack::Shadow => {
                let mut talk = self.connect(Ipv4Addr::new(198, 51, 100, 7), at);
                let ask = get("api.shop.example", "/v1/internal/export", Some(&token(7)));
                talk.exchange(&ask, self.think(), &answer(200, r#"{"rows":[]}"#, ""));
                talk.wait(Duration::from_secs(5)).exchange(
                    &ask,
                    self.think(),
                    &answer(200, r#"{"rows":[]}"#, ""),
                );
                self.push(talk.close());
            }
            Attack::Deprecated => {
                let mut talk = self.connect(Ipv4Addr::new(198, 51, 100, 12), at);
                let ask = get("api.shop.example", "/v1/legacy/prices", Some(&token(12)));
                let marks = "Deprecation: @1688169599\r\nSunset: Mon, 30 Jun 2025 23:59:59 GMT\r\n";
                talk.exchange(&ask, self.think(), &answer(200, r#"{"prices":[]}"#, marks));
                talk.wait(Duration::from_secs(3)).exchange(
                    &ask,
                    self.think(),
                    &answer(200, r#"{"prices":[]}"#, marks),
                );
                self.push(talk.close());
            }
            Attack::IdWalk => {
                let mut talk = self.connect(Ipv4Addr::new(203, 0, 113, 66), at);
                for i in 0..220 {
                    let ask = get(
                        "api.shop.example",
                        &format!("/v1/orders/{}", 11_000 + i),
                        Some(&token(66)),
                    );
                    let reply = if i % 7 == 3 {
                        answer(404, "{}", "")
                    } else {
                        answer(200, r#"{"id":1,"total":2}"#, "")
                    };
                    talk.wait(Duration::from_millis(90))
                        .exchange(&ask, self.think(), &reply);
                }
                self.push(talk.close());
            }
            Attack::PathScan => {
                let mut talk = self.connect(Ipv4Addr::new(203, 0, 113, 99), at);
                for i in 0..180 {
                    let word = [
                        "admin", "backup", ".git", "config", "console", "old", "debug", "actuator",
                    ][i % 8];
                    let path = format!(
                        "/{word}/{}",
                        ["", "env", "index.php", "db.sql", "setup"][i % 5].to_owned()
                            + &i.to_string()
                    );
                    talk.wait(Duration::from_millis(60)).exchange(
                        &get("api.shop.example", &path, None),
                        Duration::from_millis(2),
                        &answer(404, "{}", ""),
                    );
                }
                self.push(talk.close());
            }
            Attack::Spike => {
                for i in 0..30_u64 {
                    let mut talk = self.connect(
                        Ipv4Addr::from(u32::from(Ipv4Addr::new(203, 0, 113, 100)) + i as u32),
                        at,
                    );
                    for _ in 0..40 {
                        let ask = get("api.shop.example", "/v1/products?sort=price", None);
                        talk.wait(Duration::from_millis(300)).exchange(
                            &ask,
                            self.think(),
                            &answer(200, r#"{"products":[]}"#, ""),
                        );
                    }
                    self.push(talk.close());
                }
            }
        }
    }

    fn think(&mut self) -> Duration {
        let slow = if self.random.below(30) == 0 { 20 } else { 1 };
        Duration::from_micros((2_000 + self.random.below(18_000)) * slow)
    }
}

impl Source for DemoSource {
    fn name(&self) -> &str {
        "demo"
    }

    fn poll(
        &mut self,
        patience: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        let wall = self.wall();
        // Some minutes at once: what is composed later never begins before what was handed out.
        let limit = wall.min(
            self.next
                .max(self.attacks.first().map_or(self.next, |(at, _)| *at))
                + Duration::from_secs(300),
        );
        self.compose(limit);
        let mut sent = 0;
        while let Some(Reverse(Queued(ts, ..))) = self.queue.peek() {
            if *ts > limit || sent >= 4_096 {
                break;
            }
            let Some(Reverse(Queued(ts, _, data))) = self.queue.pop() else {
                break;
            };
            sink(Frame {
                ts,
                link: LinkType::ETHERNET,
                data: &data,
                wire_len: data.len() as u32,
                interface: 0,
            });
            sent += 1;
        }
        match (sent, self.pace) {
            (0, Pace::AsFast { until }) if limit >= until => Ok(Polled::End),
            (0, Pace::Wall) if limit >= wall => {
                std::thread::sleep(patience);
                Ok(Polled::Idle)
            }
            _ => Ok(Polled::Frames),
        }
    }

    fn live(&self) -> bool {
        // History is read like a file: nothing of it is shed.
        self.pace == Pace::Wall && self.next >= self.live
    }
}

fn token(user: u64) -> String {
    let claims = format!(r#"{{"iss":"shop","sub":"user-{user}"}}"#);
    format!(
        "eyJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl",
        URL_SAFE_NO_PAD.encode(claims)
    )
}

fn get(host: &str, path: &str, token: Option<&str>) -> String {
    let auth = token
        .map(|t| format!("Authorization: Bearer {t}\r\n"))
        .unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: shop-app/3.1\r\n{auth}\r\n")
}

fn post(host: &str, path: &str, token: Option<&str>, body: &str) -> String {
    let auth = token
        .map(|t| format!("Authorization: Bearer {t}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{auth}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn order(id: u64, total: u64, count: u64) -> String {
    let status = ["open", "paid", "sent"][total as usize % 3];
    let coupon = if count == 0 { r#""SPRING""# } else { "null" };
    format!(
        r#"{{"id":{id},"status":"{status}","total":{total},"coupon":{coupon},"items":[{{"sku":"SKU-00001","count":{count}}}]}}"#
    )
}

fn product(number: u64) -> String {
    format!(
        r#"{{"sku":"SKU-{number:05}","name":"Thing {number}","price":{}.95,"listed":"2026-01-{:02}"}}"#,
        number % 90,
        1 + number % 28
    )
}

fn list(item: &str, n: usize) -> String {
    format!("[{}]", vec![item; n].join(","))
}

fn answer(status: u16, body: &str, headers: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// xorshift64*: enough for a story, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 33) % n
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(seed: u64, minutes: u64) -> Vec<(Timestamp, usize)> {
        let now = Timestamp::from_secs(1_760_000_000);
        let until = now + Duration::from_secs(60 * minutes);
        let mut source = DemoSource::new(seed, now, Pace::AsFast { until });
        // The last hour of the history suffices.
        source.next = now - Duration::from_secs(3_600);
        let mut out = Vec::new();
        while source
            .poll(Duration::ZERO, &mut |f| out.push((f.ts, f.data.len())))
            .unwrap()
            != Polled::End
        {}
        out
    }

    #[test]
    fn time_goes_forward_and_the_seed_decides() {
        let one = frames(1, 3);
        assert!(one.len() > 5_000, "{}", one.len());
        assert!(one.windows(2).all(|w| w[0].0 <= w[1].0));
        assert_eq!(one, frames(1, 3));
        assert_ne!(one, frames(2, 3));
    }

    #[test]
    fn its_spec_reads() {
        assert_eq!(specs().unwrap().specs()[0].operations, 11);
    }
}
