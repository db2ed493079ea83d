//! Values for the parameters of a path: from the document, or from an operation that lists them.
use super::{Findings, Variables, case::Part, path::Segment};
use crate::init::{
    openapi::{Api, Field, Operation, PathParameter, placeholders},
    words::{self, normalized, singular},
};
use std::collections::{HashMap, HashSet};

/// Fields that name a thing, whatever it is.
const KEYS: &[&str] = &["id", "uuid", "name", "key", "slug", "code", "number", "login", "username"];

/// A request that comes first, and binds a name.
#[derive(Clone, Debug)]
pub struct Prior<'a> {
    pub operation: &'a Operation,
    pub segments: Vec<Segment>,
    /// The parameter that it is for.
    pub parameter: String,
    pub name: String,
    pub expression: String,
}

/// The values of the parameters of a path, and the requests that they need.
#[derive(Clone, Debug, Default)]
pub struct Chain<'a> {
    pub priors: Vec<Prior<'a>>,
    pub segments: Vec<Segment>,
    /// Parameters without a value.
    pub unknown: Vec<String>,
}

/// The operations of a document by their paths.
#[derive(Default)]
pub struct Index<'a> {
    at: HashMap<&'a str, Vec<&'a Operation>>,
    below: HashMap<&'a str, Vec<&'a Operation>>,
}

impl<'a> Index<'a> {
    pub fn new(api: &'a Api) -> Index<'a> {
        let mut index = Index::default();
        for operation in &api.operations {
            let path = operation.path.trim_end_matches('/');
            index.at.entry(path).or_default().push(operation);
            if let Some((parent, _)) = path.rsplit_once('/') {
                index.below.entry(parent).or_default().push(operation);
            }
        }
        index
    }

    /// The operations of a path.
    pub fn at(&self, path: &str) -> impl Iterator<Item = &'a Operation> {
        self.at.get(path.trim_end_matches('/')).into_iter().flatten().copied()
    }

    /// Those whose paths have one segment more.
    pub fn below(&self, path: &str) -> impl Iterator<Item = &'a Operation> {
        self.below.get(path.trim_end_matches('/')).into_iter().flatten().copied()
    }
}

/// The last segment of a path.
pub fn last_segment(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Operations that lists are taken from.
pub struct Lists<'a> {
    pub index: Index<'a>,
    pub findings: &'a Findings,
    /// Names of variables for parameters, by the names of the parameters.
    pub variables: &'a Variables,
    pub is_allowed: &'a dyn Fn(&Operation) -> bool,
}

impl<'a> Lists<'a> {
    /// Finds a value for each parameter of the path of an operation that only reads.
    pub fn chain(&self, operation: &Operation) -> Chain<'a> {
        let mut chain = Chain::default();
        let mut used: HashSet<String> = self.variables.names().map(String::from).collect();
        let mut prefix = 0;
        for (i, name) in placeholders(&operation.path).iter().enumerate() {
            let marker = format!("{{{name}}}");
            let Some(at) = operation.path[prefix..].find(&marker).map(|at| prefix + at) else { break };
            prefix = at + marker.len();
            let parameter = &operation.inputs.path[i];
            let fills_segment = operation.path[..at].ends_with('/');
            if let Some(variable) = self.variables.of(name) {
                chain.segments.push(Segment::Name(variable.into()));
            } else if let Some(value) = parameter.value.as_ref().filter(|_| parameter.is_certain) {
                chain.segments.push(Segment::Value(value.clone()));
            } else if let Some((list, field)) = self.list(&operation.path[..at], parameter).filter(|_| fills_segment) {
                let bound = words::name(name, &mut used);
                let prior = Prior {
                    operation: list,
                    segments: chain.segments.clone(),
                    parameter: (*name).to_string(),
                    name: bound.clone(),
                    expression: field.expression.clone(),
                };
                chain.priors.push(prior);
                chain.segments.push(Segment::Name(bound));
            } else if let Some(value) = &parameter.value {
                chain.segments.push(Segment::Value(value.clone()));
            } else {
                chain.segments.push(Segment::Unknown);
                chain.unknown.push((*name).to_string());
            }
        }
        chain
    }

    /// An operation that lists what a path continues with, and the field that names it. Best is the operation of the path
    /// before the parameter; else one below it, such as `/pets/search`.
    fn list(&self, prefix: &str, parameter: &PathParameter) -> Option<(&'a Operation, &'a Field)> {
        let path = prefix.trim_end_matches('/');
        let segment = last_segment(path);
        let below = self.index.below(path).filter(|o| !last_segment(&o.path).contains('{'));
        let reads = self.index.at(path).chain(below).filter(|o| o.method == "GET");
        let mut reads = reads;
        reads.find_map(|found| {
            let is_usable = found.inputs.missing.is_empty()
                && found.own_server.is_none()
                && self.findings.of(&found.key, Part::Response).is_none()
                && (self.is_allowed)(found);
            let fields = found.success.lists.iter().filter(|_| is_usable).flat_map(|list| &list.fields);
            best(fields, parameter, segment).map(|field| (found, field))
        })
    }
}

/// The field that a parameter most likely means.
pub fn best<'f>(
    fields: impl Iterator<Item = &'f Field>,
    parameter: &PathParameter,
    segment: &str,
) -> Option<&'f Field> {
    let wanted = normalized(&parameter.name);
    let thing = singular(&normalized(segment));
    let fits = |field: &Field| match (field.kind.as_deref(), parameter.kind.as_deref()) {
        (Some("string"), Some("integer" | "number")) => false,
        (Some("integer" | "number"), Some("string")) => true,
        _ => true,
    };
    let rank = |field: &Field| {
        let name = normalized(&field.name);
        let key = KEYS.iter().position(|k| *k == name);
        match () {
            () if field.name.is_empty() => Some(5),
            () if name == wanted => Some(0),
            () if !thing.is_empty() && format!("{thing}{wanted}") == name => Some(1),
            // `petId` is the `id` of a pet
            () if key.is_some() && wanted.ends_with(&name) => Some(2),
            () if key.is_some() && wanted == thing => Some(10 + key.unwrap_or_default()),
            () => None,
        }
    };
    fields.filter(|f| fits(f)).filter_map(|f| Some((rank(f)?, f))).min_by_key(|(rank, _)| *rank).map(|(_, f)| f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_a_parameter_means() {
        let field =
            |name: &str, kind: &str| Field { name: name.into(), expression: String::new(), kind: Some(kind.into()) };
        let fields =
            [field("name", "string"), field("id", "integer"), field("orderNumber", "string"), field("login", "string")];
        let find = |name: &str, kind: &str, segment: &str| {
            let parameter =
                PathParameter { name: name.into(), value: None, is_certain: false, kind: Some(kind.into()) };
            best(fields.iter(), &parameter, segment).map(|f| f.name.clone()).unwrap_or_default()
        };
        assert_eq!(find("petId", "integer", "pets"), "id");
        assert_eq!(find("pet_id", "string", "pets"), "id");
        assert_eq!(find("name", "string", "pets"), "name");
        assert_eq!(find("userName", "string", "users"), "name");
        assert_eq!(find("order", "string", "orders"), "id");
        assert_eq!(find("number", "string", "orders"), "orderNumber");
        assert_eq!(find("colour", "string", "pets"), "");
    }
}
