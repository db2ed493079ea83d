//! Which files a plan may read before it is compiled: what it includes, its Markdown plan, its schemas.
use super::{
    args::EnvArgs,
    files::{IncludedFiles, PlanFile},
};
use crate::{
    access::{AccessRules, Allowed, Refused},
    diagnostic::{Diagnostic, Diagnostics},
    plan::{Environment, Environments, FileLoader, Plan, Spanned},
    source::{Source, Span},
    yaml,
};
use std::{cell::OnceCell, path::Path, sync::Arc};

/// The rules for one plan. The environment is read only for a path that needs it.
pub struct PlanAccess<'a> {
    file: &'a PlanFile,
    args: &'a EnvArgs,
    environments: &'a dyn Fn() -> Environments,
    /// Those of the environment.
    rules: OnceCell<AccessRules>,
}

impl<'a> PlanAccess<'a> {
    /// `environments` reads the environment file.
    pub fn new(file: &'a PlanFile, args: &'a EnvArgs, environments: &'a dyn Fn() -> Environments) -> PlanAccess<'a> {
        PlanAccess { file, args, environments, rules: OnceCell::new() }
    }

    /// Refuses a plan that is a symbolic link out of its folder: problems quote the text of plans.
    pub fn of_plan_itself(&self) -> Option<Diagnostics> {
        let name = &self.file.source.name;
        if self.file.built_in.is_some() {
            return None;
        }
        let refused = self.refusal(Path::new(name))?;
        let source = Arc::new(Source::new(name.clone(), String::new()));
        let d = Diagnostic::error("not-allowed", &Span { source, range: 0..0 }, refused.message).help(refused.help);
        Some(Diagnostics(vec![d]))
    }

    /// Checks the files that the plan names for the runner itself.
    pub fn check(&self, plan: &Plan) -> Vec<Diagnostic> {
        let root = &self.file.root;
        let beside = Path::new(&self.file.source.name).parent().unwrap_or(root);
        let refused = |(folder, named): (&Path, &Option<Spanned>)| {
            let named = named.as_ref()?;
            let refused = self.refusal(&folder.join(&named.text))?;
            Some(Diagnostic::error("not-allowed", &named.span, refused.message).help(refused.help))
        };
        let named = [(&**root, &plan.source), (root, &plan.report), (beside, &plan.prove.guards)];
        named.into_iter().filter_map(refused).collect()
    }

    fn refusal(&self, path: &Path) -> Option<Refused> {
        let path = std::path::absolute(path).unwrap_or(path.into());
        let root = &self.file.root;
        let path = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let inside = AccessRules::of_plans(Allowed::default(), None, None, vec![]);
        if inside.file(root, &path).is_ok() {
            return None;
        }
        self.rules.get_or_init(|| self.environment().rules(None, vec![])).file(root, &path).err()
    }

    /// The environment that the arguments, its file or the plan name; or an empty one.
    fn environment(&self) -> Environment {
        let environments = (self.environments)();
        let of_plan = || {
            let plan = yaml::parse(&self.file.source).ok()?;
            Some(plan.get("environment")?.key_text())
        };
        let name = self.args.env.clone().or_else(|| environments.default.clone()).or_else(of_plan);
        let mut environment = name.and_then(|name| environments.get(&name).cloned()).unwrap_or_default();
        self.args.apply_to(&mut environment);
        environment
    }
}

/// The files that a plan includes, if it may.
pub struct AllowedFiles<'a> {
    pub files: &'a IncludedFiles,
    pub access: &'a PlanAccess<'a>,
}

impl FileLoader for AllowedFiles<'_> {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        self.files.read(path)
    }

    fn refusal(&self, path: &Path) -> Option<Refused> {
        self.access.refusal(path)
    }
}
