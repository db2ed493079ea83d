//! Chooses the environment of a plan; starts the sandbox if the chosen environment is `sandbox`.
use super::{
    args::ExecutionArgs,
    failure::Failure,
    plans::{self, Draft, EnvironmentFile},
};
use crate::{
    engine::schedule::Schedule,
    plan::{Case, Environment, Environments, RunsSetting},
};

#[cfg(feature = "sandbox")]
pub type SandboxHandle = super::sandbox::Platform;
#[cfg(not(feature = "sandbox"))]
pub struct SandboxHandle;
#[cfg(not(feature = "sandbox"))]
impl SandboxHandle {
    pub fn folder(&self) -> &std::path::Path {
        std::path::Path::new("")
    }
    pub async fn shutdown(self) {}
}

pub struct ChosenEnvironment {
    pub environment: Environment,
    /// The sandbox, if it was started for this environment.
    pub sandbox: Option<SandboxHandle>,
    /// The file that defines it.
    pub file: Option<EnvironmentFile>,
    /// What the environment file says of runs.
    pub runs: RunsSetting,
}

/// The name from `--env`, else from the `default` of the environment file, else from the plan's `environment`, else the
/// only one of the environment file.
fn chosen_name(args: &ExecutionArgs, environments: Option<&Environments>, draft: &Draft<'_>) -> Option<String> {
    let named = args.environment.env.clone().or_else(|| environments.and_then(|e| e.default.clone()));
    let of_plan = || draft.plan.as_ref()?.environment.as_ref().map(|e| e.text.clone());
    let only_one = || match environments?.all.as_slice() {
        [one] => Some(one.name.clone()),
        _ => None,
    };
    named.or_else(of_plan).or_else(only_one)
}

/// The environment that [`ChosenEnvironment::choose`] would choose, by its name, and the file that may define it.
pub fn name_and_file(
    args: &ExecutionArgs,
    draft: &Draft<'_>,
) -> Result<(Option<String>, Option<EnvironmentFile>), Failure> {
    let file = plans::environment_file(args.environment.config.as_deref(), draft.registry)?;
    Ok((chosen_name(args, file.as_ref().map(|file| &file.environments), draft), file))
}

impl ChosenEnvironment {
    /// Takes the name from `--env`, else from the `default` of the environment file, else from the plan's
    /// `environment`. Starts the sandbox for the name `sandbox`, unless the environment file defines it.
    pub async fn choose(args: &ExecutionArgs, draft: &Draft<'_>) -> Result<ChosenEnvironment, Failure> {
        let file = plans::environment_file(args.environment.config.as_deref(), draft.registry)?;
        let environments = file.as_ref().map(|file| &file.environments);
        let runs = environments.map(|e| e.runs.clone()).unwrap_or_default();
        let Some(name) = chosen_name(args, environments, draft) else {
            if let Some(file) = file.as_ref().filter(|file| !file.environments.all.is_empty()) {
                let names =
                    file.environments.all.iter().map(|e| format!("`{}`", e.name)).collect::<Vec<_>>().join(", ");
                return Err(Failure::usage(format!(
                    "error: no environment given: `{}` has {names}\nhelp: use `--env NAME`, or write `default: NAME` in it",
                    file.source.name
                )));
            }
            let here = std::env::current_dir().unwrap_or_default();
            let folders = here.ancestors().map(|a| format!("  {}", a.display())).collect::<Vec<_>>().join("\n");
            return Err(Failure::usage(format!(
                "error: no environment given: no `--env`, no `environment` in the plan, and no `tp-runner.yaml` in\n\
                 {folders}\nhelp: use `--env NAME`, or write `environment: sandbox` in the plan"
            )));
        };
        if let Some(environment) = environments.and_then(|e| e.get(&name)) {
            let mut environment = environment.clone();
            args.environment.apply_to(&mut environment);
            return Ok(ChosenEnvironment { environment, sandbox: None, file, runs });
        }
        if name != "sandbox" {
            let Some(environments) = environments else {
                let message = "no `tp-runner.yaml` in this folder or a parent";
                return Err(Failure::usage(format!("error: unknown environment `{name}`: {message}")));
            };
            let known = environments.all.iter().map(|e| e.name.as_str()).chain(["sandbox"]);
            return Err(Failure::unknown_environment(&name, &known.collect::<Vec<_>>()));
        }
        #[cfg(feature = "sandbox")]
        {
            let sandbox = SandboxHandle::start(&args.sandbox, ([127, 0, 0, 1], 0).into())
                .await
                .map_err(|e| Failure::unreachable(format!("error: cannot start the sandbox: {e}")))?;
            let mut environment = sandbox.environment(draft.registry)?;
            args.environment.apply_to(&mut environment);
            Ok(ChosenEnvironment { environment, sandbox: Some(sandbox), file: None, runs })
        }
        #[cfg(not(feature = "sandbox"))]
        Err(Failure::usage("error: this tp-runner was built without the sandbox"))
    }

    /// Compiles the plan for this environment, and calls `work` with the schedule. Stops the sandbox afterwards.
    pub async fn run<T, F: Future<Output = Result<T, Failure>>>(
        self,
        draft: &Draft<'_>,
        set: &[String],
        selected: &(dyn Fn(&Case) -> bool + Sync),
        work: impl FnOnce(Schedule) -> F,
    ) -> Result<T, Failure> {
        let schedule = draft.compile(Some(&self.environment), set, selected);
        self.run_schedule(schedule, work).await
    }

    /// Like [`ChosenEnvironment::run`], with a plan that was compiled for this environment.
    pub async fn run_schedule<T, F: Future<Output = Result<T, Failure>>>(
        self,
        schedule: Result<Schedule, Failure>,
        work: impl FnOnce(Schedule) -> F,
    ) -> Result<T, Failure> {
        let result = match schedule {
            Ok(schedule) => work(schedule).await,
            Err(e) => Err(e),
        };
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
        result
    }
}
