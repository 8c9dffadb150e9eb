#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::ids::{AttemptNo, JobId, SheetNo, Token};
use crate::time::Wall;

const NOW: Wall = Wall(1_763_719_200_500);

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state").join("daemon-state.db");
    (directory, path)
}

fn open(path: &Path) -> Store {
    let opened = Store::open(path, NOW).unwrap();
    assert_eq!(opened.replaced, None);
    opened.store
}

fn id(text: &str) -> JobId {
    JobId::new(text).unwrap()
}

fn row(name: &str, status: &str, at: i64) -> JobRow {
    let mut row = JobRow::new(id(name), format!("/scores/{name}.yaml"), "/ws".into(), Wall(at));
    row.summary.status = status.into();
    row.state_json = Some("{}".into());
    row
}

fn upsert(row: &JobRow) -> Write {
    Write::UpsertJob(Box::new(row.clone()))
}

fn sheet(job: &str, num: u32, status: &str) -> Write {
    Write::Sheet { job: id(job), num: SheetNo(num), status: status.into(), data: format!("{{\"n\":{num}}}") }
}

fn token() -> Token {
    Token::from_bytes([7; 16])
}

fn attempt(job: &str, attempt: u32, open: bool) -> Write {
    let (job, attempt, sheet, data) = (id(job), AttemptNo(attempt), SheetNo(1), "{}".to_owned());
    match open {
        true => Write::OpenAttempt { job, attempt, sheet, token: token(), data },
        false => Write::CloseAttempt { job, attempt, sheet, token: token(), data },
    }
}

fn trouble(result: Result<(), CommitError>) -> Trouble {
    result.unwrap_err().trouble
}

#[test]
fn what_was_committed_is_there_after_a_crash() {
    let (_keep, path) = place();
    let mut job = row("a", "running", 5000);
    job.summary.started_at = Some(Wall(5001));
    job.summary.priority = -3;
    job.summary.name = Some("A score".into());
    job.request_json = Some("{\"fresh\":true}".into());
    job.attempt_seq = 2;
    let mut store = open(&path);
    let batch = [
        upsert(&job),
        sheet("a", 2, "pending"),
        sheet("a", 1, "in_progress"),
        attempt("a", 1, false),
        attempt("a", 2, true),
        Write::Snapshot { job: id("a"), data: "score".into() },
        Write::Meta { key: "k".into(), value: "v".into() },
    ];
    store.commit(&batch, true).unwrap();
    // A copy of the files as they are now is what a killed conductor leaves behind.
    let copy = path.parent().unwrap().join("copy.db");
    fs::copy(&path, &copy).unwrap();
    fs::copy(format!("{}-wal", path.display()), format!("{}-wal", copy.display())).unwrap();

    for store in [store, open(&copy)] {
        let jobs = store.active_jobs().unwrap();
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs[0].row, job);
        let sheets: Vec<_> =
            jobs[0].sheets.iter().map(|sheet| (sheet.num.0, sheet.status.as_str())).collect();
        assert_eq!(sheets, [(1, "in_progress"), (2, "pending")]);
        assert_eq!(jobs[0].open_attempts.len(), 1);
        assert_eq!(jobs[0].open_attempts[0].attempt, AttemptNo(2));
        assert_eq!(jobs[0].open_attempts[0].token, token().as_str());
        assert_eq!(jobs[0].snapshot.as_deref(), Some("score"));
        assert_eq!(store.meta("k").unwrap().as_deref(), Some("v"));
    }
}

#[test]
fn the_files_are_for_the_owner_only() {
    let (_keep, path) = place();
    let mut store = open(&path);
    store.commit(&[upsert(&row("a", "queued", 1))], true).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&PathBuf::from(format!("{}-wal", path.display()))), 0o600);
}

#[test]
fn a_fresh_run_drops_the_state_and_keeps_the_attempt_number() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let mut job = row("a", "failed", 1000);
    job.attempt_seq = 9;
    store.commit(&[upsert(&job), sheet("a", 1, "failed"), attempt("a", 9, true)], true).unwrap();
    let again = row("a", "queued", 2000);
    store.commit(&[Write::DropState(id("a")), upsert(&again)], true).unwrap();
    let jobs = store.active_jobs().unwrap();
    assert_eq!(jobs[0].row.attempt_seq, 9);
    assert_eq!(jobs[0].row.summary.submitted_at, Wall(2000));
    assert!(jobs[0].sheets.is_empty() && jobs[0].open_attempts.is_empty());
}

