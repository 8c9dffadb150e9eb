//! `mozart ping`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::{Done, Stop};
use crate::cli::format::parse_duration;
use crate::cli::job::Doc;
use crate::cli::rpc::{CallError, Rpc};

/// Options of `ping`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Round trips to measure
    #[arg(short, long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// Time between them
    #[arg(short, long, default_value = "0", value_parser = parse_duration, value_name = "DURATION")]
    interval: Duration,
}

/// Runs the command.
pub(crate) fn run(cx: &Context, options: &Options) -> Done {
    let mut rpc = Rpc::connect(cx)?;
    let health = rpc.call("daemon.health", json!({}))?;
    // A conductor that does not know ping yet is measured by the other method it answers inline.
    let method = match rpc.try_call("daemon.ping", json!({})) {
        Ok(_) => "daemon.ping",
        Err(CallError::Rpc { code: -32601, .. }) => "daemon.health",
        Err(error) => return Err(rpc.failed(error)),
    };
    let mut times = Vec::new();
    for round in 0..options.count {
        if round > 0 && !options.interval.is_zero() {
            std::thread::sleep(options.interval);
        }
        let millis = once(&mut rpc, method)?;
        times.push(millis);
        if !cx.out.json && !cx.out.quiet {
            cx.out.line(&format!("Pong! Round-trip: {millis:.2}ms"))?;
        }
    }
    let figures = Figures::of(&mut times);
    if cx.out.json {
        cx.out.document(&json!({
            "ok": true, "round_trip_ms": rounded(figures.last), "count": options.count,
            "min_ms": rounded(figures.min), "avg_ms": rounded(figures.avg), "p50_ms": rounded(figures.p50),
            "p99_ms": rounded(figures.p99), "max_ms": rounded(figures.max), "pid": Doc(&health).get("pid"),
        }))?;
        return Ok(0);
    }
    if options.count > 1 {
        let Figures { min, avg, p50, p99, max, .. } = figures;
        cx.out.say(&format!("min/avg/p50/p99/max = {min:.2}/{avg:.2}/{p50:.2}/{p99:.2}/{max:.2} ms"))?;
    }
    if cx.out.verbose {
        cx.out.say(verdict(figures.p50))?;
    }
    Ok(0)
}

fn once(rpc: &mut Rpc, method: &str) -> Result<f64, Stop> {
    let begin = Instant::now();
    rpc.call(method, json!({}))?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

fn verdict(millis: f64) -> &'static str {
    if millis < 1.0 {
        "Excellent: below 1ms"
    } else if millis <= 5.0 {
        "Acceptable: 1-5ms"
    } else {
        "Investigate: above 5ms"
    }
}

fn rounded(millis: f64) -> f64 {
    (millis * 1000.0).round() / 1000.0
}

#[derive(Debug, PartialEq)]
struct Figures {
    last: f64,
    min: f64,
    avg: f64,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Figures {
    /// Sorts the times. There is at least one.
    fn of(times: &mut [f64]) -> Self {
        let last = times.last().copied().unwrap_or(0.0);
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            times.get((times.len() * percent / 100).min(times.len() - 1)).copied().unwrap_or(0.0)
        };
        #[expect(clippy::cast_precision_loss, reason = "a count below 2^53")]
        let avg = times.iter().sum::<f64>() / times.len() as f64;
        Self { last, min: at(0), avg, p50: at(50), p99: at(99), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_few_and_many() {
        assert_eq!(
            Figures::of(&mut [2.0]),
            Figures { last: 2.0, min: 2.0, avg: 2.0, p50: 2.0, p99: 2.0, max: 2.0 }
        );
        let mut times: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let figures = Figures::of(&mut times);
        assert_eq!((figures.min, figures.p50, figures.p99, figures.max), (1.0, 51.0, 100.0, 100.0));
        assert_eq!(figures.last, 1.0);
    }
}
