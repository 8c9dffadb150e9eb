//! The log of the conductor: `event key=value …` on the console, one JSON object per line in a file.
//!
//! The whole crate logs with `log::info!("job.submitted job_id={id} sheets={n}")`: the event name
//! first, then its keys; values with blanks are written with `{:?}`. `event` reads that back, so
//! that there is one way to write a log line and two ways to print it.

mod event;
mod file;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;

use env_logger::{Builder, Target};
use log::LevelFilter;

pub use event::Event;
pub use file::{LogFile, Reopen};

/// Where the log goes.
#[derive(Debug)]
pub enum Sink {
    /// Standard error, for people.
    Console {
        /// Use colour.
        color: bool,
    },
    /// A file, one JSON object per line.
    File(LogFile),
    /// Standard error, one JSON object per line.
    Lines,
    /// Standard error for people and a file of JSON lines.
    Both {
        /// Use colour.
        color: bool,
        /// The file.
        file: LogFile,
    },
}

impl Sink {
    /// The console; colour when standard error is a terminal that wants it.
    #[must_use]
    pub fn console() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self::Console { color: wanted && io::stderr().is_terminal() }
    }

    /// A file, created 0600.
    pub fn file(path: &Path) -> io::Result<Self> {
        LogFile::open(path).map(Self::File)
    }
}

/// Starts logging for this process. A second call changes nothing but the level.
/// Returns the switch that makes a log file be opened anew.
pub fn start(sink: Sink, level: LevelFilter) -> Reopen {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Trace);
    let reopen = match sink {
        Sink::Console { color } => {
            builder.target(Target::Stderr);
            builder.format(move |out, record| {
                let event = Event::of(record);
                writeln!(out, "{}", event.console(&local_clock(), color))
            });
            Reopen::default()
        }
        Sink::File(file) => {
            let reopen = file.reopen_switch();
            builder.target(Target::Pipe(Box::new(file)));
            builder.format(|out, record| writeln!(out, "{}", Event::of(record).json(&utc_now())));
            reopen
        }
        Sink::Lines => {
            builder.target(Target::Stderr);
            builder.format(|out, record| writeln!(out, "{}", Event::of(record).json(&utc_now())));
            Reopen::default()
        }
        Sink::Both { color, file } => {
            let reopen = file.reopen_switch();
            // The formatter is shared by all threads; the file has a size and a rotation to keep.
            let file = Mutex::new(file);
            builder.target(Target::Stderr);
            builder.format(move |out, record| {
                let event = Event::of(record);
                if let Ok(mut file) = file.lock() {
                    file.write_all(format!("{}\n", event.json(&utc_now())).as_bytes())?;
                }
                writeln!(out, "{}", event.console(&local_clock(), color))
            });
            reopen
        }
    };
    // Already started: an embedder or an earlier call has a logger; theirs stays.
    _ = builder.try_init();
    log::set_max_level(level);
    reopen
}

/// The words of `log_level`.
#[must_use]
pub fn level(word: &str) -> Option<LevelFilter> {
    match word.to_ascii_lowercase().as_str() {
        "debug" => Some(LevelFilter::Debug),
        "info" => Some(LevelFilter::Info),
        "warning" | "warn" => Some(LevelFilter::Warn),
        "error" => Some(LevelFilter::Error),
        _ => None,
    }
}

fn local_clock() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

fn utc_now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
