//! `kill -9` at every state, of everybody, under every policy.

use std::time::Duration;

use serde_json::json;

use super::{RESTARTED, attempts, check_books, count, resume, score};
use crate::house::{House, Role};
use crate::wait::wait_until;

/// Where the job stands when it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Submitted,
    Dispatched,
    Running,
    EndedMeanwhile,
    Validating,
    RetryWait,
    LimitWait,
    Paused,
    Pausing,
    Cancelling,
    Stopping,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Conductor,
    Guard,
    Program,
    ConductorAndGuard,
    Everything,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Adopt,
    Resume,
    Fail,
}

use Policy::{Adopt, Fail, Resume};
use State::{
    Cancelling, Dispatched, EndedMeanwhile, LimitWait, Paused, Pausing, RetryWait, Running, Stopping,
    Submitted, Validating,
};
use Victim::{Conductor, ConductorAndGuard, Everything, Guard, Program};

impl Victim {
    fn kills_the_conductor(self) -> bool {
        matches!(self, Conductor | ConductorAndGuard | Everything)
    }

    fn is_hit(self, role: &Role) -> bool {
        let guard = matches!(role, Role::Guard(_) | Role::BoundGuard);
        match self {
            Conductor => *role == Role::Conductor,
            Guard => guard,
            Program => *role == Role::Program,
            ConductorAndGuard => guard || *role == Role::Conductor,
            Everything => true,
        }
    }
}

/// Retries with a wait that a test can see.
const RETRY: &str = "retry: { max_retries: 2, base_delay_seconds: 2, jitter: false }";

impl State {
    /// The score with which this state can be reached. The job ends when `go` and `checked` are there.
    fn score(self) -> String {
        let wait = "touch running\nuntil [ -e go ]; do sleep 0.01; done";
        match self {
            Submitted | Dispatched | Running | EndedMeanwhile | Paused | Pausing | Stopping => {
                score(2, RETRY, wait)
            }
            // Long enough to be killed in the middle of its grace.
            Cancelling => score(2, RETRY, &format!("trap 'sleep 0.7; exit 1' TERM\n{wait}")),
            Validating => {
                let rule = "exec 8>>rule; flock -n 8 || echo overlap >> log; touch running; \
                            until [ -e checked ]; do sleep 0.01; done";
                score(
                    2,
                    &format!("{RETRY}\nvalidations: [{{ type: command_succeeds, command: '{rule}' }}]"),
                    ":",
                )
            }
            RetryWait => score(2, RETRY, "[ -e again ] || { touch again; exit 1; }"),
            LimitWait => {
                let limited =
                    "{ touch again; echo 'rate limit exceeded, retry after 3 seconds' >&2; exit 1; }";
                score(2, RETRY, &format!("[ -e again ] || {limited}"))
            }
        }
    }

    fn reach(self, house: &House) {
        house.submit("job", &self.score());
        match self {
            Submitted => (),
            Dispatched => {
                wait_until("a dispatched sheet", || house.sheet("job", 1)["status"] != "pending");
            }
            Running | EndedMeanwhile | Validating => house.wait_file("running"),
            RetryWait => _ = house.wait_sheet("job", 1, "retry_scheduled"),
            LimitWait => _ = house.wait_sheet("job", 1, "waiting"),
            Paused => {
                house.wait_file("running");
                pause(house);
                house.touch("go");
                house.wait_status("job", "paused");
            }
            Pausing => {
                house.wait_file("running");
                pause(house);
                house.wait_status("job", "pausing");
            }
            Cancelling => {
                house.wait_file("running");
                // Answered when nothing runs any more: so long nobody waits here.
                let socket = house.path("sock");
                std::thread::spawn(move || {
                    let mut client = mozart::client::Client::connect(socket, Duration::from_secs(5))?;
                    client.call("job.cancel", json!({ "job_id": "job" }))
                });
                house.wait_status("job", "cancelling");
            }
            Stopping => {
                house.wait_file("running");
                house.call("daemon.shutdown", json!({ "graceful": true }));
                house.wait_status("job", "pausing");
            }
        }
    }

