//! The routes of the web UI and the API, read from their source: whatever is routed is found.

use std::collections::BTreeSet;

use axum::http::Method;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Expr, ExprCall, ExprMethodCall, ExprTuple, Ident, Lit, Macro, Token};

/// Each route's method and pattern.
pub fn routes() -> Vec<(Method, String)> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/routes.rs");
    let text = std::fs::read_to_string(source).unwrap();
    let mut routes = Routes::default();
    routes.visit_file(&syn::parse_file(&text).unwrap());
    let found = routes.0.into_iter();
    found
        .map(|(path, method)| (method.parse().unwrap(), path))
        .collect()
}

/// By pattern, then method.
#[derive(Default)]
struct Routes(BTreeSet<(String, String)>);

impl Routes {
    fn add(&mut self, path: &Expr, handler: &Expr) {
        let Expr::Lit(path) = path else { return };
        let Lit::Str(path) = &path.lit else { return };
        let mut methods = Methods::default();
        methods.visit_expr(handler);
        if path.value().starts_with('/') {
            assert!(!methods.0.is_empty(), "{} has no method", path.value());
        }
        let found = methods.0.into_iter().map(|m| (path.value(), m));
        self.0.extend(found);
    }
}

impl<'ast> Visit<'ast> for Routes {
    /// `.route("/", get(page))`
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "route" && call.args.len() == 2 {
            self.add(&call.args[0], &call.args[1]);
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    /// `("/api/v1/alerts", "get", get(api::alerts))`
    fn visit_expr_tuple(&mut self, tuple: &'ast ExprTuple) {
        let elems: Vec<&Expr> = tuple.elems.iter().collect();
        if let [path, .., handler] = elems.as_slice() {
            self.add(path, handler);
        }
        syn::visit::visit_expr_tuple(self, tuple);
    }

    /// `vec![…]`
    fn visit_macro(&mut self, list: &'ast Macro) {
        let items = list.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        for item in items.into_iter().flatten() {
            let mut inner = Self::default();
            inner.visit_expr(&item);
            self.0.extend(inner.0);
        }
    }
}

#[derive(Default)]
struct Methods(BTreeSet<String>);

impl Methods {
    fn add(&mut self, name: &Ident) {
        const NAMES: [&str; 5] = ["get", "post", "put", "patch", "delete"];
        if NAMES.iter().any(|known| name == known) {
            self.0.insert(name.to_string().to_uppercase());
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
