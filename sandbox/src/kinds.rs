//! Session and Template (`stream.space/v1alpha1`), with their names and labels.
use kube::{api::ObjectMeta, core::NamespaceResourceScope};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use std::{borrow::Cow, collections::BTreeMap};

pub const GROUP: &str = "stream.space";
pub const VERSION: &str = "v1alpha1";
pub const USER_LABEL: &str = "streamspace.io/user";
pub const TEMPLATE_LABEL: &str = "streamspace.io/template";
/// Label of everything that belongs to a session; its value is the session's name.
pub const SESSION_LABEL: &str = "session";
pub const APP: &str = "streamspace-session";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Session {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "or_default")]
    pub spec: SessionSpec,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub status: Option<SessionStatus>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionSpec {
    pub user: String,
    pub template: String,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_home: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_session_duration: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    pub requests: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "or_default")]
    pub spec: TemplateSpec,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Option::is_none")]
    pub status: Option<TemplateStatus>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TemplateSpec {
    pub display_name: String,
    pub base_image: String,
    pub default_resources: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateStatus {
    pub valid: Option<bool>,
    pub message: Option<String>,
}

/// Deserialises a value of the wrong shape as the default. An error would break the watch and hide all other objects.
fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    let any = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(any).unwrap_or_default())
}

macro_rules! resource {
    ($type:ident, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($type).into()
            }
            fn group((): &()) -> Cow<'_, str> {
                GROUP.into()
            }
            fn version((): &()) -> Cow<'_, str> {
                VERSION.into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
resource!(Session, "sessions");
resource!(Template, "templates");

impl Session {
    pub fn new(name: &str, spec: SessionSpec) -> Session {
        let labels = [(USER_LABEL, &spec.user), (TEMPLATE_LABEL, &spec.template)];
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), label(value))).collect();
        Session {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: "Session".into(),
            metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
            spec,
            status: None,
        }
    }

    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The resource version, which grows with each change.
    pub fn version(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref()?.parse().ok()
    }

    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    pub fn phase(&self) -> &str {
        self.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
    }

    pub fn request(&self, resource: &str) -> Option<&str> {
        self.spec.resources.as_ref()?.requests.get(resource).map(String::as_str)
    }
}

impl Resources {
    /// Sets limits equal to requests.
    pub fn equal(cpu: &str, memory: &str) -> Resources {
        let requests: BTreeMap<_, _> =
            [("cpu".to_owned(), cpu.to_owned()), ("memory".to_owned(), memory.to_owned())].into();
        Resources { limits: requests.clone(), requests }
    }
}

/// Truncates to a valid label value: 63 characters, ending with a letter or digit.
pub fn label(value: &str) -> String {
    let cut: String = value.chars().take(63).collect();
    cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// `<user>-<template>-<8 hex>`: at most 60 characters, so that a prefixed name is still a DNS label.
pub fn session_name(user: &str, template: &str, random: u32) -> String {
    let base: String = format!("{user}-{template}")
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(51)
        .collect();
    format!("{}-{random:08x}", base.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_dns_labels() {
        assert_eq!(session_name("admin", "firefox", 0xab), "admin-firefox-000000ab");
        for name in [session_name("Ann.Lee@x", &"t".repeat(300), u32::MAX), session_name("-a", &"-".repeat(80), 7)] {
            assert!(name.len() <= 60, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
            assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
        }
    }

    #[test]
    fn malformed_objects_become_defaults() {
        for odd in [r#"{"spec":{"user":7},"status":[]}"#, r#"{"spec":null}"#, "{}"] {
            let session: Session = serde_json::from_str(odd).unwrap();
            assert_eq!((session.spec.user.as_str(), session.phase()), ("", ""));
        }
    }

    #[test]
    fn truncates_labels_to_63_characters() {
        assert_eq!(label("short"), "short");
        assert_eq!(label(&format!("{}-b", "a".repeat(62))), "a".repeat(62));
    }
}
