//! The target of `http`: an endpoint and the identities that requests can be sent as. Shared by all cases of a run.
use super::{
    address::parse_base,
    connection::{self, ConnectionSpec},
    endpoint::Endpoint,
    identity::{self, Identity, IdentitySpec},
    probe, tls,
};
use crate::{
    diagnostic::Diagnostic,
    executor::{ActionError, Body, Permission, ProbeResult, RunInfo, Target, TargetSpec},
    expr::{Scope, Template},
    language::{Key, Shape},
    yaml::{Kind, wrong_type},
};
use async_trait::async_trait;
use reqwest::Url;
use std::sync::Arc;

const IDENTITY: &[&[Key]] = &[&identity::KEYS, &tls::CLIENT_CERTIFICATE_KEYS];
const IDENTITIES: &[Key] = &[Key::new("identities", Shape::MapOf(&Shape::Keys(IDENTITY)))
    .means("further credentials by name, for actions with `identity: NAME`")];
const SETTINGS: &[&[Key]] =
    &[IDENTITIES, &connection::KEYS, &tls::KEYS, &tls::CLIENT_CERTIFICATE_KEYS, &identity::KEYS];
const URL: &[Key] = &[Key::new("url", Shape::Text).required().means("address of the server")];
const SERVER: Shape = Shape::Either(&[
    Shape::Text,
    Shape::Keys(&[URL, IDENTITIES, &connection::KEYS, &tls::KEYS, &tls::CLIENT_CERTIFICATE_KEYS, &identity::KEYS]),
]);
pub(super) const KEYS: &[&[Key]] = &[
    &[Key::new("http", SERVER).required().means("address of the server")],
    IDENTITIES,
    &connection::KEYS,
    &tls::KEYS,
    &tls::CLIENT_CERTIFICATE_KEYS,
    &identity::KEYS,
];

pub(super) struct HttpTargetSpec {
    url: Template,
    connection: ConnectionSpec,
    /// The default identity, then those with a name.
    identities: Vec<Arc<IdentitySpec>>,
}

impl HttpTargetSpec {
    /// Compiles `http: URL` with settings beside it, or `http: { url: URL, … }`.
    pub fn compile(body: &mut Body<'_>) -> Option<HttpTargetSpec> {
        body.settings("http", "url", |body, url_key| {
            let address: &[Key] = &[Key::new(url_key, Shape::Text)];
            body.only(&[&[address], SETTINGS].concat());
            let identities = compile_identities(body);
            let connection = ConnectionSpec::compile(body);
            body.required(url_key);
            let url = body.checked_template(url_key, |text, span| {
                let d = Diagnostic::error("invalid-url", span, parse_base(text).err()?.to_string());
                Some(d.help("an address like `https://api.example:8443`"))
            })?;
            Some(HttpTargetSpec { url, connection, identities })
        })
    }
}

fn compile_identities(body: &mut Body<'_>) -> Vec<Arc<IdentitySpec>> {
    let mut identities = vec![Arc::new(IdentitySpec::compile(None, body))];
    let Some(node) = body.get("identities").cloned() else { return identities };
    if !matches!(node.kind, Kind::Map(_)) {
        body.problem(wrong_type(&node, "a map"));
    }
    for (name, node) in node.entries() {
        if name.key_text() == "none" {
            let message = "`none` is reserved: it means \"without an identity\"";
            body.problem(Diagnostic::error("reserved-identity", &name.span, message));
        }
        let mut part = body.part(node);
        if part.only(IDENTITY) {
            identities.push(Arc::new(IdentitySpec::compile(Some(name.key_text()), &mut part)));
        }
    }
    identities
}

#[async_trait]
impl TargetSpec for HttpTargetSpec {
    async fn connect(&self, run: &RunInfo, scope: &Scope) -> Result<Arc<dyn Target>, ActionError> {
        let url = parse_base(&self.url.render_text(scope)?)?;
        if let Some(password) = url.password() {
            scope.secrets().add("password", password);
        }
        scope.secrets().add_ordinary(url.as_str());
        let connection = self.connection.load(run, scope, &url)?;
        let endpoint = Endpoint::new(url, connection)?;
        let mut identities = vec![];
        for spec in &self.identities {
            identities.push(Identity::open(spec.clone(), run, scope, &endpoint)?);
        }
        Ok(Arc::new(HttpTarget { endpoint, identities, run: run.clone() }))
    }

    fn address(&self, scope: &Scope) -> String {
        let text = self.url.render_known(scope);
        match Url::parse(&text) {
            Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
                let _ = (url.set_username(""), url.set_password(None));
                url.to_string().trim_end_matches('/').to_string()
            }
            _ => text,
        }
    }
}

pub(super) struct HttpTarget {
    pub endpoint: Endpoint,
    identities: Vec<Identity>,
    /// For `probe`.
    run: RunInfo,
}

#[async_trait]
impl Target for HttpTarget {
    async fn probe(&self, _: &[Permission], environment: &Scope) -> Vec<ProbeResult> {
        probe::probe_identities(&self.endpoint, &self.identities, &self.run, environment).await
    }
}

impl HttpTarget {
    /// The identity of this name. Without a name, the default one, but only for URLs of this server: others must not
    /// get its credentials.
    pub fn identity_for(&self, name: Option<&str>, url: &Url) -> Result<Option<&Identity>, ActionError> {
        match name {
            Some("none") => Ok(None),
            Some(name) => self.identities.iter().find(|i| i.name() == Some(name)).map(Some).ok_or_else(|| {
                let defined: Vec<_> =
                    self.identities.iter().filter_map(Identity::name).map(|n| format!("`{n}`, ")).collect();
                ActionError::Invalid(format!("unknown identity `{name}`; the target has {}`none`", defined.concat()))
            }),
            None if url.origin() != self.endpoint.url.origin() => Ok(None),
            None => Ok(self.identities.first()),
        }
    }
}
