//! One action: its condition, its items, its looks, what is asked of them, and what it binds.
use super::{
    backoff::Backoff,
    looks::{Again, Ask, Looks},
    run::World,
    schedule::{Act, Definition, Step},
    undo::{Stack, Undo, UndoKind, untried},
};
use crate::{
    address::Address,
    event::EventKind,
    executor::{Output, StepError},
    expr::{Expression, Finding, Scope, Template, Tree, judge},
    outcome::Mark,
    plan::{Asks, Foreach, Overlap},
    source::Place,
    value::{Map, Value},
};
use futures::future::{BoxFuture, join_all};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long one look may take where nobody says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Performs actions for one case. Everything that it says goes to `world.events`.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    pub world: &'a World,
    pub looks: &'a dyn Looks,
    pub cancel: &'a CancellationToken,
    pub stack: &'a Stack,
    /// Faults in force: while there is one, not reaching the product is its answer.
    pub faults: &'a Mutex<Vec<String>>,
    /// What an action of the plan sees beside its inputs.
    pub base: &'a Scope,
    pub timeout: Option<Duration>,
}

/// What came of a list of actions.
pub struct Listed {
    pub scope: Scope,
    pub mark: Mark,
    pub reason: Option<String>,
    /// The output of the last one that had one.
    pub last: Option<Value>,
    pub names: Vec<(String, Value)>,
    /// We could not ask: the steps of the case end here.
    pub ends: bool,
    /// An `eventually` ran out: a `foreach` around it stops.
    pub expired: bool,
    /// How many things were asked and answered.
    pub judged: usize,
}

struct Done {
    mark: Mark,
    reason: Option<String>,
    value: Option<Value>,
    names: Vec<(String, Value)>,
    ends: bool,
    expired: bool,
    judged: usize,
}

impl Done {
    fn red(mark: Mark, reason: impl Into<String>) -> Self {
        let ends = matches!(mark, Mark::Errored | Mark::Interrupted);
        Done { mark, reason: Some(reason.into()), value: None, names: vec![], ends, expired: false, judged: 0 }
    }
    fn green() -> Self {
        Done { mark: Mark::Passed, reason: None, value: None, names: vec![], ends: false, expired: false, judged: 0 }
    }
}

impl<'a> Runner<'a> {
    pub async fn tell(&self, at: &Address, kind: EventKind) {
        self.world.events.tell(at, kind).await;
    }

    pub fn within<'b>(&'b self, base: &'b Scope) -> Runner<'b> {
        Runner { base, ..*self }
    }

