//! Connection settings of a target: TLS, proxy, socket, host names, HTTP version. Builds the `reqwest` clients.
use super::{
    address::parse_proxy,
    sent::ConnectionLayer,
    tls::{ClientCertificate, ClientCertificateSpec, Trust, TrustSpec},
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, RunInfo},
    executors::error_chain::error_chain,
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
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than in common servers: if a server closes an idle connection while a request is sent, no response arrives.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

pub(super) struct ConnectionSpec {
    trust: TrustSpec,
    certificate: Option<ClientCertificateSpec>,
    proxy: Option<Template>,
    socket: Option<Template>,
    resolve: Vec<(String, Tree)>,
    protocol: Protocol,
    compression: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Protocol {
    /// HTTP/2 if the server offers it in the TLS handshake, else HTTP/1.1.
    #[default]
    Negotiated,
    Http1,
    /// HTTP/2 with prior knowledge.
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

impl ConnectionSpec {
    pub fn compile(body: &mut Body<'_>) -> ConnectionSpec {
        let proxy = body.template("proxy");
        if let (Some(text), Some(node)) = (proxy.as_ref().and_then(|t| t.as_literal()), body.get("proxy").cloned())
            && text != "none"
            && let Err(e) = parse_proxy(text)
        {
            let d = Diagnostic::error("invalid-url", &node.span, e.to_string());
            body.problem(d.help("an address like `http://proxy.example:3128`, or `none`"));
        }
        ConnectionSpec {
            trust: TrustSpec::compile(body),
            certificate: ClientCertificateSpec::compile(body),
            proxy,
            socket: body.template("socket"),
            resolve: body.pairs("resolve"),
            protocol: body.literal("protocol", "`http1` or `http2`").unwrap_or_default(),
            compression: body.literal("compression", "`true` or `false`").unwrap_or(true),
        }
    }

    /// `base`: the address of the target. Without `proxy`, a target on this machine is connected to directly.
    pub fn load(&self, run: &RunInfo, scope: &Scope, base: &Url) -> Result<Connection, ActionError> {
        let proxy = match self.proxy.as_ref().map(|t| t.render_text(scope)).transpose()? {
            None if is_loopback(base) => Proxy::NoneForLoopback,
            None => Proxy::System,
            Some(text) if text == "none" => Proxy::Disabled,
            Some(text) => Proxy::Url(parse_proxy(&text)?),
        };
        if let Proxy::Url(url) = &proxy
            && let Some(password) = url.password()
        {
            scope.secrets().add("proxy password", password);
        }
        let mut resolve = vec![];
        for (host, tree) in &self.resolve {
            resolve.push((host.clone(), parse_ip(host, &tree.render(scope)?.to_string())?));
        }
        Ok(Connection {
            trust: self.trust.load(run, scope)?,
            certificate: self.certificate.as_ref().map(|c| c.load(run, scope)).transpose()?,
            proxy,
            socket: self.socket.as_ref().map(|t| t.render_text(scope)).transpose()?.map(|p| run.dir.join(p)),
            resolve,
            protocol: self.protocol,
            compression: self.compression,
        })
    }
}

fn parse_ip(host: &str, text: &str) -> Result<IpAddr, ActionError> {
    text.trim()
        .parse()
        .map_err(|_| ActionError::Invalid(format!("expected an IP address in `resolve.{host}`, found `{text}`")))
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|h| h == "localhost" || h == "[::1]" || h.starts_with("127."))
}

pub(super) enum Proxy {
    /// The proxy that the system configures for an address, if any.
    System,
    /// No proxy, since the target runs on this machine.
    NoneForLoopback,
    /// No proxy: the environment says `none`.
    Disabled,
    Url(Url),
}

/// Rendered connection settings.
pub(super) struct Connection {
    pub trust: Trust,
    /// The client certificate of identities without their own.
    pub certificate: Option<ClientCertificate>,
    pub proxy: Proxy,
    pub socket: Option<PathBuf>,
    pub resolve: Vec<(String, IpAddr)>,
    pub protocol: Protocol,
    compression: bool,
}

impl Connection {
    pub fn client(&self, certificate: Option<&ClientCertificate>, protocol: Protocol) -> Result<Client, ActionError> {
        // Without a default provider the client panics; a program that embeds the runner may not have installed one.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let builder = Client::builder()
            .user_agent(concat!("tp-runner/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .connector_layer(ConnectionLayer)
            .pool_idle_timeout(IDLE_TIMEOUT);
        let mut builder = self.trust.apply_to(builder);
        let failed =
            |e: reqwest::Error| ActionError::Invalid(format!("cannot create an HTTP client: {}", error_chain(&e)));
        match &self.proxy {
            Proxy::System => {}
            Proxy::Disabled | Proxy::NoneForLoopback => builder = builder.no_proxy(),
            Proxy::Url(url) => builder = builder.proxy(reqwest::Proxy::all(url.clone()).map_err(failed)?),
        }
        if let Some(path) = &self.socket {
            builder = builder.unix_socket(path.clone());
        }
        for (host, ip) in &self.resolve {
            // Port 0: the port of the URL.
            builder = builder.resolve(host, SocketAddr::new(*ip, 0));
        }
        match protocol {
            Protocol::Negotiated => {}
            Protocol::Http1 => builder = builder.http1_only(),
            Protocol::Http2 => builder = builder.http2_prior_knowledge(),
        }
        if !self.compression {
            builder = builder.no_gzip().no_brotli().no_deflate();
        }
        if let Some(certificate) = certificate.or(self.certificate.as_ref()) {
            builder = builder.identity(certificate.identity.clone());
        }
        builder.build().map_err(failed)
    }

    /// The address of the configured proxy, without credentials.
    pub fn proxy_address(&self) -> Option<String> {
        let Proxy::Url(url) = &self.proxy else { return None };
        Some(format!("{}://{}", url.scheme(), url.host_str()?) + &url.port().map_or(String::new(), |p| format!(":{p}")))
    }
}
