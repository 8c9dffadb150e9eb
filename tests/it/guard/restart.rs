//! What a new conductor finds of the attempts of the old one.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use mozart::executor::{self, Adopted, Control, End, Found, Spec, Stdin, Taken, examine, sweep};
use mozart::guard::record::SpecFile;
use mozart::ids::Token;
use mozart::process::{Identity, become_subreaper, start_ticks};

use super::support::{Bench, Decoy, HOUR, in_role, marked, noted, program, role, token};
use crate::wait::{wait_for, wait_until};

/// Ends with code 3 when the file `go` appears.
const WAITS: &str = "setsid sh -c 'echo $$ > session; exec sleep 1000' &
    while [ ! -s session ]; do :; done
    echo $$ > up; while [ ! -e go ]; do sleep 0.01; done; exit 3";

/// Examines an attempt that nobody holds. A test that starts a process at this moment has a copy of
/// all our descriptors, the lock among them, until that process runs its program.
fn examine_free(bench: &Bench) -> (Found, Option<Taken>) {
    wait_for("the lock to be free", || {
        let found = examine(&bench.dir(), &bench.spec.token).unwrap();
        (!matches!(found.0, Found::Held(_))).then_some(found)
    })
}

/// What a process of this test binary does as a conductor; nothing in an ordinary test run.
#[test]
fn conductor() {
    match role() {
        Some((role, root)) if role == "dies" => {
            start(&root, WAITS).wait(|_| ());
        }
        Some((role, root)) if role == "subreaper" => loses_a_guard_as_subreaper(&root),
        _ => (),
    }
}

fn start(root: &Path, script: &str) -> executor::Running {
    start_with(root, script, &Control::new())
}

fn start_with(root: &Path, script: &str, control: &Control) -> executor::Running {
    let spec = Spec {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        cwd: root.to_owned(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        stdin: Stdin::Null,
        timeout: None,
        idle: None,
        grace: HOUR,
        output_cap: 1 << 20,
        token: token(),
    };
    executor::start(program(), &attempt_dir(root), &spec, control).unwrap()
}

fn attempt_dir(root: &Path) -> PathBuf {
    root.join("state/jobs/a/sheet-1/attempt-1")
}

fn token_of(dir: &Path) -> Token {
    serde_json::from_slice::<SpecFile>(&fs::read(dir.join("spec.json")).unwrap()).unwrap().token
}

/// A conductor that was killed while its attempt runs.
struct Orphaned {
    root: tempfile::TempDir,
    token: Token,
    program: Identity,
    session: Identity,
}

impl Orphaned {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let conductor = in_role("guard::restart::conductor", "dies", root.path());
        let program = noted(&root.path().join("up"));
        let session = noted(&root.path().join("session"));
        kill_and_reap(conductor);
        let token = token_of(&attempt_dir(root.path()));
        Self { root, token, program, session }
    }

    fn dir(&self) -> PathBuf {
        attempt_dir(self.root.path())
    }

    fn adopt(&self) -> Adopted {
        match examine(&self.dir(), &self.token).unwrap() {
            (Found::Held(adopted), None) => adopted,
            other => panic!("not held: {other:?}"),
        }
    }

    fn guard(&self) -> Identity {
        let lock = fs::read_to_string(self.dir().join("lock")).unwrap();
        Identity::of(lock.split(' ').nth(1).unwrap().parse().unwrap()).unwrap()
    }
}

fn kill_and_reap(mut conductor: Child) {
    conductor.kill().unwrap();
    conductor.wait().unwrap();
}

#[test]
fn an_attempt_outlives_its_conductor_and_is_adopted() {
    let orphaned = Orphaned::new();
    let adopted = orphaned.adopt();
    wait_until("the lock names the program", || adopted.child_pid() == Some(orphaned.program.pid));
    assert!(adopted.try_over().unwrap().is_none());
    assert!(orphaned.program.verify());
    fs::write(orphaned.root.path().join("go"), "").unwrap();
    let (found, taken) = wait_for("the end of the attempt", || adopted.try_over().unwrap());
    let Found::Over(exit) = found else { panic!("{found:?}") };
    assert_eq!((exit.exit_code, exit.killed_by), (Some(3), None));
    assert_eq!(marked(&orphaned.token), Vec::<u32>::new());
    // Who took the lock keeps it: nobody else can judge meanwhile.
    assert!(matches!(examine(&orphaned.dir(), &orphaned.token).unwrap(), (Found::Held(_), None)));
    drop(taken);
    // Another test that is just starting a process may hold a copy of the descriptor for an instant.
    wait_until("the lock is free", || {
        matches!(examine(&orphaned.dir(), &orphaned.token).unwrap(), (Found::Over(_), Some(_)))
    });
}

#[test]
fn an_adopted_attempt_can_be_cancelled() {
    let orphaned = Orphaned::new();
    let adopted = orphaned.adopt();
    assert!(adopted.cancel());
    let (found, _taken) = wait_for("the end of the attempt", || adopted.try_over().unwrap());
    let Found::Over(exit) = found else { panic!("{found:?}") };
    assert_eq!(exit.killed_by.as_deref(), Some("term"));
    assert_eq!(marked(&orphaned.token), Vec::<u32>::new());
    assert!(!adopted.cancel(), "there is nobody to ask any more");
}

