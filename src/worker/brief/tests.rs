#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;
use crate::instrument::Registry;
use crate::plan::Overrides;
use crate::score::Source;

/// The prompt of a sheet of a score in a temporary directory that holds these files, with what was remarked.
fn prompt(score: &str, files: &[(&str, &str)], sheet: usize) -> (String, Vec<String>, Settings) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let text = format!("name: a\nworkspace: ws\nprompt: {{template: BODY}}\n{score}");
    let source = Source { text, base: dir.path().to_owned(), path: None, files: Default::default() };
    let loaded = crate::score::load(&source);
    let score = loaded.score.unwrap_or_else(|| panic!("{:?}", loaded.issues));
    let plan = crate::plan::expand(&score, &Overrides::default()).unwrap();
    let registry = Registry::built_in();
    let sheet = &plan.sheets[sheet];
    let brief = Brief {
        score: &score,
        plan: &plan,
        sheet,
        choice: &sheet.instrument,
        profile: registry.get(&sheet.instrument.name).unwrap(),
        workspace: &score.workspace,
        home: Some(&dir.path().join("home")),
        thinking_method: None,
        limits: Limits { warn_tokens: 0, refuse_tokens: 0 },
    };
    let mut warnings = Vec::new();
    let ready = brief.prompt(&mut brief.vars(), &Round::default(), &[], &mut warnings).unwrap();
    let root = dir.path().display().to_string();
    let settings = brief.settings();
    (
        ready.text.replace(&root, "ROOT"),
        warnings.iter().map(|it| it.replace(&root, "ROOT")).collect(),
        settings,
    )
}

/// Positions of the texts, which must stand in this order.
fn assert_order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let at =
            text[from..].find(part).unwrap_or_else(|| panic!("`{part}` is not in its place in:\n{text}"));
        from += at + part.len();
    }
}

const SHEETS: &str = "sheet: {size: 1, total_items: 2, spec_tags: {2: [goal]}";

#[test]
fn fragments_stand_after_the_body_and_tags_choose_among_them() {
    let files = [
        ("spec/b.yaml", "name: beta\ncontent: The goal.\ntags: [goal]\n"),
        ("spec/a.md", "Style guide.\n"),
        ("CLAUDE.md", "House rules.\n"),
    ];
    let score = format!("{SHEETS}}}\nspec: {{spec_dir: spec, include_claude_md: true}}\n");
    let (text, warnings, _) = prompt(&score, &files, 0);
    assert_order(
        &text,
        &[
            "BODY",
            "## Injected Specs",
            "### a\n\nStyle guide.",
            "### beta\n\nThe goal.",
            "### claude_md\n\nHouse",
        ],
    );
    assert!(warnings.is_empty(), "{warnings:?}");
    let (text, _, _) = prompt(&score, &files, 1);
    assert!(text.contains("The goal.") && text.contains("House rules.") && !text.contains("Style"), "{text}");
}

