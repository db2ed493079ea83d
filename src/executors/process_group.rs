//! A program and all processes it started, killed together.
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use tokio::process::{Child, Command};

/// A program in its own process group. Dropping it kills the group.
pub struct ProcessGroup {
    pub leader: Child,
    id: Option<Pid>,
}

impl ProcessGroup {
    pub fn spawn(command: &mut Command) -> io::Result<ProcessGroup> {
        let leader = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = leader.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(ProcessGroup { leader, id })
    }

    /// Kills all processes of the group that are still running.
    pub fn kill(&mut self) {
        // Only once: an id is not reused while the group has a member, but may be afterwards.
        if let Some(id) = self.id.take() {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
