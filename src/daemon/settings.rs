//! The settings of a conductor as they come from the outside: which file is read, what the
//! environment says, under which name the program was called. What they mean is [`crate::config`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use log::LevelFilter;

use crate::config::{
    self, Config, ConfigFile, Environment, FileChoice, MAX_FILE_BYTES, Options, Problems, Warning,
};
use crate::daemon::Brand;

/// What was given on the command line. Relative paths are those of the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--conductor-clone`; "" is the default clone.
    pub clone: Option<String>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--log-level`.
    pub log_level: Option<String>,
}

/// Settings ready for use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The checked configuration.
    pub config: Config,
    /// The file it was read from.
    pub source: Option<PathBuf>,
    /// Name of the clone; "" is the default clone.
    pub clone: Option<String>,
    /// Under which name the program was called.
    pub brand: Brand,
    warnings: Vec<Warning>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// A file that was named does not exist.
    #[error("Config file not found: {}", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("cannot read the config file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It says something wrong, or an option or a variable does.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

impl Settings {
    /// What was accepted and has no effect, once, in the log.
    pub fn log_warnings(&self) {
        for Warning { event, field, message } in &self.warnings {
            log::warn!("{event} field={field} message={message:?}");
        }
    }

    /// How much is logged.
    #[must_use]
    pub fn log_level(&self) -> LevelFilter {
        self.config.log_level.filter()
    }
}

/// Reads the file, if there is one, and puts all layers together.
pub fn load(brand: Brand, overrides: &Overrides) -> Result<Settings, SettingsError> {
    let environment = environment();
    let options = options(overrides);
    let file = match config::choose_file(&options, &environment) {
        FileChoice::Named(path) => match read(&absolute(&path)) {
            Err(SettingsError::Unreadable { source, path }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(SettingsError::Missing(path));
            }
            other => Some(other?),
        },
        FileChoice::Usual(path) => match read(&path) {
            Err(SettingsError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            other => Some(other?),
        },
    };
    assemble(brand, file.as_ref(), &options, &environment)
}

/// The settings without any file, for clients that only want to know where the conductor is. What
/// is wrong with an option or a variable is left out too.
#[must_use]
pub fn without_file(brand: Brand, overrides: &Overrides) -> Settings {
    let environment = environment();
    let options = Options { config: None, profile: None, log_level: None, ..options(overrides) };
    let bare = Environment { log_level: None, ..environment.clone() };
    assemble(brand, None, &options, &bare).unwrap_or_else(|_| Settings {
        config: Config::new(&environment.base()),
        source: None,
        clone: None,
        brand,
        warnings: Vec::new(),
    })
}

fn assemble(
    brand: Brand,
    file: Option<&ConfigFile>,
    options: &Options,
    environment: &Environment,
) -> Result<Settings, SettingsError> {
    let loaded = config::load(file, options, environment)?;
    let mut config = loaded.config;
    if brand == Brand::Mozartd {
        let usual = Config::new(&environment.base());
        if config.socket.path == usual.socket.path {
            config.socket.path = brand.socket();
        }
        if config.pid_file == usual.pid_file {
            config.pid_file = brand.pid_file();
        }
    }
    Ok(Settings {
        config,
        source: file.map(|file| file.name.clone()),
        clone: options.clone.clone().or_else(|| environment.clone.clone()),
        brand,
        warnings: loaded.warnings,
    })
}

fn environment() -> Environment {
    let mut environment = Environment::read(&|name| std::env::var(name).ok());
    // A variable that is set to nothing was meant to be unset; the default clone has its own option.
    environment.clone = environment.clone.filter(|name| !name.is_empty());
    environment
}

fn options(overrides: &Overrides) -> Options {
    let text = |path: &PathBuf| absolute(path).to_string_lossy().into_owned();
    Options {
        config: overrides.config.as_deref().map(absolute),
        profile: overrides.profile.clone(),
        clone: overrides.clone.clone(),
        socket: overrides.socket.as_ref().map(text),
        pid_file: overrides.pid_file.as_ref().map(text),
        log_level: overrides.log_level.clone(),
        log_file: None,
    }
}

fn absolute(path: &Path) -> PathBuf {
    if path.starts_with("~") {
        return path.to_owned();
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn read(path: &Path) -> Result<ConfigFile, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_FILE_BYTES as u64 {
        return Err(unreadable(io::Error::other(format!(
            "it has {size} bytes, the limit is {MAX_FILE_BYTES}"
        ))));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Ok(config::parse(&text, path)?)
}
