//! One exchange, one line of JSON. Written by hand because it is the hottest output there is and
//! because `ts` must keep its digits; read with serde because input is rare and may be anything.

use std::net::IpAddr;

use super::{Exchange, Operation, Partial, Rpc, Shapes, Streaming, VERSION, security, session};
use crate::time::push_u64;

mod read;

pub use read::{ParseError, parse_line};

/// Appends the record and a newline. Absent fields are left out.
pub fn write_line(x: &Exchange, out: &mut Vec<u8>) {
    if let Some(session) = &x.session {
        return session::write(x, session, out);
    }
    out.extend_from_slice(b"{\"v\":");
    push_u64(out, u64::from(VERSION));
    out.extend_from_slice(b",\"ts\":");
    x.ts.write_decimal(out);
    address(out, b",\"client\":\"", &x.client);
    out.extend_from_slice(b",\"client_port\":");
    push_u64(out, u64::from(x.client_port));
    via(x, out);
    address(out, b",\"server\":\"", &x.server);
    out.extend_from_slice(b",\"server_port\":");
    push_u64(out, u64::from(x.server_port));
    text(out, b",\"protocol\":", Some(&x.protocol));
    text(out, b",\"scheme\":", Some(&x.scheme));
    text(out, b",\"method\":", x.method.as_deref());
    text(out, b",\"host\":", x.host.as_deref());
    text(out, b",\"path\":", x.path.as_deref());
    text(out, b",\"query\":", x.query.as_deref());
    number(out, b",\"status\":", x.status.map(u64::from));
    millis(out, b",\"latency_ms\":", x.latency_ms);
    number(out, b",\"request_bytes\":", x.request_bytes);
    number(out, b",\"response_bytes\":", x.response_bytes);
    text(out, b",\"location\":", x.location.as_deref());
    text(out, b",\"content_type\":", x.content_type.as_deref());
    text(
        out,
        b",\"request_content_type\":",
        x.request_content_type.as_deref(),
    );
    text(out, b",\"identity\":", x.identity.as_deref());
    text(out, b",\"auth\":", x.auth.as_deref());
    security::write_credentials(x.presented(), x.jwt.as_deref(), out);
    text(out, b",\"login\":", x.login.as_deref());
    text(out, b",\"country\":", x.country.as_deref());
    text(out, b",\"user_agent\":", x.user_agent.as_deref());
    if let Some(t) = x.deprecation {
        out.extend_from_slice(b",\"deprecation\":");
        t.write_decimal(out);
    }
    if let Some(t) = x.sunset {
        out.extend_from_slice(b",\"sunset\":");
        t.write_decimal(out);
    }
    security::write_names(out, b",\"leaks\":[", x.leaks.names());
    text(out, b",\"software\":", x.software.as_deref());
    text(out, b",\"rpc\":", x.rpc.map(Rpc::as_str));
    text(
        out,
        b",\"streaming\":",
        x.streaming().map(Streaming::as_str),
    );
    number(out, b",\"grpc_status\":", x.grpc_status.map(u64::from));
    number(out, b",\"request_messages\":", x.request_messages);
    number(out, b",\"response_messages\":", x.response_messages);
    number(out, b",\"request_message_bytes\":", x.request_message_bytes);
    number(
        out,
        b",\"response_message_bytes\":",
        x.response_message_bytes,
    );
    if let Some(o) = &x.operation {
        operation(o, out);
    }
    if let Some(s) = &x.shapes {
        shapes(s, out);
    }
    number(out, b",\"vni\":", x.vni.map(u64::from));
    out.extend_from_slice(b",\"end\":");
    x.end.write_decimal(out);
    millis(
        out,
        b",\"duration_ms\":",
        Some(x.end.since(x.ts).as_nanos() as f64 / 1e6),
    );
    if x.open {
        out.extend_from_slice(b",\"open\":true");
    }
    clear(x, out);
    if x.partial.any() {
        let names = Partial::NAMES.iter().zip(x.partial.flags());
        let set = names.filter(|(_, set)| *set).map(|(name, _)| *name);
        list(out, b",\"partial\":[", set);
    }
    if x.anomalies.any() {
        list(out, b",\"anomalies\":[", x.anomalies.names());
    }
    out.extend_from_slice(b"}\n");
}