    pub fn list<'b>(
        &'b self,
        steps: &'b [Step],
        at: &'b Address,
        scope: Scope,
        timeout: Option<Duration>,
    ) -> BoxFuture<'b, Listed> {
        Box::pin(async move {
            let mut out = Listed {
                scope,
                mark: Mark::Passed,
                reason: None,
                last: None,
                names: vec![],
                ends: false,
                expired: false,
                judged: 0,
            };
            for (i, step) in steps.iter().enumerate() {
                let done = self.step(step, &at.child(i), &out.scope, timeout).await;
                for (name, value) in done.names {
                    out.scope = out.scope.with(&name, value.clone());
                    out.names.push((name, value));
                }
                out.last = done.value.or(out.last);
                out.judged += done.judged;
                let worse = out.mark.worse(done.mark);
                if worse != out.mark || (out.reason.is_none() && done.mark.is_red()) {
                    out.reason = done.reason;
                    out.mark = worse;
                }
                out.ends |= done.ends;
                out.expired |= done.expired;
                if done.ends {
                    break;
                }
            }
            out
        })
    }

    async fn step(&self, step: &Step, at: &Address, scope: &Scope, timeout: Option<Duration>) -> Done {
        if self.cancel.is_cancelled() {
            return Done::red(Mark::Interrupted, "cancelled");
        }
        if let Some(condition) = &step.condition
            && condition.holds(scope) != Ok(true)
        {
            let reason = format!("`if: {}` says no", condition.text());
            self.announce(step, at).await;
            self.finish(at, Mark::Skipped, vec![], Some(reason), 0, Duration::ZERO).await;
            return Done { mark: Mark::Skipped, ..Done::green() };
        }
        if let Some(missing) = step.needs.iter().find(|n| !scope.has(n)) {
            return self.unreached(step, at, format!("`{missing}` was never bound")).await;
        }
        let timeout = match self.span(&step.timeout, scope) {
            Ok(own) => own.or(timeout),
            Err(e) => return self.unreached(step, at, e).await,
        };
        let Some(foreach) = &step.foreach else {
            return match &step.act {
                Act::Parallel { branches, overlap } => {
                    self.parallel(step, at, branches, *overlap, vec![scope.clone()], scope, timeout).await
                }
                _ => self.once(step, at, scope, timeout).await,
            };
        };
        let items = match items(foreach, scope) {
            Ok(items) => items,
            Err(Problem::Unreached(e)) => return self.unreached(step, at, e).await,
            Err(Problem::Wrong(e)) => return self.broken(step, at, e).await,
        };
        if items.is_empty() && !step.undoing {
            return self.broken(step, at, "a `foreach` over nothing proves nothing: the list is empty".into()).await;
        }
        if let Act::Parallel { branches, overlap } = &step.act {
            let scopes = items.iter().map(|(_, v)| scope.with("item", v.clone())).collect();
            return self.parallel(step, at, branches, *overlap, scopes, scope, timeout).await;
        }
        self.each(step, at, scope, items, matches!(foreach, Foreach::Map(_)), timeout).await
    }

    /// One after the other; ends at the first whose `eventually` ran out. What was bound is bound as a list, or as a map.
    async fn each(
        &self,
        step: &Step,
        at: &Address,
        scope: &Scope,
        items: Vec<(String, Value)>,
        keyed: bool,
        timeout: Option<Duration>,
    ) -> Done {
        let mut total = Done::green();
        let wanted = items.len();
        let mut bound: Vec<(String, Vec<(String, Value)>)> =
            step.save.iter().map(|(n, _)| n).chain(&step.bind).map(|n| (n.clone(), vec![])).collect();
        for (key, item) in items {
            let done = self.once(step, &at.item(&key), &scope.with("item", item), timeout).await;
            for (name, value) in done.names {
                if let Some((_, list)) = bound.iter_mut().find(|(n, _)| *n == name) {
                    list.push((key.clone(), value));
                }
            }
            total.judged += done.judged;
            if total.mark.worse(done.mark) != total.mark {
                total.reason = done.reason.map(|r| format!("{r} (item `{key}`)"));
                total.mark = total.mark.worse(done.mark);
            }
            total.value = done.value.or(total.value);
            total.ends |= done.ends;
            total.expired |= done.expired;
            if done.ends || done.expired {
                break;
            }
        }
        // where an item is missing, what follows would be judged of a part as if it were the whole
        total.names = bound
            .into_iter()
            .filter(|(_, list)| list.len() == wanted)
            .map(|(n, list)| {
                let v = if keyed { Value::map(list) } else { Value::list(list.into_iter().map(|(_, v)| v).collect()) };
                (n, v)
            })
            .collect();
        total
    }

    async fn once(&self, step: &Step, at: &Address, scope: &Scope, timeout: Option<Duration>) -> Done {
        self.announce(step, at).await;
        let bound = Arc::new(Mutex::new(vec![]));
        if !step.undo.is_empty() && self.looks.live() {
            let what = step.undo.iter().map(|s| s.what.as_str()).collect::<Vec<_>>().join(", ");
            let undo_at = at.child("undo");
            let intended = EventKind::UndoIntended { what: what.clone(), place: step.undo[0].place.clone() };
            if let Err(e) = self.world.events.commit(&undo_at, intended).await {
                return self.broken_after(at, format!("the undo could not be noted: {e}")).await;
            }
            let kind = UndoKind::Steps {
                steps: step.undo.clone(),
                scope: scope.clone(),
                bound: bound.clone(),
                base: self.base.clone(),
            };
            self.stack.push(Undo { at: undo_at, what, kind });
        }
        let done = match &step.act {
            Act::Nothing => self.judge_only(step, at, scope).await,
            Act::Perform { action, target, .. } => {
                self.perform(step, at, scope, &**action, target.as_deref(), timeout.unwrap_or(TIMEOUT)).await
            }
            Act::Use { definition, inputs } => self.call(step, at, scope, definition, inputs, timeout).await,
            Act::Fault { breaks, name } => self.fault(step, at, scope, *breaks, name).await,
            // handled with its items, above
            Act::Parallel { .. } => Done::green(),
        };
        *bound.lock().unwrap_or_else(|e| e.into_inner()) = done.names.clone();
        done
    }

    async fn judge_only(&self, step: &Step, at: &Address, scope: &Scope) -> Done {
        let findings = asked(&step.asks, None, scope);
        self.conclude(step, at, scope, None, findings, None, 0, Duration::ZERO).await
    }

    /// Looks until what is asked holds, or once.
    async fn perform(
        &self,
        step: &Step,
        at: &Address,
        scope: &Scope,
        action: &dyn crate::executor::Action,
        target: Option<&str>,
        timeout: Duration,
    ) -> Done {
        let (eventually, always) = match (self.span(&step.eventually, scope), self.span(&step.always, scope)) {
            (Ok(e), Ok(a)) => (e, a),
            (Err(e), _) | (_, Err(e)) => return self.fail_to_reach(at, e).await,
        };
        let mut until = eventually.or(always).map(|d| Instant::now() + d);
        // `always` alone must hold from the first look on
        let mut staying = eventually.is_none() && always.is_some();
        let mut pace = Backoff::default();
        let (mut count, mut last, mut first_at): (u32, Option<Output>, Option<jiff::Timestamp>) = (0, None, None);
        let mut findings: Vec<Finding> = vec![];
        let mut seen: Option<Value> = None;
        let mut error: Option<StepError> = None;
        let mut given_up = false;
        let begun = Instant::now();
        let held = loop {
            let ask = Ask {
                action,
                target,
                at,
                scope,
                last: last.as_ref(),
                count,
                until,
                timeout,
                pace: pace.next().unwrap_or_default(),
                cancel: self.cancel,
            };
            let look_at = super::looks::now();
            let look_begun = Instant::now();
            let Some(look) = self.looks.look(ask).await else { break staying && error.is_none() };
            let mut result = look.result;
            let silent = match &result {
                Err(StepError::TimedOut(_)) => look.departed,
                Err(StepError::Unreachable(_)) => self.fault_in_force(),
                _ => false,
            };
            let mut evidence = look.evidence;
            if let (true, Err(e), Some(silence)) = (silent, &result, action.silence()) {
                evidence.push(crate::event::Evidence {
                    kind: crate::event::EvidenceKind::Note,
                    text: format!("no answer: {e}"),
                });
                result = Ok(Output { value: silence, at: look_at, took: look_begun.elapsed(), cursor: None });
            }
            count += 1;
            match result {
                Err(e) => {
                    let looked = EventKind::Looked {
                        look: count - 1,
                        at: look_at,
                        took: look_begun.elapsed(),
                        value: None,
                        error: Some(e.to_string()),
                        error_kind: Some(e.kind()),
                        unmet: vec![],
                        evidence,
                    };
                    self.tell(at, looked).await;
                    let again = eventually.is_some()
                        && !staying
                        && !matches!(e, StepError::Cancelled | StepError::Undefined(_));
                    error = Some(e);
                    last = None;
                    if !again {
                        break false;
                    }
                }
                Ok(mut output) => {
                    error = None;
                    let first = *first_at.get_or_insert(output.at);
                    output.value = timed(&output, first);
                    let inner = scope.with_all(&output.value);
                    // before the look is told: what it brought may be a secret
                    for (_, e) in step.save.iter().filter(|(_, e)| e.tells_secret()) {
                        let _ = e.eval(&inner);
                    }
                    findings = asked(&step.asks, Some(&output.value), &inner);
                    let holds = findings.iter().all(|f| f.holds);
                    let looked = EventKind::Looked {
                        look: count - 1,
                        at: output.at,
                        took: output.took,
                        value: Some(output.value.clone()),
                        error: None,
                        error_kind: None,
                        unmet: findings.iter().filter(|f| !f.holds).cloned().collect(),
                        evidence,
                    };
                    self.tell(at, looked).await;
                    seen = Some(output.value.clone());
                    last = Some(output);
                    match (holds, staying) {
                        (true, false) => match always {
                            Some(stays) => {
                                staying = true;
                                until = Some(Instant::now() + stays);
                            }
                            None => break true,
                        },
                        (true, true) => {}
                        (false, true) => break false,
                        (false, false) if eventually.is_none() => break false,
                        (false, false) => {
                            if step.give_up_if.as_ref().is_some_and(|e| e.holds(&inner) == Ok(true)) {
                                given_up = true;
                                break false;
                            }
                        }
                    }
                }
            }
        };
        let took = begun.elapsed();
        if let Some(e) = error {
            let mark = match e {
                StepError::Cancelled => Mark::Interrupted,
                StepError::Undefined(_) => Mark::NotReached,
                _ => Mark::Errored,
            };
            let reason = if matches!(e, StepError::Cancelled) { self.why_cancelled() } else { e.to_string() };
            self.finish(at, mark, vec![], Some(reason.clone()), count, took).await;
            let mut done = Done::red(mark, reason);
            done.expired = eventually.is_some();
            // what was seen before the last look is bound all the same
            if let (Some(v), Some(name)) = (seen, &step.bind) {
                done.names.push((name.clone(), v));
            }
            return done;
        }
        let expired = !held && eventually.is_some();
        let reason = match (held, given_up, staying) {
            (true, ..) => None,
            (_, true, _) => step.give_up_if.as_ref().map(|e| format!("given up: `{}`", e.text())),
            (_, _, true) => Some(format!("it did not stay so for {}", shown(always))),
            _ if eventually.is_some() => {
                Some(format!("it did not become so within {} ({count} looks)", shown(eventually)))
            }
            _ => None,
        };
        let mut done = self.conclude(step, at, scope, seen, findings, reason, count, took).await;
        done.expired = expired;
        done
    }

    /// An action of the plan, performed in a scope of its own.
    async fn call(
        &self,
        step: &Step,
        at: &Address,
        scope: &Scope,
        definition: &Definition,
        inputs: &[(String, Tree)],
        timeout: Option<Duration>,
    ) -> Done {
        let (eventually, always) = match (self.span(&step.eventually, scope), self.span(&step.always, scope)) {
            (Ok(e), Ok(a)) => (e, a),
            (Err(e), _) | (_, Err(e)) => return self.fail_to_reach(at, e).await,
        };
        let mut given = Map::new();
        for (name, default) in &definition.inputs {
            let value = match (inputs.iter().find(|(n, _)| n == name), default) {
                (Some((_, tree)), _) => tree.render(scope),
                (None, Some(tree)) => tree.render(self.base),
                (None, None) => Ok(Value::Null),
            };
            match value {
                Ok(v) => {
                    given.insert(name.clone(), v);
                }
                Err(e) => return self.fail_to_reach(at, e.to_string()).await,
            }
        }
        let inner_scope = self.base.with("inputs", Value::from(given));
        let begun = Instant::now();
        let mut until = eventually.or(always).map(|d| Instant::now() + d);
        let mut staying = eventually.is_none() && always.is_some();
        let mut pace = Backoff::default();
        let mut count = 0;
        let mut first_at = None;
        let mut findings = vec![];
        let mut seen = None;
        let mut listed: Option<Listed> = None;
        let mut given_up = false;
        let held = loop {
            let recorded = match self.looks.again(at, count, until, pace.next().unwrap_or_default(), self.cancel).await
            {
                Again::No => break staying && count > 0,
                Again::Live => None,
                Again::Recorded(value) => Some(value),
            };
            let look_at = super::looks::now();
            let look_begun = Instant::now();
            let l = self.list(&definition.steps, &at.child("use"), inner_scope.clone(), timeout).await;
            count += 1;
            let mut value = match outputs(definition, &l) {
                Some(Value::Map(m)) => (*m).clone(),
                Some(other) => Map::from_iter([("value".to_string(), other)]),
                None => Map::new(),
            };
            let first = *first_at.get_or_insert(look_at);
            if !definition.outputs.is_empty() || !value.contains_key("at") {
                let output = Output { value: Value::Null, at: look_at, took: look_begun.elapsed(), cursor: None };
                let when = [("at", Value::Time(first)), ("took", span_since(first, &output))];
                for (k, live) in when {
                    value.insert(k.into(), recorded.as_ref().and_then(|r| r.get(k)).cloned().unwrap_or(live));
                }
            }
            let value = Value::from(value);
            let inner = scope.with_all(&value);
            findings = asked(&step.asks, Some(&value), &inner);
            let holds = findings.iter().all(|f| f.holds) && !l.mark.is_red();
            let looked = EventKind::Looked {
                look: count - 1,
                at: look_at,
                took: look_begun.elapsed(),
                value: Some(value.clone()),
                error: None,
                error_kind: None,
                unmet: findings.iter().filter(|f| !f.holds).cloned().collect(),
                evidence: vec![],
            };
            self.tell(at, looked).await;
            seen = Some(value);
            let interrupted = l.mark == Mark::Interrupted || self.cancel.is_cancelled();
            listed = Some(l);
            match (holds, staying) {
                _ if interrupted => break false,
                (true, false) => match always {
                    Some(stays) => {
                        staying = true;
                        until = Some(Instant::now() + stays);
                    }
                    None => break true,
                },
                (true, true) => {}
                (false, true) => break false,
                (false, false) if eventually.is_none() => break false,
                (false, false) => {
                    if step.give_up_if.as_ref().is_some_and(|e| e.holds(&inner) == Ok(true)) {
                        given_up = true;
                        break false;
                    }
                }
            }
        };
        let took = begun.elapsed();
        let (mark, within_reason, ends, expired, judged) = match listed {
            Some(l) => (l.mark, l.reason, l.ends, l.expired, l.judged),
            None if self.cancel.is_cancelled() => (Mark::Interrupted, Some("cancelled".into()), true, false, 0),
            None => (Mark::NotReached, Some("it was never performed".into()), false, false, 0),
        };
        let mark = if held { Mark::Passed } else { mark };
        let reason = match (held, given_up, staying) {
            (true, ..) => None,
            (_, true, _) => step.give_up_if.as_ref().map(|e| format!("given up: `{}`", e.text())),
            (_, _, true) => Some(format!("it did not stay so for {}", shown(always))),
            _ if eventually.is_some() && !mark.is_red() => {
                Some(format!("it did not become so within {} ({count} looks)", shown(eventually)))
            }
            _ => within_reason,
        };
        let mut done = self.conclude_with(step, at, scope, seen, findings, reason, count, took, mark).await;
        done.judged += judged;
        done.ends |= ends && !held;
        done.expired = !held && (expired || eventually.is_some());
        done
    }

    /// Every branch for every item, started behind a barrier.
    #[allow(clippy::too_many_arguments)]
    async fn parallel(
        &self,
        step: &Step,
        at: &Address,
        branches: &[Vec<Step>],
        overlap: Overlap,
        scopes: Vec<Scope>,
        outer: &Scope,
        timeout: Option<Duration>,
    ) -> Done {
        self.announce(step, at).await;
        let look_at = super::looks::now();
        let begun = Instant::now();
        let all: Vec<(usize, usize, &Scope, &Vec<Step>)> = scopes
            .iter()
            .enumerate()
            .flat_map(|(i, scope)| branches.iter().enumerate().map(move |(b, steps)| (i, b, scope, steps)))
            .collect();
        let (barrier, flying, most) = (tokio::sync::Barrier::new(all.len()), AtomicUsize::new(0), AtomicUsize::new(0));
        let (barrier, flying, most) = (&barrier, &flying, &most);
        let done = join_all(all.iter().map(|(i, b, scope, steps)| {
            let at = at.item(format!("{i}.{b}"));
            async move {
                barrier.wait().await;
                most.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let listed = self.list(steps, &at, (*scope).clone(), timeout).await;
                flying.fetch_sub(1, Ordering::SeqCst);
                listed
            }
        }))
        .await;
        let measured = Value::map([("overlap".to_string(), Value::Int(most.load(Ordering::SeqCst) as i64))]);
        let measured = self.looks.measured(at, measured);
        let count = measured.get("overlap").and_then(Value::as_i64).unwrap_or(0);
        let mut mark = Mark::Passed;
        let mut reason = None;
        let (mut ends, mut judged) = (false, 0);
        let mut values = vec![];
        for listed in done {
            judged += listed.judged;
            ends |= listed.ends;
            if mark.worse(listed.mark) != mark {
                reason = listed.reason;
                mark = mark.worse(listed.mark);
            }
            values.push(match (branches.iter().all(|b| b.len() == 1), listed.last) {
                (true, Some(v)) => v,
                _ => Value::map(listed.names),
            });
        }
        let output = Output { value: Value::Null, at: look_at, took: begun.elapsed(), cursor: None };
        let value = Value::map([
            ("branches".to_string(), Value::list(values)),
            ("overlap".to_string(), Value::Int(count)),
            ("at".to_string(), measured.get("at").cloned().unwrap_or(Value::Time(look_at))),
            ("took".to_string(), measured.get("took").cloned().unwrap_or_else(|| span_since(look_at, &output))),
        ]);
        let inner = outer.with_all(&value);
        let findings = asked(&step.asks, Some(&value), &inner);
        let looked = EventKind::Looked {
            look: 0,
            at: look_at,
            took: output.took,
            value: Some(value.clone()),
            error: None,
            error_kind: None,
            unmet: findings.iter().filter(|f| !f.holds).cloned().collect(),
            evidence: vec![],
        };
        self.tell(at, looked).await;
        let wanted = match overlap {
            Overlap::All => all.len(),
            Overlap::AtLeast(n) => n,
            Overlap::Any => 2.min(all.len()),
        };
        if (count as usize) < wanted && !mark.is_red() {
            mark = Mark::Errored;
            ends = true;
            reason = Some(format!("the branches did not overlap as they must: {count} at once, {wanted} needed"));
        }
        let mut done =
            self.conclude_with(step, at, outer, Some(value), findings, reason, 1, begun.elapsed(), mark).await;
        done.judged += judged;
        done.ends |= ends;
        done
    }

    async fn fault(&self, step: &Step, at: &Address, scope: &Scope, breaks: bool, name: &str) -> Done {
        let look_at = super::looks::now();
        let begun = Instant::now();
        let result = match (self.looks.live(), breaks) {
            (false, _) => Ok(None),
            (true, true) => {
                // noted and on the stack first: whatever happens, it is healed
                let (undo_at, what) = (at.child("undo"), format!("fault heal {name}"));
                let intended = EventKind::UndoIntended { what: what.clone(), place: step.place.clone() };
                if let Err(e) = self.world.events.commit(&undo_at, intended).await {
                    return self.broken_after(at, format!("the undo could not be noted: {e}")).await;
                }
                self.stack.push(Undo { at: undo_at, what, kind: UndoKind::Heal(name.into()) });
                self.world.cut(self, at, name).await.map(|()| None)
            }
            (true, false) => {
                let healed = self.heal(at, name).await;
                if healed.is_ok() {
                    self.stack.healed(self, name).await;
                }
                healed
            }
        };
        {
            let mut faults = self.faults.lock().unwrap_or_else(|e| e.into_inner());
            if breaks && result.is_ok() && !faults.iter().any(|f| f == name) {
                faults.push(name.to_string());
            } else if !breaks {
                faults.retain(|f| f != name);
            }
        }
        let refused = match result {
            Ok(r) => r,
            Err(e) => {
                self.finish(at, Mark::Errored, vec![], Some(e.clone()), 1, begun.elapsed()).await;
                return Done::red(Mark::Errored, e);
            }
        };
        let output = Output { value: Value::Null, at: look_at, took: begun.elapsed(), cursor: None };
        let live = Value::map([
            ("refused".to_string(), refused.map_or(Value::Null, Value::from)),
            ("at".to_string(), Value::Time(look_at)),
            ("took".to_string(), span_since(look_at, &output)),
        ]);
        let value = self.looks.measured(at, live);
        let inner = scope.with_all(&value);
        let findings = asked(&step.asks, Some(&value), &inner);
        let looked = EventKind::Looked {
            look: 0,
            at: look_at,
            took: output.took,
            value: Some(value.clone()),
            error: None,
            error_kind: None,
            unmet: findings.iter().filter(|f| !f.holds).cloned().collect(),
            evidence: vec![],
        };
        self.tell(at, looked).await;
        let idle = !breaks && value.get("refused").and_then(Value::as_i64) == Some(0);
        let (mark, reason) = if idle { (Mark::Errored, Some(untried(name))) } else { (Mark::Passed, None) };
        self.conclude_with(step, at, scope, Some(value), findings, reason, 1, begun.elapsed(), mark).await
    }

    /// Heals a fault and returns how often the cut link was tried, where that is known.
    pub async fn heal(&self, at: &Address, name: &str) -> Result<Option<u64>, String> {
        self.faults.lock().unwrap_or_else(|e| e.into_inner()).retain(|f| f != name);
        self.world.heal(self, at, name).await
    }

    fn fault_in_force(&self) -> bool {
        !self.faults.lock().unwrap_or_else(|e| e.into_inner()).is_empty()
    }

    fn why_cancelled(&self) -> String {
        if self.world.cancel.is_cancelled() {
            "cancelled".into()
        } else {
            "the case ran longer than its `timeout`".into()
        }
    }

    #[allow(clippy::too_many_arguments)]
    async fn conclude(
        &self,
        step: &Step,
        at: &Address,
        scope: &Scope,
        value: Option<Value>,
        findings: Vec<Finding>,
        reason: Option<String>,
        looks: u32,
        took: Duration,
    ) -> Done {
        self.conclude_with(step, at, scope, value, findings, reason, looks, took, Mark::Passed).await
    }

    /// Judges, saves and says so. `mark` is what the act itself came to.
    #[allow(clippy::too_many_arguments)]
    async fn conclude_with(
        &self,
        step: &Step,
        at: &Address,
        scope: &Scope,
        value: Option<Value>,
        mut findings: Vec<Finding>,
        mut reason: Option<String>,
        looks: u32,
        took: Duration,
        mut mark: Mark,
    ) -> Done {
        let judged = findings.len();
        if findings.iter().any(|f| !f.holds) {
            mark = mark.worse(Mark::Failed);
        } else if reason.is_some() && mark == Mark::Passed {
            // an `eventually` that ended without a finding of its own
            mark = Mark::Failed;
        }
        let inner = value.as_ref().map_or_else(|| scope.clone(), |v| scope.with_all(v));
        let mut names = vec![];
        for (name, e) in &step.save {
            match e.eval(&inner) {
                Ok(v) => names.push((name.clone(), v)),
                // what is red already says why; else it is this that is wrong
                Err(_) if mark.is_red() => {}
                Err(error) => {
                    findings.push(Finding {
                        subject: format!("save {name}: {}", e.text()),
                        holds: false,
                        expected: "a value".into(),
                        actual: error.to_string(),
                        operands: vec![],
                        place: Some(step.place.clone()),
                    });
                    mark = mark.worse(Mark::Failed);
                }
            }
        }
        if let (Some(name), Some(v)) = (&step.bind, &value) {
            names.push((name.clone(), v.clone()));
        }
        if reason.is_none() {
            reason = findings.iter().find(|f| !f.holds).map(sentence);
        }
        self.finish(at, mark, findings, reason.clone(), looks, took).await;
        let ends = matches!(mark, Mark::Errored | Mark::Interrupted);
        Done { mark, reason, value, names, ends, expired: false, judged }
    }

    fn span(&self, template: &Option<Template>, scope: &Scope) -> Result<Option<Duration>, String> {
        template.as_ref().map(|t| span(t, scope)).transpose()
    }

    async fn announce(&self, step: &Step, at: &Address) {
        self.tell(at, EventKind::ActionStarted { what: step.what.clone(), place: step.place.clone() }).await;
    }

    async fn finish(
        &self,
        at: &Address,
        mark: Mark,
        findings: Vec<Finding>,
        reason: Option<String>,
        looks: u32,
        took: Duration,
    ) {
        self.tell(at, EventKind::ActionFinished { mark, findings, reason, looks, took }).await;
    }

    async fn unreached(&self, step: &Step, at: &Address, reason: String) -> Done {
        self.announce(step, at).await;
        self.fail_to_reach(at, reason).await
    }

    async fn fail_to_reach(&self, at: &Address, reason: String) -> Done {
        self.finish(at, Mark::NotReached, vec![], Some(reason.clone()), 0, Duration::ZERO).await;
        Done::red(Mark::NotReached, reason)
    }

    async fn broken(&self, step: &Step, at: &Address, reason: String) -> Done {
        self.announce(step, at).await;
        self.broken_after(at, reason).await
    }

    async fn broken_after(&self, at: &Address, reason: String) -> Done {
        self.finish(at, Mark::Errored, vec![], Some(reason.clone()), 0, Duration::ZERO).await;
        Done::red(Mark::Errored, reason)
    }
}

