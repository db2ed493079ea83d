//! Where observations come from: here the live context; `replay` has recorded ones. Deadlines live in `Live`, so that a replay has no
//! clock.
use super::{schedule, step::Done};
use crate::{
    address::Address,
    event::Evidence,
    executor::{Action, ActionContext, ActionError, Output, RunInfo, Target},
    expr::Scope,
    plan::Assertions,
    secrets::Secrets,
    value::Value,
};
use async_trait::async_trait;
use futures::FutureExt;
use jiff::Timestamp;
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};
use tokio_util::sync::CancellationToken;

/// How long a change that is under way when the run is cancelled may take to its end.
const GRACE: Duration = Duration::from_secs(3);

/// What is to be looked at, and until when.
pub struct Ask<'a> {
    pub action: &'a dyn Action,
    pub target: Option<&'a str>,
    pub at: &'a Address,
    pub scope: &'a Scope,
    /// The look before, from which the next one continues without losing anything.
    pub last: Option<&'a Output>,
    /// How many looks there were.
    pub count: u32,
    /// When the time for looking is over.
    pub until: Option<Instant>,
    /// How long one look may take.
    pub timeout: Duration,
    pub pace: Duration,
    pub cancel: &'a CancellationToken,
}

pub struct Look {
    pub result: Result<Output, ActionError>,
    pub evidence: Vec<Evidence>,
    /// The request had left: silence is the product's answer.
    pub sent: bool,
}

/// Whether there is one more try.
pub enum Again {
    No,
    Live,
    /// What it came to when it was recorded.
    Recorded(Value),
}

#[async_trait]
pub trait Looks: Send + Sync {
    /// `None`: the time for looking is over.
    async fn look(&self, ask: Ask<'_>) -> Option<Look>;
    /// Whether a whole `use` may be tried once more.
    async fn again(
        &self,
        at: &Address,
        count: u32,
        until: Option<Instant>,
        pace: Duration,
        cancel: &CancellationToken,
    ) -> Again;
    /// The overlap of a `parallel`, and what a healed fault refused, as measured or as recorded.
    fn measured(&self, at: &Address, live: Value) -> Value;
    /// Whether acts have effects, and so need an undo.
    fn live(&self) -> bool;
    /// The names that only the environment knows.
    fn environment(&self) -> Scope;
    /// In a record: when an action ended.
    fn moment(&self, _: &Address) -> Option<Timestamp> {
        None
    }
    /// This is about to be asked, with these names bound.
    fn asking(&self, _: &Assertions, _: &Scope) {}
    /// What an action comes to where that is known beforehand: in a replay, of what is as it was.
    fn known(&self, _: &Address, _: &Scope, _faults: &[String]) -> Option<Done> {
        None
    }
    /// The scope to perform an action in, where it is to be learnt what of it is read.
    fn watch(&self, _: &Scope) -> Option<Scope> {
        None
    }
    /// What an action came to in a scope.
    fn learn(&self, _: &Address, _: &Scope, _faults: &[String], _: &Done) {}
}

/// The world itself: the targets of the environment, each connected at its first use.
pub struct Live {
    run: RunInfo,
    secrets: Arc<Secrets>,
    environment: RwLock<Scope>,
    targets: HashMap<String, Connection>,
    /// In the order in which they were connected: closed last first.
    opened: Mutex<Vec<Arc<dyn Target>>>,
}

struct Connection {
    spec: Arc<dyn crate::executor::TargetSpec>,
    cell: OnceCell<Arc<dyn Target>>,
}

impl Live {
    pub fn new(run: RunInfo, secrets: Arc<Secrets>, environment: Scope, targets: &[schedule::Target]) -> Self {
        let targets = targets
            .iter()
            .map(|t| (t.name.clone(), Connection { spec: t.spec.clone(), cell: OnceCell::new() }))
            .collect();
        Live { run, secrets, environment: RwLock::new(environment), targets, opened: Mutex::default() }
    }

    /// The names that setup bound: targets may read them from now on.
    pub fn set_environment(&self, scope: Scope) {
        *self.environment.write().unwrap_or_else(|e| e.into_inner()) = scope;
    }

