//! `mozart rate-limits` and `mozart clear-rate-limits`.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::Done;
use crate::cli::format;
use crate::cli::job::Doc;
use crate::cli::rpc::Rpc;
use crate::cli::style::Style;

/// Options of `rate-limits`.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Options of `clear-rate-limits`.
#[derive(Debug, Args)]
pub(crate) struct Clearing {
    /// Only limits of this instrument
    #[arg(short, long, value_name = "NAME")]
    instrument: Option<String>,
}

/// Runs `rate-limits`.
pub(crate) fn run(cx: &Context, _: &Options) -> Done {
    let answer = Rpc::connect(cx)?.call("daemon.rate_limits", json!({}))?;
    if cx.out.json {
        cx.out.document(&answer)?;
        return Ok(0);
    }
    let lines = lines(&answer, cx.out.style);
    if lines.is_empty() {
        cx.out.say("No active rate limits")?;
    }
    for line in lines {
        cx.out.line(&line)?;
    }
    Ok(0)
}

/// Active limits, one line each.
pub(crate) fn lines(answer: &Value, style: Style) -> Vec<String> {
    let backends = answer["backends"].as_object().into_iter().flatten();
    backends
        .map(|(name, limit)| line(name, Doc(limit).number("seconds_remaining").unwrap_or(0.0), style))
        .collect()
}

/// `Rate limit on claude-code — clears in 2m 30s`.
pub(crate) fn line(name: &str, left: f64, style: Style) -> String {
    let left = format::wait(left);
    format!("Rate limit on {name} {} clears in {left}", style.dash())
}

/// Runs `clear-rate-limits`.
pub(crate) fn clear(cx: &Context, options: &Clearing) -> Done {
    let answer =
        Rpc::connect(cx)?.call("daemon.clear_rate_limits", json!({ "instrument": options.instrument }))?;
    if cx.out.json {
        cx.out.document(&answer)?;
        return Ok(0);
    }
    let on = options.instrument.as_deref().unwrap_or("all instruments");
    cx.out.say(&match Doc(&answer).count("cleared") {
        0 => format!("No active rate limits on {on}"),
        count => format!("Cleared {count} rate limit(s) on {on}"),
    })?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_say_when_they_clear() {
        let answer = json!({"backends": {"claude-code": {"seconds_remaining": 150.0}}});
        assert_eq!(lines(&answer, Style::PLAIN), ["Rate limit on claude-code — clears in 2m 30s"]);
        assert!(lines(&json!({"backends": {}}), Style::PLAIN).is_empty());
    }
}
