//! CEL expressions: compiled when the plan is read, with the names and functions that they use; evaluated against a scope; and,
//! when a check does not hold, explained operand by operand. Nobody else knows the expression library.
mod adapter;
mod referenced;

use super::{history::anomalies, scope::Scope};
use crate::{
    diagnostic::{Diagnostic, nearest},
    source::Span,
    value::Value,
    yaml::Node,
};
pub(super) use adapter::{BoxedVal, to_cel};
use adapter::{chrono_time, from_cel};
use cel::{
    Context, Env, ExecutionError, Program,
    common::{
        ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators as op},
        value::{CowVal, Val},
    },
};
use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

/// Longer expressions are refused: the parser recurses, and nobody could read them.
const LONGEST: usize = 4096;
/// Deeper nesting of brackets is refused, for the same reason.
const DEEPEST: usize = 40;
/// Longer chains of operators are refused too: `1 + 1 + 1` nests as brackets do, and evaluating recurses.
const LONGEST_CHAIN: usize = 150;

/// Every function that an expression may call.
pub const FUNCTIONS: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "duration",
    "timestamp",
    "type",
    "dyn",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDayOfMonth",
    "getDate",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "reverse",
    "format",
    "distinct",
    "flatten",
    "slice",
    "sort",
    "sortBy",
    "lists.range",
    "hasValue",
    "value",
    "or",
    "orValue",
    "of",
    "none",
    "ofNonZeroValue",
    "math.greatest",
    "math.least",
    "math.ceil",
    "math.floor",
    "math.round",
    "math.abs",
    // macros
    "has",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    // ours
    "secret",
    "secrets_in",
    "json",
    "now",
    "anomalies",
];

/// Those of them that the expression library does not have.
const OURS: &[&str] = &["secret", "secrets_in", "json", "now", "anomalies"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for added in [
        env.add_extension(cel::extensions::strings),
        env.add_extension(cel::extensions::lists),
        env.add_extension(cel::extensions::math),
    ] {
        added.expect("the extensions do not clash");
    }
    Arc::new(env)
});

/// A name that an expression reads, with the fields that it takes from it as far as they are known beforehand.
#[derive(Clone, Debug)]
pub struct Reference {
    pub root: String,
    pub path: Vec<Segment>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Segment {
    Field(String, Span),
    Index(usize),
    /// An index that is known only when it is evaluated.
    Any,
}

#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    text: String,
    span: Span,
    program: Program,
    reads: Vec<Reference>,
    /// Names of functions of ours that it calls.
    ours: Vec<&'static str>,
    /// What `secret(x)` is called in masks: the last name in `x`.
    label: String,
    /// Set where it is nothing but a name and fields: evaluated without the library, keeping the order of keys.
    path: Option<(String, Vec<Segment>)>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({})", self.0.text)
    }
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    #[error("`{0}` was never bound")]
    Unbound(String),
    #[error("{0}")]
    Other(String),
}