    /// Status of the job once it has come to rest after the crash, all waits being over.
    fn outcome(self, victim: Victim, policy: Policy) -> &'static str {
        let interrupted = match victim {
            Conductor | Program => false,
            Guard | ConductorAndGuard | Everything => matches!(self, Dispatched | Running),
        };
        match self {
            Cancelling => "cancelled",
            Paused => "paused",
            Submitted | Dispatched | Running | EndedMeanwhile | Validating | RetryWait | LimitWait
            | Pausing | Stopping
                if policy == Fail && victim.kills_the_conductor() =>
            {
                "failed"
            }
            Pausing => "paused",
            Dispatched | Running if interrupted && policy == Adopt && victim.kills_the_conductor() => {
                "failed"
            }
            Submitted | Dispatched | Running | EndedMeanwhile | Validating | RetryWait | LimitWait
            | Stopping => "completed",
        }
    }

    /// How often sheet 1 is started in all, when that is certain.
    fn starts(self, victim: Victim, policy: Policy) -> Option<usize> {
        if policy == Fail && victim.kills_the_conductor() {
            return None;
        }
        match (self, victim) {
            (Submitted | Running | EndedMeanwhile | Validating | Paused | Pausing | Stopping, Conductor) => {
                Some(1)
            }
            (Validating, ConductorAndGuard | Everything) => Some(1),
            (RetryWait | LimitWait, Conductor) => Some(2),
            (Running, Guard | Program | ConductorAndGuard | Everything) => Some(2),
            _ => None,
        }
    }
}

fn pause(house: &House) {
    let answer = house.call("job.pause", json!({ "job_id": "job" }));
    assert_eq!(answer["paused"], true, "{answer}");
}

fn check(state: State, victim: Victim, policy: Policy) {
    let case = format!("{state:?}, {victim:?}, {policy:?}");
    let word = format!("{policy:?}").to_lowercase();
    let mut house = House::started(&format!("recovery: {word}\n"));
    state.reach(&house);
    let before = house.sheet("job", 1);

    let checked_again = state == Validating && state.outcome(victim, policy) == "completed";
    if checked_again {
        std::fs::remove_file(house.work("running")).unwrap();
    }
    let hit = |role: &Role| *role != Role::Conductor && victim.is_hit(role);
    if victim.kills_the_conductor() {
        // It sees nothing of what happens to the others, and they see nothing of its end.
        house.freeze();
        house.kill_where(hit);
        house.kill();
    } else {
        wait_until("somebody to kill", || house.kill_where(hit) > 0);
    }
    if state == EndedMeanwhile {
        house.touch("go");
        wait_until("the end of the program", || house.attempts().is_empty());
    }
    if victim.kills_the_conductor() {
        house.start();
    }

    let after = house.sheet("job", 1);
    if victim == Conductor && policy != Fail {
        // An attempt that was dispatched and never started begins a wait of its own.
        for wait in ["fire_at", "rate_limit_expires_at"].into_iter().filter(|wait| !before[wait].is_null()) {
            assert_same_moment(&before[wait], &after[wait], &case);
        }
        for budget in ["normal_attempts", "completion_attempts", "crash_interruptions"] {
            assert_eq!(before[budget], after[budget], "{case}: {budget}");
        }
    }
    if state == Stopping && !victim.kills_the_conductor() {
        // The stop goes on: the attempt ends, the conductor with it, and the next one takes over.
        house.touch("go");
        house.await_end();
        house.start();
    }

    let outcome = state.outcome(victim, policy);
    if state == Paused {
        assert_eq!(house.status("job")["pause_flags"], json!(["user"]), "{case}");
    }
    house.touch("go");
    if checked_again {
        // Begun, while the first check would still wait if it had been left behind.
        house.wait_file("running");
    }
    house.touch("checked");
    let status = house.wait_status("job", outcome);
    if outcome == "failed" {
        assert_eq!(status["error_message"], RESTARTED, "{case}");
    }
    house.wait_empty();
    if outcome != "completed" {
        resume(&house, "job");
        house.wait_status("job", "completed");
    }
    check_books(&house, "job");
    if let Some(starts) = state.starts(victim, policy) {
        assert_eq!(count(&house, "start 1"), starts, "{case}: {}\n{}", house.read("log"), house.log());
    }
    let sheet = house.sheet("job", 1);
    if state == Running && matches!(victim, Guard | ConductorAndGuard | Everything) {
        let failed = policy == Fail && victim.kills_the_conductor();
        assert_eq!(attempts(&sheet, "interrupted"), usize::from(!failed), "{case}: {sheet:#}");
    }
    house.wait_empty();
}

