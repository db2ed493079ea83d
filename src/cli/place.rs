//! Where a plan runs: the environment that is named, and the platform that is started for it where that is the sandbox.
use super::{args, failure::Failure, files, plans};
use crate::{
    executor::Registry,
    plan::{Environment, Plan},
};

/// Where a plan runs; with the platform that was started for it.
pub struct Place {
    pub environment: Environment,
    pub holder: Option<Holder>,
}

#[cfg(feature = "sandbox")]
pub type Holder = super::sandbox::Platform;
#[cfg(not(feature = "sandbox"))]
pub struct Holder;
#[cfg(not(feature = "sandbox"))]
impl Holder {
    pub async fn shutdown(self) {}
}

impl Place {
    /// `--env`; else the file's `default`; else the plan's `environment`.
    pub async fn choose(
        stage: &args::Stage,
        registry: &Registry,
        plan: Option<&Plan>,
        colour: bool,
    ) -> Result<Place, Failure> {
        let source = files::environment_file(stage.place.config.as_deref())?;
        let environments = match &source {
            None => None,
            Some(source) => {
                let (environments, problems) = plans::read_environments(source, registry);
                if problems.errors() > 0 {
                    return Err(plans::bad(&problems, colour));
                }
                environments
            }
        };
        let named = stage.place.env.clone().or_else(|| environments.as_ref().and_then(|e| e.default.clone()));
        let Some(name) = named.or_else(|| plan.and_then(|p| p.environment.as_ref()).map(|e| e.text.clone())) else {
            let here = std::env::current_dir().unwrap_or_default();
            let folders = here.ancestors().map(|a| format!("  {}", a.display())).collect::<Vec<_>>().join("\n");
            return Err(Failure::usage(format!(
                "error: the plan names no environment, and there is no `tp-runner.yaml` in\n{folders}\nhelp: name one with `--env`, or write `environment: sandbox` in the plan"
            )));
        };
        if let Some(all) = environments {
            let known = all.all.iter().map(|e| e.name.clone()).collect::<Vec<_>>();
            if let Some(mut environment) = all.all.into_iter().find(|e| e.name == name) {
                environment.protected &= stage.place.i_mean.as_deref() != Some(&name);
                return Ok(Place { environment, holder: None });
            }
            if name != "sandbox" {
                return Err(Failure::usage(format!(
                    "error: there is no environment `{name}`; there are: {}, sandbox",
                    known.join(", ")
                )));
            }
        }
        if name != "sandbox" {
            return Err(Failure::usage(format!(
                "error: there is no environment `{name}`, and no `tp-runner.yaml` here or above"
            )));
        }
        #[cfg(feature = "sandbox")]
        {
            let platform =
                super::sandbox::Platform::start(&stage.parts, ([127, 0, 0, 1], 0).into()).await.map_err(|e| {
                    Failure { message: format!("error: the sandbox cannot start: {e}"), code: super::exit::UNREACHABLE }
                })?;
            let environment = platform.environment(registry)?;
            Ok(Place { environment, holder: Some(platform) })
        }
        #[cfg(not(feature = "sandbox"))]
        Err(Failure::usage("error: this tp-runner was built without the sandbox"))
    }
}
