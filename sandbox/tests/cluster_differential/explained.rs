//! Owns the differences that are meant to be: which, and why. Each one has to be there, and `docs/sandbox.md` says the same.

#[derive(Debug)]
pub struct Explained {
    /// A glob over `topic: name`.
    pub request: &'static str,
    /// A glob over the field: `/code`, `/warnings/0`, or a pointer below `/body`.
    pub field: &'static str,
    /// A sentence of `docs/sandbox.md`.
    pub reason: &'static str,
}

const WORDS: &str = "What is wrong with bytes that are no JSON, or JSON of another shape, is said in words of its own.";
const BUILT_IN: &str = "Built-in kinds are neither validated beyond their metadata nor given defaults.";
const AT_ONCE: &str = "A definition is accepted at once, in the answer to its creation.";
const TYPES: &str = "It reads and writes JSON alone.";
const QUOTED: &str = "A refusal of a patch does not quote the whole object that the patch would have made.";
const COLUMNS: &str = "`kubectl get` of a built-in kind shows name and age alone.";
const NOBODY: &str = "Nobody asks without the token, not even for the version.";

/// In the order of the requests; the first that fits explains.
#[rustfmt::skip]
pub const EXPLAINED: &[Explained] = &[
    Explained { request: "define: {things,forms}", field: "/body/status/*", reason: AT_ONCE },
    Explained { request: "define: *, accepted", field: "/version", reason: AT_ONCE },
    Explained { request: "create: without kind", field: "/body/data", reason: BUILT_IN },
    Explained { request: "create: of another {kind,version}", field: "/body/message", reason: BUILT_IN },
    Explained { request: "create: a thing of another version", field: "/warnings/0", reason: "Of what is refused it does not warn." },
    Explained { request: "create: {from,a thing from} {nothing,no JSON,a list,a number,null}", field: "/{body/message,code}", reason: WORDS },
    Explained { request: "create: a thing without kind", field: "/body/message", reason: WORDS },
    Explained { request: "create: from {a form,text}", field: "/body/message", reason: TYPES },
    Explained { request: "names: a finalizer of a thing without a domain", field: "/warnings/0", reason: "It does not warn of finalizers without a domain." },
    Explained { request: "patch: merge {another kind,a number for a label}", field: "/body/*message", reason: QUOTED },
    Explained { request: "change: merge an unknown field strictly", field: "/body/*message", reason: QUOTED },
    Explained { request: "patch: a thing, strictly", field: "/body/*message", reason: QUOTED },
    Explained { request: "patch: {operations that are no list,a list to merge,no JSON to merge}", field: "/body/message", reason: WORDS },
    Explained { request: "patch: strategic, with a directive", field: "/code", reason: "Strategic merge with lists or directives in it is refused." },
    Explained { request: "patch: {plain JSON,strategic[,] a thing}", field: "/body/{message,details}", reason: TYPES },
    Explained { request: "patch: apply*", field: "/code", reason: "Server-side apply is refused." },
    Explained { request: "parts: a Deployment*", field: "/body/{spec,status}*", reason: BUILT_IN },
    Explained { request: "parts: a Deployment's scale", field: "/code", reason: "`scale`, `log`, `exec` and other subresources than `status` are refused." },
    Explained { request: "finalizers: another finalizer", field: "/body/*", reason: "A cause is told once." },
    Explained { request: "delete: with no JSON", field: "/body/message", reason: WORDS },
    Explained { request: "*", field: "/body/metadata/continue", reason: "An empty `continue` is left out." },
    Explained { request: "page: of no token", field: "/body/message", reason: WORDS },
    Explained { request: "form: {maps,no maps} as a table", field: "/body/{columnDefinitions,rows}/*", reason: COLUMNS },
    Explained { request: "form: {HTML,an unknown form}", field: "/body/{message,details}", reason: TYPES },
    Explained { request: "discover: a group by POST", field: "/code", reason: "What describes the server is asked for by `GET` alone." },
    Explained { request: "caller: nobody*", field: "/code", reason: NOBODY },
    Explained { request: "definition: no versions", field: "/body/*", reason: "A definition with other than one served version is refused." },
    Explained { request: "definition: a pattern that is none", field: "/body/*message", reason: "Why a pattern is none is not said." },
    Explained { request: "definition: with rules", field: "/code", reason: "A definition with `x-kubernetes-validations` is refused." },
];
