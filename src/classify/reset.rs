//! Reads from a rate-limit message when to come back.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use regex::{Captures, Regex};

/// No wait that was read from a text is longer than a day.
pub const MAX_WAIT: Duration = Duration::from_secs(86_400);
/// A clock time that is nearer than this is waited for so long: clocks differ.
const LEAST_CLOCK: Duration = Duration::from_secs(60);
/// A moment that has passed by less than this has just passed: the limit is over, or about to be.
const JUST_PASSED: Duration = Duration::from_secs(600);
/// The least wait of any kind.
const LEAST: Duration = Duration::from_secs(1);
/// Only so much of a text is searched.
const MAX_TEXT: usize = 64 * 1024;

struct Forms {
    relative: Regex,
    part: Regex,
    http_date: Regex,
    clock: Regex,
    iso: Regex,
    epoch: Regex,
}

fn forms() -> &'static Forms {
    static FORMS: OnceLock<Forms> = OnceLock::new();
    FORMS.get_or_init(|| {
        let new = |pattern: &str| Regex::new(pattern).expect("a constant pattern that a test compiles");
        // Units may follow each other without a blank: `5h12m3s`.
        const NUMBER: &str = r"\d{1,9}(?:\.\d{1,12})?\s*(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)?";
        Forms {
            relative: new(&format!(
                r#"(?i)(?P<after>retry[- _]?after(?P<millis>[-_ ]?ms)?(?:[-_]seconds)?|retry[- _]?delay)?(?:\b(?:try(?: again)?|retry|wait|resets?|renews?|available(?: again)?|recharges?)(?: for)?(?: in| after)?(?: about)?)?["\s:=]+(?P<length>{NUMBER}(?:(?:\s*,?\s*(?:and\s+)?){NUMBER}){{0,3}})\b"#
            )),
            part: new(r"(?i)(\d{1,9}(?:\.\d{1,12})?)\s*(milliseconds?|ms|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)?"),
            http_date: new(r"(?i)retry-after[\s:=]+([a-z]{3}, \d{1,2} [a-z]{3} \d{4} \d{2}:\d{2}:\d{2} (?:gmt|utc|[+-]\d{4}))"),
            clock: new(
                r"(?ix)\b(?:resets?|(?:try|available)\s+again|retry|until)\s+(?:on\s+)?
                  (?:(?<tomorrow>tomorrow),?\s+|(?<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?\s+(?<day>\d{1,2}),?\s+)?
                  (?:at\s+)?(?:(?<midnight>midnight\b)|(?<hour>\d{1,2})(?::(?<minute>\d{2})(?::\d{2})?)?\s*(?<half>[ap]\.?m\b\.?)?)
                  (?:\s*\((?<zone>[A-Za-z_]+(?:/[A-Za-z0-9_+-]+){0,2})\)|\s*(?<offset>(?:utc|gmt|z)\b|[+-]\d{2}:?\d{2}\b))?",
            ),
            iso: new(r"(?i)\breset\w*[^\d\n]{0,20}(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(z|[+-]\d{2}:?\d{2})?"),
            epoch: new(r"(?i)(?:\breset\w*[^\d\n]{0,20}|limit reached\|)(\d{13}|\d{10})\b"),
        }
    })
}

/// The wait that a text asks for, seen at `now` (whose zone is the local one): more than zero, at most a day.
///
/// Of several relative waits the longest counts; a clock time, when there is one, counts before all of them.
#[must_use]
pub fn parse(text: &str, now: &Zoned) -> Option<Duration> {
    let text = crate::util::text::head_bytes(text, MAX_TEXT);
    clock(text, now)
        .map(|wait| wait.max(LEAST_CLOCK))
        .or_else(|| relative(text).map(|wait| wait.max(LEAST)))
        .map(|wait| wait.min(MAX_WAIT))
}

