//! The functions that `metering.rs` puts into an expression. `@` cannot be written in an expression, so only it can call
//! them. Some take the place of functions of the library whose result or time is not bounded by their arguments.
use super::{
    adapter::LazyValue,
    budget::charge,
    incomplete::{PartialVal, unwatched},
};
use cel::{
    Env, ExecutionError,
    common::{
        types::{
            CelBool, CelBytes, CelInt, CelList, CelMap, CelString, DYN_TYPE, INT_TYPE, LIST_TYPE, STRING_TYPE, Type,
        },
        value::{CowVal, Val},
    },
};
use std::collections::HashSet;

pub(super) const STEP: &str = "@step";
pub(super) const CHARGE: &str = "@charge";

/// About what the library allocates for an element of a list.
const ELEMENT_BYTES: usize = 64;

const REPLACED: [&str; 6] = ["replace", "split", "join", "distinct", "indexOf", "lastIndexOf"];

/// Whether the library's function `name` has a replacement here.
pub(super) fn is_replaced(name: &str) -> bool {
    REPLACED.contains(&name)
}

pub(super) fn replacement(name: &str) -> String {
    format!("@{name}")
}

type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Returned<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;
type Function = for<'b, 'v> fn(Args<'b, 'v>) -> Returned<'b, 'v>;

pub(super) fn add(env: &mut Env) {
    let functions: [(&str, Vec<Type>, Function); 2] = [(STEP, vec![], step), (CHARGE, vec![DYN_TYPE], charge_value)];
    for (name, types, function) in functions {
        env.add_overload(name, name, types, function).expect("the name is new");
    }
    let members: [(&str, Type, Vec<Type>, Function); 11] = [
        ("replace", STRING_TYPE, vec![STRING_TYPE, STRING_TYPE], replace),
        ("replace", STRING_TYPE, vec![STRING_TYPE, STRING_TYPE, INT_TYPE], replace),
        ("split", STRING_TYPE, vec![STRING_TYPE], split),
        ("split", STRING_TYPE, vec![STRING_TYPE, INT_TYPE], split),
        ("join", LIST_TYPE, vec![], join),
        ("join", LIST_TYPE, vec![STRING_TYPE], join),
        ("distinct", LIST_TYPE, vec![], distinct),
        ("indexOf", STRING_TYPE, vec![STRING_TYPE], index_of),
        ("indexOf", STRING_TYPE, vec![STRING_TYPE, INT_TYPE], index_of),
        ("lastIndexOf", STRING_TYPE, vec![STRING_TYPE], last_index_of),
        ("lastIndexOf", STRING_TYPE, vec![STRING_TYPE, INT_TYPE], last_index_of),
    ];
    for (name, target, types, function) in members {
        let (name, id) = (replacement(name), format!("@{name}_{}", types.len()));
        env.add_member_overload(&name, &id, target, types, function).expect("the overload is new");
    }
}

fn step<'b, 'v>(_: Args<'b, 'v>) -> Returned<'b, 'v> {
    charge(1, 0)?;
    Ok(CowVal::owned(CelBool::from(true)))
}

/// Charges the bytes of a value that was created, or will be copied into a list. Returns the value.
fn charge_value<'b, 'v>(mut args: Args<'b, 'v>) -> Returned<'b, 'v> {
    let value = args.pop().ok_or_else(|| ExecutionError::invalid_argument_count(1, 0))?;
    let bytes = unwatched(|| size(&*value));
    charge(1 + bytes / ELEMENT_BYTES, bytes)?;
    Ok(value)
}

/// The bytes of a value of the library. A value of the runner is shared, and not copied.
fn size(v: &dyn Val) -> usize {
    let of_runner = v.downcast_ref::<LazyValue>().is_some() || v.downcast_ref::<PartialVal>().is_some();
    ELEMENT_BYTES
        + if of_runner {
            0
        } else if let Some(text) = v.downcast_ref::<CelString>() {
            text.inner().len()
        } else if let Some(bytes) = v.downcast_ref::<CelBytes>() {
            bytes.inner().len()
        } else if let Some(list) = v.downcast_ref::<CelList>() {
            list.inner().iter().map(|item| size(&**item)).sum()
        } else if let Some(map) = v.downcast_ref::<CelMap>() {
            map.inner().values().map(|value| ELEMENT_BYTES + size(&**value)).sum()
        } else {
            0
        }
}

fn text<'a>(args: &'a Args<'_, '_>, i: usize) -> Result<&'a str, ExecutionError> {
    let text = args.get(i).and_then(|v| v.downcast_ref::<CelString>());
    text.map(|t| t.inner()).ok_or_else(|| ExecutionError::invalid_argument_count(i, args.len()))
}

/// The integer at `i`, if there is one.
fn int(args: &Args, i: usize) -> Option<i64> {
    args.get(i)?.downcast_ref::<CelInt>().map(|n| *n.inner())
}

fn string<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

/// The first `n` occurrences are replaced; all of them without a number, or if it is negative.
fn replace<'b, 'v>(args: Args<'b, 'v>) -> Returned<'b, 'v> {
    let (whole, from, to) = (text(&args, 0)?, text(&args, 1)?, text(&args, 2)?);
    let limit = int(&args, 3).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let found = whole.matches(from).take(limit).count();
    charge(1 + whole.len() / ELEMENT_BYTES, whole.len().saturating_add(found.saturating_mul(to.len())))?;
    Ok(string(whole.replacen(from, to, limit)))
}