#[test]
fn a_job_that_goes_on_keeps_the_history_of_its_attempts() {
    let (_keep, path) = place();
    let mut store = open(&path);
    store
        .commit(&[upsert(&row("a", "failed", 1000)), sheet("a", 2, "failed"), attempt("a", 9, false)], true)
        .unwrap();
    store
        .commit(
            &[upsert(&row("a", "queued", 2000)), Write::DropSheets(id("a")), sheet("a", 1, "pending")],
            true,
        )
        .unwrap();
    let jobs = store.active_jobs().unwrap();
    let sheets: Vec<u32> = jobs[0].sheets.iter().map(|sheet| sheet.num.0).collect();
    assert_eq!(sheets, [1]);
    assert_eq!(Reader::new(&path).attempts(&id("a"), None).unwrap().len(), 1);
}

#[test]
fn rows_of_a_job_that_is_gone_do_not_stop_a_batch() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let lost = [sheet("ghost", 1, "failed"), attempt("ghost", 1, true)];
    store.commit(&lost, false).unwrap();
    store.commit(&[Write::Snapshot { job: id("ghost"), data: "x".into() }], false).unwrap();
    let mut reader = Reader::new(&path);
    assert_eq!(reader.job_state("ghost").unwrap(), None);
    assert!(reader.attempts(&id("ghost"), None).unwrap().is_empty());
}

#[test]
fn a_locked_database_is_busy_and_recovers() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = [upsert(&row("a", "queued", 1))];
    assert_eq!(trouble(store.commit(&batch, true)), Trouble::Busy);
    assert_eq!(store.active_jobs().unwrap(), [], "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&batch, true).unwrap();
    assert_eq!(store.active_jobs().unwrap().len(), 1);
}

// Invariant I84
#[test]
fn a_full_disk_takes_nothing_of_a_batch_and_recovers() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let pages: i64 = store.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.connection().query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(())).unwrap();
    let long = Write::Meta { key: "long".into(), value: "x".repeat(1 << 20) };
    let batch = [Write::Meta { key: "short".into(), value: "x".into() }, long];
    assert_eq!(trouble(store.commit(&batch, true)), Trouble::Full);
    assert_eq!(store.meta("short").unwrap(), None);
    store.connection().query_row("PRAGMA max_page_count=100000", [], |_| Ok(())).unwrap();
    store.commit(&batch, true).unwrap();
    assert_eq!(store.meta("short").unwrap().as_deref(), Some("x"));
}

#[test]
fn a_database_that_cannot_be_written_says_so() {
    let (_keep, path) = place();
    let mut store = open(&path);
    store.connection().execute_batch("PRAGMA query_only=ON").unwrap();
    let batch = [upsert(&row("a", "queued", 1))];
    assert_eq!(trouble(store.commit(&batch, true)), Trouble::ReadOnly);
    store.connection().execute_batch("PRAGMA query_only=OFF").unwrap();
    store.commit(&batch, true).unwrap();
}

#[test]
fn a_place_where_nothing_can_be_made_is_named() {
    let (keep, _) = place();
    let file = keep.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("state.db"), NOW).unwrap_err();
    assert!(matches!(error, OpenError::Create { .. }), "{error}");
    assert!(error.to_string().contains("file/state.db"), "{error}");

    let closed = keep.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    match Store::open(&closed.join("state.db"), NOW) {
        Err(error) => assert!(matches!(error, OpenError::Create { .. }), "{error}"),
        Ok(_) => eprintln!("note: permissions do not bind this user; the read-only directory was not tested"),
    }
}

#[test]
fn a_deleted_file_is_written_again_with_everything() {
    let (_keep, path) = place();
    let mut store = open(&path);
    store.commit(&[upsert(&row("old", "running", 1)), sheet("old", 1, "pending")], true).unwrap();
    let mut reader = Reader::new(&path);
    assert_eq!(reader.list(&[], 10, 0).unwrap().len(), 1);
    fs::remove_file(&path).unwrap();
    store.commit(&[upsert(&row("new", "running", 2))], true).unwrap();
    let names: Vec<_> = reader.list(&[], 10, 0).unwrap().into_iter().map(|job| job.job_id).collect();
    assert_eq!(names, [id("new"), id("old")]);
    drop(store);
    let jobs = open(&path).active_jobs().unwrap();
    assert_eq!(jobs.len(), 2);
    assert_eq!(jobs[0].sheets.len(), 1);
}

