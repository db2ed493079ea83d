//! Turns a plan file into a schedule: reads it, compares it with its Markdown plan, compiles it, renders problems.
use super::{
    args::{EnvArgs, Selection},
    failure::Failure,
    files::{self, IncludedFiles, PlanFile},
    plan_access::{AllowedFiles, PlanAccess},
    secrets::process_environment,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    engine::{
        compile::{self, SetValue},
        schedule::Schedule,
    },
    executor::Registry,
    expr::{Scope, Tree},
    plan::{Case, Environment, Environments, Plan, Reader, Spanned, environment, markdown},
    report::wording,
    secrets::Secrets,
    source::Source,
    value::{Value, json},
};
use std::{collections::HashSet, path::Path, sync::Arc};

/// The most problems that are shown. A hostile file has very many, and each takes time to display.
const MAX_SHOWN: usize = 100;

/// A parsed plan with the problems found so far.
pub struct Draft<'r> {
    pub registry: &'r Registry,
    /// `None` if the file could not be parsed.
    pub plan: Option<Plan>,
    pub included: IncludedFiles,
    problems: Diagnostics,
}

/// Parses a plan and compares it with its Markdown plan. `args` say which files it may use.
pub fn read<'r>(file: &PlanFile, args: &EnvArgs, registry: &'r Registry) -> Draft<'r> {
    let included = IncludedFiles::default();
    let environments = || environments(args.config.as_deref(), registry).ok().flatten().unwrap_or_default();
    let access = PlanAccess::new(file, args, &environments);
    if let Some(refused) = access.of_plan_itself() {
        return Draft { registry, plan: None, included, problems: refused };
    }
    let files = AllowedFiles { files: &included, access: &access };
    let mut reader = Reader::new(registry.verbs().collect(), &files);
    let mut plan = reader.plan(&file.source);
    let mut problems = reader.problems;
    if let Some(plan) = &mut plan {
        plan.root = Some(file.root.clone());
        let refused = access.check(plan);
        if !refused.is_empty() {
            problems.0.extend(refused);
            return Draft { registry, plan: None, included, problems };
        }
    }
    if let Some(plan) = &plan
        && let Some(source) = &plan.source
    {
        match file.read_written(&source.text) {
            Ok(text) => markdown::compare(plan, &source.text, &text, &mut problems),
            Err(e) => problems.push(crate::diagnostic::Diagnostic::error(
                "source-not-found",
                &source.span,
                format!("cannot read `{}`: {e}", file.root.join(&source.text).display()),
            )),
        }
    }
    Draft { registry, plan, included, problems }
}

/// Parses a plan.
pub fn parse<'r>(source: &Arc<Source>, included: IncludedFiles, registry: &'r Registry) -> Draft<'r> {
    let mut reader = Reader::new(registry.verbs().collect(), &included);
    let plan = reader.plan(source);
    let problems = reader.problems;
    Draft { registry, plan, included, problems }
}

/// One action as a plan.
pub fn of_action<'r>(source: &Arc<Source>, registry: &'r Registry) -> Draft<'r> {
    let included = IncludedFiles::default();
    let mut reader = Reader::new(registry.verbs().collect(), &included);
    let plan = reader.plan_of_action(source);
    let problems = reader.problems;
    Draft { registry, plan, included, problems }
}

