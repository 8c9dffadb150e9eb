//! The one writer: a turn's batch in, one transaction out.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::error::{CommitError, OpenError, ReadError, Trouble};
use super::list;
use super::open::{self, OPEN_MARK, Opened};
use super::rows::{InstrumentRow, JobRow, StoredJob, Write};
use crate::time::Wall;

/// The writing connection. Owned by the conductor thread.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
    /// (device, inode) at open.
    file: (u64, u64),
    /// `synchronous` is FULL right now.
    full: bool,
}

impl Store {
    /// Opens, checks, and if need be creates or migrates the database at `path`.
    ///
    /// Makes its directory (0700) and file (0600). A damaged file is renamed to
    /// `<name>.corrupt-<unix seconds of now>` and replaced by an empty one, which is reported in
    /// [`Opened::replaced`]. A database with an older version is first copied to `<name>.bak-v<n>`.
    /// Databases up to 4 MiB are always checked (`quick_check`), those up to 256 MiB when their last
    /// conductor did not end with [`Store::close`].
    pub fn open(path: &Path, now: Wall) -> Result<Opened, OpenError> {
        open::open(path, now)
    }

    pub(super) fn over(db: Connection, path: PathBuf, file: (u64, u64)) -> Self {
        Self { db, path, file, full: true }
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Applies a batch in order in one transaction.
    ///
    /// `promised`: somebody is told, or something is started, because of it; then it is on disk
    /// when this returns. Otherwise it survives the death of any process, but the last such batches
    /// may be lost when the machine loses power. Waits at most 100 ms for another writer. After an
    /// error nothing of the batch is in the database and the same batch can be committed again.
    ///
    /// Each commit looks whether the file is still there (about a microsecond). A deleted file is
    /// written again with everything that was in it; a file that another one has replaced is
    /// [`Trouble::Replaced`] until it is back.
    pub fn commit(&mut self, batch: &[Write], promised: bool) -> Result<(), CommitError> {
        if batch.is_empty() {
            return Ok(());
        }
        match open::identity(&self.path) {
            Ok(file) if file == self.file => (),
            Ok(_) => return Err(self.failed(Trouble::Replaced, None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.write_again()?,
            // It cannot be looked at; SQLite finds out what that means.
            Err(_) => (),
        }
        let done = self.apply(batch, promised);
        if !self.db.is_autocommit() {
            // Leaves the connection usable: an open transaction would make the next BEGIN fail.
            if let Err(error) = self.db.execute_batch("ROLLBACK") {
                log::error!("registry.rollback_failed error={error}");
            }
        }
        done.map_err(|source| self.failed(Trouble::of(&source), Some(source)))
    }

    /// All jobs that are not over, oldest submission first, with what is needed to go on with them.
    pub fn active_jobs(&self) -> Result<Vec<StoredJob>, ReadError> {
        list::active(&self.db).map_err(|source| self.unread("the active jobs", source))
    }

    /// The row of a job: what a re-submission needs to know (its last attempt number, when it ended).
    pub fn job(&self, id: &str) -> Result<Option<JobRow>, ReadError> {
        list::job(&self.db, id).map_err(|source| self.unread("a job", source))
    }

    /// What was kept with [`Write::Instruments`].
    pub fn instruments(&self) -> Result<Vec<InstrumentRow>, ReadError> {
        list::instruments(&self.db).map_err(|source| self.unread("the instruments", source))
    }

    /// A value kept with [`Write::Meta`].
    pub fn meta(&self, key: &str) -> Result<Option<String>, ReadError> {
        list::meta(&self.db, key).map_err(|source| self.unread("a setting", source))
    }

    /// Ends an orderly life: the next start need not look for damage. Dropping a store instead is
    /// safe, too; the next start then checks the file.
    pub fn close(self) -> Result<(), CommitError> {
        let Self { db, path, .. } = self;
        let done = db
            .execute("DELETE FROM meta WHERE key = ?1", [OPEN_MARK])
            .and_then(|_| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        // The statements of the cache go with the connection, so it closes.
        drop(db);
        done.map_err(|source| CommitError { trouble: Trouble::of(&source), path, source: Some(source) })
    }

    pub(super) fn mark_open(&self, now: Wall) -> rusqlite::Result<()> {
        // Lost with the power together with everything written after it, so it need not be synced.
        self.db.execute_batch("PRAGMA synchronous=NORMAL")?;
        self.db.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            params![OPEN_MARK, now.to_string()],
        )?;
        self.db.execute_batch("PRAGMA synchronous=FULL")
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.db
    }

    fn failed(&self, trouble: Trouble, source: Option<rusqlite::Error>) -> CommitError {
        CommitError { trouble, path: self.path.clone(), source }
    }

    fn unread(&self, what: &'static str, source: rusqlite::Error) -> ReadError {
        ReadError { what, path: self.path.clone(), source }
    }

    /// The file was deleted under us, but our descriptors still hold all of it: write it again.
    fn write_again(&mut self) -> Result<(), CommitError> {
        let again = (|| {
            for companion in ["-wal", "-shm"] {
                // Those of the deleted file would be taken for those of the new one.
                _ = fs::remove_file(open::suffixed(&self.path, companion));
            }
            if let Some(directory) = self.path.parent() {
                _ = fs::create_dir_all(directory);
            }
            // Under another name first: half a copy must never be taken for the database.
            let copy = open::suffixed(&self.path, ".new");
            _ = fs::remove_file(&copy);
            self.db.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
            _ = fs::set_permissions(&copy, Permissions::from_mode(0o600));
            if let Err(error) = fs::rename(&copy, &self.path) {
                log::error!("registry.rename_failed path={} error={error}", self.path.display());
            }
            let db = open::connect(&self.path)?;
            open::prepare(&db)?;
            Ok(db)
        })();
        let db = again.map_err(|source| self.failed(Trouble::of(&source), Some(source)))?;
        self.file = open::identity(&self.path).map_err(|_| self.failed(Trouble::Io, None))?;
        self.db = db;
        self.full = true;
        log::error!("registry.file_deleted path={} action=written_again", self.path.display());
        Ok(())
    }

    fn apply(&mut self, batch: &[Write], promised: bool) -> rusqlite::Result<()> {
        if self.full != promised {
            let level = if promised { "PRAGMA synchronous=FULL" } else { "PRAGMA synchronous=NORMAL" };
            self.db.execute_batch(level)?;
            self.full = promised;
        }
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for write in batch {
            self.apply_one(write)?;
        }
        self.db.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn apply_one(&self, write: &Write) -> rusqlite::Result<()> {
        let db = &self.db;
        match write {
            Write::UpsertJob(row) => upsert_job(db, row),
            Write::Sheet { job, num, status, data } => {
                db.prepare_cached(UPSERT_SHEET)?.execute(params![job.as_str(), num.0, status, data]).map(drop)
            }
            Write::OpenAttempt { job, attempt, sheet, token, data } => db
                .prepare_cached(UPSERT_ATTEMPT)?
                .execute(params![job.as_str(), attempt.0, sheet.0, token.as_str(), "open", data])
                .map(drop),
            Write::CloseAttempt { job, attempt, sheet, token, data } => db
                .prepare_cached(UPSERT_ATTEMPT)?
                .execute(params![job.as_str(), attempt.0, sheet.0, token.as_str(), "closed", data])
                .map(drop),
            Write::Snapshot { job, data } => {
                db.prepare_cached(UPSERT_SNAPSHOT)?.execute(params![job.as_str(), data]).map(drop)
            }
            Write::DropState(job) => {
                db.prepare_cached("DELETE FROM sheets WHERE job_id = ?1")?.execute([job.as_str()])?;
                db.prepare_cached("DELETE FROM attempts WHERE job_id = ?1")?.execute([job.as_str()]).map(drop)
            }
            Write::DropSheets(job) => {
                db.prepare_cached("DELETE FROM sheets WHERE job_id = ?1")?.execute([job.as_str()]).map(drop)
            }
            Write::Instruments(rows) => {
                db.prepare_cached("DELETE FROM instruments")?.execute([])?;
                let mut insert = db.prepare_cached(
                    "INSERT OR REPLACE INTO instruments (kind, instrument, model, data) VALUES (?1, ?2, ?3, ?4)",
                )?;
                for InstrumentRow { kind, instrument, model, data } in rows {
                    insert.execute([kind, instrument, model, data])?;
                }
                Ok(())
            }
            Write::Meta { key, value } => db
                .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute([key, value])
                .map(drop),
        }
    }
}

// A row of a job that is not there is left out instead of breaking a foreign key: a batch that can
// never be committed would stop the conductor for good.
const UPSERT_SHEET: &str = "INSERT INTO sheets (job_id, sheet_num, status, data)
     SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM jobs WHERE job_id = ?1)
     ON CONFLICT (job_id, sheet_num) DO UPDATE SET status = excluded.status, data = excluded.data";

const UPSERT_ATTEMPT: &str = "INSERT INTO attempts (job_id, attempt, sheet_num, token, status, data)
     SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM jobs WHERE job_id = ?1)
     ON CONFLICT (job_id, attempt) DO UPDATE SET sheet_num = excluded.sheet_num, token = excluded.token,
       status = excluded.status, data = excluded.data";

const UPSERT_SNAPSHOT: &str = "INSERT INTO snapshots (job_id, data)
     SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM jobs WHERE job_id = ?1)
     ON CONFLICT (job_id) DO UPDATE SET data = excluded.data";

const UPSERT_JOB: &str = "INSERT INTO jobs (job_id, status, config_path, workspace, submitted_at, started_at,
       completed_at, pid, current_sheet, total_sheets, progress_completed, progress_total, error_message,
       error_traceback, chain_depth, log_path, snapshot_path, name, priority, pause_reason, last_event_at,
       hook_config_json, hook_results_json, held_chain_json, request_json, attempt_seq, state_json)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
       ?22, ?23, ?24, ?25, ?26, ?27)
     ON CONFLICT (job_id) DO UPDATE SET status = excluded.status, config_path = excluded.config_path,
       workspace = excluded.workspace, submitted_at = excluded.submitted_at, started_at = excluded.started_at,
       completed_at = excluded.completed_at, pid = excluded.pid, current_sheet = excluded.current_sheet,
       total_sheets = excluded.total_sheets, progress_completed = excluded.progress_completed,
       progress_total = excluded.progress_total, error_message = excluded.error_message,
       error_traceback = excluded.error_traceback, chain_depth = excluded.chain_depth,
       log_path = excluded.log_path, snapshot_path = excluded.snapshot_path, name = excluded.name,
       priority = excluded.priority, pause_reason = excluded.pause_reason,
       last_event_at = excluded.last_event_at, hook_config_json = excluded.hook_config_json,
       hook_results_json = excluded.hook_results_json, held_chain_json = excluded.held_chain_json,
       request_json = excluded.request_json, attempt_seq = MAX(attempt_seq, excluded.attempt_seq),
       state_json = excluded.state_json";

fn upsert_job(db: &Connection, row: &JobRow) -> rusqlite::Result<()> {
    let job = &row.summary;
    db.prepare_cached(UPSERT_JOB)?
        .execute(params![
            job.job_id.as_str(),
            job.status,
            job.config_path,
            job.workspace,
            job.submitted_at.unix_seconds(),
            job.started_at.map(Wall::unix_seconds),
            job.completed_at.map(Wall::unix_seconds),
            job.pid,
            job.current_sheet,
            job.total_sheets,
            job.progress_completed,
            job.progress_total,
            job.error_message,
            job.error_traceback,
            job.chain_depth,
            job.log_path,
            job.snapshot_path,
            job.name,
            job.priority,
            job.pause_reason,
            job.last_event_at.map(Wall::unix_seconds),
            row.hook_config_json,
            row.hook_results_json,
            row.held_chain_json,
            row.request_json,
            row.attempt_seq,
            row.state_json,
        ])
        .map(drop)
}
