//! Texts for the benchmarks.

/// A score of about a thousand lines: sixty-two stages, a label and two rules for each, a long template.
pub fn long() -> String {
    let mut text =
        "name: long\ninstrument: cli\nsheet:\n  size: 1\n  total_items: 62\n  fan_out:\n".to_owned();
    for stage in (2..62).step_by(4) {
        text.push_str(&format!("    {stage}: 4\n"));
    }
    text.push_str("  dependencies:\n");
    for stage in 2..=62 {
        text.push_str(&format!("    {stage}: [{}]\n", stage - 1));
    }
    text.push_str("  descriptions:\n");
    for sheet in 1..=62 {
        text.push_str(&format!("    {sheet}: Chapter {sheet}\n"));
    }
    text.push_str("validations:\n");
    for stage in 1..=62 {
        text.push_str(&format!(
            "  - type: content_regex\n    path: \"{{workspace}}/chapter-{stage}-{{instance}}.md\"\n    \
             pattern: '(?i)^## part {stage}\\b'\n    condition: stage == {stage} and instance <= fan_count\n    \
             description: Chapter {stage} has its parts\n  - type: file_exists\n    \
             path: chapter-{stage}-{{instance}}.md\n    condition: stage == {stage}\n"
        ));
    }
    text.push_str("prompt:\n  variables:\n");
    for stage in 1..=62 {
        text.push_str(&format!("    topic_{stage}: what chapter {stage} is about\n"));
    }
    text.push_str("  template: |\n");
    for stage in 1..=62 {
        text.push_str(&format!(
            "    {{% if stage == {stage} %}}\n    Write about {{{{ topic_{stage} }}}}.\n    \
             Part {{{{ instance }}}} of {{{{ fan_count }}}}.\n    {{% endif %}}\n"
        ));
    }
    text
}
