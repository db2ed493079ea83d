//! The platform's Kubernetes client, with its timeouts and back-off.
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
    runtime::utils::Backoff as KubeBackoff,
};
use std::{path::Path, time::Duration};

/// Timeout of a request: longer than any working cluster needs, short enough to notice an unresponsive link.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("{}", error_chain(.0))]
    Kubeconfig(#[from] KubeconfigError),
    #[error("{}", error_chain(.0))]
    Kube(#[from] kube::Error),
    #[error("no response in time")]
    Timeout,
}

impl ClusterError {
    pub fn status(&self) -> Option<u16> {
        match self {
            ClusterError::Kube(kube::Error::Api(status)) => Some(status.code),
            _ => None,
        }
    }

    pub fn not_found(&self) -> bool {
        self.status() == Some(404)
    }
}

/// An error with its causes, each once: "error sending request" alone explains nothing.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

pub async fn client(kubeconfig: &Path, namespace: &str) -> Result<Client, ClusterError> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(file, &options).await?;
    config.connect_timeout = Some(Duration::from_secs(2));
    config.default_namespace = namespace.to_owned();
    // callers retry themselves; a retry here would only delay them
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Adds the timeout to a single request. Watches have none.
pub async fn with_timeout<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(ClusterError::Timeout),
    }
}

/// Like `with_timeout`, with `None` for 404.
pub async fn found<T>(request: impl Future<Output = kube::Result<T>>) -> Result<Option<T>, ClusterError> {
    match with_timeout(request).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates an object; `None` if another process created it first.
pub async fn create_if_absent<T>(request: impl Future<Output = kube::Result<T>>) -> Result<Option<T>, ClusterError> {
    match with_timeout(request).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.status() == Some(409) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Exponential back-off from 50 ms to 500 ms: recovery is noticed quickly without flooding the cluster.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    pub fn after(tries: u32) -> Duration {
        Duration::from_millis((25 << tries.min(5)).min(500))
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.tries += 1;
        Some(Backoff::after(self.tries))
    }
}

impl KubeBackoff for Backoff {
    fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_half_a_second_and_resets() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = backoff.by_ref().take(40).map(|wait| wait.as_millis()).collect();
        assert_eq!(&waits[..6], [50, 100, 200, 400, 500, 500]);
        assert_eq!(waits[39], 500);
        backoff.reset();
        assert_eq!(backoff.next().unwrap().as_millis(), 50);
    }
}
