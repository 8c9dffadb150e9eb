//! Sends one message. Blocks for at most the timeout of its channel and a little more.

use std::path::Path;
use std::time::Duration;

use super::{Delivery, Note, Outcome, body};
use crate::executor::{self, BoundEnd, BoundSpec};
use crate::http::{self, Request};
use crate::instrument::environment::{self, Environment};
use crate::instrument::find_program;
use crate::score::{Address, Channel, Notice};
use crate::util::redact;
use crate::util::text::{cut, first_line};
use crate::validate;

/// Between TERM and KILL of what delivers.
const GRACE: Duration = Duration::from_millis(500);
/// Bytes of the output of a program that are looked at.
const OUTPUT: usize = 4096;
/// Bytes of an answer that are read.
const ANSWER: usize = 4096;
/// A program that shows a bubble needs no longer than this.
const SHOW: Duration = Duration::from_secs(10);

/// Sends a message; nothing of it is left running.
#[must_use]
pub fn deliver(delivery: &Delivery) -> Outcome {
    let ours = environment::ours();
    match &*delivery.channel {
        Channel::Desktop { app_name, timeout } => desktop(delivery, &ours, app_name, *timeout),
        Channel::Command { command, timeout } => shell(delivery, &ours, command, *timeout),
        Channel::Slack { url, channel, username, icon_emoji, timeout } => {
            let body =
                body::slack(&delivery.note, channel.as_deref(), username.as_deref(), icon_emoji.as_deref());
            post(delivery, &ours, url, body.to_string(), *timeout, |_| Ok(()), |status| status == 200)
        }
        Channel::Webhook { url, headers, timeout, include_metadata, secret_env, .. } => {
            let body = body::webhook(&delivery.note, *include_metadata).to_string();
            let complete = |request: &mut Request| {
                for (name, value) in headers {
                    let mut missing = Vec::new();
                    let value = environment::expand(value, &ours, &mut missing);
                    if let Some(problem) = missing.first() {
                        return Err(format!("header {name}: {problem}"));
                    }
                    request.headers.push((name.clone(), value));
                }
                if let Some(variable) = secret_env {
                    let secret = ours.get(variable).filter(|secret| !secret.is_empty());
                    let problem = || format!("the variable {variable} (secret_env) is not set");
                    request.secret = Some(secret.ok_or_else(problem)?.clone());
                }
                Ok(())
            };
            post(delivery, &ours, url, body, *timeout, complete, |status| (200..300).contains(&status))
        }
    }
}

fn failed(message: impl Into<String>, again: bool) -> Outcome {
    Outcome::Failed { message: message.into(), again }
}

fn post(
    delivery: &Delivery,
    ours: &Environment,
    url: &Address,
    body: String,
    timeout: f64,
    complete: impl FnOnce(&mut Request) -> Result<(), String>,
    good: impl FnOnce(u16) -> bool,
) -> Outcome {
    let url = match url {
        Address::Plain(url) => url.clone(),
        Address::Variable(name) => match ours.get(name).filter(|url| !url.is_empty()) {
            Some(url) => url.clone(),
            None => {
                return failed(format!("the variable {name}, which holds the address, is not set"), false);
            }
        },
    };
    if let Err(error) = http::check(&url) {
        return failed(error.message, false);
    }
    let mut request = Request::post(url, body, Duration::from_secs_f64(timeout), ANSWER);
    if let Err(problem) = complete(&mut request) {
        return failed(problem, false);
    }
    let env = environment::for_command(ours).into_iter().collect();
    match http::ask(&delivery.program, &request, env, &delivery.control) {
        Ok(reply) if good(reply.status) => Outcome::Delivered,
        Ok(reply) => {
            let message = format!("{} answered with status {}", http::origin(&request.url), reply.status);
            failed(message, reply.status >= 500 || reply.status == 429)
        }
        Err(error) => failed(error.message, error.trouble.may_pass()),
    }
}

