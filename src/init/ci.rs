//! A CI job for a plan, made from the examples in `examples/ci`, which tests run.
const SCRIPT: &str = include_str!("../../examples/ci/plans.sh");
const GITHUB: &str = include_str!("../../examples/ci/github-actions.yml");
const GITLAB: &str = include_str!("../../examples/ci/gitlab-ci.yml");
const JENKINS: &str = include_str!("../../examples/ci/Jenkinsfile");
/// Where the script is in a repository.
pub const SCRIPT_PATH: &str = "ci/plans.sh";
const EXAMPLE_SCRIPT: &str = "examples/ci/plans.sh";
const EXAMPLE_PLAN: &str = "TP-004";
const EXAMPLE_SOURCE: &str = "--path .";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Github,
    Gitlab,
    Jenkins,
    /// Only the script.
    Shell,
}

/// What the job runs.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The file of the plan, from the root of the repository.
    pub plan: String,
    /// What `cargo install --locked` installs: `tp-runner`, or `--path .` and the like.
    pub package: String,
    /// Whether the plan has cases of the tier `must`, on which the gate depends.
    pub has_must: bool,
    /// Environment variables with addresses, and those with secrets.
    pub variables: Vec<String>,
    pub secrets: Vec<String>,
}

/// A file for the repository.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub path: String,
    pub text: String,
}

/// The files of a job. The script is among them: the others call it.
pub fn files(system: System, job: &Job) -> Vec<File> {
    let script = File { path: SCRIPT_PATH.into(), text: SCRIPT.into() };
    let (path, text) = match system {
        System::Shell => return vec![script],
        System::Github => (".github/workflows/test-plans.yml", github(job)),
        System::Gitlab => (".gitlab-ci.yml", gitlab(job)),
        System::Jenkins => ("Jenkinsfile", shared(JENKINS, job)),
    };
    vec![script, File { path: path.into(), text }]
}

/// The command that runs the plan as a job does.
pub fn command(job: &Job) -> String {
    let gate = if job.has_must { " --gate must" } else { "" };
    format!("sh {SCRIPT_PATH} run artefacts {}{gate} --retries 1", job.plan)
}

/// What all examples have in common.
fn shared(example: &str, job: &Job) -> String {
    let text = example
        .replace(EXAMPLE_SOURCE, &job.package)
        .replace(EXAMPLE_SCRIPT, SCRIPT_PATH)
        .replace(EXAMPLE_PLAN, &job.plan);
    if job.has_must { text } else { text.replace(" --gate must", "") }
}

fn github(job: &Job) -> String {
    let mut out = String::from("# Runs the test plan, annotates its file where it failed, and keeps the reports.\n");
    let mut is_matrix = false;
    for line in shared(GITHUB, job).lines() {
        match line {
            // one job is enough to begin with: the example splits the cases
            "  gate:" => break,
            "    strategy:" => is_matrix = true,
            "    steps:" => is_matrix = false,
            _ => {}
        }
        if is_matrix || line.starts_with('#') {
            continue;
        }
        if line.trim_start().starts_with("CASES:") {
            let entry = |kind: &str, name: &String| format!("          {name}: ${{{{ {kind}.{name} }}}}\n");
            job.variables.iter().for_each(|name| out.push_str(&entry("vars", name)));
            job.secrets.iter().for_each(|name| out.push_str(&entry("secrets", name)));
            continue;
        }
        if line.trim_end() == "        env:" && job.variables.is_empty() && job.secrets.is_empty() {
            continue;
        }
        out.push_str(&line.replace(" --case \"$CASES\"", "").replace("part-${{ matrix.part }}", "test-plans"));
        out.push('\n');
    }
    out
}

fn gitlab(job: &Job) -> String {
    let mut out = String::from("# Merge requests show the failed sentences of the JUnit file with their evidence.\n");
    let names: Vec<&str> = job.variables.iter().chain(&job.secrets).map(String::as_str).collect();
    if !names.is_empty() {
        out.push_str(&format!("# Set {} as CI/CD variables; mask those with secrets.\n", names.join(", ")));
    }
    shared(GITLAB, job).lines().filter(|line| !line.starts_with('#')).for_each(|line| {
        out.push_str(line);
        out.push('\n');
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    fn job() -> Job {
        Job {
            plan: "plans/PETS.yaml".into(),
            package: "tp-runner".into(),
            has_must: true,
            variables: vec!["PETS_URL".into()],
            secrets: vec!["PETS_TOKEN".into()],
        }
    }

    /// Fails if an example changes so that a replacement no longer finds its place.
    #[test]
    fn jobs_are_the_examples_with_the_plan() {
        let github = files(System::Github, &job()).remove(1).text;
        let json: Json = serde_saphyr::from_str(&github).unwrap();
        let jobs = json["jobs"].as_object().unwrap();
        assert_eq!(jobs.len(), 1, "{github}");
        let steps = json["jobs"]["run"]["steps"].as_array().unwrap();
        assert_eq!(steps[1]["run"], "cargo install --locked tp-runner");
        assert_eq!(
            steps[2]["run"],
            "sh ci/plans.sh run artefacts plans/PETS.yaml --gate must --retries 1 --time-limit 20m"
        );
        assert_eq!(steps[2]["env"]["PETS_TOKEN"], "${{ secrets.PETS_TOKEN }}");
        assert_eq!(steps[2]["env"].as_object().map(|e| e.len()), Some(2));
        assert_eq!(steps[3]["with"]["name"], "test-plans");
        assert!(json["jobs"]["run"]["strategy"].is_null());
        let gitlab = files(System::Gitlab, &job()).remove(1).text;
        let json: Json = serde_saphyr::from_str(&gitlab).unwrap();
        assert_eq!(json["test-plans"]["before_script"][0], "cargo install --locked tp-runner --root .cargo");
        assert!(gitlab.contains("sh ci/plans.sh run artefacts plans/PETS.yaml --gate must"), "{gitlab}");
        for system in [System::Github, System::Gitlab, System::Jenkins, System::Shell] {
            for file in files(system, &job()) {
                for left in ["TP-004", "examples/ci", "--path .", "matrix", "CASES"] {
                    assert!(!file.text.contains(left), "{}: {left}", file.path);
                }
            }
        }
    }

    #[test]
    fn without_variables_and_gate() {
        let job = Job { has_must: false, variables: vec![], secrets: vec![], ..job() };
        let github = files(System::Github, &job).remove(1).text;
        let json: Json = serde_saphyr::from_str(&github).unwrap();
        assert!(json["jobs"]["run"]["steps"][2]["env"].is_null() && !github.contains("--gate"), "{github}");
        assert_eq!(command(&job), "sh ci/plans.sh run artefacts plans/PETS.yaml --retries 1");
    }
}