fn clock(text: &str, now: &Zoned) -> Option<Duration> {
    let forms = forms();
    let until = |then: Timestamp| {
        let seconds = then.duration_since(now.timestamp()).as_secs_f64().ceil();
        if seconds <= 0.0 && -seconds < JUST_PASSED.as_secs_f64() {
            return Some(LEAST_CLOCK);
        }
        Duration::try_from_secs_f64(seconds).ok().filter(|wait| !wait.is_zero())
    };
    let found = [
        forms
            .http_date
            .captures_iter(text)
            .find_map(|found| Some((found.get(0)?.start(), until(http_date(&found)?)?))),
        forms
            .iso
            .captures_iter(text)
            .find_map(|found| Some((found.get(0)?.start(), until(iso(&found, now)?)?))),
        forms
            .epoch
            .captures_iter(text)
            .find_map(|found| Some((found.get(0)?.start(), until(epoch(&found)?)?))),
        forms
            .clock
            .captures_iter(text)
            .find_map(|found| Some((found.get(0)?.start(), until(time_of_day(&found, now)?)?))),
    ];
    found.into_iter().flatten().min_by_key(|(start, _)| *start).map(|(_, wait)| wait)
}

fn http_date(found: &Captures<'_>) -> Option<Timestamp> {
    let text = found[1].to_uppercase().replace("UTC", "GMT");
    jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(&text).ok()
}

fn iso(found: &Captures<'_>, now: &Zoned) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = found[1].replace(' ', "T").parse().ok()?;
    match found.get(2) {
        None => civil.to_zoned(now.time_zone().clone()).ok().map(|zoned| zoned.timestamp()),
        Some(offset) => format!("{civil}{}", offset.as_str().to_uppercase()).parse().ok(),
    }
}

fn epoch(found: &Captures<'_>) -> Option<Timestamp> {
    let number: i64 = found[1].parse().ok()?;
    if found[1].len() == 13 { Timestamp::from_millisecond(number) } else { Timestamp::from_second(number) }
        .ok()
}

/// The next time the clock shows `9pm`, `9:30 pm` or `21:00`, or that time of the day that is named. One that has
/// just passed is that of today.
fn time_of_day(found: &Captures<'_>, now: &Zoned) -> Option<Timestamp> {
    let midnight = found.name("midnight").is_some();
    let hour: i8 = found.name("hour").map_or(Ok(0), |hour| hour.as_str().parse()).ok()?;
    let minute: i8 = found.name("minute").map_or(Ok(0), |minute| minute.as_str().parse()).ok()?;
    let hour = match found.name("half").map(|half| half.as_str().to_lowercase().starts_with('p')) {
        // A bare number is not a time: `resets 5 counters`.
        None => (midnight || found.name("minute").is_some()).then_some(hour)?,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
    };
    let time = Time::new(hour, minute, 0, 0).ok()?;
    let zone = zone_of(found).unwrap_or_else(|| now.time_zone().clone());
    let here = now.with_time_zone(zone.clone());
    let at = |date: jiff::civil::Date| {
        // A time that the clock skips becomes the next one that exists.
        date.to_datetime(time).to_zoned(zone.clone()).ok()
    };
    if let Some(month) = found.name("month") {
        let day: i8 = found["day"].parse().ok()?;
        let date = jiff::civil::Date::new(here.year(), month_number(month.as_str())?, day).ok()?;
        let then = at(date)?;
        if still_counts(&then, now) {
            return Some(then.timestamp());
        }
        // In December a day of January is one of the next year; a day of last week is over.
        let next = at(date.checked_add(1.year()).ok()?)?;
        let days = next.timestamp().duration_since(now.timestamp()).as_hours() / 24;
        return (days < 180).then(|| next.timestamp());
    }
    let today = at(here.date())?;
    if found.name("tomorrow").is_none() && still_counts(&today, now) {
        return Some(today.timestamp());
    }
    at(here.date().checked_add(1.day()).ok()?).map(|zoned| zoned.timestamp())
}

/// A moment to come, or one that has just passed.
fn still_counts(then: &Zoned, now: &Zoned) -> bool {
    now.timestamp().duration_since(then.timestamp()).as_secs_f64() < JUST_PASSED.as_secs_f64()
}