impl Expression {
    /// Compiles the part `range` of a scalar. What is wrong comes from_cel as diagnostics: one for a syntax error, or one for each
    /// unknown function.
    pub fn compile(node: &Node, range: Range<usize>) -> Result<Expression, Vec<Diagnostic>> {
        let whole = node.as_str().map_or_else(|| node.span.text().to_string(), str::to_string);
        let text = &whole[range.clone()];
        let lead = text.len() - text.trim_start().len();
        let at = |r: Range<usize>| {
            if node.as_str().is_some() {
                node.inner(range.start + lead + r.start..range.start + lead + r.end)
            } else {
                node.span.clone()
            }
        };
        let text = text.trim();
        let fail = |code, r, message: &str| Err(vec![Diagnostic::error(code, &at(r), message.to_string())]);
        if text.is_empty() {
            return Err(vec![Diagnostic::error("empty-expression", &node.inner(range), "there is no expression here")]);
        }
        if text.len() > LONGEST {
            return fail("expression-too-long", 0..1, &format!("the expression is longer than {LONGEST} bytes"));
        }
        if depth(text) > DEEPEST {
            return fail("expression-too-deep", 0..1, &format!("the expression nests deeper than {DEEPEST} brackets"));
        }
        let program = match ENV.compile(text) {
            Ok(p) => p,
            Err(errors) => {
                let places = errors.errors.iter().map(|e| offset(text, e.pos));
                if let Some(open) = places.filter(|&i| text.get(i..).is_some_and(|t| t.starts_with("${"))).min() {
                    let message = "this is an expression already: `${ }` is for values";
                    let d = Diagnostic::error("placeholder-in-expression", &at(open..open + 2), message);
                    return Err(vec![d.help("leave out `${` and `}`")]);
                }
                let Some(first) = errors.errors.first() else {
                    return fail("expression-syntax", 0..text.len(), "this is no CEL expression");
                };
                let start = offset(text, first.pos).min(text.len().saturating_sub(1));
                let start = text.floor_char_boundary(start);
                let end = start + text[start..].chars().next().map_or(0, char::len_utf8);
                let message = first.msg.trim_start_matches("Syntax error: ").to_string();
                let d = Diagnostic::error(
                    "expression-syntax",
                    &at(start..end),
                    format!("this is no CEL expression: {}", readable(&message)),
                );
                return Err(vec![d]);
            }
        };
        if levels(program.expression()) > LONGEST_CHAIN {
            let message = format!("the expression chains more than {LONGEST_CHAIN} operators");
            return fail("expression-too-deep", 0..1, &message);
        }
        let mut walk =
            Walk { text, program: &program, at: &at, reads: vec![], bound: vec![], calls: vec![], holes: vec![] };
        walk.expr(program.expression());
        let Walk { reads, calls, holes, .. } = walk;
        let mut unknown: Vec<Diagnostic> = holes
            .into_iter()
            .map(|hole| {
                let message = "a text within an expression has no holes: this is compared letter by letter";
                let d = Diagnostic::error("placeholder-in-expression", &at(hole), message);
                d.help("write the name itself, and `+` between texts: `\"a-\" + id`")
            })
            .collect();
        let mut ours = vec![];
        for (name, range) in &calls {
            match FUNCTIONS.iter().find(|f| **f == name || f.rsplit('.').next() == Some(name)) {
                Some(f) => {
                    if OURS.contains(f) && !ours.contains(f) {
                        ours.push(*f)
                    }
                }
                None => {
                    let d = Diagnostic::error(
                        "unknown-function",
                        &at(range.clone()),
                        format!("there is no function `{name}`"),
                    );
                    unknown.push(match nearest(name, FUNCTIONS.iter().copied()) {
                        Some(n) => d.help(format!("did you mean `{n}`?")),
                        None => {
                            d.help("functions are those of CEL, and `secret`, `secrets_in`, `json`, `now`, `anomalies`")
                        }
                    });
                }
            }
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let path =
            reads.first().filter(|_| is_path(&program.expression().expr)).map(|r| (r.root.clone(), r.path.clone()));
        let path = path.filter(|(_, p): &(_, Vec<Segment>)| !p.iter().any(|s| matches!(s, Segment::Any)));
        let label = label(program.expression());
        let span = at(0..text.len());
        Ok(Expression(Arc::new(Compiled { text: text.to_string(), span, program, reads, ours, label, path })))
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// Whether evaluating it tells of a secret.
    pub fn registers_secret(&self) -> bool {
        self.0.ours.contains(&"secret")
    }

    pub fn references(&self) -> &[Reference] {
        &self.0.reads
    }

    pub fn eval(&self, scope: &Scope) -> Result<Value, EvalError> {
        if let Some((root, path)) = &self.0.path {
            return follow(root, path, scope);
        }
        if let Expr::Literal(literal) = &self.0.program.expression().expr
            && let Some(v) = plain(literal)
        {
            return Ok(v);
        }
        let context = self.context(scope)?;
        from_cel(&*self.resolve(self.0.program.expression(), &context)?)
    }

    fn resolve<'b, 'v>(&self, e: &'b IdedExpr, context: &'b Context<'_, 'v>) -> Result<CowVal<'b, 'v>, EvalError> {
        cel::Value::resolve_val(e, context).map_err(|e| self.error(&e))
    }

    /// Evaluates to yes or no. `Err` for an evaluation error or another type.
    pub fn holds(&self, scope: &Scope) -> Result<bool, EvalError> {
        self.eval(scope).and_then(decided)
    }

    /// For a check that does not hold: the parts that made it so, each with its value.
    pub fn explain(&self, scope: &Scope) -> Vec<(String, String)> {
        let Ok(context) = self.context(scope) else { return vec![] };
        let mut operands = vec![];
        self.operands(self.0.program.expression(), &context, &mut operands, 0);
        operands.dedup();
        operands
    }

    fn context<'v>(&self, scope: &'v Scope) -> Result<Context<'v, 'v>, EvalError> {
        if let Some(Reference { root, .. }) = self.0.reads.iter().find(|r| !scope.has(&r.root)) {
            return Err(EvalError::Unbound(root.clone()));
        }
        let mut context = Context::with_env(ENV.clone());
        context.set_variable_resolver(scope);
        for ours in &self.0.ours {
            let secrets = scope.secrets().clone();
            let label = self.0.label.clone();
            let added = match *ours {
                "secret" => context.add_function("secret", move |v: cel::Value| {
                    if let cel::Value::String(s) = &v {
                        secrets.add(&label, s);
                    }
                    v
                }),
                "secrets_in" => context.add_function("secrets_in", move |v: cel::Value| {
                    let text = from_argument(v).map(|v| v.to_string()).unwrap_or_default();
                    let names = secrets.names_in(&text);
                    cel::Value::List(Arc::new(names.into_iter().map(|n| cel::Value::String(Arc::new(n))).collect()))
                }),
                "json" => context.add_function("json", |text: Arc<String>| -> Result<cel::Value, ExecutionError> {
                    let json = serde_json::from_str::<serde_json::Value>(&text);
                    let json = json.map_err(|e| ExecutionError::function_error("json", e))?;
                    (&*to_cel(&Value::from(json))).try_into()
                }),
                "anomalies" => {
                    context.add_function("anomalies", |v: cel::Value| -> Result<cel::Value, ExecutionError> {
                        let wrong = |e: String| ExecutionError::function_error("anomalies", e);
                        let operations = from_argument(v).map_err(|e| wrong(e.to_string()))?;
                        let found = anomalies(&operations).map_err(wrong)?;
                        Ok(cel::Value::List(Arc::new(
                            found.into_iter().map(|a| cel::Value::String(Arc::new(a))).collect(),
                        )))
                    })
                }
                _ => {
                    let moment = scope.clone();
                    context.add_function("now", move || cel::Value::Timestamp(chrono_time(moment.now())))
                }
            };
            added.map_err(|e| EvalError::Other(e.to_string()))?;
        }
        Ok(context)
    }

    /// The library's words, without the values that it would print: they may hold secrets, and are shown elsewhere.
    fn error(&self, e: &ExecutionError) -> EvalError {
        EvalError::Other(match e {
            ExecutionError::NoSuchKey(k) => format!("there is no `{k}`"),
            ExecutionError::UndeclaredReference(n) => return EvalError::Unbound(n.to_string()),
            ExecutionError::NoSuchOverload(o) => {
                format!("`{}` cannot be applied to {}", operator(o.function()), o.argument_types().join(" and "))
            }
            ExecutionError::IndexOutOfBounds(i) => {
                format!("the list has no element {}", from_argument(i.clone()).unwrap_or_default())
            }
            ExecutionError::UnsupportedBinaryOperator(name, a, b) => {
                format!("`{}` cannot be applied to {} and {}", operator(name), a.type_of(), b.type_of())
            }
            ExecutionError::ValuesNotComparable(a, b) => {
                format!("{} and {} cannot be compared", a.type_of(), b.type_of())
            }
            ExecutionError::UnexpectedType { got, want } => format!("got {got} where {want} is needed"),
            ExecutionError::FunctionError { function, message } => format!("`{function}`: {message}"),
            ExecutionError::UnsupportedIndex(i, _) => format!("{} cannot be an index here", i.type_of()),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".into(),
            ExecutionError::Overflow(..) => "the number overflows".into(),
            ExecutionError::InvalidArgumentCount { expected, actual } => {
                format!("{actual} arguments where {expected} are needed")
            }
            other => other.to_string().chars().take(120).collect(),
        })
    }

    /// The source text of a node: from its first token to its last, with the brackets closed.
    fn label_of(&self, e: &IdedExpr) -> String {
        extent(&self.0.program, &self.0.text, e).map_or_else(|| self.0.text.clone(), |r| self.0.text[r].to_string())
    }

    fn operands(&self, e: &IdedExpr, context: &Context, out: &mut Vec<(String, String)>, level: usize) {
        if level > 8 || out.len() > 12 {
            return;
        }
        match &e.expr {
            Expr::Call(call) => match call.func_name.as_str() {
                op::LOGICAL_AND => {
                    for arg in &call.args {
                        if !self.is_true(arg, context) {
                            self.operands(arg, context, out, level + 1);
                        }
                    }
                }
                op::LOGICAL_OR | op::LOGICAL_NOT | op::CONDITIONAL => {
                    call.args.iter().for_each(|a| self.operands(a, context, out, level + 1))
                }
                op::EQUALS
                | op::NOT_EQUALS
                | op::LESS
                | op::LESS_EQUALS
                | op::GREATER
                | op::GREATER_EQUALS
                | op::IN => call.args.iter().for_each(|a| self.operand(a, context, out)),
                _ => call.target.iter().map(|t| &**t).chain(&call.args).for_each(|a| self.operand(a, context, out)),
            },
            Expr::Comprehension(c) => {
                self.operand(&c.iter_range, context, out);
                // `all` is `accu && predicate`: name the first element for which the predicate is not true
                if let (Expr::Call(step), Ok(range)) = (&c.loop_step.expr, self.resolve(&c.iter_range, context))
                    && step.func_name == op::LOGICAL_AND
                    && let Some(predicate) = step.args.get(1)
                    && let Some(items) = range.as_iterable()
                {
                    let mut items = items.iter();
                    for i in 0.. {
                        let Some(item) = items.next() else { break };
                        let mut inner = context.new_inner_scope();
                        inner.add_variable_as_val(c.iter_var.as_str(), item.clone_as_boxed());
                        if !self.is_true(predicate, &inner) {
                            out.push((format!("{} (element {i})", c.iter_var), show_cel(item)));
                            self.operands(predicate, &inner, out, level + 1);
                            break;
                        }
                    }
                }
            }
            Expr::Literal(_) => {}
            _ => self.operand(e, context, out),
        }
    }

    fn is_true(&self, e: &IdedExpr, context: &Context) -> bool {
        self.resolve(e, context).is_ok_and(|v| from_cel(&*v) == Ok(Value::Bool(true)))
    }

    fn operand(&self, e: &IdedExpr, context: &Context, out: &mut Vec<(String, String)>) {
        if matches!(e.expr, Expr::Literal(_)) {
            return;
        }
        let shown = self.resolve(e, context).map_or_else(|error| format!("error: {error}"), |v| show_cel(&*v));
        out.push((self.label_of(e), shown));
    }
}

fn decided(value: Value) -> Result<bool, EvalError> {
    match value {
        Value::Bool(b) => Ok(b),
        other => Err(EvalError::Other(format!("it gives {} and not yes or no", describe(&other)))),
    }
}

/// A value for a message: JSON, cut where it gets long.
pub fn show(v: &Value) -> String {
    const MOST: usize = 300;
    let text = match v {
        Value::Text(s) => serde_json::Value::from(&**s).to_string(),
        other => other.to_string(),
    };
    if text.len() <= MOST { text } else { format!("{}…", &text[..text.floor_char_boundary(MOST)]) }
}

pub fn describe(v: &Value) -> String {
    format!("{} {}", v.kind(), show(v))
}

fn show_cel(v: &dyn Val) -> String {
    from_cel(v).map_or_else(|e| e.to_string(), |v| show(&v))
}

/// What the library gives to a function of ours.
fn from_argument(v: cel::Value) -> Result<Value, EvalError> {
    let v: BoxedVal = v.try_into().map_err(|e: ExecutionError| EvalError::Other(e.to_string()))?;
    from_cel(&*v)
}

fn follow(root: &str, path: &[Segment], scope: &Scope) -> Result<Value, EvalError> {
    let mut at = scope.get(root).ok_or_else(|| EvalError::Unbound(root.to_string()))?;
    for segment in path {
        let next = match segment {
            Segment::Field(f, _) => at.get(f).ok_or_else(|| format!("there is no `{f}`")),
            Segment::Index(i) => at.at(*i).ok_or_else(|| format!("the list has no element {i}")),
            Segment::Any => Err("index".into()),
        };
        at = next.map_err(EvalError::Other)?;
    }
    Ok(at.clone())
}

fn plain(literal: &LiteralValue) -> Option<Value> {
    Some(match literal {
        LiteralValue::Boolean(b) => Value::Bool(*b.inner()),
        LiteralValue::Int(i) => Value::Int(*i.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(s) => Value::text(s.inner()),
        _ => return None,
    })
}

fn depth(text: &str) -> usize {
    let (mut depth, mut most) = (0usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => {
                depth += 1;
                most = most.max(depth);
            }
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    // a run of unary operators nests too
    let unary = text.split(|c: char| c != '!' && c != '-').map(str::len).max().unwrap_or(0);
    most.max(unary)
}

/// The parser counts lines and columns from one.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let before: usize = text.split_inclusive('\n').take((line - 1).max(0) as usize).map(str::len).sum();
    let line = &text[before.min(text.len())..];
    before + line.char_indices().nth((column - 1).max(0) as usize).map_or(line.len(), |(i, _)| i)
}

fn readable(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("token recognition error at: '") {
        return format!("unexpected `{}`", rest.trim_end_matches('\'').trim());
    }
    match message.split_once(" expecting ") {
        Some((what, _)) => what
            .replace("'<EOF>'", "the end")
            .replace("mismatched input", "unexpected")
            .replace("extraneous input", "unexpected"),
        None => message.replace("'<EOF>'", "the end").replace("mismatched input", "unexpected"),
    }
}

fn operator(name: &str) -> String {
    let words = [("add", "+"), ("sub", "-"), ("mul", "*"), ("div", "/"), ("rem", "%")];
    if let Some((_, sign)) = words.iter().find(|(word, _)| *word == name) {
        return sign.to_string();
    }
    name.trim_matches('_').replace("_[_]", "[ ]").replace("@in", "in").trim_matches('_').to_string()
}

fn is_path(e: &Expr) -> bool {
    match e {
        Expr::Ident(_) => true,
        Expr::Select(s) => !s.test && is_path(&s.operand.expr),
        Expr::Call(c) if c.func_name == op::INDEX => {
            c.args.len() == 2 && is_path(&c.args[0].expr) && matches!(c.args[1].expr, Expr::Literal(_))
        }
        _ => false,
    }
}

/// The last name in the argument of `secret(…)`: `secret(body.token)` gives `token`.
fn label(e: &IdedExpr) -> String {
    fn last(e: &IdedExpr) -> Option<String> {
        match &e.expr {
            Expr::Ident(n) => Some(n.clone()),
            Expr::Select(s) => Some(s.field.clone()),
            Expr::Call(c) if c.func_name == op::INDEX => match &c.args.get(1)?.expr {
                Expr::Literal(LiteralValue::String(s)) => Some(s.inner().to_string()),
                _ => last(c.args.first()?),
            },
            _ => None,
        }
    }
    let found = match &e.expr {
        Expr::Call(c) if c.func_name == "secret" => c.args.first().and_then(last),
        Expr::Call(c) => c.args.iter().map(label).find(|l| l != "secret"),
        _ => None,
    };
    found.unwrap_or_else(|| "secret".into())
}

/// How deep it nests; without recursion.
fn levels(e: &IdedExpr) -> usize {
    let (mut level, mut count) = (vec![e], 0);
    while !level.is_empty() {
        level = level.into_iter().flat_map(|e| children(&e.expr)).collect();
        count += 1;
    }
    count
}

fn children(e: &Expr) -> Vec<&IdedExpr> {
    match e {
        Expr::Call(c) => c.target.iter().map(|t| &**t).chain(&c.args).collect(),
        Expr::Select(s) => vec![&s.operand],
        Expr::List(l) => l.elements.iter().collect(),
        Expr::Map(m) => m.entries.iter().flat_map(|e| entry(&e.expr)).collect(),
        Expr::Struct(s) => s.entries.iter().flat_map(|e| entry(&e.expr)).collect(),
        Expr::Comprehension(c) => vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result],
        _ => vec![],
    }
}

fn entry(e: &EntryExpr) -> Vec<&IdedExpr> {
    match e {
        EntryExpr::StructField(f) => vec![&f.value],
        EntryExpr::MapEntry(m) => vec![&m.key, &m.value],
    }
}

/// The bytes from the first to the last token under a node, brackets balanced.
fn extent(program: &Program, text: &str, e: &IdedExpr) -> Option<Range<usize>> {
    fn bounds(program: &Program, e: &IdedExpr, into: &mut Option<(usize, usize)>) {
        if let Some((start, stop)) = program.source_info().offset_for(e.id) {
            let (start, stop) = (start as usize, stop as usize + 1);
            *into = Some(into.map_or((start, stop), |(a, b)| (a.min(start), b.max(stop))));
        }
        children(&e.expr).into_iter().for_each(|c| bounds(program, c, into));
    }
    let mut found = None;
    bounds(program, e, &mut found);
    let (start, mut stop) = found?;
    let mut start = text.floor_char_boundary(start);
    stop = text.ceil_char_boundary(stop);
    if let Expr::Call(c) = &e.expr
        && c.target.is_none()
        && text[..start].ends_with(&c.func_name)
    {
        start -= c.func_name.len();
    }
    if let Expr::Select(s) = &e.expr
        && let Some(i) = text[stop.min(text.len())..].find(&s.field)
        && text[stop..stop + i].trim_matches(['.', '?', ' ', '\n']).is_empty()
    {
        stop += i + s.field.len();
    }
    let open = |s: &str| s.matches(['(', '[', '{']).count() as isize - s.matches([')', ']', '}']).count() as isize;
    while open(&text[start..stop]) > 0 && stop < text.len() {
        stop += text[stop..].chars().next().map_or(1, char::len_utf8);
    }
    Some(start..stop)
}

struct Walk<'a> {
    text: &'a str,
    program: &'a Program,
    at: &'a dyn Fn(Range<usize>) -> Span,
    reads: Vec<Reference>,
    bound: Vec<String>,
    calls: Vec<(String, Range<usize>)>,
    /// Where a text holds what looks like a hole.
    holes: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn token(&self, e: &IdedExpr) -> Range<usize> {
        let Some((start, stop)) = self.program.source_info().offset_for(e.id) else { return 0..self.text.len() };
        self.text.floor_char_boundary(start as usize)..self.text.ceil_char_boundary(stop as usize + 1)
    }

