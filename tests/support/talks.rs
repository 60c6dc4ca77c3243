//! Composed conversations in which every message is one of a kind: each request has a path and each
//! response a media type of its own, so that a wrong pairing cannot hide.
// Each test uses a part of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use apitap::compose::{Conversation, Packet};
use apitap::exchange::Exchange;
use apitap::time::Timestamp;

use super::change::Segment;
use super::replay::{Outcome, Rng};

/// What must come of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub method: &'static str,
    pub path: String,
    pub status: u16,
    pub content_type: String,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

pub struct Talk {
    pub packets: Vec<Packet>,
    pub expected: Vec<Expected>,
}

/// Several connections, interleaved as they happened.
pub fn world(seed: u64, connections: u16) -> (Vec<Packet>, Vec<Talk>) {
    several(seed, connections, true)
}

/// The same of clients that wait for each answer.
pub fn patient_world(seed: u64, connections: u16) -> (Vec<Packet>, Vec<Talk>) {
    several(seed, connections, false)
}

fn several(seed: u64, connections: u16, pipelining: bool) -> (Vec<Packet>, Vec<Talk>) {
    let mut rng = Rng::new(seed);
    let talks: Vec<_> = (0..connections)
        .map(|c| talk(&mut rng, c, pipelining))
        .collect();
    let mut packets: Vec<_> = talks.iter().flat_map(|t| t.packets.clone()).collect();
    packets.sort_by_key(|p| p.ts);
    (packets, talks)
}

const STATUSES: [u16; 12] = [200, 201, 202, 206, 400, 401, 403, 404, 409, 429, 500, 503];

struct Writer<'a> {
    rng: &'a mut Rng,
    talk: Conversation,
    connection: u16,
    pipelining: bool,
    expected: Vec<Expected>,
}

fn talk(rng: &mut Rng, connection: u16, pipelining: bool) -> Talk {
    let at = Timestamp(1_760_000_000_000_000_000 + rng.below(40_000_000) as i64);
    let client = format!("10.0.{}.1:{}", connection % 3, 2_000 + connection);
    let mut talk = Conversation::open(
        client.parse().unwrap(),
        "10.0.9.9:8080".parse().unwrap(),
        at,
    );
    talk.segments(100 + rng.below(1_348));
    let mut w = Writer {
        rng,
        talk,
        connection,
        pipelining,
        expected: Vec::new(),
    };
    for _ in 0..1 + w.rng.below(5) {
        w.turn();
        if w.rng.one_in(2) {
            w.talk.client_acks();
        }
        let pause = w.rng.below(3_000_000) as u64;
        w.talk.wait(Duration::from_nanos(pause));
    }
    w.finish()
}

