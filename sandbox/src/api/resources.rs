//! The resources that a request may contain, and the platform's defaults.
use serde::Deserialize;

pub const DEFAULT_CPU: &str = "1000m";
pub const DEFAULT_MEMORY: &str = "2Gi";

#[derive(Deserialize, Default)]
pub struct RequestedResources {
    pub cpu: Option<String>,
    pub memory: Option<String>,
}
