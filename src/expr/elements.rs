//! Assertions over very many elements: they can be interrupted, and report no more than anyone reads.
use super::{assertion::AssertionResult, cel::EvalError, scope::Scope};
use crate::{source::Span, value::Value};
use std::collections::VecDeque;

/// After how many steps of a loop the interrupt is asked.
const STEPS_BETWEEN_CHECKS: usize = 256;
/// Loops over fewer elements run on the thread as it is.
const MANY_ELEMENTS: usize = 10_000;
/// How many results an assertion reports before it only counts what holds, and how many failures after that.
const MAX_REPORTED: usize = 1000;

/// Counts the steps of the loops of one assertion.
pub(super) struct Steps<'a> {
    scope: &'a Scope,
    done: usize,
}

impl<'a> Steps<'a> {
    pub fn new(scope: &'a Scope) -> Self {
        Steps { scope, done: 0 }
    }

    /// # Errors
    /// [`EvalError::Stopped`] if the evaluation must end.
    pub fn step(&mut self) -> Result<(), EvalError> {
        self.done += 1;
        if !self.done.is_multiple_of(STEPS_BETWEEN_CHECKS) {
            return Ok(());
        }
        match self.scope.interrupt().and_then(|interrupt| interrupt.reason()) {
            None => Ok(()),
            Some(why) => Err(EvalError::Stopped(format!(
                "stopped: {why}, after {} comparisons: compare fewer elements, or allow more time",
                self.done
            ))),
        }
    }

    fn position<'v>(
        &mut self,
        wanted: &Value,
        of: impl Iterator<Item = &'v Value>,
    ) -> Result<Option<usize>, EvalError> {
        for (i, value) in of.enumerate() {
            self.step()?;
            if value.same(wanted) {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }
}

/// Runs a loop over this number of elements. Other work does not wait for many.
pub(super) fn run_over<T>(elements: usize, scope: &Scope, work: impl FnOnce() -> T) -> T {
    let Some(interrupt) = scope.interrupt().filter(|_| elements >= MANY_ELEMENTS) else { return work() };
    let (mut work, mut result) = (Some(work), None);
    interrupt.run(&mut || result = work.take().map(|work| work()));
    match result {
        Some(result) => result,
        None => unreachable!("`run` calls the work"),
    }
}

/// Whether both lists have the same elements, in any order.
pub(super) fn is_same_set(wanted: &[Value], found: &[Value], scope: &Scope) -> Result<bool, EvalError> {
    run_over(found.len(), scope, || {
        let (mut steps, mut rest) = (Steps::new(scope), found.iter().collect::<VecDeque<_>>());
        for value in wanted {
            match steps.position(value, rest.iter().copied())? {
                Some(i) => drop(rest.remove(i)),
                None => return Ok(false),
            }
        }
        Ok(rest.is_empty())
    })
}

/// Whether a list has each wanted element.
pub(super) fn has_all(wanted: &[Value], found: &[Value], scope: &Scope) -> Result<bool, EvalError> {
    run_over(found.len(), scope, || {
        let mut steps = Steps::new(scope);
        for value in wanted {
            if steps.position(value, found.iter())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Evaluates an assertion for each of `count` elements. After the first thousand results, those that hold are only counted: in one more
/// result, whose subject is that of the elements from an index on.
pub(super) fn evaluate_each(
    count: usize,
    scope: &Scope,
    span: &Span,
    subject_from: impl Fn(usize) -> String,
    out: &mut Vec<AssertionResult>,
    mut evaluate: impl FnMut(usize, &mut Vec<AssertionResult>),
) {
    run_over(count, scope, || {
        let (mut steps, mut first_counted, mut unmet, mut failed, mut reported) = (Steps::new(scope), None, 0, 0, 0);
        for i in 0..count {
            if let Err(stopped) = steps.step() {
                let result = AssertionResult::new(false, &subject_from(i), "each holds".into(), String::new(), span);
                return out.push(result.undecided(&stopped));
            }
            if out.len() < MAX_REPORTED && first_counted.is_none() {
                evaluate(i, out);
                continue;
            }
            first_counted.get_or_insert(i);
            let mut results = vec![];
            evaluate(i, &mut results);
            results.retain(|r| !r.holds);
            unmet += usize::from(!results.is_empty());
            failed += usize::from(results.iter().any(|r| !r.inconclusive));
            if reported < MAX_REPORTED {
                reported += results.len();
                out.append(&mut results);
            }
        }
        if let Some(first) = first_counted {
            let counted = count - first;
            let actual =
                if unmet == 0 { format!("all {counted} hold") } else { format!("{unmet} of {counted} do not hold") };
            let result = AssertionResult::new(unmet == 0, &subject_from(first), "each holds".into(), actual, span);
            out.push(AssertionResult { inconclusive: unmet > 0 && failed == 0, ..result });
        }
    });
}