/// At most `n` parts, the last with the rest; all of them without a number, or if it is negative. An empty separator
/// splits between characters.
fn split<'b, 'v>(args: Args<'b, 'v>) -> Returned<'b, 'v> {
    let (whole, separator) = (text(&args, 0)?, text(&args, 1)?);
    let limit = int(&args, 2).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let count = match separator.is_empty() {
        true => whole.chars().take(limit).count(),
        false => whole.matches(separator).take(limit).count() + 1,
    };
    charge(count, count.saturating_mul(ELEMENT_BYTES).saturating_add(whole.len()))?;
    let parts: Vec<&str> = match (limit, separator.is_empty()) {
        (0, _) => vec![],
        (_, false) => whole.splitn(limit, separator).collect(),
        (_, true) => {
            let last = whole.char_indices().nth(limit - 1).map_or(whole.len(), |(i, _)| i);
            let single = whole[..last].char_indices().map(|(i, c)| &whole[i..i + c.len_utf8()]);
            single.chain(Some(&whole[last..]).filter(|rest| !rest.is_empty())).collect()
        }
    };
    let parts = parts.into_iter().map(|part| Box::new(CelString::from(part.to_owned())) as Box<dyn Val>);
    Ok(CowVal::owned(CelList::from(parts.collect::<Vec<_>>())))
}

fn join<'b, 'v>(args: Args<'b, 'v>) -> Returned<'b, 'v> {
    let separator = if args.len() > 1 { text(&args, 1)? } else { "" };
    let mut items = args[0].as_iterable().ok_or_else(|| unexpected(&*args[0], "iterable"))?.iter();
    let mut parts = vec![];
    while let Some(item) = items.next() {
        let part = item.downcast_ref::<CelString>().ok_or_else(|| unexpected(item, "string"))?;
        charge(1, part.inner().len().saturating_add(separator.len()))?;
        parts.push(part.inner());
    }
    Ok(string(parts.join(separator)))
}

/// The first of each set of equal elements, in order. Strings and integers are found by their hash.
fn distinct<'b, 'v>(args: Args<'b, 'v>) -> Returned<'b, 'v> {
    let mut items = args[0].as_iterable().ok_or_else(|| unexpected(&*args[0], "iterable"))?.iter();
    let (mut texts, mut ints) = (HashSet::new(), HashSet::new());
    // neither a string nor an integer
    let mut others: Vec<&dyn Val> = vec![];
    let mut unique: Vec<&(dyn Val + 'v)> = vec![];
    while let Some(item) = items.next() {
        charge(1 + others.len() / 16, ELEMENT_BYTES)?;
        let is_new = if let Some(text) = item.downcast_ref::<CelString>() {
            texts.insert(text.inner())
        } else if let Some(int) = item.downcast_ref::<CelInt>() {
            // an unsigned integer or a double can be equal to it
            !others.iter().any(|seen| item.equals(*seen)) && ints.insert(*int.inner())
        } else {
            let is_int = || ints.iter().any(|int| item.equals(&CelInt::from(*int)));
            let is_new = !others.iter().any(|seen| item.equals(*seen)) && !is_int();
            if is_new {
                others.push(item);
            }
            is_new
        };
        if is_new {
            unique.push(item);
        }
    }
    charge(0, unwatched(|| unique.iter().map(|item| size(*item)).sum()))?;
    Ok(CowVal::owned(CelList::from(unique.into_iter().map(|item| item.clone_as_boxed()).collect::<Vec<_>>())))
}

/// The index in characters of the first occurrence, at or after an offset in characters; or else -1.
fn index_of<'b, 'v>(args: Args<'b, 'v>) -> Returned<'b, 'v> {
    let (whole, part) = (text(&args, 0)?, text(&args, 1)?);
    charge(1 + whole.len() / ELEMENT_BYTES, 0)?;
    let offset = offset(&args, "indexOf")?.unwrap_or(0);
    let from = byte_index(whole, offset);
    let found = match from {
        Some(from) => whole[from..].find(part).map(|i| from + i),
        None if part.is_empty() => Some(whole.len()),
        None => None,
    };
    Ok(character_index(whole, found))
}

/// The index in characters of the last occurrence, that begins at or before an offset in characters; or else -1.
fn last_index_of<'b, 'v>(args: Args<'b, 'v>) -> Returned<'b, 'v> {
    let (whole, part) = (text(&args, 0)?, text(&args, 1)?);
    charge(1 + whole.len() / ELEMENT_BYTES, 0)?;
    let offset = offset(&args, "lastIndexOf")?;
    let from = offset.map(|offset| byte_index(whole, offset));
    let end = match from {
        None => whole.len(),
        Some(Some(from)) => whole.floor_char_boundary(from.saturating_add(part.len()).min(whole.len())),
        Some(None) if part.is_empty() => whole.len(),
        Some(None) => return Ok(character_index(whole, None)),
    };
    Ok(character_index(whole, whole[..end].rfind(part)))
}

/// The third argument.
fn offset(args: &Args, function: &str) -> Result<Option<usize>, ExecutionError> {
    let out_of_range = |n| ExecutionError::function_error(function, format!("index out of range: {n}"));
    int(args, 2).map(|n| usize::try_from(n).map_err(|_| out_of_range(n))).transpose()
}

/// The byte at which a character begins; `None` for one after the last.
fn byte_index(text: &str, character: usize) -> Option<usize> {
    text.char_indices().nth(character).map(|(i, _)| i)
}

fn character_index<'b, 'v>(text: &str, byte: Option<usize>) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(byte.map_or(-1, |byte| text[..byte].chars().count() as i64)))
}

fn unexpected(found: &dyn Val, wanted: &str) -> ExecutionError {
    ExecutionError::UnexpectedType { got: found.get_type().name().into(), want: wanted.into() }
}
