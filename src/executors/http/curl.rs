//! The `curl` line that sends the same request by hand. Pure. Prints what is true: masks are made elsewhere.
use super::{
    request::{Part, Prepared, Sent},
    target::Trust,
};
use crate::executor::shell_word;
use reqwest::Method;

/// A longer body does not fit a line that people copy.
const LONGEST: usize = 32 << 10;

pub(super) fn line(r: &Prepared, trust: &Trust) -> String {
    let mut line = String::with_capacity(128);
    line.push_str("curl -sS -i");
    let mut add = |option: &str, value: &str| {
        line.push(' ');
        line.push_str(option);
        if !value.is_empty() {
            line.push(' ');
            line.push_str(&shell_word(value));
        }
    };
    match (&r.method, &r.content) {
        (&Method::GET, Sent::Nothing) => {}
        // with `-X HEAD` curl waits for a body that never comes
        (&Method::HEAD, _) => add("--head", ""),
        (method, _) => add("-X", method.as_str()),
    }
    if let Some(ca) = &trust.ca {
        add("--cacert", &ca.to_string_lossy());
    }
    if trust.insecure {
        add("--insecure", "");
    }
    let url = r.url.as_str();
    if url.contains(['[', ']', '{', '}']) {
        add("--globoff", "");
    }
    add("", url);
    for (name, value) in &r.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        // curl takes `Name:` for "leave it out"
        if value.is_empty() { add("-H", &format!("{name};")) } else { add("-H", &format!("{name}: {value}")) }
    }
    match &r.content {
        Sent::Nothing => {}
        Sent::Text(text) if text.len() > LONGEST || text.contains('\0') => {
            add("--data-binary", "@request-body");
            let note = format!(" # `request-body`: a file with the {} bytes of the body", text.len());
            line.push_str(&note);
        }
        Sent::Text(text) if text.is_empty() => line.push_str(" --data-raw ''"),
        Sent::Text(text) => add("--data-raw", text),
        Sent::File { path, .. } => add("--data-binary", &format!("@{}", path.display())),
        Sent::Multipart(parts) => parts.iter().for_each(|p| add("-F", &form(p))),
    }
    line
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
