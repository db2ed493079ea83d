//! A tiny operator: for each `Greeting` it keeps a ConfigMap with the text, and an entry in the shared ConfigMap
//! `guestbook`. The first has an owner reference, the entry is removed by a finalizer.
//!
//! `cargo run -p tp-runner-systems --bin operator -- --help`
use clap::{Parser, ValueEnum};
use futures::StreamExt;
use k8s_openapi::{
    api::core::v1::ConfigMap, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{ApiResource, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::Object,
    runtime::{
        Controller,
        controller::Action,
        finalizer::{self, Event, finalizer},
        watcher,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, time::Duration};
use systems::{MainResult, announce};

const FINALIZER: &str = "example.com/guestbook";
const GUESTBOOK: &str = "guestbook";
const RETRY_DELAY: Duration = Duration::from_millis(500);
const ESTABLISH_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Options {
    /// The cluster; default: what kubectl would use.
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Where the Greetings are; it must exist.
    #[arg(long, default_value = "default")]
    namespace: String,
    /// A bug for the plan to find.
    #[arg(long)]
    bug: Option<Bug>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Bug {
    /// The ConfigMap has no owner reference.
    NoOwner,
    /// The entry in the guestbook stays when the Greeting is deleted.
    KeepsEntry,
    /// The phase is Ready a second before the ConfigMap exists.
    ReadyFirst,
}

type Greeting = Object<GreetingSpec, GreetingStatus>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct GreetingSpec {
    name: String,
    language: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct GreetingStatus {
    phase: String,
    message: String,
    observed_generation: i64,
}

struct Operator {
    greetings: Api<Greeting>,
    kind: ApiResource,
    config_maps: Api<ConfigMap>,
    bug: Option<Bug>,
}

#[tokio::main]
async fn main() -> MainResult {
    let options = Options::parse();
    // kube is built without a provider of its own
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = match options.kubeconfig.map(Kubeconfig::read_from).transpose()? {
        Some(file) => Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?,
        None => Config::infer().await?,
    };
    let address = config.cluster_url.to_string();
    let client = Client::try_from(config)?;
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("example.com", "v1", "Greeting"), "greetings");
    let greetings = Api::<Greeting>::namespaced_with(client.clone(), &options.namespace, &kind);
    install(client.clone(), &greetings).await?;
    let config_maps = Api::<ConfigMap>::namespaced(client, &options.namespace);
    let controller = Controller::new_with(greetings.clone(), watcher::Config::default(), kind.clone())
        // a ConfigMap that is changed or deleted is repaired
        .owns(config_maps.clone(), watcher::Config::default())
        .shutdown_on_signal();
    announce("operator", &format!("{address}, namespace {}", options.namespace));
    let operator = Arc::new(Operator { greetings, kind, config_maps, bug: options.bug });
    controller.run(reconcile, on_error, operator).for_each(|_| async {}).await;
    Ok(())
}

/// Creates the definition of Greeting if it is missing, and waits until the cluster serves it.
async fn install(client: Client, greetings: &Api<Greeting>) -> MainResult {
    let definition: CustomResourceDefinition = serde_json::from_str(include_str!("greetings.json"))?;
    match Api::<CustomResourceDefinition>::all(client).create(&PostParams::default(), &definition).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        created => drop(created?),
    }
    let served = async {
        while greetings.list(&ListParams::default().limit(1)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(ESTABLISH_TIMEOUT, served).await.map_err(|_| "the cluster does not serve Greetings")?;
    Ok(())
}

fn on_error(greeting: Arc<Greeting>, error: &finalizer::Error<kube::Error>, _: Arc<Operator>) -> Action {
    eprintln!("{}: {error}, will be retried", greeting.name_any());
    Action::requeue(RETRY_DELAY)
}

/// Adds the finalizer, and calls `apply` while the Greeting is wanted, and `clean_up` when it is being deleted.
async fn reconcile(greeting: Arc<Greeting>, operator: Arc<Operator>) -> Result<Action, finalizer::Error<kube::Error>> {
    finalizer(&operator.greetings, FINALIZER, greeting, |event| async {
        match event {
            Event::Apply(greeting) => operator.apply(&greeting).await,
            Event::Cleanup(greeting) => operator.clean_up(&greeting).await,
        }
    })
    .await
}

fn text(spec: &GreetingSpec) -> Option<String> {
    match spec.language.as_str() {
        "en" => Some(format!("Hello, {}!", spec.name)),
        "de" => Some(format!("Hallo, {}!", spec.name)),
        _ => None,
    }
}

impl Operator {
    async fn apply(&self, greeting: &Greeting) -> kube::Result<Action> {
        let name = greeting.name_any();
        let Some(text) = text(&greeting.spec) else {
            let message = format!("the language {} is not known", greeting.spec.language);
            self.write_status(greeting, "Failed", &message).await?;
            return Ok(Action::await_change());
        };
        if self.bug == Some(Bug::ReadyFirst) {
            self.write_status(greeting, "Ready", &text).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let owners = greeting.controller_owner_ref(&self.kind).filter(|_| self.bug != Some(Bug::NoOwner));
        let metadata = json!({ "name": name, "ownerReferences": owners.into_iter().collect::<Vec<_>>() });
        self.write(&name, json!({ "metadata": metadata, "data": { "text": text } })).await?;
        self.write(GUESTBOOK, json!({ "metadata": { "name": GUESTBOOK }, "data": { &name: text } })).await?;
        self.write_status(greeting, "Ready", &text).await?;
        Ok(Action::await_change())
    }

    /// Removes the entry. The ConfigMap is deleted by the cluster, because it has an owner.
    async fn clean_up(&self, greeting: &Greeting) -> kube::Result<Action> {
        let without = Patch::Merge(json!({ "data": { greeting.name_any(): Value::Null } }));
        if self.bug != Some(Bug::KeepsEntry) {
            match self.config_maps.patch(GUESTBOOK, &PatchParams::default(), &without).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                patched => drop(patched?),
            }
        }
        Ok(Action::await_change())
    }

    /// Merges these fields into a ConfigMap, or creates it.
    async fn write(&self, name: &str, fields: Value) -> kube::Result<()> {
        let new = serde_json::from_value(fields.clone()).map_err(kube::Error::SerdeError)?;
        loop {
            match self.config_maps.patch(name, &PatchParams::default(), &Patch::Merge(&fields)).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                patched => return patched.map(drop),
            }
            match self.config_maps.create(&PostParams::default(), &new).await {
                // that of another Greeting was first
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                created => return created.map(drop),
            }
        }
    }

    async fn write_status(&self, greeting: &Greeting, phase: &str, message: &str) -> kube::Result<()> {
        let observed_generation = greeting.metadata.generation.unwrap_or_default();
        let wanted = GreetingStatus { phase: phase.into(), message: message.into(), observed_generation };
        if greeting.status.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let patch = Patch::Merge(json!({ "status": wanted }));
        self.greetings.patch_status(&greeting.name_any(), &PatchParams::default(), &patch).await.map(drop)
    }
}
