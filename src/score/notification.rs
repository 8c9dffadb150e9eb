//! Messages to people and programs: `notifications`.

use std::fmt;

use super::decode::{At, Bound, Fields};

/// Longest wait for one delivery, seconds.
const MAX_TIMEOUT: f64 = 300.0;
/// Longest command.
const MAX_COMMAND: usize = 4096;

/// One of `notifications`.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Where it goes.
    pub channel: Channel,
    /// What is told; default `job_complete` and `job_failed`.
    pub on_events: Vec<Notice>,
}

/// Where a message goes, with what `config` says of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Channel {
    /// A bubble on the screen of the conductor's machine.
    Desktop {
        /// Who sends it, default `Mozart`.
        app_name: String,
        /// Seconds that it stays, default 10.
        timeout: f64,
    },
    /// A message of an incoming webhook of Slack.
    Slack {
        /// Address.
        url: Address,
        /// Instead of the webhook's own.
        channel: Option<String>,
        /// Instead of the webhook's own.
        username: Option<String>,
        /// Instead of the webhook's own.
        icon_emoji: Option<String>,
        /// Seconds, default 10.
        timeout: f64,
    },
    /// A JSON document by POST.
    Webhook {
        /// Address.
        url: Address,
        /// Further headers; `${VAR}` is taken from the conductor's environment when it is sent.
        headers: Vec<(String, String)>,
        /// Seconds, default 30.
        timeout: f64,
        /// Further tries after a server error, a timeout or a broken connection; 0-10, default 2.
        max_retries: u32,
        /// Seconds between tries, default 1.
        retry_delay: f64,
        /// Say which program sends it. Default true.
        include_metadata: bool,
        /// Variable with the secret that signs the body.
        secret_env: Option<String>,
    },
    /// A shell command that reads the event as JSON on its standard input.
    Command {
        /// For `bash -c`.
        command: String,
        /// Seconds, default 30.
        timeout: f64,
    },
}

impl Channel {
    /// As `type` is written.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Desktop { .. } => "desktop",
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "webhook",
            Self::Command { .. } => "command",
        }
    }

    /// It is sent over the network.
    #[must_use]
    pub const fn needs_http(&self) -> bool {
        matches!(self, Self::Slack { .. } | Self::Webhook { .. })
    }
}

/// An address that may be a secret, or the variable that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// The address.
    Plain(String),
    /// A variable of the conductor.
    Variable(String),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain([REDACTED])"),
            Self::Variable(name) => write!(f, "Variable({name})"),
        }
    }
}

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Notice {
    /// The job begins.
    JobStart,
    /// The job goes on after a pause or a failure.
    JobResumed,
    /// An attempt on a sheet has started.
    SheetStart,
    /// A sheet is completed.
    SheetComplete,
    /// A sheet has failed for good.
    SheetFailed,
    /// The job is completed.
    JobComplete,
    /// The job has failed.
    JobFailed,
    /// The job is paused.
    JobPaused,
    /// An instrument asks to wait.
    RateLimitDetected,
    /// A sheet waits for a person.
    EscalationNeeded,
    /// A cost limit comes near.
    CostWarning,
}

impl Notice {
    const WORDS: &[(&str, Self)] = &[
        ("job_start", Self::JobStart),
        ("sheet_start", Self::SheetStart),
        ("sheet_complete", Self::SheetComplete),
        ("sheet_failed", Self::SheetFailed),
        ("job_complete", Self::JobComplete),
        ("job_failed", Self::JobFailed),
        ("job_paused", Self::JobPaused),
        ("job_resumed", Self::JobResumed),
        ("rate_limit_detected", Self::RateLimitDetected),
        ("escalation_needed", Self::EscalationNeeded),
        ("cost_warning", Self::CostWarning),
    ];

    /// As it is written in a score.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, notice)| *notice == self).map_or("", |(word, _)| word)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Desktop,
    Slack,
    Webhook,
    Command,
    Email,
}

const KINDS: &[(&str, Kind)] = &[
    ("desktop", Kind::Desktop),
    ("slack", Kind::Slack),
    ("webhook", Kind::Webhook),
    ("command", Kind::Command),
    ("email", Kind::Email),
];

impl Notification {
    pub(super) fn decode(at: &At<'_>) -> Option<Self> {
        let mut f = at.fields()?;
        let kind = f.required("type").and_then(|at| at.one_of(KINDS).map(|kind| (kind, at)));
        let on_events = f.present("on_events").and_then(|at| at.list(|at| at.one_of(Notice::WORDS)));
        let config = f.present("config").map(|at| at.fields());
        f.finish();
        let (kind, type_at) = kind?;
        if let Kind::Email = kind {
            type_at.error_hint(
                "email notifications are not supported",
                "use a webhook, or a hook that runs a mail program",
            );
            return None;
        }
        let channel = match config {
            Some(config) => {
                let mut f = config?;
                let channel = channel(kind, at, &mut f);
                f.finish_leniently("V221");
                channel
            }
            None => without_config(kind, at),
        }?;
        if channel.needs_http() && !cfg!(feature = "http") {
            at.error_hint(
                format!(
                    "{} notifications cannot be sent: this mozart was built without the feature `http`",
                    channel.kind()
                ),
                "build it with `cargo build --release --features http`, or use `type: command`",
            );
        }
        Some(Self {
            channel,
            on_events: on_events.unwrap_or_else(|| vec![Notice::JobComplete, Notice::JobFailed]),
        })
    }
}

