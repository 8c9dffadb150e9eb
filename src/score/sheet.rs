//! `sheet`: how the work is divided, and what belongs to single sheets.
//!
//! Keys of `dependencies`, `fan_out` and the skip maps are stages; keys of all other maps are concrete sheets.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Serialize;

use super::decode::{At, Bound, Fields};
use super::expr::{self, Expr};
use super::instruments::{InstrumentConfig, fallbacks};
use super::issue::Issue;
use super::prompt::Extension;

/// `sheet` of a score.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sheet {
    /// Items per sheet, >= 1.
    pub size: u64,
    /// Number of the last item, >= 1; with fan-out the number of stages.
    pub total_items: u64,
    /// Number of the first item, default 1.
    pub start_item: u64,
    /// Stage and the stages before it, in the order of the document.
    pub dependencies: Vec<(u32, Vec<u32>)>,
    /// Stage to number of instances.
    pub fan_out: BTreeMap<u32, u32>,
    /// Stage to the condition under which it is skipped.
    pub skip_when: BTreeMap<u32, Condition>,
    /// Stage to the command whose success skips it.
    pub skip_when_command: BTreeMap<u32, SkipCommand>,
    /// Labels in status output.
    pub descriptions: BTreeMap<u32, String>,
    /// Files put into the prompt of every sheet.
    pub prelude: Vec<Injection>,
    /// Files put into the prompt of one sheet, after the prelude.
    pub cadenzas: BTreeMap<u32, Vec<Injection>>,
    /// Further directives of one sheet.
    pub prompt_extensions: BTreeMap<u32, Vec<Extension>>,
    /// Instrument of one sheet.
    pub per_sheet_instruments: BTreeMap<u32, String>,
    /// Settings of one sheet; win over all others.
    pub per_sheet_instrument_config: BTreeMap<u32, InstrumentConfig>,
    /// Fallbacks of one sheet; an empty list means none.
    pub per_sheet_fallbacks: BTreeMap<u32, Vec<String>>,
    /// Instrument and its sheets, in the order of the document.
    pub instrument_map: Vec<(String, Vec<u32>)>,
    /// Tags that choose the specification fragments of one sheet.
    pub spec_tags: BTreeMap<u32, Vec<String>>,
}

/// A condition and its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As written.
    pub text: String,
    /// Parsed.
    pub expr: Expr,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// See [`expr::parse`].
    pub fn parse(text: &str) -> Result<Self, String> {
        expr::parse(text).map(|expr| Self { text: text.to_owned(), expr })
    }
}

/// Written as its text.
impl Serialize for Condition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// `sheet.skip_when_command.<stage>`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkipCommand {
    /// Shell command; exit 0 skips.
    pub command: String,
    /// Shown as the reason.
    pub description: Option<String>,
    /// Longest run, above 0 to 60, default 10.
    pub timeout_seconds: f64,
}

/// A file or directory whose content becomes part of the prompt. Its path is a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Injection {
    /// What is read.
    pub source: InjectionSource,
    /// What it is for.
    pub kind: InjectionKind,
}

/// Where an injection comes from: a path as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InjectionSource {
    /// One file.
    File(String),
    /// All files of a directory.
    Directory(String),
}

/// What an injection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InjectionKind {
    /// Something to know.
    Context,
    /// Something to be able to do.
    Skill,
    /// Something to use.
    Tool,
}

impl Sheet {
    pub(super) fn decode(f: &mut Fields<'_>, dir: &Path) -> Self {
        let sheet_number = |n| format!("Sheet number must be positive integer, got {n}");
        let texts = |at: &At<'_>| at.list(|at| at.filled_text().map(str::to_owned));
        let size = f.required("size").and_then(|at| at.int(1..=i64::MAX)).unwrap_or(1);
        let total_items = f.required("total_items").and_then(|at| at.int(1..=i64::MAX)).unwrap_or(1);
        let start_item = f.int("start_item", 1..=i64::MAX, 1);
        if start_item > total_items {
            let message = format!("start_item ({start_item}) must not exceed total_items ({total_items})");
            let place = f.peek("start_item").and_then(|at| at.place());
            f.at.cx.push(Issue::error("schema", &f.at.path, message).at(place));
        }
        if let Some(at) = f.nullable("fan_out_stage_map") {
            at.error_hint("fan_out_stage_map is computed and not accepted in a score", "remove this key");
        }
        // Computed; older scores carry it along.
        f.raw("total_sheets");
        let fan_out = f.present("fan_out").and_then(|at| {
            at.by_number(
                |n| format!("fan_out references stage {n}, but stages are numbered from 1"),
                |stage, at| match at.any_int()? {
                    count if count < 1 => {
                        at.error(format!("Fan-out count for stage {stage} must be >= 1, got {count}"));
                        None
                    }
                    _ => at.int::<u32>(1..=i64::MAX),
                },
            )
        });
        Self {
            size,
            total_items,
            start_item,
            dependencies: f.present("dependencies").and_then(|at| dependencies(&at)).unwrap_or_default(),
            fan_out: fan_out.unwrap_or_default(),
            skip_when: f
                .present("skip_when")
                .and_then(|at| at.by_number(sheet_number, |_, at| skip_condition(at)))
                .unwrap_or_default(),
            skip_when_command: f
                .present("skip_when_command")
                .and_then(|at| at.by_number(sheet_number, |_, at| skip_command(at)))
                .unwrap_or_default(),
            descriptions: f
                .present("descriptions")
                .and_then(|at| at.by_number(sheet_number, |_, at| at.label()))
                .unwrap_or_default(),
            prelude: f.list("prelude", injection),
            cadenzas: f
                .present("cadenzas")
                .and_then(|at| at.by_number(sheet_number, |_, at| at.list(injection)))
                .unwrap_or_default(),
            prompt_extensions: f
                .present("prompt_extensions")
                .and_then(|at| at.by_number(sheet_number, |_, at| at.list(|at| Extension::decode(at, dir))))
                .unwrap_or_default(),
            per_sheet_instruments: f
                .present("per_sheet_instruments")
                .and_then(|at| at.by_number(instrument_key, sheet_instrument))
                .unwrap_or_default(),
            per_sheet_instrument_config: f
                .present("per_sheet_instrument_config")
                .and_then(|at| at.by_number(instrument_key, |_, at| InstrumentConfig::decode(at, dir)))
                .unwrap_or_default(),
            per_sheet_fallbacks: f
                .present("per_sheet_fallbacks")
                .and_then(|at| {
                    let refuse = |n| format!("Per-sheet fallback key must be a positive integer, got {n}");
                    at.by_number(refuse, |_, at| fallbacks(at))
                })
                .unwrap_or_default(),
            instrument_map: f
                .present("instrument_map")
                .and_then(|at| instrument_map(&at))
                .unwrap_or_default(),
            spec_tags: f
                .present("spec_tags")
                .and_then(|at| at.by_number(sheet_number, |_, at| texts(at)))
                .unwrap_or_default(),
        }
    }
}