impl Draft<'_> {
    /// Returns all problems of the plan, on its own or in `environment`.
    pub fn check(&self, environment: Option<&Environment>) -> Diagnostics {
        self.schedule(environment, vec![], &|_| true).1
    }

    /// As [`Draft::check`] in an environment; also the cases that it will block, with what it lacks for each.
    pub fn check_in(&self, environment: &Environment) -> (Diagnostics, Vec<(String, String)>) {
        let (schedule, problems) = self.schedule(Some(environment), vec![], &|_| true);
        let cases = schedule.into_iter().flat_map(|s| s.cases).filter(|c| !c.lacks.is_empty());
        (problems, cases.map(|c| (c.id, c.lacks.join("; "))).collect())
    }

    /// Compiles the plan. Fails with all problems if at least one of them is an error.
    pub fn compile(
        &self,
        environment: Option<&Environment>,
        set: &[String],
        selected: &dyn Fn(&Case) -> bool,
    ) -> Result<Schedule, Failure> {
        self.compile_with_warnings(environment, set, selected).map(|(schedule, _)| schedule)
    }

    /// Like [`Draft::compile`], with the warnings.
    pub fn compile_with_warnings(
        &self,
        environment: Option<&Environment>,
        set: &[String],
        selected: &dyn Fn(&Case) -> bool,
    ) -> Result<(Schedule, Diagnostics), Failure> {
        self.compile_with(environment, variables(set)?, selected)
    }

    /// Like [`Draft::compile`], with the variables that the plan sets for `prove`; `--set` overrides them.
    #[cfg(feature = "sandbox")]
    pub fn compile_for_proof(
        &self,
        environment: Option<&Environment>,
        set: &[String],
        selected: &dyn Fn(&Case) -> bool,
    ) -> Result<Schedule, Failure> {
        self.compile_with_own(environment, |plan| &plan.prove.set, set, selected)
    }

    /// Like [`Draft::compile`], for all cases, with the variables that the plan sets for a recorded run; `--set`
    /// overrides them.
    pub fn compile_for_record(&self, environment: &Environment, set: &[String]) -> Result<Schedule, Failure> {
        self.compile_with_own(Some(environment), |plan| &plan.prove.record, set, &|_| true)
    }

    fn compile_with_own(
        &self,
        environment: Option<&Environment>,
        own: fn(&Plan) -> &Vec<(Spanned, Tree)>,
        set: &[String],
        selected: &dyn Fn(&Case) -> bool,
    ) -> Result<Schedule, Failure> {
        let own =
            self.plan.iter().flat_map(own).map(|(n, t)| (n.text.clone(), SetValue { tree: t.clone(), text: None }));
        self.compile_with(environment, own.chain(variables(set)?).collect(), selected).map(|(schedule, _)| schedule)
    }

    fn compile_with(
        &self,
        environment: Option<&Environment>,
        set: Vec<(String, SetValue)>,
        selected: &dyn Fn(&Case) -> bool,
    ) -> Result<(Schedule, Diagnostics), Failure> {
        let (schedule, mut problems) = self.schedule(environment, set, selected);
        self.excuse_others(&mut problems, selected);
        problems.0.iter_mut().filter(|d| d.code == "unset-variable").for_each(|d| d.severity = Severity::Error);
        match schedule.filter(|_| problems.errors() == 0) {
            Some(schedule) => Ok((schedule, problems)),
            None => Err(invalid(&problems)),
        }
    }

    /// A case that is not selected need not be written yet: its results without assertions are warnings.
    fn excuse_others(&self, problems: &mut Diagnostics, selected: &dyn Fn(&Case) -> bool) {
        let others = self.plan.iter().flat_map(|plan| &plan.cases).filter(|case| !selected(case));
        let bare: HashSet<usize> = others.flat_map(|c| &c.expected).map(|s| s.text.span.range.start).collect();
        for problem in &mut problems.0 {
            if problem.code == "unverified-result" && bare.contains(&problem.span.range.start) {
                problem.severity = Severity::Warning;
            }
        }
    }

    fn schedule(
        &self,
        environment: Option<&Environment>,
        set: Vec<(String, SetValue)>,
        selected: &dyn Fn(&Case) -> bool,
    ) -> (Option<Schedule>, Diagnostics) {
        let mut problems = self.problems.clone();
        let Some(plan) = self.plan.clone() else { return (None, problems) };
        let (schedule, mut more) = compile::compile(plan, self.registry, environment.cloned(), set, selected);
        // a list or a sentence that could not be read binds no names: that they are unknown then follows from it
        let is_word =
            |d: &Diagnostic| ["step", "given", "result", "do"].contains(&d.span.text().to_lowercase().as_str());
        let is_structure = |d: &Diagnostic| match d.code {
            "unknown-key" => is_word(d),
            code => code == "wrong-type" || code == "missing-key",
        };
        if problems.0.iter().any(is_structure) {
            more.0.retain(|d| d.code != "undefined-name");
        }
        // what an invalid expression or an unknown key would have read is not unused
        let is_cause = |d: &Diagnostic| ["unknown-key", "expression-syntax", "unknown-function"].contains(&d.code);
        if problems.0.iter().any(is_cause) {
            more.0.retain(|d| d.code != "unused-name");
        }
        problems.extend(more);
        problems.sort();
        (schedule, problems)
    }
}

