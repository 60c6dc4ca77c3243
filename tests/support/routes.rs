//! The routes of the web UI and the API, read from their source: whatever is routed is found.

use std::collections::BTreeSet;

use axum::http::Method;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Expr, ExprCall, ExprMethodCall, Ident, Lit, Macro, Token};

/// Each route's method and pattern.
pub(super) fn routes() -> Vec<(Method, String)> {
    let mut routes = Routes::default();
    for source in ["routes.rs", "api/table.rs"] {
        let path = format!("{}/src/web/{source}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        routes.visit_file(&syn::parse_file(&text).unwrap());
    }
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
        // Those of the API are routed from their table.
        let Some(path) = literal(path) else { return };
        let mut methods = Methods::default();
        methods.visit_expr(handler);
        assert!(!methods.0.is_empty(), "{path} has no method");
        self.0
            .extend(methods.0.into_iter().map(|m| (path.clone(), m)));
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

    /// `get("/api/v1/alerts", "listAlerts", …, api::alerts)`
    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Some(path) = call.args.first() {
            let mut method = Methods::default();
            if let Expr::Path(name) = call.func.as_ref()
                && let Some(name) = name.path.get_ident()
            {
                method.add(name);
            }
            if let Some(path) = literal(path).filter(|p| p.starts_with('/')) {
                self.0
                    .extend(method.0.into_iter().map(|m| (path.clone(), m)));
            }
        }
        syn::visit::visit_expr_call(self, call);
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

fn literal(of: &Expr) -> Option<String> {
    let Expr::Lit(of) = of else { return None };
    let Lit::Str(text) = &of.lit else { return None };
    Some(text.value())
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