/// Both absent, or the same but for the rounding to milliseconds.
#[track_caller]
fn assert_same_moment(before: &serde_json::Value, after: &serde_json::Value, case: &str) {
    let cut =
        |value: &serde_json::Value| value.as_str().map(|text| text.chars().take(21).collect::<String>());
    assert_eq!(cut(before), cut(after), "{case}");
}

fn check_all(states: &[State], victims: &[Victim], policies: &[Policy]) {
    for &state in states {
        for &victim in victims {
            for &policy in policies {
                check(state, victim, policy);
            }
        }
    }
}

/// States in which nothing of the job runs, or only sometimes.
const IDLE: [State; 6] = [Submitted, Dispatched, RetryWait, LimitWait, Paused, EndedMeanwhile];
/// States in which something of it runs.
const BUSY: [State; 5] = [Running, Validating, Pausing, Cancelling, Stopping];

#[test]
fn a_killed_conductor_adopts() {
    check_all(&IDLE, &[Conductor], &[Adopt]);
    check_all(&BUSY, &[Conductor], &[Adopt]);
}

// Invariant I64
#[test]
fn a_killed_conductor_resumes() {
    check_all(&IDLE, &[Conductor], &[Resume]);
    check_all(&BUSY, &[Conductor], &[Resume]);
}

#[test]
fn a_killed_conductor_fails_what_was_active() {
    check_all(&IDLE, &[Conductor], &[Fail]);
    check_all(&BUSY, &[Conductor], &[Fail]);
}

#[test]
fn a_killed_guard_or_program_is_tried_again() {
    check_all(&BUSY, &[Guard], &[Adopt, Fail]);
    check_all(&BUSY, &[Program], &[Adopt]);
}

#[test]
fn a_conductor_killed_with_its_guards_ends_what_they_left() {
    check_all(&BUSY, &[ConductorAndGuard], &[Adopt, Resume, Fail]);
}

#[test]
fn everything_killed_at_once() {
    check_all(&BUSY, &[Everything], &[Adopt, Resume, Fail]);
}

#[test]
fn the_third_interruption_in_a_row_fails_the_sheet() {
    let mut house = House::started("recovery: resume\n");
    house.submit("job", &score(1, RETRY, "echo >> runs\nuntil [ -e go ]; do sleep 0.01; done"));
    for run in 1..=3 {
        wait_until("the next run", || house.read("runs").len() == run);
        house.kill();
        house.kill_where(|_| true);
        house.start();
    }
    house.wait_status("job", "failed");
    let sheet = house.sheet("job", 1);
    assert_eq!(sheet["error_code"], "E008", "{sheet:#}");
    let message = sheet["error_message"].as_str().unwrap();
    assert!(message.starts_with("interrupted 3 times while this sheet ran: "), "{message}");
    assert_eq!(sheet["normal_attempts"], 0);
    house.touch("go");
    resume(&house, "job");
    house.wait_status("job", "completed");
}

#[test]
fn a_cancel_that_was_acknowledged_by_the_disk_alone_is_carried_out() {
    let mut house = House::started("");
    house.submit("job", &score(1, RETRY, "touch running\nuntil [ -e go ]; do sleep 0.01; done"));
    house.wait_file("running");
    house.kill();
    // What the conductor had committed when it died before it could tell the guard.
    let db = rusqlite::Connection::open(house.path("daemon-state.db")).unwrap();
    let state: String =
        db.query_row("SELECT state_json FROM jobs WHERE job_id = 'job'", [], |row| row.get(0)).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
    state["ending"] = "cancel".into();
    let changed =
        db.execute("UPDATE jobs SET state_json = ?1 WHERE job_id = 'job'", [state.to_string()]).unwrap();
    assert_eq!(changed, 1);
    drop(db);
    house.start();
    house.wait_status("job", "cancelled");
    house.wait_empty();
    assert_eq!(count(&house, "end 1"), 0);
}
