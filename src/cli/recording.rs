//! What is recorded of a run: its folder, its journal, and the snapshot from which it can be cleaned up.
use super::{
    args::{ExecutionArgs, OutputArgs},
    environment::ChosenEnvironment,
    exit,
    failure::Failure,
    files::PlanFile,
    plans::Draft,
    print, runs,
};
use crate::{
    event::EventSink,
    executor::RunInfo,
    executors::http,
    journal::{
        RunFolder,
        lines::JsonLines,
        lock::Lock,
        snapshot::{FileText, Snapshot, SnapshotEnvironment, SnapshotFile, SnapshotSandbox},
    },
    plan::RunsSetting,
    report::run_index::RunIndex,
    secrets::Secrets,
    source::Source,
    yaml,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How to record a run.
pub struct Recording {
    pub output: OutputArgs,
    /// Whether nothing is shown of the run.
    pub is_silent: bool,
    runs: PathBuf,
    keep: RunsSetting,
    /// Not masked yet.
    snapshot: Snapshot,
}

/// A run that is being recorded.
pub struct Recorder {
    folder: RunFolder,
    runs: PathBuf,
    keep: RunsSetting,
    /// How many bytes were appended to the journal.
    written: Arc<AtomicU64>,
    /// Of the journal.
    inode: Option<u64>,
    _lock: Lock,
}

impl Recording {
    /// Shows nothing of the run.
    #[must_use]
    pub fn silent(self) -> Recording {
        Recording { is_silent: true, ..self }
    }

    /// Of a plan in the environment that was chosen.
    pub fn new(
        output: OutputArgs,
        file: &PlanFile,
        draft: &Draft<'_>,
        chosen: &ChosenEnvironment,
        args: &ExecutionArgs,
    ) -> Recording {
        #[cfg(feature = "sandbox")]
        let sandbox = chosen.sandbox.as_ref().map(|_| SnapshotSandbox {
            database: args.sandbox.database.clone(),
            kubeconfig: args.sandbox.kubeconfig.as_ref().map(|path| absolute(path)),
        });
        #[cfg(not(feature = "sandbox"))]
        let sandbox = None::<SnapshotSandbox>;
        let environment = SnapshotEnvironment {
            name: chosen.environment.name.clone(),
            protected: chosen.environment.protected,
            allow: chosen.environment.allow.clone(),
            file: chosen.file.as_ref().map(|file| SnapshotFile {
                path: absolute(Path::new(&file.source.name)),
                content: FileText { name: file.source.name.clone(), text: file.source.text.clone() },
                masked: false,
                files: file.included.texts(),
            }),
            sandbox,
        };
        let snapshot = Snapshot {
            version: env!("CARGO_PKG_VERSION").into(),
            directory: std::env::current_dir().unwrap_or_default(),
            arguments: std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect(),
            plan: FileText { name: file.source.name.clone(), text: file.source.text.clone() },
            root: absolute(&file.root),
            files: draft.included.texts(),
            environment,
            set: args.set.clone(),
        };
        let source = chosen.file.as_ref().map(|file| &*file.source);
        let runs = runs::folder(&file.root, source);
        Recording { output, is_silent: false, runs, keep: chosen.runs.clone(), snapshot }
    }

    /// The SHA-256 of the plan's file and of the files that it includes, with their names in the folder of the plan: the same in every
    /// checkout. In hexadecimal.
    pub fn plan_digest(&self) -> String {
        let Snapshot { plan, root, files, .. } = &self.snapshot;
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        };
        add(&plan.text);
        for (path, text) in files {
            add(&path.strip_prefix(root).unwrap_or(path).to_string_lossy());
            add(text);
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Creates and locks the folder of the run, and writes the snapshot. Passwords in the URLs of the environment are secrets from now on.
    pub fn start(&self, run: &RunInfo, secrets: &Secrets) -> Result<Recorder, Failure> {
        let (folder, lock) = self.create(&run.id)?;
        let not_written = |e: std::io::Error| Failure::not_written(folder.path(), &e);
        if let Some(file) = &self.snapshot.environment.file {
            passwords_of_urls(&file.content.text).for_each(|password| secrets.add("password", password));
            add_headers(&file.content, secrets);
        }
        folder.write_snapshot(&masked(&self.snapshot, secrets)).map_err(not_written)?;
        let runs = folder.path().parent().unwrap_or(&self.runs).to_path_buf();
        Ok(Recorder { folder, runs, keep: self.keep.clone(), written: Arc::default(), inode: None, _lock: lock })
    }

    /// Creates the folder of the run; in the user's folder for state if the working folder cannot be written.
    fn create(&self, id: &str) -> Result<(RunFolder, Lock), Failure> {
        let not_written = |e: &std::io::Error| Failure::not_written(&self.runs.join(id), e);
        let e = match RunFolder::create(&self.runs, id) {
            Ok(created) => return Ok(created),
            Err(e) => e,
        };
        let is_read_only =
            matches!(e.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem);
        let state = runs::state_folder().filter(|_| is_read_only).ok_or_else(|| not_written(&e))?;
        let created = RunFolder::create(&state, id).map_err(|_| not_written(&e))?;
        print::err(format_args!(
            "note: `{}` cannot be written, so the run is recorded in `{}`\n",
            self.runs.display(),
            state.display()
        ));
        Ok(created)
    }
}

impl Recorder {
    /// What writes the journal.
    pub fn sink(&mut self) -> Result<Box<dyn EventSink>, Failure> {
        let path = self.folder.events();
        let lines = JsonLines::open(&path).map_err(|e| Failure::not_written(&path, &e))?;
        self.written = lines.written();
        self.inode = std::fs::metadata(&path).ok().map(|m| m.ino());
        Ok(Box::new(lines))
    }

    /// Says how the run ended and how many undos are open, and removes old runs. Fails if the journal is no longer what was written.
    pub fn finish(&self, index: &RunIndex, left: usize) -> Result<(), Failure> {
        let journal = std::fs::metadata(self.folder.events()).ok();
        let written = self.written.load(Ordering::SeqCst);
        if !journal.is_some_and(|m| Some(m.ino()) == self.inode && m.len() >= written) {
            let path = self.folder.events();
            let message =
                format!("error: the journal `{}` was removed or cut while the run wrote to it", path.display());
            return Err(Failure { message, code: exit::NO_REPORT });
        }
        runs::write_result(&self.folder, index, Timestamp::now(), left)?;
        runs::prune(&self.runs, &self.keep);
        Ok(())
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The snapshot without secrets.
fn masked(snapshot: &Snapshot, secrets: &Secrets) -> Snapshot {
    // `cleanup` needs the values that the plan and the arguments contain, unless they are declared as secrets
    let text = |text: &String| secrets.masked_if_declared(text);
    let texts = |files: &BTreeMap<PathBuf, String>| files.iter().map(|(p, t)| (p.clone(), text(t))).collect();
    let file_text = |file: &FileText| FileText { name: file.name.clone(), text: text(&file.text) };
    let environment = &snapshot.environment;
    let file = environment.file.as_ref().map(|file| {
        let FileText { name, text } = file.content.clone();
        let content = FileText { name, text: secrets.masked(text) };
        let hidden = SnapshotFile { content, files: texts(&file.files), ..file.clone() };
        SnapshotFile { masked: hidden != *file, ..hidden }
    });
    let sandbox = environment.sandbox.as_ref().map(|sandbox| SnapshotSandbox {
        database: sandbox.database.as_ref().map(|url| without_password(url)),
        ..sandbox.clone()
    });
    Snapshot {
        plan: file_text(&snapshot.plan),
        files: texts(&snapshot.files),
        environment: SnapshotEnvironment { file, sandbox, ..environment.clone() },
        set: snapshot.set.iter().map(text).collect(),
        arguments: snapshot.arguments.iter().map(|word| text(&without_password(word))).collect(),
        ..snapshot.clone()
    }
}

/// The passwords in the URLs of a text: `postgres://user:PASSWORD@host`. One with a placeholder is not known yet.
fn passwords_of_urls(text: &str) -> impl Iterator<Item = &str> {
    text.split("://").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| c.is_whitespace() || "/\"'".contains(c)).unwrap_or(rest.len());
        let (user, _) = rest[..end].rsplit_once('@')?;
        let (_, password) = user.split_once(':')?;
        (!password.is_empty() && !password.contains("${")).then_some(password)
    })
}

pub fn without_password(url: &str) -> String {
    passwords_of_urls(url).fold(url.to_string(), |url, password| url.replace(&format!(":{password}@"), ":‹password›@"))
}

/// Masks the literal headers of targets and their identities from now on.
fn add_headers(file: &FileText, secrets: &Secrets) {
    let source = Arc::new(Source::new(file.name.clone(), file.text.clone()));
    let Ok(root) = yaml::parse(&source) else { return };
    let entries = |node: Option<&yaml::Node>| node.map(|n| n.entries().to_vec()).unwrap_or_default();
    for (_, environment) in entries(root.get("environments")) {
        for (_, target) in entries(environment.get("targets")) {
            let target = target.get("http").filter(|inner| inner.get("url").is_some()).cloned().unwrap_or(target);
            let identities = entries(target.get("identities")).into_iter().map(|(_, identity)| identity);
            for settings in identities.chain([target.clone()]).collect::<Vec<_>>() {
                for (name, value) in entries(settings.get("headers")) {
                    http::mask_header(secrets, &name.key_text(), &value.key_text());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_found_and_hidden() {
        let text = "db: postgres://u:p%40ss@h:5432/d\nother: \"mysql://root:${pw}@h/d\" http://h/a:b@c https://x";
        assert_eq!(passwords_of_urls(text).collect::<Vec<_>>(), ["p%40ss"]);
        assert_eq!(without_password("--database=postgres://u:secret@h/d"), "--database=postgres://u:‹password›@h/d");
        assert_eq!(without_password("--set=a=b"), "--set=a=b");
    }
}
