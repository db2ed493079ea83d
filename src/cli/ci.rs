//! The CI job that the runner is part of, from the variables that CI systems set.

/// How a CI system describes a job.
struct System {
    name: &'static str,
    /// The variable that says that this system runs the job.
    marker: &'static str,
    /// Texts with `{VARIABLE}`, the first whose variables are all set. Fields: see [`FIELDS`].
    fields: [&'static [&'static str]; 5],
}

const FIELDS: [&str; 5] = ["Job", "Build", "Commit", "Branch", "Link"];

/// The generic one is last: most systems set `CI`, too.
const SYSTEMS: &[System] = &[
    System {
        name: "GitHub Actions",
        marker: "GITHUB_ACTIONS",
        fields: [
            &["{GITHUB_WORKFLOW} / {GITHUB_JOB}", "{GITHUB_JOB}"],
            &["{GITHUB_RUN_NUMBER}"],
            &["{GITHUB_SHA}"],
            &["{GITHUB_HEAD_REF}", "{GITHUB_REF_NAME}"],
            &["{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}"],
        ],
    },
    System {
        name: "GitLab CI",
        marker: "GITLAB_CI",
        fields: [
            &["{CI_PROJECT_PATH} / {CI_JOB_NAME}", "{CI_JOB_NAME}"],
            &["{CI_PIPELINE_ID}"],
            &["{CI_COMMIT_SHA}"],
            &["{CI_COMMIT_REF_NAME}"],
            &["{CI_JOB_URL}"],
        ],
    },
    System {
        name: "Jenkins",
        marker: "JENKINS_URL",
        fields: [
            &["{JOB_NAME}"],
            &["{BUILD_NUMBER}"],
            &["{GIT_COMMIT}"],
            &["{BRANCH_NAME}", "{GIT_BRANCH}"],
            &["{BUILD_URL}"],
        ],
    },
    System {
        name: "Azure Pipelines",
        marker: "TF_BUILD",
        fields: [
            &["{BUILD_DEFINITIONNAME}"],
            &["{BUILD_BUILDNUMBER}"],
            &["{BUILD_SOURCEVERSION}"],
            &["{BUILD_SOURCEBRANCHNAME}"],
            &["{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}"],
        ],
    },
    System {
        name: "Buildkite",
        marker: "BUILDKITE",
        fields: [
            &["{BUILDKITE_PIPELINE_SLUG} / {BUILDKITE_LABEL}", "{BUILDKITE_PIPELINE_SLUG}"],
            &["{BUILDKITE_BUILD_NUMBER}"],
            &["{BUILDKITE_COMMIT}"],
            &["{BUILDKITE_BRANCH}"],
            &["{BUILDKITE_BUILD_URL}#{BUILDKITE_JOB_ID}", "{BUILDKITE_BUILD_URL}"],
        ],
    },
    System {
        name: "CI",
        marker: "CI",
        fields: [
            &["{JOB_NAME}", "{CI_JOB_NAME}"],
            &["{BUILD_NUMBER}", "{CI_BUILD_NUMBER}"],
            &["{GIT_COMMIT}", "{CI_COMMIT_SHA}"],
            &["{GIT_BRANCH}", "{CI_COMMIT_BRANCH}"],
            &["{BUILD_URL}", "{CI_BUILD_URL}", "{CI_JOB_URL}"],
        ],
    },
];

/// The fields of the job, with their names. Empty outside of CI.
pub fn job(variable: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let is_ci = |system: &&System| set(system.marker).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
    let Some(system) = SYSTEMS.iter().find(is_ci) else { return vec![] };
    let fields = FIELDS.iter().zip(&system.fields).filter_map(|(name, texts)| {
        let value = texts.iter().find_map(|text| fill(text, &set))?;
        Some((name.to_string(), value))
    });
    std::iter::once(("System".to_string(), system.name.to_string())).chain(fields).collect()
}

/// The text with the values of its variables; `None` if one is not set.
fn fill(text: &str, set: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut filled = String::new();
    let mut parts = text.split('{');
    filled.push_str(parts.next()?);
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        filled.push_str(&set(name)?);
        filled.push_str(rest);
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        job(&|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string()))
    }

    fn texts(fields: &[(String, String)]) -> Vec<String> {
        fields.iter().map(|(name, value)| format!("{name} {value}")).collect()
    }

    #[test]
    fn each_system_names_its_job() {
        let github = of(&[
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_WORKFLOW", "nightly"),
            ("GITHUB_JOB", "integration"),
            ("GITHUB_RUN_NUMBER", "412"),
            ("GITHUB_SHA", "583a9f9"),
            ("GITHUB_HEAD_REF", ""),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "o/r"),
            ("GITHUB_RUN_ID", "99"),
        ]);
        let expected = [
            "System GitHub Actions",
            "Job nightly / integration",
            "Build 412",
            "Commit 583a9f9",
            "Branch main",
            "Link https://github.com/o/r/actions/runs/99",
        ];
        assert_eq!(texts(&github), expected);
        for (variables, expected) in [
            (
                &[("GITLAB_CI", "true"), ("CI", "true"), ("CI_JOB_NAME", "e2e"), ("CI_JOB_URL", "https://g/j/1")][..],
                &["System GitLab CI", "Job e2e", "Link https://g/j/1"][..],
            ),
            (
                &[("JENKINS_URL", "https://j/"), ("BUILD_NUMBER", "7"), ("BUILD_URL", "https://j/job/x/7/")],
                &["System Jenkins", "Build 7", "Link https://j/job/x/7/"],
            ),
            (
                &[
                    ("TF_BUILD", "True"),
                    ("BUILD_BUILDNUMBER", "20261126.1"),
                    ("SYSTEM_COLLECTIONURI", "https://dev.azure.com/o/"),
                    ("SYSTEM_TEAMPROJECT", "p"),
                    ("BUILD_BUILDID", "5"),
                ],
                &[
                    "System Azure Pipelines",
                    "Build 20261126.1",
                    "Link https://dev.azure.com/o/p/_build/results?buildId=5",
                ],
            ),
            (
                &[("BUILDKITE", "true"), ("BUILDKITE_PIPELINE_SLUG", "s"), ("BUILDKITE_BUILD_URL", "https://b/1")],
                &["System Buildkite", "Job s", "Link https://b/1"],
            ),
            (&[("CI", "1"), ("BUILD_URL", "https://c/1")], &["System CI", "Link https://c/1"]),
            (&[("CI", "false"), ("BUILD_URL", "https://c/1")], &[]),
            (&[("BUILD_NUMBER", "1")], &[]),
        ] {
            assert_eq!(texts(&of(variables)), expected, "{variables:?}");
        }
    }
}
