//! The accepted differences and their reasons. Each must occur, and `docs/sandbox.md` must state it.

#[derive(Debug)]
pub struct Explained {
    /// A glob over `topic: name`.
    pub request: &'static str,
    /// A glob over the field: `/code`, `/warnings/0`, or a pointer below `/body`.
    pub field: &'static str,
    /// A sentence or table row of `docs/sandbox.md`.
    pub reason: &'static str,
}

const WORDING: &str = "Malformed JSON and JSON of the wrong shape are reported in other words.";
const BUILT_IN: &str = "Built-in kinds are validated only in their metadata and get no defaults.";
const IMMEDIATE: &str = "A definition is accepted immediately, in the response to its creation.";
const JSON_ONLY: &str = "| bodies or responses in protobuf or YAML | 415, 406 |";
const QUOTED: &str = "A refused patch does not quote the whole resulting object.";
const COLUMNS: &str = "`kubectl get` of a built-in kind shows only name and age.";
const TOKEN: &str = "| any request without the token, even for the version | 401 |";

/// In the order of the requests; the first match applies.
#[rustfmt::skip]
pub const EXPLAINED: &[Explained] = &[
    Explained { request: "define: {things,forms}", field: "/body/status/*", reason: IMMEDIATE },
    Explained { request: "define: *, accepted", field: "/version", reason: IMMEDIATE },
    Explained { request: "create: without kind", field: "/body/data", reason: BUILT_IN },
    Explained { request: "create: of another {kind,version}", field: "/body/message", reason: BUILT_IN },
    Explained { request: "create: a thing of another version", field: "/warnings/0", reason: "Refused requests have no warnings." },
    Explained { request: "create: {from,a thing from} {nothing,no JSON,a list,a number,null}", field: "/{body/message,code}", reason: WORDING },
    Explained { request: "create: a thing without kind", field: "/body/message", reason: WORDING },
    Explained { request: "create: from {a form,text}", field: "/body/message", reason: JSON_ONLY },
    Explained { request: "names: a finalizer of a thing without a domain", field: "/warnings/0", reason: "There is no warning about finalizers without a domain." },
    Explained { request: "patch: merge {another kind,a number for a label}", field: "/body/*message", reason: QUOTED },
    Explained { request: "change: merge an unknown field strictly", field: "/body/*message", reason: QUOTED },
    Explained { request: "patch: a thing, strictly", field: "/body/*message", reason: QUOTED },
    Explained { request: "patch: {operations that are no list,a list to merge,no JSON to merge}", field: "/body/message", reason: WORDING },
    Explained { request: "patch: strategic, with a directive", field: "/code", reason: "| strategic merge patch for custom resources, or with lists or directives | 415 |" },
    Explained { request: "patch: {plain JSON,strategic[,] a thing}", field: "/body/{message,details}", reason: JSON_ONLY },
    Explained { request: "patch: apply*", field: "/code", reason: "| server-side apply | 415 |" },
    Explained { request: "parts: a Deployment*", field: "/body/{spec,status}*", reason: BUILT_IN },
    Explained { request: "parts: a Deployment's scale", field: "/code", reason: "| subresources other than `status` | 501 |" },
    Explained { request: "finalizers: another finalizer", field: "/body/*", reason: "Each cause is reported once." },
    Explained { request: "delete: with no JSON", field: "/body/message", reason: WORDING },
    Explained { request: "*", field: "/body/metadata/continue", reason: "An empty `continue` is omitted." },
    Explained { request: "page: of no token", field: "/body/message", reason: WORDING },
    Explained { request: "form: {maps,no maps} as a table", field: "/body/{columnDefinitions,rows}/*", reason: COLUMNS },
    Explained { request: "form: {HTML,an unknown form}", field: "/body/{message,details}", reason: JSON_ONLY },
    Explained { request: "discover: a group by POST", field: "/code", reason: "| discovery with another method than `GET` | 405 |" },
    Explained { request: "caller: anonymous*", field: "/code", reason: TOKEN },
    Explained { request: "definition: no versions", field: "/body/*", reason: "| a definition with other than one served version | 422 |" },
    Explained { request: "definition: an invalid pattern", field: "/body/*message", reason: "The reason why a pattern is invalid is not reported." },
    Explained { request: "definition: with rules", field: "/code", reason: "| a definition with `x-kubernetes-validations` | 422 |" },
];
