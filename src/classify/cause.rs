//! Everything that is known to be wrong with an attempt, and which of it is the root.

use regex::Regex;

use super::statement::Statement;
use super::{ErrorCode, Finding, Method, Seen, exit, structured, words};

/// Everything that is known to be wrong, in the order it was found. Never empty.
pub(super) fn findings(seen: &Seen<'_>, text: &Statement) -> Vec<Finding> {
    if let Some(code) = seen.reported {
        let said = text.line(seen);
        return vec![Finding::new(code, Method::Structured, said.clone()).proved("result", "code", &said)];
    }
    let mut found = structured::errors(seen.stdout_tail, seen.stderr_tail, seen.structured);
    if let Some(number) = seen.signal {
        found.push(exit::signal(number, seen));
        return found;
    }
    let said = text.line(seen);
    found.extend(by_profile(seen, text, &said));
    if found.is_empty() {
        found.extend(by_phrase(text, &said));
    }
    if found.is_empty() {
        found.push(by_end(seen, &said));
    }
    if seen.exit_code.is_some()
        && !found.iter().any(|finding| finding.code.is_rate_limit() && finding.method == Method::Structured)
        && let Some(limit) = rate_limit(seen, text)
    {
        found.retain(|finding| !finding.code.is_rate_limit());
        found.push(limit);
    }
    found
}

/// The exit code, or a result that is marked as an error although the exit code is none.
fn by_end(seen: &Seen<'_>, said: &str) -> Finding {
    let succeeded = seen.exit_code.is_some_and(|code| seen.patterns.success_exit_codes.contains(&code));
    if !(succeeded && seen.marked) {
        return exit::code(seen.exit_code, seen, said);
    }
    let message = if said.is_empty() {
        "its result is marked as an error".to_owned()
    } else {
        format!("its result is marked as an error: {said}")
    };
    Finding::new(ErrorCode::E009, Method::Structured, message).proved("result", "error_marker", said)
}

