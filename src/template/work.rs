//! What one rendering may cost beside the engine's steps: texts that are copied, lists that are walked.
//!
//! The engine counts instructions, and one of them may copy gigabytes or compare lists that hold each other a million
//! times. So everything here that takes time or memory is charged in bytes before it is done.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};

use super::MAX_OUTPUT;
use super::views::Cycler;

/// Most bytes that one rendering may touch. What is over is an error, a second or so after the start.
const MAX_WORK: usize = 1 << 30;
/// What one item of a list or mapping takes in memory, at least.
const ITEM: usize = 16;
/// What is charged for looking at one item, in bytes that could be copied meanwhile.
const LOOK: usize = 40;
/// How many items take as long as one that is found or put under its key.
const KEYED: usize = 4;
/// Largest single value, with everything in it.
const MAX_VALUE: usize = 32 << 20;
/// Lists in lists. What is deeper could neither be printed nor forgotten on a small stack.
pub(super) const MAX_DEPTH: usize = 50;

/// What is left; one for each rendering.
struct Left(usize);

/// Takes from what this rendering may still do.
pub(super) fn charge(state: &mut State<'_, '_>, bytes: usize) -> Result<(), Error> {
    let left = state.get_or_insert_extension_with(|| Left(MAX_WORK));
    match left.0.checked_sub(bytes) {
        Some(rest) => left.0 = rest,
        None => {
            return Err(invalid(format!(
                "the template handles more than {} MiB of values: is a text or a list doubled in a loop?",
                MAX_WORK >> 20
            )));
        }
    }
    Ok(())
}

/// Charges for `count` items.
pub(super) fn charge_items(state: &mut State<'_, '_>, count: usize) -> Result<(), Error> {
    charge(state, count.saturating_mul(LOOK))
}

/// Charges for `count` entries of a new mapping.
pub(super) fn charge_mapping(state: &mut State<'_, '_>, count: usize) -> Result<(), Error> {
    charge_items(state, count.saturating_mul(2 * KEYED))
}

/// Charges for the value with everything in it, once for each place where it stands. Fails for one that is too large.
pub(super) fn charge_whole(state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let mut size = Size::default();
    add(value, 0, &mut size)?;
    charge(state, size.bytes)?;
    charge_items(state, size.looks)
}

/// Charges for the value alone: a text by its length, a list by its count.
pub(super) fn charge_flat(state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => charge(state, text.len()),
        None => charge_items(state, value.len().unwrap_or(1)),
    }
}

/// A value with everything in it.
#[derive(Debug, Default)]
struct Size {
    bytes: usize,
    looks: usize,
}

fn add(value: &Value, depth: usize, total: &mut Size) -> Result<(), Error> {
    total.bytes += value.as_str().map_or(ITEM, |text| ITEM + text.len());
    total.looks += 1;
    if total.bytes > MAX_VALUE {
        return Err(invalid(format!("a value is larger than {} MiB with everything in it", MAX_VALUE >> 20)));
    }
    if depth > MAX_DEPTH {
        return Err(invalid(format!("a value is nested more than {MAX_DEPTH} levels deep")));
    }
    if let Some(cycler) = value.downcast_object_ref::<Cycler>() {
        return cycler.items().iter().try_for_each(|item| add(item, depth + 1, total));
    }
    match value.kind() {
        ValueKind::Map => {
            for key in value.try_iter()? {
                total.looks += KEYED;
                add(&value.get_item(&key)?, depth + 1, total)?;
                add(&key, depth + 1, total)?;
            }
        }
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                add(&item, depth + 1, total)?;
            }
        }
        _ => (),
    }
    Ok(())
}

/// Fails for a text that would be longer than a whole rendered template may be; charges for it otherwise.
pub(super) fn charge_text(state: &mut State<'_, '_>, what: &str, bytes: usize) -> Result<(), Error> {
    if bytes > MAX_OUTPUT {
        return Err(too_large(what));
    }
    charge(state, bytes)
}

/// A result that would be too large.
pub(super) fn too_large(what: &str) -> Error {
    invalid(format!("{what}: the result is too large: more than {} MiB", MAX_OUTPUT >> 20))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
