//! Requests by which people help a job along: decisions, recovery, limits that are over.

use serde_json::json;

use crate::exec::{Decision, Input, InstrumentRef, JobEvent, JobStatus, SheetState};
use crate::ids::{JobId, SheetNo};
use crate::time::Now;

use super::core::Core;
use super::exchange::Exchange;
use super::live::Live;
use super::messages::{Recovery, Ruling};

impl Core {
    /// `job.approve`: a person decides about a sheet that waits for it. A skip is possible for any
    /// sheet that is not over.
    pub(super) fn decide(&mut self, now: Now, ruling: Ruling, exchange: Exchange) {
        let Ruling { id, sheet, decision, prompt, note, fail_job } = ruling;
        let refusal = match self.jobs.get(&id) {
            Some(live) => refusal(live, sheet, decision),
            None => Some((
                "not_waiting",
                match self.view.ended(&id) {
                    Some(ended) => {
                        format!(
                            "Job '{id}' is {}; none of its sheets waits for a decision",
                            ended.status.as_str()
                        )
                    }
                    None => format!("Job '{id}' has ended; none of its sheets waits for a decision"),
                },
            )),
        };
        if let Some((reason, message)) = refusal {
            return self.rejected(exchange, id.as_str(), reason, message);
        }
        let state = self.jobs.get(&id).and_then(|live| live.exec.sheet(sheet)).map(|sheet| &sheet.state);
        let asked = matches!(state, Some(SheetState::Fermata(_)));
        let plays = state.is_some_and(|state| state.active().is_some());
        log::info!("job.decided job_id={id} sheet_num={sheet} decision={}", word(decision));
        let message = match decision {
            Decision::Retry => format!("Sheet {sheet} gets one more attempt"),
            Decision::Skip if plays => format!("Sheet {sheet} is skipped unless its attempt succeeds"),
            Decision::Skip => format!("Sheet {sheet} is skipped; what depends on it goes on"),
            Decision::Accept => format!("Sheet {sheet} is accepted as it is"),
            Decision::Fail if fail_job => format!("Sheet {sheet} fails, and the job with it"),
            Decision::Fail => format!("Sheet {sheet} fails; what depends on it is skipped"),
        };
        if asked {
            let failure = fail_job.then(|| {
                let why = note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
                format!("Rejected at sheet {sheet}{why}")
            });
            self.step(now, &id, Input::Decide { sheet, decision, prompt, note });
            if let Some(message) = failure {
                self.step(now, &id, Input::FailJob { message });
            }
        } else {
            self.step(now, &id, Input::Skip { sheet });
        }
        let answer = json!({
            "job_id": id.as_str(), "status": "accepted", "message": message,
            "sheet_num": sheet, "decision": word(decision),
        });
        self.outbox.changed.push((exchange, answer));
    }

    /// `job.recover` with `apply`: the rules of what did not succeed are checked again.
    pub(super) fn recover_job_again(&mut self, now: Now, recovery: Recovery, exchange: Exchange) {
        let Recovery { id, stored, prepared, from, sheets } = recovery;
        if self.stopping.is_some() {
            return self.rejected(exchange, id.as_str(), "shutdown", "Daemon is shutting down".into());
        }
        if !self.jobs.contains_key(&id) {
            if !self.still_current(&id, Some(&stored)) {
                return self.changed_meanwhile(&id, exchange);
            }
            match Live::stored(&stored, prepared, now) {
                Ok(live) => self.enlist(live),
                Err(reason) => {
                    let message =
                        format!("No state found for job '{id}' ({reason}); run it again with --fresh");
                    return self.rejected(exchange, id.as_str(), "state", message);
                }
            }
        }
        let status = self.jobs.get(&id).map_or(JobStatus::Failed, |live| live.exec.status());
        if status != JobStatus::Failed {
            let message = not_recoverable(&id, status.as_str());
            return self.rejected(exchange, id.as_str(), "not_recoverable", message);
        }
        log::info!("job.recovering job_id={id} sheets={}", sheets.len());
        self.step(now, &id, Input::Recover { from });
        let count = sheets.len();
        let sheets: Vec<u32> = sheets.iter().map(|num| num.0).collect();
        let message = format!(
            "Checking the rules of {count} sheet{} again; no program of a sheet is run",
            if count == 1 { "" } else { "s" }
        );
        let answer =
            json!({ "job_id": id.as_str(), "status": "accepted", "message": message, "sheets": sheets });
        self.outbox.changed.push((exchange, answer));
    }

    /// `daemon.clear_rate_limits`: waiting sheets go on at once.
    pub(super) fn clear_rate_limits(&mut self, now: Now, instrument: Option<&str>, exchange: Exchange) {
        let cleared = self.sched.rates_mut().clear(now, instrument);
        log::info!("rate_limit.cleared instrument={:?} limits={cleared}", instrument.unwrap_or("all"));
        let waiting: Vec<JobId> = self
            .jobs
            .values()
            .filter(|live| live.waits_for_limit(instrument))
            .map(|live| live.id.clone())
            .collect();
        for id in waiting {
            let data = json!({ "instrument": instrument });
            self.outbox.events.push((id.clone(), JobEvent::of_job("rate_limit.cleared", data)));
            self.step(now, &id, Input::LimitCleared { instrument: instrument.map(Into::into) });
        }
        self.publish_figures(now);
        let answer = json!({ "cleared": cleared, "instrument": instrument });
        self.outbox.answers.push((exchange, Ok(answer)));
    }
}

impl Live {
    /// Whether a sheet waits for the rate limit of an instrument (`None` = of any).
    fn waits_for_limit(&self, instrument: Option<&str>) -> bool {
        let concerned = |on: &InstrumentRef| instrument.is_none_or(|name| *on.name == *name);
        let mut sheets = self.exec.sheets().iter();
        sheets.any(|sheet| {
            matches!(sheet.state, SheetState::Waiting { .. }) && concerned(self.exec.instrument(sheet.num))
        })
    }
}

/// Why nothing can be decided about a sheet.
fn refusal(live: &Live, sheet: SheetNo, decision: Decision) -> Option<(&'static str, String)> {
    let id = &live.id;
    let Some(found) = live.exec.sheet(sheet) else {
        return Some(("no_such_sheet", format!("Sheet {sheet} not found in job '{id}'")));
    };
    match &found.state {
        SheetState::Fermata(_) => None,
        state if decision == Decision::Skip && !state.is_terminal() => None,
        state => {
            let waiting: Vec<String> = live
                .exec
                .sheets()
                .iter()
                .filter(|sheet| matches!(sheet.state, SheetState::Fermata(_)))
                .map(|sheet| sheet.num.to_string())
                .collect();
            let others = match waiting.as_slice() {
                [] => "no sheet of this job waits for a decision".to_owned(),
                [one] => format!("sheet {one} does"),
                several => format!("sheets {} do", several.join(", ")),
            };
            let status = state.as_str();
            Some((
                "not_waiting",
                format!("Sheet {sheet} of job '{id}' is {status} and waits for no decision; {others}"),
            ))
        }
    }
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Retry => "retry",
        Decision::Skip => "skip",
        Decision::Accept => "accept",
        Decision::Fail => "fail",
    }
}

/// Why a job cannot be recovered.
pub(crate) fn not_recoverable(id: &JobId, status: &str) -> String {
    format!("Job '{id}' is {status}, only FAILED jobs can be recovered")
}
