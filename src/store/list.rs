//! Questions that both the writer and the readers ask, over any connection.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{
    self, ACTIVE, AttemptRow, InstrumentRow, JobRow, JobSummary, ROW_COLUMNS, SUMMARY_COLUMNS, SheetRow,
    StoredJob,
};
use crate::ids::{JobId, SheetNo};

/// Place of a row in "newest first": later submissions, then later rows.
type Place = (f64, i64);

pub(super) fn job(db: &Connection, id: &str) -> rusqlite::Result<Option<JobRow>> {
    let sql = format!("SELECT {ROW_COLUMNS} FROM jobs WHERE job_id = ?1");
    Ok(db.prepare_cached(&sql)?.query_row([id], rows::job).optional()?.flatten())
}

pub(super) fn stored(db: &Connection, id: &str) -> rusqlite::Result<Option<StoredJob>> {
    let Some(row) = job(db, id)? else { return Ok(None) };
    let sheets = db
        .prepare_cached("SELECT sheet_num, status, data FROM sheets WHERE job_id = ?1 ORDER BY sheet_num")?
        .query_map([id], |row| {
            Ok(SheetRow { num: SheetNo(row.get(0)?), status: row.get(1)?, data: row.get(2)? })
        })?
        .collect::<Result<_, _>>()?;
    let open_attempts = db
        .prepare_cached(
            "SELECT attempt, sheet_num, token, status, data FROM attempts
             WHERE job_id = ?1 AND status = 'open' ORDER BY attempt",
        )?
        .query_map([id], rows::attempt)?
        .collect::<Result<_, _>>()?;
    let snapshot = db
        .prepare_cached("SELECT data FROM snapshots WHERE job_id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(Some(StoredJob { row, sheets, open_attempts, snapshot }))
}

/// All jobs that are not over, oldest first.
pub(super) fn active(db: &Connection) -> rusqlite::Result<Vec<StoredJob>> {
    let mut places: Vec<(f64, i64, String)> = Vec::new();
    let mut statement =
        db.prepare_cached("SELECT submitted_at, rowid, job_id FROM jobs WHERE status = ?1")?;
    for status in ACTIVE {
        for place in statement.query_map([status], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))? {
            places.push(place?);
        }
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut jobs = Vec::with_capacity(places.len());
    for (_, _, id) in places {
        jobs.extend(stored(db, &id)?);
    }
    Ok(jobs)
}

/// Newest first. The places come from an index alone; only the rows that are shown are read.
pub(super) fn page(
    db: &Connection,
    statuses: &[&str],
    limit: u32,
    offset: u32,
) -> rusqlite::Result<Vec<JobSummary>> {
    let place = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Place> { Ok((row.get(0)?, row.get(1)?)) };
    let mut places: Vec<Place> = Vec::new();
    if statuses.is_empty() {
        let mut statement = db.prepare_cached(
            "SELECT submitted_at, rowid FROM jobs ORDER BY submitted_at DESC, rowid DESC LIMIT ?1 OFFSET ?2",
        )?;
        for found in statement.query_map([limit, offset], place)? {
            places.push(found?);
        }
    } else {
        let mut statement = db.prepare_cached(
            "SELECT submitted_at, rowid FROM jobs WHERE status = ?1
             ORDER BY submitted_at DESC, rowid DESC LIMIT ?2",
        )?;
        let most = i64::from(limit) + i64::from(offset);
        for (index, status) in statuses.iter().enumerate() {
            if statuses[..index].contains(status) {
                continue;
            }
            for found in statement.query_map(params![status, most], place)? {
                places.push(found?);
            }
        }
        places.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
        places = places.into_iter().skip(offset as usize).take(limit as usize).collect();
    }
    let sql = format!("SELECT {SUMMARY_COLUMNS} FROM jobs WHERE rowid = ?1");
    let mut statement = db.prepare_cached(&sql)?;
    let mut page = Vec::with_capacity(places.len());
    for (_, rowid) in places {
        page.extend(statement.query_row([rowid], rows::summary).optional()?.flatten());
    }
    Ok(page)
}

pub(super) fn count_by_status(db: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    db.prepare_cached("SELECT status, COUNT(*) FROM jobs GROUP BY status")?
        .query_map([], |row| {
            let count: i64 = row.get(1)?;
            Ok((row.get(0)?, u64::try_from(count).unwrap_or(0)))
        })?
        .collect()
}

pub(super) fn attempts(
    db: &Connection,
    job: &JobId,
    sheet: Option<SheetNo>,
) -> rusqlite::Result<Vec<AttemptRow>> {
    db.prepare_cached(
        "SELECT attempt, sheet_num, token, status, data FROM attempts
         WHERE job_id = ?1 AND (?2 IS NULL OR sheet_num = ?2) ORDER BY attempt",
    )?
    .query_map(params![job.as_str(), sheet.map(|sheet| sheet.0)], rows::attempt)?
    .collect()
}

pub(super) fn meta(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn instruments(db: &Connection) -> rusqlite::Result<Vec<InstrumentRow>> {
    db.prepare_cached(
        "SELECT kind, instrument, model, data FROM instruments ORDER BY kind, instrument, model",
    )?
    .query_map([], |row| {
        Ok(InstrumentRow {
            kind: row.get(0)?,
            instrument: row.get(1)?,
            model: row.get(2)?,
            data: row.get(3)?,
        })
    })?
    .collect()
}
