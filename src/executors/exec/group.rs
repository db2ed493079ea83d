//! A program and everything that it started, ended together. Knows nothing of plans.
use std::io;
use tokio::process::{Child, Command};

/// While this lives, so may they; when it is dropped, none of them does.
pub(super) struct Group {
    pub child: Child,
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

impl Group {
    pub fn spawn(command: &mut Command) -> io::Result<Group> {
        #[cfg(unix)]
        command.process_group(0);
        let child = command.kill_on_drop(true).spawn()?;
        #[cfg(unix)]
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        Ok(Group {
            child,
            #[cfg(unix)]
            leader,
        })
    }

    /// Ends whatever of it still runs.
    pub fn end(&mut self) {
        // The number of a group is not given out anew while any of its members lives; where none does, nobody is found. Once only:
        // later it may be somebody else's.
        #[cfg(unix)]
        if let Some(leader) = self.leader.take() {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
