//! All known instruments: compiled-in ones, then files of the user, then files of the project.
//! A later profile of the same name replaces an earlier one as a whole. A broken file is skipped, never fatal.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::profile::Profile;

/// Larger files are no profiles.
const MAX_FILE: u64 = 1024 * 1024;

/// Compiled-in profiles.
const BUILT_IN: [(&str, &str); 12] = [
    ("cli", include_str!("profiles/cli.yaml")),
    ("claude-code", include_str!("profiles/claude-code.yaml")),
    ("claude_cli", include_str!("profiles/claude_cli.yaml")),
    ("gemini-cli", include_str!("profiles/gemini-cli.yaml")),
    ("codex-cli", include_str!("profiles/codex-cli.yaml")),
    ("aider", include_str!("profiles/aider.yaml")),
    ("goose", include_str!("profiles/goose.yaml")),
    ("cline-cli", include_str!("profiles/cline-cli.yaml")),
    ("crush", include_str!("profiles/crush.yaml")),
    ("opencode", include_str!("profiles/opencode.yaml")),
    ("anthropic_api", include_str!("profiles/anthropic_api.yaml")),
    ("ollama", include_str!("profiles/ollama.yaml")),
];

/// Other names of compiled-in profiles. A profile file of that name comes first.
const ALIASES: [(&str, &str); 2] = [("shell", "cli"), ("bash", "cli")];

/// Something about a profile file that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub path: PathBuf,
    /// One line.
    pub message: String,
}

/// Where a profile is.
#[derive(Debug, Clone)]
enum Entry {
    /// Its place in [`BUILT_IN`]: read when it is asked for.
    BuiltIn(usize),
    File(Arc<Profile>),
}

impl Entry {
    fn profile(&self) -> &Arc<Profile> {
        static READ: [OnceLock<Arc<Profile>>; BUILT_IN.len()] = [const { OnceLock::new() }; BUILT_IN.len()];
        match self {
            Self::BuiltIn(at) => READ[*at].get_or_init(|| {
                Arc::new(Profile::parse(BUILT_IN[*at].1).expect("a test parses every compiled-in profile"))
            }),
            Self::File(profile) => profile,
        }
    }
}

/// Instruments by name. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    profiles: BTreeMap<String, Entry>,
    /// Where those come from that are not compiled in.
    files: BTreeMap<String, PathBuf>,
    /// Files that were skipped, by the name that they give themselves or else by the name of the file, and why.
    broken: BTreeMap<String, (PathBuf, String)>,
}

impl Registry {
    /// Only the compiled-in instruments.
    #[must_use]
    pub fn built_in() -> Self {
        let profiles =
            BUILT_IN.iter().enumerate().map(|(at, (name, _))| ((*name).to_owned(), Entry::BuiltIn(at)));
        Self { profiles: profiles.collect(), files: BTreeMap::new(), broken: BTreeMap::new() }
    }

    /// Compiled-in instruments, those of `home` (usually `~/.mozart`), and those of the project: the first
    /// directory from `project` (the score's directory) upward that contains `.mozart`.
    #[must_use]
    pub fn load(home: &Path, project: Option<&Path>) -> (Self, Vec<Warning>) {
        let mut registry = Self::built_in();
        let mut warnings = Vec::new();
        registry.read_folder(&home_folder(home), &mut warnings);
        if let Some(folder) = project.and_then(project_folder) {
            registry.read_folder(&folder, &mut warnings);
        }
        (registry, warnings)
    }

