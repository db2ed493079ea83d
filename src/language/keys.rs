//! The keys of each map in plans and environment files.

use super::TIERS;
use super::key::{ACTIONS, EXPRESSIONS, Key, Shape, TEXTS, VALUES};

const fn required(name: &'static str, shape: Shape, meaning: &'static str) -> Key {
    Key::new(name, shape).required().means(meaning)
}

const fn optional(name: &'static str, shape: Shape, meaning: &'static str) -> Key {
    Key::new(name, shape).means(meaning)
}

/// A list, or one of its items.
const PATHS: Shape = Shape::Either(&[Shape::Path, Shape::List(&Shape::Path)]);
const NAMES: Shape = Shape::Either(&[Shape::Name, Shape::List(&Shape::Name)]);
const CHECKS: Shape = Shape::Either(&[Shape::Expression, Shape::List(&Shape::Expression)]);
const DEFINITIONS: Shape = Shape::MapOf(&Shape::Keys(&[DEFINITION_KEYS]));
const BRANCHES: Shape = Shape::List(&Shape::Either(&[Shape::Action, Shape::Keys(&[BRANCH_KEYS])]));
/// What `parallel` takes.
pub const PARALLEL: Shape = Shape::Either(&[BRANCHES, Shape::Keys(&[PARALLEL_KEYS])]);
/// What `fault` takes.
pub const FAULT: Shape = Shape::Keys(&[FAULT_KEYS]);

pub const PLAN_KEYS: &[Key] = &[
    required("plan", Shape::Text, "id of the plan"),
    required("cases", Shape::List(&Shape::Keys(&[CASE_KEYS])), "the cases"),
    optional("title", Shape::Text, "title for the report"),
    optional("source", Shape::Path, "the Markdown plan with the same sentences"),
    optional("report", Shape::Path, "file for the report"),
    optional("environment", Shape::Name, "default environment"),
    optional("objective", Shape::Text, "objective for the report"),
    optional("scope", Shape::Keys(&[SCOPE_KEYS]), "what the plan covers, for the report"),
    optional("vars", VALUES, "variables"),
    optional("actions", DEFINITIONS, "reusable actions"),
    optional("include", PATHS, "files with further actions"),
    optional("requires", Shape::Text, "minimum version of tp-runner"),
    optional("prove", Shape::Keys(&[PROVE_KEYS]), "settings for mutation testing"),
];

pub const SCOPE_KEYS: &[Key] =
    &[optional("in", TEXTS, "what is covered"), optional("out", TEXTS, "what is not covered")];

pub const INCLUDE_KEYS: &[Key] =
    &[optional("actions", DEFINITIONS, "reusable actions"), optional("include", PATHS, "files with further actions")];

pub const DEFINITION_KEYS: &[Key] = &[
    required("do", ACTIONS, "what it does"),
    optional("inputs", VALUES, "inputs, with their default values"),
    optional("outputs", EXPRESSIONS, "what the caller may read"),
];

pub const CASE_KEYS: &[Key] = &[
    required("id", Shape::Text, "id of the case"),
    required("tier", Shape::Word(TIERS), "how important the case is"),
    required("expected", Shape::List(&Shape::Keys(&[RESULT_KEYS])), "expected results"),
    optional("title", Shape::Text, "title for the report"),
    optional("priority", Shape::Text, "priority in the written plan"),
    optional("type", Shape::Text, "type in the written plan"),
    optional("related_issue", Shape::Text, "issue in the written plan"),
    optional("test_file", Shape::Text, "test file in the written plan"),
    optional("exclusive", Shape::Either(&[Shape::Bool, Shape::Placeholder]), "no other case runs at the same time"),
    optional("timeout", Shape::Duration, "time limit for the case"),
    optional("preconditions", Shape::List(&Shape::Keys(&[PRECONDITION_KEYS])), "what must hold before the steps"),
    optional("steps", Shape::List(&Shape::Keys(&[STEP_KEYS])), "what is done"),
];

