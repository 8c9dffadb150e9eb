//! What can go wrong with the database, in the few kinds that callers act on.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why the database did not take a batch, as far as the caller can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Another process holds the write lock. Passes by itself.
    Busy,
    /// No space left on the device (or in the database's size limit).
    Full,
    /// The file or its file system cannot be written.
    ReadOnly,
    /// Reading or writing failed below SQLite.
    Io,
    /// The file is damaged; the next start sets it aside.
    Corrupt,
    /// Another file has taken the database's place while it was open.
    Replaced,
    /// Anything else: a mistake of this program.
    Other,
}

impl Trouble {
    /// One word for logs and `reasons`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Io => "io",
            Self::Corrupt => "corrupt",
            Self::Replaced => "replaced",
            Self::Other => "other",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Busy => "another process is writing to it; it is tried again",
            Self::Full => "the disk is full; free some space, it is tried again",
            Self::ReadOnly => "it cannot be written; check the permissions of the file and its directory",
            Self::Io => "reading or writing the file failed; check the disk",
            Self::Corrupt => "the file is damaged; restart the conductor, which sets it aside",
            Self::Replaced => {
                "another file has taken its place; put the old one back or restart the conductor"
            }
            Self::Other => "SQLite refused the change",
        }
    }

    pub(super) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly,
            Some(
                ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Io,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            _ => Self::Other,
        }
    }
}

/// A batch was not committed. Nothing of it is in the database and the store can be used again.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the state database `{}`: {}", path.display(), trouble.sentence())]
pub struct CommitError {
    /// The kind.
    pub trouble: Trouble,
    /// The database.
    pub path: PathBuf,
    /// What SQLite said; `None` when the file itself is the trouble.
    #[source]
    pub source: Option<rusqlite::Error>,
}

/// The database cannot be used at all. The conductor does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Written by a later version of this program. Nothing was changed.
    #[error(
        "State database is newer than this version: `{}` has version {found}, this program knows {known}; \
         start the newer program or name another file in `state_db_path`",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Its directory cannot be made or its file cannot be created.
    #[error("cannot create the state database `{}`", path.display())]
    Create {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A damaged database could not be set aside.
    #[error("the state database `{}` is damaged and cannot be renamed", path.display())]
    SetAside {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite cannot open or migrate it.
    #[error("cannot open the state database `{}`: {}", path.display(), Trouble::of(source).sentence())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
}

/// A question could not be answered from the database.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} from the state database `{}`", path.display())]
pub struct ReadError {
    /// What was asked for.
    pub what: &'static str,
    /// The database.
    pub path: PathBuf,
    /// What SQLite said.
    #[source]
    pub source: rusqlite::Error,
}
