//! Which files, programs and hosts a plan may use. A plan may be from a stranger; environments and arguments belong to the user.
use serde::{Deserialize, Serialize};
use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};
use url::Url;

/// What a user allows plans to use beside the project folder and the targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowed {
    /// Files, and folders with all that is in them. Relative to the project folder.
    pub paths: Vec<PathBuf>,
    /// Whether plans may run programs.
    pub exec: bool,
    /// `HOST`, or `HOST:PORT`.
    pub hosts: Vec<String>,
    /// Everything, for a plan of which nothing is performed.
    #[serde(skip)]
    pub everything: bool,
}

impl Allowed {
    pub fn everything() -> Allowed {
        Allowed { everything: true, ..Allowed::default() }
    }

    pub fn extend(&mut self, more: Allowed) {
        self.paths.extend(more.paths);
        self.exec |= more.exec;
        self.hosts.extend(more.hosts);
    }
}

/// The rules for what a plan, or an environment, names.
#[derive(Clone, Debug)]
pub struct AccessRules(Option<Arc<Limits>>);

#[derive(Debug)]
struct Limits {
    allowed: Allowed,
    /// The name of the environment, if it is protected.
    protected: Option<String>,
    /// The project folder; `None` until the run if it is not known before.
    root: Option<PathBuf>,
    /// The addresses of the environment's targets, as far as they are known before the run.
    targets: Vec<String>,
}

/// Why something is refused, and what allows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub message: String,
    pub help: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl AccessRules {
    /// For an environment's own actions.
    pub fn unlimited() -> AccessRules {
        AccessRules(None)
    }

    /// For plans. `protected` is the name of a protected environment, which allows nothing. `root` is the project folder, if it is
    /// known.
    pub fn of_plans(
        allowed: Allowed,
        protected: Option<String>,
        root: Option<PathBuf>,
        targets: Vec<String>,
    ) -> AccessRules {
        AccessRules((!allowed.everything).then(|| Arc::new(Limits { allowed, protected, root, targets })))
    }

    /// Whether they are the rules for a plan.
    pub fn is_limited(&self) -> bool {
        self.0.is_some()
    }

    /// Checks a path before the run, as far as the project folder is known.
    pub fn check_path(&self, path: &str) -> Result<(), Refused> {
        match self.0.as_ref().and_then(|limits| limits.root.as_ref()) {
            Some(root) => self.file(root, path).map(drop),
            None => Ok(()),
        }
    }

    /// The file at `path`, relative to the project folder `root`.
    ///
    /// # Errors
    /// The file is outside of the folder, also by `..` or a symbolic link, and not allowed.
    pub fn file(&self, root: &Path, path: &str) -> Result<PathBuf, Refused> {
        let file = root.join(path);
        let Some(limits) = &self.0 else { return Ok(file) };
        let allowed = if limits.protected.is_some() { &[][..] } else { &limits.allowed.paths };
        let mut folders = [root.to_path_buf()].into_iter().chain(allowed.iter().map(|p| root.join(p)));
        let real = resolved(&file);
        if real.as_ref().is_some_and(|real| folders.any(|f| resolved(&f).is_some_and(|f| real.starts_with(f)))) {
            return Ok(file);
        }
        let message = format!("the file `{path}` is outside of the project folder `{}`", root.display());
        let real = real.unwrap_or(file);
        Err(limits.refused(message, &format!("--allow-path {}", real.display()), &format!("paths: [\"{path}\"]")))
    }

    /// Checks whether a plan may run programs.
    pub fn exec(&self) -> Result<(), Refused> {
        match &self.0 {
            Some(limits) if !limits.allowed.exec || limits.protected.is_some() => {
                Err(limits.refused("a plan may not run programs".into(), "--allow-exec", "exec: true"))
            }
            _ => Ok(()),
        }
    }

    /// Checks a host before the run: one that may be that of a target is left to [`AccessRules::host`].
    pub fn check_host(&self, url: &Url) -> Result<(), Refused> {
        let Some(limits) = &self.0 else { return Ok(()) };
        let may_be =
            |address: &String| address.contains("${") || url.host_str().is_some_and(|host| address.contains(host));
        if limits.targets.iter().any(may_be) { Ok(()) } else { self.host(url, []) }
    }

    /// Checks whether a plan may send requests to the host of `url`. `targets` are the addresses of the environment's targets.
    pub fn host(&self, url: &Url, targets: impl IntoIterator<Item = String>) -> Result<(), Refused> {
        let Some(limits) = &self.0 else { return Ok(()) };
        let allowed = if limits.protected.is_some() { &[][..] } else { &limits.allowed.hosts };
        let Some((host, port)) = host_and_port(url) else { return Ok(()) };
        let with_port = format!("{host}:{port}");
        let named = |allowed: &String| {
            let allowed = allowed.to_ascii_lowercase();
            allowed == host || allowed == with_port
        };
        let of_target = |address: String| {
            let url = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
            host_and_port(&url)
        };
        if allowed.iter().any(named)
            || targets.into_iter().filter_map(of_target).any(|known| known == (host.clone(), port))
        {
            return Ok(());
        }
        let message = format!("the host `{with_port}` belongs to no target of the environment");
        Err(limits.refused(message, &format!("--allow-host {with_port}"), &format!("hosts: [\"{with_port}\"]")))
    }
}

