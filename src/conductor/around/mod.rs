//! What is done around the sheets of a job: the set-up before the first, the hooks after the last,
//! the chains of jobs that hooks make, the tear-down at the end.
//!
//! When any of it is due is decided by `exec`, which commits an intent before each hook; here it is
//! carried out. Threads: a program of a hook runs under a bound guard that no thread waits for; a
//! chained job is waited for by the event of its end; only set-ups and tear-downs hold a side worker,
//! and never the last free one, so that short errands (locks of adopted attempts) always get through.
//!
//! Not for: sheets, deciding what a failed hook means, the text of notifications.
//!
//! Invariants: nothing begins before its intent is committed; each [`Effect::SetUp`] and
//! [`Effect::Hook`] is answered by exactly one input, unless the conductor ends first, and then the
//! intent stays for the next one; a job has one thing going on here at a time; results of an earlier
//! run of a job change nothing; a child is submitted once for each (parent, hook, run).

mod chain;
mod concert;
mod next_run;
mod origin;
mod program;
mod set_up;
mod tear_down;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::exec::{Effect, HookResult, Input, SetUp, SetUpFailure};
use crate::executor::Control;
use crate::ids::JobId;
use crate::score::{self, HookAction};
use crate::time::{Mono, Now};

use super::core::{Core, Timer};
use super::live::Live;
use super::messages::{Answer, Event};
use super::side::{Errand, Side};

pub(super) use chain::nothing_to_do;
pub(crate) use concert::Entry;
pub(crate) use next_run::Farewell;
pub(crate) use origin::{Chains, Link, Origin, Place, encode};
pub(crate) use program::{Program, Watched};
pub(crate) use set_up::SetUpOrder;
pub(super) use set_up::run as set_up;
pub(crate) use tear_down::TearDown;
pub(super) use tear_down::{prune, put_worktree_into, run as tear_down};

use chain::Chain;
use program::Action;

/// Between two looks at programs of hooks that take longer.
const LOOK: Duration = Duration::from_millis(200);
/// How long a look waits for a program that is about to end.
const GLANCE: Duration = Duration::ZERO;

/// What goes on around the sheets of all jobs.
pub(super) struct Around {
    /// Answers of our own submissions come back through here.
    events: Sender<Event>,
    doing: HashMap<JobId, Doing>,
    /// Programs of hooks that wait for their turn, first come first served.
    waiting: VecDeque<JobId>,
    /// Most programs of hooks at a time: they are as heavy as sheets.
    programs: usize,
    long: Long,
    /// What the steps of this turn want, until they are committed.
    asked: Vec<(JobId, Asked)>,
    /// Watchers of runs that were followed by the next run of the same job in this turn.
    farewells: Vec<Farewell>,
    /// A look at running programs is due at some time.
    look_armed: bool,
}

/// Errands that may take minutes.
struct Long {
    /// Most of them at a time: one side worker stays free for the short ones.
    most: usize,
    /// Jobs that have one: a worktree is not made while its predecessor is removed.
    busy: HashSet<JobId>,
    queue: VecDeque<(JobId, Errand)>,
}

/// What is being done for a job.
enum Doing {
    SetUp { epoch: u32, control: Control },
    Program { place: Place, control: Control, phase: Phase },
    Chain(Chain),
}

/// Where a program is.
enum Phase {
    /// In the queue.
    Waiting,
    /// With a side worker.
    Away,
    /// Between two looks.
    Running(Box<Watched>),
}

/// An effect, once it is committed.
enum Asked {
    SetUp,
    Hook(Place),
    EndHook,
}

/// What side workers and request workers tell.
pub(crate) enum News {
    /// The set-up of this run of a job is over.
    SetUpDone(JobId, u32, Box<Result<SetUp, Box<SetUpFailure>>>),
    /// A long errand is over, whatever came of it.
    Freed(JobId),
    /// The program of a hook runs on.
    Running(JobId, Place, Box<Watched>),
    /// The program of a hook is over.
    Ended(JobId, Place, Box<HookResult>),
    /// A request of ours is answered.
    Answered(Box<Link>, Answer),
}

