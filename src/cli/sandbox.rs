//! Starts the sandbox: the platform, the embedded cluster, relays that can be cut, the control API
//! for them, and the environment file with all addresses. Used by `run`, `doctor`, `prove` and
//! `sandbox`.
use super::{args, exit, failure::Failure, plans};
use crate::{executor::Registry, plan::Environment, relay::Relay, source::Source};
use axum::{
    Json, Router,
    extract::{Path as Segments, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use std::{net::SocketAddr, path::Path, sync::Arc};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use tp_runner_sandbox::{self as sandbox, Database, DatabaseSwitch, Sandbox, cluster, defect::Defect};

/// A running sandbox with all its parts.
pub struct Platform {
    sandbox: Sandbox,
    cluster: Option<cluster::Cluster>,
    links: Arc<Links>,
    control: CancellationToken,
    environment: String,
    about: String,
    /// Tables, log and kubeconfigs; removed on drop.
    folder: tempfile::TempDir,
}

/// The connections that the control API can cut.
struct Links {
    token: String,
    cluster: Relay,
    database: DatabaseLink,
}

enum DatabaseLink {
    Relay(Relay),
    /// SQLite has no connection to cut: the platform's store is closed instead.
    Switch(DatabaseSwitch),
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl Platform {
    pub async fn start(parts: &args::SandboxArgs, listen: SocketAddr) -> Result<Platform, Error> {
        let folder = tempfile::Builder::new().prefix("tp-runner-sandbox-").tempdir()?;
        let secret = || uuid::Uuid::new_v4().simple().to_string();

        // The platform connects to the cluster through a relay, the runner directly.
        let cluster_relay = Relay::bind(([127, 0, 0, 1], 0).into()).await?;
        let (embedded, runner_config, platform_config) = match &parts.kubeconfig {
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
                    std::fs::read_to_string(file).map_err(|e| format!("cannot read `{}`: {e}", file.display()))?;
                let (relayed, upstream) = relayed_kubeconfig(&text, cluster_relay.address())?;
                let upstream =
                    tokio::net::lookup_host(&upstream).await?.next().ok_or("cannot resolve the host of the cluster")?;
                cluster_relay.set_upstream(upstream);
                (None, text, relayed)
            }
        };
        let kubeconfig = folder.path().join("kubeconfig");
        let platform_kubeconfig = folder.path().join("platform-kubeconfig");
        std::fs::write(&kubeconfig, runner_config)?;
        std::fs::write(&platform_kubeconfig, platform_config)?;

        // The platform connects to PostgreSQL through a relay, too.
        let sqlite = folder.path().join("platform.db");
        let (database, database_relay, database_url, store) = match &parts.database {
            None => (Database::Sqlite(sqlite.clone()), None, sqlite.display().to_string(), "SQLite"),
            Some(url) => {
                let relay = Relay::bind(([127, 0, 0, 1], 0).into()).await?;
                let (relayed, upstream) = relayed_database(url, relay.address())?;
                let upstream = tokio::net::lookup_host(&upstream)
                    .await?
                    .next()
                    .ok_or("cannot resolve the host of the database")?;
                relay.set_upstream(upstream);
                (Database::Postgres(relayed), Some(relay), url.clone(), "PostgreSQL")
            }
        };

        let defects = parts.defect.iter().map(|name| name.parse()).collect::<Result<Vec<Defect>, _>>()?;
        let (password, token) = (secret(), secret());
        let log_file = folder.path().join("platform.log");
        let sandbox = sandbox::start(sandbox::Options {
            database,
            kubeconfig: platform_kubeconfig,
            namespace: "streamspace".into(),
            listen,
            admin_password: password.clone(),
            log_file: log_file.clone(),
            defects: defects.into_iter().collect(),
            as_built: parts.as_built,
            delays: parts.delays.clone().unwrap_or_default(),
        })
        .await?;
        let database_link = match database_relay {
            Some(relay) => DatabaseLink::Relay(relay),
            None => DatabaseLink::Switch(sandbox.database_switch()),
        };
        let links = Arc::new(Links { token: token.clone(), cluster: cluster_relay, database: database_link });
        let control = CancellationToken::new();
        let control_at = serve_control(links.clone(), control.clone()).await?;

        let kubernetes = if embedded.is_some() { "the embedded Kubernetes API" } else { "an external cluster" };
        let cut_note = if parts.database.is_some() {
            String::new()
        } else {
            "; `database-down` closes the platform's store, as SQLite has no connection to cut".to_string()
        };
        let defects_note = match parts.defect.as_slice() {
            [] => String::new(),
            names => format!("; defects: {}", names.join(", ")),
        };
        let as_built_note = if parts.as_built { ", as StreamSpace is built today," } else { "" };
        let delays_note = parts.delays.as_ref().map(|delays| format!("; random delays: {delays}")).unwrap_or_default();
        let about = format!(
            "the embedded reference platform{as_built_note} on {store} and {kubernetes}; no deployment was tested\
             {cut_note}{defects_note}{delays_note}"
        );
        let environment = environment_text(&EnvironmentValues {
            about: &about,
            api: &sandbox.api(),
            kubeconfig: &kubeconfig,
            database: &database_url,
            log_file: &log_file,
            control: &format!("http://{control_at}"),
            password: &password,
            token: &token,
            store,
            embedded: embedded.is_some(),
            as_built: parts.as_built,
        });
        Ok(Platform { sandbox, cluster: embedded, links, control, environment, about, folder })
    }

    /// The environment with the addresses of this sandbox.
    pub fn environment(&self, registry: &Registry) -> Result<Environment, Failure> {
        let text = self.environment.replace(STANDING, "sandbox");
        let source = Arc::new(Source { name: "the sandbox's environment".into(), text });
        let (environments, problems) = plans::read_environments(&source, registry);
        match environments.map(|e| e.all) {
            Some(mut all) if problems.errors() == 0 && !all.is_empty() => Ok(all.remove(0)),
            _ => Err(plans::invalid(&problems, false)),
        }
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
            if let DatabaseLink::Relay(relay) = links.database {
                relay.shutdown().await;
            }
        }
    }
}

/// `sandbox`: runs in the foreground until Ctrl-C.
pub async fn command(args: args::Sandbox) -> Result<u8, Failure> {
    let failed = |e: Error| Failure::unreachable(format!("error: cannot start the sandbox: {e}"));
    // Installed before the start: a signal must not leave files behind.
    let handler = |kind| signal(kind).map_err(|e| Failure::signals(&e));
    let (mut interrupt, mut terminate) = (handler(SignalKind::interrupt())?, handler(SignalKind::terminate())?);
    let platform = Platform::start(&args.sandbox, args.listen).await.map_err(failed)?;
    if let Some(file) = &args.env_file {
        let text = &platform.environment;
        crate::report::file::write_atomically(file, |out| out.write_all(text.as_bytes()))
            .map_err(|e| failed(format!("cannot write `{}`: {e}", file.display()).into()))?;
    }
    println!("{}", platform.about);
    println!("api:        {}", platform.sandbox.api());
    let folder = platform.folder();
    println!("kubeconfig: {}", folder.join("kubeconfig").display());
    match &args.sandbox.database {
        None => println!("database:   {}", folder.join("platform.db").display()),
        Some(_) => println!("database:   as given with --database"),
    }
    println!("log:        {}", platform.sandbox.log_file().display());
    if let Some(file) = &args.env_file {
        println!("from another terminal: tp-runner run TP-004 --config {} --env {STANDING}", file.display());
    }
    println!("Ctrl-C stops the sandbox");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    platform.shutdown().await;
    Ok(exit::SUCCESS)
}

/// Name of the environment in the file that `sandbox --env-file` writes.
const STANDING: &str = "standing";

/// The values that differ between environment files.
struct EnvironmentValues<'a> {
    about: &'a str,
    api: &'a str,
    kubeconfig: &'a Path,
    database: &'a str,
    log_file: &'a Path,
    control: &'a str,
    password: &'a str,
    token: &'a str,
    store: &'a str,
    embedded: bool,
    as_built: bool,
}

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

