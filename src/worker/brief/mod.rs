//! What a sheet's instrument is told: variables, body, requirements, the whole prompt, its settings.
//!
//! One code path for an attempt and for `mozart render`. Reads the files that a score injects; starts and
//! writes nothing.

mod capture;
mod corpus;
mod inject;
mod techniques;
#[cfg(test)]
mod tests;
mod vars;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::classify::ErrorCode;
use crate::exec::{Failure, PreviousFailure};
use crate::http::Family;
use crate::instrument::{HttpSettings, Profile, Settings};
use crate::plan::{InstrumentChoice, Plan, SheetPlan};
use crate::score::{self, Score};
use crate::template::prompt::{PromptParts, Requirement, assemble, default_body, measure};
use crate::template::{self, Item, Vars};

pub(crate) use capture::quote;

/// One sheet with everything that its prompt is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brief<'a> {
    pub(crate) score: &'a Score,
    pub(crate) plan: &'a Plan,
    pub(crate) sheet: &'a SheetPlan,
    pub(crate) choice: &'a InstrumentChoice,
    pub(crate) profile: &'a Profile,
    pub(crate) workspace: &'a Path,
    /// The user's home directory, for the documents of techniques.
    pub(crate) home: Option<&'a Path>,
    /// For scores that have none of their own.
    pub(crate) thinking_method: Option<&'a str>,
    pub(crate) limits: Limits,
}

/// Estimated tokens of a prompt above which it is remarked, or refused; 0 = never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) warn_tokens: u64,
    pub(crate) refuse_tokens: u64,
}

/// What is special about one attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Round<'a> {
    /// Attempts before this one.
    pub(crate) retry_count: u32,
    pub(crate) previous: Option<&'a PreviousFailure>,
    pub(crate) completion: Option<(u32, u32)>,
    /// Something was mended since the attempt before.
    pub(crate) healing: bool,
    /// What a person has to add.
    pub(crate) note: Option<&'a str>,
}

/// A prompt, byte for byte as the instrument gets it.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) text: String,
    pub(crate) estimated_tokens: u64,
    /// Skills and tools that the score names and that are not there.
    pub(crate) missing: Vec<PathBuf>,
}

