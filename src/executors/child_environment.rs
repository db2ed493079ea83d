//! The environment variables that programs inherit.
use parking_lot::Mutex;
use std::{collections::BTreeSet, env, ffi::OsStr};
use tokio::process::Command;

/// What most programs need. Also `LC_…`.
const COMMON: &[&str] = &["PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR"];

static WITHHELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From now on, no program inherits these variables: they are declared as secrets.
pub fn withhold(names: impl IntoIterator<Item = String>) {
    WITHHELD.lock().extend(names);
}

/// Removes the secrets.
pub(super) fn remove_secrets(command: &mut Command) {
    for name in &*WITHHELD.lock() {
        command.env_remove(name);
    }
}

/// A program with the variables of this process but for secrets.
pub fn without_secrets(program: &str) -> Command {
    let mut command = Command::new(program);
    remove_secrets(&mut command);
    command
}

/// Leaves only what most programs need.
pub(super) fn keep_common(command: &mut Command) {
    command.env_clear();
    let withheld = WITHHELD.lock();
    for (name, value) in env::vars_os().filter(|(name, _)| is_common(name)) {
        if !name.to_str().is_some_and(|name| withheld.contains(name)) {
            command.env(name, value);
        }
    }
}

fn is_common(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| COMMON.contains(&name) || name.starts_with("LC_"))
}
