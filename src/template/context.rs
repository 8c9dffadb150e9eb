//! The variables of a sheet as a template sees them: each becomes a value when it is first asked for,
//! and is the same one until the rendering is over, since a template may change lists.

use std::sync::{Arc, OnceLock};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use super::Vars;
use super::object;

#[derive(Debug)]
struct Context {
    vars: Vars,
    values: Vec<OnceLock<Value>>,
}

/// All variables, for one rendering.
pub(super) fn context(vars: Vars) -> Value {
    let values = (0..vars.len()).map(|_| OnceLock::new()).collect();
    Value::from_object(Context { vars, values })
}

impl Object for Context {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (at, item) = self.vars.find(key.as_str()?)?;
        Some(self.values[at].get_or_init(|| object::value(item)).clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.vars.iter().map(|(name, _)| Value::from(name)).collect())
    }
}
