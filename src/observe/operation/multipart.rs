//! Forms in parts (RFC 7578): what each part is called, whether it is a file, and of what type.
//! Contents are passed over.

use compact_str::CompactString;
use memchr::memmem;

use super::identifier;
use crate::exchange::{MAX_LISTED, Operation, OperationKind, Part};

/// RFC 2046, section 5.1.1.
const MAX_BOUNDARY: usize = 70;

/// The content begins with its own boundary; a preamble, which no client sends, is none.
pub(in crate::observe) fn parts(content: &[u8]) -> Option<Operation> {
    let line = content.split(|b| *b == b'\n').next()?.trim_ascii_end();
    let boundary = line.strip_prefix(b"--")?;
    if !(1..=MAX_BOUNDARY).contains(&boundary.len()) {
        return None;
    }
    let mut operation = Operation::new(OperationKind::Multipart, None);
    let delimiter = [b"\r\n", line].concat();
    let mut rest = &content[line.len()..];
    while operation.parts.len() < MAX_LISTED {
        // Behind the last boundary stand two hyphens, and no head.
        let Some(head) = rest.strip_prefix(b"\r\n") else {
            break;
        };
        let Some(end) = memmem::find(head, b"\r\n\r\n") else {
            break;
        };
        operation.parts.extend(part(&head[..end]));
        let body = &head[end + 2..];
        let Some(next) = memmem::find(body, &delimiter) else {
            break;
        };
        rest = &body[next + delimiter.len()..];
    }
    Some(operation.bounded())
}

fn part(head: &[u8]) -> Option<Part> {
    let (mut name, mut file, mut media_type) = (None, false, None);
    for line in head.split(|b| *b == b'\n') {
        let line = std::str::from_utf8(line).ok()?.trim();
        let Some((field, value)) = line.split_once(':') else {
            continue;
        };
        if field.eq_ignore_ascii_case("content-disposition") {
            let mut parameters = value.split(';').skip(1).map(str::trim);
            for p in parameters.by_ref() {
                if let Some(value) = p.strip_prefix("name=") {
                    name = identifier(&plain(value.trim_matches('"')));
                }
                file |= p.starts_with("filename=") || p.starts_with("filename*=");
            }
        } else if field.eq_ignore_ascii_case("content-type") {
            let value = value.split(';').next().unwrap_or_default().trim();
            media_type = Some(CompactString::from(value.to_ascii_lowercase()));
        }
    }
    Some(Part {
        name: name?,
        file,
        media_type,
    })
}

/// `items[0]` is a name, too.
fn plain(name: &str) -> String {
    name.replace(['[', ']'], ".")
        .trim_end_matches('.')
        .to_owned()
}
