//! All documents: the longest matching scope owns a place. Scopes are found by host, so that the
//! cost of a look-up does not depend on how many documents there are.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::server::is_like;
use super::tree::{Part, Steps};
use super::{Listed, Operation, OperationId, Spec, Word};
use crate::catalog::segment::{fold, of_template};

/// All documents; the longest matching scope owns a place.
#[derive(Clone, Debug, Default)]
pub struct SpecSet {
    specs: Vec<Spec>,
    owners: Vec<Owner>,
    /// Places in `owners`, the longest base path first.
    named: HashMap<Box<str>, Vec<u32>, FixedState>,
    like: Vec<(Box<str>, u32)>,
    any: Vec<u32>,
}

/// One scope of one group of a spec's operations.
#[derive(Clone, Debug)]
struct Owner {
    spec: u32,
    group: usize,
    base: Vec<Word>,
}

/// A path as a document has it.
pub(in crate::catalog) struct Found<'a> {
    pub(in crate::catalog) spec: &'a Spec,
    owner: &'a Owner,
    steps: Steps,
    /// None where the path is documented and the method is not.
    pub(in crate::catalog) operation: Option<(OperationId, &'a Operation)>,
}

impl<'a> Found<'a> {
    /// Base path and template.
    pub(in crate::catalog) fn template<'s>(
        &'s self,
    ) -> impl Iterator<Item = Part<'a>> + use<'a, 's> {
        let base = self.owner.base.iter().map(Part::Word);
        base.chain(self.spec.groups[self.owner.group].tree.parts(&self.steps))
    }
}

impl SpecSet {
    pub fn new(mut specs: Vec<Spec>) -> Self {
        name_apart(&mut specs);
        let mut set = Self::default();
        for (spec, it) in specs.iter().enumerate() {
            for (group, it) in it.groups.iter().enumerate() {
                // What has no operation documents nothing, and owns nothing.
                for scope in it.scopes.iter().filter(|_| !it.tree.is_empty()) {
                    let at = set.owners.len() as u32;
                    match scope.host.as_deref() {
                        None => set.any.push(at),
                        Some(host) if host.contains('*') => set.like.push((host.into(), at)),
                        Some(host) => set.named.entry(host.into()).or_default().push(at),
                    }
                    set.owners.push(Owner {
                        spec: spec as u32,
                        group,
                        base: scope.base.clone(),
                    });
                }
            }
        }
        let owners = &set.owners;
        let length = |at: &u32| Reverse(owners[*at as usize].base.len());
        set.any.sort_by_key(length);
        set.like.sort_by_key(|(_, at)| length(at));
        set.named.values_mut().for_each(|l| l.sort_by_key(length));
        set.specs = specs;
        set
    }

    /// The document of an id.
    pub fn by_id(&self, id: &str) -> Option<&Spec> {
        self.specs.iter().find(|s| &*s.id == id)
    }

    pub fn specs(&self) -> &[Spec] {
        &self.specs
    }

    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// The document that holds the place of an operation of another one, and what the operation is
    /// there; `None` where that is its own. Of places at hosts that no name tells apart nothing is
    /// known.
    pub fn holder(&self, spec: &Spec, listed: &Listed) -> Option<(&Spec, &str)> {
        if listed.host.contains('*') {
            return None;
        }
        let segments = of_template(&listed.template);
        let found = self.find(&listed.host, listed.method, &segments)?.ok()?;
        let (_, operation) = found.operation?;
        (found.spec.id != spec.id).then_some((found.spec, &*operation.id))
    }

    pub(in crate::catalog) fn operation(&self, id: OperationId) -> Option<(&Spec, &Operation)> {
        let spec = self.specs.get(id.spec as usize)?;
        Some((spec, spec.all.get(id.operation as usize)?))
    }

    /// The document that owns a place: a named host before a pattern before any host, then the
    /// longest base path. `segments` are decoded, not folded.
    pub(in crate::catalog) fn find(
        &self,
        host: &str,
        method: &str,
        segments: &[impl AsRef<str>],
    ) -> Option<Result<Found<'_>, &Spec>> {
        if self.is_empty() {
            return None;
        }
        let named = self.named.get(host).into_iter().flatten().copied();
        let like = self.like.iter();
        let like = like.filter(|(p, _)| is_like(p.as_bytes(), host.as_bytes()));
        self.among(named, method, segments)
            .or_else(|| self.among(like.map(|(_, at)| *at), method, segments))
            .or_else(|| self.among(self.any.iter().copied(), method, segments))
    }

    /// Several documents may share a scope: whichever has the path.
    fn among(
        &self,
        owners: impl Iterator<Item = u32>,
        method: &str,
        segments: &[impl AsRef<str>],
    ) -> Option<Result<Found<'_>, &Spec>> {
        let (mut first, mut of_path): (Option<&Owner>, Option<Found<'_>>) = (None, None);
        for owner in owners.map(|at| &self.owners[at as usize]) {
            if first.is_some_and(|f| f.base.len() > owner.base.len()) {
                break;
            }
            if !owner.is_above(segments) {
                continue;
            }
            first = first.or(Some(owner));
            let spec = &self.specs[owner.spec as usize];
            let tree = &spec.groups[owner.group].tree;
            let Some((node, steps)) = tree.find(&segments[owner.base.len()..]) else {
                continue;
            };
            let operation = tree.operation(node, method).map(|operation| {
                let id = OperationId {
                    spec: owner.spec,
                    operation,
                };
                (id, &spec.all[operation as usize])
            });
            let found = Found {
                spec,
                owner,
                steps,
                operation,
            };
            if operation.is_some() {
                return Some(Ok(found));
            }
            of_path = of_path.or(Some(found));
        }
        let owner = &self.specs[first?.spec as usize];
        Some(of_path.ok_or(owner))
    }
}

/// One file may be named twice, for other hosts each time.
fn name_apart(specs: &mut [Spec]) {
    let mut taken: HashMap<Arc<str>, u32, FixedState> = HashMap::default();
    for spec in specs {
        let n = taken.entry(spec.id.clone()).or_default();
        *n += 1;
        if *n > 1 {
            spec.id = format!("{}-{n}", spec.id).into();
        }
    }
}

impl Owner {
    fn is_above(&self, segments: &[impl AsRef<str>]) -> bool {
        self.base.len() <= segments.len()
            && self
                .base
                .iter()
                .zip(segments)
                .all(|(word, segment)| *word.folded == *fold(segment.as_ref()))
    }
}
