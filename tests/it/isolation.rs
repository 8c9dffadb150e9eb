//! Worktrees of jobs, with the real git in temporary repositories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use mozart::exec::Worktree;
use mozart::executor::Control;
use mozart::ids::JobId;
use mozart::instrument::Environment;
use mozart::isolation::{self, Created, Git, IsolationError, Removal, Request};
use mozart::process::Identity;
use mozart::score::Isolation;
use tempfile::TempDir;

/// A repository with one commit, and a workspace in it.
struct Repo {
    dir: TempDir,
    ours: Environment,
    control: Control,
    settings: Isolation,
}

fn settings() -> Isolation {
    Isolation {
        enabled: true,
        worktree_base: None,
        branch_prefix: "mozart".into(),
        source_branch: None,
        cleanup_on_success: true,
        cleanup_on_failure: false,
        lock_during_execution: true,
        fallback_on_error: true,
        cleanup_discard_dirty: false,
    }
}

impl Repo {
    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("repo")).unwrap();
        let mut ours: Environment = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", dir.path().display().to_string()),
            ("GIT_DIR", "/nowhere/of/somebody/else".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        for who in ["AUTHOR", "COMMITTER"] {
            ours.insert(format!("GIT_{who}_NAME"), "Test".into());
            ours.insert(format!("GIT_{who}_EMAIL"), "test@example.org".into());
        }
        let repo = Self { dir, ours, control: Control::new(), settings: settings() };
        repo.git(&repo.root(), &["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    fn new() -> Self {
        let repo = Self::empty();
        fs::write(repo.root().join("a.txt"), "one\n").unwrap();
        fs::create_dir(repo.root().join("ws")).unwrap();
        fs::write(repo.root().join(".gitignore"), "/ws/\n").unwrap();
        repo.commit(&repo.root(), "first");
        repo
    }

    fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("repo")
    }

    fn git(&self, cwd: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(cwd).env_clear().envs(&self.ours).env_remove("GIT_DIR");
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, cwd: &Path, message: &str) -> String {
        self.git(cwd, &["add", "--all"]);
        self.git(cwd, &["commit", "--quiet", "--message", message]);
        self.git(cwd, &["rev-parse", "HEAD"])
    }

    fn caller(&self) -> Git<'_> {
        Git {
            guard_program: Path::new(env!("CARGO_BIN_EXE_mozart")),
            ours: &self.ours,
            control: &self.control,
        }
    }

    fn ask(
        &self,
        workspace: &Path,
        job: &str,
        earlier: Option<&Worktree>,
    ) -> Result<Created, IsolationError> {
        let job = JobId::new(job).unwrap();
        let request =
            Request { settings: &self.settings, workspace, working_directory: None, job: &job, earlier };
        isolation::create(&self.caller(), &request)
    }

    fn create(&self, job: &str) -> Worktree {
        let created = self.ask(&self.root().join("ws"), job, None).unwrap();
        assert!(created.warnings.is_empty(), "{:?}", created.warnings);
        assert!(!created.reused);
        created.worktree
    }

    fn remove(&self, job: &str, worktree: &Worktree) -> Removal {
        isolation::remove(&self.caller(), &self.settings, &JobId::new(job).unwrap(), worktree)
    }

    /// The lock of a worktree, as git has it.
    fn lock_file(&self, name: &str) -> PathBuf {
        self.root().join(".git/worktrees").join(name).join("locked")
    }
}

