//! `import`: writes the skeleton of a YAML plan from a written plan. `sync`: says what changed in the written plan since.
use super::{args, exit, failure::Failure, files, plans, print};
use crate::{
    executors,
    file::{read_text, write_atomically},
    import::{
        Imported, import, skeleton,
        sync::{Existing, ExistingCase, sync},
    },
    plan::{Case, Plan, Sentence},
    report::wording::count,
};
use std::path::{Path, PathBuf};

pub fn command(args: args::Import) -> Result<u8, Failure> {
    let written = shown(&args.plan);
    let text = read_text(&args.plan).map_err(|e| Failure::not_read(&args.plan, e))?;
    let imported = import(&text, &written);
    if imported.cases.is_empty() {
        let help = "help: cases are headings like `TC-1: Log in`, rows of a table, or scenarios, with steps or expected results";
        return Err(Failure::usage(format!("error: found no case in `{written}`\n{help}")));
    }
    for warning in &imported.warnings {
        print::err(format_args!("warning: {written}:{}: {}\n", warning.line, warning.text));
    }
    let output = args.output.unwrap_or_else(|| PathBuf::from("plans").join(file_name(&imported.plan)));
    if output == Path::new("-") {
        print::out(format_args!("{}", skeleton(&imported, &written)));
        return Ok(exit::SUCCESS);
    }
    if output.exists() {
        let help =
            format!("help: `tp-runner sync {}` shows what changed; `--output` names another file", output.display());
        return Err(Failure::usage(format!("error: `{}` exists\n{help}", output.display())));
    }
    let source = source_of(&args.plan, &output);
    let yaml = skeleton(&imported, &source);
    write_atomically(&output, |out| out.write_all(yaml.as_bytes())).map_err(|e| Failure::not_written(&output, &e))?;
    print::out(format_args!(
        "{}: {}\nnext: `tp-runner check {}` lists the sentences without actions\n",
        output.display(),
        content(&imported),
        output.display()
    ));
    Ok(exit::SUCCESS)
}

pub fn sync_command(args: args::Sync) -> Result<u8, Failure> {
    let registry = executors::registry();
    let access = args::EnvArgs { allow_path: args.allow_path.clone(), ..args::EnvArgs::default() };
    let mut code = exit::SUCCESS;
    for file in files::plans(&args.plans)? {
        let draft = plans::read(&file, &access, &registry);
        let name = &file.source.name;
        let Some(plan) = &draft.plan else {
            let problems = plans::render(&draft.check(None));
            return Err(Failure::usage(format!("{problems}error: `{name}` cannot be read")));
        };
        let Some(source) = plan.source.as_ref().map(|s| &s.text) else {
            print::out(format_args!("{name}: names no written plan (`source`)\n"));
            continue;
        };
        let text = file.read_written(source).map_err(|e| Failure::not_read(&file.root.join(source), e))?;
        let changes = sync(&existing(plan), &import(&text, source));
        if changes.cases.is_empty() {
            print::out(format_args!("{name}: says the same as {source}\n"));
        } else {
            print::out(format_args!("{name}: differs from {source}\n{changes}"));
            code = exit::FAILED;
        }
    }
    Ok(code)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The written plan as the YAML plan names it: relative to the project folder if it is in there.
fn source_of(written: &Path, output: &Path) -> String {
    let whole = written.canonicalize().unwrap_or_else(|_| written.to_path_buf());
    let root = files::root_of(output);
    // the folder of the skeleton may not exist yet
    let root = root.canonicalize().unwrap_or(root);
    whole.strip_prefix(&root).map_or_else(|_| shown(&whole), shown)
}

/// A file for a plan of this id.
fn file_name(id: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || ['-', '_', '.'].contains(&c);
    let name: String = id.chars().map(|c| if is_safe(c) { c } else { '-' }).collect();
    format!("{}.yaml", name.trim_start_matches('.'))
}

/// `10 cases, 11 preconditions, 57 steps, 34 expected results`.
fn content(plan: &Imported) -> String {
    let sum = |of: fn(&crate::import::Case) -> usize| plan.cases.iter().map(of).sum::<usize>();
    [
        count(plan.cases.len(), "case"),
        count(sum(|c| c.preconditions.len()), "precondition"),
        count(sum(|c| c.steps.len()), "step"),
        count(sum(|c| c.expected.len()), "expected result"),
    ]
    .join(", ")
}

fn existing(plan: &Plan) -> Existing {
    let texts = |sentences: &[Sentence]| sentences.iter().map(|s| s.text.text.clone()).collect();
    let case = |case: &Case| ExistingCase {
        id: case.id.text.clone(),
        title: case.title.clone(),
        tier: Some(case.tier),
        priority: case.priority.clone(),
        preconditions: texts(&case.preconditions),
        steps: texts(&case.steps),
        expected: texts(&case.expected),
    };
    Existing { cases: plan.cases.iter().map(case).collect() }
}
