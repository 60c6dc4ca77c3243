//! Each route of the router is thought of, and only those are.

use std::collections::BTreeSet;

use syn::visit::Visit;
use syn::{Expr, ExprCall, ExprMethodCall, ExprTuple, Lit};

use super::*;

/// Routes of `routes.rs`, and whether each changes something.
#[derive(Default)]
struct Routes(BTreeSet<(bool, String)>);

impl Routes {
    fn add(&mut self, path: &Expr, handler: &Expr) {
        let Expr::Lit(path) = path else { return };
        let Lit::Str(path) = &path.lit else { return };
        let mut methods = Methods::default();
        methods.visit_expr(handler);
        assert!(!methods.0.is_empty(), "{} has no method", path.value());
        let changes = methods.0.into_iter().map(|m| (m != "get", path.value()));
        self.0.extend(changes);
    }
}

impl<'ast> Visit<'ast> for Routes {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "route" && call.args.len() == 2 {
            self.add(&call.args[0], &call.args[1]);
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_tuple(&mut self, tuple: &'ast ExprTuple) {
        let elems: Vec<&Expr> = tuple.elems.iter().collect();
        if let [path, .., handler] = elems.as_slice() {
            self.add(path, handler);
        }
        syn::visit::visit_expr_tuple(self, tuple);
    }
}

#[derive(Default)]
struct Methods(BTreeSet<String>);

impl Methods {
    fn add(&mut self, name: &syn::Ident) {
        const NAMES: [&str; 5] = ["get", "post", "put", "patch", "delete"];
        if NAMES.iter().any(|known| name == known) {
            self.0.insert(name.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Methods {
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = call.func.as_ref()
            && let Some(name) = path.path.get_ident()
        {
            self.add(name);
        }
        syn::visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.add(&call.method);
        syn::visit::visit_expr_method_call(self, call);
    }
}

#[test]
fn each_route_has_its_role_and_no_other_is_listed() {
    let mut routes = Routes::default();
    routes.visit_file(&syn::parse_file(include_str!("routes.rs")).unwrap());
    assert!(routes.0.len() > 60, "{}", routes.0.len());
    let unlisted = |(changes, path): &&(bool, String)| listed(*changes, path).is_none();
    let without: Vec<_> = routes.0.iter().filter(unlisted).collect();
    assert!(
        without.is_empty(),
        "routes without a role (see policy.rs): {without:?}"
    );
    for (changes, rules) in [(false, READS), (true, CHANGES)] {
        let all: Vec<&str> = rules
            .iter()
            .flat_map(|(paths, _)| paths.iter().copied())
            .collect();
        let once: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len(), "a route stands twice");
        let open = |path: &str| changes && OPEN.contains(&path);
        let gone = once
            .into_iter()
            .filter(|p| !open(p) && !routes.0.contains(&(changes, (*p).to_owned())));
        assert_eq!(
            gone.collect::<Vec<_>>(),
            Vec::<&str>::new(),
            "roles without a route"
        );
    }
}
