//! The top level of a score: every section in its place, and what must agree across sections.
//!
//! Not here: what a section means (its own module), what only shows in the whole (`plan`, [`super::checks`]).

use std::collections::BTreeMap;
use std::path::Path;

use super::decode::{At, Cx, Fields};
use super::document::descend;
use super::paths::resolve;
use super::yaml::{Kind, Node};
use super::*;

pub(super) fn decode(cx: &Cx, root: &Node, source: &Source) -> Option<Score> {
    let dir = source.base.as_path();
    let at = At::root(cx, root);
    let mut f = at.fields()?;
    let f = &mut f;
    let name = f.required("name").and_then(|at| name(&at)).unwrap_or_default();
    let sheet = required_section(f, "sheet", |f| Sheet::decode(f, dir)).unwrap_or_default();
    let file = |path: &Path| source.files.get(path).map(String::as_str);
    let prompt = prompt_section(f, |f| Prompt::decode(f, dir, file)).unwrap_or_default();
    let mut score = Score {
        name,
        description: f.nullable("description").and_then(|at| at.label()),
        workspace: resolve(dir, f.raw("workspace").and_then(|at| at.filled_text()).unwrap_or("./workspace")),
        base: source.base.clone(),
        instrument: f.opt_filled("instrument"),
        instrument_config: f
            .present("instrument_config")
            .and_then(|at| InstrumentConfig::decode(&at, dir))
            .unwrap_or_default(),
        instrument_fallbacks: f
            .present("instrument_fallbacks")
            .and_then(|at| super::instruments::fallbacks(&at))
            .unwrap_or_default(),
        instruments: f
            .present("instruments")
            .and_then(|at| at.named(|_, at| InstrumentDef::decode(at, dir)))
            .unwrap_or_default()
            .into_iter()
            .collect(),
        movements: movements(f, dir),
        backend: f.section("backend", |f| Backend::decode(f, dir)),
        sheet,
        prompt,
        validations: f.list("validations", Rule::decode),
        preconditions: f.list("preconditions", Rule::decode),
        retry: f.section("retry", Retry::decode),
        parallel: f.section("parallel", Parallel::decode),
        rate_limit: f.section("rate_limit", RateLimit::decode),
        cross_sheet: f.opt_section("cross_sheet", CrossSheet::decode),
        stale_detection: f.section("stale_detection", StaleDetection::decode),
        workspace_lifecycle: f.section("workspace_lifecycle", WorkspaceLifecycle::decode),
        on_success: f.list("on_success", |at| Hook::decode(at, dir)),
        on_failure: f.list("on_failure", |at| Hook::decode(at, dir)),
        concert: f.section("concert", |f| Concert::decode(f, dir)),
        notifications: f.list("notifications", Notification::decode),
        isolation: f.section("isolation", |f| Isolation::decode(f, dir)),
        pause_between_sheets_seconds: f.int("pause_between_sheets_seconds", 0..=1_000_000_000, 0),
        circuit_breaker: f.section("circuit_breaker", CircuitBreaker::decode),
        cost_limits: f.section("cost_limits", CostLimits::decode),
        learning: f.section("learning", |f| Learning::decode(f, dir)),
        logging: f.section("logging", |f| Logging::decode(f, dir)),
        feedback: f.section("feedback", Feedback::decode),
        grounding: f.section("grounding", Grounding::decode),
        checkpoints: f.section("checkpoints", Checkpoints::decode),
        ai_review: f.section("ai_review", AiReview::decode),
        conductor: f.section("conductor", ConductorCard::decode),
        spec: f.section("spec", Spec::decode),
        techniques: f
            .present("techniques")
            .and_then(|at| at.named(|_, at| Technique::decode(at)))
            .unwrap_or_default()
            .into_iter()
            .collect(),
        agent_card: f.opt_section("agent_card", AgentCard::decode),
        bridge: f.opt_section("bridge", Bridge::decode),
        self_healing: f.section("self_healing", SelfHealing::decode),
        allow_shared_workspace: f.boolean("allow_shared_workspace", false),
        redact_logs: f.boolean("redact_logs", false),
        written: f.keys().map(|(key, _)| key.to_string()).collect(),
        places: BTreeMap::new(),
    };
    f.word("state_backend", &[("json", ()), ("sqlite", ())], ());
    f.opt_text("state_path");
    stray_working_directory(f, dir, &mut score);
    one_instrument(f, &score);
    if score.parallel.enabled && score.isolation.enabled {
        f.at.warning("schema", "parallel and isolation are both enabled: parallel sheets share one worktree");
    }
    places(&mut String::new(), root, 0, &mut score.places);
    unknown_keys(f);
    Some(score)
}

