//! What an attempt uses: tokens, what they cost, and the end of one that uses more than is left.

use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use crate::cost::{self, Price, Reported};
use crate::exec::{Evidence, Left};
use crate::executor;
use crate::instrument::{Meter, Model};

use super::Attempt;

/// How often the output of a running program is read for what it has used.
const LOOK: Duration = Duration::from_secs(1);
/// The thread that does it reads JSON, which nests.
const STACK: usize = 512 << 10;
/// Instruments and models that are remembered as having been complained about.
const MAX_REMARKS: usize = 1000;

impl Attempt<'_> {
    /// What the profile says of the model that is used: that of the score, else the instrument's default.
    pub(super) fn model(&self) -> Option<&Model> {
        self.profile.model(self.choice.config.model.as_deref())
    }

    fn model_name(&self) -> Option<&str> {
        self.choice.config.model.as_deref().or(self.profile.default_model.as_deref())
    }

    /// Price of that model; else what the score itself names; else none is known.
    fn price(&self) -> Option<Price> {
        self.model().and_then(Model::price).or_else(|| {
            let (input, output) = self.prepared.score.cost_limits.own_price()?;
            Price::per_thousand(input, output)
        })
    }

    fn reads_text(&self) -> bool {
        self.choice.config.output_format.is_some_and(|format| format.as_str() == "text")
    }

    /// Records what a program has used. Called for every attempt whose program ran, whatever came of it.
    pub(super) fn spend(&self, used: &Reported, printed_chars: u64, evidence: &mut Evidence) {
        if self.profile.raw_prompt && *used == Reported::default() {
            // A script is not a prompt: it uses no tokens and costs nothing.
            (evidence.cost_micro, evidence.cost_confidence) = (Some(0), cost::EXACT);
            return;
        }
        let prompt_tokens = match &evidence.prompt {
            Some(prompt) => prompt.estimated_tokens,
            // An attempt of the conductor before this one: the prompt is in its directory, if anywhere.
            None => {
                let file = self.dir.join(crate::guard::record::PROMPT);
                cost::estimate(std::fs::metadata(file).map_or(0, |meta| meta.len()))
            }
        };
        let tokens = used.tokens(prompt_tokens, printed_chars);
        (evidence.input_tokens, evidence.output_tokens) = (Some(tokens.input), Some(tokens.output));
        (evidence.cost_micro, evidence.cost_confidence) = match (used.cost_micro, self.price()) {
            (Some(told), _) => (Some(told), cost::EXACT),
            (None, Some(price)) => (Some(price.of(tokens.input, tokens.output)), tokens.confidence),
            (None, None) => (None, 0.0),
        };
        if evidence.cost_micro.is_none() {
            self.remark_missing_price(&mut evidence.warnings);
        }
    }

    /// A limit in dollars that cannot be kept is remarked with the attempt, and once in the log.
    fn remark_missing_price(&self, warnings: &mut Vec<String>) {
        let limits = &self.prepared.score.cost_limits;
        let in_dollars = limits.max_cost_per_sheet.is_some() || limits.max_cost_per_job.is_some();
        if !limits.enabled || !in_dollars {
            return;
        }
        let instrument = &self.profile.name;
        let model = self.model_name().unwrap_or("unknown");
        warnings.push(format!(
            "no price is known for model {model} of instrument {instrument}, so its cost does not count: name a \
             `model` of its profile, or set cost_limits.cost_per_1k_input_tokens and cost_per_1k_output_tokens"
        ));
        let mut known = self.worker.unpriced.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_REMARKS && known.insert(format!("{instrument} {model}")) {
            log::warn!("cost.unpriced attempt={} instrument={instrument} model={model}", self.key);
        }
    }

    /// Runs a program to its end and, when its output tells what it uses while it runs, ends it once it has used
    /// more than is left. Then says so, for the report.
    pub(super) fn metered<T>(&self, left: Left, run: impl FnOnce() -> T) -> (T, Option<String>) {
        if left == Left::default() {
            return (run(), None);
        }
        let Some(mut meter) = Meter::of(self.profile, self.reads_text()) else { return (run(), None) };
        let stdout = executor::stdout_log(&self.dir);
        // Nothing is sent: the program's end closes it.
        let (over, ended) = crossbeam_channel::bounded::<()>(0);
        thread::scope(|scope| {
            let watch = move || {
                while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if self.control.is_cancelled() {
                        return None;
                    }
                    if let Some(why) = self.beyond(left, &meter.look(&stdout)) {
                        log::info!("attempt.cost_limit attempt={}", self.key);
                        self.control.cancel();
                        return Some(why);
                    }
                }
                None
            };
            let thread = thread::Builder::new().name("mz-meter".to_owned()).stack_size(STACK);
            match thread.spawn_scoped(scope, watch) {
                Ok(watcher) => {
                    let end = run();
                    drop(over);
                    (end, watcher.join().ok().flatten())
                }
                Err(error) => {
                    // The limit is still kept after the attempt.
                    log::warn!("attempt.not_metered attempt={} error={:?}", self.key, error.to_string());
                    (run(), None)
                }
            }
        })
    }

    /// Which limit of the sheet has been passed, and what to do about it.
    fn beyond(&self, left: Left, used: &Reported) -> Option<String> {
        let told = |what: &str, spent: String, left: String, key: &str| {
            format!(
                "ended at its {what} limit: this attempt has used {spent} and {left} were left to the sheet; \
                 raise cost_limits.{key} and resume the job"
            )
        };
        if let (Some(left), Some(spent)) = (left.cost, used.cost_so_far(self.price()))
            && spent > left
        {
            return Some(told("cost", cost::shown(spent), cost::shown(left), "max_cost_per_sheet"));
        }
        let (left, spent) = (left.tokens?, used.so_far());
        (spent > left)
            .then(|| told("token", format!("{spent} tokens"), left.to_string(), "max_tokens_per_sheet"))
    }
}
