//! Remedies about paths: directories that are missing, separators of another system.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Context, Finding, Options};
use crate::classify::ErrorCode;
use crate::score::paths::resolve;

/// Most directories that one remedy makes.
const MOST_MADE: usize = 20;

/// `create_missing_workspace`: the workspace itself, when the directory above it is there.
pub(super) fn workspace(context: &Context<'_>, options: &Options<'_>) -> Option<Finding> {
    let about_it = matches!(context.code, ErrorCode::E601 | ErrorCode::E603)
        || context.message.to_lowercase().contains("workspace");
    let workspace = context.workspace;
    if !about_it || workspace.symlink_metadata().is_ok() || !workspace.parent().is_some_and(Path::is_dir) {
        return None;
    }
    let shown = workspace.display();
    let made = if options.dry_run { None } else { Some(fs::create_dir(workspace)) };
    let (applied, message) = match made {
        None => (false, format!("would create the workspace {shown}")),
        Some(Ok(())) => (true, format!("created the workspace {shown}")),
        Some(Err(error)) => {
            (false, format!("the workspace {shown} is missing and cannot be created: {error}"))
        }
    };
    Some(Finding { applied, message, confidence: 0.95 })
}

/// `create_missing_parent_dirs`: directories for the files that were missed, inside the workspace or the working
/// directory only.
pub(super) fn parents(context: &Context<'_>, options: &Options<'_>) -> Option<Finding> {
    let failed_itself = context.code == ErrorCode::E009 && misses_a_directory(context.message);
    if !failed_itself && !matches!(context.code, ErrorCode::E601 | ErrorCode::E201 | ErrorCode::E302) {
        return None;
    }
    // What a program complains of counts only where the score asks for that very file.
    let asked_for = |path: &PathBuf| {
        let mut written = context.written_paths.iter();
        !failed_itself || written.any(|(_, written)| resolve(context.workspace, written) == *path)
    };
    let mut missing: Vec<PathBuf> = Vec::new();
    let named =
        paths_in(context.message).into_iter().map(|path| resolve(context.workspace, &path)).filter(asked_for);
    for path in context.failed_paths.iter().cloned().chain(named) {
        let Some(parent) = path.parent().map(Path::to_owned) else { continue };
        let wanted = parent.symlink_metadata().is_err()
            && [context.workspace, context.working_directory].iter().any(|root| is_inside(&parent, root));
        if wanted && !missing.contains(&parent) && missing.len() < MOST_MADE {
            missing.push(parent);
        }
    }
    if missing.is_empty() {
        return None;
    }
    let list = |paths: &[PathBuf]| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    if options.dry_run {
        let message = format!("would create {}", list(&missing));
        return Some(Finding { applied: false, message, confidence: 0.85 });
    }
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    for path in missing {
        match fs::create_dir_all(&path) {
            Ok(()) => made.push(path),
            Err(error) => failed.push(format!("{} cannot be created: {error}", path.display())),
        }
    }
    let mut message = if made.is_empty() { String::new() } else { format!("created {}", list(&made)) };
    for line in failed {
        message.push_str(if message.is_empty() { "" } else { "; " });
        message.push_str(&line);
    }
    Some(Finding { applied: !made.is_empty(), message, confidence: 0.85 })
}

/// `fix_path_separators`: paths of the score with backslashes, which are ordinary characters of a name here. Only
/// said, not done: what the score means is for its author to write.
pub(super) fn separators(context: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
    let wrong: Vec<String> = context
        .written_paths
        .iter()
        .filter(|(_, path)| path.contains('\\') && !path.contains("://"))
        .map(|(key, path)| format!("{key}: `{path}` should be `{}`", path.replace('\\', "/")))
        .collect();
    let first = wrong.first()?;
    let more = match wrong.len() {
        1 => String::new(),
        several => format!(" (and {} more)", several - 1),
    };
    let message = format!("a backslash does not separate directories on this system: {first}{more}");
    Some(Finding { applied: false, message, confidence: 0.90 })
}

/// Paths that a message names: words with a slash, without their quotes and punctuation.
fn misses_a_directory(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["no such file or directory", "directory nonexistent", "nonexistent directory"]
        .iter()
        .any(|phrase| message.contains(phrase))
}

fn paths_in(message: &str) -> Vec<String> {
    let quotes = |c: char| matches!(c, '`' | '\'' | '"' | '(' | ')' | '[' | ']' | '<' | '>' | ',' | ';');
    message
        .split(|c: char| c.is_whitespace() || quotes(c))
        .map(|word| word.trim_end_matches([':', '.', '!', '?']))
        .filter(|word| word.contains('/') && !word.contains("://") && word.len() > 1)
        .map(str::to_owned)
        .collect()
}

/// Whether a path that does not exist would be made inside a directory that does, links resolved.
fn is_inside(path: &Path, root: &Path) -> bool {
    let Ok(root) = root.canonicalize() else { return false };
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return false;
    }
    let Some(there) = path.ancestors().find(|above| above.symlink_metadata().is_ok()) else { return false };
    there.canonicalize().is_ok_and(|there| there.starts_with(&root) && there.is_dir())
}