pub const PRECONDITION_KEYS: &[Key] =
    &[required("given", Shape::Text, "the sentence"), optional("do", ACTIONS, "what establishes it")];

pub const STEP_KEYS: &[Key] =
    &[required("step", Shape::Text, "the sentence"), optional("do", ACTIONS, "what performs it")];

pub const RESULT_KEYS: &[Key] = &[
    required("result", Shape::Text, "the sentence"),
    optional("do", ACTIONS, "what proves it"),
    optional("check", CHECKS, "what must be true"),
    optional("expect", Shape::Pattern, "what names in scope must look like"),
    optional("unproven", Shape::Text, "why nothing proves it"),
];

/// Keys of an action beside its verb.
pub const ACTION_KEYS: &[Key] = &[
    optional("as", Shape::Name, "binds the whole output"),
    optional("expect", Shape::Pattern, "what the output must look like"),
    optional("check", CHECKS, "what must be true"),
    optional("save", EXPRESSIONS, "binds parts of the output"),
    optional("undo", ACTIONS, "removes what the action created"),
    optional(
        "foreach",
        Shape::Either(&[Shape::List(&Shape::Any), Shape::MapOf(&Shape::Any), Shape::Placeholder]),
        "repeats the action for each item",
    ),
    optional("if", Shape::Expression, "skips the action if false"),
    optional("eventually", Shape::Duration, "retries until the assertions hold"),
    optional("always", Shape::Duration, "the assertions must hold at every observation"),
    optional("give_up_if", Shape::Expression, "ends `eventually` early"),
    optional(
        "still_at_end",
        Shape::True,
        "performs the action again at the end of the case, where the assertions must still hold",
    ),
    optional("timeout", Shape::Duration, "time limit for one attempt"),
    optional("target", Shape::Name, "which target, if there are several of a kind"),
    optional("blame", Shape::Word(&["environment"]), "a failure is not the product's: the action is errored"),
];

pub const PARALLEL_KEYS: &[Key] = &[
    required("branches", BRANCHES, "the branches"),
    optional(
        "overlap",
        Shape::Either(&[Shape::Word(&["all"]), Shape::Number]),
        "how many branches must run at the same time",
    ),
];

/// A branch of `parallel` with several actions.
pub const BRANCH_KEYS: &[Key] = &[required("do", ACTIONS, "what the branch does, in order")];

pub const FAULT_KEYS: &[Key] =
    &[optional("break", Shape::Name, "activates a fault"), optional("heal", Shape::Name, "heals a fault")];

pub const PROVE_KEYS: &[Key] = &[
    optional("set", VALUES, "variables during mutation testing"),
    optional("record", VALUES, "variables for the recorded run"),
    optional("defects", Shape::MapOf(&VALUES), "sentences that each defect must break"),
    optional("guards", Shape::Path, "file with the assertion baseline"),
];

pub const ENVIRONMENT_FILE_KEYS: &[Key] = &[
    required("environments", Shape::MapOf(&Shape::Keys(&[ENVIRONMENT_KEYS])), "the environments"),
    optional("default", Shape::Name, "environment to use by default"),
    optional("runs", Shape::Keys(&[RUNS_KEYS]), "where runs are recorded, and how long they are kept"),
];

pub const RUNS_KEYS: &[Key] = &[
    optional("folder", Shape::Path, "where runs are recorded"),
    optional("keep", Shape::Number, "how many finished runs are kept"),
    optional("max_age", Shape::Duration, "how long a finished run is kept"),
];

