//! From a profile, the settings of a sheet and its prompt to an argument list and an environment.
//! No shell is involved; nothing is written or started here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::{self, Environment};
use super::http::{self, HttpSettings};
use super::profile::{Command, Profile};
use crate::classify::ErrorCode;

/// A prompt longer than this is never put on a command line.
pub const MAX_ARGUMENT: usize = 32_768;

/// What a score says about an instrument, merged for one sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Let it act without asking. Default true.
    pub skip_permissions: bool,
    /// Switch its tool servers off. Default true.
    pub disable_mcp: bool,
    /// Configuration of tool servers, when they are on.
    pub mcp_config: Option<PathBuf>,
    /// Only these tools; empty = all.
    pub allowed_tools: Vec<String>,
    /// Model; none = that of the profile.
    pub model: Option<String>,
    /// System prompt.
    pub system_prompt_file: Option<PathBuf>,
    /// Instead of the profile's `output_format_value`; `text` makes us read plain text too.
    pub output_format: Option<String>,
    /// Appended last.
    pub extra_args: Vec<String>,
    /// More variables; `${VAR}` is taken from the conductor's environment.
    pub env: Vec<(String, String)>,
    /// Timeout; none = that of the profile.
    pub timeout: Option<Duration>,
    /// What only instruments of kind http understand.
    pub http: HttpSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            skip_permissions: true,
            disable_mcp: true,
            mcp_config: None,
            allowed_tools: Vec::new(),
            model: None,
            system_prompt_file: None,
            output_format: None,
            extra_args: Vec::new(),
            env: Vec::new(),
            timeout: None,
            http: HttpSettings::default(),
        }
    }
}

/// Everything that decides how a sheet's program is called.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The instrument.
    pub profile: &'a Profile,
    /// What the score says.
    pub settings: &'a Settings,
    /// The whole prompt.
    pub prompt: &'a str,
    /// Working directory, absolute.
    pub cwd: &'a Path,
    /// Where the caller puts a prompt that must be given as a file (see [`Invocation::prompt_file`]).
    pub prompt_file: &'a Path,
    /// Environment of the conductor, as [`environment::ours`] gives it.
    pub ours: &'a Environment,
    /// `mozart` itself, which is the program of instruments of kind http.
    pub own_program: &'a Path,
    /// Set last, whatever the profile says: `MOZART_JOB_ID`, `MOZART_SHEET_TOKEN`, ...
    pub identity: &'a [(String, String)],
}

/// A program call that is ready for the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Absolute program path, then its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// What its stdin is.
    pub stdin: StdinSource,
    /// When given, the caller writes this text (mode 0600) to [`Call::prompt_file`] before the start.
    pub prompt_file: Option<String>,
    /// How long it may run.
    pub timeout: Duration,
    /// Remarks for the attempt's record.
    pub warnings: Vec<String>,
}

/// Stdin of an instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StdinSource {
    /// `/dev/null`.
    Null,
    /// A file with these bytes.
    Prompt(Vec<u8>),
}

