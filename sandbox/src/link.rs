//! The platform's way to its cluster: one client, how long it waits, how it comes back. It must not know what is asked.
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::utils::Backoff,
};
use std::{path::Path, time::Duration};

/// Longer than any answer of a cluster that answers; short enough that a link which swallows everything is noticed.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("{}", chain(.0))]
    Kube(#[from] kube::Error),
    #[error("no answer in time")]
    Silent,
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

/// "error sending request" alone tells nobody anything.
pub fn chain(error: &dyn std::error::Error) -> String {
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

pub async fn client(kubeconfig: &Path, namespace: &str) -> Result<Client, String> {
    let file = Kubeconfig::read_from(kubeconfig).map_err(|error| chain(&error))?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(file, &options).await.map_err(|error| chain(&error))?;
    config.connect_timeout = Some(Duration::from_secs(2));
    config.default_namespace = namespace.to_owned();
    // a retry would make callers wait; whoever wants to try again does so itself
    config.default_retry = false;
    Client::try_from(config).map_err(|error| chain(&error))
}

/// Every single request goes through here; watches do not, they may last.
pub async fn soon<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ClusterError::Silent),
    }
}

/// The same, for an object that need not be there.
pub async fn found<T>(request: impl Future<Output = kube::Result<T>>) -> Result<Option<T>, ClusterError> {
    match soon(request).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Soon at first, then twice a second: whoever comes back is noticed at once, whoever is away is not hammered.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    tries: u32,
}

impl Patience {
    pub fn after(tries: u32) -> Duration {
        Duration::from_millis((25 << tries.min(5)).min(500))
    }
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.tries += 1;
        Some(Patience::after(self.tries))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_to_half_a_second_and_starts_anew() {
        let mut patience = Patience::default();
        let waits: Vec<_> = patience.by_ref().take(40).map(|wait| wait.as_millis()).collect();
        assert_eq!(&waits[..6], [50, 100, 200, 400, 500, 500]);
        assert_eq!(waits[39], 500);
        patience.reset();
        assert_eq!(patience.next().unwrap().as_millis(), 50);
    }
}
