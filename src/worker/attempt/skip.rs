//! `skip_when_command`: a command that says whether a sheet is needed at all.

use std::time::Duration;

use crate::template::placeholders;
use crate::util::text::{cut, first_line};
use crate::validate::Command;

use super::Attempt;

/// What the command said.
pub(super) enum Skip {
    /// The sheet is not needed, and why.
    Yes(String),
    /// It runs; a command that could not say so is remarked.
    No(Option<String>),
}

impl Attempt<'_> {
    /// Runs the command in the workspace. Whatever goes wrong, the sheet runs.
    pub(super) fn skip_command(&self) -> Skip {
        let Some(skip) = &self.sheet.skip_command else { return Skip::No(None) };
        let workspace = &self.prepared.workspace;
        if let Err(error) = std::fs::create_dir_all(workspace) {
            let why = format!("cannot create the workspace {}: {error}", workspace.display());
            return Skip::No(Some(format!("skip_when_command did not run: {why}")));
        }
        let identity = self.identity();
        let runner = self.runner(&identity);
        let end = runner.run(&Command {
            argv: vec![
                runner.shell(),
                "-c".to_owned(),
                placeholders::expand_command(&skip.command, &self.vars),
            ],
            cwd: workspace.clone(),
            timeout: Duration::from_secs_f64(skip.timeout_seconds),
        });
        let shown = cut(&first_line(&skip.command, 200), 200);
        let trouble = match (&end.spawn_error, end.timed_out, end.exit_code) {
            (None, false, Some(0)) => {
                return Skip::Yes(
                    skip.description.clone().unwrap_or_else(|| format!("Command succeeded: {shown}")),
                );
            }
            (Some(error), ..) => Some(format!("could not be started: {error}")),
            (None, true, _) => Some(format!("timed out after {} seconds", skip.timeout_seconds)),
            (None, false, None) => Some("ended without an exit code".to_owned()),
            // An ordinary no.
            (None, false, Some(_)) => None,
        };
        Skip::No(trouble.map(|why| format!("skip_when_command `{shown}` {why}: the sheet runs")))
    }
}