/// Why a sheet's program cannot be called. Found before anything is started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// E505.
    #[error(
        "`{program}` was not found on PATH ({path}) for instrument `{instrument}`: install it, or add its directory to the PATH of the conductor"
    )]
    NotFound {
        /// As in the profile.
        program: String,
        /// Where we looked.
        path: String,
        /// Profile.
        instrument: String,
    },
    /// E505.
    #[error(
        "`{program}` of instrument `{instrument}` is not an executable file: check the path and its permissions"
    )]
    NotExecutable {
        /// As in the profile.
        program: String,
        /// Profile.
        instrument: String,
    },
    /// E301.
    #[error("instrument `{instrument}` is of kind http, and {how}", how = crate::http::HOW_TO_GET_IT)]
    Http {
        /// Profile.
        instrument: String,
    },
    /// E502.
    #[error(
        "the variable `{variable}`, which holds the key of instrument `{instrument}`, is not set: set it where the \
         conductor is started, and restart the conductor"
    )]
    NoKey {
        /// Its name.
        variable: String,
        /// Profile.
        instrument: String,
    },
    /// E301.
    #[error(
        "the `base_url` for instrument `{instrument}` is not an http or https address, or holds a password: correct it \
         in the score"
    )]
    BadAddress {
        /// Profile.
        instrument: String,
    },
    /// E302.
    #[error(
        "instrument `{instrument}` has no default model: set `model` in the score, or `default_model` in its profile"
    )]
    NoModel {
        /// Profile.
        instrument: String,
    },
    /// E602.
    #[error(
        "the prompt for instrument `{instrument}` contains a NUL byte, which no argument can carry: remove it from the template or the injected text"
    )]
    NulInPrompt {
        /// Profile.
        instrument: String,
    },
    /// E604.
    #[error(
        "argument or variable `{name}` of instrument `{instrument}` contains a NUL byte: remove it from the score or the profile"
    )]
    NulInArgument {
        /// Which.
        name: String,
        /// Profile.
        instrument: String,
    },
}

impl CommandError {
    /// Code under which the attempt fails.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound { .. } | Self::NotExecutable { .. } => ErrorCode::E505,
            Self::Http { .. } | Self::BadAddress { .. } => ErrorCode::E301,
            Self::NoKey { .. } => ErrorCode::E502,
            Self::NoModel { .. } => ErrorCode::E302,
            Self::NulInPrompt { .. } => ErrorCode::E602,
            Self::NulInArgument { .. } => ErrorCode::E604,
        }
    }
}

/// Builds the call of a sheet's program.
pub fn command(call: &Call<'_>) -> Result<Invocation, CommandError> {
    let instrument = || call.profile.name.clone();
    let Some(command) = &call.profile.command else {
        let service = call.profile.http.as_ref();
        let service = service.ok_or_else(|| CommandError::Http { instrument: instrument() })?;
        return http::invocation(call, service);
    };
    let mut warnings = Vec::new();
    let env = environment_of(call, command, &mut warnings);
    let timeout = call.settings.timeout.unwrap_or(call.profile.default_timeout);
    let delivery = Delivery::choose(call, command);

    let program = program(call, command, &env, &mut warnings)?;
    let argv = argument_list(program, call, command, timeout, &delivery);
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(if call.prompt.contains('\0') {
            CommandError::NulInPrompt { instrument: instrument() }
        } else {
            let name = argv
                .iter()
                .find(|argument| argument.contains('\0'))
                .map(|text| text.replace('\0', "\u{2400}"));
            CommandError::NulInArgument { name: name.unwrap_or_default(), instrument: instrument() }
        });
    }
    if let Some((name, _)) = env.iter().find(|(name, value)| name.contains('\0') || value.contains('\0')) {
        return Err(CommandError::NulInArgument {
            name: name.replace('\0', "\u{2400}"),
            instrument: instrument(),
        });
    }
    Ok(Invocation {
        argv,
        env: env.into_iter().collect(),
        stdin: delivery.stdin,
        prompt_file: delivery.file.then(|| call.prompt.to_owned()),
        timeout,
        warnings,
    })
}

/// What would be called, for people: no values of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The argument list.
    pub argv: Vec<String>,
    /// Names of the variables that are handed on; `None` = all that the conductor has.
    pub inherited: Option<Vec<String>>,
    /// Names of the variables that profile, score and conductor set.
    pub set: Vec<String>,
    /// The program is ended after this time.
    pub timeout: Duration,
}