fn operation(o: &Operation, out: &mut Vec<u8>) {
    text(out, b",\"operation\":", o.name.as_deref());
    text(out, b",\"operation_kind\":", Some(o.kind.as_str()));
    number(out, b",\"operations\":", o.count.map(u64::from));
    number(out, b",\"graphql_depth\":", o.depth.map(u64::from));
    number(out, b",\"graphql_aliases\":", o.aliases.map(u64::from));
    for (i, field) in o.fields.iter().enumerate() {
        let key: &[u8] = if i > 0 {
            b","
        } else {
            b",\"graphql_fields\":["
        };
        text(out, key, Some(field));
    }
    if !o.fields.is_empty() {
        out.push(b']');
    }
    if o.introspection {
        out.extend_from_slice(b",\"introspection\":true");
    }
    for (i, part) in o.parts.iter().enumerate() {
        let key: &[u8] = if i > 0 {
            b",{\"name\":"
        } else {
            b",\"parts\":[{\"name\":"
        };
        text(out, key, Some(&part.name));
        out.extend_from_slice(if part.file {
            b",\"file\":true"
        } else {
            b",\"file\":false"
        });
        text(out, b",\"type\":", part.media_type.as_deref());
        out.push(b'}');
    }
    if !o.parts.is_empty() {
        out.push(b']');
    }
}

/// Said where `scheme` and `via` let expect otherwise.
pub(super) fn clear(x: &Exchange, out: &mut Vec<u8>) {
    if !x.clear && x.looks_clear() {
        out.extend_from_slice(b",\"clear\":false");
    }
}

pub(super) fn shapes(s: &Shapes, out: &mut Vec<u8>) {
    let shapes = [
        (&b",\"query_shape\":"[..], &s.query),
        (b",\"request_shape\":", &s.request),
        (b",\"response_shape\":", &s.response),
    ];
    for (key, shape) in shapes {
        if let Some(shape) = shape {
            shape.write(key, out);
        }
    }
    let headers = [
        (&b",\"request_headers\":["[..], &s.request_headers),
        (b",\"response_headers\":[", &s.response_headers),
    ];
    for (key, names) in headers.into_iter().filter(|(_, names)| !names.is_empty()) {
        for (i, name) in names.iter().enumerate() {
            text(out, if i > 0 { b"," } else { key }, Some(name));
        }
        out.push(b']');
    }
}

pub(super) fn via(x: &Exchange, out: &mut Vec<u8>) {
    if let Some((ip, port)) = &x.via {
        address(out, b",\"via\":\"", ip);
        number(out, b",\"via_port\":", Some(u64::from(*port)));
    }
}

/// Names of our own, which need no escape.
fn list(out: &mut Vec<u8>, key: &[u8], names: impl Iterator<Item = &'static str>) {
    out.extend_from_slice(key);
    for (i, name) in names.enumerate() {
        out.extend_from_slice(if i > 0 { b",\"" } else { b"\"" });
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    }
    out.push(b']');
}

pub(super) fn number(out: &mut Vec<u8>, key: &[u8], value: Option<u64>) {
    if let Some(n) = value {
        out.extend_from_slice(key);
        push_u64(out, n);
    }
}

/// Milliseconds with three decimals at most, trailing zeros cut.
pub(super) fn millis(out: &mut Vec<u8>, key: &[u8], value: Option<f64>) {
    let Some(ms) = value else { return };
    let micros = (ms.max(0.0) * 1e3).round() as u64;
    out.extend_from_slice(key);
    push_u64(out, micros / 1_000);
    let rest = micros % 1_000;
    if rest > 0 {
        let digits = [
            b'0' + (rest / 100) as u8,
            b'0' + (rest / 10 % 10) as u8,
            b'0' + (rest % 10) as u8,
        ];
        let keep = 3 - digits.iter().rev().take_while(|d| **d == b'0').count();
        out.push(b'.');
        out.extend_from_slice(&digits[..keep]);
    }
}

