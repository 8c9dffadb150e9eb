//! Reading beside the writer: one read-only connection per request worker.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::ReadError;
use super::list;
use super::open;
use super::rows::{AttemptRow, JobRow, JobSummary, StoredJob};
use crate::ids::{JobId, SheetNo};

/// How long a read waits when SQLite recovers the log of a crashed process.
const READER_PATIENCE: Duration = Duration::from_secs(5);
/// Page cache of one reader in KiB.
const READER_CACHE_KIB: i32 = 256;

/// A read-only view. Sees everything that was committed before a question is asked. Connects at the
/// first question, and again when the file has become another one.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    db: Option<(Connection, (u64, u64))>,
}

impl Reader {
    /// A reader of the database at `path`. Opens nothing yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), db: None }
    }

    /// The row of a job.
    pub fn job(&mut self, id: &str) -> Result<Option<JobRow>, ReadError> {
        self.ask("a job", |db| list::job(db, id))
    }

    /// A job with its sheets, open attempts and score: what `job.status` shows of an ended job.
    pub fn job_state(&mut self, id: &str) -> Result<Option<StoredJob>, ReadError> {
        self.ask("a job", |db| {
            // One snapshot for the four questions, or a commit between them would show a mixture.
            let view = db.unchecked_transaction()?;
            list::stored(&view, id)
        })
    }

    /// Jobs with one of the statuses (none given = all), newest submission first; of equal ones the
    /// later row first.
    pub fn list(&mut self, statuses: &[&str], limit: u32, offset: u32) -> Result<Vec<JobSummary>, ReadError> {
        self.ask("the jobs", |db| {
            let view = db.unchecked_transaction()?;
            list::page(&view, statuses, limit, offset)
        })
    }

    /// How many jobs have which status.
    pub fn count_by_status(&mut self) -> Result<Vec<(String, u64)>, ReadError> {
        self.ask("the jobs", list::count_by_status)
    }

    /// Attempts of a job, or of one of its sheets, ascending.
    pub fn attempts(&mut self, job: &JobId, sheet: Option<SheetNo>) -> Result<Vec<AttemptRow>, ReadError> {
        self.ask("attempts", |db| list::attempts(db, job, sheet))
    }

    /// A value kept with [`super::Write::Meta`].
    pub fn meta(&mut self, key: &str) -> Result<Option<String>, ReadError> {
        self.ask("a setting", |db| list::meta(db, key))
    }

    fn ask<T>(
        &mut self,
        what: &'static str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        let answer = self.connection().and_then(question);
        if answer.is_err() {
            // Whatever it was, the next question starts with a new connection.
            self.db = None;
        }
        answer.map_err(|source| ReadError { what, path: self.path.clone(), source })
    }

    fn connection(&mut self) -> rusqlite::Result<&Connection> {
        let file = open::identity(&self.path).ok();
        let kept = self.db.take().filter(|(_, opened)| Some(*opened) == file);
        let (db, opened) = match kept {
            Some(kept) => kept,
            None => (self.connect()?, file.unwrap_or_default()),
        };
        Ok(&self.db.insert((db, opened)).0)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags)?;
        db.busy_timeout(READER_PATIENCE)?;
        db.set_prepared_statement_cache_capacity(12);
        db.execute_batch(&format!(
            "PRAGMA cache_size=-{READER_CACHE_KIB}; PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF;"
        ))?;
        Ok(db)
    }
}
