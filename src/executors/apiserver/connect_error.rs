//! An error message for each way in which a cluster cannot be reached: what is wrong, where, and what to do. Pure.
use crate::{
    diagnostic::nearest,
    executor::ActionError,
    executors::error_chain::{causes, error_chain},
};
use kube::{
    client::AuthError,
    config::{ExecConfig, KubeconfigError},
};
use rustls::{AlertDescription, CertificateError, Error as Tls};
use std::{error::Error, io};

fn unreachable(message: String) -> ActionError {
    ActionError::Unreachable(message)
}

pub fn no_kubeconfig() -> ActionError {
    let searched = "`KUBECONFIG`, `~/.kube/config`, a pod's service account";
    unreachable(format!("no kubeconfig found ({searched}); set `kubeconfig: PATH` in the target"))
}

pub fn not_in_cluster(error: &dyn Error) -> ActionError {
    unreachable(format!("`in-cluster` needs a pod with a service account, not found here: {}", error_chain(error)))
}

pub fn invalid_kubeconfig(error: &KubeconfigError, name: &str) -> ActionError {
    unreachable(match error {
        KubeconfigError::ReadConfig(e, path) if e.kind() == io::ErrorKind::NotFound => {
            format!("kubeconfig `{}` does not exist; correct the path in the target", path.display())
        }
        KubeconfigError::ReadConfig(e, path) => format!("cannot read kubeconfig `{}`: {e}", path.display()),
        e => format!("invalid {name}: {}", error_chain(e).lines().next().unwrap_or_default()),
    })
}

pub fn no_current_context(name: &str, contexts: &[&str]) -> ActionError {
    unreachable(format!("{name} has no current context; set `context:` in the target; available: {}", listed(contexts)))
}

/// `kind`: context, cluster or user.
pub fn unknown_entry(owner: &str, kind: &str, wanted: &str, available: &[&str]) -> ActionError {
    let nearest = nearest(wanted, available.iter().copied());
    let meant = nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
    unreachable(format!("{owner}: {kind} `{wanted}` not found; available: {}{meant}", listed(available)))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// For a file that the kubeconfig names.
pub fn unreadable_file(what: &str, path: &str, error: &io::Error) -> ActionError {
    unreachable(format!("cannot read the {what} `{path}` of the kubeconfig: {error}"))
}

pub fn unusable_context(error: &KubeconfigError, name: &str) -> ActionError {
    unreachable(format!("cannot use {name}: {}", error_chain(error)))
}

pub fn credentials_failed(error: &kube::Error, plugin: Option<&ExecConfig>) -> ActionError {
    let kube::Error::Auth(auth) = error else {
        return unreachable(format!("cannot use the credentials of the kubeconfig: {}", error_chain(error)));
    };
    let program = plugin.and_then(|p| p.command.as_deref()).unwrap_or("?");
    unreachable(match auth {
        AuthError::AuthExecStart(e) if e.kind() == io::ErrorKind::NotFound => {
            let hint = plugin.and_then(|p| p.install_hint.as_deref()).map(str::trim).filter(|h| !h.is_empty());
            let hint = hint.unwrap_or("install it, or add its folder to PATH");
            format!("credential plugin `{program}` not found; {hint}")
        }
        AuthError::AuthExecStart(e) => format!("cannot run the credential plugin `{program}`: {e}"),
        AuthError::AuthExecRun { out, .. } => {
            let stderr = String::from_utf8_lossy(&out.stderr);
            let last = stderr.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no error output");
            format!("credential plugin `{program}` failed with {}: {last}", out.status)
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            format!("expected an `ExecCredential` with a status from credential plugin `{program}`, found other output")
        }
        AuthError::ReadTokenFile(e, path) => format!("cannot read token file `{}`: {e}", path.display()),
        e => format!("cannot use the credentials of the kubeconfig: {}", error_chain(e)),
    })
}

/// Why a request got no response, as a clause.
pub fn request_failed(error: &kube::Error) -> String {
    for cause in causes(error) {
        if let Some(tls) = cause.downcast_ref::<Tls>() {
            return tls_failed(tls);
        }
        match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => {
                return "connection refused; check that the server runs and listens on this address".into();
            }
            Some(io::ErrorKind::TimedOut) => return "connection timed out; check the network and firewalls".into(),
            _ => {}
        }
        if cause.to_string() == "dns error" {
            return "host not found; check the name in the kubeconfig".into();
        }
    }
    error_chain(error)
}

fn tls_failed(error: &Tls) -> String {
    use CertificateError as C;
    match error {
        Tls::InvalidCertificate(C::UnknownIssuer) => {
            "TLS: certificate signed by an unknown authority; set `certificate-authority` in the kubeconfig".into()
        }
        Tls::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            format!("TLS: the certificate is for another host; set `tls-server-name` in the kubeconfig ({error})")
        }
        Tls::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => format!("TLS: certificate expired or not valid yet; check the clock of this machine too ({error})"),
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA,
        ) => format!("TLS: the server rejected the client certificate ({error})"),
        Tls::InvalidMessage(_) => {
            "the server does not speak TLS; if that is intended, use `http://` in the kubeconfig".into()
        }
        e => format!("TLS: {e}"),
    }
}

/// Scheme, host and port of a server's address; user and path may contain credentials.
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{}", host.rsplit('@').next().unwrap_or_default())
}
