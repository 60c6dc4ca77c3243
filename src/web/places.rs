//! From the name that an alert gives an endpoint to the endpoint.

use std::sync::Arc;

use crate::alert::same_endpoint;
use crate::catalog::{CatalogView, EndpointView};

/// The endpoint that a label names: its parameters may have got other names since. The inventory is
/// sorted by host and template, so that only those of the host which begin alike are looked at.
pub(super) fn endpoint<'a>(catalog: &'a CatalogView, label: &str) -> Option<&'a Arc<EndpointView>> {
    let (method, rest) = label.split_once(' ')?;
    let (host, path) = rest.split_once(' ')?;
    let fixed = path.split_once('{').map_or(path, |(fixed, _)| fixed);
    let fixed = fixed.split_once(' ').map_or(fixed, |(fixed, _)| fixed);
    let all = &catalog.endpoints;
    let from = all.partition_point(|e| (e.host.as_str(), e.template.as_str()) < (host, fixed));
    let near = all[from..].iter();
    let mut near = near.take_while(|e| e.host == host && e.template.starts_with(fixed));
    near.find(|e| e.method == method && same_endpoint(label, &e.label()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Settings};
    use crate::exchange::parse_line;

    #[test]
    fn a_label_finds_its_endpoint_whatever_its_parameters_are_called() {
        let mut catalog = Catalog::new(Settings::default());
        for n in 0..40 {
            for (host, path) in [
                ("a.example", format!("/v1/users/{n}/orders")),
                ("b.example", format!("/v1/users/{n}/orders")),
                ("b.example", format!("/v1/users/{n}")),
                ("b.example", "/health".to_owned()),
            ] {
                let line = format!(
                    r#"{{"v":1,"ts":{n},"method":"GET","host":"{host}","path":"{path}","status":200}}"#
                );
                catalog.apply(&parse_line(line.as_bytes()).unwrap(), &mut Vec::new());
            }
        }
        let view = catalog.view();
        for e in &view.endpoints {
            assert_eq!(endpoint(&view, &e.label()).unwrap().key, e.key);
        }
        let found = endpoint(&view, "GET b.example /v1/users/{id}/orders").unwrap();
        assert!(found.host == "b.example" && found.template.ends_with("/orders"));
        for label in [
            "GET c.example /health",
            "POST b.example /health",
            "b.example",
            "",
        ] {
            assert!(endpoint(&view, label).is_none(), "{label}");
        }
    }
}
