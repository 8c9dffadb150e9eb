#![allow(clippy::unwrap_used, clippy::print_stdout)]

use super::*;
use crate::score::ArchiveNaming;

const NOON: Wall = Wall(1_795_348_800_123);

fn settings() -> WorkspaceLifecycle {
    WorkspaceLifecycle {
        archive_on_fresh: true,
        archive_dir: "archive".into(),
        archive_naming: ArchiveNaming::Iteration,
        max_archives: 0,
        preserve_patterns: [".iteration", ".mozart-*", "archive/**"].map(String::from).to_vec(),
        archive_required: false,
    }
}

fn run(workspace: &Path, settings: &WorkspaceLifecycle) -> Result<Archived, ArchiveError> {
    archive(&Request { settings, workspace, home: None, keep: &[], now: NOON })
}

fn write(workspace: &Path, files: &[&str]) {
    for file in files {
        let path = workspace.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
}

#[test]
fn what_is_not_preserved_moves() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().canonicalize().unwrap();
    write(&workspace, &["a.md", "out/b.md", ".mozart-x", ".hidden", "archive/iteration-1/old"]);
    fs::write(workspace.join(".iteration"), "2\n").unwrap();
    let archived = run(&workspace, &settings()).unwrap();
    let path = workspace.join("archive/iteration-2");
    assert_eq!(archived.path.as_deref(), Some(path.as_path()));
    assert_eq!(archived.moved, [".hidden", "a.md", "out"]);
    assert!(archived.warnings.is_empty() && archived.deleted.is_empty());
    assert!(path.join("out/b.md").exists() && !workspace.join("out").exists());
    assert!(workspace.join(".mozart-x").exists() && workspace.join("archive/iteration-1/old").exists());

    write(&workspace, &["a.md"]);
    let again = run(&workspace, &settings()).unwrap();
    assert_eq!(again.path, Some(workspace.join("archive/iteration-2-1")));
}

#[test]
fn nothing_to_move_makes_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[".mozart-x"]);
    assert_eq!(run(dir.path(), &settings()).unwrap(), Archived::default());
    assert!(!dir.path().join("archive").exists());
    assert_eq!(run(&dir.path().join("none"), &settings()).unwrap(), Archived::default());
}

#[test]
fn the_archive_stays_whatever_the_patterns_say() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["archive/iteration-1/old", "a"]);
    let archived =
        run(dir.path(), &WorkspaceLifecycle { preserve_patterns: Vec::new(), ..settings() }).unwrap();
    assert_eq!(archived.moved, ["a"]);
    assert!(dir.path().join("archive/iteration-1/old").exists());
}

#[test]
fn the_oldest_archives_are_deleted_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().canonicalize().unwrap();
    write(&workspace, &["a", "archive/photos/x", "archive/iteration-5/x", "archive/iteration-4/x"]);
    let old = fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
    fs::File::open(workspace.join("archive/iteration-5")).unwrap().set_times(old).unwrap();
    fs::write(workspace.join(".iteration"), "6").unwrap();
    let archived = run(&workspace, &WorkspaceLifecycle { max_archives: 2, ..settings() }).unwrap();
    assert_eq!(archived.deleted, [workspace.join("archive/iteration-5")]);
    assert!(
        workspace.join("archive/iteration-4").exists() && workspace.join("archive/iteration-6/a").exists()
    );
    assert!(workspace.join("archive/photos/x").exists());
}

#[test]
fn a_directory_that_is_more_than_a_workspace_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    write(&home, &["me/.profile", "project/.git/HEAD", "project/src.rs"]);
    let refused = |workspace: &Path, home: &Path| {
        let settings = settings();
        let request = Request { settings: &settings, workspace, home: Some(home), keep: &[], now: NOON };
        archive(&request).unwrap_err().to_string()
    };
    let me = home.join("me");
    assert!(refused(Path::new("/"), &me).contains("a directory of the system"));
    assert!(refused(Path::new("/tmp"), &me).contains("a directory of the system"));
    assert!(refused(&me, &me).contains("home"));
    assert!(refused(&home, &me).contains("home"));
    let project = home.join("project");
    assert!(refused(&project, &me).contains("top level of a git repository"));
    assert!(project.join("src.rs").exists());
    write(&project, &[ALLOWED]);
    assert_eq!(run(&project, &settings()).unwrap().moved, [".git", "src.rs"]);
}

#[test]
fn the_score_and_the_state_of_the_conductor_stay() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &["job.yaml", "state/mozart.db", "out"]);
    let (score, state) = (dir.path().join("job.yaml"), dir.path().join("state/mozart.db"));
    let settings = settings();
    let keep = [score.as_path(), state.as_path()];
    let request = Request { settings: &settings, workspace: dir.path(), home: None, keep: &keep, now: NOON };
    assert_eq!(archive(&request).unwrap().moved, ["out"]);
}

#[test]
fn one_entry_that_cannot_move_does_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir_in("/dev/shm");
    let Ok(other) = other else {
        println!("/dev/shm cannot be written: the way across file systems is not tried");
        return;
    };
    std::os::unix::fs::symlink(other.path(), dir.path().join("archive")).unwrap();
    write(dir.path(), &["a", "b/c"]);
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let archived = run(dir.path(), &settings()).unwrap();
    assert_eq!(archived.moved.first().map(String::as_str), Some("a"));
    assert!(archived.moved.contains(&"b".to_owned()));
    let path = archived.path.unwrap();
    assert!(path.join("b/c").exists() && !dir.path().join("b").exists());
    if !archived.moved.contains(&"pipe".to_owned()) {
        assert_eq!(archived.warnings.len(), 1, "{:?}", archived.warnings);
        assert!(dir.path().join("pipe").exists());
    }
}
