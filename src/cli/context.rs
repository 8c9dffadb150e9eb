//! What every command has at hand: how to speak, which conductor is meant, how long to wait.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::args::Global;
use crate::cli::format::parse_duration;
use crate::cli::output::Output;
use crate::cli::target::{self, Target};
use crate::daemon::Brand;
use crate::daemon::detach::Stage;

/// Time for one answer when neither option nor environment says otherwise.
const ANSWER: Duration = Duration::from_secs(30);

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Context {
    /// Both output streams.
    pub(crate) out: Output,
    /// Under which name the program was called.
    pub(crate) brand: Brand,
    /// Which part of a background start this process is.
    pub(crate) stage: Stage,
    /// Options that every command takes.
    pub(crate) global: Global,
    /// Time for one answer of the conductor.
    pub(crate) timeout: Duration,
    target: OnceCell<Target>,
}

impl Context {
    /// From the options.
    pub(crate) fn new(brand: Brand, global: &Global, stage: Stage) -> Self {
        let asked =
            global.timeout.or_else(|| env("MOZART_RPC_TIMEOUT").and_then(|text| parse_duration(&text).ok()));
        Self {
            out: Output::new(global.json, global.quiet, global.verbose, global.color),
            brand,
            stage,
            global: global.clone(),
            timeout: asked.unwrap_or(ANSWER),
            target: OnceCell::new(),
        }
    }

    /// A variable of the environment; an empty one counts as not set.
    pub(crate) fn env(&self, name: &str) -> Option<String> {
        env(name)
    }

    /// The conductor that is meant. Looked up once, without touching it.
    pub(crate) fn target(&self) -> &Target {
        self.target.get_or_init(|| target::resolve(self.brand, &self.global, None))
    }

    /// The conductor that is meant, with a PID file given to the command itself.
    pub(crate) fn target_with(&self, pid_file: Option<&Path>) -> Target {
        match pid_file {
            Some(path) => target::resolve(self.brand, &self.global, Some(path)),
            None => self.target().clone(),
        }
    }

    /// A path as the user means it: relative to the directory the command was called in.
    pub(crate) fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }

    /// `mozart` or `mozartd`, with the option that selects a clone: for hints.
    pub(crate) fn command(&self, rest: &str) -> String {
        let program = self.brand.program();
        match self.target().clone.as_deref() {
            None => format!("{program} {rest}"),
            Some("") => format!("{program} {rest} --conductor-clone"),
            Some(name) => format!("{program} {rest} --conductor-clone={name}"),
        }
    }

    /// The options that select the conductor, for the stages of a background start.
    pub(crate) fn selection(&self) -> Vec<OsString> {
        crate::cli::global_args(&self.global)
    }
}

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