/// A zone by name, in brackets, or an offset; `None` = the local one. A name that is not known is the local one too.
fn zone_of(found: &Captures<'_>) -> Option<TimeZone> {
    if let Some(name) = found.name("zone") {
        return TimeZone::get(name.as_str()).ok();
    }
    let offset = found.name("offset")?.as_str();
    let Some(digits) = offset.strip_prefix(['+', '-']) else { return Some(TimeZone::UTC) };
    let digits = digits.replace(':', "");
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    let seconds = hours * 3600 + minutes * 60;
    let seconds = if offset.starts_with('-') { -seconds } else { seconds };
    jiff::tz::Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

fn month_number(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = name.to_lowercase();
    (1..).zip(MONTHS).find(|(_, month)| *month == name).map(|(number, _)| number)
}

fn relative(text: &str) -> Option<Duration> {
    let forms = forms();
    let longest = forms.relative.captures_iter(text).filter_map(|found| {
        let by_default = match (found.name("after"), found.name("millis")) {
            (_, Some(_)) => Some(0.001),
            (Some(_), None) => Some(1.0),
            (None, None) => None,
        };
        let whole = found.get(0)?.as_str();
        // The words before the length are optional in the pattern, but one of them must be there.
        let spoken = whole.starts_with(|c: char| c.is_ascii_alphabetic());
        spoken.then(|| length(&found["length"], by_default)).flatten()
    });
    longest
        .max_by(f64::total_cmp)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.ceil().min(MAX_WAIT.as_secs_f64())).ok())
}