/// What is due later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// Look at the programs.
    Look,
    /// The chaining hook of a job: try again, or give up.
    Chain(JobId),
}

impl News {
    /// The job that it is about.
    pub(super) fn job(&self) -> &JobId {
        match self {
            Self::SetUpDone(job, ..) | Self::Freed(job) | Self::Running(job, ..) | Self::Ended(job, ..) => {
                job
            }
            Self::Answered(link, _) => &link.parent,
        }
    }
}

impl Around {
    pub(super) fn new(events: Sender<Event>, side_workers: u32, max_sheets: u32) -> Self {
        Self {
            events,
            doing: HashMap::new(),
            waiting: VecDeque::new(),
            programs: max_sheets.max(1) as usize,
            long: Long {
                most: (side_workers as usize).saturating_sub(1).max(1),
                busy: HashSet::new(),
                queue: VecDeque::new(),
            },
            asked: Vec::new(),
            farewells: Vec::new(),
            look_armed: false,
        }
    }

    /// Keeps an effect until it is committed.
    pub(super) fn ask(&mut self, id: &JobId, effect: &Effect) {
        let asked = match *effect {
            Effect::SetUp => Asked::SetUp,
            Effect::Hook { hook, on_failure, epoch } => Asked::Hook(Place { hook, on_failure, epoch }),
            Effect::EndHook => Asked::EndHook,
            _ => return,
        };
        self.asked.push((id.clone(), asked));
    }

    /// Whether a stop need not wait. Chained jobs are waited for by the next conductor.
    pub(super) fn is_at_rest(&self) -> bool {
        let chain = |doing: &Doing| matches!(doing, Doing::Chain(_));
        self.doing.values().all(chain) && self.long.busy.is_empty() && self.long.queue.is_empty()
    }

    fn begun(&self) -> usize {
        let begun =
            |doing: &&Doing| matches!(doing, Doing::Program { phase: Phase::Away | Phase::Running(_), .. });
        self.doing.values().filter(begun).count()
    }
}

impl Core {
    /// Begins and ends what the steps of this turn want. After the commit.
    pub(super) fn around_act(&mut self, now: Now) {
        for (id, asked) in std::mem::take(&mut self.around.asked) {
            match asked {
                Asked::SetUp => self.begin_set_up(&id),
                Asked::Hook(place) => self.begin_hook(now, &id, place),
                Asked::EndHook => self.end_hook(now, &id),
            }
        }
        self.start_programs(now);
        self.start_long();
    }

    pub(super) fn around_news(&mut self, now: Now, news: News) {
        match news {
            News::SetUpDone(id, epoch, result) => self.set_up_done(now, &id, epoch, *result),
            News::Freed(id) => {
                self.around.long.busy.remove(&id);
                self.start_long();
            }
            News::Running(id, place, watched) => self.watch_program(now, &id, place, watched),
            News::Ended(id, place, result) => self.program_ended(now, &id, place, *result),
            News::Answered(link, answer) => self.chain_answered(now, &link, answer),
        }
    }

    pub(super) fn around_alarm(&mut self, now: Now, alarm: &Alarm) {
        match alarm {
            Alarm::Look => self.look_at_programs(now),
            Alarm::Chain(id) => self.chain_alarm(now, id),
        }
    }

    fn begin_hook(&mut self, now: Now, id: &JobId, place: Place) {
        let Some(hook) = self.hook(id, place) else {
            let gone = "the score has no such hook any more: it was changed while the job was finishing";
            return self.hook_over(now, id, place, failure(gone));
        };
        match hook.action {
            HookAction::Job { .. } => self.begin_chain(now, id, place),
            HookAction::Command(_) | HookAction::Script(_) => {
                let program = Doing::Program { place, control: Control::new(), phase: Phase::Waiting };
                self.around.doing.insert(id.clone(), program);
                self.around.waiting.push_back(id.clone());
            }
        }
    }

    /// The hook as its score has it.
    fn hook(&self, id: &JobId, place: Place) -> Option<&score::Hook> {
        let score = &self.jobs.get(id)?.prepared.score;
        let hooks = if place.on_failure { &score.on_failure } else { &score.on_success };
        hooks.get(place.hook)
    }

