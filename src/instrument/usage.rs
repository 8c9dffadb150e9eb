//! Tokens and cost that a program reports in its structured output.

use serde_json::Value;

use super::path::DotPath;
use super::profile::Output;
use crate::cost::{self, Reported};

/// What one JSON document says.
pub(super) fn of_document(output: &Output, root: &Value) -> Reported {
    let tokens = |path: &Option<DotPath>| {
        let counts: Vec<u64> = path.as_ref()?.all(root).into_iter().filter_map(count).collect();
        here(&counts, output.aggregate_tokens)
    };
    Reported {
        input: tokens(&output.input_tokens_path),
        output: tokens(&output.output_tokens_path),
        total: tokens(&output.total_tokens_path),
        cost_micro: dollars(output, root),
    }
}

/// Adds what one event of a stream says: the last value of each path counts, or with `aggregate_tokens` the sum.
pub(super) fn add(used: &mut Reported, output: &Output, event: &Value) {
    let sums = output.aggregate_tokens;
    let said = of_document(output, event);
    for (sum, news) in [
        (&mut used.input, said.input),
        (&mut used.output, said.output),
        (&mut used.total, said.total),
        (&mut used.cost_micro, said.cost_micro),
    ] {
        if let Some(news) = news {
            *sum = Some(if sums { sum.unwrap_or(0).saturating_add(news) } else { news });
        }
    }
}

fn here(counts: &[u64], sum: bool) -> Option<u64> {
    if !sum {
        return counts.first().copied();
    }
    (!counts.is_empty()).then(|| counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count)))
}

/// A number of tokens; negative, endless or absurd ones are ignored.
fn count(value: &Value) -> Option<u64> {
    let number = value.as_f64().filter(|number| (0.0..=1e12).contains(number))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10^12")]
    let whole = number as u64;
    Some(whole)
}

fn dollars(output: &Output, root: &Value) -> Option<u64> {
    cost::micro(output.cost_path.as_ref()?.first(root)?.as_f64()?)
}
