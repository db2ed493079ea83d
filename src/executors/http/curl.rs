//! Builds the `curl` command that repeats a request by hand, with all connection settings. Does not mask secrets.
use super::{
    connection::{Connection, Protocol, Proxy},
    prepared_request::PreparedRequest,
    request_body::{Part, RequestBody},
    response_options::ResponseOptions,
    tls::ClientCertificate,
};
use crate::{event::EvidenceKind, shell::shell_word};
use reqwest::{Method, Url, header::AUTHORIZATION};
use std::path::Path;

/// A longer body is not part of the command line.
const MAX_INLINE_BODY_BYTES: usize = 32 << 10;

/// Credentials that are not in the headers of a request.
pub(super) struct ClientAuth<'a> {
    pub certificate: Option<&'a ClientCertificate>,
    /// `user:password` for a Digest challenge, which `curl` answers itself.
    pub digest_user: Option<String>,
}

struct CommandLine(String);

impl CommandLine {
    fn flag(&mut self, option: &str) {
        self.0.push(' ');
        self.0.push_str(option);
    }

    fn option(&mut self, option: &str, value: &str) {
        self.flag(option);
        self.0.push(' ');
        self.0.push_str(&shell_word(value));
    }

    fn path_option(&mut self, option: &str, path: &Path) {
        self.option(option, &path.to_string_lossy());
    }
}

/// The command, or only its options if the evidence of the request has the rest.
pub(super) fn evidence(
    request: &PreparedRequest,
    connection: &Connection,
    auth: &ClientAuth<'_>,
    options: &ResponseOptions,
) -> (EvidenceKind, String) {
    let mut line = CommandLine(String::with_capacity(128));
    add_method(&mut line, request);
    add_connection(&mut line, request, connection, auth);
    if options.follows_redirects() {
        line.flag("--location");
        line.option("--max-redirs", &options.max_redirects.to_string());
    }
    if options.stream.is_some() {
        line.flag("--no-buffer");
    }
    let url = request.url.as_str();
    if Url::parse(url).is_ok_and(|normal| normal.as_str() != url) {
        line.flag("--path-as-is");
    }
    if url.contains(['[', ']', '{', '}']) {
        line.flag("--globoff");
    }
    if auth.digest_user.is_none() && is_complete(request) {
        return (EvidenceKind::Curl, line.0);
    }
    line.0.insert_str(0, "curl -sS -i");
    line.0.push(' ');
    line.0.push_str(&shell_word(url));
    if let Some(user) = &auth.digest_user {
        line.flag("--digest");
        line.option("--user", user);
    }
    for (name, value) in request.headers.iter().filter(|(name, _)| auth.digest_user.is_none() || *name != AUTHORIZATION)
    {
        let value = String::from_utf8_lossy(value.as_bytes());
        // For curl `Name:` removes a header, and `Name;` sends it empty.
        line.option("-H", &if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") });
    }
    add_body(&mut line, &request.body);
    (EvidenceKind::Reproduce, line.0)
}

/// Whether the evidence of a request has all that the command needs.
fn is_complete(request: &PreparedRequest) -> bool {
    let body = match &request.body {
        RequestBody::Empty => true,
        RequestBody::Text(text) => text.len() <= MAX_INLINE_BODY_BYTES && !text.contains('\0'),
        RequestBody::File { .. } | RequestBody::Multipart(_) => false,
    };
    body && request.headers.values().all(|value| std::str::from_utf8(value.as_bytes()).is_ok_and(|v| !v.contains('\n')))
}

fn add_method(line: &mut CommandLine, request: &PreparedRequest) {
    match (&request.method, &request.body) {
        (&Method::GET, RequestBody::Empty) => {}
        // With `-X HEAD` curl would wait for a body.
        (&Method::HEAD, RequestBody::Empty) => line.flag("--head"),
        // `--head` excludes a request body; with `-X HEAD` curl must ignore the announced length of the response
        (&Method::HEAD, _) => {
            line.option("-X", "HEAD");
            line.flag("--ignore-content-length");
            line.option("-H", "Connection: close");
        }
        (method, _) => line.option("-X", method.as_str()),
    }
}

fn add_connection(line: &mut CommandLine, request: &PreparedRequest, connection: &Connection, auth: &ClientAuth<'_>) {
    if let Some(ca) = &connection.ca {
        line.path_option("--cacert", ca);
    }
    if connection.insecure {
        line.flag("--insecure");
    }
    if let Some(certificate) = auth.certificate.or(connection.certificate.as_ref()) {
        line.path_option("--cert", &certificate.cert);
        if let Some(key) = &certificate.key {
            line.path_option("--key", key);
        }
    }
    match &connection.proxy {
        Proxy::System | Proxy::NoneForLoopback => {}
        Proxy::Disabled => line.option("--noproxy", "*"),
        Proxy::Url(url) => line.option("--proxy", url.as_str().trim_end_matches('/')),
    }
    if let Some(path) = &connection.socket {
        line.path_option("--unix-socket", path);
    }
    let port = request.url.port_or_known_default().unwrap_or_default();
    for (host, ip) in connection.resolve.iter().filter(|(host, _)| request.url.host_str() == Some(host)) {
        line.option("--resolve", &format!("{host}:{port}:{ip}"));
    }
    match connection.protocol {
        Protocol::Negotiated => {}
        Protocol::Http1 => line.flag("--http1.1"),
        Protocol::Http2 => line.flag("--http2-prior-knowledge"),
    }
}

fn add_body(line: &mut CommandLine, body: &RequestBody) {
    match body {
        RequestBody::Empty => {}
        RequestBody::Text(text) if text.len() > MAX_INLINE_BODY_BYTES || text.contains('\0') => {
            line.option("--data-binary", "@request-body");
            line.0.push_str(&format!(" # `request-body`: a file with the {} bytes of the body", text.len()));
        }
        RequestBody::Text(text) => line.option("--data-raw", text),
        RequestBody::File { path, .. } => line.option("--data-binary", &format!("@{}", path.display())),
        RequestBody::Multipart(parts) => parts.iter().for_each(|p| line.option("-F", &form_value(p))),
    }
}

/// A part as the value of `-F`, quoted so that `@`, `<` and `;` have no special meaning.
fn form_value(p: &Part) -> String {
    let quoted = |s: &str| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""));
    let mut form = match &p.file {
        Some(path) => format!("{}=@{}", p.name, quoted(&path.to_string_lossy())),
        None => format!("{}={}", p.name, quoted(&String::from_utf8_lossy(&p.bytes))),
    };
    if let Some(mime) = &p.mime {
        form.push_str(&format!(";type={mime}"));
    }
    if let Some(name) = &p.filename {
        form.push_str(&format!(";filename={}", quoted(name)));
    }
    form
}
