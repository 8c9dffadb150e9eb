//! Which conductor a command talks to: its socket and its PID file.
//!
//! The same order as the conductor itself uses when it starts, so that `mozart start` and
//! `mozart status` with the same options always mean the same conductor. A configuration file that
//! does not load is no reason to fail here: the commands that need it will say what is wrong with it.

use std::path::{Path, PathBuf};

use crate::cli::args::Global;
use crate::daemon::Brand;
use crate::daemon::settings::{self, Overrides};

/// A conductor, running or not.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its socket.
    pub(crate) socket: PathBuf,
    /// Its PID file.
    pub(crate) pid_file: PathBuf,
    /// Its log in the background.
    pub(crate) log_file: PathBuf,
    /// Directory of its attempts.
    pub(crate) state_dir: PathBuf,
    /// `shutdown_timeout_seconds` of its configuration.
    pub(crate) shutdown_timeout: f64,
    /// Name of the clone; `Some("")` is the default clone.
    pub(crate) clone: Option<String>,
    /// `Mozart conductor`, `clone conductor` or `mozartd`.
    pub(crate) subject: &'static str,
}

/// Finds the conductor that the options and the environment mean.
pub(crate) fn resolve(brand: Brand, global: &Global, pid_file: Option<&Path>) -> Target {
    let overrides = Overrides {
        clone: global.clone.clone(),
        socket: global.socket.clone(),
        pid_file: pid_file.map(Path::to_owned),
        ..Overrides::default()
    };
    let settings =
        settings::load(brand, &overrides).unwrap_or_else(|_| settings::without_file(brand, &overrides));
    let mut target = Target {
        socket: settings.config.socket.path.clone(),
        pid_file: settings.config.pid_file.clone(),
        log_file: settings.config.background_log(),
        state_dir: settings.config.state_dir(),
        shutdown_timeout: settings.config.shutdown_timeout_seconds,
        subject: brand.subject(settings.clone.as_deref()),
        clone: settings.clone,
    };
    if brand == Brand::Mozart && target.clone.is_none() {
        fall_back_to_mozartd(&mut target);
    }
    target
}

/// A machine on which only `mozartd` was started: used when nothing is at our default places.
fn fall_back_to_mozartd(target: &mut Target) {
    let old = Brand::Mozartd;
    let default = Brand::Mozart;
    let missing = |path: &Path| std::fs::symlink_metadata(path).is_err();
    if target.socket == default.socket() && missing(&target.socket) {
        let answers = std::os::unix::net::UnixStream::connect(old.socket()).is_ok();
        if answers {
            target.socket = old.socket();
        }
    }
    if target.pid_file == default.pid_file() && missing(&target.pid_file) && !missing(&old.pid_file()) {
        target.pid_file = old.pid_file();
    }
}
