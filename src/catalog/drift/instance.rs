//! Skeletons: values made from a shape, one of each type that was seen at each place, to be held
//! against a schema. A string says which format the strings had that it stands for.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::exchange::{Field, Format, Shape, Types};

/// Types in the order in which a place takes them: what has fields first.
const ORDER: [Types; 8] = [
    Types::OBJECT,
    Types::ARRAY,
    Types::STRING,
    Types::NUMBER,
    Types::INTEGER,
    Types::BOOLEAN,
    Types::BINARY,
    Types::NULL,
];

/// A shape as the tree that it was.
pub(super) struct Skeleton<'a> {
    nodes: Vec<Node<'a>>,
    by_pointer: HashMap<&'a str, usize>,
}

struct Node<'a> {
    field: &'a Field,
    name: String,
    children: Vec<usize>,
}

impl<'a> Skeleton<'a> {
    /// `None`: it is no JSON, or lacks its root.
    pub(super) fn of(shape: &'a Shape) -> Option<Self> {
        let mut out = Self {
            nodes: Vec::new(),
            by_pointer: HashMap::new(),
        };
        for field in &shape.0 {
            if !ORDER.iter().any(|t| field.types.has(*t)) {
                return None;
            }
            let at = out.nodes.len();
            let (above, name) = match field.pointer.rsplit_once('/') {
                Some((above, name)) => (out.by_pointer.get(above), name),
                None => (None, ""),
            };
            if at > 0 {
                // Lines from elsewhere may lack what a field is in.
                let Some(above) = above.copied() else {
                    continue;
                };
                out.nodes[above].children.push(at);
            } else if !field.pointer.is_empty() {
                return None;
            }
            out.by_pointer.insert(&field.pointer, at);
            out.nodes.push(Node {
                field,
                name: name.replace("~1", "/").replace("~0", "~"),
                children: Vec::new(),
            });
        }
        (!out.nodes.is_empty()).then_some(out)
    }

    pub(super) fn field(&self, pointer: &str) -> Option<&'a Field> {
        Some(self.nodes[*self.by_pointer.get(pointer)?].field)
    }

    /// Whether a name may be missing from an object there: it was seen whole, and its keys are
    /// names.
    pub(super) fn is_whole(&self, pointer: &str) -> bool {
        self.by_pointer.get(pointer).is_some_and(|at| {
            let node = &self.nodes[*at];
            let map = node.children.iter().any(|c| self.nodes[*c].name == "*");
            let array = node.field.types.has(Types::ARRAY);
            !node.field.open && (!map || array)
        })
    }

    /// Values that together have each type at each place. The first has every field.
    pub(super) fn variants(&self) -> impl Iterator<Item = Value> {
        let most = self.nodes.iter().map(|n| choices(n.field).count()).max();
        (0..most.unwrap_or(0)).map(|nth| self.value(0, nth, true))
    }

    /// The value without what may be missing; `None`: nothing may be.
    pub(super) fn least(&self) -> Option<Value> {
        let optional = self.nodes.iter().any(|n| n.field.optional);
        optional.then(|| self.value(0, 0, false))
    }

    /// As deep as a pointer is long.
    fn value(&self, at: usize, nth: usize, whole: bool) -> Value {
        let node = &self.nodes[at];
        let last = choices(node.field).count().saturating_sub(1);
        let kind = choices(node.field)
            .nth(nth.min(last))
            .unwrap_or(Types::NULL);
        let children = node.children.iter().copied();
        match kind {
            Types::OBJECT => {
                let array = node.field.types.has(Types::ARRAY);
                let inside = children.filter(|c| {
                    let child = &self.nodes[*c];
                    let mine = child.name != "*" || !array;
                    mine && (whole || !child.field.optional)
                });
                let members =
                    inside.map(|c| (self.nodes[c].name.clone(), self.value(c, nth, whole)));
                Value::Object(members.collect::<Map<_, _>>())
            }
            Types::ARRAY => {
                let items = children.filter(|c| self.nodes[*c].name == "*");
                Value::Array(items.map(|c| self.value(c, nth, whole)).collect())
            }
            Types::STRING | Types::BINARY => word(node.field.format).into(),
            Types::NUMBER => 0.5.into(),
            Types::INTEGER => 1.into(),
            Types::BOOLEAN => true.into(),
            _ => Value::Null,
        }
    }
}

fn choices(field: &Field) -> impl Iterator<Item = Types> {
    ORDER.into_iter().filter(|t| field.types.has(*t))
}

/// What a string of that format says.
fn word(format: Format) -> &'static str {
    format.name().unwrap_or("plain")
}