/// Judges a picture and checks. With an output the picture is of that; without, of the names in scope.
pub fn asked(asks: &Asks, output: Option<&Value>, scope: &Scope) -> Vec<Finding> {
    let mut out = vec![];
    if let Some(p) = &asks.picture {
        match output {
            Some(v) => judge::picture(p, "", Some(v), scope, &mut out),
            None => {
                let names = match &p.shape {
                    crate::expr::picture::Shape::Map(entries) => entries
                        .iter()
                        .filter_map(|(k, _)| k.as_literal())
                        .filter_map(|k| Some((k.to_string(), scope.get(k)?.clone())))
                        .collect::<Map>(),
                    _ => Map::new(),
                };
                judge::picture(p, "", Some(&Value::from(names)), scope, &mut out);
            }
        }
    }
    out.extend(asks.checks.iter().map(|(e, span)| judge::check(e, scope, || span.place())));
    out
}

/// A duration as a plan gives it: a text like `30s`, or a duration that an expression computed.
pub fn span(t: &Template, scope: &Scope) -> Result<Duration, String> {
    match t.render(scope).map_err(|e| e.to_string())? {
        Value::Duration(d) => Duration::try_from(d).map_err(|_| format!("`{d}` is less than nothing")),
        other => humantime::parse_duration(&other.to_string()).map_err(|e| format!("`{other}` is no duration: {e}")),
    }
}

