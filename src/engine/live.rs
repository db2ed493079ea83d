//! Observes the targets of the environment. Each is connected at its first use. Owns the deadlines of a live run.
use super::{
    abandoned::{Abandoned, InFlight},
    observation::{NextAttempt, Observation, ObservationRequest, ObservationSource},
    panic::caught,
    schedule,
    wait::Wait,
};
use crate::{
    address::Address,
    event::EventKind,
    executor::{ActionContext, ActionError, RunInfo, Target, TargetSpec, mask_fields},
    expr::Scope,
    secrets::Secrets,
    value::Value,
};
use async_trait::async_trait;
use futures::FutureExt;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::HashMap,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};
use tokio_util::sync::CancellationToken;

const VERSION_TIMEOUT: Duration = Duration::from_secs(5);
/// Below it, a search for secrets takes less time than a change of threads.
const LARGE_VALUE_BYTES: usize = 1 << 20;

pub struct LiveSource {
    run: RunInfo,
    secrets: Arc<Secrets>,
    environment: RwLock<Scope>,
    targets: HashMap<String, Connection>,
    /// In the order of connecting; closed last first.
    opened: Mutex<Vec<Arc<dyn Target>>>,
    abandoned: Abandoned,
}

struct Connection {
    spec: Arc<dyn TargetSpec>,
    cell: OnceCell<Arc<dyn Target>>,
}

impl LiveSource {
    pub fn new(run: RunInfo, secrets: Arc<Secrets>, environment: Scope, targets: &[schedule::Target]) -> Self {
        let targets = targets
            .iter()
            .map(|t| (t.name.clone(), Connection { spec: t.spec.clone(), cell: OnceCell::new() }))
            .collect();
        LiveSource {
            run,
            secrets,
            environment: RwLock::new(environment),
            targets,
            opened: Mutex::default(),
            abandoned: Abandoned::default(),
        }
    }

    /// Replaces the names of the environment, after setup has bound its own.
    pub fn set_environment(&self, scope: Scope) {
        *self.environment.write() = scope;
    }

    /// The target of this name, connected at the first call.
    pub async fn target(&self, name: &str) -> Result<Arc<dyn Target>, ActionError> {
        let connection =
            self.targets.get(name).ok_or_else(|| ActionError::Invalid(format!("unknown target `{name}`")))?;
        let scope = self.environment();
        let target = connection.cell.get_or_try_init(|| async {
            let target = connection.spec.connect(&self.run, &scope).await?;
            self.opened.lock().push(target.clone());
            Ok::<_, ActionError>(target)
        });
        Ok(target.await?.clone())
    }

    /// Masks the fields that are named like secrets. A large value is searched on another thread, so that the attempt ends in time.
    async fn mask_fields(&self, value: &Value, processing: &AtomicBool) {
        if value.memory() < LARGE_VALUE_BYTES {
            return mask_fields(&self.secrets, "", value);
        }
        processing.store(true, Ordering::SeqCst);
        let (secrets, value) = (self.secrets.clone(), value.clone());
        if let Err(e) = tokio::task::spawn_blocking(move || mask_fields(&secrets, "", &value)).await
            && let Ok(payload) = e.try_into_panic()
        {
            resume_unwind(payload);
        }
        processing.store(false, Ordering::SeqCst);
    }

    /// The addresses of all targets: as they are set, and those of connections.
    fn addresses(&self, environment: &Scope) -> Vec<String> {
        let of_target = |target: &Connection| {
            [Some(target.spec.address(environment)), target.cell.get().and_then(|connected| connected.address())]
        };
        self.targets.values().flat_map(of_target).flatten().collect()
    }

    /// Says how many requests were abandoned before their response, and which.
    pub fn abandoned(&self) -> Option<String> {
        self.abandoned.in_words()
    }

    /// The addresses and versions of the targets that were used, by their names. `None` if none is known.
    pub async fn describe(&self) -> Option<EventKind> {
        let (mut targets, mut versions) = (vec![], vec![]);
        for (name, target) in &self.targets {
            let Some(connected) = target.cell.get() else { continue };
            targets.extend(connected.address().map(|address| (name.clone(), address)));
            let version = tokio::time::timeout(VERSION_TIMEOUT, connected.version()).await;
            versions.extend(version.ok().flatten().map(|version| (name.clone(), version)));
        }
        targets.sort();
        versions.sort();
        (!targets.is_empty() || !versions.is_empty()).then_some(EventKind::EnvironmentDescribed { targets, versions })
    }

    /// Closes all targets, last first.
    pub async fn close(&self) {
        loop {
            let Some(target) = self.opened.lock().pop() else { return };
            target.close().await;
        }
    }
}

