//! The state database: one SQLite file, one writer, any number of readers.
//!
//! For: keeping every acknowledged job through `kill -9` and power loss, and answering reports
//! about jobs that are no longer in memory. Not for: deciding anything about jobs (that is
//! `exec`), the content of the JSON texts in its rows (that is `checkpoint`), or output of
//! programs (that stays in files; rows carry tails only).
//!
//! Invariants:
//! - Only [`Store`] writes, and only the conductor thread owns it: one transaction per turn.
//! - A batch is applied wholly or not at all, and stays with the caller, who can commit it again.
//! - A promised batch is on disk (`synchronous=FULL`) when [`Store::commit`] returns.
//! - Migrations are append-only; a database of a newer version is never touched; a corrupt one is
//!   set aside, never deleted.
//! - Nothing here opens the database file other than through SQLite: closing a second descriptor
//!   of it would drop SQLite's locks.

mod error;
mod list;
mod open;
mod reader;
mod rows;
mod schema;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{CommitError, OpenError, ReadError, Trouble};
pub use open::Opened;
pub use reader::Reader;
pub use rows::{AttemptRow, InstrumentRow, JobRow, JobSummary, SheetRow, StoredJob, Write, is_active};
pub use schema::VERSION;
pub use writer::Store;
