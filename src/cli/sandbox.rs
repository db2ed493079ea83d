//! Starts the sandbox: the platform, the embedded cluster, relays that can be cut, the control API
//! for them, and the environment file with all addresses. Used by `run`, `doctor`, `prove` and
//! `sandbox`.
use super::{
    args::{self, SandboxArgs},
    exit,
    failure::Failure,
    files::IncludedFiles,
    plans, print,
    signals::Signals,
};
use crate::{
    executor::Registry,
    file::write_private,
    journal::lock::Lock,
    plan::Environment,
    relay::{FaultMode, Relay},
    source::Source,
};
use axum::{
    Json, Router,
    extract::{Path as Segments, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use std::{fs::Permissions, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, sync::Arc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tp_runner_sandbox::{self as sandbox, Database, DatabaseSwitch, Sandbox, cluster, defect::Defect};

/// A running sandbox with all its parts.
pub struct Platform {
    sandbox: Sandbox,
    cluster: Option<cluster::Cluster>,
    links: Arc<Links>,
    control: CancellationToken,
    control_address: SocketAddr,
    admin_password: String,
    parts: SandboxArgs,
    /// Tables, log and kubeconfigs; removed on drop.
    folder: tempfile::TempDir,
    /// Says that the folder is in use.
    _lock: Option<Lock>,
}

/// The connections that the control API can cut.
struct Links {
    token: String,
    cluster: Link,
    database: Link,
}

enum Link {
    Relay(Relay),
    /// SQLite has no connection to cut: the platform's store is closed instead.
    Switch(DatabaseSwitch),
}

impl Link {
    fn cut(&self) {
        match self {
            Link::Relay(relay) => relay.start_fault(FaultMode::Cut),
            Link::Switch(switch) => switch.cut(),
        }
    }

    /// Ends a cut. Returns the number of refused connections.
    fn heal(&self) -> u64 {
        match self {
            Link::Relay(relay) => {
                let refused = relay.affected_connections(FaultMode::Cut);
                relay.stop_fault(FaultMode::Cut);
                refused
            }
            Link::Switch(switch) => {
                let refused = switch.refused();
                switch.heal();
                refused
            }
        }
    }

    async fn shutdown(self) {
        if let Link::Relay(relay) = self {
            relay.shutdown().await;
        }
    }
}

const FOLDER_PREFIX: &str = "tp-runner-sandbox-";
const LOCK: &str = "lock";

/// Removes the folders of sandboxes that were killed: their lock is free.
fn remove_stale_folders() {
    let folders = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for folder in folders.filter(|f| f.file_name().to_string_lossy().starts_with(FOLDER_PREFIX)) {
        let lock = folder.path().join(LOCK);
        // one without a lock file is being created
        if lock.is_file() && matches!(Lock::take(&lock), Ok(Some(_))) {
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl Platform {
    pub async fn start(parts: &SandboxArgs, listen: SocketAddr) -> Result<Platform, Error> {
        remove_stale_folders();
        let folder = tempfile::Builder::new()
            .prefix(FOLDER_PREFIX)
            // it holds credentials of the cluster and the database
            .permissions(Permissions::from_mode(0o700))
            .tempdir()?;
        // locked before it has its name, so that no other process finds it free
        let unnamed = folder.path().join("new-lock");
        let lock = Lock::take(&unnamed)?;
        std::fs::rename(unnamed, folder.path().join(LOCK))?;
        let secret = || uuid::Uuid::new_v4().simple().to_string();

        // The platform connects to the cluster through a relay, the runner directly.
        let cluster_relay = Relay::bind(([127, 0, 0, 1], 0).into()).await?;
        let (cluster, runner_config, platform_config) = match &parts.kubeconfig {
            None => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let options = cluster::Options { token: secret(), ..cluster::Options::default() };
                let served = cluster::serve(listener, options).await;
                cluster_relay.set_upstream(served.address());
                let direct = served.kubeconfig(&format!("http://{}", served.address()));
                let relayed = served.kubeconfig(&format!("http://{}", cluster_relay.address()));
                (Some(served), direct, relayed)
            }
            Some(file) => {
                let text =
                    crate::file::read_text(file).map_err(|e| format!("cannot read `{}`: {e}", file.display()))?;
                let (relayed, upstream) = relayed_kubeconfig(&text, cluster_relay.address())?;
                cluster_relay.set_upstream(resolve(&upstream, "cluster").await?);
                (None, text, relayed)
            }
        };
        let platform_kubeconfig = folder.path().join("platform-kubeconfig");
        write_private(&folder.path().join("kubeconfig"), |out| out.write_all(runner_config.as_bytes()))?;
        write_private(&platform_kubeconfig, |out| out.write_all(platform_config.as_bytes()))?;

        // The platform connects to PostgreSQL through a relay, too.
        let (database, database_relay) = match &parts.database {
            None => (Database::Sqlite(folder.path().join("platform.db")), None),
            Some(url) => {
                let relay = Relay::bind(([127, 0, 0, 1], 0).into()).await?;
                let (relayed, upstream) = relayed_database(url, relay.address())?;
                relay.set_upstream(resolve(&upstream, "database").await?);
                (Database::Postgres(relayed), Some(relay))
            }
        };

        let defects = parts.defect.iter().map(|name| name.parse()).collect::<Result<Vec<Defect>, _>>()?;
        let admin_password = secret();
        let sandbox = sandbox::start(sandbox::Options {
            database,
            kubeconfig: platform_kubeconfig,
            namespace: "streamspace".into(),
            listen,
            admin_password: admin_password.clone(),
            log_file: folder.path().join("platform.log"),
            defects: defects.into_iter().collect(),
            as_built: parts.as_built,
            quota: parts.quota(),
            variations: parts.variation.clone(),
            delays: parts.delays.clone().unwrap_or_default(),
        })
        .await?;
        let database = database_relay.map_or_else(|| Link::Switch(sandbox.database_switch()), Link::Relay);
        let links = Arc::new(Links { token: secret(), cluster: Link::Relay(cluster_relay), database });
        let control = CancellationToken::new();
        let control_address = serve_control(links.clone(), control.clone()).await?;
        let parts = parts.clone();
        Ok(Platform { sandbox, cluster, links, control, control_address, admin_password, parts, folder, _lock: lock })
    }

    /// The environment with the addresses of this sandbox.
    pub fn environment(&self, registry: &Registry) -> Result<Environment, Failure> {
        let text = self.environment_text("sandbox");
        let source = Arc::new(Source::new("the sandbox's environment", text));
        let (environments, problems) = plans::read_environments(&source, &IncludedFiles::default(), registry);
        match environments.map(|e| e.all) {
            Some(mut all) if problems.errors() == 0 && !all.is_empty() => Ok(all.remove(0)),
            _ => Err(plans::invalid(&problems)),
        }
    }

    fn store(&self) -> &'static str {
        if self.parts.database.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    /// What the sandbox consists of, in words.
    fn about(&self) -> String {
        let as_built = if self.parts.as_built { ", as StreamSpace is built today," } else { "" };
        let kubernetes = if self.cluster.is_some() { "the embedded Kubernetes API" } else { "an external cluster" };
        let mut about = format!(
            "the embedded reference platform{as_built} on {} and {kubernetes}; no deployment was tested",
            self.store()
        );
        if self.parts.database.is_none() {
            about.push_str("; `database-down` closes the platform's store, as SQLite has no connection to cut");
        }
        if !self.parts.defect.is_empty() {
            about.push_str(&format!("; defects: {}", self.parts.defect.join(", ")));
        }
        if let Some(delays) = &self.parts.delays {
            about.push_str(&format!("; random delays: {delays}"));
        }
        about
    }

    /// An environment file that defines one environment, with the addresses of this sandbox.
    fn environment_text(&self, name: &str) -> String {
        let SandboxArgs { database, as_built, .. } = &self.parts;
        // cases that ran side by side would take each other's places
        let jobs = if self.parts.quota().is_some() { "    jobs: 1\n" } else { "" };
        let quoted = |s: &str| serde_json::Value::from(s).to_string();
        let path = |file: &str| self.folder().join(file).display().to_string();
        // the platform answers most requests without its cluster, so that probe uses the platform's own connection to it
        let database_probe =
            "http: { request: GET /api/v1/sessions }, target: api, timeout: 5s, expect: { status: 200 }";
        let cluster_probe = "k8s: { list: templates.stream.space }, target: platform-cluster, timeout: 5s, expect: { items: { $type: list } }";
        let fault = |name: &str, link: &str, probe: &str| {
            let verb = |what: &str| {
                format!("{{ request: POST /faults/{link}/{what} }}, target: control, expect: {{ status: 200 }}")
            };
            format!(
                "      {name}:\n        do: [ {{ http: {} }} ]\n        heal: [ {{ http: {}, as: healed }} ]\n        refused: healed.body.refused\n        probe: [ {{ {probe} }} ]\n",
                verb("cut"),
                verb("heal")
            )
        };
        format!(
            r#"# Written by `tp-runner sandbox`: the addresses of its parts while it runs. The secrets are valid only until it stops.
default: {name}
environments:
  {name}:
    about: {about}
    notice: {notice}
    versions: {{ sandbox: {version}, store: {store}, kubernetes: {kubernetes} }}
    secrets: {{ password: {password}, control_token: {token}{database_password} }}
    targets:
      api:
        http: {api}
{api_options}      cluster: {{ k8s: {{ kubeconfig: {kubeconfig}, namespace: streamspace }} }}
      platform-cluster: {{ k8s: {{ kubeconfig: {platform_kubeconfig}, namespace: streamspace }} }}
      database: {{ db: {database} }}
      inbox: {{ webhook: "127.0.0.1:0", signature: {{ header: X-StreamSpace-Signature, scheme: hmac-sha256-hex }} }}
      platform-log: {{ logs: {{ file: {log_file} }} }}
      control: {{ http: {control}, headers: {{ Authorization: "Bearer ${{control_token}}" }} }}
{setup}{jobs}    on_failure:
      - logs: {{ tail: 20 }}
        target: platform-log
    faults:
{database_down}{cluster_unreachable}"#,
            about = quoted(&self.about()),
            version = quoted(env!("CARGO_PKG_VERSION")),
            store = quoted(self.store()),
            kubernetes = if self.cluster.is_some() { "embedded" } else { "external" },
            password = quoted(&self.admin_password),
            database_password = database
                .as_ref()
                .and_then(|url| reqwest::Url::parse(url).ok())
                .and_then(|u| u.password().map(|p| format!(", database_password: {}", quoted(p))))
                .unwrap_or_default(),
            token = quoted(&self.links.token),
            notice = quoted(if *as_built { AS_BUILT_NOTICE } else { NOTICE }),
            api = quoted(&self.sandbox.api()),
            api_options = if *as_built { AS_BUILT_API_OPTIONS } else { API_OPTIONS },
            setup = if *as_built { "" } else { SETUP },
            kubeconfig = quoted(&path("kubeconfig")),
            platform_kubeconfig = quoted(&path("platform-kubeconfig")),
            database = quoted(database.as_ref().unwrap_or(&path("platform.db"))),
            log_file = quoted(&path("platform.log")),
            control = quoted(&format!("http://{}", self.control_address)),
            database_down = fault("database-down", "database", database_probe),
            cluster_unreachable = fault("cluster-unreachable", "cluster", cluster_probe),
        )
    }

    /// The folder of the sandbox's files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn shutdown(self) {
        self.control.cancel();
        self.sandbox.shutdown().await;
        if let Some(cluster) = self.cluster {
            cluster.shutdown().await;
        }
        if let Ok(links) = Arc::try_unwrap(self.links).map_err(drop) {
            links.cluster.shutdown().await;
            links.database.shutdown().await;
        }
    }
}

/// `sandbox`: runs in the foreground until Ctrl-C.
pub async fn command(args: args::Sandbox) -> Result<u8, Failure> {
    let failed = |e: Error| Failure::unreachable(format!("error: cannot start the sandbox: {e}"));
    // Installed before the start: a signal must not leave files behind.
    let mut signals = Signals::install()?;
    let platform = Platform::start(&args.sandbox, args.listen).await.map_err(failed)?;
    if let Some(file) = &args.env_file {
        let text = platform.environment_text(STANDING);
        write_private(file, |out| out.write_all(text.as_bytes()))
            .map_err(|e| failed(format!("cannot write `{}`: {e}", file.display()).into()))?;
    }
    print::out(format_args!("{}\n", platform.about()));
    print::out(format_args!("api:        {}\n", platform.sandbox.api()));
    let folder = platform.folder();
    print::out(format_args!("kubeconfig: {}\n", folder.join("kubeconfig").display()));
    match &args.sandbox.database {
        None => print::out(format_args!("database:   {}\n", folder.join("platform.db").display())),
        Some(_) => print::out(format_args!("database:   as given with --database\n")),
    }
    print::out(format_args!("log:        {}\n", platform.sandbox.log_file().display()));
    if let Some(file) = &args.env_file {
        print::out(format_args!(
            "from another terminal: tp-runner run TP-004 --config {} --env {STANDING}\n",
            file.display()
        ));
    }
    print::out(format_args!("Ctrl-C stops the sandbox\n"));
    signals.recv().await;
    platform.shutdown().await;
    Ok(exit::SUCCESS)
}

/// Name of the environment in the file that `sandbox --env-file` writes.
const STANDING: &str = "standing";

/// Printed first and last in every report of a run against the sandbox.
const NOTICE: &str = "sandbox (embedded reference platform): no deployment was tested";
const AS_BUILT_NOTICE: &str = "sandbox as built (as StreamSpace is today): no deployment was tested";

const API_OPTIONS: &str = r#"        headers: { Authorization: "Bearer ${token}" }
"#;
const SETUP: &str = r#"    setup:
      - http: { request: POST /api/v1/auth/login, identity: none, json: { username: admin, password: "${password}" } }
        expect: { status: 200 }
        save: { token: secret(body.token) }
"#;
/// StreamSpace as built needs CSRF cookie and header for mutating requests.
const AS_BUILT_API_OPTIONS: &str = r#"        login:
          request: POST /api/v1/auth/login
          json: { username: admin, password: "${password}" }
          token: body.token
          expires: body.expiresAt
        cookies: insecure
        csrf: { cookie: csrf_token, header: X-CSRF-Token, from: /api/v1/sessions }
"#;

/// Serves `POST /faults/{database|cluster}/{cut|heal}`; `heal` returns the number of refused connections as
/// `{"refused": n}`.
async fn serve_control(links: Arc<Links>, stop: CancellationToken) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/faults/{link}/{what}", post(switch)).with_state(links);
    tokio::spawn(async move {
        let _ = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await;
    });
    Ok(address)
}

async fn switch(
    State(links): State<Arc<Links>>,
    Segments((link, what)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<serde_json::Value>, StatusCode> {
    let authorised =
        headers.get("authorization").is_some_and(|h| h.as_bytes() == format!("Bearer {}", links.token).as_bytes());
    if !authorised {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let link = match link.as_str() {
        "cluster" => &links.cluster,
        "database" => &links.database,
        _ => return Err(StatusCode::NOT_FOUND),
    };
    let refused = match what.as_str() {
        "cut" => {
            link.cut();
            0
        }
        "heal" => link.heal(),
        _ => return Err(StatusCode::NOT_FOUND),
    };
    Ok(Json(serde_json::json!({ "refused": refused })))
}

async fn resolve(address: &str, what: &str) -> Result<SocketAddr, Error> {
    let mut addresses = tokio::net::lookup_host(address).await?;
    addresses.next().ok_or_else(|| format!("cannot resolve the host of the {what}").into())
}

/// The kubeconfig with the relay's address as its server, and the upstream of the relay.
fn relayed_kubeconfig(text: &str, relay: SocketAddr) -> Result<(String, String), Error> {
    let mut config = kube::config::Kubeconfig::from_yaml(text)?;
    let current = config.current_context.clone().unwrap_or_default();
    let context = config.contexts.iter().find(|c| c.name == current).and_then(|c| c.context.clone());
    let named = context.ok_or("the kubeconfig has no current context")?.cluster;
    let cluster = config.clusters.iter_mut().find(|c| c.name == named).and_then(|c| c.cluster.as_mut());
    let cluster = cluster.ok_or("the current context of the kubeconfig has no cluster")?;
    let server: axum::http::Uri = cluster.server.clone().unwrap_or_default().parse()?;
    let host = server.host().ok_or("the server of the kubeconfig has no host")?.to_string();
    let https = server.scheme_str() == Some("https");
    let port = server.port_u16().unwrap_or(if https { 443 } else { 80 });
    let path = server.path().trim_end_matches('/');
    cluster.server = Some(format!("{}://{relay}{path}", if https { "https" } else { "http" }));
    if https && cluster.tls_server_name.is_none() {
        // The certificate is for the host of the cluster, not for the relay.
        cluster.tls_server_name = Some(host.clone());
    }
    Ok((serde_saphyr::to_string(&config)?, format!("{host}:{port}")))
}

/// The database URL with the relay's address as its host, and the upstream of the relay.
fn relayed_database(url: &str, relay: SocketAddr) -> Result<(String, String), Error> {
    let mut parsed = reqwest::Url::parse(url).map_err(|e| format!("invalid URL in `--database`: {e}"))?;
    if !parsed.scheme().starts_with("postgres") {
        return Err("expected a `postgres://…` URL in `--database`".into());
    }
    let upstream = format!("{}:{}", parsed.host_str().unwrap_or("127.0.0.1"), parsed.port().unwrap_or(5432));
    let set = parsed.set_host(Some(&relay.ip().to_string())).is_ok() && parsed.set_port(Some(relay.port())).is_ok();
    if set { Ok((parsed.to_string(), upstream)) } else { Err("the URL in `--database` has no host".into()) }
}
