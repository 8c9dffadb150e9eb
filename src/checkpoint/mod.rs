//! What is stored of a job, and what is shown of it.
//!
//! One [`JobRecord`] and one [`SheetRecord`] per sheet, each a JSON text in a row of its own;
//! [`status_json`] is the checkpoint object that clients read.
//! Nothing here reads or writes a file: that is the store.
//!
//! Invariants: every record of this or an earlier schema version is read; unknown members are
//! ignored; an unknown state is an error, because guessing one could run a sheet twice.

mod movements;
mod record;
mod status;
#[cfg(test)]
mod tests;

pub use record::{JobRecord, RecordError, SCHEMA_VERSION, SheetRecord, StoredDeadline, StoredState};
pub use status::{Meta, attempt_json, sheet_json, status_json};
