//! Chooses the environment of a plan; starts the sandbox if the chosen environment is `sandbox`.
use super::{args::ExecutionArgs, failure::Failure, plans};
use crate::{
    executor::Registry,
    plan::{Environment, Plan},
};

#[cfg(feature = "sandbox")]
pub type SandboxHandle = super::sandbox::Platform;
#[cfg(not(feature = "sandbox"))]
pub struct SandboxHandle;
#[cfg(not(feature = "sandbox"))]
impl SandboxHandle {
    pub async fn shutdown(self) {}
}

pub struct ChosenEnvironment {
    pub environment: Environment,
    /// The sandbox, if it was started for this environment.
    pub sandbox: Option<SandboxHandle>,
}

impl ChosenEnvironment {
    /// Takes the name from `--env`, else from the `default` of the environment file, else from the plan's
    /// `environment`. Starts the sandbox for the name `sandbox`, unless the environment file defines it.
    pub async fn choose(
        args: &ExecutionArgs,
        registry: &Registry,
        plan: Option<&Plan>,
        colour: bool,
    ) -> Result<ChosenEnvironment, Failure> {
        let environments = plans::environments(args.environment.config.as_deref(), registry, colour)?;
        let named = args.environment.env.clone().or_else(|| environments.as_ref().and_then(|e| e.default.clone()));
        let Some(name) = named.or_else(|| plan.and_then(|p| p.environment.as_ref()).map(|e| e.text.clone())) else {
            let here = std::env::current_dir().unwrap_or_default();
            let folders = here.ancestors().map(|a| format!("  {}", a.display())).collect::<Vec<_>>().join("\n");
            return Err(Failure::usage(format!(
                "error: no environment given: no `--env`, no `environment` in the plan, and no `tp-runner.yaml` in\n\
                 {folders}\nhelp: use `--env NAME`, or write `environment: sandbox` in the plan"
            )));
        };
        if let Some(all) = environments {
            let names = all.all.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
            if let Some(mut environment) = all.all.into_iter().find(|e| e.name == name) {
                environment.protected &= args.environment.allow_destructive.as_deref() != Some(&name);
                return Ok(ChosenEnvironment { environment, sandbox: None });
            }
            if name != "sandbox" {
                return Err(Failure::usage(format!(
                    "error: unknown environment `{name}`; known: {}, sandbox",
                    names.join(", ")
                )));
            }
        }
        if name != "sandbox" {
            return Err(Failure::usage(format!(
                "error: unknown environment `{name}`: no `tp-runner.yaml` in this folder or a parent"
            )));
        }
        #[cfg(feature = "sandbox")]
        {
            let sandbox = SandboxHandle::start(&args.sandbox, ([127, 0, 0, 1], 0).into())
                .await
                .map_err(|e| Failure::unreachable(format!("error: cannot start the sandbox: {e}")))?;
            let environment = sandbox.environment(registry)?;
            Ok(ChosenEnvironment { environment, sandbox: Some(sandbox) })
        }
        #[cfg(not(feature = "sandbox"))]
        Err(Failure::usage("error: this tp-runner was built without the sandbox"))
    }
}