/// An environment file without problems.
pub struct EnvironmentFile {
    pub source: Arc<Source>,
    pub included: IncludedFiles,
    pub environments: Environments,
}

/// The environments of the file given by `--config` or found in this folder or a parent.
pub fn environments(config: Option<&Path>, registry: &Registry) -> Result<Option<Environments>, Failure> {
    Ok(environment_file(config, registry)?.map(|file| file.environments))
}

/// The environment file given by `--config` or found in this folder or a parent.
pub fn environment_file(config: Option<&Path>, registry: &Registry) -> Result<Option<EnvironmentFile>, Failure> {
    let Some(source) = files::environment_file(config)? else { return Ok(None) };
    parse_environments(source, IncludedFiles::default(), registry)
}

/// Fails with all problems if there is one.
pub fn parse_environments(
    source: Arc<Source>,
    included: IncludedFiles,
    registry: &Registry,
) -> Result<Option<EnvironmentFile>, Failure> {
    let (environments, problems) = read_environments(&source, &included, registry);
    if problems.errors() > 0 {
        return Err(invalid(&problems));
    }
    Ok(environments.map(|environments| EnvironmentFile { source, included, environments }))
}

pub fn read_environments(
    source: &Arc<Source>,
    included: &IncludedFiles,
    registry: &Registry,
) -> (Option<Environments>, Diagnostics) {
    let mut reader = Reader::new(registry.verbs().collect(), included);
    reader.variables = Some(process_scope());
    let environments = environment::read(&mut reader, source);
    (environments, reader.problems)
}

/// Parses `NAME=VALUE`. A value that is not JSON is a string.
fn variables(set: &[String]) -> Result<Vec<(String, SetValue)>, Failure> {
    set.iter()
        .map(|s| {
            let (name, value) = s
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("error: expected `--set NAME=VALUE`, found `--set {s}`")))?;
            let text = Value::text(value);
            let parsed = json::read(value).unwrap_or_else(|_| text.clone());
            Ok((name.to_string(), SetValue { tree: Tree::Value(parsed), text: Some(Tree::Value(text)) }))
        })
        .collect()
}

/// At most `MAX_SHOWN` problems, errors first if there are more. With colours, which `anstream` removes where they are not wanted. A
/// message may quote a value from a variable of the process, so their secrets are masked.
pub fn render(problems: &Diagnostics) -> String {
    let secrets = Secrets::default();
    process_environment(&secrets);
    let render = |d: &Diagnostic| format!("{}\n\n", secrets.masked(d.render(true)));
    let all = &problems.0;
    if all.len() <= MAX_SHOWN {
        return all.iter().map(render).collect();
    }
    let (errors, warnings): (Vec<_>, Vec<_>) = all.iter().partition(|d| d.severity == Severity::Error);
    let shown: String = errors.into_iter().chain(warnings).take(MAX_SHOWN).map(render).collect();
    format!("{shown}{} not shown\n\n", wording::count(all.len() - MAX_SHOWN, "more problem"))
}

/// The names of an environment file before its secrets are read.
pub fn process_scope() -> Scope {
    Scope::default().with("env", process_environment(&Secrets::default()))
}

/// `3 errors, 1 warning`, or `no problems`.
pub fn count(problems: &Diagnostics) -> String {
    let errors = problems.errors();
    match (errors, problems.0.len() - errors) {
        (0, 0) => "no problems".into(),
        (e, 0) => wording::count(e, "error"),
        (0, w) => wording::count(w, "warning"),
        (e, w) => format!("{}, {}", wording::count(e, "error"), wording::count(w, "warning")),
    }
}

pub fn invalid(problems: &Diagnostics) -> Failure {
    Failure::usage(format!("{}{}", render(problems), count(problems)))
}

