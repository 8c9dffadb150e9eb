//! Filters are charged for what they handle before they run, and for the texts that they make.

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{compare, lists, python, views, work};

/// What a filter is charged for before it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meter {
    /// The value with everything in it.
    Whole,
    /// Nothing: it takes no longer for a large value.
    Free,
    /// The items of the list alone.
    Flat,
    /// The value as a whole; anything but a text is spelled as Python prints it first.
    Spelled,
    /// A text; anything else is refused.
    Text,
}

/// Registers a filter that is charged for what it handles and for the text that it makes.
pub(super) fn metered<F, Rv, Args>(env: &mut Environment<'_>, name: &'static str, meter: Meter, filter: F)
where
    F: minijinja::functions::Function<Rv, Args>,
    Rv: minijinja::value::FunctionResult,
    Args: for<'a> minijinja::value::FunctionArgs<'a>,
{
    let own = format!("__{name}");
    env.add_filter(own.clone(), filter);
    env.add_filter(name, move |state: &mut State<'_, '_>, value: Value, args: Rest<Value>, names: Kwargs| {
        let mut all = vec![value];
        known(state, name, &all[0], &args, &names)?;
        work::charge(state, CALL)?;
        match meter {
            Meter::Free => (),
            Meter::Flat => work::charge_flat(state, &all[0])?,
            Meter::Whole | Meter::Spelled | Meter::Text => work::charge_whole(state, &all[0])?,
        }
        if all[0].as_str().is_none() {
            work::charge_items(state, all[0].len().unwrap_or(0).saturating_mul(more_for_an_item(name)))?;
        }
        let other = all[0].as_str().is_none() && !all[0].is_undefined();
        match meter {
            Meter::Text if other => {
                let kind = compare::name(&all[0]);
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    format!("{name} takes a text, not {kind}: write `value|string|{name}`"),
                ));
            }
            Meter::Spelled if other => {
                views::no_generator(name, &all[0])?;
                all[0] = Value::from(python::to_str(&all[0]));
            }
            _ => (),
        }
        all.extend(args.0);
        if names.args().next().is_some() {
            all.push(Value::from(names));
        }
        let result = state.apply_filter(&own, &all)?;
        if let Some(text) = result.as_str() {
            work::charge_text(state, name, text.len())?;
        } else if GENERATORS.contains(&name) {
            let items = result.try_iter()?.map(lists::settled).collect::<Result<Vec<_>, _>>()?;
            work::charge_items(state, items.len())?;
            return Ok(views::generator(items));
        }
        lists::settled(result)
    });
}

/// What a filter costs, whatever it does.
const CALL: usize = 200;

/// What a filter does with an item, in steps that cost as much as looking at it.
fn more_for_an_item(name: &str) -> usize {
    match name {
        "sort" | "unique" | "dictsort" | "groupby" => 12,
        "map" | "select" | "reject" | "selectattr" | "rejectattr" | "min" | "max" | "sum" => 2,
        "join" | "batch" | "slice" => 1,
        _ => 0,
    }
}

/// Fails for a value or an argument that is undefined.
fn known(
    state: &State<'_, '_>,
    name: &str,
    value: &Value,
    args: &[Value],
    names: &Kwargs,
) -> Result<(), Error> {
    // These take it for something, as in Jinja2.
    if !matches!(name, "items" | "pprint") {
        compare::defined(state, value)?;
    }
    // What is behind the first is handed on: to a filter or test, or into the list.
    let handed_on =
        matches!(name, "map" | "select" | "reject" | "selectattr" | "rejectattr" | "batch" | "slice");
    args.iter()
        .take(if handed_on { 1 } else { usize::MAX })
        .try_for_each(|arg| compare::defined(state, arg))?;
    for option in names.args().filter(|option| !handed_on || *option == "attribute") {
        compare::defined(state, &names.peek::<Value>(option)?)?;
    }
    Ok(())
}

/// Filters that give something to go through, not a list.
const GENERATORS: &[&str] =
    &["map", "select", "reject", "selectattr", "rejectattr", "unique", "batch", "slice", "items", "reverse"];
