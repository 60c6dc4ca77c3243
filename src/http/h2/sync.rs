//! Where frames begin: in a flow that is joined late, or behind a hole.
//!
//! Only a segment's first byte is tried. Other protocols are binary too, so a beginning is taken
//! for one on strong evidence alone: a header block that reads as one, or several whole frames of
//! which one leaves hardly a byte to chance.

use super::frame::{self, Header};
use super::{Head, MAX_BLOCK};
use crate::http::hpack::{Decoder, List};
use crate::http::probe::PREFACE;

/// Frames of more than the default maximum (RFC 9113, section 4.2) are no evidence.
const MAX_FRAME: usize = 16 << 10;

/// Settings in use (RFC 9113, RFC 8441, RFC 9218); reserved ones (GREASE) end in `a`.
const MAX_SETTING: u16 = 9;

/// The last error code of RFC 9113, section 7.
const MAX_ERROR: u32 = 0xd;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Sync {
    Yes,
    /// Could become a beginning.
    More,
    No,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// By itself enough.
    Proof,
    Strong,
    Weak,
    Against,
}

/// Whether `data`, which begins a segment, begins a frame. `known` says whether a stream is open.
pub(in crate::http) fn sync(data: &[u8], known: impl Fn(u32) -> bool) -> Sync {
    if data.starts_with(PREFACE) {
        return Sync::Yes;
    }
    let (mut rest, mut frames, mut strong) = (data, 0, false);
    while let Some(header) = Header::parse(rest) {
        if !header.strict() || header.len > MAX_FRAME {
            return Sync::No;
        }
        let on_known = header.stream != 0 && known(header.stream);
        let Some(payload) = rest.get(frame::HEADER..frame::HEADER + header.len) else {
            return match header.kind {
                _ if on_known || (strong && frames >= 2) => Sync::Yes,
                frame::HEADERS | frame::PUSH_PROMISE if header.len <= MAX_BLOCK => Sync::More,
                _ => Sync::No,
            };
        };
        match evidence(header, payload) {
            Evidence::Against => return Sync::No,
            Evidence::Proof => return Sync::Yes,
            Evidence::Strong => strong = true,
            Evidence::Weak => strong |= on_known,
        }
        frames += 1;
        rest = &rest[frame::HEADER + header.len..];
    }
    if strong && frames >= 2 {
        Sync::Yes
    } else {
        Sync::No
    }
}

/// A server's first frame, seen before the client's preface.
pub(in crate::http) fn server_preface(data: &[u8]) -> bool {
    Header::parse(data).is_some_and(|header| {
        let payload = data.get(frame::HEADER..frame::HEADER + header.len);
        header.kind == frame::SETTINGS
            && !header.ack()
            && header.strict()
            && payload.is_some_and(|payload| evidence(header, payload) == Evidence::Strong)
    })
}

fn evidence(header: Header, payload: &[u8]) -> Evidence {
    let fits = |holds: bool, evidence| if holds { evidence } else { Evidence::Against };
    match header.kind {
        frame::HEADERS => match header.block(payload) {
            Some(block) if header.end_headers() => message(block),
            block => fits(block.is_some(), Evidence::Weak),
        },
        frame::PUSH_PROMISE => match header.promise(payload) {
            Some((promised, block)) if promised % 2 == 0 && header.end_headers() => message(block),
            block => fits(block.is_some(), Evidence::Weak),
        },
        frame::SETTINGS => {
            let named = |id: u16| (1..=MAX_SETTING).contains(&id) || id & 0xf == 0xa;
            let all = frame::settings(payload).all(|(id, _)| named(id));
            fits(all, Evidence::Strong)
        }
        frame::WINDOW_UPDATE => fits(frame::number(payload) != Some(0), Evidence::Strong),
        frame::RST_STREAM => {
            let known = frame::number(payload).is_some_and(|code| code <= MAX_ERROR);
            fits(known, Evidence::Strong)
        }
        frame::PING | frame::GOAWAY => Evidence::Strong,
        _ => Evidence::Weak,
    }
}

/// A block that begins with pseudo-headers and has nothing in it that no message has is one.
fn message(block: &[u8]) -> Evidence {
    let mut list = List::default();
    if Decoder::joined_late()
        .decode(block, |_| true, &mut list)
        .is_err()
    {
        return Evidence::Against;
    }
    let lower = |name: &[u8]| {
        let name = name.strip_prefix(b":").unwrap_or(name);
        let legal = |b: &u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && *b != b':';
        !name.is_empty() && name.iter().all(legal)
    };
    let clean = |value: &[u8]| !value.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'));
    let legal = list
        .iter()
        .all(|f| f.name.is_none_or(lower) && f.value.is_none_or(clean));
    if !legal {
        return Evidence::Against;
    }
    let head = Head::of(&list);
    let token = |m: &[u8]| {
        m.iter()
            .all(|b| b.is_ascii_uppercase() || b"-_".contains(b))
    };
    let pseudo = head.method.is_none_or(token)
        && head
            .path
            .is_none_or(|p| matches!(p.first(), Some(b'/' | b'*')))
        && head.scheme.is_none_or(|s| s.starts_with(b"http"))
        && head.status.is_none_or(|_| head.code().is_some());
    match (head.is_request, head.is_response) {
        _ if !pseudo => Evidence::Against,
        (true, true) => Evidence::Against,
        (true, false) if head.method.is_some() || head.path.is_some() => Evidence::Proof,
        (false, true) if head.status.is_some() => Evidence::Proof,
        _ => Evidence::Weak,
    }
}
