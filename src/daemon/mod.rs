//! The conductor as a program: configuration from the outside, PID file and locks, background
//! start, signals, logging. The work itself is in [`crate::conductor`], which embedders use without
//! any of this.

#![cfg(feature = "cli")]

pub mod detach;
pub mod liveness;
pub mod logging;
pub mod pidfile;
pub mod run;
pub mod settings;
pub mod signals;
mod state_lock;

use std::path::PathBuf;

/// Under which name the program was called. `mozartd` has its own default places and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Brand {
    /// `mozart`.
    #[default]
    Mozart,
    /// `mozartd`, the older name.
    Mozartd,
}

impl Brand {
    /// Name of the program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Mozart => "mozart",
            Self::Mozartd => "mozartd",
        }
    }

    /// Subject of the sentences about the conductor.
    #[must_use]
    pub fn subject(self, clone: Option<&str>) -> &'static str {
        match (self, clone) {
            (_, Some(_)) => "clone conductor",
            (Self::Mozart, None) => "Mozart conductor",
            (Self::Mozartd, None) => "mozartd",
        }
    }

    /// How it calls itself in the error of a job that was active when it died.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Mozart => "Conductor",
            Self::Mozartd => "Daemon",
        }
    }

    /// Default socket.
    #[must_use]
    pub fn socket(self) -> PathBuf {
        PathBuf::from(format!("/tmp/{}.sock", self.program()))
    }

    /// Default PID file.
    #[must_use]
    pub fn pid_file(self) -> PathBuf {
        PathBuf::from(format!("/tmp/{}.pid", self.program()))
    }
}
