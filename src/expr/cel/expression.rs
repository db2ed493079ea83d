//! Compiles an expression and evaluates it against a scope.
use super::{
    adapter::{from_cel, literal_value},
    analysis::{Access, Analysis, Comparison, Reference},
    ast, budget,
    display::describe,
    error::{EvalError, syntax_message},
    functions::{self, SEARCHES},
    incomplete::watched,
    metering::meter,
};
use crate::{
    diagnostic::{Diagnostic, nearest},
    expr::scope::Scope,
    language::{self, slips},
    source::Span,
    value::Value,
    yaml::Node,
};
use cel::{
    Context, ParseErrors, Program,
    common::{
        ast::{Expr, IdedExpr},
        value::CowVal,
    },
};
use std::{ops::Range, sync::Arc};

// The parser and the evaluator recurse: these limits keep them within the stack.
const MAX_EXPRESSION_BYTES: usize = 4096;
const MAX_BRACKET_DEPTH: usize = 40;
const MAX_OPERATOR_CHAIN: usize = 150;

#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: String,
    span: Span,
    program: Program,
    /// The expression of the program, as it is evaluated.
    root: IdedExpr,
    references: Vec<Reference>,
    comparisons: Vec<Comparison>,
    /// The functions it calls that this project adds to CEL.
    own_functions: Vec<&'static str>,
    /// Whether it calls a function that searches a text.
    searches: bool,
    /// Whether its evaluation can take long.
    slow: bool,
    /// Whether it uses optional values.
    optional: bool,
    secret_name: String,
    /// Set for a name with fields: evaluated without the library, which keeps the order of map keys.
    path: Option<(String, Vec<Access>)>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({})", self.0.text)
    }
}

