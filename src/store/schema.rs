//! Tables and their migrations. The list only grows; an entry that was released is never edited.

use rusqlite::Connection;

/// Version that this program writes, kept in `user_version`.
#[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const VERSION: i64 = MIGRATIONS.len() as i64;

type Migration = fn(&Connection) -> rusqlite::Result<()>;

/// Entry `n` leads from version `n` to `n + 1`. Version 0 is an empty file or a database of the
/// first generations, which never set a version.
pub(super) const MIGRATIONS: &[Migration] = &[first, instruments];

/// Columns that came after the first nine, in the order in which they were added.
const LATER_COLUMNS: &[(&str, &str)] = &[
    ("current_sheet", "INTEGER"),
    ("total_sheets", "INTEGER"),
    ("last_event_at", "REAL"),
    ("log_path", "TEXT"),
    ("snapshot_path", "TEXT"),
    ("checkpoint_json", "TEXT"),
    ("hook_config_json", "TEXT"),
    ("hook_results_json", "TEXT"),
    ("chain_depth", "INTEGER"),
    ("held_chain_json", "TEXT"),
    ("request_json", "TEXT"),
    ("pause_reason", "TEXT"),
    ("error_traceback", "TEXT"),
    ("name", "TEXT"),
    ("priority", "INTEGER NOT NULL DEFAULT 0"),
    ("attempt_seq", "INTEGER NOT NULL DEFAULT 0"),
    ("progress_completed", "INTEGER"),
    ("progress_total", "INTEGER"),
    // Last, because it is long: listings never read the pages it spills to.
    ("state_json", "TEXT"),
];

fn first(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS jobs (
           job_id TEXT PRIMARY KEY, config_path TEXT NOT NULL, workspace TEXT NOT NULL,
           status TEXT NOT NULL DEFAULT 'queued', pid INTEGER,
           submitted_at REAL NOT NULL, started_at REAL, completed_at REAL, error_message TEXT);",
    )?;
    let present: Vec<String> = db
        .prepare("SELECT name FROM pragma_table_info('jobs')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for (column, kind) in LATER_COLUMNS {
        if !present.iter().any(|name| name == column) {
            db.execute_batch(&format!("ALTER TABLE jobs ADD COLUMN {column} {kind}"))?;
        }
    }
    db.execute_batch(
        "DROP INDEX IF EXISTS idx_jobs_status;
         DROP INDEX IF EXISTS idx_jobs_submitted;
         CREATE INDEX idx_jobs_submitted ON jobs (submitted_at);
         CREATE INDEX idx_jobs_status ON jobs (status, submitted_at);

         CREATE TABLE sheets (
           job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
           sheet_num INTEGER NOT NULL, status TEXT NOT NULL, data TEXT NOT NULL,
           PRIMARY KEY (job_id, sheet_num));

         CREATE TABLE attempts (
           job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
           attempt INTEGER NOT NULL, sheet_num INTEGER NOT NULL, token TEXT NOT NULL,
           status TEXT NOT NULL CHECK (status IN ('open', 'closed')), data TEXT NOT NULL,
           PRIMARY KEY (job_id, attempt));
         CREATE INDEX idx_attempts_open ON attempts (job_id, attempt) WHERE status = 'open';

         CREATE TABLE snapshots (
           job_id TEXT PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE, data TEXT NOT NULL);

         CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
    )
}

fn instruments(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE instruments (
           kind TEXT NOT NULL, instrument TEXT NOT NULL, model TEXT NOT NULL DEFAULT '', data TEXT NOT NULL,
           PRIMARY KEY (kind, instrument, model)) WITHOUT ROWID;",
    )
}
