//! Heals the faults that are in force, runs the undo stack, last entry first, and says what is left behind and why. Items of one
//! `foreach`, and branches of one `parallel`, are undone side by side.
use super::{
    inconclusive::fault_not_met,
    panic::caught,
    results::Leftover,
    runner::ActionRunner,
    undo::{Undo, UndoKind, with_bound},
};
use crate::{address::Address, event::EventKind, outcome::Status};
use futures::stream::{self, StreamExt};
use std::time::Duration;
use tokio::time::Instant;

/// Time limit of one entry of the stack.
const UNDO_TIMEOUT: Duration = Duration::from_secs(90);
/// How many items are undone at the same time.
const MAX_AT_ONCE: usize = 16;

/// Heals faults and runs the undo stack, until all of it has had the time that the context allows. Returns what could not be undone.
pub async fn unwind(runner: &ActionRunner<'_>) -> Vec<Leftover> {
    let until = Instant::now() + runner.context.undo_timeout;
    // what was made while a dependency was broken may need it to be removed
    let faults = take_faults(&mut runner.effects.undo.lock());
    let mut left = undo_list(runner, faults, until).await;
    loop {
        let lists = next_lists(&mut runner.effects.undo.lock());
        if lists.is_empty() {
            return left;
        }
        let side_by_side = lists.into_iter().map(|list| undo_list(runner, list, until));
        let all: Vec<Vec<Leftover>> = stream::iter(side_by_side).buffered(MAX_AT_ONCE).collect().await;
        left.extend(all.into_iter().flatten());
    }
}

/// Takes all entries off the stack that heal a fault, the last one first.
fn take_faults(stack: &mut Vec<Undo>) -> Vec<Undo> {
    let (mut faults, others): (Vec<_>, Vec<_>) = std::mem::take(stack).into_iter().partition(Undo::heals);
    *stack = others;
    faults.reverse();
    faults
}

/// Takes the last entry off the stack, with all entries of the same `foreach` or `parallel`: a list for each of its items, in the order
/// in which they are undone.
fn next_lists(stack: &mut Vec<Undo>) -> Vec<Vec<Undo>> {
    let Some(last) = stack.pop() else { return vec![] };
    let Some((action, item)) = outermost_item(&last.at) else { return vec![vec![last]] };
    let mut lists = vec![(item, vec![last])];
    while let Some(undo) = stack.pop_if(|undo| outermost_item(&undo.at).is_some_and(|(a, _)| a == action)) {
        let Some((_, item)) = outermost_item(&undo.at) else { continue };
        match lists.iter_mut().find(|(i, _)| *i == item) {
            Some((_, list)) => list.push(undo),
            None => lists.push((item, vec![undo])),
        }
    }
    lists.into_iter().map(|(_, list)| list).collect()
}

/// The outermost action with a `foreach` or branches that an address is part of, and its item or branch.
fn outermost_item(at: &Address) -> Option<(Address, Address)> {
    let item = at.ancestors().find(|a| a.items().next().is_some())?;
    let (action, _) = item.as_str().rsplit_once('#')?;
    Some((Address::new(action), item.clone()))
}

/// Undoes entries one after the other.
async fn undo_list(runner: &ActionRunner<'_>, list: Vec<Undo>, until: Instant) -> Vec<Leftover> {
    let mut left = vec![];
    for undo in list {
        left.extend(undo_one(runner, undo, until).await);
    }
    left
}

async fn undo_one(runner: &ActionRunner<'_>, undo: Undo, until: Instant) -> Option<Leftover> {
    let Undo { at, kind } = undo;
    let summary = kind.summary();
    let work = async {
        match kind {
            UndoKind::Heal(name) => match runner.heal_fault(&at, &name).await {
                Ok(refused) => {
                    if refused == Some(0) {
                        runner.effects.mark_inconclusive(fault_not_met(&name));
                    }
                    (Status::Passed, None)
                }
                Err(e) => (Status::Errored, Some(format!("the fault `{name}` could not be healed: {e}"))),
            },
            UndoKind::Actions { actions, scope, bound, base } => {
                let runner = runner.clone().until(runner.cancel, Some(UNDO_TIMEOUT));
                let runner = ActionRunner { base: &base, ..runner };
                let total = runner.run_actions(&actions, &at, with_bound(&scope, &bound), None).await.total;
                (total.status, total.reason)
            }
        }
    };
    let now = Instant::now();
    let limit = UNDO_TIMEOUT.min(until.saturating_duration_since(now));
    let (status, reason) = match tokio::time::timeout(limit, caught(work)).await {
        Ok(done) => done.unwrap_or_else(|panic| (Status::Errored, Some(panic))),
        Err(_) if limit < UNDO_TIMEOUT => {
            let all = runner.context.undo_timeout;
            (Status::Errored, Some(format!("not done: the undo of the case had {all:?} in all")))
        }
        Err(_) => (Status::Errored, Some(format!("not done within {UNDO_TIMEOUT:?}"))),
    };
    let left = status.is_unsuccessful().then(|| {
        let text = format!("{summary}: {}", reason.as_deref().unwrap_or(status.as_str()));
        Leftover { text, by_product: status == Status::Failed }
    });
    runner.emit(&at, EventKind::UndoFinished { status, summary, reason }).await;
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(all: &[&str]) -> Vec<Undo> {
        all.iter().map(|at| Undo { at: Address::new(at), kind: UndoKind::Heal("f".into()) }).collect()
    }

    fn lists(stack: &mut Vec<Undo>) -> Vec<Vec<String>> {
        let names = |list: Vec<Undo>| list.into_iter().map(|undo| undo.at.as_str().to_string()).collect();
        next_lists(stack).into_iter().map(names).collect()
    }

    #[test]
    fn items_of_one_action_are_undone_side_by_side_and_all_else_last_first() {
        let mut all = stack(&[
            "A/do/0/undo",
            "A/do/1#a/use/0/undo",
            "A/do/1#a/use/1#x/undo",
            "A/do/1#b/use/0/undo",
            "A/do/2/undo",
        ]);
        assert_eq!(lists(&mut all), [["A/do/2/undo"]]);
        let items = lists(&mut all);
        assert_eq!(items, [vec!["A/do/1#b/use/0/undo"], vec!["A/do/1#a/use/1#x/undo", "A/do/1#a/use/0/undo"]]);
        assert_eq!(lists(&mut all), [["A/do/0/undo"]]);
        assert!(lists(&mut all).is_empty());
    }

    #[test]
    fn items_of_different_actions_are_undone_one_action_after_the_other() {
        let mut all = stack(&["A/do/1#a/undo", "A/do/2#a/undo", "A/do/2#b/undo"]);
        assert_eq!(lists(&mut all), [["A/do/2#b/undo"], ["A/do/2#a/undo"]]);
        assert_eq!(lists(&mut all), [["A/do/1#a/undo"]]);
    }
}
