//! The keys of each map in plans and environment files.

#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub required: bool,
    /// The kind of value, for people.
    pub value: &'static str,
    pub meaning: &'static str,
}

const fn required(name: &'static str, value: &'static str, meaning: &'static str) -> Key {
    Key { name, required: true, value, meaning }
}

const fn optional(name: &'static str, value: &'static str, meaning: &'static str) -> Key {
    Key { name, required: false, value, meaning }
}

pub const PLAN_KEYS: &[Key] = &[
    required("plan", "text", "id of the plan"),
    required("cases", "list of cases", "the cases"),
    optional("title", "text", "title for the report"),
    optional("source", "path", "the Markdown plan with the same sentences"),
    optional("report", "path", "file for the report"),
    optional("environment", "name", "default environment"),
    optional("objective", "text", "objective for the report"),
    optional("scope", "map", "what the plan covers, for the report"),
    optional("vars", "map of values", "variables"),
    optional("actions", "map of definitions", "reusable actions"),
    optional("include", "path or list of paths", "files with further actions"),
    optional("requires", "version", "minimum version of tp-runner"),
    optional("prove", "map", "settings for mutation testing"),
];

pub const SCOPE_KEYS: &[Key] =
    &[optional("in", "list of texts", "what is covered"), optional("out", "list of texts", "what is not covered")];

pub const INCLUDE_KEYS: &[Key] = &[
    optional("actions", "map of definitions", "reusable actions"),
    optional("include", "path or list of paths", "files with further actions"),
];

pub const DEFINITION_KEYS: &[Key] = &[
    required("do", "list of actions", "what it does"),
    optional("inputs", "map of values", "inputs, with their default values"),
    optional("outputs", "map of expressions", "what the caller may read"),
];

pub const CASE_KEYS: &[Key] = &[
    required("id", "text", "id of the case"),
    required("tier", "must, should or nice", "how important the case is"),
    required("expected", "list of results", "expected results"),
    optional("title", "text", "title for the report"),
    optional("priority", "text", "priority in the written plan"),
    optional("type", "text", "type in the written plan"),
    optional("related_issue", "text", "issue in the written plan"),
    optional("test_file", "text", "test file in the written plan"),
    optional("exclusive", "true, false or ${…}", "no other case runs at the same time"),
    optional("timeout", "duration", "time limit for the case"),
    optional("preconditions", "list of preconditions", "what must hold before the steps"),
    optional("steps", "list of steps", "what is done"),
];

pub const PRECONDITION_KEYS: &[Key] =
    &[required("given", "text", "the sentence"), optional("do", "list of actions", "what establishes it")];

pub const STEP_KEYS: &[Key] =
    &[required("step", "text", "the sentence"), optional("do", "list of actions", "what performs it")];

pub const RESULT_KEYS: &[Key] = &[
    required("result", "text", "the sentence"),
    optional("do", "list of actions", "what proves it"),
    optional("check", "expression or list of expressions", "what must be true"),
    optional("expect", "pattern", "what names in scope must look like"),
    optional("unproven", "text", "why nothing proves it"),
];

/// Keys of an action beside its verb.
pub const ACTION_KEYS: &[Key] = &[
    optional("as", "name", "binds the whole output"),
    optional("expect", "pattern", "what the output must look like"),
    optional("check", "expression or list of expressions", "what must be true"),
    optional("save", "map of expressions", "binds parts of the output"),
    optional("undo", "list of actions", "removes what the action created"),
    optional("foreach", "list or map", "repeats the action for each item"),
    optional("if", "expression", "skips the action if false"),
    optional("eventually", "duration", "retries until the assertions hold"),
    optional("always", "duration", "the assertions must hold at every observation"),
    optional("give_up_if", "expression", "ends `eventually` early"),
    optional(
        "still_at_end",
        "true",
        "performs the action again at the end of the case, where the assertions must still hold",
    ),
    optional("timeout", "duration", "time limit for one attempt"),
    optional("target", "name", "which target, if there are several of a kind"),
    optional("blame", "environment", "a failure is not the product's: the action is errored"),
];

pub const PARALLEL_KEYS: &[Key] = &[
    required("branches", "list of branches", "the branches"),
    optional("overlap", "all, or a number", "how many branches must run at the same time"),
];

pub const FAULT_KEYS: &[Key] =
    &[optional("break", "name", "activates a fault"), optional("heal", "name", "heals a fault")];

