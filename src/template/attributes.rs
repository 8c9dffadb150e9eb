//! What stands under a path (`a.b.0`) in the items of a list, for filters with `attribute`.

use minijinja::{Error, ErrorKind, Value};

/// What the items have under `a.b.0`; fails for one that has nothing there.
pub(super) fn all(
    what: &str,
    items: impl IntoIterator<Item = Value>,
    path: &str,
) -> Result<Vec<Value>, Error> {
    let key = Value::from(path);
    let found: Vec<Value> = items.into_iter().map(|item| of(&item, &key)).collect::<Result<_, _>>()?;
    if found.iter().any(Value::is_undefined) {
        return Err(Error::new(ErrorKind::UndefinedError, format!("{what}: an item has no `{path}`")));
    }
    Ok(found)
}

/// `a.b.0` or a number.
pub(super) fn of(item: &Value, path: &Value) -> Result<Value, Error> {
    let Some(text) = path.as_str() else { return item.get_item(path) };
    text.split('.').try_fold(item.clone(), |value, part| match part.parse::<usize>() {
        Ok(index) => value.get_item(&Value::from(index)),
        Err(_) => value.get_attr(part),
    })
}