fn desktop(delivery: &Delivery, ours: &Environment, app_name: &str, stays: f64) -> Outcome {
    let path = ours.get("PATH").map(String::as_str);
    let note = &delivery.note;
    let (title, text) = (note.title(), shown(note));
    let argv = if cfg!(target_os = "macos") {
        find_program("osascript", path, Path::new("/")).map(|program| {
            // The texts are arguments of the script and no part of it.
            let script =
                "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run";
            vec![program.display().to_string(), "-e".to_owned(), script.to_owned(), title, text]
        })
    } else {
        find_program("notify-send", path, Path::new("/")).map(|program| {
            #[expect(clippy::cast_possible_truncation, reason = "at most five minutes")]
            let stays = (stays * 1000.0) as i64;
            vec![
                program.display().to_string(),
                format!("--app-name={app_name}"),
                format!("--expire-time={stays}"),
                "--".to_owned(),
                title,
                text,
            ]
        })
    };
    let Some(argv) = argv else {
        let program = if cfg!(target_os = "macos") { "osascript" } else { "notify-send" };
        let message =
            format!("{program} is not on the PATH of the conductor: desktop notifications are not shown");
        return Outcome::Absent { message };
    };
    let env = environment::for_command(ours).into_iter().collect();
    let end = executor::bound(&delivery.program, &spec(argv, Path::new("/"), env, SHOW), &delivery.control);
    verdict(&end, "the program that shows it")
}

/// The details without the headline, which is the title; `notify-send` reads markup.
fn shown(note: &Note) -> String {
    let lines: Vec<String> =
        note.details(100).into_iter().map(|(label, text)| format!("{label}: {text}")).collect();
    lines.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn shell(delivery: &Delivery, ours: &Environment, command: &str, timeout: f64) -> Outcome {
    let note = &delivery.note;
    let shell = validate::shell(ours.get("PATH").map(String::as_str));
    let mut env: Vec<(String, String)> = environment::for_command(ours).into_iter().collect();
    let number = note.sheet.map(|sheet| sheet.to_string()).unwrap_or_default();
    for (name, value) in [
        ("MOZART_EVENT", note.notice.as_str().to_owned()),
        ("MOZART_JOB_ID", note.job_id.clone()),
        ("MOZART_JOB_NAME", note.job_name.clone()),
        ("MOZART_SHEET_NUM", number),
        ("MOZART_WORKSPACE", note.workspace.display().to_string()),
        ("MOZART_MESSAGE", note.message()),
    ] {
        // A variable cannot hold it.
        env.push((name.to_owned(), value.replace('\0', "")));
    }
    if note.notice == Notice::JobStart {
        // Told before the first sheet, which makes it; where it cannot be made, the sheets say why.
        _ = std::fs::create_dir(&note.workspace);
    }
    let cwd = if note.workspace.is_dir() { note.workspace.as_path() } else { Path::new("/") };
    let argv = vec![shell, "-c".to_owned(), command.to_owned()];
    let spec = spec(argv, cwd, env, Duration::from_secs_f64(timeout));
    let mut input = note.context().to_string();
    input.push('\n');
    let end = executor::bound_with_input(&delivery.program, &spec, input.as_bytes(), &delivery.control);
    verdict(&end, "the command")
}

fn spec(argv: Vec<String>, cwd: &Path, env: Vec<(String, String)>, timeout: Duration) -> BoundSpec {
    BoundSpec {
        argv,
        cwd: cwd.to_owned(),
        env,
        token: None,
        timeout: Some(timeout),
        grace: GRACE,
        output_cap: OUTPUT,
        log: None,
    }
}

fn verdict(end: &BoundEnd, what: &str) -> Outcome {
    if end.exit_code == Some(0) && !end.timed_out && !end.cancelled {
        return Outcome::Delivered;
    }
    let said = redact(&String::from_utf8_lossy(&end.output));
    let said = first_line(&said, 200);
    let why = match (&end.spawn_error, end.timed_out, end.cancelled, end.exit_code, end.signal) {
        (Some(error), ..) => format!("{what} could not be started: {}", error.message),
        (None, true, ..) => format!("{what} took too long"),
        (None, false, true, ..) => format!("{what} was ended with the conductor"),
        (None, false, false, Some(code), _) => format!("{what} ended with exit code {code}"),
        (None, false, false, None, Some(signal)) => format!("{what} was ended by signal {signal}"),
        (None, false, false, None, None) => format!("the guard of {what} was killed"),
    };
    failed(cut(&if said.is_empty() { why } else { format!("{why}: {said}") }, 300), false)
}