    /// The profile of a name or alias.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Profile>> {
        let entry = self.profiles.get(name).or_else(|| {
            let (_, target) = ALIASES.iter().find(|(alias, _)| *alias == name)?;
            self.profiles.get(*target)
        });
        entry.map(Entry::profile)
    }

    /// The file that a profile was read from; `None` for a compiled-in one.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Path> {
        self.files.get(name).map(PathBuf::as_path)
    }

    /// All names, aliases left out, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// All profiles, sorted by name.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.values().map(Entry::profile)
    }

    /// The file that would have been the profile of a name, and why it was skipped.
    #[must_use]
    pub fn broken(&self, name: &str) -> Option<(&Path, &str)> {
        self.broken.get(name).map(|(path, why)| (path.as_path(), why.as_str()))
    }

    /// The known name, aliases included, that is most alike, when it is alike enough to be meant.
    #[must_use]
    pub fn alike(&self, name: &str) -> Option<&str> {
        let aliases = ALIASES.iter().map(|(alias, _)| *alias);
        crate::score::checks::alike(name, self.names().chain(aliases))
    }

    /// What to say when [`Registry::get`] finds nothing.
    #[must_use]
    pub fn unknown(&self, name: &str) -> String {
        if let Some((path, why)) = self.broken(name) {
            return format!(
                "Instrument '{name}' not registered: its profile {} is broken: {why}",
                path.display()
            );
        }
        let names: Vec<&str> = self.names().collect();
        format!(
            "Instrument '{name}' not registered (profile not found in registry): known are {}; \
             add a profile as ~/.mozart/instruments/{name}.yaml",
            names.join(", ")
        )
    }

    fn read_folder(&mut self, folder: &Path, warnings: &mut Vec<Warning>) {
        // A missing directory is the usual case.
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"))
            .collect();
        files.sort();
        let mut here: BTreeMap<String, PathBuf> = BTreeMap::new();
        for path in files {
            match read_file(&path) {
                Ok(profile) => {
                    let warn = |message: String| Warning { path: path.clone(), message };
                    warnings.extend(profile.remark().map(&warn));
                    if let Some(other) = here.insert(profile.name.clone(), path.clone()) {
                        warnings.push(warn(format!(
                            "replaces instrument '{}' of {}",
                            profile.name,
                            other.display()
                        )));
                    }
                    self.files.insert(profile.name.clone(), path.clone());
                    self.profiles.insert(profile.name.clone(), Entry::File(Arc::new(profile)));
                }
                Err(message) => {
                    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                    if let Some(name) = own_name(&path).or_else(stem) {
                        self.broken.insert(name, (path.clone(), message.clone()));
                    }
                    warnings.push(Warning { path, message: format!("profile skipped: {message}") })
                }
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Profile, String> {
    let bytes = crate::file::read(path, MAX_FILE + 1).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("more than {MAX_FILE} bytes are too many for a profile"));
    }
    checked(&String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?)
}

/// The `name` that a broken profile gives itself, when the text says so on a line of its own.
fn own_name(path: &Path) -> Option<String> {
    let bytes = crate::file::read(path, MAX_FILE).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("name:"))?;
    let name = name.split(" #").next()?.trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// `instruments` of our home; the directory of an earlier generation when ours is absent.
fn home_folder(home: &Path) -> PathBuf {
    let ours = home.join("instruments");
    match home.parent() {
        Some(parent) if !ours.is_dir() => parent.join(".marianne/instruments"),
        _ => ours,
    }
}

fn project_folder(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|folder| folder.join(".mozart"))
        .find(|folder| folder.is_dir())
        .map(|folder| folder.join("instruments"))
}

/// A profile whose patterns compile, too. For the compiled-in ones a test has seen that they do.
fn checked(text: &str) -> Result<Profile, String> {
    let profile = Profile::parse(text)?;
    profile.patterns.check()?;
    Ok(profile)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_compiled_in_profile_is_valid_and_documented() {
        let guide = include_str!("../../docs/instruments.md");
        for (name, text) in BUILT_IN {
            let profile = checked(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(profile.name, name);
            assert_eq!(profile.remark(), None);
            assert!(guide.contains(&format!("`{name}`")), "{name} is missing in docs/instruments.md");
        }
        let registry = Registry::built_in();
        assert!(registry.get("shell").is_some_and(|profile| profile.name == "cli" && profile.raw_prompt));
        assert!(registry.get("nope").is_none() && registry.unknown("nope").contains("claude-code"));
    }

    fn write(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), text).unwrap();
    }

    fn profile(name: &str, executable: &str) -> String {
        format!(
            "name: {name}\ndisplay_name: X\nkind: cli\ncli: {{command: {{executable: {executable}}}, output: {{}}}}\n"
        )
    }

    #[test]
    fn files_of_the_user_and_the_project_override() {
        let folder = tempfile::tempdir().unwrap();
        let (home, project) = (folder.path().join("home/.mozart"), folder.path().join("project"));
        write(&home.join("instruments"), "a.yaml", &profile("mine", "one"));
        write(&home.join("instruments"), "b.yml", &profile("mine", "two"));
        write(&home.join("instruments"), "bad.yaml", "name: x\nnope: 1\n");
        write(&home.join("instruments"), "ignored.txt", "x");
        write(&project.join(".mozart/instruments"), "c.yaml", &profile("cli", "fish"));
        let (registry, warnings) = Registry::load(&home, Some(&project.join("scores/deep")));
        let program = |name: &str| registry.get(name).unwrap().command.as_ref().unwrap().executable.clone();
        assert_eq!(program("mine"), "two");
        assert_eq!(program("shell"), "fish");
        let texts: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        let (path, why) = registry.broken("x").unwrap();
        assert!(
            path.ends_with("bad.yaml") && why.contains("nope") && registry.unknown("x").contains("is broken")
        );
        assert_eq!(registry.alike("gemini-cil"), Some("gemini-cli"));
        assert_eq!(registry.alike("zzzzzz"), None);
        assert!(texts[0].contains("replaces instrument 'mine'") && texts[1].contains("nope"), "{texts:?}");
    }

    #[test]
    fn profiles_that_cannot_work_say_why() {
        let check = |text: &str, part: &str| {
            let error = checked(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("name: x\ndisplay_name: X\nkind: cli\n", "has kind=cli but no cli profile");
        check("name: x\ndisplay_name: X\nkind: http\n", "has kind=http but no http profile");
        check(&format!("{}default_timeout_seconds: 0\n", profile("x", "y")), "greater than 0");
        let bad = profile("x", "y").replace("output: {}", "output: {}, errors: {auth_error_patterns: ['(']}");
        check(&bad, "`cli.errors.auth_error_patterns`");
    }
}
