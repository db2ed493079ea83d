//! The case of one operation.
use super::{
    Findings, Options,
    action::{action, content_type, http, undo},
    case::{Case, Content, Part, Sentence, Tier},
    chain::{Chain, Lists, Prior},
    path::Segment,
};
use crate::init::{
    openapi::{Operation, is_header},
    words::{sentence, split_words},
    yaml::{Yaml, map, text, word},
};

/// Words in the names of operations that change something although their method is `GET`.
const CHANGING: &[&str] = &[
    "logout",
    "signout",
    "logoff",
    "delete",
    "remove",
    "destroy",
    "reset",
    "revoke",
    "purge",
    "shutdown",
    "restart",
    "reboot",
    "unsubscribe",
    "cancel",
    "trigger",
    "execute",
    "send",
    "disable",
    "stop",
    "kill",
    "clear",
    "flush",
    "rotate",
];

/// Whether an operation may be performed on a service that others use.
pub fn is_safe(operation: &Operation) -> bool {
    operation.is_read() && changing_word(operation).is_none()
}

fn changing_word(operation: &Operation) -> Option<String> {
    let id = operation.name.strip_prefix(&operation.method).unwrap_or(&operation.name);
    let outside = |text: &str| -> String {
        text.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest)).collect()
    };
    let mut words = split_words(&outside(&operation.path)).into_iter().chain(split_words(&outside(id)));
    words.find(|word| CHANGING.contains(&word.as_str()))
}

/// Whether the environment logs in as the operation needs it.
pub fn has_login(operation: &Operation, options: &Options) -> bool {
    let needed = &operation.security;
    needed.is_empty() || needed.iter().any(|all| all.iter().all(|name| options.credentials.contains(name)))
}

/// Whether a request is allowed: with the login of the environment, or because the service did not ask for one.
pub fn is_open(operation: &Operation, findings: &Findings, options: &Options) -> bool {
    has_login(operation, options) || findings.of(&operation.key, Part::Refusal).is_some()
}

/// Writes the case of an operation.
pub fn case(operation: &Operation, lists: &Lists<'_>, options: &Options) -> Case {
    let is_safe = is_safe(operation);
    let chain = if is_safe { lists.chain(operation) } else { certain(operation) };
    let has_login = is_open(operation, lists.findings, options);
    let reason = draft_reason(operation, &chain, lists, has_login);
    let mut case = Case {
        key: operation.key.clone(),
        title: sentence(&operation.key),
        tier: tier(operation, options),
        steps: vec![],
        expected: vec![],
    };
    match &reason {
        None => running(&mut case, operation, &chain, lists, options),
        Some(reason) => draft(&mut case, operation, &chain, lists, options, reason),
    }
    if is_safe && !operation.security.is_empty() && chain.priors.is_empty() && is_sendable(operation, &chain) {
        refusal(&mut case, operation, &chain, lists);
    }
    if !case.is_running() && case.tier == Tier::Must {
        case.tier = Tier::Should;
    }
    case
}

fn tier(operation: &Operation, options: &Options) -> Tier {
    let inputs = &operation.inputs;
    let has_inputs = !inputs.path.is_empty() || !inputs.query.is_empty() || !inputs.headers.is_empty();
    match () {
        () if operation.is_deprecated => Tier::Nice,
        () if operation.is_read() && !has_inputs && has_login(operation, options) => Tier::Must,
        () => Tier::Should,
    }
}

/// Values for a request that changes something: only those that the document fixes.
fn certain<'a>(operation: &Operation) -> Chain<'a> {
    let value = |p: &crate::init::openapi::PathParameter| p.value.clone().filter(|_| p.is_certain);
    let segments = operation.inputs.path.iter().map(|p| value(p).map_or(Segment::Unknown, Segment::Value));
    Chain { segments: segments.collect(), ..Chain::default() }
}

fn is_sendable(operation: &Operation, chain: &Chain<'_>) -> bool {
    operation.own_server.is_none()
        && operation.inputs.missing.is_empty()
        && chain.unknown.is_empty()
        && !is_stream(operation)
}