pub const PROVE_KEYS: &[Key] = &[
    optional("set", "map of values", "variables during mutation testing"),
    optional("record", "map of values", "variables for the recorded run"),
    optional("defects", "map of cases", "sentences that each defect must break"),
    optional("guards", "path", "file with the assertion baseline"),
];

pub const ENVIRONMENT_FILE_KEYS: &[Key] = &[
    required("environments", "map of environments", "the environments"),
    optional("default", "name", "environment to use by default"),
    optional("runs", "map of settings", "where runs are recorded, and how long they are kept"),
];

pub const RUNS_KEYS: &[Key] = &[
    optional("folder", "path", "where runs are recorded"),
    optional("keep", "number", "how many finished runs are kept"),
    optional("max_age", "duration", "how long a finished run is kept"),
];

pub const ENVIRONMENT_KEYS: &[Key] = &[
    required("targets", "map of targets", "named systems, each with the settings of its verb"),
    optional("about", "text", "one sentence for the report"),
    optional("notice", "text", "printed first and last in every report"),
    optional("extends", "name", "environment to inherit from"),
    optional("secrets", "map of secrets", "names and sources of secrets"),
    optional("vars", "map of values", "values for variables of the plan"),
    optional("actions", "map of definitions", "replacements for actions of the plan"),
    optional("setup", "list of actions", "actions before the first case"),
    optional("teardown", "list of actions", "actions after the last case"),
    optional("on_failure", "list of actions", "evidence to collect after a failed case"),
    optional("known_failures", "list of known failures", "sentences that may fail for a while"),
    optional("protected", "true or false", "refuses actions that cannot be undone"),
    optional("allow", "map of settings", "what plans may use beside their folder and the targets"),
    optional("masked_fields", "false or map of lists", "which fields are masked by their names"),
    optional("faults", "map of faults", "what `fault` breaks"),
    optional("jobs", "number", "number of cases that run at the same time"),
    optional("undo_timeout", "duration", "how long all the undo of a case may take"),
    optional("versions", "map of texts or actions", "what runs here, for the report"),
];

pub const ALLOW_KEYS: &[Key] = &[
    optional("paths", "path or list of paths", "files and folders outside of the project folder"),
    optional("exec", "true or false", "running programs"),
    optional("hosts", "host or list of hosts", "hosts other than those of the targets"),
];

pub const MASKED_FIELDS_KEYS: &[Key] = &[
    optional("add", "name or list of names", "further fields that are masked, by the ends of their names"),
    optional("except", "name or list of names", "fields that are not masked"),
];

pub const SECRET_KEYS: &[Key] = &[
    optional("file", "path", "file with the value"),
    optional("command", "list of texts", "program that prints the value"),
];

pub const KNOWN_FAILURE_KEYS: &[Key] = &[
    required("case", "case id", "the case"),
    required("issue", "text", "where it is tracked"),
    required("until", "date", "last day on which it is accepted"),
    optional("sentence", "text", "the sentence that may fail"),
    optional("sentences", "list of texts", "in place of `sentence`: several that may fail"),
    optional("observed", "regular expression", "what must be found in the observed value"),
];

/// Keys of a fault made by actions.
pub const FAULT_ACTION_KEYS: &[Key] = &[
    required("do", "list of actions", "breaks the connection"),
    required("heal", "list of actions", "restores the connection"),
    optional("refused", "expression", "number of affected connections"),
    optional("probe", "list of actions", "passes while the connection works; for `doctor --faults`"),
    optional("relay", "map", "a relay, in place of actions"),
];

/// Keys of a fault made by a relay.
pub const FAULT_RELAY_KEYS: &[Key] = &[required("relay", "map", "addresses and mode of the relay")];

pub const RELAY_KEYS: &[Key] = &[
    optional("listen", "address", "where the platform connects"),
    optional("upstream", "address", "where the relay connects"),
    optional("control", "path", "control socket of a relay that runs as a process, in place of the addresses"),
    optional("delay", "duration", "all data arrives later"),
    optional("reset", "true", "connections are reset as soon as data is sent"),
    optional("swallow", "true", "data is dropped"),
    optional("throttle", "number", "limit in bytes per second"),
];

/// Keys of a relay that set its fault mode.
pub const RELAY_MODES: &[&str] = &["delay", "reset", "swallow", "throttle"];