#[test]
fn without_guard_and_record_an_attempt_is_interrupted_and_its_leftovers_are_ended() {
    let orphaned = Orphaned::new();
    let adopted = orphaned.adopt();
    let guard = orphaned.guard();
    assert!(adopted.kill());
    wait_until("the guard is gone", || !guard.verify());
    let mut decoy = Decoy::start(&token());
    for again in [false, true] {
        let (found, taken) = wait_for("the lock", || adopted.try_over().unwrap());
        let Found::Interrupted(leftovers) = found else { panic!("{found:?}") };
        assert_eq!(leftovers.find().is_empty(), again);
        assert_eq!(leftovers.end(), Vec::<u32>::new());
        assert!(orphaned.dir().join("exit.json").exists());
        drop(taken);
    }
    assert!(!orphaned.program.verify() && !orphaned.session.verify());
    decoy.assert_alive();
}

#[test]
fn a_number_alone_is_never_signalled() {
    let bench = Bench::sh("exit 0");
    let mut decoy = Decoy::start(&token());
    bench.run();
    fs::remove_file(bench.dir().join("exit.json")).unwrap();
    let boot = mozart::process::boot_id();
    let ticks = start_ticks(decoy.pid()).unwrap();
    for (guard_boot, child_ticks) in
        [(boot.as_str(), ticks + 1), (boot.as_str(), 0), ("an-earlier-boot", ticks)]
    {
        let lines = format!("guard {} 1 {guard_boot}\nchild {} {child_ticks}\n", decoy.pid(), decoy.pid());
        fs::write(bench.dir().join("lock"), lines).unwrap();
        let (found, _taken) = examine_free(&bench);
        let Found::Interrupted(leftovers) = found else { panic!("{found:?}") };
        assert_eq!(leftovers.find(), Vec::new());
        assert_eq!(leftovers.end(), Vec::<u32>::new());
    }
    decoy.assert_alive();
}

#[test]
fn what_never_started_never_will() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::sh("touch ran");
    // Nothing there, a directory without orders, one of another token: untouched.
    assert!(matches!(examine(&bench.dir(), &bench.spec.token).unwrap(), (Found::NeverStarted, None)));
    assert!(matches!(examine(dir.path(), &bench.spec.token).unwrap(), (Found::NeverStarted, None)));
    bench.run();
    assert!(matches!(examine(&bench.dir(), &token()).unwrap(), (Found::NeverStarted, None)));
    // Orders and a free, empty lock: the worker died before its guard wrote a line.
    fs::remove_file(bench.dir().join("exit.json")).unwrap();
    fs::write(bench.dir().join("lock"), "").unwrap();
    assert!(matches!(examine_free(&bench), (Found::NeverStarted, Some(_))));
    let record = fs::read_to_string(bench.dir().join("exit.json")).unwrap();
    assert!(record.starts_with(r#"{"void":"#), "{record}");
}

#[test]
fn a_broken_record_is_an_interruption_and_never_a_crash() {
    let bench = Bench::sh("exit 0");
    bench.run();
    for text in ["", "{", "null", "{\"exit\":{}}", "\0\0\0"] {
        fs::write(bench.dir().join("exit.json"), text).unwrap();
        let (found, _taken) = examine_free(&bench);
        assert!(matches!(found, Found::Interrupted(_)), "{text:?}: {found:?}");
    }
}

#[test]
fn a_held_directory_without_a_row_is_found() {
    let orphaned = Orphaned::new();
    let state = orphaned.root.path().join("state");
    let known = HashSet::from([orphaned.dir()]);
    assert!(sweep(&state, &known).is_empty());
    let strays = sweep(&state, &HashSet::new());
    let [stray] = strays.as_slice() else { panic!("{strays:?}") };
    assert_eq!(stray.dir, orphaned.dir());
    let Found::Held(adopted) = &stray.found else { panic!("{stray:?}") };
    assert!(adopted.cancel());
    wait_for("the end of the attempt", || adopted.try_over().unwrap());
    assert!(sweep(&state, &HashSet::new()).is_empty());
}

/// The daemon gets what a killed guard leaves, also when it carries no mark.
fn loses_a_guard_as_subreaper(root: &Path) {
    become_subreaper().unwrap();
    let script = "env -i /usr/bin/setsid /bin/sh -c 'echo $$ > bare; exec /bin/sleep 1000' &
        while [ ! -s bare ]; do :; done; echo $$ > up; exec sleep 1000";
    let control = Control::new();
    let running = start_with(root, script, &control);
    noted(&root.join("up"));
    let bare = noted(&root.join("bare"));
    control.kill();
    let end = running.wait(|_| ());
    assert!(matches!(&end, End::Lost { left } if left.is_empty()), "{end:?}");
    assert!(!bare.verify());
    let me = std::process::id();
    let children = mozart::process::list().into_iter().filter(|stat| stat.parent == me).count();
    assert_eq!(children, 0, "a zombie was left");
    fs::write(root.join("passed"), "").unwrap();
}

#[test]
fn a_daemon_also_ends_what_carries_no_mark() {
    let root = tempfile::tempdir().unwrap();
    let mut daemon = in_role("guard::restart::conductor", "subreaper", root.path());
    assert!(daemon.wait().unwrap().success());
    assert!(root.path().join("passed").exists());
}
