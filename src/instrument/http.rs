//! Instruments of kind http: the call of a sheet is `mozart __http prompt …`, so that the guard, its
//! deadlines and its logs are those of every other program.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::command::{Call, CommandError, Invocation, StdinSource};
use super::environment;
use super::path::DotPath;
use super::profile::{Format, Output, Profile};
use crate::classify::Patterns;
use crate::http::{self, Family};

/// The service asks to come back later.
const LATER: i32 = 75;

/// `http` of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// `https://api.example.com`, without the path of the endpoint.
    pub base_url: String,
    /// Path below it; the family knows the usual one.
    pub endpoint: String,
    /// How it is spoken to.
    pub family: Family,
    /// Variable that holds the key; none = no key is sent.
    pub auth_env_var: Option<String>,
}

impl Http {
    /// The whole address, with another base when the score gives one.
    #[must_use]
    pub fn url(&self, base: Option<&str>) -> String {
        let base = base.unwrap_or(&self.base_url).trim_end_matches('/');
        // Some write the version into the base, as other clients want it.
        let base =
            if self.endpoint.starts_with("/v1/") { base.strip_suffix("/v1").unwrap_or(base) } else { base };
        format!("{base}{}", self.endpoint)
    }
}

/// What a score says to an instrument of kind http.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpSettings {
    /// Instead of the profile's.
    pub base_url: Option<String>,
    /// Instead of the profile's.
    pub api_key_env: Option<String>,
    /// Most tokens of the answer.
    pub max_tokens: Option<u64>,
    /// 0-2.
    pub temperature: Option<f64>,
    /// Context window of a local model.
    pub num_ctx: Option<u64>,
    /// How long a local model stays loaded.
    pub keep_alive: Option<String>,
    /// How long a local server has to answer at all, before it is asked.
    pub alive_timeout: Option<Duration>,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    base_url: String,
    #[serde(default)]
    endpoint: Option<String>,
    schema_family: String,
    #[serde(default)]
    auth_env_var: Option<String>,
}

impl Section {
    pub(super) fn check(self, instrument: &str) -> Result<Http, String> {
        let family = Family::named(&self.schema_family).ok_or_else(|| {
            format!(
                "instrument '{instrument}': `http.schema_family` must be anthropic, openai or ollama, not {}",
                self.schema_family
            )
        })?;
        http::check(&self.base_url).map_err(|error| format!("`http.base_url`: {error}"))?;
        let endpoint = self.endpoint.unwrap_or_else(|| family.endpoint().to_owned());
        if !endpoint.starts_with('/') {
            return Err("`http.endpoint` must begin with `/`".to_owned());
        }
        let auth_env_var = self.auth_env_var.filter(|name| !name.is_empty());
        Ok(Http { base_url: self.base_url, endpoint, family, auth_env_var })
    }
}

/// How the output of `mozart __http prompt` is read.
pub(super) fn output() -> Output {
    let path = |text: &str| Some(DotPath::parse(text).expect("a constant path"));
    Output {
        format: Format::Json,
        result_path: path("result"),
        error_path: path("error.message"),
        code_path: path("error.code"),
        input_tokens_path: path("input_tokens"),
        output_tokens_path: path("output_tokens"),
        ..Output::default()
    }
}

/// What its exit codes mean.
pub(super) fn patterns() -> Patterns {
    Patterns { rate_limit_exit_codes: vec![LATER], ..Patterns::default() }
}

/// The call of a sheet.
pub(super) fn invocation(call: &Call<'_>, http: &Http) -> Result<Invocation, CommandError> {
    let instrument = || call.profile.name.clone();
    if !http::BUILT_IN {
        return Err(CommandError::Http { instrument: instrument() });
    }
    let mut warnings = Vec::new();
    let key = key_variable(call, http);
    let ours = call.ours;
    let allowed: Vec<String> = key.map(str::to_owned).into_iter().collect();
    let mut env = environment::limited(ours, Some(&allowed));
    for (name, value) in &call.settings.env {
        if name.is_empty() || name.contains('=') {
            warnings.push(format!("environment variable name `{name}` is not possible: left out"));
            continue;
        }
        env.insert(name.clone(), environment::expand(value, ours, &mut warnings));
    }
    if let Some(name) = key
        && env.get(name).is_none_or(String::is_empty)
    {
        return Err(CommandError::NoKey { variable: name.to_owned(), instrument: instrument() });
    }
    env.extend(call.identity.iter().cloned());
    if call.settings.http.base_url.as_deref().is_some_and(|url| http::check(url).is_err()) {
        return Err(CommandError::BadAddress { instrument: instrument() });
    }
    if model(call).is_none() {
        return Err(CommandError::NoModel { instrument: instrument() });
    }
    let timeout = call.settings.timeout.unwrap_or(call.profile.default_timeout);
    let argv = argument_list(call, http, timeout);
    if let Some(name) = argv.iter().find(|argument| argument.contains('\0')) {
        let name = name.replace('\0', "\u{2400}");
        return Err(CommandError::NulInArgument { name, instrument: instrument() });
    }
    let stdin = StdinSource::Prompt(call.prompt.as_bytes().to_vec());
    Ok(Invocation { argv, env: env.into_iter().collect(), stdin, prompt_file: None, timeout, warnings })
}