    fn expr(&mut self, e: &IdedExpr) {
        if let Some((root, root_span, path)) = self.chain(e) {
            if !self.bound.contains(&root) && !root.starts_with('@') {
                self.reads.push(Reference { root, path, span: root_span });
            }
            return;
        }
        match &e.expr {
            Expr::Call(c) => {
                if !c.func_name.contains(['_', '@', '!', '-']) || FUNCTIONS.contains(&c.func_name.as_str()) {
                    let name_at = self.name_before(e, &c.func_name);
                    self.calls.push((c.func_name.clone(), name_at));
                }
                // `math.greatest(…)`, `lists.range(…)`: the target is a namespace and no name of the plan
                let namespace = c.target.as_ref().is_some_and(|t| {
                    matches!(&t.expr, Expr::Ident(n) if ["math", "lists", "optional", "base64"].contains(&n.as_str()) && !self.bound.contains(n))
                });
                c.target.iter().filter(|_| !namespace).for_each(|t| self.expr(t));
                c.args.iter().for_each(|a| self.expr(a));
            }
            Expr::Comprehension(c) => {
                self.expr(&c.iter_range);
                self.expr(&c.accu_init);
                let depth = self.bound.len();
                self.bound.push(c.iter_var.clone());
                self.bound.extend(c.iter_var2.clone());
                self.bound.push(c.accu_var.clone());
                [&c.loop_cond, &c.loop_step, &c.result].into_iter().for_each(|e| self.expr(e));
                self.bound.truncate(depth);
            }
            Expr::Literal(LiteralValue::String(text)) if text.inner().contains("${") => {
                let start = self.token(e).start;
                let open = self.text[start..].find("${").map_or(start, |i| start + i);
                self.holes.push(open..(open + 2).min(self.text.len()));
            }
            other => children(other).into_iter().for_each(|c| self.expr(c)),
        }
    }

