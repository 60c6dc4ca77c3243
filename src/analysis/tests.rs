use super::*;
use crate::alert::Status;
use crate::catalog::spec::{SpecSet, parse};
use crate::catalog::{Action, Decision, Documentation};

const SPEC: &str = "
openapi: 3.0.3
info: { title: Shop, version: '1' }
servers: [{ url: 'https://shop.example/' }]
paths:
  /v1/orders: { get: { operationId: listOrders }, post: { operationId: addOrder } }
  /v1/products: { get: { operationId: listProducts } }
";

struct Bench {
    analysis: Analysis,
    raised: Vec<Alert>,
    now: i64,
    decisions: u64,
}

impl Bench {
    fn new() -> Self {
        let mut analysis = Analysis::new(Settings::default());
        let specs = SpecSet::new(vec![parse("shop.yaml", SPEC).unwrap()]);
        let mut raised = Vec::new();
        analysis.set_specs(specs, &mut raised);
        Self {
            analysis,
            raised,
            now: 1_760_000_000,
            decisions: 0,
        }
    }

    /// Some calls of everything, and time for what is looked at by the tick.
    fn traffic(&mut self) {
        for _ in 0..3 {
            for (method, path) in [
                ("GET", "/v1/orders"),
                ("POST", "/v1/orders"),
                ("GET", "/v1/products"),
                ("GET", "/v1/export"),
            ] {
                self.now += 5;
                let mut x = Exchange::at(Timestamp::from_secs(self.now));
                (x.method, x.host) = (Some(method.into()), Some("shop.example".into()));
                (x.path, x.status) = (Some(path.into()), Some(200));
                self.analysis.apply(x.end, &x, &mut self.raised);
            }
        }
        self.analysis.settle(&mut self.raised);
    }

    /// What was raised or changed since the last call: endpoint and status.
    fn told(&mut self) -> Vec<(String, Status)> {
        let raised = self.raised.drain(..);
        raised
            .map(|a| (a.endpoint.unwrap_or_default(), a.status))
            .collect()
    }

    fn decide_at(&mut self, action: Action, place: catalog::Place) {
        self.decisions += 1;
        let decision = Decision {
            id: self.decisions,
            at: Timestamp::from_secs(1_770_000_000),
            seen: self.analysis.catalog.now(),
            by: "ann".into(),
            action,
            places: vec![place],
            value: None,
            note: None,
            undoes: None,
        };
        self.analysis.decide(&decision, &mut self.raised);
    }

    fn documentation(&mut self, template: &str) -> Option<Documentation> {
        let view = self.analysis.view();
        let found = view.endpoints.iter().find(|e| e.template == template);
        found.map(|e| e.documentation)
    }
}

#[test]
fn a_persons_merge_is_no_news_and_ends_what_was_found_of_what_it_ends() {
    let mut b = Bench::new();
    b.traffic();
    let export = "GET shop.example /v1/export".to_owned();
    assert_eq!(b.told(), [(export.clone(), Status::Open)]);
    let place = catalog::Place {
        host: "shop.example".into(),
        template: "/v1/orders".into(),
        ..catalog::Place::default()
    };
    let exports = catalog::Place {
        template: "/v1/export".into(),
        ..place.clone()
    };
    b.decide_at(Action::PinParameter, place.clone());
    b.decide_at(Action::PinParameter, exports.clone());
    assert_eq!(
        b.documentation("/v1/{v1_name}"),
        Some(Documentation::Shadow)
    );
    // The only word is that the export is no more.
    assert_eq!(b.told(), [(export.clone(), Status::Resolved)]);
    b.traffic();
    assert_eq!(b.told(), Vec::new());
    let foreseen = {
        let view = b.analysis.view();
        let products = view.endpoints.iter().find(|e| e.template == "/v1/products");
        let key = products.map(|e| e.key.clone()).unwrap();
        let catalog = &b.analysis.catalog;
        catalog
            .foresee(Action::PinParameter, &key, 1, None)
            .unwrap()
    };
    let leaves = foreseen.moves.iter().map(|m| m.leaves.as_deref());
    assert_eq!(leaves.collect::<Vec<_>>(), [Some("Shop")]);
    b.decide_at(Action::Unpin, place);
    b.traffic();
    assert_eq!(
        b.documentation("/v1/orders"),
        Some(Documentation::Documented)
    );
    assert_eq!(b.told(), Vec::new());
    // What is true of the export is so again.
    b.decide_at(Action::Unpin, exports);
    b.traffic();
    assert_eq!(b.documentation("/v1/{v1_name}"), None);
    assert_eq!(b.told(), [(export, Status::Open)]);
}