impl Writer<'_> {
    /// Request head and the place of its answer.
    fn ask(&mut self, method: &'static str, headers: &str, bytes: usize) -> (String, usize) {
        let (c, n) = (self.connection, self.expected.len());
        let status = STATUSES[self.rng.below(STATUSES.len())];
        self.expected.push(Expected {
            method,
            path: format!("/c{c}/r{n}"),
            status,
            content_type: format!("x/c{c}r{n}"),
            request_bytes: bytes as u64,
            response_bytes: 0,
        });
        let token = n % 2;
        let head = format!(
            "{method} /c{c}/r{n}?q={n} HTTP/1.1\r\nHost: h{c}.example\r\nUser-Agent: a/{c}\r\n\
             Authorization: Bearer token-{c}-{token}\r\n{headers}\r\n"
        );
        (head, n)
    }

    fn status(&mut self, n: usize, status: u16) {
        self.expected[n].status = status;
    }

    fn head(&self, n: usize, headers: &str) -> String {
        let Expected {
            status,
            content_type,
            ..
        } = &self.expected[n];
        format!("HTTP/1.1 {status} X\r\nContent-Type: {content_type}; a=b\r\n{headers}\r\n")
    }

    fn body(&mut self, most: usize) -> String {
        let length = self.rng.below(most);
        let first = self.rng.below(26) as u8;
        (0..length)
            .map(|i| char::from(b'a' + (first + (i % 26) as u8) % 26))
            .collect()
    }

    fn chunked(&mut self, body: &str) -> String {
        let mut out = String::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at((1 + self.rng.below(700)).min(rest.len()));
            out.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
            rest = tail;
        }
        out.push_str("0\r\n");
        if self.rng.one_in(3) {
            out.push_str("X-Trailer: t\r\n");
        }
        out + "\r\n"
    }

    /// The whole answer, by length or in chunks.
    fn answer(&mut self, n: usize) -> String {
        let most = if self.rng.one_in(4) { 9_000 } else { 400 };
        let body = self.body(most);
        self.expected[n].response_bytes = body.len() as u64;
        if self.rng.one_in(3) {
            let body = self.chunked(&body);
            self.head(n, "Transfer-Encoding: chunked\r\n") + &body
        } else {
            self.head(n, &format!("Content-Length: {}\r\n", body.len())) + &body
        }
    }

    fn think(&mut self) {
        let time = self.rng.below(5_000_000) as u64;
        self.talk.wait(Duration::from_nanos(time));
    }

    /// A request that is sent, with a body or without.
    fn request(&mut self) -> usize {
        let (head, n) = match self.rng.below(4) {
            0 => {
                let body = self.body(2_500);
                let headers = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
                let (head, n) = self.ask("POST", headers, body.len());
                (head + &self.chunked(&body), n)
            }
            1 => {
                let body = format!("{{\"user\":\"u{}\",\"password\":\"p\"}}", self.connection);
                let headers = format!(
                    "Content-Type: application/json\r\nContent-Length: {}\r\n",
                    body.len()
                );
                let (head, n) = self.ask("PUT", &headers, body.len());
                (head + &body, n)
            }
            _ => self.ask("GET", "", 0),
        };
        self.talk.client(head.as_bytes());
        n
    }

    fn turn(&mut self) {
        match self.rng.below(9) {
            0 => self.without_body("HEAD", None),
            1 => self.without_body("GET", Some(304)),
            2 => self.without_body("DELETE", Some(204)),
            3 => self.expects_continue(),
            4 if self.pipelining => self.pipelined(),
            5 => {
                let n = self.request();
                self.think();
                self.talk
                    .server(b"HTTP/1.1 103 Early Hints\r\nLink: </x.css>\r\n\r\n");
                let answer = self.answer(n);
                self.talk.server(answer.as_bytes());
            }
            _ => {
                let n = self.request();
                self.think();
                let answer = self.answer(n);
                self.talk.server(answer.as_bytes());
            }
        }
    }

    /// A response that has a length and no body.
    fn without_body(&mut self, method: &'static str, status: Option<u16>) {
        let (head, n) = self.ask(method, "", 0);
        if let Some(status) = status {
            self.status(n, status);
        }
        self.talk.client(head.as_bytes());
        self.think();
        let length = if status == Some(204) {
            ""
        } else {
            "Content-Length: 4321\r\n"
        };
        let answer = self.head(n, length);
        self.talk.server(answer.as_bytes());
    }

    fn expects_continue(&mut self) {
        let body = self.body(3_000) + "!";
        let headers = format!("Expect: 100-continue\r\nContent-Length: {}\r\n", body.len());
        let (head, n) = self.ask("POST", &headers, body.len());
        self.talk.client(head.as_bytes());
        self.think();
        self.talk.server(b"HTTP/1.1 100 Continue\r\n\r\n");
        self.talk.client(body.as_bytes());
        self.think();
        let answer = self.answer(n);
        self.talk.server(answer.as_bytes());
    }

    fn pipelined(&mut self) {
        let asked: Vec<_> = (0..2 + self.rng.below(3)).map(|_| self.request()).collect();
        self.think();
        for n in asked {
            let answer = self.answer(n);
            self.talk.server(answer.as_bytes());
        }
    }

    fn finish(mut self) -> Talk {
        let packets = match self.rng.below(5) {
            // Until the server closes.
            0 => {
                let (head, n) = self.ask("GET", "Connection: close\r\n", 0);
                self.talk.client(head.as_bytes());
                self.think();
                let body = self.body(4_000);
                self.expected[n].response_bytes = body.len() as u64;
                let answer = self.head(n, "Connection: close\r\n") + &body;
                self.talk.server(answer.as_bytes()).server_ends();
                self.talk.close()
            }
            // The client closes its side before it is answered.
            1 => {
                let n = self.request();
                self.talk.client_ends();
                self.think();
                let answer = self.answer(n);
                self.talk.server(answer.as_bytes());
                self.talk.close()
            }
            2 => self.talk.packets(),
            3 => self.talk.server_resets(),
            _ => self.talk.close(),
        };
        Talk {
            packets,
            expected: self.expected,
        }
    }
}

pub fn expected(x: &Exchange) -> Expected {
    let text = |s: &Option<_>| s.as_deref().unwrap_or("none").to_owned();
    Expected {
        method: match x.method.as_deref() {
            Some("GET") => "GET",
            Some("POST") => "POST",
            Some("PUT") => "PUT",
            Some("HEAD") => "HEAD",
            Some("DELETE") => "DELETE",
            _ => "none",
        },
        path: text(&x.path.as_ref().map(|p| p.to_string())),
        status: x.status.unwrap_or(0),
        content_type: text(&x.content_type.as_ref().map(|p| p.to_string())),
        request_bytes: x.request_bytes.unwrap_or(u64::MAX),
        response_bytes: x.response_bytes.unwrap_or(u64::MAX),
    }
}

pub fn brief(x: &Exchange) -> String {
    format!("{:?} {:?}", expected(x), x.partial)
}

/// What was composed came out, whole and in order.
pub fn is_as_composed(found: &Outcome, talks: &[Talk]) {
    let composed: Vec<_> = talks.iter().filter(|t| !t.expected.is_empty()).collect();
    assert_eq!(found.flows.len(), composed.len());
    for talk in composed {
        let ends = Segment::parse(&talk.packets[0].data).unwrap().ends();
        let flow = &found.flows[&ends];
        let told: Vec<_> = flow.iter().map(expected).collect();
        assert_eq!(told, talk.expected);
        for x in flow {
            assert!(!x.partial.any(), "{x:?}");
            assert_eq!(x.login.is_some(), x.method.as_deref() == Some("PUT"));
            assert!(x.identity.is_some() && x.user_agent.is_some());
        }
    }
}
