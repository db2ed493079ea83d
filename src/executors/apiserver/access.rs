//! Reads the access settings of a target, and builds a client from them.
use super::{ApiClient, connect_error};
use crate::{
    executor::{ActionError, Body, RunInfo, limits},
    expr::{Scope, Template},
    file,
    language::{Key, Shape},
    secrets::Secrets,
};
use http::{HeaderValue, header::USER_AGENT};
use kube::{
    Client, Config,
    config::{AuthInfo, ExecConfig, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use secrecy::ExposeSecret;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The path of a kubeconfig, one of its contexts, and a namespace that replaces the context's; all optional. The
/// default is kubectl's search order: `KUBECONFIG`, `~/.kube/config`, the pod's service account.
pub struct AccessSpec {
    kubeconfig: Option<Template>,
    context: Option<Template>,
    namespace: Option<Template>,
    in_cluster: bool,
    /// How many bytes of a response are read.
    limit: usize,
}

impl Default for AccessSpec {
    fn default() -> Self {
        let (kubeconfig, context, namespace) = (None, None, None);
        AccessSpec { kubeconfig, context, namespace, in_cluster: false, limit: limits::CLUSTER_BYTES }
    }
}

impl AccessSpec {
    /// The keys that `compile` reads.
    pub const KEYS: [Key; 4] = [
        Key::new("kubeconfig", Shape::Path).means("the kubeconfig; default: what kubectl would use"),
        Key::new("context", Shape::Name).means("the context of the kubeconfig"),
        Key::new("namespace", Shape::Name).means("the default namespace"),
        Key::new("limit", Shape::Size).means("how large a response may be"),
    ];

    /// Only the service account of the pod that the runner is in.
    pub fn in_cluster() -> Self {
        AccessSpec { in_cluster: true, ..AccessSpec::default() }
    }

    /// Reads `KEYS` from a map whose keys have been checked.
    pub fn compile(body: &mut Body<'_>, default_limit: usize) -> Self {
        let [kubeconfig, context, namespace] = ["kubeconfig", "context", "namespace"].map(|k| body.template(k));
        AccessSpec { kubeconfig, context, namespace, in_cluster: false, limit: body.limit(default_limit) }
    }

    /// Builds the client. Sends nothing yet, but runs a credential plugin.
    ///
    /// # Errors
    /// `Unreachable` with the problem in the kubeconfig, and what to do.
    pub async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<ApiClient, ActionError> {
        let render = |t: &Option<Template>| t.as_ref().map(|t| t.render_text(scope)).transpose();
        let (context, namespace) = (render(&self.context)?, render(&self.namespace)?);
        let path = render(&self.kubeconfig)?.map(|p| run.dir.join(expand_home(&p)));
        let mut config = match find_credentials(path.as_ref(), self.in_cluster)? {
            CredentialSource::Pod => Config::incluster().map_err(|e| connect_error::not_in_cluster(&e))?,
            CredentialSource::File(file, name) => context_config(*file, &name, context.as_deref()).await?,
        };
        // A retry would hide an error response of the product; the engine sets deadlines and repeats attempts.
        config.default_retry = false;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.headers.push((USER_AGENT, HeaderValue::from_static(concat!("tp-runner/", env!("CARGO_PKG_VERSION")))));
        mask_credentials(&config.auth_info, scope.secrets());
        let plugin = forbid_prompts(&mut config.auth_info)?;
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        scope.secrets().add_ordinary(&namespace);
        let address = connect_error::without_credentials(&config.cluster_url.to_string());
        // Blocks while a credential plugin runs.
        let built = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
        let client = built
            .map_err(|e| ActionError::Invalid(format!("cannot create a client for the cluster: {e}")))?
            .map_err(|e| connect_error::credentials_failed(&e, plugin.as_ref()))?;
        let mut kubectl_flags = vec![];
        if let Some(path) = &path {
            kubectl_flags.extend(["--kubeconfig".to_string(), path.display().to_string()]);
        }
        if let Some(context) = context {
            kubectl_flags.extend(["--context".to_string(), context]);
        }
        let secrets = scope.secrets().clone();
        Ok(ApiClient { client, namespace, address, kubectl_flags, limit: self.limit, secrets })
    }

    /// The description for reports.
    pub fn address(&self, scope: &Scope) -> String {
        let values = [&self.kubeconfig, &self.context, &self.namespace];
        let given = Self::KEYS
            .iter()
            .zip(values)
            .filter_map(|(key, t)| Some(format!("{} {}", key.name, t.as_ref()?.render_known(scope))));
        let given = given.collect::<Vec<_>>().join(", ");
        match (self.in_cluster, given.is_empty()) {
            (true, _) => "the cluster that the runner is in".into(),
            (_, true) => "the current context of kubectl".into(),
            _ => given,
        }
    }
}

enum CredentialSource {
    Pod,
    /// With its name for messages.
    File(Box<Kubeconfig>, String),
}

fn find_credentials(path: Option<&PathBuf>, in_cluster: bool) -> Result<CredentialSource, ActionError> {
    if in_cluster {
        return Ok(CredentialSource::Pod);
    }
    let (read, name) = match path {
        Some(path) => (read_kubeconfig(path), format!("kubeconfig `{}`", path.display())),
        None => (Kubeconfig::read(), "kubectl's configuration".to_string()),
    };
    let is_missing = |e: &KubeconfigError| match e {
        KubeconfigError::ReadConfig(e, _) => path.is_none() && e.kind() == std::io::ErrorKind::NotFound,
        e => matches!(e, KubeconfigError::FindPath),
    };
    match read {
        Ok(file) => Ok(CredentialSource::File(Box::new(file), name)),
        Err(e) if !is_missing(&e) => Err(connect_error::invalid_kubeconfig(&e, &name)),
        Err(_) if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => Ok(CredentialSource::Pod),
        Err(_) => Err(connect_error::no_kubeconfig()),
    }
}

fn read_kubeconfig(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    // the library reads without a limit
    file::read(path, file::MAX_FILE_BYTES).map_err(|e| KubeconfigError::ReadConfig(e, path.to_path_buf()))?;
    Kubeconfig::read_from(path)
}

/// The configuration of one context. Checks the names and files in it first, because kube's own messages do not name
/// the kubeconfig.
async fn context_config(file: Kubeconfig, name: &str, context: Option<&str>) -> Result<Config, ActionError> {
    let contexts: Vec<&str> = file.contexts.iter().map(|c| c.name.as_str()).collect();
    let current = file.current_context.as_deref().filter(|c| !c.is_empty());
    let Some(wanted) = context.or(current) else {
        return Err(connect_error::no_current_context(name, &contexts));
    };
    let Some(entry) = file.contexts.iter().find(|c| c.name == wanted).and_then(|c| c.context.as_ref()) else {
        return Err(connect_error::unknown_entry(name, "context", wanted, &contexts));
    };
    let owner = format!("{name}, context `{wanted}`");
    let clusters: Vec<&str> = file.clusters.iter().map(|c| c.name.as_str()).collect();
    if !clusters.contains(&entry.cluster.as_str()) {
        return Err(connect_error::unknown_entry(&owner, "cluster", &entry.cluster, &clusters));
    }
    let users: Vec<&str> = file.auth_infos.iter().map(|u| u.name.as_str()).collect();
    if let Some(user) = entry.user.as_deref().filter(|u| !users.contains(u)) {
        return Err(connect_error::unknown_entry(&owner, "user", user, &users));
    }
    let cluster = file.clusters.iter().find(|c| c.name == entry.cluster).and_then(|c| c.cluster.as_ref());
    let user = file.auth_infos.iter().find(|u| Some(&u.name) == entry.user.as_ref());
    let user = user.and_then(|u| u.auth_info.as_ref());
    let files = [
        ("certificate authority", cluster.and_then(|c| c.certificate_authority.as_ref())),
        ("client certificate", user.and_then(|u| u.client_certificate.as_ref())),
        ("client key", user.and_then(|u| u.client_key.as_ref())),
    ];
    for (what, path) in files {
        if let Some(Err(e)) = path.map(std::fs::File::open) {
            return Err(connect_error::unreadable_file(what, path.map_or("", String::as_str), &e));
        }
    }
    let options = KubeConfigOptions { context: Some(wanted.to_string()), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &options).await.map_err(|e| connect_error::unusable_context(&e, name))
}

fn mask_credentials(user: &AuthInfo, secrets: &Secrets) {
    for (name, secret) in
        [("k8s-token", &user.token), ("k8s-password", &user.password), ("k8s-client-key", &user.client_key_data)]
    {
        if let Some(secret) = secret {
            secrets.add(name, secret.expose_secret());
        }
    }
    let provider = user.auth_provider.iter().flat_map(|p| &p.config);
    for (name, value) in provider.filter(|(k, _)| k.contains("token") || k.contains("secret")) {
        secrets.add(&format!("k8s-{name}"), value);
    }
}

/// Makes the credential plugin non-interactive, because a run is unattended. Returns the plugin for messages.
fn forbid_prompts(user: &mut AuthInfo) -> Result<Option<ExecConfig>, ActionError> {
    let Some(exec) = &mut user.exec else { return Ok(None) };
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) {
        let program = exec.command.as_deref().unwrap_or_default();
        return Err(ActionError::Unreachable(format!(
            "the credential plugin `{program}` is interactive (`interactiveMode: Always`), but a run is unattended; use a token \
             or a service account"
        )));
    }
    exec.interactive_mode = Some(ExecInteractiveMode::Never);
    Ok(Some(exec.clone()))
}

fn expand_home(path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().map_or_else(|| PathBuf::from(path), |home| home.join(rest)),
        None => PathBuf::from(path),
    }
}
