//! Opening: directory, file mode, damage, versions, migrations.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{OpenError, Trouble};
use super::list;
use super::schema::{MIGRATIONS, VERSION};
use super::writer::Store;
use crate::time::Wall;

/// How long a commit waits for another writer. Short: the conductor thread waits here.
const WRITER_PATIENCE: Duration = Duration::from_millis(100);
/// Databases up to this size are always checked; it takes a few milliseconds.
const ALWAYS_CHECKED: u64 = 4 << 20;
/// Larger ones are checked after an unclean end, up to this size; above it SQLite still notices
/// damage when it meets it.
const CHECKED_AFTER_CRASH: u64 = 256 << 20;
/// Page cache of the writer in KiB. An idle conductor has a budget of 8 MB for everything.
const WRITER_CACHE_KIB: i32 = 512;
/// In `meta` while a conductor has the database open: still there at the next start after a crash.
pub(super) const OPEN_MARK: &str = "open";

/// A database ready for use.
#[derive(Debug)]
pub struct Opened {
    /// The writer.
    pub store: Store,
    /// Where a damaged database was put when it had to be replaced by an empty one. To be reported
    /// as an error; the file is never deleted.
    pub replaced: Option<PathBuf>,
}

/// (device, inode) of a file: another pair means another file under the same name.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = fs::metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

pub(super) fn open(path: &Path, now: Wall) -> Result<Opened, OpenError> {
    create(path).map_err(|source| OpenError::Create { path: path.to_owned(), source })?;
    let sqlite = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let (db, replaced) = match healthy(path) {
        Ok(db) => (db, None),
        Err(error) if Trouble::of(&error) == Trouble::Corrupt => {
            let aside = set_aside(path, now)
                .and_then(|aside| create(path).map(|()| aside))
                .map_err(|source| OpenError::SetAside { path: path.to_owned(), source })?;
            (healthy(path).map_err(sqlite)?, Some(aside))
        }
        Err(error) => return Err(sqlite(error)),
    };
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    if found > VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    prepare(&db).map_err(sqlite)?;
    migrate(&db, path, found).map_err(sqlite)?;
    let file = identity(path).map_err(|source| OpenError::Create { path: path.to_owned(), source })?;
    let store = Store::over(db, path.to_owned(), file);
    store.mark_open(now).map_err(sqlite)?;
    Ok(Opened { store, replaced })
}

/// The connection alone, without creating, checking or migrating anything.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(WRITER_PATIENCE)?;
    Ok(db)
}

/// Settings of the writer's connection.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(24);
    let mode: String = db.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        log::warn!("registry.no_wal mode={mode}");
    }
    db.execute_batch(&format!(
        "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-{WRITER_CACHE_KIB};
         PRAGMA mmap_size=0; PRAGMA journal_size_limit=4194304; PRAGMA trusted_schema=OFF;"
    ))
}

/// Makes the directory (0700) and the file (0600) before SQLite would make them for everybody.
fn create(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                // A database of an older program, made under a generous umask. Tightening it can
                // only fail when it is not ours, and then SQLite says so better.
                _ = fs::set_permissions(path, Permissions::from_mode(0o600));
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// A connection to a database that can be read and is not visibly damaged.
fn healthy(path: &Path) -> rusqlite::Result<Connection> {
    let db = connect(path)?;
    // The first read: fails when the file is no database at all.
    let tables: i64 = db.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let size: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let bytes = u64::try_from(pages.saturating_mul(size)).unwrap_or(0);
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if tables == 0 || found > VERSION {
        return Ok(db);
    }
    let crashed = || found > 0 && matches!(list::meta(&db, OPEN_MARK), Ok(Some(_)) | Err(_));
    if bytes <= ALWAYS_CHECKED || (bytes <= CHECKED_AFTER_CRASH && crashed()) {
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)));
        }
    }
    Ok(db)
}

/// Renames a damaged database and what belongs to it to `<name>.corrupt-<unix seconds>`.
fn set_aside(path: &Path, now: Wall) -> io::Result<PathBuf> {
    let stamp = now.0.div_euclid(1000);
    let mut aside = suffixed(path, &format!(".corrupt-{stamp}"));
    for n in 1.. {
        if !aside.exists() {
            break;
        }
        aside = suffixed(path, &format!(".corrupt-{stamp}.{n}"));
    }
    fs::rename(path, &aside)?;
    // The companions go along: a write-ahead log next to the fresh file would be taken for its own.
    for companion in ["-wal", "-shm"] {
        match fs::rename(suffixed(path, companion), suffixed(&aside, companion)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => (),
        }
    }
    Ok(aside)
}

fn migrate(db: &Connection, path: &Path, found: i64) -> rusqlite::Result<()> {
    if found == VERSION {
        return Ok(());
    }
    let tables: i64 = db.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let backup = suffixed(path, &format!(".bak-v{found}"));
    if tables > 0 && !backup.exists() {
        db.execute("VACUUM INTO ?1", [backup.to_string_lossy()])?;
        _ = fs::set_permissions(&backup, Permissions::from_mode(0o600));
    }
    db.execute_batch("BEGIN IMMEDIATE")?;
    let done = (|| {
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            migration(db)?;
        }
        db.pragma_update(None, "user_version", VERSION)?;
        db.execute_batch("COMMIT")
    })();
    if done.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    done
}

pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
