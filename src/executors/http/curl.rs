//! The `curl` line that sends the same request by hand, with every option of the way there. Prints what is true: masks are made
//! elsewhere.
use super::{
    connection::{Connection, Protocol, Proxy},
    content::{Part, Sent},
    reading::Reading,
    request::Prepared,
};
use crate::executor::{ActionContext, shell_word};
use reqwest::{Method, header::AUTHORIZATION};

/// A longer body does not fit a line that people copy.
const LONGEST: usize = 32 << 10;

struct Line(String);

impl Line {
    fn flag(&mut self, option: &str) {
        self.0.push(' ');
        self.0.push_str(option);
    }

    fn add(&mut self, option: &str, value: &str) {
        self.flag(option);
        self.0.push(' ');
        self.0.push_str(&shell_word(value));
    }
}

pub(super) fn line(cx: &ActionContext<'_>, r: &Prepared<'_>, way: &Connection, reading: &Reading) -> String {
    let mut line = Line(String::with_capacity(128));
    line.0.push_str("curl -sS -i");
    match (&r.method, &r.content) {
        (&Method::GET, Sent::Nothing) => {}
        // with `-X HEAD` curl waits for a body that never comes
        (&Method::HEAD, Sent::Nothing) => line.flag("--head"),
        // and `--head` takes no body: so the length that is announced must not count
        (&Method::HEAD, _) => {
            line.add("-X", "HEAD");
            line.flag("--ignore-content-length");
            line.add("-H", "Connection: close");
        }
        (method, _) => line.add("-X", method.as_str()),
    }
    way_to(&mut line, r, way);
    if reading.follow {
        line.flag("--location");
        line.add("--max-redirs", &reading.hops.to_string());
    }
    if reading.stream.is_some() {
        line.flag("--no-buffer");
    }
    let url = r.url.as_str();
    if url.contains(['[', ']', '{', '}']) {
        line.flag("--globoff");
    }
    line.0.push(' ');
    line.0.push_str(&shell_word(url));
    let digest = r.who.and_then(|who| who.digest_user(cx));
    if let Some(user) = &digest {
        line.flag("--digest");
        line.add("--user", user);
    }
    for (name, value) in r.headers.iter().filter(|(name, _)| digest.is_none() || *name != AUTHORIZATION) {
        let value = String::from_utf8_lossy(value.as_bytes());
        // curl takes `Name:` for "leave it out"
        line.add("-H", &if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") });
    }
    match &r.content {
        Sent::Nothing => {}
        Sent::Text(text) if text.len() > LONGEST || text.contains('\0') => {
            line.add("--data-binary", "@request-body");
            line.0.push_str(&format!(" # `request-body`: a file with the {} bytes of the body", text.len()));
        }
        Sent::Text(text) => line.add("--data-raw", text),
        Sent::File { path, .. } => line.add("--data-binary", &format!("@{}", path.display())),
        Sent::Multipart(parts) => parts.iter().for_each(|p| line.add("-F", &form(p))),
    }
    line.0
}

fn way_to(line: &mut Line, r: &Prepared<'_>, way: &Connection) {
    let shown = |p: &std::path::Path| p.to_string_lossy().into_owned();
    if let Some(ca) = &way.trust.ca {
        line.add("--cacert", &shown(ca));
    }
    if way.trust.insecure {
        line.flag("--insecure");
    }
    if let Some(pair) = r.who.and_then(|who| who.pair()).or(way.pair.as_ref()) {
        line.add("--cert", &shown(&pair.cert));
        if let Some(key) = &pair.key {
            line.add("--key", &shown(key));
        }
    }
    match &way.proxy {
        Proxy::System | Proxy::Local => {}
        Proxy::None => line.add("--noproxy", "*"),
        Proxy::At(url) => line.add("--proxy", url.as_str().trim_end_matches('/')),
    }
    if let Some(path) = &way.socket {
        line.add("--unix-socket", &shown(path));
    }
    let port = r.url.port_or_known_default().unwrap_or_default();
    for (host, at) in way.resolve.iter().filter(|(host, _)| r.url.host_str() == Some(host)) {
        line.add("--resolve", &format!("{host}:{port}:{at}"));
    }
    match way.protocol {
        Protocol::Agreed => {}
        Protocol::Http1 => line.flag("--http1.1"),
        Protocol::Http2 => line.flag("--http2-prior-knowledge"),
    }
}

/// A part as `-F` takes it: quoted, so that `@`, `<` and `;` in it mean nothing.
fn form(p: &Part) -> String {
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
