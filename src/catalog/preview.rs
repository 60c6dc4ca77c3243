//! What would change in the inventory if a set of documents were put to use, told before it is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::segment;
use super::spec::SpecSet;
use super::view::{CatalogView, Documentation, EndpointView, Kind};

/// Endpoints named of each sort.
const NAMED: usize = 20;

/// Of confirmed endpoints. One that is documented by another document afterwards than before is
/// `moved` and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Preview {
    /// Endpoints in the places that the document would own.
    pub owned: usize,
    /// Of these: its operations.
    pub documented: usize,
    /// Documented then and not now.
    pub newly_documented: Several,
    /// Shadow then and not now.
    pub newly_shadow: Several,
    /// Documented now, and no longer.
    pub undocumented: Several,
    /// Shadow now, and no longer, without being documented.
    pub cleared: Several,
    /// Owned by another document now, by its title: how many.
    pub taken: BTreeMap<String, usize>,
    /// Its operations that another document holds and goes on holding, by its title: how many. What
    /// is called of them counts as that one's.
    pub held: BTreeMap<String, usize>,
}

/// How many, and the first of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Several {
    pub count: usize,
    pub first: Vec<String>,
}

impl Several {
    fn add(&mut self, e: &EndpointView) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(e.label());
        }
    }
}

/// What the set would say of the endpoints; `id` is the document that is to be looked at.
pub fn preview(view: &CatalogView, specs: &SpecSet, id: &str) -> Preview {
    let mut out = Preview::default();
    for (_, holder, _) in specs
        .by_id(id)
        .into_iter()
        .flat_map(|spec| spec.held(specs))
    {
        *out.held.entry(holder.title.clone()).or_default() += 1;
    }
    for e in view.endpoints.iter().filter(|e| e.confirmed) {
        let host = e.host_example.as_deref().unwrap_or(&e.host);
        let segments = segment::of_template(&e.template);
        let (owner, documented) = match specs.find(host, &e.method, &segments) {
            Some(Ok(found)) => (Some(found.spec), found.operation.is_some()),
            Some(Err(owner)) => (Some(owner), false),
            None => (None, false),
        };
        if owner.is_some_and(|s| &*s.id == id) {
            out.owned += 1;
            out.documented += usize::from(documented);
            let before = e.spec_id.as_deref().is_some_and(|s| s != id);
            if let Some(title) = e.spec.as_ref().filter(|_| before) {
                *out.taken.entry(title.clone()).or_default() += 1;
            }
        }
        let now = e.documentation;
        match (now, then(e, documented, specs)) {
            (Documentation::Documented, Documentation::Documented) => {}
            (_, Documentation::Documented) => out.newly_documented.add(e),
            (Documentation::Documented, Documentation::Shadow) => {
                out.undocumented.add(e);
                out.newly_shadow.add(e);
            }
            (Documentation::Documented, Documentation::Unreviewed) => out.undocumented.add(e),
            (Documentation::Unreviewed, Documentation::Shadow) => out.newly_shadow.add(e),
            (Documentation::Shadow, Documentation::Unreviewed) => out.cleared.add(e),
            (Documentation::Shadow, Documentation::Shadow)
            | (Documentation::Unreviewed, Documentation::Unreviewed) => {}
        }
    }
    out
}

/// As the inventory will judge it, but for endpoints that came after their host was accepted: of
/// these the accepted inventory says that they are shadow, with documents or without.
fn then(e: &EndpointView, documented: bool, specs: &SpecSet) -> Documentation {
    match () {
        () if documented => Documentation::Documented,
        () if e.kind == Kind::Static || e.accepted.is_some() => Documentation::Unreviewed,
        () if specs.is_empty() => Documentation::Unreviewed,
        () => Documentation::Shadow,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::spec;

    fn endpoint(
        host: &str,
        template: &str,
        now: Documentation,
        spec: Option<&str>,
    ) -> Arc<EndpointView> {
        Arc::new(EndpointView {
            method: "GET".into(),
            host: host.into(),
            template: template.into(),
            confirmed: true,
            documentation: now,
            spec_id: spec.map(Into::into),
            spec: spec.map(Into::into),
            ..EndpointView::default()
        })
    }

    #[test]
    fn it_says_who_is_documented_shadow_and_taken() {
        let text = "openapi: 3.0.3\ninfo: { title: Shop, version: '1' }\nservers: [{ url: 'https://a.example' }]\npaths: { /pets: { get: {} }, '/pets/{id}': { get: {} } }\n";
        let mut new = spec::parse("shop.yaml", text).unwrap();
        new.id = "new".into();
        let view = CatalogView {
            endpoints: vec![
                endpoint("a.example", "/pets", Documentation::Unreviewed, None),
                endpoint(
                    "a.example",
                    "/pets/{pet_id}",
                    Documentation::Documented,
                    Some("old"),
                ),
                endpoint(
                    "a.example",
                    "/admin",
                    Documentation::Documented,
                    Some("old"),
                ),
                endpoint("b.example", "/x", Documentation::Unreviewed, None),
                endpoint("b.example", "/y", Documentation::Shadow, None),
            ],
            ..CatalogView::default()
        };
        let p = preview(&view, &SpecSet::new(vec![new]), "new");
        assert_eq!((p.owned, p.documented), (3, 2));
        assert_eq!(p.newly_documented.first, ["GET a.example /pets"]);
        assert_eq!(
            p.newly_shadow.first,
            ["GET a.example /admin", "GET b.example /x"]
        );
        assert_eq!(p.undocumented.first, ["GET a.example /admin"]);
        assert_eq!(p.taken, BTreeMap::from([("old".to_owned(), 2)]));
        assert!(p.held.is_empty());
        let mut twin = spec::parse("twin.yaml", text).unwrap();
        twin.id = "twin".into();
        let shop = spec::parse("shop.yaml", text).unwrap();
        let held = preview(&view, &SpecSet::new(vec![shop, twin]), "twin").held;
        assert_eq!(held, BTreeMap::from([("Shop".to_owned(), 2)]));
        let none = preview(&view, &SpecSet::default(), "new");
        assert_eq!(
            (none.undocumented.count, none.cleared.count, none.owned),
            (2, 1, 0)
        );
    }
}
