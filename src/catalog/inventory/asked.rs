//! What a request asks for, read once: the parts of its path, and the path as a spec has it.

use std::borrow::Cow;

use crate::catalog::groups::Groups;
use crate::catalog::segment::{self, Type};
use crate::catalog::spec::{Found, Part, SpecSet};
use crate::catalog::trie::Step;

pub(super) struct Asked<'a> {
    pub(super) host: &'a str,
    pub(super) method: &'a str,
    pub(super) segments: &'a [Cow<'a, str>],
    pub(super) parts: Cow<'a, [Cow<'a, str>]>,
    /// The path as a spec has it, where one does.
    pub(super) documented: Option<Found<'a>>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(
        specs: &'a SpecSet,
        groups: &Groups,
        host: &'a str,
        method: &'a str,
        segments: &'a [Cow<'a, str>],
    ) -> Self {
        let found = specs.find(groups.spec_host(host), method, segments);
        Self {
            host,
            method,
            segments,
            parts: segment::parts(segments),
            documented: found.and_then(Result::ok),
        }
    }

    /// The path's steps in the evidence: as a spec has them, else as they came.
    pub(super) fn steps(&self) -> Vec<Step<'_>> {
        let Some(found) = &self.documented else {
            return self.parts.iter().map(|part| Step::Seen(part)).collect();
        };
        let step = |(part, segment): (Part<'a>, &Cow<'_, str>)| match part {
            Part::Word(word) => Step::Fixed(&word.spelt, word.pattern),
            Part::Param(name) => {
                let seen = segment::classify(segment).unwrap_or(Type::Text).bit();
                Step::Named(name, &found.spec.title, seen)
            }
        };
        found.template().zip(self.segments).map(step).collect()
    }
}
