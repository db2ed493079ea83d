//! What an environment says of a cluster, and the way from there to a client. Knows no verb of the plan.
use super::{Api, failure};
use crate::{
    executor::{ActionError, Body, RunInfo},
    expr::{Scope, Template},
    secrets::Secrets,
};
use http::{HeaderValue, header::USER_AGENT};
use kube::{
    Client, Config,
    config::{AuthInfo, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use secrecy::ExposeSecret;
use std::{path::PathBuf, time::Duration};

/// Of a kubeconfig: where it is, which of its contexts, and the namespace in place of the context's. Without any of them the usual
/// search: `KUBECONFIG`, `~/.kube/config`, the pod's service account.
#[derive(Default)]
pub struct Access {
    kubeconfig: Option<Template>,
    context: Option<Template>,
    namespace: Option<Template>,
    in_cluster: bool,
}

impl Access {
    /// The keys that `read` reads.
    pub const KEYS: [&str; 3] = ["kubeconfig", "context", "namespace"];

    /// The service account of the pod that the runner is in, and nothing else.
    pub fn in_cluster() -> Self {
        Access { in_cluster: true, ..Access::default() }
    }

    /// From a map whose keys are known to be right.
    pub fn read(body: &mut Body<'_>) -> Self {
        let [kubeconfig, context, namespace] = Self::KEYS.map(|k| body.template(k));
        Access { kubeconfig, context, namespace, in_cluster: false }
    }

    /// # Errors
    /// `Unreachable` with what is wrong with the kubeconfig, and what to do. Nothing is sent yet, but a credential plugin is run.
    pub async fn open(&self, run: &RunInfo, scope: &Scope) -> Result<Api, ActionError> {
        let text = |t: &Option<Template>| t.as_ref().map(|t| t.render_text(scope)).transpose();
        let (context, namespace) = (text(&self.context)?, text(&self.namespace)?);
        let path = text(&self.kubeconfig)?.map(|p| run.dir.join(expanded(&p)));
        let mut config = match found(path.as_ref(), self.in_cluster)? {
            Found::Pod => Config::incluster().map_err(|e| failure::of_pod(&e))?,
            Found::File(file, name) => chosen(*file, &name, context.as_deref()).await?,
        };
        // A retry would hide an answer of the product's; the engine sets deadlines and looks again.
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(10));
        config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("tp-runner/", env!("CARGO_PKG_VERSION")))));
        learn(&config.auth_info, scope.secrets());
        let plugin = plugin(&mut config.auth_info)?;
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let address = failure::without_credentials(&config.cluster_url.to_string());
        // It waits for a credential plugin.
        let built = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
        let client = built
            .map_err(|e| ActionError::Invalid(format!("the client of the cluster cannot be made: {e}")))?
            .map_err(|e| failure::of_credentials(&e, plugin.as_deref()))?;
        let mut flags = vec![];
        if let Some(path) = &path {
            flags.extend(["--kubeconfig".to_string(), path.display().to_string()]);
        }
        if let Some(context) = context {
            flags.extend(["--context".to_string(), context]);
        }
        Ok(Api { client, namespace, address, flags })
    }

    /// For reports.
    pub fn address(&self) -> String {
        let part = |t: &Option<Template>, what: &str| t.as_ref().map(|t| format!("{what} {}", t.source()));
        let parts =
            [part(&self.kubeconfig, "kubeconfig"), part(&self.context, "context"), part(&self.namespace, "namespace")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match (self.in_cluster, parts.is_empty()) {
            (true, _) => "the cluster that the runner is in".into(),
            (_, true) => "the current context of kubectl".into(),
            _ => parts.join(", "),
        }
    }
}

enum Found {
    Pod,
    /// With its name for people.
    File(Box<Kubeconfig>, String),
}