fn instrument_key(number: i64) -> String {
    format!("Per-sheet instrument key must be a positive integer, got {number}")
}

fn sheet_instrument(sheet: u32, at: &At<'_>) -> Option<String> {
    match at.text()? {
        "" => {
            at.error(format!("Per-sheet instrument name for sheet {sheet} must not be empty"));
            None
        }
        name => Some(name.to_owned()),
    }
}

fn positive(at: &At<'_>) -> Option<u32> {
    match at.any_int()? {
        number if number < 1 => {
            at.error(format!("Sheet number must be positive integer, got {number}"));
            None
        }
        _ => at.int(1..=i64::MAX),
    }
}

fn dependencies(at: &At<'_>) -> Option<Vec<(u32, Vec<u32>)>> {
    let all = at.numbered(|number, at| {
        let Some(stage) = u32::try_from(number).ok().filter(|stage| *stage > 0) else {
            at.error(format!("Sheet number must be positive integer, got {number}"));
            return None;
        };
        if at.is_null() {
            at.warning("schema", "nothing stands after this key; it is read as an empty list");
            return Some((stage, Vec::new()));
        }
        let before = at.list(|at| {
            let before = positive(at)?;
            if before == stage {
                at.error(format!("Sheet {stage} cannot depend on itself"));
                return None;
            }
            Some(before)
        })?;
        Some((stage, before))
    })?;
    Some(all.into_iter().map(|(_, entry)| entry).collect())
}

fn skip_condition(at: &At<'_>) -> Option<Condition> {
    let text = at.text()?;
    match Condition::parse(text) {
        Ok(condition) => Some(condition),
        Err(message) => {
            at.error(format!("cannot parse expression: {message}"));
            None
        }
    }
}

fn skip_command(at: &At<'_>) -> Option<SkipCommand> {
    let mut f = at.fields()?;
    let command = f.required("command").and_then(|at| at.filled_text()).map(str::to_owned);
    let description = f.nullable("description").and_then(|at| at.label());
    let timeout_seconds = f.float("timeout_seconds", Bound::AboveTo(0.0, 60.0), 10.0);
    f.finish();
    Some(SkipCommand { command: command?, description, timeout_seconds })
}

fn injection(at: &At<'_>) -> Option<Injection> {
    let kinds =
        [("context", InjectionKind::Context), ("skill", InjectionKind::Skill), ("tool", InjectionKind::Tool)];
    let mut f = at.fields()?;
    let file = f.opt_filled("file");
    let directory = f.opt_filled("directory");
    let kind = f.required("as").and_then(|at| at.one_of(&kinds));
    let written = f.peek("file").is_some() || f.peek("directory").is_some();
    let source = match (file, directory) {
        (Some(path), None) => Some(InjectionSource::File(path)),
        (None, Some(path)) => Some(InjectionSource::Directory(path)),
        (Some(_), Some(_)) => {
            f.error_about(&["directory"], "Specify 'file' or 'directory', not both.");
            None
        }
        (None, None) => {
            if !written {
                at.error("One of 'file' or 'directory' is required.");
            }
            None
        }
    };
    f.finish();
    Some(Injection { source: source?, kind: kind? })
}

fn instrument_map(at: &At<'_>) -> Option<Vec<(String, Vec<u32>)>> {
    let mut owner: HashMap<u32, String> = HashMap::new();
    at.named(|name, at| {
        if name.is_empty() {
            at.error("Instrument name in instrument_map must not be empty");
            return None;
        }
        let sheets = at.list(|at| {
            let sheet = positive(at)?;
            match owner.insert(sheet, name.to_owned()) {
                Some(other) if other != name => {
                    at.error(format!(
                        "Sheet {sheet} assigned to multiple instruments in instrument_map: '{other}' and '{name}'"
                    ));
                    None
                }
                _ => Some(sheet),
            }
        })?;
        Some(sheets)
    })
}
