//! Where files are: plans by id, file or folder; the environment file; what a plan names.
use super::failure::Failure;
use crate::{plan::read::FileLoader, source::Source};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A plan that is built into the binary.
pub struct BuiltIn {
    id: &'static str,
    text: &'static str,
    /// The Markdown plan that it carries out.
    pub markdown: &'static str,
    /// What it guards.
    pub guards: &'static str,
}

static BUILT_IN: &[BuiltIn] = &[BuiltIn {
    id: "TP-004",
    text: include_str!("../../plans/TP-004.yaml"),
    markdown: include_str!("../../docs/TP-004.md"),
    guards: include_str!("../../plans/TP-004.guards.json"),
}];

/// A plan's text, and where the paths in it start.
pub struct Found {
    pub source: Arc<Source>,
    pub root: PathBuf,
    /// What lies beside a plan that is built in.
    pub built_in: Option<&'static BuiltIn>,
}

/// What a plan includes, from disk.
pub struct Disk;

impl FileLoader for Disk {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// The plans that the arguments name; all of `plans/` where they name none.
pub fn plans(names: &[String]) -> Result<Vec<Found>, Failure> {
    if names.is_empty() {
        let folder = upwards("plans").filter(|p| p.is_dir());
        let folder =
            folder.ok_or_else(|| Failure::usage("error: name a plan: there is no folder `plans` here or above"))?;
        return folder_of(&folder);
    }
    let mut out = vec![];
    for name in names {
        let path = Path::new(name);
        if path.is_dir() {
            out.extend(folder_of(path)?);
        } else if path.is_file() {
            out.push(load(path)?);
        } else if name.contains(['/', '\\']) || name.ends_with(".yaml") || name.ends_with(".yml") {
            return Err(Failure::usage(format!("error: there is no file `{name}`")));
        } else {
            out.push(by_id(name)?);
        }
    }
    Ok(out)
}

fn by_id(id: &str) -> Result<Found, Failure> {
    let mut searched = vec![];
    let here = std::env::current_dir().unwrap_or_default();
    for folder in here.ancestors().map(|a| a.join("plans")) {
        if !folder.is_dir() {
            continue;
        }
        searched.push(folder.display().to_string());
        for path in yaml_files(&folder) {
            let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
            if stem == id || (stem.starts_with(id) && stem[id.len()..].starts_with(['-', '.', '_'])) {
                return load(&shorten(&path));
            }
        }
    }
    if let Some(plan) = BUILT_IN.iter().find(|p| p.id == id) {
        let source = Arc::new(Source { name: format!("{id}.yaml (built in)"), text: plan.text.to_string() });
        return Ok(Found { source, root: here, built_in: Some(plan) });
    }
    let searched = if searched.is_empty() {
        "there is no folder `plans` here or above".into()
    } else {
        format!("searched: {}", searched.join(", "))
    };
    let built_in = BUILT_IN.iter().map(|p| p.id).collect::<Vec<_>>().join(", ");
    Err(Failure::usage(format!("error: there is no plan `{id}`\n  {searched}\n  built in: {built_in}")))
}

fn folder_of(folder: &Path) -> Result<Vec<Found>, Failure> {
    let files = yaml_files(folder);
    if files.is_empty() {
        return Err(Failure::usage(format!("error: there is no plan in `{}`", folder.display())));
    }
    files.iter().map(|p| load(&shorten(p))).collect()
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"))
        // may lie beside plans, and is none
        .filter(|p| p.file_name().is_some_and(|n| n != "tp-runner.yaml"))
        .collect();
    files.sort();
    files
}

fn load(path: &Path) -> Result<Found, Failure> {
    let bytes =
        std::fs::read(path).map_err(|e| Failure::usage(format!("error: `{}` cannot be read: {e}", path.display())))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Failure::usage(format!("error: `{}` is not UTF-8 from byte {at} on", path.display()))
    })?;
    let folder = std::path::absolute(path).unwrap_or(path.into()).parent().unwrap_or(Path::new("/")).to_path_buf();
    let root = if folder.file_name().is_some_and(|n| n == "plans") {
        folder.parent().unwrap_or(&folder).to_path_buf()
    } else {
        folder
    };
    Ok(Found { source: Arc::new(Source { name: path.display().to_string(), text }), root, built_in: None })
}

/// The environment file: the one named, or `tp-runner.yaml` here or above.
pub fn environment_file(named: Option<&Path>) -> Result<Option<Arc<Source>>, Failure> {
    let path = match named {
        Some(p) => p.to_path_buf(),
        None => match upwards("tp-runner.yaml") {
            Some(p) => shorten(&p),
            None => return Ok(None),
        },
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Arc::new(Source { name: path.display().to_string(), text }))),
        Err(e) => Err(Failure::usage(format!("error: the environment file `{}` cannot be read: {e}", path.display()))),
    }
}

/// The first of that name here or in a folder above.
pub fn upwards(name: &str) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|a| a.join(name)).find(|p| p.exists())
}

/// As the user would name it: relative, where it lies below.
pub fn shorten(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map_or_else(|_| path.to_path_buf(), Path::to_path_buf)
}