pub(super) fn address(out: &mut Vec<u8>, key: &[u8], ip: &IpAddr) {
    out.extend_from_slice(key);
    match ip {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                push_u64(out, u64::from(octet));
            }
        }
        IpAddr::V6(v6) => {
            use std::io::Write;
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{v6}");
        }
    }
    out.push(b'"');
}

pub(super) fn text(out: &mut Vec<u8>, key: &[u8], value: Option<&str>) {
    let Some(s) = value else { return };
    out.extend_from_slice(key);
    if is_plain(s.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(s.as_bytes());
        out.push(b'"');
        return;
    }
    out.push(b'"');
    for c in s.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c if c.is_control() => out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Whether nothing of it is escaped. RFC 8259, section 7: only the quote, the backslash and the
/// controls must be. DEL and the C1 controls are legal raw, but this text came from the network and
/// may meet a terminal.
fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let plain = |b: &u8| matches!(b, 0x20..0x7f) && *b != b'"' && *b != b'\\';
    words.iter().all(|w| are_plain(u64::from_ne_bytes(*w))) && rest.iter().all(plain)
}

/// Eight bytes at once. A borrow out of a byte reaches others only where that byte is not plain.
fn are_plain(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // The top bit of each byte that is less than `n`, of bytes below 0x80.
    let less = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let is = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    let high = word | word.wrapping_add(ONES);
    (less(word, 0x20) | high | is(b'"') | is(b'\\')) & (ONES << 7) == 0
}
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exchange::{
        Anomalies, Classes, Jwt, JwtFlags, Leaks, OperationKind, Part, Presented, Shape,
    };
    use crate::time::Timestamp;

    #[test]
    fn plain_is_told_of_every_byte_at_every_place() {
        let plain = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
        for b in 0..=255 {
            for length in [1, 7, 8, 9, 16, 19] {
                for at in 0..length {
                    // What a borrow or a carry could reach stands beside it.
                    for beside in [b' ', b'!', b'#', b']', b'~'] {
                        let mut text = vec![beside; length];
                        text[at] = b;
                        assert_eq!(is_plain(&text), plain(b), "{text:?}");
                    }
                }
            }
        }
    }

    fn line(x: &Exchange) -> String {
        let mut out = Vec::new();
        write_line(x, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn full() -> Exchange {
        let mut x = Exchange::at(Timestamp(1_732_420_000_123_456_000));
        x.end = Timestamp(1_732_420_000_135_856_000);
        x.client = "10.0.0.5".parse().unwrap();
        x.client_port = 51_234;
        x.via = Some(("10.0.0.9".parse().unwrap(), 40_000));
        x.server = "2001:db8::1".parse().unwrap();
        x.server_port = 8080;
        x.clear = true;
        x.method = Some("GET".into());
        x.host = Some("api.example.com".into());
        x.path = Some("/v1/users/42".into());
        x.query = Some("a=1".into());
        x.status = Some(200);
        x.latency_ms = Some(12.4);
        x.request_bytes = Some(0);
        x.response_bytes = Some(1834);
        x.content_type = Some("application/json".into());
        x.identity = Some("bearer:5f0c".into());
        x.auth = Some("bearer".into());
        x.auth_in = Some(Arc::from([
            Presented {
                place: "cookie:sid".into(),
                scheme: "cookie".into(),
            },
            Presented {
                place: "header:authorization".into(),
                scheme: "bearer".into(),
            },
        ]));
        x.jwt = Some(Arc::new(Jwt {
            alg: "HS256".into(),
            life_s: Some(3_600),
            issuer: Some("9ab1".into()),
            flags: JwtFlags::NO_EXP,
            classes: Classes::EMAIL,
        }));
        x.leaks = Leaks::SQL_ERROR;
        x.software = Some("nginx/1.18.0".into());
        x.user_agent = Some("okhttp/4.9".into());
        x.rpc = Some(Rpc::GrpcWeb);
        x.grpc_status = Some(5);
        x.request_messages = Some(1);
        x.response_messages = Some(0);
        x.request_message_bytes = Some(12);
        x.response_message_bytes = Some(0);
        let mut operation = Operation::new(OperationKind::Graphql, Some("query GetUser".into()));
        (operation.depth, operation.aliases, operation.count) = (Some(3), Some(0), Some(2));
        operation.fields = vec!["user".into(), "items".into()];
        operation.introspection = true;
        operation.parts = vec![Part {
            name: "avatar".into(),
            file: true,
            media_type: Some("image/png".into()),
        }];
        x.operation = Some(Box::new(operation));
        let shape = |text: &str| serde_json::from_str::<Shape>(text).ok();
        x.shapes = Some(Box::new(Shapes {
            query: shape(r#"{"":"object","/a":"integer"}"#),
            response: shape(r#"{"":"object","/mail":"null|string email optional"}"#),
            request_headers: vec!["x-tenant".into(), "x-trace".into()],
            ..Shapes::default()
        }));
        x.partial.truncated = true;
        x.anomalies = Anomalies::from_names(["length_and_chunked", "obs_fold"]);
        x
    }

    #[test]
    fn a_line_comes_back_as_it_was() {
        let x = full();
        assert_eq!(parse_line(line(&x).as_bytes()).unwrap(), x);
        insta::assert_snapshot!(line(&x).trim_end(), @r#"{"v":1,"ts":1732420000.123456,"client":"10.0.0.5","client_port":51234,"via":"10.0.0.9","via_port":40000,"server":"2001:db8::1","server_port":8080,"protocol":"http/1.1","scheme":"http","method":"GET","host":"api.example.com","path":"/v1/users/42","query":"a=1","status":200,"latency_ms":12.4,"request_bytes":0,"response_bytes":1834,"content_type":"application/json","identity":"bearer:5f0c","auth":"bearer","auth_in":{"cookie:sid":"cookie","header:authorization":"bearer"},"jwt":{"alg":"HS256","life_s":3600,"issuer":"9ab1","flags":["no-exp"],"classes":["pii:email"]},"user_agent":"okhttp/4.9","leaks":["sql-error"],"software":"nginx/1.18.0","rpc":"grpc-web","streaming":"unary","grpc_status":5,"request_messages":1,"response_messages":0,"request_message_bytes":12,"response_message_bytes":0,"operation":"query GetUser","operation_kind":"graphql","operations":2,"graphql_depth":3,"graphql_aliases":0,"graphql_fields":["user","items"],"introspection":true,"parts":[{"name":"avatar","file":true,"type":"image/png"}],"query_shape":{"":"object","/a":"integer"},"response_shape":{"":"object","/mail":"null|string email optional"},"request_headers":["x-tenant","x-trace"],"end":1732420000.135856,"duration_ms":12.4,"partial":["truncated"],"anomalies":["length_and_chunked","obs_fold"]}"#);
    }

    #[test]
    fn captured_text_cannot_leave_its_string() {
        let mut x = full();
        let nasty = "a\"b\\c\n\u{1b}[31m\u{7f}\u{9b}é\u{2028}";
        x.path = Some(nasty.into());
        let text = line(&x);
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'));
        assert_eq!(
            parse_line(text.as_bytes()).unwrap().path.as_deref(),
            Some(nasty)
        );
    }

    #[test]
    fn four_fields_suffice() {
        let x = parse_line(br#"{"ts":1.5,"method":"GET","host":"h","path":"/"}"#).unwrap();
        assert_eq!(
            (x.ts, x.end),
            (Timestamp(1_500_000_000), Timestamp(1_500_000_000))
        );
        assert!(matches!(
            parse_line(br#"{"method":"GET","host":"h","path":"/"}"#),
            Err(ParseError::Missing("ts"))
        ));
        assert!(matches!(
            parse_line(br#"{"v":9,"ts":1,"method":"GET","path":"/"}"#),
            Err(ParseError::Version(9))
        ));
        assert!(parse_line(b"not json").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_round_trips(s in ".*", nanos in 0_i64..4_000_000_000_000_000_000) {
            let mut x = full();
            x.ts = Timestamp(nanos);
            x.end = x.ts;
            x.latency_ms = None;
            x.query = Some(s.as_str().into());
            proptest::prop_assert_eq!(parse_line(line(&x).as_bytes()).unwrap(), x);
        }
    }
}