/// What [`command`] makes, also when the program is not installed here: then it is named as in the profile.
///
/// # Errors
/// When the instrument is none that is called as a program.
pub fn shown(call: &Call<'_>) -> Result<Shown, CommandError> {
    let timeout = call.settings.timeout.unwrap_or(call.profile.default_timeout);
    let own = call.settings.env.iter().map(|(name, _)| name);
    let identity = call.identity.iter().map(|(name, _)| name);
    let of_profile = call.profile.command.iter().flat_map(|command| command.env.keys());
    let mut set: Vec<String> = of_profile.chain(own).chain(identity).cloned().collect();
    set.sort();
    set.dedup();
    let required = match (&call.profile.command, &call.profile.http) {
        (Some(command), _) => command.required_env.clone(),
        (None, Some(service)) => {
            Some(http::key_variable(call, service).map(str::to_owned).into_iter().collect())
        }
        (None, None) => None,
    };
    let inherited = required.map(|required| {
        let inherited = environment::limited(call.ours, Some(&required)).into_keys();
        inherited.filter(|name| !set.contains(name)).collect()
    });
    Ok(Shown { argv: shown_arguments(call)?, inherited, set, timeout })
}

fn shown_arguments(call: &Call<'_>) -> Result<Vec<String>, CommandError> {
    let Some(command) = &call.profile.command else {
        let service = call.profile.http.as_ref();
        let service = service.ok_or_else(|| CommandError::Http { instrument: call.profile.name.clone() })?;
        let timeout = call.settings.timeout.unwrap_or(call.profile.default_timeout);
        return Ok(http::argument_list(call, service, timeout));
    };
    let mut warnings = Vec::new();
    let env = environment_of(call, command, &mut warnings);
    let program = program(call, command, &env, &mut warnings).unwrap_or_else(|_| command.executable.clone());
    let timeout = call.settings.timeout.unwrap_or(call.profile.default_timeout);
    Ok(argument_list(program, call, command, timeout, &Delivery::choose(call, command)))
}

fn argument_list(
    program: String,
    call: &Call<'_>,
    command: &Command,
    timeout: Duration,
    delivery: &Delivery,
) -> Vec<String> {
    let mut argv = vec![program];
    leading_arguments(&mut argv, call, command, timeout);
    argv.extend(delivery.arguments.iter().cloned());
    argv.extend(tool_servers(call.settings, command));
    argv.extend(command.extra_flags.iter().cloned());
    argv.extend(call.settings.extra_args.iter().cloned());
    argv
}

fn environment_of(call: &Call<'_>, command: &Command, warnings: &mut Vec<String>) -> Environment {
    let ours = call.ours;
    let mut env = environment::inherited(command, ours);
    let added = command.env.iter().chain(call.settings.env.iter().map(|(name, value)| (name, value)));
    for (name, value) in added {
        // An empty name or one with `=` cannot exist in an environment.
        if name.is_empty() || name.contains('=') {
            warnings.push(format!("environment variable name `{name}` is not possible: left out"));
            continue;
        }
        env.insert(name.clone(), environment::expand(value, ours, warnings));
    }
    env.extend(call.identity.iter().cloned());
    env
}

fn leading_arguments(argv: &mut Vec<String>, call: &Call<'_>, command: &Command, timeout: Duration) {
    let settings = call.settings;
    argv.extend(command.subcommand.clone());
    if settings.skip_permissions {
        argv.extend(command.auto_approve_flag.clone());
    }
    if let Some(flag) = &command.output_format_flag {
        argv.push(flag.clone());
        let wanted = settings.output_format.clone().filter(|_| command.output_format_value.is_some());
        argv.extend(wanted.or_else(|| command.output_format_value.clone()));
    }
    let mut pair = |flag: &Option<String>, value: Option<String>| {
        if let (Some(flag), Some(value)) = (flag, value) {
            argv.extend([flag.clone(), value]);
        }
    };
    pair(&command.model_flag, settings.model.clone().or_else(|| call.profile.default_model.clone()));
    pair(&command.timeout_flag, Some(timeout.as_secs().max(1).to_string()));
    pair(&command.working_dir_flag, Some(call.cwd.to_string_lossy().into_owned()));
    pair(
        &command.system_prompt_flag,
        settings.system_prompt_file.as_ref().map(|file| file.to_string_lossy().into_owned()),
    );
    let tools = (!settings.allowed_tools.is_empty()).then(|| settings.allowed_tools.join(","));
    pair(&command.allowed_tools_flag, tools);
}

