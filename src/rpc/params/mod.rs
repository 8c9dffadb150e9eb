//! Parameters of the methods as types. Strict about types, indifferent to unknown members;
//! `null` is the same as absent.

mod change;
mod daemon;
mod job;
mod look;

use std::path::PathBuf;

use serde_json::{Map, Value};

pub use change::{Approve, Modify, Recover};
pub use daemon::{ClearRateLimits, Shutdown};
pub use job::{Cancel, List, Pause, Resume, Status, Submit};
pub use look::{History, Watch};

use super::{Params, RpcError};
use crate::ids::JobId;

/// Reads parameters by name; every getter takes the value out.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Parameters by name; by position is an error for every method.
    pub fn new(params: Params) -> Result<Self, RpcError> {
        match params {
            Params::Named(members) => Ok(Self(members)),
            Params::Positional => Err(RpcError::InvalidParams {
                detail: "parameters are passed by name".to_owned(),
                field: None,
            }),
        }
    }

    /// The value, unless it is absent or `null`.
    pub fn take(&mut self, field: &'static str) -> Option<Value> {
        // Order does not matter any more, so the cheap removal is enough.
        self.0.swap_remove(field).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn text(&mut self, field: &'static str) -> Result<Option<String>, RpcError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(field, "a string", &other)),
        }
    }

    /// A path: a string without NUL bytes; the empty string means absent. `~` is not expanded.
    pub fn path(&mut self, field: &'static str) -> Result<Option<PathBuf>, RpcError> {
        match self.text(field)? {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) if text.contains('\0') => {
                Err(RpcError::param(field, format!("'{field}' must not contain NUL bytes")))
            }
            Some(text) => Ok(Some(text.into())),
        }
    }

    /// `true` or `false`; `default` when absent.
    pub fn flag(&mut self, field: &'static str, default: bool) -> Result<bool, RpcError> {
        match self.take(field) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong_type(field, "true or false", &other)),
        }
    }

    /// An integer inside a range.
    pub fn integer(
        &mut self,
        field: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, RpcError> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let Value::Number(number) = &value else { return Err(wrong_type(field, "an integer", &value)) };
        match number.as_u64() {
            Some(integer) if range.contains(&integer) => Ok(Some(integer)),
            _ if number.is_f64() => Err(wrong_type(field, "an integer", &value)),
            _ => {
                let (low, high) = range.into_inner();
                let detail = format!("'{field}' must be between {low} and {high}, got {number}");
                Err(RpcError::param(field, detail))
            }
        }
    }

    /// An integer from `low` that fits 32 bits.
    pub fn integer32(&mut self, field: &'static str, low: u32) -> Result<Option<u32>, RpcError> {
        let value = self.integer(field, u64::from(low)..=u64::from(u32::MAX))?;
        Ok(value.map(|value| u32::try_from(value).expect("the range above ends at u32::MAX")))
    }

    /// The required `job_id`.
    pub fn job_id(&mut self) -> Result<JobId, RpcError> {
        let text = self.text("job_id")?.ok_or(RpcError::MissingParam("job_id"))?;
        JobId::new(&text).map_err(|cause| RpcError::param("job_id", cause.to_string()))
    }
}

fn wrong_type(field: &'static str, expected: &str, got: &Value) -> RpcError {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    RpcError::param(field, format!("'{field}' must be {expected}, got {got}"))
}

/// `client_cwd`: the directory of the caller, to which its relative paths belong.
fn absolute_cwd(fields: &mut Fields) -> Result<Option<PathBuf>, RpcError> {
    let directory = fields.path("client_cwd")?;
    if directory.as_ref().is_some_and(|directory| !directory.is_absolute()) {
        return Err(RpcError::param("client_cwd", "'client_cwd' must be an absolute path"));
    }
    Ok(directory)
}

/// For methods without parameters: anything but an array is fine.
pub fn none(params: Params) -> Result<(), RpcError> {
    Fields::new(params).map(drop)
}