fn is_stream(operation: &Operation) -> bool {
    operation.success.media.as_deref() == Some("text/event-stream")
}

/// Why the case cannot be performed.
fn draft_reason(operation: &Operation, chain: &Chain<'_>, lists: &Lists<'_>, has_login: bool) -> Option<String> {
    let key = sentence(&operation.key);
    if !operation.is_read() {
        return Some(format!("`{key}` changes data"));
    }
    if let Some(word) = changing_word(operation) {
        return Some(format!("the name of `{key}` says that it may change something: {word}"));
    }
    if let Some(reason) = lists.findings.of(&operation.key, Part::Response) {
        return Some(reason.to_string());
    }
    if let Some(server) = &operation.own_server {
        return Some(format!("the document has an address of its own for it: {}", sentence(server)));
    }
    if is_stream(operation) {
        return Some("it is a stream: write `events` with `count` or `until`".into());
    }
    if let Some(missing) = operation.inputs.missing.first() {
        return Some(missing.reason.clone());
    }
    if let Some(name) = chain.unknown.first() {
        return Some(format!("the document gives no value for `{}` in the path", sentence(name)));
    }
    if !has_login {
        let names: Vec<String> = operation
            .security
            .iter()
            .map(|all| all.iter().map(|n| sentence(n)).collect::<Vec<_>>().join(" and "))
            .collect();
        return Some(format!("it needs credentials: {}", sentence(&names.join(", or "))));
    }
    None
}

fn running(case: &mut Case, operation: &Operation, chain: &Chain<'_>, lists: &Lists<'_>, options: &Options) {
    prior_steps(case, chain);
    let request = action(http(operation, &chain.segments, vec![]), [("as", word("response"))]);
    case.steps.push(Sentence {
        text: operation.summary.clone(),
        part: Part::Response,
        content: Content::Actions(vec![request]),
    });
    let (text, pattern) = response(operation, options);
    case.expected.push(Sentence {
        text,
        part: Part::Response,
        content: Content::Expect(map([("response", Yaml::Map(pattern))])),
    });
    let Some(schema) = schema(operation, options) else { return };
    let pattern = map([("response", map([("body", schema)]))]);
    let content = match (lists.findings.of(&operation.key, Part::Schema), &operation.success.schema) {
        (Some(reason), _) => Content::Unproven { reason: reason.to_string(), draft: Some(pattern) },
        (None, Err(_)) => return,
        (None, Ok(())) => Content::Expect(pattern),
    };
    case.expected.push(Sentence {
        text: "The body is as the document describes it".into(),
        part: Part::Schema,
        content,
    });
}

fn prior_steps(case: &mut Case, chain: &Chain<'_>) {
    for prior in &chain.priors {
        let text = sentence(&format!("{}, and take the first `{}`", prior.operation.summary, prior.parameter));
        case.steps.push(Sentence { text, part: Part::Response, content: Content::Actions(vec![prior_action(prior)]) });
    }
}

/// The request that lists what a parameter is chosen from.
fn prior_action(prior: &Prior<'_>) -> Yaml {
    let save = Yaml::Map(vec![(prior.name.clone(), expression(&prior.expression))]);
    let expect = map([("status", word(prior.operation.success.status))]);
    action(http(prior.operation, &prior.segments, vec![]), [("expect", expect), ("save", save)])
}

/// An expression as a value, quoted: it may have characters that YAML gives a meaning.
fn expression(text: &str) -> Yaml {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    if is_plain { word(text) } else { Yaml::Template(text.into()) }
}

/// What is known of a response besides its schema.
fn response(operation: &Operation, options: &Options) -> (String, Vec<(String, Yaml)>) {
    let success = &operation.success;
    let mut pattern = vec![("status".to_string(), word(success.status))];
    let has_schema = success.schema.is_ok() && options.document.is_some();
    match success.media.as_ref().filter(|_| !has_schema && operation.method != "HEAD") {
        Some(media) => {
            pattern.push(("headers".into(), content_type(media)));
            (format!("The service responds with status {} and {media}", success.status), pattern)
        }
        None => (format!("The service responds with status {}", success.status), pattern),
    }
}

