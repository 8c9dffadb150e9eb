//! Prompts of sheets before a job runs: the same code that a sheet worker runs, with nothing run before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::score_file::ScoreFile;
use crate::config::Config;
use crate::cost::Price;
use crate::daemon::settings;
use crate::instrument::{self, Call, Environment, Model, Registry, Shown};
use crate::plan::SheetPlan;
use crate::template::Vars;
use crate::template::placeholders::{expand_command, expand_path};
use crate::worker::attempt::IDENTITY;
use crate::worker::brief::{Brief, Limits, Round};

/// What prompts are made with besides the score.
pub(crate) struct Desk {
    registry: Registry,
    limits: Limits,
    thinking_method: Option<String>,
    ours: Environment,
}

/// What a sheet's instrument would get.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// The whole prompt.
    pub(crate) text: String,
    pub(crate) estimated_tokens: u64,
    /// The argument list of the program; empty for an instrument that is none.
    pub(crate) command: Vec<String>,
    /// Names of the variables that the program gets of the conductor's; `None` = all of them.
    pub(crate) inherited: Option<Vec<String>>,
    /// Names of the variables that are set for it.
    pub(crate) set: Vec<String>,
    pub(crate) timeout: Duration,
    /// What the prompt alone costs, in micro-dollars; `None` when no price is known.
    pub(crate) cost_micro: Option<u64>,
    /// The prompt is an argument of the command, not its input.
    pub(crate) as_argument: bool,
    pub(crate) rules: Vec<Rule>,
    pub(crate) warnings: Vec<String>,
}

/// A rule that would be checked after the sheet, its placeholders filled.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) index: usize,
    pub(crate) kind: &'static str,
    pub(crate) description: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) command: Option<String>,
    pub(crate) stage: u8,
}

impl Desk {
    /// With the settings of the conductor that would run the job.
    pub(crate) fn new(cx: &Context, registry: Registry) -> Self {
        let overrides =
            settings::Overrides { clone: cx.global.clone.clone(), ..settings::Overrides::default() };
        let settings = settings::load(cx.brand, &overrides)
            .unwrap_or_else(|_| settings::without_file(cx.brand, &overrides));
        let Config { preflight, default_thinking_method, .. } = settings.config;
        let limits = Limits {
            warn_tokens: preflight.token_warning_threshold,
            refuse_tokens: preflight.token_error_threshold,
        };
        Self {
            registry,
            limits,
            thinking_method: default_thinking_method,
            ours: instrument::environment::ours(),
        }
    }

    /// The rendered template alone.
    pub(crate) fn body(&self, file: &ScoreFile, sheet: &SheetPlan) -> Result<String, String> {
        let brief = self.brief(file, sheet)?;
        let mut vars = brief.vars();
        brief.add_round(&mut vars, 0, &mut Vec::new());
        brief.body(&vars).map_err(|failure| failure.message)
    }

    /// The prompt of the first attempt of a sheet and the command that gets it.
    pub(crate) fn prompt(&self, file: &ScoreFile, sheet: &SheetPlan) -> Result<Prompt, String> {
        let brief = self.brief(file, sheet)?;
        let mut vars = brief.vars();
        let mut warnings = Vec::new();
        brief.add_round(&mut vars, 0, &mut warnings);
        let requirements = brief.requirements(&vars);
        let ready = brief
            .prompt(&mut vars, &Round::default(), &requirements, &mut warnings)
            .map_err(|failure| failure.message)?;
        let cwd =
            brief.choice.config.working_directory.clone().unwrap_or_else(|| file.plan.workspace.clone());
        let Shown { argv, inherited, set, timeout } = self.command(&brief, &ready.text, &cwd)?;
        Ok(Prompt {
            as_argument: argv.contains(&ready.text),
            estimated_tokens: ready.estimated_tokens,
            command: argv,
            inherited,
            set,
            timeout,
            cost_micro: price(&brief).map(|price| price.of(ready.estimated_tokens, 0)),
            rules: rules(file, sheet, &vars),
            text: ready.text,
            warnings,
        })
    }

    fn command(&self, brief: &Brief<'_>, prompt: &str, cwd: &Path) -> Result<Shown, String> {
        let settings = brief.settings();
        let call = Call {
            profile: brief.profile,
            settings: &settings,
            prompt,
            cwd,
            prompt_file: &PathBuf::from("PROMPT-FILE"),
            ours: &self.ours,
            own_program: Path::new("mozart"),
            identity: &IDENTITY.map(|name| (name.to_owned(), String::new())),
        };
        instrument::shown(&call).map_err(|error| error.to_string())
    }

    fn brief<'a>(&'a self, file: &'a ScoreFile, sheet: &'a SheetPlan) -> Result<Brief<'a>, String> {
        let name = &sheet.instrument.name;
        let profile = self.registry.get(name).ok_or_else(|| self.registry.unknown(name))?;
        Ok(Brief {
            score: &file.score,
            plan: &file.plan,
            sheet,
            choice: &sheet.instrument,
            profile,
            workspace: &file.plan.workspace,
            home: self.ours.get("HOME").map(Path::new),
            thinking_method: self.thinking_method.as_deref(),
            limits: self.limits,
        })
    }
}

/// Price of the model that is called; a script has none, for it uses no tokens.
fn price(brief: &Brief<'_>) -> Option<Price> {
    if brief.profile.raw_prompt {
        return None;
    }
    let listed = brief.profile.model(brief.choice.config.model.as_deref()).and_then(Model::price);
    listed.or_else(|| {
        let (input, output) = brief.score.cost_limits.own_price()?;
        Price::per_thousand(input, output)
    })
}

fn rules(file: &ScoreFile, sheet: &SheetPlan, vars: &Vars) -> Vec<Rule> {
    let rule = |index: &usize| {
        let rule = file.score.validations.get(*index)?;
        Some(Rule {
            index: *index,
            kind: rule.kind.as_str(),
            description: rule.description.clone(),
            path: rule.path.as_ref().map(|path| expand_path(path, vars).unwrap_or_else(|_| path.clone())),
            pattern: rule.pattern.clone(),
            command: rule.command.as_ref().map(|command| expand_command(command, vars)),
            stage: rule.stage,
        })
    };
    let mut rules: Vec<Rule> = sheet.rules.iter().filter_map(rule).collect();
    rules.sort_by_key(|rule| rule.stage);
    rules
}