enum Problem {
    Unreached(String),
    Wrong(String),
}

fn items(foreach: &Foreach, scope: &Scope) -> Result<Vec<(String, Value)>, Problem> {
    match foreach {
        Foreach::Map(entries) => entries
            .iter()
            .map(|(k, t)| Ok((k.clone(), t.render(scope).map_err(|e| Problem::Unreached(e.to_string()))?)))
            .collect(),
        Foreach::List(tree) => match tree.render(scope).map_err(|e| Problem::Unreached(e.to_string()))? {
            Value::List(l) => Ok(l.iter().enumerate().map(|(i, v)| (i.to_string(), v.clone())).collect()),
            other => Err(Problem::Wrong(format!("`foreach` goes over a list, and this is {}", other.kind()))),
        },
    }
}

fn outputs(definition: &Definition, listed: &Listed) -> Option<Value> {
    if definition.outputs.is_empty() {
        return listed.last.clone();
    }
    let eval = |e: &Expression| e.eval(&listed.scope).ok();
    Some(Value::map(definition.outputs.iter().filter_map(|(n, e)| Some((n.clone(), eval(e)?)))))
}

/// The output with `at` and `took`: of one that was repeated, from the first look until this one held.
fn timed(output: &Output, first: jiff::Timestamp) -> Value {
    let mut map = output.value.as_map().cloned().unwrap_or_default();
    map.insert("at".into(), Value::Time(first));
    map.insert("took".into(), span_since(first, output));
    Value::from(map)
}

fn span_since(first: jiff::Timestamp, output: &Output) -> Value {
    let before = output.at.duration_since(first);
    let took = jiff::SignedDuration::try_from(output.took).unwrap_or(jiff::SignedDuration::MAX);
    Value::Duration(before.checked_add(took).unwrap_or(took))
}

fn sentence(f: &Finding) -> String {
    if f.expected == "true" && f.actual == "false" {
        format!("`{}` does not hold", f.subject)
    } else {
        format!("`{}`: expected {}, and it is {}", f.subject, f.expected, f.actual)
    }
}

fn shown(d: Option<Duration>) -> String {
    d.map_or_else(String::new, |d| humantime::format_duration(d).to_string())
}

/// The place of a step, for whoever reports on it.
pub fn place(step: &Step) -> &Place {
    &step.place
}
