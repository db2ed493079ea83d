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

pub const EXPLAINED: &[Explained] = &[];
