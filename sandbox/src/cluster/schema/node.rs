//! Access to the child schemas of a schema node.
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps as Node, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

pub(super) fn property<'n>(node: &'n Node, field: &str) -> Option<&'n Node> {
    node.properties.as_ref()?.get(field)
}

pub(super) fn additional(node: &Node) -> Option<&Node> {
    match node.additional_properties.as_ref()? {
        JSONSchemaPropsOrBool::Schema(below) => Some(below),
        JSONSchemaPropsOrBool::Bool(_) => None,
    }
}

pub(super) fn items(node: &Node) -> Option<&Node> {
    match node.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(below) => Some(below),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

pub(super) fn field_node<'n>(node: Option<&'n Node>, field: &str) -> Option<&'n Node> {
    node.and_then(|n| property(n, field).or_else(|| additional(n)))
}