#[test]
fn a_file_that_took_its_place_is_not_written() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    let batch = [upsert(&row("a", "queued", 1))];
    assert_eq!(trouble(store.commit(&batch, true)), Trouble::Replaced);
    fs::rename(&aside, &path).unwrap();
    store.commit(&batch, true).unwrap();
}

#[test]
fn a_damaged_file_is_set_aside_and_replaced() {
    let (_keep, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "this is no database at all, and longer than a header".repeat(100)).unwrap();
    for expected in ["daemon-state.db.corrupt-1763719200", "daemon-state.db.corrupt-1763719200.1"] {
        let opened = Store::open(&path, NOW).unwrap();
        let aside = opened.replaced.unwrap();
        assert_eq!(aside.file_name().unwrap(), expected);
        assert!(aside.exists());
        let mut store = opened.store;
        store.commit(&[upsert(&row("a", "queued", 1))], true).unwrap();
        store.close().unwrap();
        // Next round: a valid header and schema, but broken pages behind it.
        let mut bytes = fs::read(&path).unwrap();
        let start = bytes.len() / 3;
        bytes[start..].fill(0x55);
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_newer_database_is_not_touched() {
    let (_keep, path) = place();
    open(&path).close().unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Store::open(&path, NOW).unwrap_err();
    assert!(error.to_string().starts_with("State database is newer than this version"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

fn first_generation(path: &Path, more: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let db = Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "PRAGMA journal_mode=WAL;
         CREATE TABLE jobs (job_id TEXT PRIMARY KEY, config_path TEXT NOT NULL, workspace TEXT NOT NULL,
           status TEXT NOT NULL DEFAULT 'queued', pid INTEGER, submitted_at REAL NOT NULL, started_at REAL,
           completed_at REAL, error_message TEXT{more});
         CREATE INDEX idx_jobs_status ON jobs (status);
         CREATE INDEX idx_jobs_submitted ON jobs (submitted_at DESC);
         INSERT INTO jobs (job_id, config_path, workspace, status, submitted_at)
           VALUES ('ran', '/s.yaml', '/w', 'running', 1700000000.25), ('odd', '/s.yaml', '/w', 'levitating', 3),
             ('done', '/s.yaml', '/w', 'completed', 2), ('bad name', '/s.yaml', '/w', 'completed', 1);"
    ))
    .unwrap();
}

#[test]
fn databases_of_the_first_generations_open_and_migrate() {
    for more in ["", ", current_sheet INTEGER, total_sheets INTEGER, checkpoint_json TEXT, surprise TEXT"] {
        let (_keep, path) = place();
        first_generation(&path, more);
        for _ in 0..2 {
            let mut store = open(&path);
            let jobs = store.active_jobs().unwrap();
            assert_eq!(jobs.len(), 1);
            assert_eq!(jobs[0].row.summary.submitted_at, Wall(1_700_000_000_250));
            assert_eq!(jobs[0].row.state_json, None);
            let shown: Vec<_> = Reader::new(&path).list(&[], 10, 0).unwrap();
            let shown: Vec<_> = shown.iter().map(|job| (job.job_id.as_str(), job.status.as_str())).collect();
            assert_eq!(shown, [("ran", "running"), ("odd", "levitating"), ("done", "completed")]);
            store.commit(&[upsert(&jobs[0].row), sheet("ran", 1, "pending")], true).unwrap();
        }
        assert!(path.with_file_name("daemon-state.db.bak-v0").exists());
    }
}

#[test]
fn lists_are_newest_first_and_filtered() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let jobs = [("a", "completed", 1), ("b", "failed", 3), ("c", "completed", 3), ("d", "running", 2)];
    let batch: Vec<_> = jobs.iter().map(|(name, status, at)| upsert(&row(name, status, *at))).collect();
    store.commit(&batch, false).unwrap();
    let mut reader = Reader::new(&path);
    let mut names = |statuses: &[&str], limit, offset| -> String {
        let page = reader.list(statuses, limit, offset).unwrap();
        page.iter().map(|job| job.job_id.as_str().to_owned()).collect()
    };
    assert_eq!(names(&[], 10, 0), "cbda");
    assert_eq!(names(&[], 2, 1), "bd");
    assert_eq!(names(&["completed", "failed", "completed"], 10, 0), "cba");
    assert_eq!(names(&["completed", "failed"], 1, 1), "b");
    assert_eq!(names(&["nothing"], 10, 0), "");
    let counts = reader.count_by_status().unwrap();
    assert_eq!(counts, [("completed".into(), 2), ("failed".into(), 1), ("running".into(), 1)]);
}

#[test]
fn attempts_are_listed_per_job_and_sheet() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let batch = [
        upsert(&row("a", "running", 1)),
        attempt("a", 1, true),
        attempt("a", 1, false),
        attempt("a", 2, true),
    ];
    store.commit(&batch, true).unwrap();
    let mut reader = Reader::new(&path);
    let all = reader.attempts(&id("a"), None).unwrap();
    assert_eq!(all.iter().map(|a| (a.attempt.0, a.open)).collect::<Vec<_>>(), [(1, false), (2, true)]);
    assert!(reader.attempts(&id("a"), Some(SheetNo(2))).unwrap().is_empty());
}

#[test]
fn a_listed_job_is_an_entry_of_job_list() {
    let mut job = row("demo", "running", 1_763_719_200_500);
    job.summary.total_sheets = Some(2);
    job.summary.progress_total = Some(2);
    let entry = serde_json::to_value(&job.summary).unwrap();
    assert_eq!(entry["submitted_at"].as_f64(), Some(1_763_719_200.5));
    assert!(entry["completed_at"].is_null() && entry.get("completed_at").is_some());
    assert_eq!(entry["progress_total"], 2);
    assert!(entry.get("error_message").is_none() && entry.get("priority").is_none());
}

#[test]
fn ten_thousand_jobs_are_listed_from_an_index() {
    let (_keep, path) = place();
    let mut store = open(&path);
    let batch: Vec<_> = (0..10_000)
        .map(|n| {
            let status = if n % 3 == 0 { "failed" } else { "completed" };
            let mut row = row(&format!("job-{n}"), status, n);
            row.state_json = Some("x".repeat(3000));
            upsert(&row)
        })
        .collect();
    store.commit(&batch, false).unwrap();
    let mut reader = Reader::new(&path);
    assert_eq!(reader.list(&[], 100, 0).unwrap().len(), 100);
    for statuses in [&[][..], &["failed"], &["failed", "completed"], &["running"]] {
        let start = Instant::now();
        let found = reader.list(statuses, 100, 0).unwrap().len();
        eprintln!("note: first 100 of 10,000 {statuses:?}: {found} in {:?}", start.elapsed());
    }
    let start = Instant::now();
    reader.count_by_status().unwrap();
    eprintln!("note: counted in {:?}", start.elapsed());
    let plan = |sql: &str| -> String {
        let db = store.connection();
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let mut lines = db.prepare(&sql).unwrap();
        let lines: Vec<String> = lines.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        lines.join("\n")
    };
    for filter in ["", "WHERE status = 'failed' "] {
        let plan = plan(&format!(
            "SELECT submitted_at, rowid FROM jobs {filter}ORDER BY submitted_at DESC, rowid DESC LIMIT 100"
        ));
        assert!(plan.contains("COVERING INDEX") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
    let start = Instant::now();
    drop(store);
    let store = open(&path);
    eprintln!("note: opened after a crash in {:?}", start.elapsed());
    store.close().unwrap();
    let start = Instant::now();
    let store = open(&path);
    eprintln!("note: opened after a clean end in {:?}", start.elapsed());
    assert!(store.active_jobs().unwrap().is_empty());
}

#[test]
fn instruments_are_replaced_as_a_whole() {
    let (_directory, path) = place();
    let mut store = open(&path);
    assert_eq!(store.instruments().unwrap(), []);
    let row = |kind: &str, model: &str| InstrumentRow {
        kind: kind.into(),
        instrument: "cli".into(),
        model: model.into(),
        data: "{}".into(),
    };
    store.commit(&[Write::Instruments(vec![row("limit", ""), row("breaker", "big")])], false).unwrap();
    drop(store);
    let mut store = open(&path);
    assert_eq!(store.instruments().unwrap(), [row("breaker", "big"), row("limit", "")]);
    store.commit(&[Write::Instruments(vec![row("limit", "big")])], false).unwrap();
    assert_eq!(store.instruments().unwrap(), [row("limit", "big")]);
}

#[test]
fn a_database_of_the_first_version_gets_the_instruments() {
    let (_directory, path) = place();
    let mut store = open(&path);
    store.commit(&[upsert(&row("job", "paused", 1))], true).unwrap();
    drop(store);
    let db = Connection::open(&path).unwrap();
    db.execute_batch("DROP TABLE instruments").unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    let mut store = open(&path);
    assert!(path.with_file_name("daemon-state.db.bak-v1").exists());
    assert_eq!(store.active_jobs().unwrap().len(), 1);
    store.commit(&[Write::Instruments(Vec::new())], true).unwrap();
}