/// The predicate of `--tier` and `--case`. Fails on an invalid glob, and on one that no case of `files` matches.
pub fn selector(
    selection: &Selection,
    files: &[PlanFile],
    registry: &Registry,
) -> Result<impl Fn(&Case) -> bool + use<>, Failure> {
    let mut patterns = vec![];
    for p in &selection.case {
        let glob =
            globset::Glob::new(p).map_err(|e| Failure::usage(format!("error: invalid glob `--case {p}`: {e}")))?;
        patterns.push(glob.compile_matcher());
    }
    if !patterns.is_empty() {
        let plans: Vec<Option<Plan>> =
            files.iter().map(|file| read(file, &EnvArgs::default(), registry).plan).collect();
        let ids: Vec<&str> = plans.iter().flatten().flat_map(|p| &p.cases).map(|c| c.id.text.as_str()).collect();
        // The problems of a plan that cannot be read are reported when it is compiled.
        let is_unknown = |glob: &globset::GlobMatcher| !ids.iter().any(|id| glob.is_match(id));
        if let Some(pattern) = patterns.iter().find(|p| plans.iter().all(Option::is_some) && is_unknown(p)) {
            return Err(Failure::no_such_case(pattern.glob().glob(), &ids));
        }
    }
    let tiers = selection.tier.clone();
    Ok(move |case: &Case| {
        (tiers.is_empty() || tiers.contains(&case.tier))
            && (patterns.is_empty() || patterns.iter().any(|p| p.is_match(&case.id.text)))
    })
}

/// The selection in words: `tier must: 3 of 10 cases`.
pub fn selection_words(selection: &Selection, failed_in: Option<&str>, chosen: usize, all: usize) -> String {
    let mut parts = vec![];
    parts.extend(failed_in.map(|run| format!("not passed in run {run}")));
    if !selection.tier.is_empty() {
        parts.push(format!("tier {}", selection.tier.iter().map(|t| t.as_str()).collect::<Vec<_>>().join(", ")));
    }
    if !selection.case.is_empty() {
        parts.push(format!("case {}", selection.case.join(", ")));
    }
    match parts[..] {
        [] if all == 1 => "1 case".into(),
        [] => format!("all {all} cases"),
        _ => format!("{}: {chosen} of {}", parts.join("; "), wording::count(all, "case")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    #[test]
    fn of_very_many_problems_the_first_errors_are_shown() {
        let source = Arc::new(Source::new("t.yaml", "plan: T"));
        let span = Span { range: 0..source.text.len(), source };
        let problem = |i: usize| match i % 2 {
            0 => Diagnostic::warning("unknown-key", &span, format!("warning {i}")),
            _ => Diagnostic::error("unknown-key", &span, format!("error {i}")),
        };
        let shown = |n: usize| render(&Diagnostics((0..n).map(problem).collect()));
        assert!(shown(MAX_SHOWN).contains(&format!("warning {}", MAX_SHOWN - 2)));
        assert!(!shown(MAX_SHOWN).contains("not shown"));
        let text = shown(MAX_SHOWN + 20);
        assert!(text.contains(&format!("error {}", MAX_SHOWN + 19)), "{text}");
        assert!(!text.contains(&format!("warning {}", MAX_SHOWN - 2)), "{text}");
        assert!(text.ends_with("20 more problems not shown\n\n"), "{text}");
    }

    #[test]
    fn a_variable_whose_default_is_a_text_is_set_to_a_text() {
        let registry = crate::executors::registry();
        let plan = "plan: T\nvars: { text: '1', joined: 'a ${run.id}', number: 1, nothing: null, list: [] }\ncases:\n  \
                    - { id: A, tier: must, expected: [{ result: r, check: [text + joined != '', number == list, nothing] }] }\n";
        let source = Arc::new(Source::new("t.yaml", plan));
        for (written, parsed) in [
            ("1.10", "float"),
            ("010", "string"),
            ("1e3", "float"),
            ("NO", "string"),
            ("null", "null"),
            ("123456789012345678901", "int"),
            ("{\"a\":1}", "map"),
            ("{\"a\":1,\"a\":2}", "string"),
            ("[1] 2", "string"),
        ] {
            let draft = parse(&source, IncludedFiles::recorded([].into()), &registry);
            let set = ["text", "joined", "number", "nothing", "list"].map(|name| format!("{name}={written}"));
            let schedule = draft.compile(None, &set, &|_| true).unwrap_or_else(|_| panic!("{written}"));
            let values = schedule.vars.iter().map(|(name, tree)| match tree {
                Tree::Value(value) => (&name[..], value.clone()),
                _ => panic!("{name}"),
            });
            for (name, value) in values {
                if ["text", "joined"].contains(&name) {
                    assert_eq!(value, Value::text(written), "{name}");
                } else {
                    assert_eq!(value.kind(), parsed, "{name}={written}");
                    assert!(parsed != "int" || value.to_string() == written, "{name}={written}");
                }
            }
        }
    }
}