    /// The name of a call stands before its bracket, which is where the library places the call.
    fn name_before(&self, e: &IdedExpr, name: &str) -> Range<usize> {
        let token = self.token(e);
        match self.text[..token.end.min(self.text.len())].rfind(name) {
            Some(i) => i..i + name.len(),
            None => token,
        }
    }

    /// A name with the fields and indices taken from it.
    fn chain(&mut self, e: &IdedExpr) -> Option<(String, Span, Vec<Segment>)> {
        match &e.expr {
            Expr::Ident(name) => {
                let name = name.trim_start_matches('.').to_string();
                let at = self.token(e);
                Some((name, (self.at)(at), vec![]))
            }
            Expr::Select(s) => {
                let (root, span, mut path) = self.chain(&s.operand)?;
                if s.test {
                    // `has(a.b)` asks whether there is a `b`
                    return Some((root, span, path));
                }
                let dot = self.token(e).start;
                let field_at =
                    self.text[dot..].find(&s.field).map_or(dot..dot + 1, |i| dot + i..dot + i + s.field.len());
                path.push(Segment::Field(s.field.clone(), (self.at)(field_at)));
                Some((root, span, path))
            }
            Expr::Call(c) if c.func_name == op::INDEX && c.args.len() == 2 => {
                let (root, span, mut path) = self.chain(&c.args[0])?;
                path.push(match &c.args[1].expr {
                    Expr::Literal(LiteralValue::Int(i)) => {
                        usize::try_from(*i.inner()).map_or(Segment::Any, Segment::Index)
                    }
                    Expr::Literal(LiteralValue::String(s)) => {
                        Segment::Field(s.inner().to_string(), (self.at)(self.token(&c.args[1])))
                    }
                    _ => {
                        self.expr(&c.args[1]);
                        Segment::Any
                    }
                });
                Some((root, span, path))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Source, yaml};

    #[test]
    fn a_long_chain_is_refused_unless_it_is_one_of_and_or_or() {
        let code = |text: String| {
            let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: text.clone() })).unwrap();
            Expression::compile(&node, 0..text.len()).err().map(|all| all[0].code)
        };
        assert_eq!(code(format!("1{}", " + 1".repeat(140))), None);
        assert_eq!(code(format!("1{}", " + 1".repeat(150))), Some("expression-too-deep"));
        assert_eq!(code(format!("x == 1{}", " || x == 1".repeat(330))), None);
    }

    /// Unknown unless they are called with a name and an expression.
    const MACROS: &[&str] = &["sortBy", "all", "exists", "exists_one", "existsOne", "map", "filter"];

    /// A name that passes `check` must not turn out unknown when it is evaluated.
    #[test]
    fn every_function_that_may_be_called_is_there() {
        let tried = |name: &str, text: String| {
            let node = yaml::parse(&Arc::new(Source { name: "t".into(), text: text.clone() })).unwrap();
            let e = Expression::compile(&node, 0..text.len()).map(|e| e.eval(&Scope::default().with("x", 1i64)));
            // an error in words is one about its arguments
            e.is_err() || !matches!(e, Ok(Err(EvalError::Unbound(n))) if name.ends_with(&n))
        };
        let known = |name: &&&str| {
            let calls = [format!("x.{name}()"), format!("{name}(x)"), format!("optional.{name}(x)")];
            MACROS.contains(name) || calls.into_iter().any(|call| tried(name, call))
        };
        let unknown: Vec<_> = FUNCTIONS.iter().filter(|f| !known(f)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