fn channel(kind: Kind, at: &At<'_>, f: &mut Fields<'_>) -> Option<Channel> {
    match kind {
        Kind::Desktop => Some(Channel::Desktop {
            app_name: f.opt_filled("app_name").unwrap_or_else(|| "Mozart".to_owned()),
            timeout: timeout(f, 10.0),
        }),
        Kind::Slack => {
            let url = address(f, "webhook_url", "webhook_url_env");
            let channel = f.opt_text("channel");
            let username = f.opt_text("username");
            let icon_emoji = f.opt_text("icon_emoji");
            let timeout = timeout(f, 10.0);
            let slack = url.map(|url| Channel::Slack { url, channel, username, icon_emoji, timeout });
            slack.or_else(|| missing(kind, at))
        }
        Kind::Webhook => {
            let url = address(f, "url", "url_env");
            let headers =
                f.present("headers").and_then(|at| at.named(|name, at| header(name, at))).unwrap_or_default();
            let timeout = timeout(f, 30.0);
            let max_retries = f.int("max_retries", 0..=10, 2);
            let retry_delay = f.seconds("retry_delay", Bound::Within(0.0, 60.0), 1.0);
            let include_metadata = f.boolean("include_metadata", true);
            let secret_env = f.opt_filled("secret_env");
            let webhook = url.map(|url| Channel::Webhook {
                url,
                headers,
                timeout,
                max_retries,
                retry_delay,
                include_metadata,
                secret_env,
            });
            webhook.or_else(|| missing(kind, at))
        }
        Kind::Command => {
            let timeout = timeout(f, 30.0);
            let command = f.nullable("command").and_then(|at| {
                let text = at.filled_text()?;
                if text.len() > MAX_COMMAND {
                    at.error(format!("String should have at most {MAX_COMMAND} characters"));
                }
                Some(text.to_owned())
            });
            command.map(|command| Channel::Command { command, timeout }).or_else(|| missing(kind, at))
        }
        Kind::Email => None,
    }
}

fn without_config(kind: Kind, at: &At<'_>) -> Option<Channel> {
    match kind {
        Kind::Desktop => Some(Channel::Desktop { app_name: "Mozart".to_owned(), timeout: 10.0 }),
        Kind::Slack | Kind::Webhook | Kind::Command => missing(kind, at),
        Kind::Email => None,
    }
}

fn missing(kind: Kind, at: &At<'_>) -> Option<Channel> {
    at.error(match kind {
        Kind::Slack => "Slack notification requires 'webhook_url' or 'webhook_url_env' in config",
        Kind::Webhook => "Webhook notification requires 'url' or 'url_env' in config",
        Kind::Command | Kind::Desktop | Kind::Email => "Command notification requires 'command' in config",
    });
    None
}

fn timeout(f: &mut Fields<'_>, default: f64) -> f64 {
    f.seconds("timeout", Bound::AboveTo(0.0, MAX_TIMEOUT), default)
}

/// The address itself comes before the variable.
fn address(f: &mut Fields<'_>, plain: &'static str, variable: &'static str) -> Option<Address> {
    let named = f.opt_filled(variable).map(Address::Variable);
    let written = f.nullable(plain).and_then(|at| {
        let text = at.filled_text()?;
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            at.error_hint(
                "the address must begin with http:// or https://",
                format!("to take it from the environment use {variable}"),
            );
        }
        Some(Address::Plain(text.to_owned()))
    });
    written.or(named)
}

fn header(name: &str, at: &At<'_>) -> Option<String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        at.error("a header name consists of letters, digits and hyphens");
    }
    at.label()
}

#[cfg(test)]
mod tests {
    use super::super::{Source, load};

    /// Problems of a score with these notifications.
    fn problems(notifications: &str) -> Vec<String> {
        let text = format!(
            "name: x\nsheet: {{size: 1, total_items: 1}}\nprompt: {{template: t}}\nnotifications: {notifications}\n"
        );
        let source = Source { text, base: "/base".into(), ..Source::default() };
        load(&source).issues.iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect()
    }

    #[test]
    fn what_needs_the_network_needs_the_feature() {
        let all = problems(
            "[{type: webhook, config: {url: \"https://h/x\"}}, {type: desktop}, {type: command, config: {command: ls}}]",
        );
        let refused = all.iter().filter(|text| text.contains("built without the feature `http`")).count();
        assert_eq!(refused, usize::from(!cfg!(feature = "http")), "{all:?}");
    }

    #[test]
    fn settings_that_cannot_work_are_told() {
        for (notification, part) in [
            ("{type: command}", "0: Command notification requires 'command' in config"),
            ("{type: webhook, config: {url: \"ftp://h\"}}", "0.config.url: the address must begin with http"),
            (
                "{type: webhook, config: {url: \"http://h\", timeout: 0}}",
                "0.config.timeout: Input should be greater than 0",
            ),
            (
                "{type: webhook, config: {url: \"http://h\", headers: {\"a b\": c}}}",
                "a header name consists of",
            ),
            ("{type: desktop, on_events: [job_done]}", "0.on_events.0: Input should be"),
            ("{type: desktop, config: {colour: red}}", "0.config"),
            ("{type: desktop, config: 3}", "0.config: Input should be a valid mapping"),
        ] {
            let all = problems(&format!("[{notification}]"));
            assert!(all.iter().any(|text| text.contains(part)), "{notification}: {all:?}");
        }
    }
}
