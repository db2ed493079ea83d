//! Finds and reads files: plans by id, file or folder; the environment file; files included by a plan.
use super::failure::Failure;
use crate::{diagnostic::nearest, file, plan::FileLoader, source::Source};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A plan that is built into the binary.
pub struct BuiltIn {
    id: &'static str,
    text: &'static str,
    /// The Markdown plan that it implements.
    pub markdown: &'static str,
    /// Its assertion baseline.
    pub guards: &'static str,
}

static BUILT_IN: &[BuiltIn] = &[BuiltIn {
    id: "TP-004",
    text: include_str!("../../plans/TP-004.yaml"),
    markdown: include_str!("../../docs/TP-004.md"),
    guards: include_str!("../../plans/TP-004.guards.json"),
}];

/// The text of a plan and its origin.
pub struct PlanFile {
    pub source: Arc<Source>,
    /// The folder that paths in the plan are relative to.
    pub root: PathBuf,
    /// Set for a built-in plan: the plan with its Markdown plan and baseline.
    pub built_in: Option<&'static BuiltIn>,
}

impl PlanFile {
    /// The text of the written plan that the plan names.
    pub fn read_written(&self, source: &str) -> std::io::Result<String> {
        match self.built_in {
            Some(plan) => Ok(plan.markdown.to_string()),
            None => file::read_text(&self.root.join(source)),
        }
    }
}

/// The folder that paths in a plan are relative to: the one that contains the plan, or the one above `plans`.
pub fn root_of(plan: &Path) -> PathBuf {
    let folder = std::path::absolute(plan).unwrap_or(plan.into()).parent().unwrap_or(Path::new("/")).to_path_buf();
    match folder.parent().filter(|_| folder.ends_with("plans")) {
        Some(above) => above.to_path_buf(),
        None => folder,
    }
}

/// The files that a plan or an environment includes, with the texts that were read.
#[derive(Default)]
pub struct IncludedFiles {
    /// Whether they are those of a recorded run: then nothing is read from disk.
    recorded: bool,
    texts: Mutex<BTreeMap<PathBuf, String>>,
}

impl IncludedFiles {
    /// Those of a recorded run.
    pub fn recorded(texts: BTreeMap<PathBuf, String>) -> IncludedFiles {
        IncludedFiles { recorded: true, texts: Mutex::new(texts) }
    }

    pub fn texts(&self) -> BTreeMap<PathBuf, String> {
        self.texts.lock().clone()
    }
}

impl FileLoader for IncludedFiles {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        if self.recorded {
            let not_found = || std::io::Error::new(std::io::ErrorKind::NotFound, "it was not recorded");
            return self.texts.lock().get(path).cloned().ok_or_else(not_found);
        }
        let text = file::read_text(path)?;
        self.texts.lock().insert(path.into(), text.clone());
        Ok(text)
    }
}

/// The plans named by the arguments; without arguments all of `plans/`.
pub fn plans(names: &[String]) -> Result<Vec<PlanFile>, Failure> {
    if names.is_empty() {
        let folder = find_upwards("plans").filter(|p| p.is_dir());
        let folder = folder.ok_or_else(|| {
            let built_in = BUILT_IN.iter().map(|p| format!("`{}`", p.id)).collect::<Vec<_>>().join(", ");
            Failure::usage(format!(
                "error: no plan given, and no folder `plans` here or in a parent\n\
                 help: name a plan by its file, or one that is built in: {built_in}; `tp-runner import` writes one from a written plan"
            ))
        })?;
        return plans_in_folder(&folder);
    }
    let mut out = vec![];
    for name in names {
        let path = Path::new(name);
        if path.is_dir() {
            out.extend(plans_in_folder(path)?);
        } else if path.is_file() && is_written_plan(path) {
            return Err(written_plan(path));
        } else if path.is_file() {
            out.push(load(path)?);
        } else if name.contains(['/', '\\']) || name.ends_with(".yaml") || name.ends_with(".yml") {
            return Err(Failure::usage(format!("error: file not found: `{name}`")));
        } else {
            out.push(by_id(name)?);
        }
    }
    Ok(out)
}

fn is_written_plan(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    ["md", "markdown", "feature", "csv", "tsv"].contains(&extension.as_str())
}

/// Says which YAML plan follows a written plan.
fn written_plan(path: &Path) -> Failure {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folders = whole.ancestors().skip(1).flat_map(|a| [a.join("plans"), a.to_path_buf()]).filter(|f| f.is_dir());
    let follows = |c: &Candidate| {
        let source = c.source.as_ref().and_then(|source| root_of(&c.path).join(source).canonicalize().ok());
        source.as_ref() == Some(&whole)
    };
    let shown = path.display();
    let help = match folders.flat_map(|f| candidates(&f)).find(follows) {
        Some(plan) => format!("its YAML plan is `{}`", plan.path.display()),
        None => format!("`tp-runner import {shown}` writes the skeleton of a YAML plan"),
    };
    Failure::usage(format!("error: expected a YAML plan, found the written plan `{shown}`\nhelp: {help}"))
}