    /// Programs start as others end.
    fn start_programs(&mut self, now: Now) {
        // Those that have not begun when the time of a stop is over stay with the next conductor.
        if self.stopping.is_some_and(|stopping| stopping.ending) {
            return;
        }
        while self.around.begun() < self.around.programs
            && let Some(id) = self.around.waiting.pop_front()
        {
            let Some(program) = self.program(&id) else { continue };
            if let Err((_, error)) = self.side.submit(Errand::Hook(Box::new(program))) {
                log::warn!("worker.errand_refused error={:?}", error.to_string());
                self.around.waiting.push_front(id);
                return self.arm_look(now);
            }
            if let Some(Doing::Program { phase, .. }) = self.around.doing.get_mut(&id) {
                *phase = Phase::Away;
            }
        }
    }

    /// The program that a job waits for.
    fn program(&self, id: &JobId) -> Option<Program> {
        let Some(Doing::Program { place, control, phase: Phase::Waiting }) = self.around.doing.get(id) else {
            return None;
        };
        let hook = self.hook(id, *place)?;
        let action = match &hook.action {
            HookAction::Command(command) => Action::Command(command.clone()),
            HookAction::Script(script) => Action::Script(script.clone()),
            HookAction::Job { .. } => return None,
        };
        let live = self.jobs.get(id)?;
        Some(Program {
            job: id.clone(),
            place: *place,
            action,
            description: hook.description.clone(),
            directory: hook.working_directory.clone(),
            workspace: live.card.workspace.clone(),
            sheets: live.exec.sheets().len(),
            timeout: Duration::from_secs_f64(hook.timeout_seconds),
            control: control.clone(),
        })
    }

    fn watch_program(&mut self, now: Now, id: &JobId, of: Place, watched: Box<Watched>) {
        // Who is not waited for any more is let go, which ends it.
        if let Some(Doing::Program { place, phase, .. }) = self.around.doing.get_mut(id)
            && *place == of
        {
            *phase = Phase::Running(watched);
            self.arm_look(now);
        }
    }

    fn arm_look(&mut self, now: Now) {
        if !self.around.look_armed {
            self.around.look_armed = true;
            self.arm(now.mono.after(LOOK), Timer::Around(Alarm::Look));
        }
    }

    fn look_at_programs(&mut self, now: Now) {
        self.around.look_armed = false;
        self.start_programs(now);
        let mut running = Vec::new();
        for (id, doing) in &mut self.around.doing {
            if let Doing::Program { place, phase, .. } = doing
                && matches!(phase, Phase::Running(_))
                && let Phase::Running(watched) = std::mem::replace(phase, Phase::Away)
            {
                running.push((id.clone(), *place, watched));
            }
        }
        if running.is_empty() {
            return;
        }
        if let Err((Errand::LookAtHooks(running), _)) = self.side.submit(Errand::LookAtHooks(running)) {
            for (id, place, watched) in running {
                self.watch_program(now, &id, place, watched);
            }
        }
    }

    fn program_ended(&mut self, now: Now, id: &JobId, of: Place, result: HookResult) {
        let Some(Doing::Program { place, control, .. }) = self.around.doing.get(id) else { return };
        if *place != of {
            return;
        }
        let stopped = self.stopping.is_some_and(|stopping| stopping.ending) && control.is_cancelled();
        if stopped && result.success != Some(true) {
            // Ended by our own stop: what it has done is not known, and its intent says so.
            self.around.doing.remove(id);
            return;
        }
        self.hook_over(now, id, of, result);
        self.start_programs(now);
    }

    /// The one result of a hook.
    fn hook_over(&mut self, now: Now, id: &JobId, place: Place, result: HookResult) {
        self.around.doing.remove(id);
        let described = self.hook(id, place).map(|hook| (kind(hook), hook.description.clone()));
        let (hook_type, description) = described.unwrap_or_default();
        let result = HookResult { hook_type, description, epoch: place.epoch, ..result };
        log::info!(
            "hook.ended job_id={id} hook={} type={} success={} error={:?}",
            place.hook,
            result.hook_type,
            result.success == Some(true),
            result.error_message.as_deref().unwrap_or("")
        );
        let input = Input::HookEnded { hook: place.hook, epoch: place.epoch, result: Box::new(result) };
        self.step(now, id, input);
        // This may be the end of a turn, whose effects no event would announce.
        self.again = true;
    }

