//! `mozart init`: a first score that runs as it is, with the schema that editors check it with.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::instruments;
use crate::schema::Document;

/// Name of the score when none is given.
const DEFAULT_NAME: &str = "my-score";
/// Longest name: with the extension it must be a file name and, without, a job id.
const LONGEST: usize = 100;
/// The schema, from the directory of the score.
const SCHEMA: &str = ".mozart/score.schema.json";
/// The instrument that runs prompts as shell scripts.
const SHELL: &str = "cli";
/// The score, with `@NAME@` for its name.
const TEMPLATE: &str = include_str!("init/score.yaml");

/// Options of `init`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the score and of its file [default: my-score]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The same, as an option
    #[arg(short = 'n', long = "name", value_name = "NAME", conflicts_with = "name")]
    named: Option<String>,
    /// Directory to write to; made when it is not there
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
    /// Write over a score that is there
    #[arg(short, long)]
    force: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let name = options.name.as_deref().or(options.named.as_deref()).unwrap_or(DEFAULT_NAME);
    check_name(name)?;
    let dir = cx.absolute(&options.path);
    let score = dir.join(format!("{name}.yaml"));
    if !options.force && fs::symlink_metadata(&score).is_ok() {
        return Err(Failure::new("usage", format!("Score already exists: {}", score.display()))
            .hint("Use --force to overwrite.")
            .into());
    }
    let schema = dir.join(SCHEMA);
    for folder in [".mozart", "workspaces"].map(|folder| dir.join(folder)) {
        fs::create_dir_all(&folder).map_err(|error| cannot("create the directory", &folder, &error))?;
    }
    write(&schema, &format!("{:#}\n", Document::Score.json_schema()))?;
    let agents = agents(&instruments::ready(&instruments::registry(cx, &dir).0));
    write(&score, &TEMPLATE.replace("@NAME@", name).replace("@AGENTS@", &agents))?;
    if cx.out.json {
        cx.out.document(&json!({
            "success": true, "name": name, "score_file": score, "target_path": dir, "schema_file": schema,
        }))?;
        return Ok(0);
    }
    if cx.out.quiet {
        cx.out.line(&score.display().to_string())?;
        return Ok(0);
    }
    cx.out.text(&told(cx, name, &score, &schema, &options.path))?;
    Ok(0)
}

/// Which agents could play instead of the shell. The score itself uses the shell, which is always there and needs
/// neither a network nor an account.
fn agents(ready: &[String]) -> String {
    let agents: Vec<&str> = ready.iter().map(String::as_str).filter(|name| *name != SHELL).collect();
    match agents.as_slice() {
        [] => "# No agent is installed here; `mozart instruments` shows which ones are known.".to_owned(),
        [one] => format!("# Ready on this machine: {one}."),
        several => format!("# Ready on this machine: {}.", several.join(", ")),
    }
}

fn told(cx: &Context, name: &str, score: &Path, schema: &Path, path: &Path) -> String {
    let mark = cx.out.style.ok();
    // As somebody who stays in this directory types it.
    let file = if path == Path::new(".") { format!("{name}.yaml") } else { score.display().to_string() };
    format!(
        "{mark} Score:  {}\n{mark} Schema: {}\n\nNext steps:\n  \
         1. Look at it and change it:  {file}\n  \
         2. Check it:                  mozart validate {file}\n  \
         3. Start the conductor:       mozart start\n  \
         4. Run it:                    mozart run --wait {file}\n  \
         5. See what came of it:       mozart status {name}\n",
        score.display(),
        schema.display(),
    )
}

/// A name is a file name and a job id: letters, digits, hyphens and underscores.
fn check_name(name: &str) -> Result<(), Stop> {
    let wrong = |why: &str| {
        Err(Failure::usage(format!("Score name {why}")).hint("For example: mozart init my-score").into())
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() {
        return wrong("cannot be empty.");
    }
    if name.contains(['/', '\\']) {
        return wrong("cannot contain path separators. Use --path for the directory.");
    }
    if name.contains(char::is_whitespace) {
        return wrong("cannot contain spaces. Use hyphens or underscores instead.");
    }
    if name.starts_with('.') {
        return wrong("cannot start with a dot.");
    }
    if name.len() > LONGEST {
        return wrong(&format!("is too long ({} characters, at most {LONGEST}).", name.chars().count()));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return wrong("must start with a letter or a digit.");
    }
    if !name.chars().all(allowed) {
        return wrong("can only contain letters, digits, hyphens and underscores.");
    }
    Ok(())
}

/// Puts a whole file in the place of what is there, or leaves that as it is.
fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::File::create(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        _ = fs::remove_file(&new);
        cannot("write", path, &error)
    })
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Stop {
    let word =
        if error.kind() == std::io::ErrorKind::PermissionDenied { "permission_denied" } else { "internal" };
    Failure::new(word, format!("Cannot {what} {}: {error}", path.display()))
        .hint("Choose another directory with --path DIR")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_that_are_there_are_named() {
        let names = |list: &[&str]| agents(&list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(names(&["cli"]).starts_with("# No agent is installed here"));
        assert_eq!(names(&["claude-code", "cli", "goose"]), "# Ready on this machine: claude-code, goose.");
    }

    #[test]
    fn names_say_what_is_wrong_with_them() {
        let long = "x".repeat(101);
        for (name, part) in [
            ("", "empty"),
            ("a/b", "path separators"),
            ("..", "start with a dot"),
            ("a b", "spaces"),
            ("-a", "start with a letter"),
            ("a.b", "only contain"),
            ("schön", "only contain"),
            (long.as_str(), "too long (101 characters"),
        ] {
            let message = match check_name(name) {
                Err(Stop::Failure(failure)) => failure.message,
                other => panic!("{name}: {other:?}"),
            };
            assert!(message.contains(part), "{name}: {message}");
        }
        for name in ["my-score", "A_1", "0"] {
            assert!(check_name(name).is_ok());
        }
    }

    #[test]
    fn the_first_score_is_valid_and_gives_no_warning() {
        let text = TEMPLATE.replace("@NAME@", "x").replace("@AGENTS@", &agents(&[]));
        let source = crate::score::Source { text, base: "/tmp".into(), ..crate::score::Source::default() };
        let loaded = crate::score::load(&source);
        assert!(loaded.score.is_some() && loaded.issues.is_empty(), "{:?}", loaded.issues);
        assert!(source.text.starts_with(&format!("# yaml-language-server: $schema={SCHEMA}\n")));
    }
}