fn found(path: Option<&PathBuf>, in_cluster: bool) -> Result<Found, ActionError> {
    if in_cluster {
        return Ok(Found::Pod);
    }
    let (read, name) = match path {
        Some(path) => (Kubeconfig::read_from(path), format!("the kubeconfig `{}`", path.display())),
        None => (Kubeconfig::read(), "kubectl's configuration".to_string()),
    };
    match read {
        Ok(file) => Ok(Found::File(Box::new(file), name)),
        Err(KubeconfigError::ReadConfig(e, _)) if path.is_none() && e.kind() == std::io::ErrorKind::NotFound => {
            if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
                Ok(Found::Pod)
            } else {
                Err(failure::nowhere())
            }
        }
        Err(KubeconfigError::FindPath) if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => Ok(Found::Pod),
        Err(KubeconfigError::FindPath) => Err(failure::nowhere()),
        Err(e) => Err(failure::of_file(&e, path)),
    }
}

/// The configuration of one context. What it names and the file lacks is said before anything is built from it.
async fn chosen(file: Kubeconfig, name: &str, context: Option<&str>) -> Result<Config, ActionError> {
    let contexts: Vec<&str> = file.contexts.iter().map(|c| c.name.as_str()).collect();
    let current = file.current_context.as_deref().filter(|c| !c.is_empty());
    let Some(wanted) = context.or(current) else {
        return Err(failure::no_context(name, &contexts));
    };
    let Some(at) = file.contexts.iter().find(|c| c.name == wanted).and_then(|c| c.context.as_ref()) else {
        return Err(failure::lacks(name, "context", wanted, &contexts));
    };
    let clusters: Vec<&str> = file.clusters.iter().map(|c| c.name.as_str()).collect();
    if !clusters.contains(&at.cluster.as_str()) {
        return Err(failure::lacks(&format!("{name}, in context `{wanted}`,"), "cluster", &at.cluster, &clusters));
    }
    let users: Vec<&str> = file.auth_infos.iter().map(|u| u.name.as_str()).collect();
    if let Some(user) = at.user.as_deref().filter(|u| !users.contains(u)) {
        return Err(failure::lacks(&format!("{name}, in context `{wanted}`,"), "user", user, &users));
    }
    let cluster = file.clusters.iter().find(|c| c.name == at.cluster).and_then(|c| c.cluster.as_ref());
    let user = file.auth_infos.iter().find(|u| Some(&u.name) == at.user.as_ref()).and_then(|u| u.auth_info.as_ref());
    let files = [
        ("certificate authority", cluster.and_then(|c| c.certificate_authority.as_ref())),
        ("client certificate", user.and_then(|u| u.client_certificate.as_ref())),
        ("client key", user.and_then(|u| u.client_key.as_ref())),
    ];
    for (what, path) in files {
        if let Some(Err(e)) = path.map(std::fs::File::open) {
            return Err(failure::of_part(what, path.map_or("", String::as_str), &e));
        }
    }
    let options = KubeConfigOptions { context: Some(wanted.to_string()), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &options).await.map_err(|e| failure::of_context(&e, name))
}

/// What would let anybody else in is masked from here on.
fn learn(user: &AuthInfo, secrets: &Secrets) {
    for (name, secret) in
        [("k8s-token", &user.token), ("k8s-password", &user.password), ("k8s-client-key", &user.client_key_data)]
    {
        if let Some(secret) = secret {
            secrets.add(name, secret.expose_secret());
        }
    }
    let provided = user.auth_provider.iter().flat_map(|p| &p.config);
    for (name, value) in provided.filter(|(k, _)| k.contains("token") || k.contains("secret")) {
        secrets.add(&format!("k8s-{name}"), value);
    }
}

/// The program that is asked for credentials. It must not ask people: nobody sits before a run.
fn plugin(user: &mut AuthInfo) -> Result<Option<String>, ActionError> {
    let Some(exec) = &mut user.exec else { return Ok(None) };
    let program = exec.command.clone().unwrap_or_default();
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        return Err(ActionError::Unreachable(format!(
            "the credential plugin `{program}` wants to ask somebody (`interactiveMode: Always`), and nobody sits before a run; use \
             a token or a service account"
        )));
    }
    exec.interactive_mode = Some(ExecInteractiveMode::Never);
    Ok(Some(exec.install_hint.as_ref().map_or(program.clone(), |hint| format!("{program}\n{}", hint.trim()))))
}

fn expanded(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().map_or_else(|| PathBuf::from(path), |home| home.join(rest)),
        None => PathBuf::from(path),
    }
}
