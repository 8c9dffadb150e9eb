//! Hooks that submit another job (`run_job`).
//!
//! The submission goes the way of every `job.submit`, through the request lane, so that the same
//! checks apply and the same lane reads the files. The child's row and its parent's note of it are
//! one commit. The end of an attached child is an event in the conductor: nothing polls.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::concert::{self, Entry};
use super::origin::{Chained, Link, Place};
use super::program::{expand_plain, timed_out, warn_unknown};
use super::{Doing, failure};
use crate::conductor::core::Core;
use crate::conductor::exchange::Exchange;
use crate::conductor::messages::{Answer, Submission};
use crate::conductor::requests::Job;
use crate::conductor::side::Errand;
use crate::exec::{HookResult, JobStatus};
use crate::ids::JobId;
use crate::rpc::{Call, Id, Params};
use crate::score::HookAction;
use crate::time::{Mono, Now};

/// Longest chain of jobs when the score does not limit it itself (`concert.enabled: false`).
const MOST_DEPTH: u32 = 100;
/// First wait after a refusal that may pass; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A chaining hook that is not over.
pub(super) struct Chain {
    pub(super) place: Place,
    link: Link,
    params: Map<String, Value>,
    detached: bool,
    timeout: Duration,
    since: Mono,
    state: State,
    /// Refusals so far.
    tries: u32,
    /// The newest of them.
    refusal: String,
}

enum State {
    /// The submission is on its way.
    Asked,
    /// It was refused for now.
    Refused,
    /// The child is waited for.
    Attached(JobId),
    /// How a child ended that is not in memory any more is being read.
    Looked(JobId),
}

impl Chain {
    pub(super) fn params(&self) -> Map<String, Value> {
        self.params.clone()
    }
}

impl Core {
    pub(super) fn begin_chain(&mut self, now: Now, id: &JobId, place: Place) {
        let (link, params, detached, timeout) = match self.call_of(id, place) {
            Ok(call) => call,
            Err(message) => {
                return self.hook_over(now, id, place, failure(message));
            }
        };
        let chain = Chain {
            place,
            link,
            params,
            detached,
            timeout,
            since: now.mono,
            state: State::Asked,
            tries: 0,
            refusal: String::new(),
        };
        self.around.doing.insert(id.clone(), Doing::Chain(chain));
        let note = self.jobs.get(id).and_then(|live| live.chains.last.clone());
        match note.filter(|note| note.place == place) {
            // A conductor before this one has submitted it.
            Some(note) => self.take_up(now, id, &note),
            None => self.ask(now, id),
        }
    }

    /// What is to be called for a hook: all that can be said without reading a file.
    fn call_of(
        &self,
        id: &JobId,
        place: Place,
    ) -> Result<(Link, Map<String, Value>, bool, Duration), String> {
        let gone = || "the score has no such hook any more".to_owned();
        let (live, hook) = self.jobs.get(id).zip(self.hook(id, place)).ok_or_else(gone)?;
        let HookAction::Job { path, workspace, detached, fresh, .. } = &hook.action else {
            return Err(gone());
        };
        let concert = &live.prepared.score.concert;
        let depth = concert::depth(live);
        let limit = if concert.enabled { concert.max_chain_depth } else { MOST_DEPTH };
        if depth >= limit {
            return Err(format!("Concert chain depth limit reached ({limit})"));
        }
        let base = &live.prepared.snapshot.source.base;
        let expand = |text: &str| {
            warn_unknown(id, text);
            base.join(expand_plain(text, &live.card.workspace, id, live.exec.sheets().len()))
        };
        let own = concert.inherit_workspace.then(|| live.card.workspace.clone());
        let workspace = workspace.as_deref().map(expand).or(own);
        let params = json!({
            "config_path": expand(path), "workspace": workspace, "fresh": fresh, "chain_depth": depth + 1,
            "priority": live.card.priority, "client_cwd": base,
        });
        let Value::Object(params) = params else { return Err(gone()) };
        let first = live.card.origin.chain.as_ref().map(|chain| chain.concert.clone());
        let name = || format!("{id}-{}", live.card.submitted.0 / 1000);
        let link = Link { parent: id.clone(), place, concert: first.unwrap_or_else(name) };
        Ok((link, params, *detached, Duration::from_secs_f64(hook.timeout_seconds)))
    }

