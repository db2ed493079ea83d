//! Values of the CEL library for what was not, or not completely, observed. Most of the library's traits cannot fail, so
//! a use that needs a missing part is noted for the evaluation on this thread, and decides its result.
use super::error::EvalError;
use crate::{
    expr::regex::{depends_on_end, reason},
    value::{Partial, Value},
};
use cel::{
    Env, ExecutionError,
    common::{
        traits::{self, Adder, Comparer, Container, Indexer, Iterable, Sizer, Zeroer},
        types::{CelBool, CelString, Kind, NULL_TYPE, STRING_TYPE, Type},
        value::{Builtin, BuiltinRef, CowVal, StaticVal, Val},
    },
};
use regex::Regex;
use std::{
    any::Any,
    cell::RefCell,
    sync::{Arc, LazyLock},
};

/// A text has a type of its own, so that what searches in it can be defined for what was received.
static PARTIAL_TEXT: LazyLock<Type> = LazyLock::new(partial_text);

fn partial_text() -> Type {
    Type::new_opaque_type("partial_text")
}

struct Note {
    error: EvalError,
    /// Whether the result depends on the missing part even if the evaluation succeeds.
    decisive: bool,
}

thread_local! {
    static NOTED: RefCell<Option<Note>> = const { RefCell::new(None) };
}

/// Evaluates, and fails if the result depends on something that was not observed. With `optional`, the expression turns
/// errors into optional values (`a.?b`): then every use counts.
pub(super) fn watched<T>(optional: bool, evaluate: impl FnOnce() -> Result<T, EvalError>) -> Result<T, EvalError> {
    let outer = NOTED.take();
    let result = evaluate();
    match NOTED.replace(outer) {
        Some(note) if optional || note.decisive || result.is_err() => Err(note.error),
        _ => result,
    }
}

/// Looks at a value for another purpose than the result, so that nothing is noted.
pub(super) fn unwatched<T>(look: impl FnOnce() -> T) -> T {
    let noted = NOTED.take();
    let result = look();
    NOTED.set(noted);
    result
}

/// The first note stays, but one that decides the result replaces one that does not.
fn note(error: &EvalError, decisive: bool) {
    NOTED.with_borrow_mut(|noted| {
        if noted.as_ref().is_none_or(|n| decisive && !n.decisive) {
            *noted = Some(Note { error: error.clone(), decisive });
        }
    });
}

/// The error of reading a field that was not observed. It counts unless another operand decides the result.
pub(super) fn not_observed(reason: &Arc<str>) -> ExecutionError {
    note(&EvalError::NotObserved(reason.clone()), false);
    ExecutionError::function_error("read", reason)
}

/// Any use of it is noted.
#[derive(Clone, Debug)]
pub(super) struct UnsetVal(EvalError);

impl UnsetVal {
    pub(super) fn new(reason: &Arc<str>) -> UnsetVal {
        UnsetVal(EvalError::NotObserved(reason.clone()))
    }
}

impl Val for UnsetVal {
    fn get_type(&self) -> &Type {
        note(&self.0, true);
        &NULL_TYPE
    }

    fn cel_type() -> &'static Type {
        &NULL_TYPE
    }

    fn equals(&self, _: &dyn Val) -> bool {
        note(&self.0, true);
        false
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        note(&self.0, true);
        Some(self)
    }

    fn as_builtin<'b, 'v>(&'b self) -> BuiltinRef<'b, 'v>
    where
        Self: 'v,
    {
        note(&self.0, true);
        BuiltinRef::Other
    }
}

impl StaticVal for UnsetVal {}

/// What the received part shows may be used: an element that is contained or found. Everything else is noted.
#[derive(Debug)]
pub(super) struct PartialVal {
    pub(super) partial: Arc<Partial>,
    pub(super) received: Box<dyn Val>,
    missing: UnsetVal,
}

impl PartialVal {
    pub(super) fn new(partial: Arc<Partial>, received: Box<dyn Val>) -> PartialVal {
        let missing = UnsetVal(EvalError::Incomplete(partial.reason.clone()));
        PartialVal { partial, received, missing }
    }

    fn depends(&self) {
        note(&self.missing.0, true);
    }
}

impl Val for PartialVal {
    fn get_type(&self) -> &Type {
        // nothing was received, not even the type
        match self.partial.value {
            Value::Null => self.depends(),
            Value::Text(_) => {
                // whatever is not defined for it fails
                note(&self.missing.0, false);
                return &PARTIAL_TEXT;
            }
            _ => {}
        }
        self.received.get_type()
    }

