//! Connection settings of a target: TLS, proxy, socket, host names, HTTP version. Builds the `reqwest` clients.
use super::{
    address::parse_proxy,
    sent::TrackedConnector,
    tls::{ClientCertificate, ClientCertificateSpec, read_certificates},
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, RunInfo},
    executors::{
        error_chain::error_chain,
        net::{install_tls_provider, is_loopback},
    },
    expr::{Scope, Template, Tree},
    language::{Key, Shape, VALUES},
};
use reqwest::{
    Certificate, Client, Url,
    header::{ACCEPT_ENCODING, HeaderMap, HeaderValue},
    redirect::Policy,
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use tower_layer::layer_fn;

pub(super) const KEYS: [Key; 5] = [
    Key::new("proxy", Shape::Text),
    Key::new("socket", Shape::Path),
    Key::new("resolve", VALUES),
    Key::new("protocol", Shape::Word(&["http1", "http2"])),
    Key::new("compression", Shape::Bool),
];
/// Of a response over HTTP/1.
pub(super) const MAX_HEADERS: usize = 4096;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than in common servers: if a server closes an idle connection while a request is sent, no response arrives.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

pub(super) struct ConnectionSpec {
    ca: Option<Template>,
    insecure: bool,
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

impl ConnectionSpec {
    pub fn compile(body: &mut Body<'_>) -> ConnectionSpec {
        let proxy = body.checked_template("proxy", |text, span| {
            let e = parse_proxy(text).err().filter(|_| text != "none")?;
            let d = Diagnostic::error("invalid-url", span, e.to_string());
            Some(d.help("an address like `http://proxy.example:3128`, or `none`"))
        });
        ConnectionSpec {
            ca: body.template("ca"),
            insecure: body.literal("insecure", "`true` or `false`").unwrap_or(false),
            certificate: ClientCertificateSpec::compile(body),
            proxy,
            socket: body.template("socket"),
            resolve: body.pairs("resolve"),
            protocol: body
                .choice("protocol", &[("http1", Protocol::Http1), ("http2", Protocol::Http2)])
                .unwrap_or_default(),
            compression: body.literal("compression", "`true` or `false`").unwrap_or(true),
        }
    }

    /// `base`: the address of the target. Without `proxy`, a target on this machine is connected to directly.
    pub fn load(&self, run: &RunInfo, scope: &Scope, base: &Url) -> Result<Connection, ActionError> {
        let render = |t: &Option<Template>| t.as_ref().map(|t| t.render_text(scope)).transpose();
        let proxy = match render(&self.proxy)? {
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
            let text = tree.render(scope)?.to_string();
            let expected = format!("expected an IP address in `resolve.{host}`");
            let ip = text.trim().parse().map_err(|_| ActionError::Invalid(format!("{expected}, found `{text}`")))?;
            resolve.push((host.clone(), ip));
        }
        let ca = render(&self.ca)?.map(|path| run.dir.join(path));
        Ok(Connection {
            certificates: ca.as_deref().map_or(Ok(vec![]), read_certificates)?,
            ca,
            insecure: self.insecure,
            certificate: self.certificate.as_ref().map(|c| c.load(run, scope)).transpose()?,
            proxy,
            socket: render(&self.socket)?.map(|path| run.dir.join(path)),
            resolve,
            protocol: self.protocol,
            compression: self.compression,
        })
    }
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
    pub ca: Option<PathBuf>,
    /// The certificates in `ca`, trusted in addition to those of the system.
    certificates: Vec<Certificate>,
    /// Accepts any certificate.
    pub insecure: bool,
    /// The client certificate of identities without their own.
    pub certificate: Option<ClientCertificate>,
    pub proxy: Proxy,
    pub socket: Option<PathBuf>,
    pub resolve: Vec<(String, IpAddr)>,
    pub protocol: Protocol,
    pub compression: bool,
}

impl Connection {
    pub fn client(&self, certificate: Option<&ClientCertificate>, protocol: Protocol) -> Result<Client, ActionError> {
        install_tls_provider();
        let mut builder = Client::builder()
            .user_agent(concat!("tp-runner/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_max_headers(MAX_HEADERS)
            // as curl does: a header over several lines, a space before the colon
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .connector_layer(layer_fn(TrackedConnector))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tls_certs_merge(self.certificates.iter().cloned())
            .tls_danger_accept_invalid_certs(self.insecure);
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
        if self.compression {
            // the body is decoded by this module, which reports what it cannot decode
            let codings = [(ACCEPT_ENCODING, HeaderValue::from_static("gzip,deflate,br"))];
            builder = builder.default_headers(HeaderMap::from_iter(codings));
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
