//! Data that all cases of a run share.
use super::{
    live::LiveSource,
    observers::Observers,
    schedule::{Fault, Schedule, ScheduledAction},
};
use crate::{
    event::Events,
    executor::{FaultSwitch, RunInfo},
    secrets::Secrets,
};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long all the undo of a case may take, unless the environment says otherwise.
const UNDO_TIMEOUT: Duration = Duration::from_secs(300);

pub struct RunContext {
    pub run: RunInfo,
    pub secrets: Arc<Secrets>,
    pub events: Arc<dyn Events>,
    /// Cancelled by the first Ctrl-C: no new action starts, the undo still runs.
    pub cancel: CancellationToken,
    /// Cancelled by the second Ctrl-C: stops the undo too.
    pub kill: CancellationToken,
    /// The runner's own relays, by the name of their fault.
    pub fault_switches: HashMap<String, Arc<dyn FaultSwitch>>,
    /// `None` in a replay.
    pub live: Option<Arc<LiveSource>>,
    pub faults: Vec<(String, Fault)>,
    /// Actions that collect evidence after a failed case.
    pub on_failure: Vec<ScheduledAction>,
    /// The assertions over every observation of the cases.
    pub observers: Observers,
    pub fail_fast: bool,
    /// How often a case that did not pass is tried again.
    pub retries: usize,
    /// Cases heal their faults and undo nothing else.
    pub keep: bool,
    /// How long all the undo of a case may take.
    pub undo_timeout: Duration,
    /// The environment is protected.
    pub protected: bool,
    /// The wall clock.
    pub wall: fn() -> Timestamp,
}

impl RunContext {
    /// A run that nothing cancels, without targets and faults.
    pub fn new(run: RunInfo, secrets: Arc<Secrets>, events: Arc<dyn Events>) -> Self {
        RunContext {
            run,
            secrets,
            events,
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
            fault_switches: HashMap::new(),
            live: None,
            faults: vec![],
            on_failure: vec![],
            observers: Observers::default(),
            fail_fast: false,
            retries: 0,
            keep: false,
            undo_timeout: UNDO_TIMEOUT,
            protected: false,
            wall: Timestamp::now,
        }
    }

    /// With the schedule's protection and assertions over every observation, and its faults and its actions after a failure, which it takes.
    #[must_use]
    pub fn with_schedule(self, schedule: &mut Schedule) -> Self {
        let (faults, on_failure) = (std::mem::take(&mut schedule.faults), std::mem::take(&mut schedule.on_failure));
        let observers = Observers::of(schedule);
        let undo_timeout = schedule.undo_timeout.unwrap_or(self.undo_timeout);
        RunContext { faults, on_failure, observers, undo_timeout, protected: schedule.protected, ..self }
    }
}