pub const ENVIRONMENT_KEYS: &[Key] = &[
    required("targets", Shape::MapOf(&Shape::Target), "named systems, each with the settings of its verb"),
    optional("about", Shape::Text, "one sentence for the report"),
    optional("notice", Shape::Text, "printed first and last in every report"),
    optional("extends", Shape::Name, "environment to inherit from"),
    optional(
        "secrets",
        Shape::MapOf(&Shape::Either(&[Shape::Text, Shape::Keys(&[SECRET_KEYS])])),
        "names and sources of secrets",
    ),
    optional("vars", VALUES, "values for variables of the plan"),
    optional("actions", DEFINITIONS, "replacements for actions of the plan"),
    optional("setup", ACTIONS, "actions before the first case"),
    optional("teardown", ACTIONS, "actions after the last case"),
    optional("on_failure", ACTIONS, "evidence to collect after a failed case"),
    optional("known_failures", Shape::List(&Shape::Keys(&[KNOWN_FAILURE_KEYS])), "sentences that may fail for a while"),
    optional("protected", Shape::Bool, "refuses actions that cannot be undone"),
    optional("allow", Shape::Keys(&[ALLOW_KEYS]), "what plans may use beside their folder and the targets"),
    optional(
        "masked_fields",
        Shape::Either(&[Shape::Keys(&[MASKED_FIELDS_KEYS]), Shape::Bool]),
        "which fields are masked by their names",
    ),
    optional(
        "faults",
        Shape::MapOf(&Shape::Either(&[Shape::Keys(&[FAULT_RELAY_KEYS]), Shape::Keys(&[FAULT_ACTION_KEYS])])),
        "what `fault` breaks",
    ),
    optional("jobs", Shape::Number, "number of cases that run at the same time"),
    optional("undo_timeout", Shape::Duration, "how long all the undo of a case may take"),
    optional("versions", Shape::MapOf(&Shape::Either(&[Shape::Text, ACTIONS])), "what runs here, for the report"),
];

pub const ALLOW_KEYS: &[Key] = &[
    optional("paths", PATHS, "files and folders outside of the project folder"),
    optional("exec", Shape::Bool, "running programs"),
    optional("hosts", Shape::Either(&[Shape::Text, TEXTS]), "hosts other than those of the targets"),
];

pub const MASKED_FIELDS_KEYS: &[Key] = &[
    optional("add", NAMES, "further fields that are masked, by the ends of their names"),
    optional("except", NAMES, "fields that are not masked"),
];

pub const SECRET_KEYS: &[Key] = &[
    optional("file", Shape::Path, "file with the value"),
    optional("command", TEXTS, "program that prints the value"),
];

pub const KNOWN_FAILURE_KEYS: &[Key] = &[
    required("case", Shape::Text, "the case"),
    required("issue", Shape::Text, "where it is tracked"),
    required("until", Shape::Text, "last day on which it is accepted"),
    optional("sentence", Shape::Text, "the sentence that may fail"),
    optional("sentences", TEXTS, "in place of `sentence`: several that may fail"),
    optional("observed", Shape::Text, "what must be found in the observed value"),
];

/// Keys of a fault made by actions.
pub const FAULT_ACTION_KEYS: &[Key] = &[
    required("do", ACTIONS, "breaks the connection"),
    required("heal", ACTIONS, "restores the connection"),
    optional("refused", Shape::Expression, "number of affected connections"),
    optional("probe", ACTIONS, "passes while the connection works; for `doctor --faults`"),
    optional("relay", Shape::Keys(&[RELAY_KEYS]), "a relay, in place of actions"),
];

/// Keys of a fault made by a relay.
pub const FAULT_RELAY_KEYS: &[Key] =
    &[required("relay", Shape::Keys(&[RELAY_KEYS]), "addresses and mode of the relay")];

pub const RELAY_KEYS: &[Key] = &[
    optional("listen", Shape::Text, "where the platform connects"),
    optional("upstream", Shape::Text, "where the relay connects"),
    optional("control", Shape::Path, "control socket of a relay that runs as a process, in place of the addresses"),
    optional("delay", Shape::Duration, "all data arrives later"),
    optional("reset", Shape::True, "connections are reset as soon as data is sent"),
    optional("swallow", Shape::True, "data is dropped"),
    optional("throttle", Shape::Number, "limit in bytes per second"),
];

/// Keys of a relay that set its fault mode.
pub const RELAY_MODES: &[&str] = &["delay", "reset", "swallow", "throttle"];
