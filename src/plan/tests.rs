//! Tests of expansion: a line of text per sheet stands beside each score.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::score::{self, Severity, Source};

/// A whole score from what is special about it.
fn text(special: &str) -> String {
    let mut text = String::from("name: x\n");
    let says = |key: &str| special.lines().any(|line| line.starts_with(key));
    if !says("sheet:") {
        text.push_str("sheet: {size: 1, total_items: 3}\n");
    }
    if !says("prompt:") {
        text.push_str("prompt: {template: hi}\n");
    }
    text + special
}

fn load(special: &str) -> Result<Score, Vec<Issue>> {
    let source = Source { text: text(special), base: "/base".into(), ..Source::default() };
    let loaded = score::load(&source);
    loaded.score.ok_or(loaded.issues)
}

fn plan_of(special: &str) -> Result<Plan, Vec<Issue>> {
    load(special).and_then(|score| expand(&score, &Overrides::default()))
}

fn errors(issues: &[Issue]) -> String {
    let errors = issues.iter().filter(|issue| issue.severity == Severity::Error);
    errors.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(special: &str, line: impl Fn(&SheetPlan) -> String, expected: &Expect) {
    let shown = match plan_of(special) {
        Ok(plan) => plan.sheets.iter().map(line).collect::<Vec<_>>().join("\n"),
        Err(issues) => errors(&issues),
    };
    expected.assert_eq(&shown);
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in a hundred tests")]
#[track_caller]
fn check_plan(special: &str, expected: Expect) {
    let line = |sheet: &SheetPlan| {
        let stage = match sheet.fan_count {
            1 => sheet.stage.to_string(),
            _ => format!("{}.{}", sheet.stage, sheet.instance),
        };
        let after: Vec<String> = sheet.after.iter().map(ToString::to_string).collect();
        let after = if after.is_empty() { String::new() } else { format!("  after {}", after.join(", ")) };
        format!("{}  stage {stage}{after}", sheet.num)
    };
    check(special, line, &expected);
}

#[expect(clippy::needless_pass_by_value, reason = "as above")]
#[track_caller]
fn check_items(sheet: &str, expected: Expect) {
    check(
        &format!("sheet: {sheet}"),
        |sheet| format!("{}: {}-{}", sheet.num, sheet.start_item, sheet.end_item),
        &expected,
    );
}

#[expect(clippy::needless_pass_by_value, reason = "as above")]
#[track_caller]
fn check_instruments(special: &str, expected: Expect) {
    let name = |choice: &InstrumentChoice| match &choice.config.model {
        Some(model) => format!("{}/{model}", choice.name),
        None => choice.name.clone(),
    };
    let line = |sheet: &SheetPlan| {
        let fallbacks: Vec<String> = sheet.fallbacks.iter().map(name).collect();
        let fallbacks =
            if fallbacks.is_empty() { String::new() } else { format!(" else {}", fallbacks.join(", ")) };
        format!("{} {}{fallbacks}", sheet.num, name(&sheet.instrument))
    };
    check(special, line, &expected);
}

#[test]
fn items_are_divided() {
    check_items("{size: 5, total_items: 10}", expect!["1: 1-5\n2: 6-10"]);
    check_items("{size: 3, total_items: 10}", expect!["1: 1-3\n2: 4-6\n3: 7-9\n4: 10-10"]);
    check_items("{size: 3, total_items: 10, start_item: 4}", expect!["1: 4-6\n2: 7-9\n3: 10-10"]);
    check_items("{size: \"5\", total_items: 12.0}", expect!["1: 1-5\n2: 6-10\n3: 11-12"]);
    check_items(
        "{size: 5, total_items: 10, start_item: 11}",
        expect!["sheet: start_item (11) must not exceed total_items (10)"],
    );
    check_items(
        "{size: 9223372036854775807, total_items: 9223372036854775807}",
        expect!["1: 1-9223372036854775807"],
    );
    check_items(
        "{size: 1, total_items: 9223372036854775807}",
        expect!["sheet: score expands to 9223372036854775807 sheets, limit is 10000"],
    );
    check_items(
        "{size: 1, total_items: 10001}",
        expect!["sheet: score expands to 10001 sheets, limit is 10000"],
    );
}

#[test]
fn fan_out_makes_one_sheet_per_instance() {
    check_plan(
        "sheet: {size: 1, total_items: 3, fan_out: {2: 3}, dependencies: {2: [1], 3: [2]}}",
        expect![[r#"
            1  stage 1
            2  stage 2.1  after 1
            3  stage 2.2  after 1
            4  stage 2.3  after 1
            5  stage 3  after 2, 3, 4"#]],
    );
}

#[test]
fn equal_fan_outs_are_joined_one_by_one() {
    check_plan(
        "sheet: {size: 1, total_items: 4, fan_out: {2: 3, 3: 3}, dependencies: {2: [1], 3: [2], 4: [3]}}",
        expect![[r#"
            1  stage 1
            2  stage 2.1  after 1
            3  stage 2.2  after 1
            4  stage 2.3  after 1
            5  stage 3.1  after 2
            6  stage 3.2  after 3
            7  stage 3.3  after 4
            8  stage 4  after 5, 6, 7"#]],
    );
}

#[test]
fn unequal_fan_outs_are_joined_all_to_all() {
    check_plan(
        "sheet: {size: 1, total_items: 4, fan_out: {2: 3, 3: 2}, dependencies: {2: [1], 3: [2], 4: [3]}}",
        expect![[r#"
            1  stage 1
            2  stage 2.1  after 1
            3  stage 2.2  after 1
            4  stage 2.3  after 1
            5  stage 3.1  after 2, 3, 4
            6  stage 3.2  after 2, 3, 4
            7  stage 4  after 5, 6"#]],
    );
}

#[test]
fn without_dependencies_stages_are_a_chain() {
    check_plan(
        "sheet: {size: 1, total_items: 3, fan_out: {2: 2, 3: 2}}",
        expect![[r#"
            1  stage 1
            2  stage 2.1  after 1
            3  stage 2.2  after 1
            4  stage 3.1  after 2, 3
            5  stage 3.2  after 2, 3"#]],
    );
    check_plan(
        "sheet: {size: 1, total_items: 3, dependencies: {2: []}}",
        expect![[r#"
            1  stage 1
            2  stage 2
            3  stage 3"#]],
    );
}

#[test]
fn voices_of_a_movement_are_a_fan_out() {
    check_plan(
        "movements: {2: {voices: 3}}",
        expect![[r#"
            1  stage 1
            2  stage 2.1  after 1
            3  stage 2.2  after 1
            4  stage 2.3  after 1
            5  stage 3  after 2, 3, 4"#]],
    );
    check_plan(
        "movements: {2: {voices: 3}}\nsheet: {size: 1, total_items: 3, fan_out: {2: 2}}",
        expect!["movements.2.voices: movements.2.voices (3) conflicts with sheet.fan_out[2] (2)"],
    );
    check_plan(
        "movements: {7: {name: far}}",
        expect!["movements.7: movements references movement 7, but the score has 3 stages"],
    );
}

#[test]
fn stages_and_sheets_are_counted_apart() {
    let special = "sheet: {size: 1, total_items: 17, fan_out: {12: 3}, descriptions: {13: middle}}";
    let plan = plan_of(special).unwrap();
    let found: Vec<(u32, u32)> = [12, 13, 14, 15, 19]
        .map(|num| plan.sheet(SheetNo(num)).unwrap())
        .iter()
        .map(|sheet| (sheet.stage, sheet.instance))
        .collect();
    assert_eq!(found, [(12, 1), (12, 2), (12, 3), (13, 1), (17, 1)]);
    assert_eq!(plan.sheets.len(), 19);
    assert_eq!(plan.sheets[12].description.as_deref(), Some("middle"));
}

#[test]
fn skip_keys_are_stages() {
    let shown = |special: &str| {
        let score = load(special).unwrap();
        let layout = stages::layout(&score).unwrap();
        let mut warnings = Vec::new();
        let skips = stages::skips(&score, &layout, &mut warnings);
        let keys = (skips.when.keys().copied().collect(), skips.command.keys().copied().collect());
        let codes: Vec<String> =
            warnings.iter().map(|issue| format!("{} {}", issue.code, issue.path)).collect();
        (keys, codes)
    };
    let (keys, warnings): ((Vec<u32>, Vec<u32>), _) = shown(
        "sheet: {size: 1, total_items: 3, fan_out: {2: 3}, skip_when: {3: stage == 1}, skip_when_command: {2: {command: c}}}",
    );
    assert_eq!(keys, (vec![5], vec![2, 3, 4]));
    assert!(warnings.is_empty());
    let (keys, warnings) =
        shown("sheet: {size: 1, total_items: 3, fan_out: {2: 3}, skip_when: {2: stage == 1, 5: stage == 1}}");
    assert_eq!(keys, (vec![2, 5], vec![]));
    assert_eq!(warnings, ["V212 sheet.skip_when.5"]);
    let (_, warnings) = shown("sheet: {size: 1, total_items: 3, skip_when: {9: stage == 1}}");
    assert_eq!(warnings, ["V212 sheet.skip_when.9"]);
}

#[test]
fn impossible_stages_are_refused() {
    for (sheet, expected) in [
        (
            "fan_out: {5: 3}",
            "sheet.fan_out.5: fan_out references stage 5, but total_stages is 3 (valid: 1-3)",
        ),
        ("fan_out: {2: 0}", "sheet.fan_out.2: Fan-out count for stage 2 must be >= 1, got 0"),
        (
            "dependencies: {9: [1]}",
            "sheet.dependencies.9: Dependency key sheet 9 is out of range (valid: 1-3)",
        ),
        (
            "dependencies: {2: [9]}",
            "sheet.dependencies.2: Sheet 2 depends on sheet 9, which is out of range (valid: 1-3)",
        ),
        ("dependencies: {2: [2]}", "sheet.dependencies.2.0: Sheet 2 cannot depend on itself"),
        ("dependencies: {2: [0]}", "sheet.dependencies.2.0: Sheet number must be positive integer, got 0"),
        ("dependencies: {2: [3], 3: [2]}", "sheet.dependencies: Circular dependency detected: 2 -> 3 -> 2"),
        (
            "fan_out: {2: 2}, dependencies: {9: [1], 2: [7]}",
            "sheet.dependencies.9: dependency references stage 9, but total_stages is 3 (valid: 1-3)\n\
             sheet.dependencies.2: stage 2 depends on stage 7, but total_stages is 3 (valid: 1-3)",
        ),
    ] {
        let special = format!("sheet: {{size: 1, total_items: 3, {sheet}}}");
        assert_eq!(errors(&plan_of(&special).unwrap_err()), expected);
    }
    check_plan(
        "sheet: {size: 2, total_items: 3, start_item: 2, fan_out: {2: 3}}",
        expect![[r#"
            sheet.size: fan_out requires size=1, got size=2. Each stage must map to exactly one sheet for fan-out to work.
            sheet.start_item: fan_out requires start_item=1, got start_item=2. Fan-out stages are 1-indexed from the beginning."#]],
    );
}

#[test]
fn errors_of_the_plan_have_a_place() {
    let issues = plan_of("sheet:\n  size: 1\n  total_items: 3\n  fan_out:\n    5: 3\n").unwrap_err();
    assert_eq!((issues[0].line, issues[0].column), (Some(7), Some(5)));
}

#[test]
fn dependencies_may_be_written_as_text() {
    check_plan(
        "sheet: {size: 1, total_items: 2, dependencies: {\"2\": [\"1\"]}}",
        expect![[r#"
            1  stage 1
            2  stage 2  after 1"#]],
    );
}

#[test]
fn huge_plans_end_in_an_error_or_a_plan() {
    let long = plan_of("sheet: {size: 1, total_items: 10000}").unwrap();
    assert_eq!(long.sheets.len(), 10_000);
    let ring = format!(
        "sheet: {{size: 1, total_items: 10000, dependencies: {{1: [10000], {}}}}}",
        (2..=10_000).map(|n| format!("{n}: [{}]", n - 1)).collect::<Vec<_>>().join(", ")
    );
    assert!(
        errors(&plan_of(&ring).unwrap_err())
            .starts_with("sheet.dependencies: Circular dependency detected: 1 -> 10000")
    );
    let wide = plan_of("sheet: {size: 1, total_items: 2, fan_out: {1: 4000, 2: 4001}}").unwrap_err();
    assert_eq!(
        errors(&wide),
        "sheet.fan_out: score expands to more than 1000000 dependencies between sheets"
    );
    let ring = errors(&plan_of(&ring).unwrap_err());
    assert!(ring.ends_with("9984 -> 9983 -> (9981 more) -> 1"), "{ring}");
    let rules = "  - {type: file_exists, path: a}\n".repeat(201);
    let many = plan_of(&format!("sheet: {{size: 1, total_items: 10000}}\nvalidations:\n{rules}"));
    assert_eq!(
        errors(&many.unwrap_err()),
        "validations: 2010000 pairs of a rule and a sheet, limit is 2000000"
    );
    assert!(plan_of("sheet: {size: 1, total_items: 2, fan_out: {1: 4294967295, 2: 4294967295}}").is_err());
}

#[test]
fn the_default_instrument_is_claude_code_with_text_output() {
    let plan = plan_of("").unwrap();
    let choice = &plan.sheets[0].instrument;
    assert_eq!(choice.name, "claude-code");
    assert_eq!(choice.config.output_format, Some(crate::score::OutputFormat::Text));
    let plan = plan_of("instrument: claude-code").unwrap();
    assert_eq!(plan.sheets[0].instrument.config.output_format, None);
}

#[test]
fn names_of_instruments_have_a_precedence() {
    check_instruments(
        "instrument: score
sheet: {size: 1, total_items: 4, per_sheet_instruments: {1: own}, instrument_map: {mapped: [1, 2]}}
movements: {1: {instrument: moved}, 3: {instrument: moved}}",
        expect![[r#"
            1 own
            2 mapped
            3 moved
            4 score"#]],
    );
}

// Invariant I67
#[test]
fn models_have_a_precedence() {
    check_instruments(
        "instruments: {fast: {profile: gemini-cli, config: {model: b}}}
instrument: fast
instrument_config: {model: a}
movements: {2: {instrument: claude-code, instrument_config: {model: c}}}
sheet: {size: 1, total_items: 3, per_sheet_instrument_config: {3: {model: d}}}",
        expect![[r#"
            1 gemini-cli/b
            2 claude-code/c
            3 gemini-cli/d"#]],
    );
}

// Invariant I15, I67
#[test]
fn a_model_of_the_score_does_not_reach_other_programs() {
    check_instruments(
        "instrument: codex-cli
instrument_config: {model: o3}
instrument_fallbacks: [codex-cli, alias]
instruments: {alias: {profile: gemini-cli, config: {model: g}}}
movements: {2: {instrument: goose}, 3: {instrument_fallbacks: [goose]}}
sheet: {size: 1, total_items: 4, per_sheet_fallbacks: {4: []}}",
        expect![[r#"
            1 codex-cli/o3 else codex-cli, gemini-cli/g
            2 goose else codex-cli, gemini-cli/g
            3 codex-cli/o3 else goose
            4 codex-cli/o3"#]],
    );
}

#[test]
fn timeouts_have_a_precedence() {
    let seconds = |special: &str| -> Vec<Option<f64>> {
        let plan = plan_of(special).unwrap();
        plan.sheets.iter().map(|sheet| sheet.instrument.config.timeout_seconds).collect()
    };
    assert_eq!(seconds(""), [None, None, None]);
    assert_eq!(seconds("backend: {timeout_seconds: 9}"), [Some(9.0); 3]);
    assert_eq!(
        seconds(
            "backend: {timeout_seconds: 9, timeout_overrides: {1: 1}, sheet_overrides: {2: {timeout_seconds: 2}, 1: {model: m}}}
instrument_config: {timeout_seconds: 8, timeout_overrides: {2: 7}}
movements: {1: {instrument_config: {timeout_seconds: 6}}}
sheet: {size: 1, total_items: 4, per_sheet_instrument_config: {3: {timeout_seconds: 3}}}"
        ),
        [Some(1.0), Some(2.0), Some(3.0), Some(8.0)]
    );
}

#[test]
fn rules_apply_by_condition_and_sheet() {
    let rule = |rest: &str| format!("  - {{type: file_exists, path: a, {rest}}}\n");
    let special = format!(
        "sheet: {{size: 1, total_items: 6}}\nprompt: {{template: hi, variables: {{limit: 2}}}}\nvalidations:\n{}{}{}{}{}{}",
        rule("condition: sheet_num == 3 or sheet_num == 5"),
        rule("sheet: 4"),
        rule("sheet: 4, condition: stage > 4"),
        rule("condition: stage <= limit"),
        rule("condition: unknown == 1"),
        rule("condition: 'instance == 1 and fan_count == 1 and total_sheets == 6 and stage in [6]'"),
    );
    let plan = plan_of(&special).unwrap();
    let rules: Vec<&[usize]> = plan.sheets.iter().map(|sheet| sheet.rules.as_slice()).collect();
    assert_eq!(rules, [&[3, 4][..], &[3, 4], &[0, 4], &[1, 4], &[0, 4], &[4, 5]]);
    assert_eq!(plan.warnings.len(), 1);
    assert_eq!(plan.warnings[0].code, "V213");
    assert_eq!(
        plan.warnings[0].to_string(),
        "validations.4.condition: condition cannot be decided (unknown name `unknown`), so the rule applies"
    );
}

// Invariant I60
#[test]
fn variables_of_a_sheet() {
    let special = "prompt: {template: hi, variables: {stage: hidden, table: {1: a}, own: 1}, stakes: high}";
    let score = load(special).unwrap();
    let overrides = Overrides {
        workspace: Some("/else".into()),
        start_sheet: Some(SheetNo(2)),
        self_healing: false,
        variables: [("own", 2_i64)].into_iter().collect(),
    };
    let plan = expand(&score, &overrides).unwrap();
    let json = serde_json::to_string(&plan.variables(&score, SheetNo(2))).unwrap();
    expect![[r#"{"stage":2,"table":{"1":"a"},"own":2,"sheet_num":2,"total_sheets":3,"start_item":2,"end_item":2,"workspace":"/else","instrument_name":"claude-code","movement":2,"instance":1,"voice":1,"fan_count":1,"voice_count":1,"total_stages":3,"total_movements":3,"stakes":"high","thinking_method":"","job_name":"x"}"#]].assert_eq(&json);
    assert_eq!(plan.variables(&score, SheetNo(99)).len(), 3);
    let back: Overrides = serde_json::from_str(&serde_json::to_string(&overrides).unwrap()).unwrap();
    assert_eq!(back, overrides);
    let beyond = Overrides { start_sheet: Some(SheetNo(4)), ..Overrides::default() };
    assert_eq!(errors(&expand(&score, &beyond).unwrap_err()), "start sheet 4 is out of range (valid: 1-3)");
}

#[test]
fn a_dry_run_shows_every_sheet() {
    let plan = plan_of("sheet: {size: 4, total_items: 6}\ninstrument_fallbacks: [cli]").unwrap();
    expect![[r#"[{"sheet_num":1,"items":"1-4","stage":1,"instance":1,"fan_count":1,"depends_on":[],"instrument":"claude-code","fallbacks":["cli"],"validations":0},{"sheet_num":2,"items":"5-6","stage":2,"instance":1,"fan_count":1,"depends_on":[1],"instrument":"claude-code","fallbacks":["cli"],"validations":0}]"#]]
        .assert_eq(&plan.sheets_json().to_string());
}

/// Which sheets a change makes another sheet.
fn changed(before: &str, after: &str) -> Vec<u32> {
    let prints = |special: &str| -> Vec<(u32, String)> {
        plan_of(special).unwrap().sheets.into_iter().map(|sheet| (sheet.num.0, sheet.fingerprint)).collect()
    };
    let (old, new) = (prints(before), prints(after));
    new.into_iter().zip(old).filter(|(new, old)| new != old).map(|(new, _)| new.0).collect()
}

#[test]
fn fingerprints_tell_other_work_from_the_same() {
    for same in [
        "retry: {max_retries: 9}",
        "backend: {timeout_seconds: 5}",
        "cost_limits: {max_cost_per_job: 3}",
        "description: else",
        "workspace: /other",
        "parallel: {enabled: true}",
        "validations: [{type: file_exists, path: a, sheet: 9}]",
    ] {
        assert_eq!(changed("", same), [0; 0], "{same}");
    }
    for (other, sheets) in [
        ("prompt: {template: hello}", vec![1, 2, 3]),
        ("prompt: {template: hi, variables: {a: 1}}", vec![1, 2, 3]),
        ("instrument: goose", vec![1, 2, 3]),
        ("instrument_config: {model: m}", vec![1, 2, 3]),
        ("validations: [{type: file_exists, path: a, sheet: 2}]", vec![2]),
        ("sheet: {size: 1, total_items: 3, dependencies: {2: [1]}}", vec![3]),
        ("sheet: {size: 1, total_items: 3, skip_when: {2: stage == 1}}", vec![2]),
        ("sheet: {size: 1, total_items: 3, cadenzas: {2: [{file: a, as: skill}]}}", vec![2]),
    ] {
        assert_eq!(changed("", other), sheets, "{other}");
    }
    let key = |key: &str| format!("prompt: {{template: hi, variables: {{a: {{{key}: 1}}}}}}");
    assert_eq!(changed(&key("1"), &key("'1'")), [1, 2, 3]);
}

/// A stored value is compared with one of a later version of the program: this must never change.
#[test]
fn fingerprints_stay_what_they_are() {
    expect!["f18b8423aa856d4ed2a7aa1692e8effc"]
        .assert_eq(&plan_of("workspace: /w").unwrap().sheets[0].fingerprint);
}

#[test]
fn relative_paths_stand_beside_the_score() {
    let score = load("workspace: ../ws\ninstrument_config: {working_directory: sub}").unwrap();
    assert_eq!(score.workspace, Path::new("/ws"));
    assert_eq!(score.instrument_config.working_directory.as_deref(), Some(Path::new("/base/sub")));
}

// Invariant I60
#[test]
fn both_vocabularies_are_there_and_agree_whatever_the_score_sets() {
    let special = "prompt: {template: hi, variables: {movement: 9, voice: 9, total_movements: 9, sheet_num: 9}}\n\
                   sheet: {size: 1, total_items: 3, fan_out: {2: 3}}";
    let score = load(special).unwrap();
    let plan = expand(&score, &Overrides::default()).unwrap();
    assert_eq!(plan.sheets.len(), 5);
    for sheet in &plan.sheets {
        let vars = serde_json::to_value(plan.variables(&score, sheet.num)).unwrap();
        for (one, other, value) in [
            ("stage", "movement", sheet.stage),
            ("instance", "voice", sheet.instance),
            ("fan_count", "voice_count", sheet.fan_count),
            ("total_stages", "total_movements", 3),
            ("sheet_num", "sheet_num", sheet.num.0),
        ] {
            assert_eq!((&vars[one], &vars[other]), (&value.into(), &value.into()), "{one} of {}", sheet.num);
        }
    }
}

// Invariant I31
#[test]
fn a_score_without_sheets_is_no_job() {
    let sheets = |count: u32| plan_of(&format!("sheet: {{size: 1, total_items: {count}}}"));
    assert!(sheets(0).is_err());
    assert!(sheets(1).is_ok());
}