    /// Submits the job of a hook.
    fn ask(&mut self, now: Now, id: &JobId) {
        let Some(Doing::Chain(chain)) = self.around.doing.get_mut(id) else { return };
        chain.state = State::Asked;
        let (link, params) = (chain.link.clone(), chain.params.clone());
        if !self.request(link, "job.submit", params) {
            self.refused_for_now(now, id, "the conductor is busy");
        }
    }

    /// Calls a method for a hook; the answer comes back as news.
    pub(super) fn request(&self, link: Link, method: &str, params: Map<String, Value>) -> bool {
        let call = Call { id: Some(Id::number(1)), method: method.to_owned(), params: Params::Named(params) };
        let exchange = Exchange::chained(call, self.around.events.clone(), link);
        self.requests.try_send(Job::Continue(exchange)).is_ok()
    }

    /// Goes on with a child that was submitted before a crash.
    fn take_up(&mut self, now: Now, id: &JobId, note: &Chained) {
        let Some(Doing::Chain(chain)) = self.around.doing.get_mut(id) else { return };
        log::info!("hook.chained_job_found job_id={id} child={}", note.child);
        if chain.detached || note.child == *id {
            return self.chain_over(now, id, note, None);
        }
        // Its time runs since the submission.
        let passed = now.wall.since(note.at);
        let due = now.mono.after(chain.timeout.saturating_sub(passed));
        let live = self.jobs.get(&note.child);
        let ours = live.and_then(|live| live.card.origin.chain.as_ref()) == Some(&chain.link);
        match (live.is_some(), ours) {
            (true, true) => chain.state = State::Attached(note.child.clone()),
            (true, false) => {
                let why = format!("Chained job '{}' was replaced by another submission", note.child);
                return self.chain_over(now, id, note, Some(why));
            }
            (false, _) => {
                chain.state = State::Looked(note.child.clone());
                let link = chain.link.clone();
                let mut params = Map::new();
                params.insert("job_id".into(), note.child.as_str().into());
                if !self.request(link, "job.status", params) {
                    let why =
                        format!("Chained job '{}' cannot be asked about: the conductor is busy", note.child);
                    return self.chain_over(now, id, note, Some(why));
                }
            }
        }
        self.arm_chain(due, id);
    }

    pub(super) fn chain_answered(&mut self, now: Now, link: &Link, answer: Answer) {
        let id = &link.parent;
        let state = match self.around.doing.get(id) {
            Some(Doing::Chain(chain)) if chain.place == link.place => &chain.state,
            _ => return self.next_run_answered(link, answer),
        };
        match state {
            State::Asked => {
                let (reason, message) = match answer {
                    Ok(answer) if answer["status"] == "accepted" => return self.accepted(now, id),
                    Ok(answer) => (text(&answer, "reason"), text(&answer, "message")),
                    Err(error) => ("error".to_owned(), error.to_string()),
                };
                self.rejected_child(now, id, &reason, &message);
            }
            State::Looked(child) => {
                let child = child.clone();
                let status = answer.map(|status| text(&status, "status"));
                let why = match status.as_deref() {
                    Ok("completed") => None,
                    Ok(status) => Some(format!("Chained job '{child}' is {status}")),
                    Err(error) => Some(format!("Chained job '{child}' cannot be read: {error}")),
                };
                self.attached_over(now, id, &child, why);
            }
            State::Refused | State::Attached(_) => (),
        }
    }

