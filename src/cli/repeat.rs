//! The arguments that name the plan and the environment of a run, to repeat one of its cases.
use super::{
    args::{EnvArgs, ExecutionArgs, Run},
    files::PlanFile,
};

/// The plan as the user named it, and the flags about its environment: `TP-004`, `--env`, `staging`.
pub fn arguments(args: &Run, file: &PlanFile) -> Vec<String> {
    let plan = match &args.plans[..] {
        [plan] if !std::path::Path::new(plan).is_dir() => plan.clone(),
        _ => file.source.name.clone(),
    };
    std::iter::once(plan).chain(flags(&args.execution)).collect()
}

fn flags(args: &ExecutionArgs) -> Vec<String> {
    let mut words = vec![];
    let mut flag = |name: &str, values: Vec<String>| {
        for value in values {
            // a value may begin with a dash
            match value.starts_with('-') {
                true => words.push(format!("{name}={value}")),
                false => words.extend([name.to_owned(), value]),
            }
        }
    };
    let paths = |paths: &[std::path::PathBuf]| paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>();
    let ExecutionArgs { environment, set, .. } = args;
    let EnvArgs { env, config, allow_destructive, allow_path, allow_exec, allow_host } = environment;
    flag("--env", env.iter().cloned().collect());
    flag("--config", paths(config.as_slice()));
    flag("--allow-destructive", allow_destructive.iter().cloned().collect());
    flag("--allow-path", paths(allow_path));
    flag("--allow-host", allow_host.clone());
    flag("--set", set.clone());
    #[cfg(feature = "sandbox")]
    {
        use super::args::SandboxArgs;
        let SandboxArgs { database, kubeconfig, defect, variation, as_built: _, quota, delays } = &args.sandbox;
        flag("--database", database.iter().map(|url| super::recording::without_password(url)).collect());
        flag("--kubeconfig", paths(kubeconfig.as_slice()));
        flag("--defect", defect.clone());
        flag("--variation", variation.iter().map(|v| v.name().to_owned()).collect());
        flag("--quota", quota.iter().map(ToString::to_string).collect());
        flag("--delays", delays.iter().map(ToString::to_string).collect());
        words.extend(args.sandbox.as_built.then(|| "--as-built".to_owned()));
    }
    words.extend(allow_exec.then(|| "--allow-exec".to_owned()));
    words
}
