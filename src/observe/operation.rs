//! Which operation a request asks for, where the path does not say: GraphQL, JSON-RPC, SOAP; and
//! what OData and forms show of themselves.
//!
//! Told by the shape of what is sent, never by the name of a path. A body may be cut anywhere: what
//! is said of its beginning is what would be said of the whole, or nothing. Names alone are kept;
//! no value of a variable, parameter or field leaves these functions.

use compact_str::CompactString;

use super::mask;
use crate::exchange::{MAX_NAME, Operation, OperationKind};

mod envelope;
mod graphql;
pub(super) mod multipart;
mod soap;

#[cfg(test)]
mod tests;

/// What a request's head shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    /// `Content-Type` as sent.
    pub content_type: Option<&'a [u8]>,
    /// `SOAPAction`.
    pub soap_action: Option<&'a [u8]>,
    /// `OData-Version` or one of its predecessors is there.
    pub odata: bool,
}

/// What the head alone tells.
pub fn of_head(head: &Head<'_>) -> Option<Operation> {
    soap::action(head)
        .or_else(|| of_query(head))
        .or_else(|| is_odata(head).then(|| Operation::new(OperationKind::Odata, None)))
}

/// What a request's content tells. `media_type` is in lower case, without parameters; not `whole`:
/// the content is longer than what is here.
pub fn of_body(media_type: &str, content: &[u8], whole: bool) -> Option<Operation> {
    match Form::of(media_type)? {
        Form::Json => envelope::operation(content, whole),
        Form::Graphql => {
            let text = String::from_utf8_lossy(content);
            Some(graphql::Document::parse(&text, whole)?.operation(None))
        }
        Form::Xml => soap::body(content),
        Form::Multipart => multipart::parts(content),
        Form::Urlencoded if whole => envelope::of_pairs(content),
        Form::Urlencoded => None,
    }
}

/// Whether content that begins so may tell an operation.
pub type Worth = fn(&[u8]) -> bool;

/// How to tell by the beginning of content of that type whether it may tell an operation, so that
/// more of it is worth having; `None`: it is not.
pub fn worth(media_type: &str) -> Option<Worth> {
    match Form::of(media_type)? {
        Form::Json => Some(envelope::may_be),
        Form::Xml => Some(soap::may_be),
        Form::Graphql | Form::Multipart => Some(|_| true),
        Form::Urlencoded => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Graphql,
    Xml,
    Multipart,
    Urlencoded,
}

impl Form {
    fn of(media_type: &str) -> Option<Self> {
        Some(match media_type {
            "application/graphql" => Self::Graphql,
            "multipart/form-data" => Self::Multipart,
            "application/x-www-form-urlencoded" => Self::Urlencoded,
            m if m.ends_with("/json") || m.ends_with("+json") => Self::Json,
            m if m.ends_with("/xml") || m.ends_with("+xml") => Self::Xml,
            _ => return None,
        })
    }
}

/// GraphQL over GET.
fn of_query(head: &Head<'_>) -> Option<Operation> {
    let query = head.query.filter(|_| head.method == "GET")?;
    let named = ["query=", "extensions=", "documentId="];
    let may = query
        .split('&')
        .any(|pair| named.iter().any(|n| pair.starts_with(n)));
    may.then(|| envelope::of_pairs(query.as_bytes())).flatten()
}

/// Its header, its `$batch` and `$metadata`, or its system query options (OData 4.01, part 2,
/// section 5.1).
fn is_odata(head: &Head<'_>) -> bool {
    const OPTIONS: [&str; 9] = [
        "filter", "select", "expand", "orderby", "top", "skip", "count", "search", "apply",
    ];
    let last = head.path.rsplit('/').next().unwrap_or_default();
    let option = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        let system = name.strip_prefix('$').or_else(|| name.strip_prefix("%24"));
        system.is_some_and(|name| OPTIONS.contains(&name))
    };
    head.odata
        || matches!(last, "$batch" | "$metadata")
        || head.query.is_some_and(|q| q.split('&').any(option))
}

/// A name of an operation: an identifier, maybe of several joined; anything else may be a secret.
fn identifier(name: &str) -> Option<CompactString> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let joint = |b: u8| b".-/:$#".contains(&b);
    let letters = name.bytes().filter(u8::is_ascii_alphabetic).count();
    let plausible = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| word(b) || joint(b))
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && letters * 2 >= name.len()
        && !mask::is_secret(name);
    plausible.then(|| name.into())
}
