//! What became of an attempt that another conductor started.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::leftovers::Leftovers;
use crate::guard::lock::try_exclusive;
use crate::guard::record::{Exit, LOCK, LockLines, Record, Reserve, SPEC, SpecFile, read_record};
use crate::ids::Token;
use crate::process;

/// The lock of an attempt in our hands: no guard runs, and none will. Keep it until the verdict is
/// committed; dropping it frees the lock.
#[derive(Debug)]
pub struct Taken {
    _file: File,
}

impl Taken {
    /// `None`: somebody holds it.
    fn try_take(dir: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(dir.join(LOCK))?;
        Ok(try_exclusive(&file)?.then_some(Self { _file: file }))
    }

    /// Takes the lock of a guard that has ended. For an instant a process that is just being
    /// started elsewhere may hold a copy of it.
    pub(super) fn wait(dir: &Path, limit: Duration) -> Option<Self> {
        let until = Instant::now() + limit;
        loop {
            match Self::try_take(dir) {
                Ok(Some(taken)) => return Some(taken),
                Ok(None) | Err(_) if Instant::now() < until => {
                    process::wait_for(&mut [], Some(Duration::from_millis(2)));
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Found {
    /// Its guard lives: leave it alone, count it, watch it.
    Held(Adopted),
    /// Its guard wrote a record.
    Over(Exit),
    /// Its guard is gone without a record: end the leftovers, then decide.
    Interrupted(Leftovers),
    /// Nothing was started, and nothing will be.
    NeverStarted,
}

/// Looks at the directory of an attempt that the database knows by this token. Unless it is held,
/// the lock comes back with the answer, and the directory has a record from now on.
///
/// A directory of another token, or without orders, is not the attempt's and stays untouched.
pub fn examine(dir: &Path, token: &Token) -> io::Result<(Found, Option<Taken>)> {
    if read_token(dir)?.as_ref() != Some(token) {
        return Ok((Found::NeverStarted, None));
    }
    let Some(taken) = Taken::try_take(dir)? else {
        return Ok((Found::Held(Adopted::unseen(dir, token)), None));
    };
    let record = match read_record(dir) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            log::error!("attempt.record_broken dir={} error={error}", dir.display());
            None
        }
        other => other?,
    };
    let lines = LockLines::read(dir)?;
    let at = crate::guard::wall();
    let found = match record {
        Some(Record::Exit(exit)) => Found::Over(exit),
        Some(Record::Void { .. }) => Found::NeverStarted,
        Some(Record::Interrupted { .. }) => Found::Interrupted(Leftovers::new(token, lines)),
        None if lines.guard.is_none() => {
            settle(dir, &Record::Void { at });
            Found::NeverStarted
        }
        None => {
            settle(dir, &Record::Interrupted { at });
            Found::Interrupted(Leftovers::new(token, lines))
        }
    };
    Ok((found, Some(taken)))
}

/// The token in the orders; `None` when there are none, or none that can be understood (a worker
/// that died while writing them has started nothing).
pub(super) fn read_token(dir: &Path) -> io::Result<Option<Token>> {
    match crate::file::read(&dir.join(SPEC), u64::MAX) {
        Ok(text) => Ok(serde_json::from_slice::<SpecFile>(&text).ok().map(|spec| spec.token)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Writes a record where a guard left none. On a full disk the lock in the caller's hands and the
/// verdict in the database must do.
pub(super) fn settle(dir: &Path, record: &Record) {
    let written = Reserve::take(dir).and_then(|reserve| reserve.commit(record, false));
    if let Err(error) = written {
        log::warn!("attempt.record_unwritten dir={} error={error}", dir.display());
    }
}

/// An attempt of an earlier conductor whose guard lives.
#[derive(Debug, Clone)]
pub struct Adopted {
    dir: PathBuf,
    token: Token,
    /// What its lock said, once it had said everything.
    seen: OnceLock<LockLines>,
}

impl Adopted {
    /// An attempt of which nothing is known because its directory could not be read. It counts as
    /// alive: [`Self::try_over`] tells when it can be read.
    #[must_use]
    pub fn unseen(dir: &Path, token: &Token) -> Self {
        Self { dir: dir.to_owned(), token: *token, seen: OnceLock::new() }
    }

    /// Directory of the attempt.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Pid of the guard once it has written its line.
    #[must_use]
    pub fn guard_pid(&self) -> Option<u32> {
        self.lines().guard.map(|guard| guard.pid)
    }

    /// Pid of the program once it runs.
    #[must_use]
    pub fn child_pid(&self) -> Option<u32> {
        self.lines().child.map(|child| child.pid)
    }

    /// Tries the lock: `None` while the guard lives, afterwards what [`examine`] says.
    pub fn try_over(&self) -> io::Result<Option<(Found, Taken)>> {
        match examine(&self.dir, &self.token)? {
            (found, Some(taken)) => Ok(Some((found, taken))),
            (_, None) if read_token(&self.dir)?.as_ref() == Some(&self.token) => Ok(None),
            (_, None) => {
                Err(io::Error::other(format!("`{}` is gone or another attempt's", self.dir.display())))
            }
        }
    }

    /// Whether its directory was deleted, or is another attempt's by now: [`Self::try_over`] can never
    /// succeed again.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        read_token(&self.dir).is_ok_and(|found| found.as_ref() != Some(&self.token))
    }

    /// How to recognise what runs of it, without its directory.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        Leftovers::new(&self.token, self.seen.get().cloned().unwrap_or_default())
    }

    /// Asks for the end, as [`super::Control::cancel`] does: again skips the grace. `false`: there
    /// was nobody to ask, because the guard has just ended or has not written its line yet; ask
    /// again while [`Self::try_over`] says that it lives.
    pub fn cancel(&self) -> bool {
        self.signal(Signal::SIGTERM)
    }

    /// Kills the guard itself, which does not react any more. Then the attempt is interrupted.
    pub fn kill(&self) -> bool {
        self.signal(Signal::SIGKILL)
    }

    fn signal(&self, signal: Signal) -> bool {
        // The lock is still held and the number still has the same start time: it is the guard.
        let held = matches!(Taken::try_take(&self.dir), Ok(None));
        held && self.lines().guard.is_some_and(|guard| guard.signal(signal))
    }

    fn lines(&self) -> LockLines {
        let lines = LockLines::read(&self.dir).unwrap_or_default();
        if lines.child.is_some() {
            // Somebody else may have kept the same lines just before.
            _ = self.seen.set(lines.clone());
        }
        lines
    }
}
