//! A score looked at as a file: everything that is wrong or doubtful about it, before anything runs.
//!
//! Loading, expanding and the pure checks of [`crate::score::checks`], and here those that look whether files are
//! there. Reads names and kinds of files only; the texts that loading needs come with the source.
//! Not for: printing what was found (`cli`), what a conductor refuses at a submission (`conductor`).

mod corpus;
mod files;

use crate::instrument::Registry;
use crate::plan::{self, Overrides, Plan};
use crate::score::checks::{self, Cost, Facts, Instruments, Rendered, Subject};
use crate::score::{InstrumentConfig, Issue, Score, Severity, Source};

/// What was found about a score.
#[derive(Debug, Default)]
pub struct Findings {
    /// All problems: errors, warnings, remarks; each in the order they were found.
    pub issues: Vec<Issue>,
    /// The score, when its structure is right.
    pub score: Option<Score>,
    /// Its sheets, when they fit together.
    pub plan: Option<Plan>,
    /// Bodies of the prompts; empty for a score without a template.
    pub rendered: Vec<Rendered>,
    /// Keys of the top level, in order.
    pub keys: Vec<String>,
}

/// Loads, expands and checks a score.
#[must_use]
pub fn check(source: &Source, overrides: &Overrides, registry: &Registry) -> Findings {
    let inspected = crate::score::inspect(source);
    let mut findings = Findings { issues: inspected.issues, ..Findings::default() };
    files::template_file(&mut findings.issues, source);
    if let Some(document) = &inspected.document {
        findings.keys = document.top().map(str::to_owned).collect();
        if let Some(score) = &inspected.score {
            match plan::expand(score, overrides) {
                Ok(plan) => {
                    let instruments = Known(registry);
                    let subject = Subject { source, document, score, plan: &plan, instruments: &instruments };
                    look(&subject, &mut findings);
                    findings.plan = Some(plan);
                }
                Err(issues) => findings.issues.extend(issues),
            }
        }
    }
    findings.score = inspected.score;
    checks::sort(&mut findings.issues);
    findings
}

/// A score that may run.
#[derive(Debug)]
pub struct Admitted {
    /// The score.
    pub score: Score,
    /// Its sheets.
    pub plan: Plan,
    /// What is doubtful about it.
    pub warnings: Vec<Issue>,
}

/// Looks at a score that is to run: what [`check`] calls an error refuses it, all errors at once.
/// That the workspace can be made (V002) is left to the caller, who may make it or another one.
///
/// # Errors
/// All errors, with places and advice.
pub fn admit(source: &Source, overrides: &Overrides, registry: &Registry) -> Result<Admitted, Vec<Issue>> {
    let Findings { mut issues, score, plan, .. } = check(source, overrides, registry);
    issues.retain(|issue| issue.code != "V002");
    match (score, plan) {
        (Some(score), Some(plan)) if !issues.iter().any(Issue::is_error) => {
            issues.retain(|issue| issue.severity == Severity::Warning);
            Ok(Admitted { score, plan, warnings: issues })
        }
        _ => {
            issues.retain(Issue::is_error);
            Err(issues)
        }
    }
}

fn look(subject: &Subject<'_>, findings: &mut Findings) {
    let mut report = checks::run(subject);
    checks::run_more(subject, files::CHECKS, &mut report);
    checks::run_more(subject, corpus::CHECKS, &mut report);
    // Looking at a condition says more about it than that it could not be decided.
    let told =
        |issue: &Issue| report.issues.iter().any(|other| other.code == "V213" && other.path == issue.path);
    let mut of_plan: Vec<Issue> =
        subject.plan.warnings.iter().filter(|issue| issue.code != "V213" || !told(issue)).cloned().collect();
    findings.issues.append(&mut of_plan);
    findings.issues.append(&mut report.issues);
    findings.rendered = report.rendered;
}

/// The instruments of a registry, as the checks ask for them.
struct Known<'a>(&'a Registry);

impl Instruments for Known<'_> {
    fn facts(&self, name: &str) -> Option<Facts> {
        let profile = self.0.get(name)?;
        let command = profile.command.as_ref();
        Some(Facts {
            asks: command.is_some_and(|command| command.auto_approve_flag.is_some()),
            tool_servers: command.is_some_and(|command| !command.mcp_disable_args.is_empty()),
            takes_tool_servers: command.is_some_and(|command| command.mcp_config_flag.is_some()),
            over_http: profile.http.is_some(),
        })
    }

    fn cost(&self, name: &str, config: &InstrumentConfig) -> Option<Cost> {
        let profile = self.0.get(name)?;
        let text = config.output_format.is_some_and(|format| format.as_str() == "text");
        let told = profile.output.cost_path.is_some() && !text;
        // A script uses no tokens.
        if profile.raw_prompt || told || profile.model(config.model.as_deref()).is_some() {
            return Some(Cost::Known);
        }
        let priced = profile.models.iter().map(|known| known.name.clone()).collect();
        Some(Cost::Unknown { model: config.model.clone().or_else(|| profile.default_model.clone()), priced })
    }

    fn names(&self) -> Vec<String> {
        self.0.names().map(str::to_owned).collect()
    }
}