/// A program in a directory of its own.
fn program(bin: &Path, name: &str, script: &str) {
    fs::create_dir_all(bin).unwrap();
    fs::write(bin.join(name), script).unwrap();
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn gone(branch: Option<&str>) -> Removal {
    Removal { removed: true, branch: branch.map(str::to_owned), ..Removal::default() }
}

#[test]
fn a_worktree_is_made_locked_hidden_and_removed() {
    let repo = Repo::new();
    let worktree = repo.create("nightly");
    let path = repo.root().join(".worktrees/nightly");
    assert_eq!(Path::new(&worktree.path), path);
    assert_eq!(Path::new(&worktree.repository), repo.root());
    assert_eq!(worktree.base_commit, repo.git(&repo.root(), &["rev-parse", "HEAD"]));
    assert_eq!(fs::read_to_string(path.join("a.txt")).unwrap(), "one\n");
    assert_eq!(repo.git(&path, &["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD", "detached");
    assert_eq!(repo.git(&repo.root(), &["status", "--porcelain"]), "");
    assert!(worktree.locked);
    let reason = fs::read_to_string(repo.lock_file("nightly")).unwrap();
    assert!(reason.contains("job=nightly") && reason.contains(&format!("pid={}", std::process::id())));
    assert_eq!(repo.remove("nightly", &worktree), gone(None));
    assert!(!path.exists() && !repo.lock_file("nightly").parent().unwrap().exists());
    assert_eq!(fs::read_dir(repo.root().join(".worktrees")).unwrap().count(), 0, "nothing is left beside it");
    assert_eq!(repo.git(&repo.root(), &["branch", "--list"]), "* main");
    assert_eq!(repo.remove("nightly", &worktree), gone(None), "twice is not wrong");
}

#[test]
fn commits_are_kept_as_a_branch() {
    let repo = Repo::new();
    repo.git(&repo.root(), &["branch", "mozart/nightly"]);
    let worktree = repo.create("nightly");
    let path = Path::new(&worktree.path);
    fs::write(path.join("b.txt"), "two\n").unwrap();
    let head = repo.commit(path, "second");
    assert_eq!(repo.remove("nightly", &worktree), gone(Some("mozart/nightly-2")));
    assert_eq!(repo.git(&repo.root(), &["rev-parse", "mozart/nightly-2"]), head);
}

#[test]
fn commits_on_a_branch_of_the_agent_need_no_other() {
    let repo = Repo::new();
    let worktree = repo.create("nightly");
    let path = Path::new(&worktree.path);
    repo.git(path, &["checkout", "--quiet", "-b", "feature"]);
    fs::write(path.join("b.txt"), "two\n").unwrap();
    repo.commit(path, "second");
    assert_eq!(repo.remove("nightly", &worktree), gone(Some("feature")));
    assert_eq!(repo.git(&repo.root(), &["branch", "--list", "mozart/*"]), "");
}

#[test]
fn changes_that_are_not_committed_keep_the_worktree() {
    let mut repo = Repo::new();
    let worktree = repo.create("nightly");
    let file = Path::new(&worktree.path).join("new.txt");
    fs::write(&file, "work\n").unwrap();
    let removal = repo.remove("nightly", &worktree);
    assert!(!removal.removed && removal.warnings.is_empty(), "{removal:?}");
    assert!(removal.kept.unwrap().contains("not committed"));
    assert_eq!(removal.branch.as_deref(), Some("mozart/nightly"));
    assert!(file.exists() && !repo.lock_file("nightly").exists());
    repo.settings.cleanup_discard_dirty = true;
    assert_eq!(repo.remove("nightly", &worktree), gone(Some("mozart/nightly")));
    assert!(!file.exists());
}

#[test]
fn a_resumed_job_finds_its_worktree_again() {
    let repo = Repo::new();
    let worktree = repo.create("nightly");
    let file = Path::new(&worktree.path).join("half.txt");
    fs::write(&file, "half\n").unwrap();
    let workspace = repo.root().join("ws");
    let again = repo.ask(&workspace, "nightly", Some(&worktree)).unwrap();
    assert!(again.reused && again.worktree == worktree);
    // The lock of a conductor that was killed: the number may even be ours, the start is not.
    let lock = repo.lock_file("nightly");
    let me = Identity::of(std::process::id()).unwrap();
    let stale = format!("mozart job=nightly pid={} start=1 boot={}\n", me.pid, me.boot_id);
    fs::write(&lock, stale).unwrap();
    let again = repo.ask(&workspace, "nightly", Some(&worktree)).unwrap();
    assert!(again.reused && again.worktree.locked && file.exists());
    assert!(fs::read_to_string(&lock).unwrap().contains(&format!("start={}", me.start_ticks)));
}

#[test]
fn a_worktree_that_another_conductor_uses_is_left_alone() {
    let repo = Repo::new();
    let worktree = repo.create("nightly");
    let mut other = Command::new("sleep").arg("600").spawn().unwrap();
    let id = Identity::of(other.id()).unwrap();
    let reason = format!("mozart job=nightly pid={} start={} boot={}\n", id.pid, id.start_ticks, id.boot_id);
    fs::write(repo.lock_file("nightly"), reason).unwrap();
    let asked = repo.ask(&repo.root().join("ws"), "nightly", Some(&worktree));
    let removal = repo.remove("nightly", &worktree);
    other.kill().unwrap();
    other.wait().unwrap();
    let error = asked.unwrap_err().to_string();
    assert!(error.contains(&format!("in use by process {}", id.pid)), "{error}");
    assert!(!removal.removed && Path::new(&worktree.path).exists(), "{removal:?}");
    assert_eq!(repo.remove("nightly", &worktree), gone(None), "the lock of a dead process is stale");
}

#[test]
fn a_persons_own_lock_is_respected() {
    let mut repo = Repo::new();
    repo.settings.lock_during_execution = false;
    let worktree = repo.create("nightly");
    assert!(!worktree.locked && !repo.lock_file("nightly").exists());
    repo.git(&repo.root(), &["worktree", "lock", "--reason", "on a stick", &worktree.path]);
    repo.settings.lock_during_execution = true;
    assert!(!repo.ask(&repo.root().join("ws"), "nightly", Some(&worktree)).unwrap().worktree.locked);
    let removal = repo.remove("nightly", &worktree);
    assert!(!removal.removed && removal.kept.unwrap().contains("on a stick"));
    isolation::unlock(&repo.caller(), &worktree).unwrap();
    assert!(repo.lock_file("nightly").exists());
}

#[test]
fn what_a_failed_run_left_does_not_stop_a_fresh_one() {
    let repo = Repo::new();
    let first = repo.create("nightly");
    fs::write(Path::new(&first.path).join("b.txt"), "two\n").unwrap();
    let head = repo.commit(Path::new(&first.path), "second");
    isolation::unlock(&repo.caller(), &first).unwrap();
    let fresh = repo.ask(&repo.root().join("ws"), "nightly", None).unwrap();
    assert_eq!(fresh.worktree.path, first.path);
    assert!(!Path::new(&first.path).join("b.txt").exists());
    assert_eq!(repo.git(&repo.root(), &["rev-parse", "mozart/nightly"]), head);
    // With changes that are nowhere else it stays, and the next one lies beside it.
    fs::write(Path::new(&first.path).join("c.txt"), "three\n").unwrap();
    let beside = repo.ask(&repo.root().join("ws"), "nightly", None).unwrap().worktree;
    assert!(beside.path.ends_with("nightly-2") && Path::new(&first.path).join("c.txt").exists());
    assert_eq!(repo.remove("nightly", &beside), gone(None));
}

#[test]
fn a_directory_of_somebody_else_is_not_touched() {
    let repo = Repo::new();
    let path = repo.root().join(".worktrees/nightly");
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("mine"), "").unwrap();
    let error = repo.ask(&repo.root().join("ws"), "nightly", None).unwrap_err().to_string();
    assert!(error.starts_with("Failed to create worktree: ") && error.contains("isolation.worktree_base"));
    let foreign = Worktree {
        path: path.display().to_string(),
        repository: repo.root().display().to_string(),
        ..Worktree::default()
    };
    let removal = repo.remove("nightly", &foreign);
    assert!(!removal.removed && path.join("mine").exists(), "{removal:?}");
}

#[test]
fn a_worktree_whose_link_is_gone_is_not_mistaken_for_the_repository_around_it() {
    let repo = Repo::new();
    let worktree = repo.create("nightly");
    fs::remove_file(Path::new(&worktree.path).join(".git")).unwrap();
    fs::write(Path::new(&worktree.path).join("work"), "").unwrap();
    let removal = repo.remove("nightly", &worktree);
    assert!(!removal.removed && Path::new(&worktree.path).join("work").exists(), "{removal:?}");
    assert!(removal.kept.unwrap().contains("no worktree"));
}

#[test]
fn a_worktree_that_was_deleted_is_made_anew_from_what_was_kept() {
    let repo = Repo::new();
    let mut worktree = repo.create("nightly");
    fs::write(Path::new(&worktree.path).join("b.txt"), "two\n").unwrap();
    let head = repo.commit(Path::new(&worktree.path), "second");
    repo.git(&repo.root(), &["branch", "mozart/nightly", &head]);
    worktree.branch = Some("mozart/nightly".into());
    fs::remove_dir_all(&worktree.path).unwrap();
    let again = repo.ask(&repo.root().join("ws"), "nightly", Some(&worktree)).unwrap();
    assert!(!again.reused && again.warnings[0].contains("from branch `mozart/nightly`"), "{again:?}");
    assert_eq!(again.worktree.base_commit, head);
    assert!(Path::new(&again.worktree.path).join("b.txt").exists());
}

#[test]
fn after_a_restart_git_forgets_what_was_deleted() {
    let repo = Repo::new();
    let (deleted, stale) = (repo.create("deleted"), repo.create("stale"));
    fs::remove_dir_all(&deleted.path).unwrap();
    fs::write(repo.lock_file("stale"), "mozart job=stale pid=1 start=1 boot=another\n").unwrap();
    let (a, b) = (JobId::new("deleted").unwrap(), JobId::new("stale").unwrap());
    let nowhere =
        Worktree { path: "/nowhere/x".into(), repository: "/nowhere".into(), ..Worktree::default() };
    let warnings = isolation::prune(&repo.caller(), &[(&a, &deleted), (&b, &stale), (&a, &nowhere)]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert!(!repo.lock_file("deleted").parent().unwrap().exists());
    assert!(!repo.lock_file("stale").exists() && Path::new(&stale.path).exists());
}

#[test]
fn what_a_git_that_was_ended_left_is_not_in_the_way() {
    let repo = Repo::new();
    let worktree = repo.create("nightly");
    // As after a crash in the middle: files are missing and the lock is git's own.
    fs::remove_file(Path::new(&worktree.path).join("a.txt")).unwrap();
    fs::write(repo.lock_file("nightly"), "initializing\n").unwrap();
    let again = repo.ask(&repo.root().join("ws"), "nightly", None).unwrap().worktree;
    assert!(again.path == worktree.path && Path::new(&again.path).join("a.txt").exists());
    // The directory is gone and its record is not.
    fs::remove_dir_all(&again.path).unwrap();
    fs::write(repo.lock_file("nightly"), "initializing\n").unwrap();
    assert!(Path::new(&repo.create("nightly").path).join("a.txt").exists());
}

#[test]
fn a_git_that_fails_leaves_nothing_behind() {
    let mut repo = Repo::new();
    let real = repo.ours["PATH"].clone();
    let bin = repo.dir.path().join("bin");
    let script = format!(
        "#!/bin/sh\nPATH='{real}'\ncase \"$*\" in *'worktree add'*) git \"$@\"; echo 'fatal: no room' >&2; exit 128;; esac\nexec git \"$@\"\n"
    );
    program(&bin, "git", &script);
    repo.ours.insert("PATH".into(), format!("{}:{real}", bin.display()));
    let error = repo.ask(&repo.root().join("ws"), "nightly", None).unwrap_err().to_string();
    assert!(error.ends_with("fatal: no room"), "{error}");
    assert_eq!(fs::read_dir(repo.root().join(".worktrees")).unwrap().count(), 0);
    repo.ours.insert("PATH".into(), real);
    repo.create("nightly");
}

#[test]
fn where_worktrees_lie() {
    let mut repo = Repo::new();
    let outside = repo.dir.path().canonicalize().unwrap().join("elsewhere/ws");
    fs::create_dir_all(&outside).unwrap();
    let (root, job) = (repo.root(), JobId::new("nightly").unwrap());
    fs::create_dir(root.join("sub")).unwrap();
    let request = Request {
        settings: &repo.settings,
        workspace: &outside,
        working_directory: Some(&root.join("sub")),
        job: &job,
        earlier: None,
    };
    let worktree = isolation::create(&repo.caller(), &request).unwrap().worktree;
    assert_eq!(Path::new(&worktree.path), outside.join(".worktrees/nightly"));
    assert_eq!(isolation::inside(&worktree, &root), Path::new(&worktree.path));
    // A workspace that is not there yet counts as what it will be in; a base of the score wins.
    assert!(
        repo.ask(&root.join("new/ws"), "second", None)
            .unwrap()
            .worktree
            .path
            .ends_with("repo/.worktrees/second")
    );
    repo.settings.worktree_base = Some(repo.dir.path().join("base"));
    let third = repo.ask(&root.join("ws"), "third", None).unwrap().worktree;
    assert_eq!(Path::new(&third.path), repo.dir.path().canonicalize().unwrap().join("base/third"));
}

#[test]
fn the_start_is_what_the_score_says() {
    let mut repo = Repo::new();
    let first = repo.git(&repo.root(), &["rev-parse", "HEAD"]);
    repo.git(&repo.root(), &["branch", "release"]);
    fs::write(repo.root().join("a.txt"), "later\n").unwrap();
    repo.commit(&repo.root(), "second");
    repo.settings.source_branch = Some("release".into());
    assert_eq!(repo.create("a").base_commit, first);
    for name in ["nosuch", "--force"] {
        repo.settings.source_branch = Some(name.into());
        let error = repo.ask(&repo.root().join("ws"), "b", None).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}` is not a commit")), "{error}");
    }
}

#[test]
fn without_a_repository_or_a_commit_there_is_no_worktree() {
    let repo = Repo::empty();
    let plain = repo.dir.path().join("plain");
    fs::create_dir(&plain).unwrap();
    let error = repo.ask(&plain, "a", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Worktree isolation requires a git repository: {}", plain.display())
    );
    let error = repo.ask(&repo.root(), "a", None).unwrap_err().to_string();
    assert!(error.contains("`HEAD` is not a commit") && error.contains("first commit"), "{error}");
    repo.control.cancel();
    let error = repo.ask(&repo.root(), "a", None).unwrap_err().to_string();
    assert!(error.contains("cancelled"), "{error}");
}

#[test]
fn without_git_the_error_says_so() {
    let mut repo = Repo::new();
    repo.ours.insert("PATH".into(), "/nowhere".into());
    let error = repo.ask(&repo.root().join("ws"), "a", None).unwrap_err().to_string();
    assert!(error.starts_with("Failed to create worktree: git is not on the PATH"), "{error}");
    let old = repo.dir.path().join("bin");
    program(&old, "git", "#!/bin/sh\necho git version 2.9.5\n");
    repo.ours.insert("PATH".into(), format!("{}:/bin:/usr/bin", old.display()));
    let error = repo.ask(&repo.root().join("ws"), "a", None).unwrap_err().to_string();
    assert!(error.contains("git 2.9.5 is too old: install git 2.15"), "{error}");
}
