//! Seeds of what messages hold: codings, event streams, operations, and what proxies say.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::Write;

use flate2::Compression;

/// Codings and bounds in three bytes, then the body.
pub fn coding() -> Vec<Vec<u8>> {
    let users = r#"{"users":[{"id":1,"name":"Ada"},{"id":2,"name":"Grace"}]}"#;
    let contents = [users.to_owned(), users.repeat(40), "a".repeat(60_000)];
    let mut out = Vec::new();
    for content in contents.iter().map(String::as_bytes) {
        for coding in 0..4 {
            let once = coded(coding, content);
            for (cap, step) in [(6, 1), (15, 200)] {
                out.push([&[0x10 | coding, cap, step], &once[..]].concat());
                let twice = coded(3 - coding, &once);
                out.push([&[(3 - coding) << 2 | coding, cap, step], &twice[..]].concat());
            }
        }
    }
    out
}

/// gzip, deflate, brotli, zstd.
fn coded(coding: u8, content: &[u8]) -> Vec<u8> {
    match coding {
        0 => {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
            gz.write_all(content).unwrap();
            gz.finish().unwrap()
        }
        1 => {
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            zlib.write_all(content).unwrap();
            zlib.finish().unwrap()
        }
        2 => {
            let mut br = brotli::CompressorWriter::new(Vec::new(), 4_096, 5, 18);
            br.write_all(content).unwrap();
            br.into_inner()
        }
        _ => {
            ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
        }
    }
}

pub fn events() -> Vec<Vec<u8>> {
    let bodies = [
        "data: YHOO\ndata: +2\ndata: 10\n\n",
        ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        "data\n\ndata\ndata\n\ndata:",
        "data: a\r\n\r\ndata: b\r\rdata: c\n\r\ndata: d\n",
        "event: ping\n\n: keep-alive\n\n\n\nretry: 1\n\n",
        "datum: 1\n\ndata2: 1\n\ndat\n\n data: 1\n\n",
    ];
    let mut out = Vec::new();
    for body in bodies {
        for (step, at, lost) in [(1, 0, 0), (3, 10, 1), (7, 5, 9), (2, 12, 40)] {
            out.push([&[step, 0, at, lost], body.as_bytes()].concat());
        }
    }
    out
}

pub fn proxy() -> Vec<Vec<u8>> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let v4 = b"\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x02\xc3\x50\0\x50";
    let inner = b"\x21\x11\0\x0f\x0a\0\0\x09\x0a\0\0\x02\xc3\x50\0\x50\x04\0\0";
    let v6 = [b"\x21\x21\0\x24", &[0x20; 36][..]].concat();
    let headers = [
        b"".to_vec(),
        b"PROXY TCP4 203.0.113.7 10.0.0.2 50000 80\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::9 2001:db8::1 50000 80\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        [SIGNATURE, v4].concat(),
        [SIGNATURE, inner].concat(),
        [SIGNATURE, &v6].concat(),
        [SIGNATURE, b"\x20\0\0\0"].concat(),
    ];
    let fields = [
        "X-Forwarded-For: 6.6.6.6, 203.0.113.7:5000,10.0.0.3\r\nX-Forwarded-Proto: http, https",
        "Forwarded: for=\"[2001:db8:cafe::17]:4711\";proto=https;host=\"API.example:8443\", for=10.0.0.4",
        "X-Real-IP: 203.0.113.7\r\nX-Forwarded-Host: shop\r\nForwarded: for=unknown",
    ];
    let mut out = Vec::new();
    for header in &headers {
        for field in fields {
            for how in 0..2 {
                out.push([&[how, header.len() as u8], &header[..], field.as_bytes()].concat());
            }
        }
    }
    out
}

pub fn graphql() -> Vec<Vec<u8>> {
    let documents = [
        "{ me { id } }",
        "query GetUser($id: ID! = \"}\") { user(id: $id) { ...F } } fragment F on User { a: b }",
        "mutation AddItem @live { addItem(input: {tags: [\"x\", \"\"\"\\\"\"\" }\"\"\"]}) { id } }",
        "query A { a } mutation B { b } # c",
        "subscription onTick{tick}",
        "{ ... on Query { me } ... @include(if: true) { you __schema { types } } }",
    ];
    let soap = "<?xml version=\"1.0\"?><!-- <x> --><soap:Envelope \
        xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Header a='>'/>\
        <soap:Body><m:GetWeather xmlns:m=\"w\"><m:City/></m:GetWeather></soap:Body></soap:Envelope>";
    let form = "--X\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nt\r\n--X\r\n\
        Content-Disposition: form-data; name=\"files[0]\"; filename=\"cv.pdf\"\r\n\
        Content-Type: Application/PDF; a=b\r\n\r\n%PDF\r\n--X--\r\n";
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    let mut texts: Vec<(u8, String)> = vec![
        (
            1,
            r#"{"jsonrpc":"2.0","method":"eth_call","params":[{"to":"0x1"}],"id":1}"#.into(),
        ),
        (
            1,
            r#"[{"method":"tools/list","params":[],"id":null},{"method":"b","params":{},"id":2}]"#
                .into(),
        ),
        (
            1,
            format!(
                r#"{{"extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}}}"#
            ),
        ),
        (2, soap.into()),
        (3, form.into()),
        (
            4,
            "query=query+A%7Ba%7D+query+B%7Bb%7D&operationName=B".into(),
        ),
        (0x80, "GET\n/odata/Products\n$filter=a&$top=3\n\n".into()),
        (
            0x80,
            "POST\n/ws\n\ntext/xml\n\"http://example.com/weather/GetWeather\"".into(),
        ),
        (
            0x80,
            "POST\n/ws\n\napplication/soap+xml; action=\"urn:Find\"".into(),
        ),
        (0x80, "GET\n/graphql\nquery=%7Bme%7Bid%7D%7D\n\n".into()),
    ];
    for document in documents {
        let body =
            serde_json::json!({ "operationName": "A", "query": document, "variables": {"id": 7} });
        texts.extend([
            (0, document.to_owned()),
            (1, body.to_string()),
            (
                1,
                format!("[{},{body}]", serde_json::json!({ "query": document })),
            ),
        ]);
    }
    let cut =
        |(kind, text): &(u8, String), at: usize| [&[*kind, 0, at as u8], text.as_bytes()].concat();
    let all = |text: &(u8, String)| {
        let eighths = (1..8).map(|n| text.1.len().min(255) * n / 8);
        eighths.map(|at| cut(text, at)).collect::<Vec<_>>()
    };
    texts.iter().flat_map(all).collect()
}