fn environment_text(t: &EnvironmentValues) -> String {
    let quoted = |s: &str| serde_json::Value::from(s).to_string();
    let path = |p: &Path| quoted(&p.display().to_string());
    let fault = |name: &str, link: &str| {
        let verb = |what: &str| {
            format!("{{ request: POST /faults/{link}/{what} }}, target: control, expect: {{ status: 200 }}")
        };
        format!(
            "      {name}:\n        do: [ {{ http: {} }} ]\n        heal: [ {{ http: {}, as: healed }} ]\n        refused: healed.body.refused\n",
            verb("cut"),
            verb("heal")
        )
    };
    format!(
        r#"# Written by `tp-runner sandbox`: the addresses of its parts while it runs. The secrets are valid only until it stops.
default: {STANDING}
environments:
  {STANDING}:
    about: {about}
    notice: {notice}
    versions: {{ sandbox: {version}, store: {store}, kubernetes: {kubernetes} }}
    secrets: {{ password: {password}, control_token: {token}{database_password} }}
    targets:
      api:
        http: {api}
{api_options}      cluster: {{ k8s: {{ kubeconfig: {kubeconfig}, namespace: streamspace }} }}
      database: {{ db: {database} }}
      inbox: {{ webhook: "127.0.0.1:0", signature: {{ header: X-StreamSpace-Signature, scheme: hmac-sha256-hex }} }}
      platform-log: {{ logs: {{ file: {log_file} }} }}
      control: {{ http: {control}, headers: {{ Authorization: "Bearer ${{control_token}}" }} }}
{setup}    on_failure:
      - logs: {{ tail: 20 }}
        target: platform-log
    faults:
{database_down}{cluster_unreachable}"#,
        about = quoted(t.about),
        version = quoted(env!("CARGO_PKG_VERSION")),
        store = quoted(t.store),
        kubernetes = if t.embedded { "embedded" } else { "external" },
        password = quoted(t.password),
        database_password = reqwest::Url::parse(t.database)
            .ok()
            .and_then(|u| u.password().map(|p| format!(", database_password: {}", quoted(p))))
            .unwrap_or_default(),
        token = quoted(t.token),
        notice = quoted(if t.as_built { AS_BUILT_NOTICE } else { NOTICE }),
        api = quoted(t.api),
        api_options = if t.as_built { AS_BUILT_API_OPTIONS } else { API_OPTIONS },
        setup = if t.as_built { "" } else { SETUP },
        kubeconfig = path(t.kubeconfig),
        database = quoted(t.database),
        log_file = path(t.log_file),
        control = quoted(t.control),
        database_down = fault("database-down", "database"),
        cluster_unreachable = fault("cluster-unreachable", "cluster"),
    )
}

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
    let refused = match (link.as_str(), &links.database, what.as_str()) {
        ("cluster", _, "cut") => {
            links.cluster.cut();
            0
        }
        ("cluster", _, "heal") => {
            let refused = links.cluster.refused();
            links.cluster.heal();
            refused
        }
        ("database", DatabaseLink::Relay(relay), "cut") => {
            relay.cut();
            0
        }
        ("database", DatabaseLink::Relay(relay), "heal") => {
            let refused = relay.refused();
            relay.heal();
            refused
        }
        ("database", DatabaseLink::Switch(switch), "cut") => {
            switch.cut();
            0
        }
        ("database", DatabaseLink::Switch(switch), "heal") => {
            let refused = switch.refused();
            switch.heal();
            refused
        }
        _ => return Err(StatusCode::NOT_FOUND),
    };
    Ok(Json(serde_json::json!({ "refused": refused })))
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
