//! `mozart validate`: checks scores without a conductor.

mod document;
mod tally;
mod text;
mod verdict;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop, USAGE};
use crate::cli::score_file;
use crate::daemon::settings;
use verdict::{Kind, Verdict};

/// Options of `validate`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Score files, directories with scores, or - for standard input [default: the conductor's configuration file]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Warnings fail too
    #[arg(long)]
    strict: bool,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let targets = targets(cx, &options.files)?;
    let single = matches!(targets.as_slice(), [target] if !target.listed);
    let mut exit = 0;
    let mut documents = Vec::new();
    let mut tally = tally::Tally::default();
    for target in &targets {
        let verdict = match look(cx, target, options.strict) {
            Ok(verdict) => verdict,
            Err(Stop::Failure(failure)) if !single => {
                exit = exit.max(failure.exit);
                tally.add_unreadable();
                if cx.out.json {
                    documents.push(failure.with("file", target.shown.clone()).document());
                } else {
                    cx.out.failure(&failure)?;
                }
                continue;
            }
            Err(stop) => return Err(stop),
        };
        exit = exit.max(verdict.exit);
        tally.add(&verdict);
        if cx.out.json {
            documents.push(document::of(&verdict));
        } else if !cx.out.quiet || verdict.exit != 0 {
            cx.out.text(&text::of(&verdict, cx.out.style, cx.out.verbose))?;
            if !single {
                cx.out.line("")?;
            }
        }
    }
    if cx.out.json {
        match documents.as_slice() {
            [one] if single => cx.out.document(one)?,
            several => cx.out.document(&Value::Array(several.to_vec()))?,
        }
    } else if !single {
        cx.out.line(&tally.line())?;
    }
    Ok(exit)
}

/// One thing to check.
#[derive(Debug)]
struct Target {
    path: PathBuf,
    shown: String,
    /// It was found in a directory: what is no score there is passed over.
    listed: bool,
}

impl Target {
    fn named(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: path.display().to_string(), listed: false }
    }
}

/// Files as they are, directories as the YAML files in them.
fn targets(cx: &Context, files: &[PathBuf]) -> Result<Vec<Target>, Stop> {
    if files.is_empty() {
        return configuration(cx).map(|target| vec![target]);
    }
    let mut targets = Vec::new();
    for path in files {
        if path.as_os_str() == "-" || !cx.absolute(path).is_dir() {
            targets.push(Target::named(path));
            continue;
        }
        let unreadable = |error: std::io::Error| {
            Failure::new("score_unreadable", format!("Cannot read directory: {}: {error}", path.display()))
                .exit(USAGE)
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(cx.absolute(path)).map_err(unreadable)? {
            let name = PathBuf::from(entry.map_err(unreadable)?.file_name());
            let file = path.join(&name);
            let yaml = name.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            if yaml && cx.absolute(&file).is_file() {
                found.push(file);
            }
        }
        if found.is_empty() {
            let message = format!("No scores found in {}", path.display());
            let hint = "Scores are the files that end in .yaml or .yml; name others themselves.";
            return Err(Failure::new("score_unreadable", message).exit(USAGE).hint(hint).into());
        }
        found.sort();
        targets.extend(found.iter().map(|file| Target { listed: true, ..Target::named(file) }));
    }
    Ok(targets)
}

/// The file that the conductor reads.
fn configuration(cx: &Context) -> Result<Target, Stop> {
    let overrides = settings::Overrides { clone: cx.global.clone.clone(), ..settings::Overrides::default() };
    let source = match settings::load(cx.brand, &overrides) {
        Ok(settings) => settings.source,
        Err(settings::SettingsError::Invalid(problems)) => {
            problems.0.iter().find_map(|problem| problem.file.clone())
        }
        Err(error) => return Err(Failure::new("score_unreadable", error.to_string()).exit(USAGE).into()),
    };
    source.map(|path| Target::named(&path)).ok_or_else(|| {
        Failure::usage("No score given, and the conductor has no configuration file.")
            .hint("Check a score with: mozart validate SCORE.yaml")
            .into()
    })
}

fn look(cx: &Context, target: &Target, strict: bool) -> Result<Verdict, Stop> {
    let source = if target.path.as_os_str() == "-" {
        score_file::read_input(cx)?
    } else {
        score_file::read(cx, &target.path)?
    };
    let registry = score_file::registry(cx, &source.base);
    let verdict = Verdict::of(source, &target.shown, &registry, strict);
    // A directory of scores may hold other YAML too.
    let stray =
        target.listed && matches!(&verdict.kind, Kind::Score(findings) if is_no_score(&findings.keys));
    Ok(if stray { verdict.passed_over() } else { verdict })
}

fn is_no_score(keys: &[String]) -> bool {
    !keys.iter().any(|key| key == "sheet" || key == "prompt")
}