/// Why an attempt ends without a result.
enum End {
    Cancelled,
    TimeLimit,
    /// The time for observing is over.
    Window,
}

/// Waits until an attempt must end: when it is cancelled or `until` is over, or, once its request was sent, at its time limit. A request
/// in flight is completed, since a product may mix up the responses of connections that are closed early.
async fn end_of_attempt(
    request: &ObservationRequest<'_>,
    until: Option<Instant>,
    limit: Instant,
    sent: &AtomicBool,
) -> End {
    let deadline = until.map_or(limit, |until| until.min(limit));
    let end = tokio::select! {
        biased;
        () = request.cancel.cancelled() => End::Cancelled,
        () = tokio::time::sleep_until(deadline) => if deadline < limit { End::Window } else { End::TimeLimit },
    };
    if !sent.load(Ordering::SeqCst) {
        return end;
    }
    tokio::time::sleep_until(limit).await;
    End::TimeLimit
}

#[async_trait]
impl ObservationSource for LiveSource {
    async fn observe(&self, request: ObservationRequest<'_>) -> Option<Observation> {
        let (attempts, until) = (request.wait.attempts, request.wait.observe_until());
        let until = until.filter(|_| !request.confirm);
        if attempts > 0 && until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let evidence = Mutex::new(vec![]);
        let (sent, processing) = (AtomicBool::new(false), AtomicBool::new(false));
        let environment = self.environment();
        let limit = Instant::now() + request.timeout;
        let act = async {
            if attempts > 0 && request.last.is_none() && !request.confirm {
                tokio::time::sleep(request.wait.pace()).await;
            }
            let target = match request.target {
                Some(name) => Some(self.target(name).await?),
                None => None,
            };
            let cx = ActionContext {
                address: request.at,
                run: &self.run,
                scope: request.scope,
                environment: &environment,
                cancel: request.cancel.clone(),
                secrets: &self.secrets,
                target,
                read_only: request.read_only,
                evidence: &evidence,
                sent: &sent,
                processing: &processing,
                targets: &|| self.addresses(&environment),
            };
            let output = match request.last {
                None => request.action.perform(&cx).await,
                Some(last) => request.action.next(&cx, last, request.wait.pace()).await,
            }?;
            self.mask_fields(&output.value, &processing).await;
            Ok(output)
        };
        let act = caught(act).map(|result| result.unwrap_or_else(|reason| Err(ActionError::Panicked(reason))));
        let result = {
            let in_flight = InFlight {
                request: &request,
                sent: &sent,
                evidence: &evidence,
                abandoned: &self.abandoned,
                is_over: false,
            };
            tokio::select! {
                biased;
                () = request.kill.cancelled() => Err(ActionError::Cancelled),
                end = end_of_attempt(&request, until, limit, &sent) => match end {
                    End::Cancelled => Err(ActionError::Cancelled),
                    End::TimeLimit if processing.load(Ordering::SeqCst) => {
                        in_flight.complete();
                        Err(ActionError::Overran(request.timeout))
                    }
                    End::TimeLimit => Err(ActionError::TimedOut(request.timeout)),
                    // a further attempt is dropped, the first one is a timeout
                    End::Window if attempts > 0 => return None,
                    End::Window => {
                        let left = until.unwrap_or(limit).saturating_duration_since(limit - request.timeout);
                        Err(ActionError::TimedOut(request.timeout.min(left)))
                    }
                },
                result = act => {
                    in_flight.complete();
                    // a timer cannot interrupt work that does not wait
                    match Instant::now() > limit {
                        true => result.and(Err(ActionError::Overran(request.timeout))),
                        false => result,
                    }
                }
            }
        };
        let sent = sent.into_inner();
        Some(Observation { result, evidence: evidence.into_inner(), sent })
    }

    async fn next_attempt(&self, _: &Address, wait: &Wait<'_>, cancel: &CancellationToken) -> NextAttempt {
        if wait.attempts == 0 {
            return NextAttempt::Run;
        }
        let Some(until) = wait.until else { return NextAttempt::Stop };
        let next = Instant::now() + wait.pace();
        if next >= until {
            return NextAttempt::Stop;
        }
        tokio::select! {
            _ = cancel.cancelled() => NextAttempt::Stop,
            _ = tokio::time::sleep_until(next) => NextAttempt::Run,
        }
    }

    fn measured(&self, _: &Address, live: Value) -> Value {
        live
    }

    fn is_live(&self) -> bool {
        true
    }

    fn environment(&self) -> Scope {
        self.environment.read().clone()
    }
}