fn tool_servers(settings: &Settings, command: &Command) -> Vec<String> {
    if settings.disable_mcp {
        return command.mcp_disable_args.clone();
    }
    match (&command.mcp_config_flag, &settings.mcp_config) {
        (Some(flag), Some(path)) => vec![flag.clone(), path.to_string_lossy().into_owned()],
        (Some(_) | None, _) => Vec::new(),
    }
}

/// How the prompt reaches the program.
struct Delivery {
    arguments: Vec<String>,
    stdin: StdinSource,
    /// The prompt must be written to the prompt file.
    file: bool,
}

impl Delivery {
    fn choose(call: &Call<'_>, command: &Command) -> Self {
        let long = call.prompt.len() > MAX_ARGUMENT;
        let path = || call.prompt_file.to_string_lossy().into_owned();
        let by_file = |arguments| Self { arguments, stdin: StdinSource::Null, file: true };
        if command.prompt_via_stdin {
            let sentinel = match (&command.prompt_flag, &command.stdin_sentinel) {
                (flag, Some(sentinel)) => flag.iter().chain([sentinel]).cloned().collect(),
                (_, None) => Vec::new(),
            };
            return Self::by_stdin(call, sentinel);
        }
        match (&command.prompt_flag, &command.prompt_file_flag) {
            (_, Some(flag)) if long => by_file(vec![flag.clone(), path()]),
            // A shell runs the file as it would run the text.
            _ if long && call.profile.raw_prompt => by_file(vec![path()]),
            _ if long => Self::by_stdin(call, Vec::new()),
            (Some(flag), _) => Self::by_argument(vec![flag.clone(), call.prompt.to_owned()]),
            (None, _) if command.positional_separator && call.prompt.starts_with('-') => {
                Self::by_argument(vec!["--".to_owned(), call.prompt.to_owned()])
            }
            (None, _) => Self::by_argument(vec![call.prompt.to_owned()]),
        }
    }

    fn by_stdin(call: &Call<'_>, arguments: Vec<String>) -> Self {
        Self { arguments, stdin: StdinSource::Prompt(call.prompt.as_bytes().to_vec()), file: false }
    }

    fn by_argument(arguments: Vec<String>) -> Self {
        Self { arguments, stdin: StdinSource::Null, file: false }
    }
}

/// The program as an absolute path; `sh` stands in for a missing `bash`.
fn program(
    call: &Call<'_>,
    command: &Command,
    env: &Environment,
    warnings: &mut Vec<String>,
) -> Result<String, CommandError> {
    let name = &command.executable;
    let found = match find_program(name, env.get("PATH").map(String::as_str), call.cwd) {
        None if name == "bash" => {
            warnings.push("`bash` was not found: the script runs with `sh`".to_owned());
            find_program("sh", env.get("PATH").map(String::as_str), call.cwd)
        }
        found => found,
    };
    let instrument = call.profile.name.clone();
    found.map(|path| path.to_string_lossy().into_owned()).ok_or_else(|| {
        if name.contains('/') {
            CommandError::NotExecutable { program: name.clone(), instrument }
        } else {
            let path = env.get("PATH").cloned().unwrap_or_else(|| "not set".to_owned());
            CommandError::NotFound { program: name.clone(), path, instrument }
        }
    })
}

/// Looks a program up as a shell would: on `path` (`PATH`), or itself when the name contains `/`.
/// Relative entries of `path` are not searched: what they mean depends on where a sheet works.
#[must_use]
pub fn find_program(name: &str, path: Option<&str>, cwd: &Path) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(cwd.join(name)).filter(|file| is_executable(file));
    }
    let folders = path.unwrap_or("/usr/local/bin:/usr/bin:/bin").split(':');
    folders
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| Path::new(folder).join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
