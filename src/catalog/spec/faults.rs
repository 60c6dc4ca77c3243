//! What is wrong in a document that can be read nevertheless: a part of it means nothing, or not what
//! its author meant. Each fault is said with its place and what mends it, so that nobody takes a
//! document for whole that is used in part.

use std::collections::HashMap;

use serde_json::Value;

use super::document::{Document, Place};
use super::server::Scope;
use super::{METHODS, SpecError, text};

/// Faults of one document that are said one by one.
const MAX_FAULTS: usize = 50;

/// Keys of a path item that are no methods.
const BESIDE: [&str; 5] = ["$ref", "summary", "description", "servers", "parameters"];
const PLACES: [&str; 6] = ["query", "path", "header", "cookie", "body", "formData"];
const TYPES: [&str; 8] = [
    "string", "number", "integer", "boolean", "object", "array", "null", "file",
];
/// Below these nothing is a schema, or `type` is another word.
const NO_SCHEMAS: [&str; 6] = [
    "securitySchemes",
    "securityDefinitions",
    "enum",
    "const",
    "default",
    "security",
];
/// Said of a document that is bound to no hosts.
pub(super) const NO_HOST: &str = "no server names a host";

/// The faults of a document's own file, in the order in which they stand there.
pub(super) fn of(file: &str, text: &str, document: &Document, scopes: &[Scope]) -> Vec<String> {
    let mut faults = Faults {
        file,
        text,
        said: Vec::new(),
        more: 0,
        ids: HashMap::new(),
    };
    let root = document.root();
    if scopes.iter().all(|scope| scope.host.is_none()) {
        let mend = "name one under `servers` (`host` in 2.0), or the hosts that it is about";
        let what = format!("{NO_HOST}: it owns this place on every host");
        faults.add(&["servers"], None, &what, mend);
    }
    let paths = root.child("paths");
    if root.child("webhooks").is_none() && paths.is_some_and(|p| p.members().next().is_none()) {
        let what = "`paths` is empty: it has no operation, and owns nothing";
        faults.add(&["paths"], None, what, super::ADD_PATHS);
    }
    for (path, item) in paths.into_iter().flat_map(Place::members) {
        if !path.starts_with("x-") {
            faults.path(document, path, item);
        }
    }
    let shared = root.child("components").unwrap_or(root);
    for (name, parameter) in shared
        .child("parameters")
        .into_iter()
        .flat_map(Place::members)
    {
        faults.parameter(&["parameters", name], parameter);
    }
    faults.schemas(&mut Vec::new(), root.value, false);
    faults.told()
}

struct Faults<'a> {
    file: &'a str,
    text: &'a str,
    /// By their place in the text.
    said: Vec<((usize, usize), String)>,
    more: usize,
    /// Operations by the id that they gave themselves.
    ids: HashMap<&'a str, String>,
}

impl<'a> Faults<'a> {
    /// `way`: the keys that lead there; `value`: what is wrong, where it is no key.
    fn add(&mut self, way: &[&str], value: Option<&str>, what: &str, mend: &'static str) {
        if self.said.len() == MAX_FAULTS {
            self.more += 1;
            return;
        }
        let place = text::place_along(self.text, way, value);
        let error = SpecError {
            column: place.map(|(_, column)| column),
            mend,
            ..SpecError::at(self.file, place.map(|(line, _)| line), what)
        };
        let place = place.unwrap_or_default();
        self.said.push((place, error.note()));
    }

    fn told(mut self) -> Vec<String> {
        self.said.sort();
        let mut out: Vec<String> = self.said.into_iter().map(|(_, note)| note).collect();
        if self.more > 0 {
            out.push(format!("{}: and {} more faults", self.file, self.more));
        }
        out
    }

    fn path(&mut self, document: &'a Document, path: &'a str, item: Place<'a>) {
        let way = ["paths", path];
        if !path.starts_with('/') {
            let what =
                format!("the path `{path}` does not begin with `/`: it is read as if it did");
            self.add(&way, None, &what, "write the slash");
        }
        if !item.value.is_object() {
            let what = format!("`{path}` is no path item, and has no operation");
            let mend = "a path item is an object with an operation for each method";
            return self.add(&way, None, &what, mend);
        }
        // What stands in another file has another text.
        let own = document.follow(item).filter(|item| item.file == 0);
        for (key, value) in own.into_iter().flat_map(Place::members) {
            match key {
                "parameters" => self.parameters(&way, value),
                key if METHODS.iter().any(|(m, _)| *m == key) => self.operation(path, key, value),
                key if BESIDE.contains(&key) || key.starts_with("x-") => {}
                key => {
                    let what = format!("`{key}` of `{path}` is no method that is read here");
                    let mend = "methods are get, put, post, delete, options, head, patch and trace, in lower case";
                    self.add(&["paths", path, key], None, &what, mend);
                }
            }
        }
    }