    /// The job is cancelled: what runs for it ends, once more without its grace.
    fn end_hook(&mut self, now: Now, id: &JobId) {
        match self.around.doing.get(id) {
            Some(Doing::Program { place, control, phase }) => {
                control.cancel();
                if matches!(phase, Phase::Waiting) {
                    let place = *place;
                    self.hook_over(now, id, place, failure("cancelled before it started"));
                }
            }
            Some(Doing::Chain(chain)) => {
                let place = chain.place;
                self.hook_over(now, id, place, failure("cancelled"));
            }
            Some(Doing::SetUp { .. }) => self.end_set_up(now, id),
            None => (),
        }
    }

    /// The time of a graceful stop is over.
    pub(super) fn end_around(&mut self) {
        self.around.long.queue.retain(|(_, errand)| !matches!(errand, Errand::SetUp(_)));
        let busy = &self.around.long.busy;
        self.around.doing.retain(|id, doing| match doing {
            Doing::Program { phase: Phase::Waiting, .. } => false,
            Doing::Program { control, .. } => {
                control.cancel();
                true
            }
            Doing::SetUp { control, .. } => {
                control.cancel();
                busy.contains(id)
            }
            Doing::Chain(_) => true,
        });
        self.around.waiting.clear();
    }

    /// A job that is over waits for nothing any more, but for what cannot be taken back.
    pub(super) fn is_left_alone(&self, live: &Live) -> bool {
        match self.around.doing.get(&live.id) {
            Some(Doing::SetUp { .. } | Doing::Program { .. }) => false,
            // Nobody is left to hear of its end.
            Some(Doing::Chain(_)) | None => !live.awaits_next_run(),
        }
    }

    /// Hands long errands to the side lane, as many as may be there.
    fn start_long(&mut self) {
        while self.around.long.busy.len() < self.around.long.most {
            let long = &mut self.around.long;
            let Some(at) = long.queue.iter().position(|(id, _)| !long.busy.contains(id)) else { return };
            let Some((id, errand)) = long.queue.remove(at) else { return };
            if let Err((errand, error)) = self.side.submit(errand) {
                // The lane is full of short ones; each that ends here tries again.
                log::warn!("worker.errand_refused error={:?}", error.to_string());
                self.around.long.queue.push_front((id, errand));
                return;
            }
            self.around.long.busy.insert(id);
        }
    }

    fn push_long(&mut self, id: &JobId, errand: Errand) {
        self.around.long.queue.push_back((id.clone(), errand));
    }

    fn arm_chain(&mut self, due: Mono, id: &JobId) {
        self.arm(due, Timer::Around(Alarm::Chain(id.clone())));
    }
}

fn kind(hook: &score::Hook) -> String {
    match hook.action {
        HookAction::Job { .. } => "run_job",
        HookAction::Command(_) => "run_command",
        HookAction::Script(_) => "run_script",
    }
    .to_owned()
}

/// Starts the program of a hook, on a side worker.
pub(super) fn start_program(side: &Side, program: &Program) -> News {
    let over = program::start(side, program);
    told(program.job.clone(), program.place, over)
}

/// Looks at the program of a hook, on a side worker.
pub(super) fn look_at_program(job: JobId, place: Place, watched: Watched) -> News {
    told(job, place, program::look(watched, GLANCE))
}

fn told(job: JobId, place: Place, over: Result<Watched, Box<HookResult>>) -> News {
    match over {
        Ok(watched) => News::Running(job, place, Box::new(watched)),
        Err(result) => News::Ended(job, place, result),
    }
}

/// A hook that failed with this error.
fn failure(message: impl Into<String>) -> HookResult {
    HookResult { success: Some(false), error_message: Some(message.into()), ..HookResult::default() }
}
