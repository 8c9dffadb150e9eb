//! `mozart init`: a first score that runs as it is, with the schema that editors check it with.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure};
use crate::schema::Document;

/// Name of the score when none is given.
const DEFAULT_NAME: &str = "my-score";
/// Longest name: with the extension it must be a file name and, without, a job id.
const LONGEST: usize = 100;
/// The schema, from the directory of the score.
const SCHEMA: &str = ".mozart/score.schema.json";
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
    write(&score, &TEMPLATE.replace("@NAME@", name))?;
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
fn check_name(name: &str) -> Result<(), Failure> {
    let wrong = |why: &str| {
        Err(Failure::usage(format!("Score name {why}")).hint("For example: mozart init my-score"))
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
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = fs::File::create(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        _ = fs::remove_file(&new);
        cannot("write", path, &error)
    })
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    let word =
        if error.kind() == std::io::ErrorKind::PermissionDenied { "permission_denied" } else { "internal" };
    Failure::new(word, format!("Cannot {what} {}: {error}", path.display()))
        .hint("Choose another directory with --path DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let message = check_name(name).map_or_else(|failure| failure.message, |()| "fine".to_owned());
            assert!(message.contains(part), "{name}: {message}");
        }
        for name in ["my-score", "A_1", "0"] {
            assert_eq!(check_name(name), Ok(()));
        }
    }

    #[test]
    fn the_first_score_is_valid_and_gives_no_warning() {
        let text = TEMPLATE.replace("@NAME@", "x");
        let source = crate::score::Source { text, base: "/tmp".into(), ..crate::score::Source::default() };
        let loaded = crate::score::load(&source);
        assert!(loaded.score.is_some() && loaded.issues.is_empty(), "{:?}", loaded.issues);
        assert!(source.text.starts_with(&format!("# yaml-language-server: $schema={SCHEMA}\n")));
    }
}