    fn operation(&mut self, path: &'a str, method: &'a str, operation: Place<'a>) {
        let way = ["paths", path, method];
        if !operation.value.is_object() {
            let what = format!("`{method}` of `{path}` is no operation, and is left out");
            let mend = "an operation is an object, with its `responses` for one";
            return self.add(&way, None, &what, mend);
        }
        if let Some(parameters) = operation.child("parameters") {
            self.parameters(&way, parameters);
        }
        for (code, _) in operation
            .child("responses")
            .into_iter()
            .flat_map(Place::members)
        {
            if !is_code(code) {
                let what = format!("`{code}` is no status of a response");
                let mend = "a status is 100 to 599, a class as in `2XX`, or `default`";
                self.add(
                    &["paths", path, method, "responses", code],
                    None,
                    &what,
                    mend,
                );
            }
        }
        let Some(id) = operation.str("operationId") else {
            return;
        };
        let named = format!("{} {path}", method.to_uppercase());
        if let Some(other) = self.ids.get(id) {
            let what = format!("`{id}` is the `operationId` of {other} already");
            let way = ["paths", path, method, "operationId"];
            self.add(&way, Some(id), &what, "each operation has an id of its own");
        } else {
            self.ids.insert(id, named);
        }
    }

    fn parameters(&mut self, way: &[&str], list: Place<'_>) {
        let way = [way, &["parameters"]].concat();
        if !list.value.is_array() {
            let mend = "`parameters` is a list, each with `name` and `in`";
            return self.add(&way, None, "`parameters` is no list, and is left out", mend);
        }
        list.items().for_each(|one| self.parameter(&way, one));
    }

    fn parameter(&mut self, way: &[&str], parameter: Place<'_>) {
        if parameter.str("$ref").is_some() {
            return;
        }
        let name = parameter.str("name");
        let mend = "`in` is query, path, header or cookie (2.0 has body and formData, too)";
        match parameter.str("in") {
            Some(place) if PLACES.contains(&place) && name.is_some() => {}
            Some(place) if PLACES.contains(&place) => {
                let what = "a parameter has no `name`, and is left out";
                self.add(way, None, what, "give it the name that requests have");
            }
            Some(place) => {
                let what = format!("a parameter cannot be in `{place}`");
                self.add(&[way, &["in"]].concat(), Some(place), &what, mend);
            }
            None => {
                let named = name.unwrap_or_default();
                let what = format!("the parameter `{named}` does not say where it is");
                self.add(way, name, &what, mend);
            }
        }
    }

    /// Types that there are not, wherever a schema stands. `names`: the keys of this object are names.
    fn schemas<'v>(&mut self, way: &mut Vec<&'v str>, value: &'v Value, names: bool) {
        let members = match value {
            Value::Object(members) => members,
            Value::Array(list) => return list.iter().for_each(|v| self.schemas(way, v, false)),
            _ => return,
        };
        for (key, value) in members {
            if !names && (NO_SCHEMAS.contains(&key.as_str()) || key.starts_with("x-")) {
                continue;
            }
            way.push(key);
            if key == "type" && !names {
                let one = std::slice::from_ref(value);
                let said = value.as_array().map_or(one, Vec::as_slice);
                for name in said.iter().filter_map(Value::as_str) {
                    if !TYPES.contains(&name) {
                        let what = format!("there is no type `{name}`: that part takes anything");
                        let mend =
                            "types are string, number, integer, boolean, object, array and null";
                        self.add(way, Some(name), &what, mend);
                    }
                }
            }
            let names = !names && (text::NAMES.contains(&key.as_str()));
            self.schemas(way, value, names);
            way.pop();
        }
    }
}

/// `200`, `2XX`, `default`, and what is the author's own.
fn is_code(code: &str) -> bool {
    let digits = code.strip_suffix("XX").unwrap_or(code);
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let class = digits.starts_with(['1', '2', '3', '4', '5']);
    let whole = digits.len() == if code.ends_with("XX") { 1 } else { 3 };
    code == "default" || code.starts_with("x-") || (plain && class && whole)
}
