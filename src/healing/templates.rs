//! Remedies about templates: what was probably meant.

use super::{Context, Finding, Options};
use crate::classify::ErrorCode;
use crate::score::decode::distance;

/// `suggest_jinja_fix`, after a prompt that did not render.
pub(super) fn suggest(context: &Context<'_>, _: &Options<'_>) -> Option<Finding> {
    if !matches!(context.code, ErrorCode::E304 | ErrorCode::E301) {
        return None;
    }
    let names: Vec<&str> = context.known_names.iter().map(String::as_str).collect();
    let (message, confidence) = advice(context.message, &names)?;
    Some(Finding { applied: false, message, confidence })
}

/// What a message about a template means, and how sure that is.
pub(super) fn advice(message: &str, known: &[&str]) -> Option<(String, f64)> {
    let lower = message.to_lowercase();
    if lower.contains("undefined") || lower.contains("is not defined") || lower.contains("unknown variable") {
        let name = quoted(message);
        return Some(match name.and_then(|name| Some((name, nearest(name, known)?))) {
            Some((name, near)) => {
                (format!("`{name}` is not defined: write `{near}`"), 0.85)
            }
            None => (
                "a name of the template is not defined: add it to prompt.variables, or test it with `is defined`"
                    .to_owned(),
                0.70,
            ),
        });
    }
    let unclosed = ["end of input", "unexpected end", "endif", "endfor", "endmacro", "unclosed"];
    if unclosed.iter().any(|word| lower.contains(word)) {
        let message = "a block is not closed: every `{% if %}`, `{% for %}` and `{% macro %}` needs its \
                       `{% end... %}`, every `{{` its `}}`";
        return Some((message.to_owned(), 0.75));
    }
    if lower.contains("syntax error") || lower.contains("does not parse") || lower.contains("unexpected") {
        let message = "the template has a syntax error at the line named: look for `{{`, `{%` and quotes that \
                       are not closed";
        return Some((message.to_owned(), 0.80));
    }
    None
}

/// The known name that is meant, when few letters differ.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|other| (distance(name, other), *other))
        .filter(|(distance, _)| (1..=limit).contains(distance))
        .min()
        .map(|(_, near)| near)
}

/// The first name between quotes.
fn quoted(message: &str) -> Option<&str> {
    let inner = message.split(['`', '\'', '"']).nth(1)?;
    let is_name = !inner.is_empty() && inner.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then_some(inner)
}
