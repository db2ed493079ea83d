//! A program and all processes it started, killed together.
use std::io;
use tokio::process::{Child, Command};

/// A program in its own process group. Dropping it kills the group.
pub(super) struct ProcessGroup {
    pub leader: Child,
    #[cfg(unix)]
    id: Option<rustix::process::Pid>,
}

impl ProcessGroup {
    pub fn spawn(command: &mut Command) -> io::Result<ProcessGroup> {
        #[cfg(unix)]
        command.process_group(0);
        let leader = command.kill_on_drop(true).spawn()?;
        #[cfg(unix)]
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        Ok(ProcessGroup {
            leader,
            #[cfg(unix)]
            id,
        })
    }

    /// Kills all processes of the group that are still running.
    pub fn kill(&mut self) {
        // Only once: an id is not reused while the group has a member, but may be afterwards.
        #[cfg(unix)]
        if let Some(id) = self.id.take() {
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}