    fn cel_type() -> &'static Type {
        &NULL_TYPE
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        self.depends();
        self.received.as_adder()
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        self.depends();
        self.received.as_comparer()
    }

    fn as_container(&self) -> Option<&dyn Container> {
        self.received.as_container().map(|_| self as &dyn Container)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        self.received.as_indexer().map(|_| self as &dyn Indexer)
    }

    fn into_indexer<'v>(self: Box<Self>) -> Option<Box<dyn Indexer + 'v>>
    where
        Self: 'v,
    {
        self.received.as_indexer()?;
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        self.received.as_iterable().map(|_| self as &dyn Iterable)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.depends();
        self.received.as_sizer()
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        self.depends();
        self.received.as_zeroer()
    }

    fn equals(&self, other: &dyn Val) -> bool {
        self.depends();
        self.received.equals(other)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(PartialVal::new(self.partial.clone(), self.received.clone()))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn as_builtin<'b, 'v>(&'b self) -> BuiltinRef<'b, 'v>
    where
        Self: 'v,
    {
        // the library looks at a map before it selects a field
        if self.get_type().kind() != Kind::Map {
            self.depends();
        }
        self.received.as_builtin()
    }

    fn into_builtin<'v>(self: Box<Self>) -> Option<Builtin<'v>>
    where
        Self: 'v,
    {
        self.depends();
        self.received.into_builtin()
    }
}

impl StaticVal for PartialVal {}

/// Adds `contains`, `startsWith` and `matches` of a text: what is found in the received part is found.
pub(super) fn add_searches(env: &mut Env) {
    let searches: [(&str, Function); 3] = [
        ("contains", |args| search(&args, |text, part| Ok(text.contains(part)))),
        ("startsWith", |args| search(&args, |text, start| Ok(text.starts_with(start)))),
        ("matches", |args| search(&args, matches)),
    ];
    for (name, function) in searches {
        let id = format!("partial_text_{name}");
        let added = env.add_member_overload(name, &id, partial_text(), vec![STRING_TYPE], function);
        added.expect("the overload is new");
    }
}

type Function = for<'b, 'v> fn(Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError>;

fn search<'b, 'v>(
    args: &[CowVal<'b, 'v>],
    finds: fn(&str, &str) -> Result<bool, ExecutionError>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let partial = args.first().and_then(|v| v.downcast_ref::<PartialVal>());
    let wanted = args.get(1).and_then(|v| v.downcast_ref::<CelString>());
    let (Some(partial), Some(wanted)) = (partial, wanted) else {
        return Err(ExecutionError::function_error("search", "expected a string"));
    };
    let found = finds(partial.partial.value.as_str().unwrap_or_default(), wanted.inner())?;
    if !found {
        partial.depends();
    }
    Ok(CowVal::owned(CelBool::from(found)))
}

fn matches(text: &str, pattern: &str) -> Result<bool, ExecutionError> {
    let regex = Regex::new(pattern).map_err(|e| ExecutionError::function_error("matches", reason(&e)))?;
    Ok(!depends_on_end(pattern) && regex.is_match(text))
}

impl Container for PartialVal {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        let found = self.received.as_container().map_or(Ok(false), |c| c.contains(value))?;
        if !found {
            self.depends();
        }
        Ok(found)
    }
}

impl Indexer for PartialVal {
    fn get<'b, 'v>(&'b self, at: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let unsupported = || ExecutionError::function_error("read", &self.partial.reason);
        let found = self.received.as_indexer().ok_or_else(unsupported)?.get(at);
        if found.is_err() {
            note(&self.missing.0, false);
        }
        // not `NoSuchKey`, which `has` takes for an answer
        found.map_err(|_| unsupported())
    }

    fn steal<'v>(self: Box<Self>, at: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Ok(self.get(at)?.into_owned())
    }
}

impl Iterable for PartialVal {
    fn iter<'b, 'v>(&'b self) -> Box<dyn traits::Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        let received = self.received.as_iterable().map(|i| i.iter());
        Box::new(Elements { received, missing: &self.missing, is_over: false })
    }
}

/// The received elements, then one in place of the missing ones. A loop that ends before, or at that without looking at
/// it, does not need them.
struct Elements<'b> {
    received: Option<Box<dyn traits::Iterator<'b, 'static> + 'b>>,
    missing: &'b UnsetVal,
    is_over: bool,
}

impl<'b, 'v> traits::Iterator<'b, 'v> for Elements<'b> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        if let Some(element) = self.received.as_mut().and_then(|r| r.next()) {
            return Some(element);
        }
        self.received = None;
        if self.is_over {
            note(&self.missing.0, true);
            return None;
        }
        self.is_over = true;
        Some(self.missing)
    }
}