/// `90`, `2m`, `1h 30m`, `2 minutes and 5 seconds` in seconds. A number without a unit only counts where the words
/// before it say which one (`Retry-After`): so many seconds is it then.
fn length(text: &str, by_default: Option<f64>) -> Option<f64> {
    let mut total = 0.0;
    for part in forms().part.captures_iter(text) {
        let number: f64 = part[1].parse().ok()?;
        let unit = match part.get(2).map(|unit| unit.as_str().to_lowercase()) {
            None => match by_default {
                Some(unit) => unit,
                None => continue,
            },
            Some(unit) if unit.starts_with("ms") || unit.starts_with("mil") => 0.001,
            Some(unit) => match unit.as_bytes().first() {
                Some(b's') => 1.0,
                Some(b'm') => 60.0,
                Some(b'h') => 3600.0,
                _ => 86_400.0,
            },
        };
        total += number * unit;
    }
    (total > 0.0 && total.is_finite()).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stderr)]

    use proptest::prelude::*;

    use super::*;

    fn now() -> Zoned {
        "2025-11-21T20:00:00Z".parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC)
    }

    fn check(text: &str, seconds: Option<u64>) {
        assert_eq!(parse(text, &now()), seconds.map(Duration::from_secs), "{text}");
    }

    #[test]
    fn relative_waits() {
        check("Retry-After: 120", Some(120));
        check("retry after 5 minutes", Some(300));
        check("retry-after: 2h", Some(7200));
        check("Please try again in 20s", Some(20));
        check("try again in 1h 30m", Some(5400));
        check("wait 2 minutes and 5 seconds", Some(125));
        check("please wait for 1.5 hours", Some(5400));
        check("resets in 3 hours", Some(10_800));
        check("limit resets in 45 minutes; retry after 10 s", Some(2700));
        check("try again in 3 days", Some(86_400));
        check("Your quota will reset after 5h12m3s.", Some(18_723));
        check("Please try again in 1m12.5s. Visit https://limits.example", Some(73));
        check("Please retry in 34.074824224s.", Some(35));
        check("retry after 1500 ms", Some(2));
        check(r#"{"code": 429, "retry_after": 30}"#, Some(30));
        check(r#"{"code": 429, "retry_after_ms": 17000}"#, Some(17));
        check(r#""retryDelay": "30s""#, Some(30));
        check("try again in 3 days 12 hours 5 minutes.", Some(86_400));
        for nothing in ["try again later", "wait 0 seconds", "retry 3", "after 5 minutes of work", "", "429"]
        {
            check(nothing, None);
        }
    }

    #[test]
    fn clock_times() {
        check("resets 9pm", Some(3600));
        check("resets at 9:30 pm", Some(5400));
        check("Your limit resets at 21:00", Some(3600));
        check("Try again at 11:31 PM.", Some(3 * 3600 + 31 * 60));
        check("rate limited until 20:15 UTC", Some(900));
        check("resets at midnight", Some(4 * 3600));
        check("resets tomorrow at 9am", Some(13 * 3600));
        check("resets tomorrow at 9pm", Some(86_400));
        // Just passed: over, or about to be. Longer ago: tomorrow's.
        check("resets 8pm", Some(60));
        check("resets at 19:51", Some(60));
        check("resets at 19:50", Some(86_400 - 600));
        check("Your limit will reset at 8:30:00pm", Some(1800));
        check("resets at 20:00", Some(60));
        check("resets at 8:01pm", Some(60));
        check("resets at 21:00 UTC", Some(3600));
        check("resets at 23:00 +0200", Some(3600));
        check("resets at 16:00 -05:00", Some(3600));
        check("resets at 12am", Some(4 * 3600));
        check("resets at 12pm", Some(16 * 3600));
        for nothing in ["resets at 25:70", "resets 13pm", "resets 5 counters", "resets 0am"] {
            check(nothing, None);
        }
    }

    #[test]
    fn moments() {
        check("Retry-After: Fri, 21 Nov 2025 20:10:00 GMT", Some(600));
        check("resets at 2025-11-21T20:01:00Z", Some(60));
        check("reset: 2025-11-21T22:01:00+02:00", Some(60));
        check("quota reset time 2025-11-21 20:01:00", Some(60));
        check("x-ratelimit-reset: 1763755260", Some(60));
        check("reset_at 1763755260000", Some(60));
        check("reset_at 1863755260", Some(86_400));
        check("usage limit reached|1763755260", Some(60));
        check("resets at 2025-11-21T19:00:00Z", None);
        check("resets at 2025-11-21T19:58:00Z", Some(60));
        // Nearer than a minute: clocks differ.
        check("resets at 2025-11-21T20:00:10Z", Some(60));
        check("retry after 0.2 seconds", Some(1));
        check("weekly limit reached, resets Nov 21 at 9:30pm", Some(5400));
        check("resets November 22, 3:00 am (UTC)", Some(7 * 3600));
        check("resets Dec 24 at 9pm", Some(86_400));
        check("resets Nov 20 at 9pm", None);
        check("resets Feb 31 at 9pm", None);
    }

    #[test]
    fn clock_times_of_a_named_zone() {
        let Ok(_) = TimeZone::get("America/New_York") else {
            eprintln!("no zone database on this machine: nothing compared");
            return;
        };
        check("resets 4pm (America/New_York); retry after 5 s", Some(3600));
        check("resets 3pm (America/New_York)", Some(60));
        check("resets 2pm (America/New_York)", Some(23 * 3600));
        check("resets 9pm (Not/There)", Some(3600));
    }

    #[test]
    fn a_time_that_the_clock_skips_is_the_next_one() {
        let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        let before = jiff::civil::date(2025, 3, 9).at(1, 30, 0, 0).to_zoned(zone).unwrap();
        assert_eq!(parse("resets at 2:30 am", &before), Some(Duration::from_secs(3600)));
    }

    proptest! {
        // Invariant I45
        #[test]
        fn parsing_is_total(text in r"((?i)retry.after|resets? (at|in)|wait|[0-9]{1,12}|:|am|pm| |h|m|days|\(|/|[A-Z][a-z]+|-|\|){0,20}") {
            if let Some(wait) = parse(&text, &now()) {
                prop_assert!(!wait.is_zero() && wait <= MAX_WAIT);
            }
        }
    }
}