impl Brief<'_> {
    /// Adds what depends on the attempt, and the files that earlier sheets wrote.
    pub(crate) fn add_round(&self, vars: &mut Vars, retry_count: u32, warnings: &mut Vec<String>) {
        vars.set("job_name", self.score.name.as_str());
        vars.set("attempt", retry_count + 1);
        vars.set("retry_count", retry_count);
        let Some(cross) = &self.score.cross_sheet else { return };
        if !cross.capture_files.is_empty() {
            let files = self.captured(cross, vars, warnings);
            vars.set("previous_files", Item::Map(files));
        }
    }

    /// The rules of the sheet in stage order, as the prompt shows them.
    pub(crate) fn requirements(&self, vars: &Vars) -> Vec<Requirement> {
        self.rules()
            .into_iter()
            .map(|rule| Requirement {
                rule_type: rule.kind.as_str().to_owned(),
                description: rule.description.clone(),
                path: rule.path.as_ref().map(|path| {
                    // As it is checked: the program may work in another directory.
                    let whole = crate::validate::expand_path(path, vars, self.workspace);
                    whole.map_or_else(|_| path.clone(), |path| path.display().to_string())
                }),
                pattern: rule.pattern.clone(),
                command: rule.command.clone(),
            })
            .collect()
    }

    /// The rules of the sheet in stage order.
    pub(crate) fn rules(&self) -> Vec<&score::Rule> {
        let all = &self.score.validations;
        let mut rules: Vec<&score::Rule> =
            self.sheet.rules.iter().filter_map(|&index| all.get(index)).collect();
        rules.sort_by_key(|rule| rule.stage);
        rules
    }

    /// The rendered template, or the default prompt of a score without one.
    pub(crate) fn body(&self, vars: &Vars) -> Result<String, Failure> {
        let Some(template) = &self.score.prompt.template else {
            let items = (self.sheet.start_item, self.sheet.end_item);
            let stakes = self.score.prompt.stakes.as_deref().unwrap_or("");
            let own = self.score.prompt.thinking_method.as_deref();
            let thinking = own.or(self.thinking_method).unwrap_or("");
            return Ok(default_body(self.sheet.num.0, self.total(), items, stakes, thinking));
        };
        template::render(template, vars).map_err(|error| {
            let place = error.line.map_or_else(String::new, |line| format!(" (template line {line})"));
            let message = format!("the prompt template does not render: {}{place}", error.message);
            refusal(ErrorCode::E304, message)
        })
    }

    /// The whole prompt: injections, body, requirements, extensions, what failed before.
    pub(crate) fn prompt(
        &self,
        vars: &mut Vars,
        round: &Round<'_>,
        requirements: &[Requirement],
        warnings: &mut Vec<String>,
    ) -> Result<Ready, Failure> {
        let raw = self.profile.raw_prompt;
        let injected = if raw { inject::Injected::default() } else { self.injected(vars, warnings) };
        for (name, texts) in [
            ("injected_skills", &injected.skills),
            ("injected_tools", &injected.tools),
            ("injected_context", &injected.context),
        ] {
            vars.set(name, texts.clone());
        }
        let body = self.body(vars)?;
        let specs = if raw { Vec::new() } else { self.specs(warnings) };
        let extensions = self.extensions(warnings);
        let workspace = self.workspace.display().to_string();
        let text = assemble(&PromptParts {
            raw,
            sheet: self.sheet.num.0,
            total: self.total(),
            workspace: &workspace,
            retry_count: round.retry_count,
            concurrent: self.score.parallel.enabled,
            skills: &injected.skills,
            tools: &injected.tools,
            context: &injected.context,
            body: &body,
            specs: &specs,
            requirements,
            extensions: &extensions,
            previous: round.previous,
            completion: round.completion,
            healing: round.healing,
            note: round.note,
        });
        if raw && round.note.is_some() {
            warnings.push("the note of a person is left out: the instrument takes a script".to_owned());
        }
        let estimated_tokens = measure(&text).estimated_tokens;
        let Limits { warn_tokens, refuse_tokens } = self.limits;
        if refuse_tokens > 0 && estimated_tokens > refuse_tokens {
            let message = format!(
                "the prompt has about {estimated_tokens} tokens, {refuse_tokens} are allowed \
                 (preflight.token_error_threshold): shorten the injected files or split the sheet"
            );
            return Err(refusal(ErrorCode::E602, message));
        }
        if warn_tokens > 0 && estimated_tokens > warn_tokens {
            warnings.push(format!("the prompt has about {estimated_tokens} tokens"));
        }
        Ok(Ready { text, estimated_tokens, missing: injected.missing })
    }

    /// How the score wants the instrument to be called.
    pub(crate) fn settings(&self) -> Settings {
        let config = &self.choice.config;
        let mcp_config = self.tool_servers();
        Settings {
            skip_permissions: config.skip_permissions.unwrap_or(true),
            disable_mcp: config.disable_mcp.unwrap_or(mcp_config.is_none()),
            mcp_config,
            allowed_tools: config.allowed_tools.clone().unwrap_or_default(),
            model: config.model.clone(),
            system_prompt_file: config.system_prompt_file.clone(),
            output_format: config.output_format.map(|format| format.as_str().to_owned()),
            extra_args: config.cli_extra_args.clone().unwrap_or_default(),
            env: config.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            timeout: config.timeout_seconds.map(Duration::from_secs_f64),
            http: self.http_settings(),
        }
    }

    /// What only an instrument of kind http is told.
    fn http_settings(&self) -> HttpSettings {
        let config = &self.choice.config;
        let local = self.profile.http.as_ref().filter(|http| http.family == Family::Ollama);
        let local = local.map(|_| &self.score.backend.ollama);
        HttpSettings {
            base_url: config.base_url.clone(),
            api_key_env: config.api_key_env.clone(),
            max_tokens: config.max_tokens,
            temperature: config.temperature.or_else(|| self.score.backend.temperature_of(&self.profile.name)),
            num_ctx: local.map(|ollama| ollama.num_ctx),
            keep_alive: local.map(|ollama| ollama.keep_alive.clone()),
            alive_timeout: local.map(|ollama| Duration::from_secs_f64(ollama.health_check_timeout)),
        }
    }

    fn total(&self) -> u32 {
        u32::try_from(self.plan.sheets.len()).unwrap_or(u32::MAX)
    }
}

fn refusal(code: ErrorCode, message: String) -> Failure {
    Failure { code, message, retriable: false, delay: Duration::ZERO }
}