/// Name of the variable with the key.
pub(super) fn key_variable<'c>(call: &'c Call<'_>, http: &'c Http) -> Option<&'c str> {
    call.settings.http.api_key_env.as_deref().or(http.auth_env_var.as_deref())
}

fn model<'c>(call: &'c Call<'_>) -> Option<&'c str> {
    call.settings.model.as_deref().or(call.profile.default_model.as_deref())
}

pub(super) fn argument_list(call: &Call<'_>, http: &Http, timeout: Duration) -> Vec<String> {
    let settings = call.settings;
    let own = &settings.http;
    let mut argv =
        vec![call.own_program.display().to_string(), http::ARGUMENT.to_owned(), http::PROMPT.to_owned()];
    let mut pair = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([name.to_owned(), value]);
        }
    };
    let local = http.family == Family::Ollama;
    pair("--family", Some(http.family.as_str().to_owned()));
    pair("--url", Some(http.url(own.base_url.as_deref())));
    pair("--model", Some(model(call).unwrap_or_default().to_owned()));
    pair("--timeout", Some(before(timeout).as_secs_f64().to_string()));
    pair("--key-env", key_variable(call, http).map(str::to_owned));
    pair("--system-file", settings.system_prompt_file.as_deref().map(shown));
    pair("--max-tokens", max_tokens(call, http).map(|number| number.to_string()));
    pair("--temperature", own.temperature.map(|number| number.to_string()));
    pair("--num-ctx", own.num_ctx.filter(|_| local).map(|number| number.to_string()));
    pair("--keep-alive", own.keep_alive.clone().filter(|_| local));
    if let Some(patience) = own.alive_timeout.filter(|_| local) {
        let base = own.base_url.as_deref().unwrap_or(&http.base_url).trim_end_matches('/');
        pair("--alive-url", Some(format!("{base}/api/version")));
        pair("--alive-timeout", Some(patience.as_secs_f64().to_string()));
    }
    argv
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What the score says, else what the family needs, never more than the model can write.
fn max_tokens(call: &Call<'_>, http: &Http) -> Option<u64> {
    let wanted = call.settings.http.max_tokens.or(http.family.default_max_tokens())?;
    let model = model(call)?;
    let most = known(call.profile, model).and_then(|known| known.max_output_tokens);
    Some(most.map_or(wanted, |most| wanted.min(most)))
}

fn known<'p>(profile: &'p Profile, model: &str) -> Option<&'p super::Model> {
    profile.models.iter().find(|known| known.name == model)
}

/// A little before the guard ends the program, so that it can say why.
fn before(timeout: Duration) -> Duration {
    timeout - (timeout / 20).min(Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_the_base_is_not_said_twice() {
        let http = |endpoint: &str| Http {
            base_url: "https://h/".to_owned(),
            endpoint: endpoint.to_owned(),
            family: Family::OpenAi,
            auth_env_var: None,
        };
        assert_eq!(http("/v1/messages").url(None), "https://h/v1/messages");
        assert_eq!(http("/v1/messages").url(Some("http://x:1/v1/")), "http://x:1/v1/messages");
        assert_eq!(http("/api/chat").url(Some("http://x:1/sub")), "http://x:1/sub/api/chat");
    }

    #[test]
    fn the_program_gives_up_before_its_guard_does() {
        assert_eq!(before(Duration::from_secs(2)), Duration::from_millis(1900));
        assert_eq!(before(Duration::from_secs(1800)), Duration::from_secs(1798));
    }
}