#[test]
fn fragments_can_be_named_and_missing_ones_are_remarked() {
    let files = [("spec/a.md", "AAA"), ("spec/b.md", "BBB")];
    let score = format!("{SHEETS}}}\nspec: {{spec_dir: spec, fragments: [b, c], include_claude_md: true}}\n");
    let (text, warnings, _) = prompt(&score, &files, 0);
    assert!(text.contains("BBB") && !text.contains("AAA"), "{text}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(warnings[0], "there is no fragment `c` in ROOT/spec");
}

#[test]
fn techniques_are_injected_as_skills_in_their_stages() {
    let files = [
        ("skill.md", "INJECTED"),
        ("how/review.md", "REVIEW"),
        ("home/.mozart/techniques/plan.md", "PLAN"),
        ("home/.mozart/techniques/write/SKILL.md", "WRITE"),
        (".mozart/techniques/talk.md", "TALK"),
    ];
    let score = format!(
        "{SHEETS}, prelude: [{{file: skill.md, as: skill}}]}}\ntechniques:\n  \
         review: {{kind: skill, phases: ['1'], config: {{path: how/review.md}}}}\n  \
         plan: {{kind: skill, phases: [all]}}\n  \
         write: {{kind: skill, phases: ['2', '3']}}\n  \
         talk: {{kind: protocol, phases: ['2'], config: {{rounds: 3}}}}\n  \
         none: {{kind: skill, phases: ['2']}}\n"
    );
    let (text, warnings, _) = prompt(&score, &files, 0);
    let order = [
        "## Injected Skills",
        "INJECTED",
        "PLAN",
        "REVIEW",
        "- **plan** (skill)",
        "- **review** (skill)",
        "BODY",
    ];
    assert_order(&text, &order);
    assert!(!text.contains("WRITE") && !text.contains("TALK"), "{text}");
    assert!(warnings.is_empty(), "{warnings:?}");
    let (text, warnings, _) = prompt(&score, &files, 1);
    assert_order(&text, &["PLAN", "TALK", "WRITE", "- **talk** (protocol)\n  - rounds: 3", "BODY"]);
    assert!(warnings.len() == 1 && warnings[0].contains("`none` has no document"), "{warnings:?}");
}

// Invariant I62
#[test]
fn injected_files_are_looked_for_in_the_workspace_first_and_missing_context_is_left_out() {
    let files = [("ws/note.md", "IN THE WORKSPACE"), ("note.md", "BESIDE"), ("own.md", "OWN")];
    let score = "sheet:\n  size: 1\n  total_items: 1\n  prelude:\n  \
                 - {file: 'note.md', as: context}\n  - {file: 'gone.md', as: context}\n  \
                 - {file: '{{ nobody_knows }}own.md', as: context}\n";
    let (text, warnings, _) = prompt(score, &files, 0);
    assert_order(&text, &["IN THE WORKSPACE", "OWN", "BODY"]);
    assert!(!text.contains("BESIDE"), "{text}");
    assert!(warnings.len() == 1 && warnings[0].contains("ROOT/ws/gone.md is left out"), "{warnings:?}");
}

// Invariant I61
#[test]
fn the_same_orders_give_the_same_prompt_and_only_completion_asks_for_what_is_missing() {
    let files = [("note.md", "NOTE")];
    let score = format!(
        "{SHEETS}, prelude: [{{file: note.md, as: context}}]}}\n\
         validations: [{{type: file_exists, path: result}}]\n"
    );
    let (text, ..) = prompt(&score, &files, 0);
    assert_eq!(prompt(&score, &files, 0).0, text);
    assert!(text.starts_with("<mozart-preamble>"), "{text}");
    assert_order(&text, &["</mozart-preamble>", "NOTE", "BODY"]);
    assert!(!text.contains("Finish What Is Missing"), "{text}");
}

#[test]
fn a_technique_with_tool_servers_gives_them_to_the_instrument() {
    let files = [("servers.json", "{}")];
    let technique = "techniques: {db: {kind: mcp, phases: ['1'], config: {path: servers.json}}}\n";
    let score = format!("{SHEETS}}}\n{technique}");
    let (text, _, settings) = prompt(&score, &files, 0);
    assert!(text.contains("- **db** (mcp)"), "{text}");
    assert!(!settings.disable_mcp && settings.mcp_config.unwrap().ends_with("servers.json"));
    let (_, _, settings) = prompt(&score, &files, 1);
    assert!(settings.disable_mcp && settings.mcp_config.is_none());
}

#[test]
fn only_scores_of_the_older_format_get_its_temperature() {
    for (keys, expected) in [
        ("backend: {type: anthropic_api}", Some(0.7)),
        ("backend: {type: anthropic_api, temperature: 0.2}", Some(0.2)),
        ("backend: {type: anthropic_api, sheet_overrides: {1: {temperature: 1}}}", Some(1.0)),
        ("backend: {type: ollama}", None),
        ("backend: {type: claude_cli}", None),
        ("instrument: anthropic_api", None),
    ] {
        let (.., settings) = prompt(&format!("sheet: {{size: 1, total_items: 1}}\n{keys}\n"), &[], 0);
        assert_eq!(settings.http.temperature, expected, "{keys}");
    }
}
