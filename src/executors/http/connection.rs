//! The way to a server: proxy, socket, host names, version of HTTP. Makes the clients that go it. Knows no request.
use super::{
    departure::Watched,
    tls::{self, Pair, Trust},
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, RunInfo},
    expr::{Scope, Template, Tree},
};
use reqwest::{Client, Url, redirect::Policy};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

pub(super) const KEYS: [&str; 5] = ["proxy", "socket", "resolve", "protocol", "compression"];
const CONNECT: Duration = Duration::from_secs(5);
/// Shorter than servers keep an idle connection: one that they close just as a request leaves would look like their answer.
const IDLE: Duration = Duration::from_secs(4);

pub(super) struct Spec {
    tls: tls::Spec,
    pair: Option<tls::PairSpec>,
    proxy: Option<Template>,
    socket: Option<Template>,
    resolve: Vec<(String, Tree)>,
    protocol: Protocol,
    compression: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Protocol {
    /// HTTP/2 where the server offers it within TLS, else HTTP/1.1.
    #[default]
    Agreed,
    Http1,
    /// Without asking first.
    Http2,
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "http1" => Ok(Protocol::Http1),
            "http2" => Ok(Protocol::Http2),
            _ => Err(()),
        }
    }
}

impl Spec {
    pub fn compile(body: &mut Body<'_>) -> Spec {
        let proxy = body.template("proxy");
        if let (Some(text), Some(node)) = (proxy.as_ref().and_then(|t| t.as_literal()), body.get("proxy").cloned())
            && text != "none"
            && let Err(why) = self::proxy(text)
        {
            let d = Diagnostic::error("invalid-url", &node.span, why);
            body.problem(d.help("an address like `http://proxy.example:3128`, or `none`"));
        }
        Spec {
            tls: tls::Spec::compile(body),
            pair: tls::PairSpec::compile(body),
            proxy,
            socket: body.template("socket"),
            resolve: body.pairs("resolve"),
            protocol: body.literal("protocol", "`http1` or `http2`").unwrap_or_default(),
            compression: body.literal("compression", "`true` or `false`").unwrap_or(true),
        }
    }

    /// `to`: the target's own address.
    pub fn read(&self, run: &RunInfo, scope: &Scope, to: &Url) -> Result<Connection, ActionError> {
        let proxy = match self.proxy.as_ref().map(|t| t.render_text(scope)).transpose()? {
            None if loopback(to) => Proxy::Local,
            None => Proxy::System,
            Some(text) if text == "none" => Proxy::None,
            Some(text) => Proxy::At(self::proxy(&text).map_err(ActionError::Invalid)?),
        };
        if let Proxy::At(url) = &proxy
            && let Some(password) = url.password()
        {
            scope.secrets().add("proxy password", password);
        }
        let mut resolve = vec![];
        for (host, tree) in &self.resolve {
            resolve.push((host.clone(), address(host, &tree.render(scope)?.to_string())?));
        }
        Ok(Connection {
            trust: self.tls.read(run, scope)?,
            pair: self.pair.as_ref().map(|p| p.read(run, scope)).transpose()?,
            proxy,
            socket: self.socket.as_ref().map(|t| t.render_text(scope)).transpose()?.map(|p| run.dir.join(p)),
            resolve,
            protocol: self.protocol,
            compression: self.compression,
        })
    }
}

/// `Err` is a sentence.
fn proxy(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|e| format!("`{text}` is not the URL of a proxy: {e}"))?;
    match url.scheme() {
        "http" | "https" | "socks5" | "socks5h" if url.has_host() => Ok(url),
        other => Err(format!("`{other}` is no scheme of a proxy; `http`, `https`, `socks5` and `socks5h` are")),
    }
}

fn address(host: &str, text: &str) -> Result<IpAddr, ActionError> {
    let why = |_| ActionError::Invalid(format!("`resolve.{host}` gave `{text}`, which is no IP address"));
    text.trim().parse().map_err(why)
}

fn loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|h| h == "localhost" || h == "[::1]" || h.starts_with("127."))
}

pub(super) enum Proxy {
    /// The one that the system names for this address, if any.
    System,
    /// None: it is on this machine.
    Local,
    /// None, by the environment's own word.
    None,
    At(Url),
}

/// With nothing left to fill in.
pub(super) struct Connection {
    pub trust: Trust,
    /// The certificate of whoever shows none of their own.
    pub pair: Option<Pair>,
    pub proxy: Proxy,
    pub socket: Option<PathBuf>,
    pub resolve: Vec<(String, IpAddr)>,
    pub protocol: Protocol,
    compression: bool,
}

impl Connection {
    pub fn client(&self, pair: Option<&Pair>, protocol: Protocol) -> Result<Client, ActionError> {
        // The client panics without one; whoever embeds the runner may not have chosen.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let builder = Client::builder()
            .user_agent(concat!("tp-runner/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .connector_layer(Watched)
            .pool_idle_timeout(IDLE);
        let mut builder = self.trust.apply(builder);
        let why = |e: reqwest::Error| ActionError::Invalid(format!("no HTTP client: {}", super::reach::chain(&e)));
        match &self.proxy {
            Proxy::System => {}
            Proxy::None | Proxy::Local => builder = builder.no_proxy(),
            Proxy::At(url) => builder = builder.proxy(reqwest::Proxy::all(url.clone()).map_err(why)?),
        }
        if let Some(path) = &self.socket {
            builder = builder.unix_socket(path.clone());
        }
        for (host, at) in &self.resolve {
            // the port is the request's own
            builder = builder.resolve(host, SocketAddr::new(*at, 0));
        }
        match protocol {
            Protocol::Agreed => {}
            Protocol::Http1 => builder = builder.http1_only(),
            Protocol::Http2 => builder = builder.http2_prior_knowledge(),
        }
        if !self.compression {
            builder = builder.no_gzip().no_brotli().no_deflate();
        }
        if let Some(pair) = pair.or(self.pair.as_ref()) {
            builder = builder.identity(pair.identity.clone());
        }
        builder.build().map_err(why)
    }

    /// The proxy that the environment names, without its password.
    pub fn proxied(&self) -> Option<String> {
        let Proxy::At(url) = &self.proxy else { return None };
        Some(format!("{}://{}", url.scheme(), url.host_str()?) + &url.port().map_or(String::new(), |p| format!(":{p}")))
    }
}