    /// The child is in the database, and so is the note of its parent.
    fn accepted(&mut self, now: Now, id: &JobId) {
        let Some(note) = self.jobs.get(id).and_then(|live| live.chains.last.clone()) else { return };
        let Some(Doing::Chain(chain)) = self.around.doing.get(id) else { return };
        self.tell_concert(now, &chain.link, note.child.as_str(), "submitted", None);
        let Some(Doing::Chain(chain)) = self.around.doing.get_mut(id) else { return };
        if chain.detached {
            return self.chain_over(now, id, &note, None);
        }
        let child = note.child.clone();
        chain.state = State::Attached(child.clone());
        let due = chain.since.after(chain.timeout);
        self.arm_chain(due, id);
        if !self.jobs.contains_key(&child) {
            // It has ended meanwhile.
            let status = self.view.ended(&child).map_or(JobStatus::Failed, |ended| ended.status);
            self.child_ended(now, &child, status);
        }
    }

    fn rejected_child(&mut self, now: Now, id: &JobId, reason: &str, message: &str) {
        if let Some(live) = self.jobs.get_mut(id)
            && let Some(Doing::Chain(chain)) = self.around.doing.get(id)
            && live.chains.last.as_ref().is_some_and(|note| note.place == chain.place)
        {
            // Its row could not be written.
            live.chains.last = None;
            live.dirty.job = true;
            self.touched.insert(id.clone());
        }
        match reason {
            // The next conductor submits it: the intent stays.
            "shutdown" => self.refused_until_later(id, message),
            "pressure" | "registry" | "changed" => self.refused_for_now(now, id, message),
            "config_not_found" => {
                let path = message.strip_prefix("Config file not found: ").unwrap_or(message).to_owned();
                self.refused_for_good(now, id, &format!("Job config not found: {path}"));
            }
            _ => self.refused_for_good(now, id, &format!("Chained job rejected: {message}")),
        }
    }

    fn refused_until_later(&mut self, id: &JobId, message: &str) {
        if let Some(Doing::Chain(chain)) = self.around.doing.get_mut(id) {
            chain.state = State::Refused;
            message.clone_into(&mut chain.refusal);
        }
    }

    fn refused_for_now(&mut self, now: Now, id: &JobId, message: &str) {
        self.refused_until_later(id, message);
        let Some(Doing::Chain(chain)) = self.around.doing.get_mut(id) else { return };
        let wait = FIRST_WAIT.saturating_mul(1 << chain.tries.min(8)).min(LONGEST_WAIT);
        chain.tries += 1;
        let due = now.mono.after(wait).min(chain.since.after(chain.timeout));
        log::info!("hook.chained_job_waits job_id={id} seconds={} reason={message:?}", wait.as_secs());
        self.arm_chain(due, id);
    }

    fn refused_for_good(&mut self, now: Now, id: &JobId, message: &str) {
        if let Some(Doing::Chain(chain)) = self.around.doing.get(id) {
            let (place, link) = (chain.place, chain.link.clone());
            let path = text(&Value::Object(chain.params.clone()), "config_path");
            self.tell_concert(now, &link, &stem(&path), "rejected", Some(message));
            let result = HookResult { chained_job_path: Some(path), ..failure(message) };
            self.hook_over(now, id, place, result);
        }
    }

    /// Try again, or give up.
    pub(super) fn chain_alarm(&mut self, now: Now, id: &JobId) {
        let note = self.jobs.get(id).and_then(|live| live.chains.last.clone());
        let Some(Doing::Chain(chain)) = self.around.doing.get(id) else { return };
        let since =
            note.as_ref().filter(|note| note.place == chain.place).map(|note| now.wall.since(note.at));
        let passed = since.unwrap_or_default().max(now.mono.since(chain.since));
        let over = passed >= chain.timeout;
        match &chain.state {
            State::Refused if over => {
                let message = format!("Chained job rejected: {}", chain.refusal);
                self.refused_for_good(now, id, &message);
            }
            State::Refused if self.stopping.is_none() => self.ask(now, id),
            State::Attached(child) if over => {
                let (child, timeout) = (child.clone(), chain.timeout);
                let why = format!("{}; job '{child}' goes on", timed_out(timeout));
                self.attached_over(now, id, &child, Some(why));
            }
            State::Attached(_) | State::Looked(_) | State::Asked | State::Refused => (),
        }
    }