impl Expression {
    /// Compiles the bytes `range` of a scalar.
    ///
    /// # Errors
    /// One diagnostic for a syntax error, or one for each unknown function and each placeholder in a string.
    pub fn compile(node: &Node, range: Range<usize>) -> Result<Expression, Vec<Diagnostic>> {
        let whole = node.as_str().unwrap_or_else(|| node.span.text());
        let text = &whole[range.clone()];
        let start = range.start + text.len() - text.trim_start().len();
        let locate = |r: Range<usize>| match node.as_str() {
            Some(_) => node.inner(start + r.start..start + r.end),
            None => node.span.clone(),
        };
        let text = text.trim();
        if text.is_empty() {
            let d = Diagnostic::error("empty-expression", &node.inner(range), "expected an expression, found nothing");
            return Err(vec![d.help("write an expression, or remove the key or placeholder")]);
        }
        check_size(text, &locate)?;
        let program = functions::ENV.compile(text).map_err(|e| vec![syntax_error(text, &e, &locate)])?;
        let chain = ast::levels(program.expression());
        if chain > MAX_OPERATOR_CHAIN {
            return Err(vec![too_deep(&locate(0..1), &format!("{MAX_OPERATOR_CHAIN} chained operators"), chain)]);
        }
        let Analysis { references, calls, loose_methods, comparisons, placeholders, inexact, .. } =
            Analysis::of(&program, text, &locate);
        let mut problems: Vec<Diagnostic> =
            placeholders.into_iter().map(|range| placeholder_in_text(&locate(range))).collect();
        problems.extend(inexact.into_iter().map(|range| inexact_number(&locate(range.clone()), &text[range])));
        problems.extend(loose_methods.into_iter().map(|(name, range)| loose_method(&name, &locate(range))));
        let mut own_functions = vec![];
        for (name, range) in &calls {
            match language::runner_function(name) {
                Some(own) if !own_functions.contains(&own) => own_functions.push(own),
                None if !language::is_cel_function(name) => {
                    problems.push(unknown_function(name, &locate(range.clone())));
                }
                _ => {}
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let searches = calls.iter().any(|(name, _)| SEARCHES.contains(&name.as_str()));
        let path = references
            .first()
            .filter(|r| ast::is_path(&program.expression().expr) && !r.path.iter().any(|s| matches!(s, Access::Any)))
            .map(|r| (r.root.clone(), r.path.clone()));
        let optional = ast::uses_optional(program.expression());
        let mut root = program.expression().clone();
        ast::compare_with_literals(&mut root);
        let slow = meter(&mut root);
        let secret_name = ast::secret_name(program.expression());
        let (text, span) = (text.to_string(), locate(0..text.len()));
        Ok(Expression(Arc::new(Compiled {
            text,
            span,
            program,
            root,
            references,
            comparisons,
            own_functions,
            searches,
            slow,
            optional,
            secret_name,
            path,
        })))
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Whether evaluating it registers a secret.
    pub fn registers_secret(&self) -> bool {
        self.0.own_functions.contains(&"secret")
    }

    /// Whether its value is a regular expression, and not a text to find.
    pub fn is_raw(&self) -> bool {
        matches!(&self.root().expr, Expr::Call(c) if c.func_name == "raw")
    }

    pub(super) fn searches(&self) -> bool {
        self.0.searches
    }

    pub fn references(&self) -> &[Reference] {
        &self.0.references
    }

    /// The names that it compares with literals.
    pub fn comparisons(&self) -> &[Comparison] {
        &self.0.comparisons
    }

    pub fn eval(&self, scope: &Scope) -> Result<Value, EvalError> {
        if let Some((root, path)) = &self.0.path {
            return follow(root, path, scope);
        }
        if let Expr::Literal(literal) = &self.root().expr
            && let Some(v) = literal_value(literal)
        {
            return Ok(v);
        }
        let context = self.context(scope)?;
        let result = self.limited(scope, || watched(self.0.optional, || from_cel(&*resolve(self.root(), &context)?)));
        result.map_err(|e| match e {
            EvalError::Other(_) => self.references().iter().find_map(|r| missing_part(r, scope)).unwrap_or(e),
            e => e,
        })
    }

    /// Evaluates to a boolean.
    ///
    /// # Errors
    /// An evaluation error, or a result of another type.
    pub fn holds(&self, scope: &Scope) -> Result<bool, EvalError> {
        match self.eval(scope)? {
            Value::Bool(b) => Ok(b),
            other => Err(EvalError::Other(format!("expected a boolean, found {}", describe(&other, scope.secrets())))),
        }
    }

    /// Evaluates this expression, or parts of it, within the limits of one evaluation in a run.
    pub(super) fn limited<T>(
        &self,
        scope: &Scope,
        evaluate: impl FnOnce() -> Result<T, EvalError>,
    ) -> Result<T, EvalError> {
        let interrupt = scope.interrupt();
        let limits = if scope.is_in_run() { budget::RUN } else { budget::CHECK };
        let mut evaluate = Some(evaluate);
        let mut result = None;
        let mut work = || result = evaluate.take().map(|evaluate| budget::limited(limits, interrupt, evaluate));
        match interrupt.filter(|_| self.0.slow) {
            Some(interrupt) => interrupt.run(&mut work),
            None => work(),
        }
        let result = result.unwrap_or_else(|| Err(EvalError::Stopped("it was not evaluated".into())));
        result.map_err(|error| match error {
            EvalError::Stopped(why) if !why.starts_with('`') => {
                EvalError::Stopped(format!("`{}` was stopped: {why}", self.text()))
            }
            error => error,
        })
    }

    pub(super) fn root(&self) -> &IdedExpr {
        &self.0.root
    }

    /// The source text of a node of this expression.
    pub(super) fn text_of(&self, e: &IdedExpr) -> &str {
        ast::extent(&self.0.program, &self.0.text, e).map_or(self.text(), |r| &self.0.text[r])
    }

    pub(super) fn context<'v>(&self, scope: &'v Scope) -> Result<Context<'v, 'v>, EvalError> {
        if let Some(Reference { root, .. }) = self.0.references.iter().find(|r| !scope.has(&r.root)) {
            return Err(EvalError::Unbound(root.clone()));
        }
        let mut context = Context::with_env(functions::ENV.clone());
        context.set_variable_resolver(scope);
        for name in &self.0.own_functions {
            functions::add(&mut context, name, scope, &self.0.secret_name)?;
        }
        Ok(context)
    }
}

pub(super) fn resolve<'b, 'v>(e: &'b IdedExpr, context: &'b Context<'_, 'v>) -> Result<CowVal<'b, 'v>, EvalError> {
    cel::Value::resolve_val(e, context).map_err(|e| EvalError::from(&e))
}

fn follow(root: &str, path: &[Access], scope: &Scope) -> Result<Value, EvalError> {
    let mut value = scope.get(root).ok_or_else(|| EvalError::Unbound(root.to_string()))?;
    for access in path {
        if matches!(value, Value::Unset(_)) {
            break;
        }
        // what was received of a value is there; what is not may be missing
        let mut missing = None;
        if let Value::Partial(partial) = value {
            (value, missing) = (&partial.value, Some(EvalError::Incomplete(partial.reason.clone())));
        }
        let next = match access {
            Access::Field(name, _) if matches!(value, Value::Null) => {
                let read = path.iter().position(|a| std::ptr::eq(a, access)).unwrap_or(0);
                Err(null_has_no_field(root, &path[..read], name))
            }
            Access::Field(name, _) => value.get(name).ok_or_else(|| format!("field `{name}` not found")),
            Access::Index(i) => value.at(*i).ok_or_else(|| format!("list index {i} out of range")),
            Access::Any => Err("computed index".into()),
        };
        value = next.map_err(|e: String| missing.unwrap_or(EvalError::Other(e)))?;
    }
    match value {
        Value::Unset(reason) => Err(EvalError::NotObserved(reason.clone())),
        value => Ok(value.clone()),
    }
}

/// The error of a reference that reads a field of null, such as one of a response without a body.
fn missing_part(reference: &Reference, scope: &Scope) -> Option<EvalError> {
    let reads_null = |n: usize| {
        let Access::Field(name, _) = &reference.path[n] else { return None };
        let before = &reference.path[..n];
        let is_null = matches!(follow(&reference.root, before, scope), Ok(Value::Null));
        is_null.then(|| EvalError::Other(null_has_no_field(&reference.root, before, name)))
    };
    (0..reference.path.len()).find_map(reads_null)
}

fn null_has_no_field(root: &str, path: &[Access], name: &str) -> String {
    let mut text = root.to_string();
    for access in path {
        match access {
            Access::Field(field, _) => text += &format!(".{field}"),
            Access::Index(i) => text += &format!("[{i}]"),
            Access::Any => text += "[…]",
        }
    }
    format!("`{text}` is missing: it is null, and `{name}` is read from it")
}

fn check_size(text: &str, locate: &dyn Fn(Range<usize>) -> Span) -> Result<(), Vec<Diagnostic>> {
    if text.len() > MAX_EXPRESSION_BYTES {
        let message = format!("expected an expression of at most {MAX_EXPRESSION_BYTES} bytes, found {}", text.len());
        return Err(vec![Diagnostic::error("expression-too-long", &locate(0..1), message).help(SPLIT)]);
    }
    let depth = ast::bracket_depth(text);
    if depth > MAX_BRACKET_DEPTH {
        return Err(vec![too_deep(&locate(0..1), &format!("{MAX_BRACKET_DEPTH} nested brackets"), depth)]);
    }
    Ok(())
}

const SPLIT: &str = "save parts of it under names with `save`, and combine those";

fn too_deep(at: &Span, limit: &str, found: usize) -> Diagnostic {
    Diagnostic::error("expression-too-deep", at, format!("expected at most {limit}, found {found}")).help(SPLIT)
}

fn syntax_error(text: &str, errors: &ParseErrors, locate: &dyn Fn(Range<usize>) -> Span) -> Diagnostic {
    let offsets = errors.errors.iter().map(|e| ast::offset(text, e.pos));
    if let Some(open) = offsets.filter(|&i| text.get(i..).is_some_and(|t| t.starts_with("${"))).min() {
        let message = "expected an expression, found `${`: this value is already an expression";
        return Diagnostic::error("placeholder-in-expression", &locate(open..open + 2), message)
            .help("remove `${` and `}`");
    }
    let Some(first) = errors.errors.first() else {
        return Diagnostic::error("expression-syntax", &locate(0..text.len()), "invalid CEL expression").help(SYNTAX);
    };
    let start = text.floor_char_boundary(ast::offset(text, first.pos).min(text.len().saturating_sub(1)));
    let end = start + text[start..].chars().next().map_or(0, char::len_utf8);
    let message = format!("invalid CEL expression: {}", syntax_message(&first.msg));
    let d = Diagnostic::error("expression-syntax", &locate(start..end), message);
    let whole = locate(0..text.len());
    let after = whole.source.text.get(whole.range.end..).unwrap_or_default();
    if text.matches('"').count() % 2 == 1 && after.trim_start_matches(' ').starts_with('#') {
        return d.help("in YAML, ` #` begins a comment: put the whole expression into '…'");
    }
    d.help(slips::help_for_operator(text, start).unwrap_or(SYNTAX))
}

const SYNTAX: &str =
    "write it like `status == 200 && size(items) > 0`: strings in quotes, `==` to compare, `&&` and `||` to combine";

fn placeholder_in_text(at: &Span) -> Diagnostic {
    let message = "expected plain text in quotes, found `${`: a string inside an expression has no placeholders";
    Diagnostic::error("placeholder-in-expression", at, message)
        .help("write the name itself, and join strings with `+`: `\"a-\" + id`")
}

fn inexact_number(at: &Span, number: &str) -> Diagnostic {
    let message = format!("expected a number that a double holds exactly, found `{number}`");
    Diagnostic::error("inexact-number", at, message)
        .help("compare `string(x)` with a string, or write the number in a pattern under `expect`")
}

fn loose_method(name: &str, at: &Span) -> Diagnostic {
    if name == "in" {
        let d = Diagnostic::error("unknown-function", at, "`in` looks for an element of a list, found a string");
        return d.help(format!("write `{}.contains(x)`", at.text()));
    }
    let message = format!("`{name}` is called with its value before a dot");
    let argument = match name {
        "lowerAscii" | "upperAscii" | "trim" => "",
        "substring" => "0, 3",
        "join" => "\", \"",
        _ => "\"x\"",
    };
    let value = if name == "join" { "list" } else { "text" };
    Diagnostic::error("unknown-function", at, message).help(format!("write `{value}.{name}({argument})`"))
}

fn unknown_function(name: &str, at: &Span) -> Diagnostic {
    let d = Diagnostic::error("unknown-function", at, format!("unknown function `{name}`"));
    if let Some(help) = slips::help_for_function(name) {
        return d.help(help);
    }
    let own = || language::names(language::RUNNER_FUNCTIONS);
    match nearest(name, language::names(language::CEL_FUNCTIONS).chain(own())) {
        Some(near) => d.help(format!("did you mean `{near}`?")),
        None => {
            let own: Vec<_> = own().map(|f| format!("`{f}`")).collect();
            d.help(format!("available: the functions of CEL, and {}", own.join(", ")))
        }
    }
}
