//! A program and all processes it started, killed together: when its action ends, and when the runner ends in whatever way.
//!
//! The runner starts a program through a supervisor, a hidden subcommand of its own binary, which leads the process group. The kernel
//! signals the supervisor when the runner dies, and it kills the group. Without a supervisor, as in unit tests and on systems without
//! such a signal, the program leads the group itself.
use super::child_environment;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::HashSet,
    env,
    ffi::OsStr,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tokio::process::{Child, Command};

/// The first argument of the supervisor.
pub const SUPERVISE: &str = "__supervise";

static SUPERVISOR: OnceLock<PathBuf> = OnceLock::new();
/// The groups that have not been killed yet.
static RUNNING: Mutex<Option<HashSet<Pid>>> = Mutex::new(None);

/// From now on, programs are started by this binary, which must understand [`SUPERVISE`].
pub fn start_through(supervisor: PathBuf) {
    let _ = SUPERVISOR.set(supervisor);
}

/// Kills all groups. For a process that exits at once, without dropping anything.
pub fn kill_all() {
    for id in RUNNING.lock().take().into_iter().flatten() {
        let _ = kill_process_group(id, Signal::KILL);
    }
}

/// A program in its own process group. Dropping it kills the group.
pub struct ProcessGroup {
    pub leader: Child,
    id: Option<Pid>,
}

impl ProcessGroup {
    /// The command that starts a program in `folder`, with the variables of this process but for secrets. Fails if the program does not exist.
    pub fn command<S: AsRef<OsStr>>(program: &str, arguments: &[S], folder: &Path) -> io::Result<Command> {
        let mut command = match SUPERVISOR.get() {
            Some(supervisor) => {
                find(program, folder)?;
                let mut command = Command::new(supervisor);
                command.arg(SUPERVISE).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).current_dir(folder);
        child_environment::remove_secrets(&mut command);
        Ok(command)
    }

    pub fn spawn(command: &mut Command) -> io::Result<ProcessGroup> {
        let leader = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = leader.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        RUNNING.lock().get_or_insert_default().extend(id);
        Ok(ProcessGroup { leader, id })
    }

    /// Kills all processes of the group that are still running.
    pub fn kill(&mut self) {
        // Only once: an id is not reused while the group has a member, but may be afterwards.
        if let Some(id) = self.id.take() {
            if let Some(running) = &mut *RUNNING.lock() {
                running.remove(&id);
            }
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Finds a program as the system does when it starts one in `folder`: by its path, or in `PATH`.
fn find(program: &str, folder: &Path) -> io::Result<()> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    if !folder.is_dir() {
        return Err(missing());
    }
    let is_executable = |path: &Path| match path.metadata() {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        Err(e) => Err(e),
    };
    if program.contains('/') {
        return is_executable(&folder.join(program));
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut folders = env::split_paths(&path);
    if folders.any(|f| is_executable(&folder.join(f).join(program)).is_ok()) { Ok(()) } else { Err(missing()) }
}