/// The first kind of failure that the profile's own patterns recognise. Of plain output only when it is so short
/// that the program cannot have done any work: an agent that writes about logins has not been refused.
fn by_profile(seen: &Seen<'_>, text: &Statement, said: &str) -> Option<Finding> {
    let patterns = seen.patterns;
    let lists: [(&'static str, &[Regex], ErrorCode); 5] = [
        ("auth_error_patterns", &patterns.auth, ErrorCode::E502),
        ("crash_patterns", &patterns.crash, ErrorCode::E003),
        ("stale_patterns", &patterns.stale, ErrorCode::E006),
        ("timeout_patterns", &patterns.timeout, ErrorCode::E001),
        ("capacity_patterns", &patterns.capacity, ErrorCode::E103),
    ];
    lists.into_iter().find_map(|(rule, list, code)| {
        let (stream, line) =
            text.said_by(list).or_else(|| text.curt.then(|| text.shown_by(list)).flatten())?;
        let message = if code == ErrorCode::E502 { line.clone() } else { said.to_owned() };
        Some(Finding::new(code, Method::RegexFallback, message).proved(stream, rule, &line))
    })
}

/// Phrases that are known without any profile, in what the program says of its failure.
fn by_phrase(text: &Statement, said: &str) -> Option<Finding> {
    let cause = words::CAUSES.iter().find_map(|cause| {
        // A line that speaks of a limit may name the account that is limited.
        let holds = |line: &str| (cause.matches)(line) && !(cause.weak && words::speaks_of_limit(line));
        // A false refusal ends a sheet for good, so quotations do not count.
        let refused = cause.code == ErrorCode::E502;
        let said = if refused { text.meant_where(holds) } else { text.said_where(holds) };
        // Who prints nothing but that it is not logged in has been refused, wherever it prints it.
        let plain = text.curt && cause.plain;
        let shown = |line: &str| !words::quoted(line) && holds(line);
        let found = said.or_else(|| plain.then(|| text.shown_where(shown)).flatten());
        found.map(|found| (cause, found))
    });
    let (cause, (stream, line)) = cause?;
    let message = if cause.code == ErrorCode::E502 { line.clone() } else { said.to_owned() };
    let mut finding =
        Finding::new(cause.code, Method::RegexFallback, message).proved(stream, cause.rule, &line);
    if let Some(delay) = cause.delay {
        (finding.retriable, finding.delay_seconds) = (true, delay);
    }
    Some(finding)
}

/// Whether the failure is a rate limit: searched in what the program said, and in the last lines of its plain output.
/// There our own phrases count only when these lines are all that it printed.
fn rate_limit(seen: &Seen<'_>, text: &Statement) -> Option<Finding> {
    let certain = |finding: Finding| Finding { certain: true, ..finding };
    if let Some(event) = seen.rate_limit_event {
        let finding = Finding::new(words::limit_kind(event), Method::Structured, limit_line(seen, text));
        return Some(certain(finding.proved("stdout", "rate_limit_event_type", event)));
    }
    if seen.exit_code.is_some_and(|code| seen.patterns.rate_limit_exit_codes.contains(&code)) {
        let kind = words::limit_kind(&format!("{}\n{}", text.said, text.shown));
        let line = limit_line(seen, text);
        let finding = Finding::new(kind, Method::ExitCode, line.clone());
        return Some(certain(finding.proved("exit code", "rate_limit_exit_codes", &line)));
    }
    let by_pattern = |rule, patterns: &[Regex]| {
        let speaks = |line: &str| patterns.iter().any(|pattern| pattern.is_match(line));
        let (stream, line) = text.meant_by(patterns).or_else(|| text.shown_limit(speaks))?;
        Some((stream, rule, line))
    };
    let (stream, rule, line) = by_pattern("rate_limit_patterns", &seen.patterns.rate_limit)
        .or_else(|| by_pattern("rate_limit.detection_patterns", seen.score_patterns))
        .or_else(|| {
            let asserted =
                |line: &str| words::quota(line) || (words::rate_limit(line) && words::asserts(line));
            let shown = || text.curt.then(|| text.shown_limit(asserted)).flatten();
            let (stream, line) = text.meant_where(words::speaks_of_limit).or_else(shown)?;
            Some((stream, "rate limit phrase", line))
        })?;
    let kind = words::limit_kind(&format!("{}\n{}", text.said, text.shown));
    Some(Finding::new(kind, Method::RegexFallback, line.clone()).proved(stream, rule, &line))
}

/// The line that speaks of the limit.
fn limit_line(seen: &Seen<'_>, text: &Statement) -> String {
    let patterns = || seen.patterns.rate_limit.iter().chain(seen.score_patterns);
    let speaks =
        |line: &&str| patterns().any(|pattern| pattern.is_match(line)) || words::speaks_of_limit(line);
    text.said
        .lines()
        .chain(text.shown.lines())
        .find(speaks)
        .map_or_else(|| text.line(seen), |line| line.trim().to_owned())
}

/// The most basic of several errors, the others in the order they were found, and how sure that choice is.
pub(super) fn root(mut found: Vec<Finding>) -> (Finding, Vec<Finding>, f64) {
    let codes: Vec<ErrorCode> = found.iter().map(|finding| finding.code).collect();
    let rank = |finding: &Finding| if finding.certain { i32::MIN } else { priority(finding.code, &codes) };
    // `min_by_key` takes the first of equals.
    let Some((at, lowest)) = found.iter().map(rank).enumerate().min_by_key(|(_, priority)| *priority) else {
        let nothing = "nothing is known of its end".to_owned();
        return (Finding::new(ErrorCode::E999, Method::Record, nothing), Vec::new(), 0.0);
    };
    let next = found.iter().map(rank).enumerate().filter(|(other, _)| *other != at).map(|(_, p)| p).min();
    let code = codes[at];
    let confidence = match next {
        _ if found[at].certain => 1.0,
        None => 1.0,
        Some(next) if next == lowest => 0.4,
        Some(next) => {
            let telling = matches!(code, ErrorCode::E505 | ErrorCode::E502 | ErrorCode::E303);
            let gap = f64::from(next - lowest);
            let bonus = if telling { 0.15 } else { 0.0 };
            ((0.5 + 0.05 * gap).min(1.0) + bonus).min(1.0)
        }
    };
    let root = found.remove(at);
    (root, found, confidence)
}

fn priority(code: ErrorCode, all: &[ErrorCode]) -> i32 {
    use ErrorCode::{E001, E101, E102, E203, E303, E305, E306, E502, E504, E505, E901, E902, E903};
    let has = |codes: &[ErrorCode]| codes.iter().any(|other| all.contains(other));
    let execution = || all.iter().any(|other| *other != code && *other <= ErrorCode::E009);
    let adjustment = match code {
        E505 if all.iter().any(|other| *other != E505) => -10,
        E303 => -5,
        E502 if has(&[E101, E102]) => -5,
        E901 | E902 | E903 if has(&[E504, E101]) => -3,
        E305 if has(&[E203]) => -3,
        E306 if execution() => -3,
        E001 if has(&[E101]) => 5,
        _ => 0,
    };
    i32::from(code.meaning().priority) + adjustment
}
