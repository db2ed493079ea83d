//! Session and Template (`stream.space/v1alpha1`) as the platform reads and writes them, and the names and labels that go
//! with them. It must not know what anybody does with them.
use kube::{api::ObjectMeta, core::NamespaceResourceScope};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use std::{borrow::Cow, collections::BTreeMap};

pub const GROUP: &str = "stream.space";
pub const VERSION: &str = "v1alpha1";
pub const USER_LABEL: &str = "streamspace.io/user";
pub const TEMPLATE_LABEL: &str = "streamspace.io/template";
/// What belongs to a session carries this label with its name.
pub const SESSION_LABEL: &str = "session";
pub const APP: &str = "streamspace-session";

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Session {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    #[serde(deserialize_with = "as_far_as_it_goes")]
    pub spec: SessionSpec,
    #[serde(deserialize_with = "as_far_as_it_goes", skip_serializing_if = "Option::is_none")]
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
    #[serde(deserialize_with = "as_far_as_it_goes")]
    pub spec: TemplateSpec,
    #[serde(deserialize_with = "as_far_as_it_goes", skip_serializing_if = "Option::is_none")]
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

/// An object of the wrong shape is an empty one here. As an error it would break the watch that brought it, and with that hide
/// all the others.
fn as_far_as_it_goes<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
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

    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    pub fn going(&self) -> bool {
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
    /// Limits equal to requests.
    pub fn exactly(cpu: &str, memory: &str) -> Resources {
        let requests: BTreeMap<_, _> =
            [("cpu".to_owned(), cpu.to_owned()), ("memory".to_owned(), memory.to_owned())].into();
        Resources { limits: requests.clone(), requests }
    }
}

/// Label values end at 63 characters, names do not.
pub fn label(value: &str) -> String {
    let cut: String = value.chars().take(63).collect();
    cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// `<user>-<template>-<8 hex>`: fit for a DNS label with room for a prefix, and so for the label `session`.
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
    fn names_fit_a_dns_label_whatever_they_are_made_of() {
        assert_eq!(session_name("admin", "firefox", 0xab), "admin-firefox-000000ab");
        for name in [session_name("Ann.Lee@x", &"t".repeat(300), u32::MAX), session_name("-a", &"-".repeat(80), 7)] {
            assert!(name.len() <= 60, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
            assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
        }
    }

    #[test]
    fn an_object_of_the_wrong_shape_hides_no_other() {
        for odd in [r#"{"spec":{"user":7},"status":[]}"#, r#"{"spec":null}"#, "{}"] {
            let session: Session = serde_json::from_str(odd).unwrap();
            assert_eq!((session.spec.user.as_str(), session.phase()), ("", ""));
        }
    }

    #[test]
    fn a_label_ends_with_a_letter_or_digit_within_63() {
        assert_eq!(label("short"), "short");
        assert_eq!(label(&format!("{}-b", "a".repeat(62))), "a".repeat(62));
    }
}