impl Limits {
    fn refused(&self, message: String, flag: &str, setting: &str) -> Refused {
        let help = match &self.protected {
            Some(name) => format!("the environment `{name}` is protected, and never allows it"),
            None => format!("`{flag}` allows it, or `allow: {{ {setting} }}` in the environment"),
        };
        Refused { message, help }
    }
}

/// In lower case; the port is the default of the scheme if the URL has none.
fn host_and_port(url: &Url) -> Option<(String, u16)> {
    Some((url.host_str()?.to_ascii_lowercase(), url.port_or_known_default()?))
}

/// The absolute path without `..` and symbolic links. What does not exist stays as it is written. `None` for a link that leads nowhere:
/// what it leads to could be created later.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for component in std::path::absolute(path).ok()?.components() {
        match component {
            Component::ParentDir => drop(out.pop()),
            other => out.push(other),
        }
        if out.is_symlink() {
            out = out.canonicalize().ok()?;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn rules(allowed: Allowed, root: &Path) -> AccessRules {
        AccessRules::of_plans(allowed, None, Some(root.to_path_buf()), vec![])
    }

    #[test]
    fn resolves_parents_and_links_before_it_compares_paths() {
        let folder = tempfile::tempdir().unwrap();
        let (root, beside) = (folder.path().join("project"), folder.path().join("project-2"));
        fs::create_dir_all(root.join("data")).unwrap();
        fs::create_dir_all(&beside).unwrap();
        fs::write(beside.join("secret"), "x").unwrap();
        symlink(&beside, root.join("link")).unwrap();
        symlink("data", root.join("inner")).unwrap();
        symlink(folder.path().join("later"), root.join("dangling")).unwrap();
        let absolute = root.join("data/x").to_string_lossy().into_owned();
        let rules = rules(Allowed::default(), &root);
        for inside in ["data/x", "./data/../x", "inner/x", "new/folder/x", &absolute, "data/../../project/x", "."] {
            assert_eq!(rules.check_path(inside), Ok(()), "{inside}");
        }
        for outside in [
            "..",
            "../x",
            "/etc/passwd",
            "link/secret",
            "link",
            "dangling",
            "../project-2/secret",
            "new/../../x",
            "inner/../../x",
        ] {
            let refused = rules.check_path(outside).expect_err(outside);
            assert!(refused.message.contains("outside of the project folder"), "{refused}");
            assert!(refused.help.contains("--allow-path /"), "{refused}");
        }
    }

    #[test]
    fn allows_named_paths_programs_and_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        fs::create_dir(&root).unwrap();
        let allowed = Allowed {
            paths: vec!["../shared".into()],
            exec: true,
            hosts: vec!["One.example".into(), "two.example:8443".into()],
            ..Allowed::default()
        };
        let host = |rules: &AccessRules, url: &str| {
            rules.host(&Url::parse(url).unwrap(), ["http://target.example:8080/api".into(), "not a URL".into()]).is_ok()
        };
        let free = rules(allowed.clone(), &root);
        assert!(free.check_path("../shared/x").is_ok() && free.check_path("../other").is_err());
        assert!(free.exec().is_ok() && rules(Allowed::default(), &root).exec().is_err());
        for url in
            ["http://one.example", "https://ONE.example:99", "https://two.example:8443", "http://target.example:8080/x"]
        {
            assert!(host(&free, url), "{url}");
        }
        for url in [
            "http://two.example",
            "http://target.example",
            "http://sub.one.example",
            "http://169.254.169.254",
            "http://[::1]:80",
        ] {
            assert!(!host(&free, url), "{url}");
        }
        let protected = AccessRules::of_plans(allowed, Some("live".into()), Some(root), vec![]);
        assert!(protected.exec().unwrap_err().help.contains("`live` is protected"));
        assert!(protected.check_path("../shared/x").is_err() && !host(&protected, "http://one.example"));
        assert!(host(&protected, "http://target.example:8080") && protected.check_path("x").is_ok());
        let unlimited = AccessRules::unlimited();
        assert!(
            unlimited.exec().is_ok() && unlimited.check_path("/etc/passwd").is_ok() && host(&unlimited, "http://x")
        );
    }
}
