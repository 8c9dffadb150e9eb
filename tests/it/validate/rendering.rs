//! `mozart render`: exactly what the instrument would get.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Desk, GOOD};

#[test]
fn a_prompt_is_shown_as_the_instrument_gets_it() {
    let desk = Desk::new();
    desk.write("skill.md", "knows things");
    desk.write(
        "a.yaml",
        "name: a\ninstrument: claude-code\nsheet:\n  size: 1\n  total_items: 2\n  prelude: [{file: skill.md, as: skill}]\n\
         prompt:\n  variables: {who: world}\n  template: |\n    Hello {{ who }} from {{ sheet_num }}\n\
         validations:\n  - {type: file_exists, path: \"{workspace}/{sheet_num}.md\", condition: \"sheet_num == 2\"}\n",
    );
    let done = desk.mozart(&["render", "a.yaml", "--sheet", "2", "--set", "who=you"]).expect(0);
    for part in [
        "<mozart-preamble>",
        "## Injected Skills",
        "knows things",
        "Hello you from 2\n",
        "## Success Requirements",
        "/workspace/2.md",
    ] {
        assert!(done.out.contains(part), "{part} in {}", done.out);
    }
    assert!(done.err.contains("< PROMPT"), "{}", done.err);
    let document =
        desk.mozart(&["render", "a.yaml", "--sheet", "2", "--set", "who=you", "--json"]).expect(0).json();
    let sheet = &document["sheets"][0];
    assert_eq!(sheet["prompt"].as_str(), Some(done.out.as_str()));
    assert!(sheet["estimated_tokens"].as_u64().unwrap() > 50);
    assert!(sheet["command"][0].as_str().unwrap().ends_with("claude"));
    assert!(sheet["validations"][0]["path"].as_str().unwrap().ends_with("/workspace/2.md"));
    let all = desk.mozart(&["render", "a.yaml", "--json"]).expect(0).json();
    assert_eq!(all["sheets"].as_array().map(Vec::len), Some(2));
    assert_eq!(all["sheets"][0]["validations"], Value::Array(Vec::new()));
}

#[test]
fn a_raw_instrument_gets_the_body_alone() {
    let desk = Desk::new();
    desk.write("a.yaml", GOOD);
    let done = desk.mozart(&["render", "a.yaml", "--sheet", "1"]).expect(0);
    assert_eq!(done.out, "echo");
    assert!(done.err.contains("-c PROMPT"), "{}", done.err);
    let done = desk.mozart(&["render", "a.yaml", "--sheet", "1", "--body"]).expect(0);
    assert_eq!((done.out.as_str(), done.err.as_str()), ("echo", ""));
    let done = desk.mozart(&["render", "a.yaml", "--sheet", "9"]).expect(2);
    assert!(done.err.contains("no sheet 9 (valid: 1-2)"), "{}", done.err);
}

#[test]
fn a_prompt_that_does_not_render_says_why() {
    let desk = Desk::new();
    desk.write("a.yaml", &GOOD.replace("echo", "\"{{ previous_outputs[1] }}\""));
    let done = desk.mozart(&["render", "a.yaml", "--sheet", "2"]).expect(1);
    assert!(
        done.err.contains("Sheet 2: the prompt template does not render") && done.err.contains('1'),
        "{}",
        done.err
    );
}

fn recorded(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            recorded(&path, found);
        } else if path.to_string_lossy().ends_with(".render.txt") {
            found.push(path);
        }
    }
}

/// The bodies of all sheets of real scores have the recorded sums.
#[test]
fn bodies_of_real_scores_have_the_recorded_sums() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/scores");
    if !folder.is_dir() {
        eprintln!("no example scores beside the project: nothing compared");
        return;
    }
    let desk = Desk::new();
    let mut files = Vec::new();
    recorded(&folder, &mut files);
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in &files {
        let score = file.to_string_lossy().replace(".render.txt", ".yaml");
        for line in fs::read_to_string(file).unwrap().lines() {
            let (sheet, sum) = line.split_once(' ').unwrap();
            // Where the reference fails there is nothing to compare.
            if sum.starts_with("error") {
                continue;
            }
            compared += 1;
            let args = ["render", &score, "--sheet", sheet, "--body", "--workspace", "/w"];
            let done = desk.mozart(&args);
            if done.exit != 0 || sha256(done.out.as_bytes()) != sum {
                wrong.push(format!("{score} sheet {sheet}: {}", done.err));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{compared} bodies of {} scores compared", files.len());
}

/// The system's own program: the test needs no second implementation.
fn sha256(bytes: &[u8]) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap_or_default().to_owned()
}