/// `name` of a score or a fleet: 1-128 characters that could be a file name.
pub(crate) fn name(at: &At<'_>) -> Option<String> {
    let name = at.label()?;
    let length = name.chars().count();
    if length == 0 {
        at.error("String should have at least 1 character");
    } else if length > 128 {
        at.error("String should have at most 128 characters");
    } else if name.starts_with('.') || name.contains(['/', '\0']) {
        at.error("a name must not begin with a dot or contain a slash or a NUL");
    }
    Some(name)
}

fn required_section<'a, T>(
    f: &mut Fields<'a>,
    key: &'static str,
    decode: impl FnOnce(&mut Fields<'a>) -> T,
) -> Option<T> {
    f.required(key)?.section(decode)
}

fn prompt_section<'a, T>(f: &mut Fields<'a>, decode: impl FnOnce(&mut Fields<'a>) -> T) -> Option<T> {
    let at = f.required("prompt")?;
    if matches!(at.node.kind, Kind::Str(_)) {
        at.error_hint(
            "The 'prompt' field must be a mapping, not a string.",
            "write:\nprompt:\n  template: |\n    your text",
        );
        return None;
    }
    at.section(decode)
}

fn movements(f: &mut Fields<'_>, dir: &Path) -> BTreeMap<u32, Movement> {
    let Some(at) = f.present("movements") else { return BTreeMap::new() };
    if matches!(at.node.kind, Kind::Seq(_)) {
        at.error_hint(
            "The 'movements' field expects a mapping with movement numbers as keys.",
            "write:\nmovements:\n  1:\n    name: first",
        );
        return BTreeMap::new();
    }
    let refuse = |n| format!("Movement number must be a positive integer, got {n}");
    let decode = |_, at: &At<'_>| {
        if at.is_null() {
            at.warning("schema", "nothing stands after this key; it is read as if it were not there");
            return None;
        }
        Movement::decode(at, dir)
    };
    at.by_number(refuse, decode).unwrap_or_default()
}

/// One published score has this key at the top level; it means that of the backend.
fn stray_working_directory(f: &mut Fields<'_>, dir: &Path, score: &mut Score) {
    let Some(at) = f.nullable("working_directory") else { return };
    let Some(text) = at.text() else { return };
    at.warning("schema", "read as backend.working_directory; write it there or in instrument_config");
    score.backend.config.working_directory.get_or_insert_with(|| resolve(dir, text));
}

fn one_instrument(f: &Fields<'_>, score: &Score) {
    let (Some(instrument), Some(kind)) = (&score.instrument, &score.backend.kind) else { return };
    if kind != "claude_cli" {
        let at = f.peek("backend").and_then(|at| at.fields()).and_then(|f| f.peek("type"));
        at.as_ref().unwrap_or(&f.at).error_hint(
            format!(
                "Cannot specify both 'instrument: {instrument}' and 'backend.type: {kind}'. \
                 Both name the program that runs the sheets."
            ),
            "keep 'instrument' and move the settings of 'backend' to 'instrument_config'",
        );
    }
}

fn unknown_keys(f: &mut Fields<'_>) {
    let extension = |key: &str| key.starts_with("x-");
    let example = |key: &str| match key {
        "sheets" => Some("sheet:\n  size: 1\n  total_items: 3"),
        "prompts" => Some("prompt:\n  template: |\n    your text"),
        _ => None,
    };
    f.report_unknown(extension, example);
}

/// Places of the keys down to three levels, of dependencies to the items of their lists, but for prompts.
fn places(path: &mut String, node: &Node, depth: usize, out: &mut BTreeMap<String, (u32, u32)>) {
    if depth == 3 && !path.starts_with("sheet.dependencies.") || depth > 3 || path == "prompt" {
        return;
    }
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let before = descend(path, &entry.key.text());
                places(path, &entry.value, depth + 1, out);
                out.insert(path.clone(), (entry.key_span.line, entry.key_span.column));
                path.truncate(before);
            }
        }
        Kind::Seq(list) => {
            for (index, item) in list.iter().enumerate() {
                let before = descend(path, &index.to_string());
                places(path, item, depth + 1, out);
                out.insert(path.clone(), (item.span.line, item.span.column));
                path.truncate(before);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
    }
}
