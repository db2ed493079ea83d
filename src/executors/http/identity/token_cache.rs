//! Caches a fetched token. It is fetched once for all cases, and again when it expires or when the server rejects it.
use super::{authorization::FetchedToken, auxiliary::AuxiliarySender, login::Login, oauth::OAuth};
use crate::executor::{ActionError, Body};
use reqwest::header::HeaderValue;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long before its expiry a token is renewed. At most a tenth of its lifetime.
const RENEWAL_MARGIN: Duration = Duration::from_secs(10);

pub(super) enum TokenSource {
    OAuth(Box<OAuth>),
    Login(Box<Login>),
}

impl TokenSource {
    /// `key`: `oauth2` or `login`.
    pub fn compile(body: &mut Body<'_>, key: &str) -> Option<TokenSource> {
        let node = body.get(key)?.clone();
        let mut part = body.part(&node);
        if key == "oauth2" {
            OAuth::compile(&mut part).map(|o| TokenSource::OAuth(Box::new(o)))
        } else {
            Login::compile(&mut part).map(|l| TokenSource::Login(Box::new(l)))
        }
    }

    async fn fetch(&self, sender: &AuxiliarySender<'_>) -> Result<FetchedToken, ActionError> {
        match self {
            TokenSource::OAuth(oauth) => oauth.fetch(sender).await,
            TokenSource::Login(login) => Box::pin(login.fetch(sender)).await,
        }
    }
}

#[derive(Clone)]
struct Token {
    header: Option<HeaderValue>,
    /// When it must be renewed.
    renew_at: Option<Instant>,
    generation: u64,
}

impl Token {
    fn is_valid(&self) -> bool {
        self.renew_at.is_none_or(|at| Instant::now() < at)
    }
}

/// A token in use by one request.
pub(super) struct HeldToken {
    token: Token,
    /// Whether it was fetched for this very request. Renewing it would be pointless.
    pub fresh: bool,
}

impl HeldToken {
    pub fn header(&self) -> Option<&HeaderValue> {
        self.token.header.as_ref()
    }
}

/// Locked while a token is fetched, so that others wait for it.
#[derive(Default)]
pub(super) struct TokenCache(Mutex<Option<Token>>);

impl TokenCache {
    /// The cached token. Fetches another if it has expired, or if the server has `rejected` it.
    pub async fn get(
        &self,
        source: &TokenSource,
        sender: &AuxiliarySender<'_>,
        rejected: Option<&HeldToken>,
    ) -> Result<HeldToken, ActionError> {
        let mut cached = self.0.lock().await;
        let rejected = rejected.map(|held| held.token.generation);
        if let Some(token) = cached.as_ref().filter(|t| t.is_valid() && Some(t.generation) != rejected) {
            return Ok(HeldToken { token: token.clone(), fresh: false });
        }
        let FetchedToken { header, lifetime } = source.fetch(sender).await?;
        let renew_at = lifetime.and_then(|l| Instant::now().checked_add(l - RENEWAL_MARGIN.min(l / 10)));
        let token = Token { header, renew_at, generation: cached.as_ref().map_or(0, |t| t.generation + 1) };
        *cached = Some(token.clone());
        Ok(HeldToken { token, fresh: true })
    }
}
