//! Data that all cases of a run share.
use super::{
    hook::ActionHook,
    live::LiveSource,
    schedule::{Fault, ScheduledAction},
};
use crate::{
    event::Events,
    executor::{FaultSwitch, RunInfo},
    secrets::Secrets,
};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc};
use tokio_util::sync::CancellationToken;

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
    pub fail_fast: bool,
    /// The wall clock.
    pub wall: fn() -> Timestamp,
    /// `None` in a live run.
    pub hook: Option<Arc<dyn ActionHook>>,
}
