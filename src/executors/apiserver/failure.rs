//! The sentence for each way in which a cluster cannot be reached: what is wrong, where, and what to do. Pure.
use crate::{diagnostic::nearest, executor::ActionError};
use kube::{client::AuthError, config::KubeconfigError};
use rustls::{AlertDescription, CertificateError, Error as Tls};
use std::{error::Error, io, path::PathBuf};

fn unreachable(sentence: String) -> ActionError {
    ActionError::Unreachable(sentence)
}

pub fn nowhere() -> ActionError {
    unreachable(
        "no kubeconfig was found (`KUBECONFIG`, `~/.kube/config`), and this is no pod of a cluster; say `kubeconfig: PATH` in the \
         target"
            .into(),
    )
}

pub fn of_pod(error: &dyn Error) -> ActionError {
    unreachable(format!("no way to the cluster from here, as this is no pod with a service account: {}", chain(error)))
}

pub fn of_file(error: &KubeconfigError, path: Option<&PathBuf>) -> ActionError {
    unreachable(match error {
        KubeconfigError::ReadConfig(e, path) if e.kind() == io::ErrorKind::NotFound => {
            format!("there is no kubeconfig `{}`", path.display())
        }
        KubeconfigError::ReadConfig(e, path) => format!("the kubeconfig `{}` cannot be read: {e}", path.display()),
        e => {
            let name = path.map_or("kubectl's configuration".into(), |p| format!("`{}`", p.display()));
            format!("{name} is no kubeconfig: {}", chain(e).lines().next().unwrap_or_default())
        }
    })
}

pub fn no_context(name: &str, contexts: &[&str]) -> ActionError {
    unreachable(format!("{name} has no current context; say `context:` in the target: {}", listed(contexts)))
}

pub fn lacks(name: &str, what: &str, wanted: &str, there: &[&str]) -> ActionError {
    let meant = nearest(wanted, there.iter().copied()).map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    unreachable(format!("{name} has no {what} `{wanted}`, but {}{meant}", listed(there)))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// A file that the kubeconfig names.
pub fn of_part(what: &str, path: &str, error: &io::Error) -> ActionError {
    unreachable(format!("the {what} `{path}` of the kubeconfig cannot be read: {error}"))
}

pub fn of_context(error: &KubeconfigError, name: &str) -> ActionError {
    unreachable(format!("{name} cannot be used: {}", chain(error)))
}

/// `plugin`: the program that is asked for credentials, and on further lines what its user is told who lacks it.
pub fn of_credentials(error: &kube::Error, plugin: Option<&str>) -> ActionError {
    let kube::Error::Auth(auth) = error else {
        return unreachable(format!("the credentials of the kubeconfig cannot be used: {}", chain(error)));
    };
    let (program, hint) = plugin.unwrap_or("?").split_once('\n').unwrap_or((plugin.unwrap_or("?"), ""));
    unreachable(match auth {
        AuthError::AuthExecStart(e) if e.kind() == io::ErrorKind::NotFound => {
            let hint = if hint.is_empty() { "is it installed, and in PATH?" } else { hint };
            format!("there is no credential plugin `{program}`: {hint}")
        }
        AuthError::AuthExecStart(e) => format!("the credential plugin `{program}` cannot be run: {e}"),
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
            format!("the credential plugin `{program}` ended with {}: {last}", out.status)
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            format!("the credential plugin `{program}` printed no `ExecCredential` with a status")
        }
        AuthError::ReadTokenFile(e, path) => format!("the token file `{}` cannot be read: {e}", path.display()),
        e => format!("the credentials of the kubeconfig cannot be used: {}", chain(e)),
    })
}

/// Why no answer came. One clause.
pub fn of_request(error: &kube::Error) -> String {
    for cause in causes(error) {
        if let Some(tls) = cause.downcast_ref::<Tls>() {
            return of_tls(tls);
        }
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => {
                return "the connection is refused; is it running, and does it listen there?".into();
            }
            Some(io::ErrorKind::TimedOut) => return "no connection in time; is there a way through to it?".into(),
            _ => {}
        }
        if cause.to_string() == "dns error" {
            return "nobody knows a host of that name".into();
        }
    }
    chain(error)
}

fn of_tls(error: &Tls) -> String {
    use CertificateError as C;
    match error {
        Tls::InvalidCertificate(C::UnknownIssuer) => {
            "TLS: its certificate is signed by nobody whom the kubeconfig trusts; give the right `certificate-authority`".into()
        }
        Tls::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            format!("TLS: its certificate is for another host; set `tls-server-name` in the kubeconfig ({error})")
        }
        Tls::InvalidCertificate(C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. }) => {
            format!("TLS: its certificate is out of date, or the clock of this machine is ({error})")
        }
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => format!("TLS: it does not accept our client certificate ({error})"),
        Tls::InvalidMessage(_) => "it does not speak TLS; is `http://` meant in the kubeconfig?".into(),
        e => format!("TLS: {e}"),
    }
}

/// The error and all its causes; also those that an `io::Error` only wraps, as TLS errors are.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn Error + 'static)| {
        let e: &'a (dyn Error + 'static) = *e;
        match e.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => e.source(),
        }
    })
}

/// An error with its causes, each said once.
pub fn chain(error: &dyn Error) -> String {
    let mut said: Vec<String> = vec![];
    let mut at = Some(error);
    while let Some(e) = at {
        let text = e.to_string();
        // Many errors repeat their cause in their own sentence: only the innermost is kept then.
        said.retain(|s| !s.contains(&text) || s.len() == text.len());
        if !said.contains(&text) {
            said.push(text);
        }
        at = e.source();
    }
    said.join(": ")
}

/// A server's address may carry credentials in its path or user part; people are shown scheme, host and port.
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{}", host.rsplit('@').next().unwrap_or_default())
}