    /// A job has ended: whoever waits for it learns it.
    pub(in crate::conductor) fn child_ended(&mut self, now: Now, child: &JobId, status: JobStatus) {
        let waits = |doing: &Doing| matches!(doing, Doing::Chain(Chain { state: State::Attached(waited), .. }) if waited == child);
        let parents = self.around.doing.iter().filter(|(_, doing)| waits(doing));
        let parents: Vec<JobId> = parents.map(|(parent, _)| parent.clone()).collect();
        for parent in parents {
            let why = match status {
                JobStatus::Completed => None,
                status => Some(format!("Chained job '{child}' is {}", status.as_str())),
            };
            self.attached_over(now, &parent, child, why);
        }
    }

    fn attached_over(&mut self, now: Now, id: &JobId, child: &JobId, why: Option<String>) {
        let Some(Doing::Chain(chain)) = self.around.doing.get(id) else { return };
        let link = chain.link.clone();
        let status = match &why {
            None => "completed",
            Some(why) if why.starts_with("Timeout") => "timeout",
            Some(_) => "failed",
        };
        self.tell_concert(now, &link, child.as_str(), status, why.as_deref());
        let note = self.jobs.get(id).and_then(|live| live.chains.last.clone());
        if let Some(note) = note {
            self.chain_over(now, id, &note, why);
        }
    }

    /// The result of a hook whose job was submitted.
    pub(super) fn chain_over(&mut self, now: Now, id: &JobId, note: &Chained, why: Option<String>) {
        let result = HookResult {
            success: Some(why.is_none()),
            error_message: why,
            duration_seconds: now.wall.since(note.at).as_secs_f64(),
            chained_job_id: Some(note.child.to_string()),
            chained_job_path: Some(note.path.clone()),
            chained_job_workspace: Some(note.workspace.clone()),
            ..HookResult::default()
        };
        self.hook_over(now, id, note.place, result);
    }

    pub(super) fn tell_concert(&self, now: Now, link: &Link, child: &str, status: &str, why: Option<&str>) {
        if let Some(live) = self.jobs.get(&link.parent) {
            self.errand(Errand::ConcertLog(Entry::new(live, link, child, status, now.wall, why)));
        }
    }

    /// What a submission must also pass when a hook makes it. Gives it back when it is to be registered as usual.
    pub(in crate::conductor) fn check_chained(
        &mut self,
        now: Now,
        submission: Submission,
        exchange: Exchange,
    ) -> Option<(Submission, Exchange)> {
        let Some(link) = exchange.link().cloned() else { return Some((submission, exchange)) };
        let waits = matches!(
            self.around.doing.get(&link.parent),
            Some(Doing::Chain(Chain { place, state: State::Asked, .. })) if *place == link.place
        );
        let awaited = self.jobs.get(&link.parent).and_then(|live| live.chains.next.as_ref());
        let known = awaited.is_some_and(|next| next.link == link);
        if !waits && !known {
            let message = "the job that chains it waits no more".to_owned();
            self.rejected(exchange, submission.id.as_str(), "parent", message);
            return None;
        }
        if link.parent == submission.id {
            self.chain_itself(now, link, submission, exchange);
            return None;
        }
        Some((submission, exchange))
    }

    /// The note of a submission, in the same commit.
    pub(in crate::conductor) fn note_chained(&mut self, now: Now, link: &Link, submission: &Submission) {
        let Some(live) = self.jobs.get_mut(&link.parent) else { return };
        live.chains.last = Some(Chained {
            place: link.place,
            child: submission.id.clone(),
            path: submission.config_path.clone(),
            workspace: submission.prepared.workspace.display().to_string(),
            at: now.wall,
        });
        live.dirty.job = true;
        self.touched.insert(link.parent.clone());
    }
}

/// Why a chained job that has nothing to do is refused.
pub(in crate::conductor) fn nothing_to_do(id: &JobId) -> String {
    format!(
        "job '{id}' is completed there and would have nothing to do: set `fresh: true` for this hook to run it again, \
         or chain a score with another file name"
    )
}

pub(super) fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

fn stem(path: &str) -> String {
    std::path::Path::new(path)
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}
