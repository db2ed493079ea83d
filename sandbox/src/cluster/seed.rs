//! The initial objects: standard namespaces, and the definitions of the platform's resources.
use super::{definitions::DEFINITIONS, kinds, store::Store, write};
use serde_json::{Value, json};

/// A store with the initial objects.
pub(super) fn seeded_store(window: usize) -> Store {
    let mut store = Store::new(window);
    let namespaces = ["default", "kube-system", "streamspace"].map(|name| {
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        (kinds::NAMESPACES, object)
    });
    let definitions: Vec<Value> = serde_saphyr::from_multiple(crate::crds::DEFINITIONS).expect("written here");
    let definitions = definitions.into_iter().map(|d| (DEFINITIONS, d));
    for (resource, object) in namespaces.into_iter().chain(definitions) {
        if let Some(kind) = store.kind_of(resource)
            && let Err(refusal) = write::create(&mut store, &kind, "", object, false)
        {
            tracing::error!(reason = refusal.message, "the embedded Kubernetes API failed to create a built-in object");
        }
    }
    store
}