/// The plan whose file name or id is exactly `id`, in the nearest folder `plans`, else built in; else the only one
/// whose file name or id starts with it.
fn by_id(id: &str) -> Result<PlanFile, Failure> {
    let here = std::env::current_dir().unwrap_or_default();
    let folders: Vec<PathBuf> = here.ancestors().map(|a| a.join("plans")).filter(|f| f.is_dir()).collect();
    let found: Vec<Vec<Candidate>> = folders.iter().map(|f| candidates(f)).collect();
    for folder in &found {
        let named = folder.iter().find(|c| c.stem == id);
        let declared: Vec<&Candidate> = folder.iter().filter(|c| c.id.as_deref() == Some(id)).collect();
        match (named, declared.as_slice()) {
            (Some(one), _) | (None, &[one]) => return load(&one.path),
            (None, []) => {}
            (None, several) => return Err(ambiguous(id, several.iter().map(|c| c.path.display().to_string()))),
        }
    }
    let built_in = |plan: &'static BuiltIn| {
        let source = Arc::new(Source::new(format!("{}.yaml (built in)", plan.id), plan.text.to_string()));
        PlanFile { source, root: here.clone(), built_in: Some(plan) }
    };
    if let Some(plan) = BUILT_IN.iter().find(|p| p.id == id) {
        return Ok(built_in(plan));
    }
    let starts = |name: &str| name.strip_prefix(id).is_some_and(|rest| rest.starts_with(['-', '.', '_']));
    for folder in &found {
        let is_meant = |c: &&Candidate| starts(&c.stem) || c.id.as_deref().is_some_and(starts);
        match folder.iter().filter(is_meant).collect::<Vec<_>>().as_slice() {
            [] => {}
            [one] => return load(&one.path),
            several => return Err(ambiguous(id, several.iter().map(|c| c.path.display().to_string()))),
        }
    }
    let all = found.iter().flatten();
    let known = all.flat_map(|c| [Some(c.stem.as_str()), c.id.as_deref()]).flatten();
    let hint = nearest(id, known.chain(BUILT_IN.iter().map(|p| p.id))).map(|near| format!("; did you mean `{near}`?"));
    let searched = if folders.is_empty() {
        "no folder `plans` here or in a parent".into()
    } else {
        format!("searched: {}", folders.iter().map(|f| f.display().to_string()).collect::<Vec<_>>().join(", "))
    };
    let built_in = BUILT_IN.iter().map(|p| p.id).collect::<Vec<_>>().join(", ");
    let has_case = |path: &PathBuf| {
        file::read_text(path).is_ok_and(|text| text.lines().any(|l| l.trim() == format!("- id: {id}")))
    };
    let of_case = found.iter().flatten().find(|c| has_case(&c.path));
    let hint = match of_case {
        Some(plan) => format!("\nhelp: it is a case: `tp-runner run {} --case {id}`", plan.path.display()),
        None => hint.unwrap_or_default(),
    };
    Err(Failure::usage(format!("error: unknown plan `{id}`{hint}\n  {searched}\n  built in: {built_in}")))
}

/// The ids of the plans in the nearest folders `plans`, and of those that are built in.
pub fn known_ids() -> Vec<String> {
    let here = std::env::current_dir().unwrap_or_default();
    let folders = here.ancestors().map(|a| a.join("plans")).filter(|f| f.is_dir());
    let found = folders.flat_map(|f| candidates(&f)).map(|c| c.id.unwrap_or(c.stem));
    let mut ids: Vec<String> = found.chain(BUILT_IN.iter().map(|p| p.id.to_string())).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// A file that may be meant by an id.
struct Candidate {
    path: PathBuf,
    stem: String,
    /// What it says after `plan:`.
    id: Option<String>,
    /// What it says after `source:`.
    source: Option<String>,
}

fn candidates(folder: &Path) -> Vec<Candidate> {
    let candidate = |path: PathBuf| {
        let text = file::read_text(&path).unwrap_or_default();
        let value = |key: &str| {
            let word = text.lines().find_map(|l| l.strip_prefix(key))?.split_whitespace().next()?;
            Some(word.trim_matches(['"', '\'']).to_string())
        };
        Candidate {
            stem: path.file_stem().and_then(|s| s.to_str()).unwrap_or_default().into(),
            id: value("plan:"),
            source: value("source:"),
            path: relative(&path),
        }
    };
    yaml_files(folder).into_iter().map(candidate).collect()
}

fn ambiguous(id: &str, files: impl Iterator<Item = String>) -> Failure {
    let files: Vec<String> = files.collect();
    Failure::usage(format!("error: several plans fit `{id}`: {}\nhelp: name one of these files", files.join(", ")))
}

fn plans_in_folder(folder: &Path) -> Result<Vec<PlanFile>, Failure> {
    let files = yaml_files(folder);
    if files.is_empty() {
        return Err(Failure::usage(format!("error: no plans in `{}`", folder.display())));
    }
    files.iter().map(|p| load(&relative(p))).collect()
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        // The environment file is not a plan.
        .filter(|p| p.file_name().is_some_and(|n| n != "tp-runner.yaml"))
        .collect();
    files.sort();
    files
}

fn load(path: &Path) -> Result<PlanFile, Failure> {
    let text = file::read_text(path).map_err(|e| Failure::not_read(path, e))?;
    let source = Arc::new(Source::new(path.display().to_string(), text));
    Ok(PlanFile { source, root: root_of(path), built_in: None })
}

/// The named environment file, or `tp-runner.yaml` in this folder or a parent.
pub fn environment_file(named: Option<&Path>) -> Result<Option<Arc<Source>>, Failure> {
    let path = match named {
        Some(p) => p.to_path_buf(),
        None => match find_upwards("tp-runner.yaml") {
            Some(p) => relative(&p),
            None => return Ok(None),
        },
    };
    match file::read_text(&path) {
        Ok(text) => Ok(Some(Arc::new(Source::new(path.display().to_string(), text)))),
        Err(e) => Err(Failure::usage(format!("error: cannot read the environment file `{}`: {e}", path.display()))),
    }
}

/// Finds a file or folder by name, in the current folder or the nearest parent.
pub fn find_upwards(name: &str) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|a| a.join(name)).find(|p| p.exists())
}

/// The path relative to the current folder; unchanged if it is outside.
pub fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map_or_else(|_| path.to_path_buf(), Path::to_path_buf)
}