/// The pattern for a body that the document describes.
fn schema(operation: &Operation, options: &Options) -> Option<Yaml> {
    let document = options.document.as_ref().filter(|_| operation.success.schema.is_ok())?;
    // the compiler takes these texts as they are, without placeholders
    let entries = [
        ("openapi", plain(document)),
        ("operation", plain(&operation.name)),
        ("status", word(operation.success.status)),
    ];
    Some(map([("$schema", map(entries))]))
}

/// A text that is taken as it is, without quotes where they are not needed.
fn plain(text: &str) -> Yaml {
    let is_plain = text.len() > 3
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !["true", "false", "null"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { word(text) } else { Yaml::Template(text.into()) }
}

fn draft(
    case: &mut Case,
    operation: &Operation,
    chain: &Chain<'_>,
    lists: &Lists<'_>,
    options: &Options,
    reason: &str,
) {
    let mut hints = vec![reason.to_string()];
    // without all values, the requests that find some of them would not help
    let is_complete = chain.unknown.is_empty();
    let known = |s: &Segment| if is_complete || !matches!(s, Segment::Name(_)) { s.clone() } else { Segment::Unknown };
    let segments: Vec<Segment> = chain.segments.iter().map(known).collect();
    let mut actions: Vec<Yaml> = chain.priors.iter().filter(|_| is_complete).map(prior_action).collect();
    let mut entries = vec![("http".to_string(), http(&filled(operation), &segments, vec![]))];
    entries.push(("as".into(), word("response")));
    match (operation.method.as_str(), undo(operation, &segments, &lists.index)) {
        (method, Some(undo)) => {
            hints.push(match method {
                "PUT" => "the undo deletes the thing: leave it out unless the request creates it".into(),
                _ => "keep the undo: it removes what the request creates".into(),
            });
            entries.push(("undo".into(), undo));
        }
        ("POST", None) => hints.push("add an `undo` if it creates something".into()),
        ("PUT" | "PATCH", None) => hints.push("change a thing that an earlier step of this case creates".into()),
        ("DELETE", None) => hints.push("delete a thing that an earlier step of this case creates".into()),
        _ => {}
    }
    actions.push(Yaml::Map(entries));
    let content = Content::DraftActions { hints, actions };
    case.steps.push(Sentence { text: operation.summary.clone(), part: Part::Response, content });
    let (text, mut pattern) = response(operation, options);
    pattern.extend(schema(operation, options).map(|schema| ("body".to_string(), schema)));
    let draft = Some(map([("response", Yaml::Map(pattern))]));
    let content = Content::Unproven { reason: sentence(&format!("not written yet: {reason}")), draft };
    case.expected.push(Sentence { text, part: Part::Response, content });
}

/// The operation with something to replace for each missing parameter.
fn filled(operation: &Operation) -> Operation {
    let mut filled = operation.clone();
    for missing in &operation.inputs.missing {
        match missing.place.as_str() {
            "query" => filled.inputs.query.push((missing.name.clone(), text("TODO"))),
            "header" if is_header(&missing.name) => filled.inputs.headers.push((missing.name.clone(), text("TODO"))),
            _ => {}
        }
    }
    filled
}

fn refusal(case: &mut Case, operation: &Operation, chain: &Chain<'_>, lists: &Lists<'_>) {
    if let Some(reason) = lists.findings.of(&operation.key, Part::Refusal) {
        let text = "A request without credentials is refused".to_string();
        case.expected.push(Sentence {
            text,
            part: Part::Refusal,
            content: Content::Unproven { reason: reason.to_string(), draft: None },
        });
        return;
    }
    let request = http(operation, &chain.segments, vec![("identity".into(), word("none"))]);
    let request = action(request, [("as", word("refused"))]);
    let status = map([("$in", Yaml::List(vec![word(401), word(403)]))]);
    case.steps.push(Sentence {
        text: "Send the same request without credentials".into(),
        part: Part::Refusal,
        content: Content::Actions(vec![request]),
    });
    let expect = map([("refused", map([("status", status)]))]);
    case.expected.push(Sentence {
        text: "It is refused".into(),
        part: Part::Refusal,
        content: Content::Expect(expect),
    });
}