    /// Connects at the first call. The error says why that cannot be.
    pub async fn target(&self, name: &str) -> Result<Arc<dyn Target>, ActionError> {
        let connection =
            self.targets.get(name).ok_or_else(|| ActionError::Invalid(format!("there is no target `{name}`")))?;
        let scope = self.environment();
        let target = connection.cell.get_or_try_init(|| async {
            let target = connection.spec.connect(&self.run, &scope).await?;
            self.opened.lock().unwrap_or_else(|e| e.into_inner()).push(target.clone());
            Ok::<_, ActionError>(target)
        });
        Ok(target.await?.clone())
    }

    /// Name and version of each target that was used and says so.
    pub async fn versions(&self) -> Vec<(String, String)> {
        let mut out = vec![];
        for (name, connection) in &self.targets {
            if let Some(target) = connection.cell.get()
                && let Some(version) = target.version().await
            {
                out.push((name.clone(), version));
            }
        }
        out.sort();
        out
    }

    /// Closes what was opened, last first.
    pub async fn close(&self) {
        loop {
            let Some(target) = self.opened.lock().unwrap_or_else(|e| e.into_inner()).pop() else { return };
            target.close().await;
        }
    }
}

#[async_trait]
impl Looks for Live {
    async fn look(&self, ask: Ask<'_>) -> Option<Look> {
        let over = |deadline: Option<Instant>| deadline.is_some_and(|d| Instant::now() >= d);
        if ask.count > 0 && over(ask.until) {
            return None;
        }
        let evidence = Mutex::new(vec![]);
        let sent = AtomicBool::new(false);
        let environment = self.environment();
        let limit = Instant::now() + ask.timeout;
        let deadline = ask.until.map_or(limit, |u| u.min(limit));
        let result = {
            let act = async {
                if ask.count > 0 && ask.last.is_none() {
                    tokio::time::sleep(ask.pace).await;
                }
                let target = match ask.target {
                    Some(name) => Some(self.target(name).await?),
                    None => None,
                };
                let cx = ActionContext {
                    address: ask.at,
                    run: &self.run,
                    scope: ask.scope,
                    environment: &environment,
                    cancel: ask.cancel.clone(),
                    secrets: &self.secrets,
                    target,
                    evidence: &evidence,
                    sent: &sent,
                };
                match ask.last {
                    None => ask.action.perform(&cx).await,
                    Some(last) => ask.action.next(&cx, last, ask.pace).await,
                }
            };
            // a dependency that panics is one failed step
            let act = AssertUnwindSafe(act).catch_unwind().map(|r| {
                r.unwrap_or_else(|_| {
                    Err(ActionError::Invalid("the executor panicked; this is a defect of the runner".into()))
                })
            });
            let mut act = std::pin::pin!(act);
            tokio::select! {
                biased;
                // a change that is under way is let come to its end: one that took effect unseen could not be taken back
                _ = ask.cancel.cancelled() => match sent.load(Ordering::SeqCst) && ask.action.changes() {
                    true => tokio::time::timeout(GRACE, act).await.unwrap_or(Err(ActionError::Cancelled)),
                    false => Err(ActionError::Cancelled),
                },
                r = tokio::time::timeout_at(deadline, &mut act) => match r {
                    Ok(r) => r,
                    // between two looks the time is over; before the first there was no answer
                    Err(_) if ask.count > 0 && deadline < limit => return None,
                    Err(_) => Err(ActionError::TimedOut(ask.timeout.min(deadline.saturating_duration_since(limit - ask.timeout)))),
                },
            }
        };
        let sent = sent.into_inner();
        Some(Look { result, evidence: evidence.into_inner().unwrap_or_else(|e| e.into_inner()), sent })
    }

    async fn again(
        &self,
        _: &Address,
        count: u32,
        until: Option<Instant>,
        pace: Duration,
        cancel: &CancellationToken,
    ) -> Again {
        if count == 0 {
            return Again::Live;
        }
        let Some(until) = until else { return Again::No };
        let next = Instant::now() + pace;
        if next >= until {
            return Again::No;
        }
        tokio::select! {
            _ = cancel.cancelled() => Again::No,
            _ = tokio::time::sleep_until(next) => Again::Live,
        }
    }

    fn measured(&self, _: &Address, live: Value) -> Value {
        live
    }

    fn live(&self) -> bool {
        true
    }

    fn environment(&self) -> Scope {
        self.environment.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// The moment of a look, for outputs that the engine makes itself.
pub fn now() -> Timestamp {
    Timestamp::now()
}
