//! The child process that sends: `mozart __http request` and `mozart __http prompt`.
//!
//! `request` reads a [`Request`] as JSON on standard input and prints its result as one line of JSON.
//! `prompt` is the program of every instrument of kind http: it reads the prompt on standard input,
//! asks the service that its arguments name, and prints one line of JSON:
//! `{"result", "input_tokens", "output_tokens", "model"}` and exit code 0, or
//! `{"error": {"code", "message"}}` and exit code 1, 75 when the service asks to come back later.
//! The key is read from the environment here and nowhere else, and is never printed.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::service::{Family, Question, Said, complaint};
use super::{HttpError, Reply, Request, Trouble, origin, request};
use crate::classify::ErrorCode;

/// First argument of the child.
pub const ARGUMENT: &str = "__http";
/// Second argument: one request.
pub(super) const REQUEST: &str = "request";
/// Second argument: the program of an instrument.
pub(crate) const PROMPT: &str = "prompt";

/// The service asks to come back later (`EX_TEMPFAIL`).
const LATER: i32 = 75;
/// Bytes of an answer of a service that are read.
const ANSWER: usize = 15 << 20;
/// A larger file with a system prompt is none.
const MAX_SYSTEM: u64 = 1 << 20;
/// Bytes of a request, and of a prompt.
const MAX_INPUT: u64 = 64 << 20;

/// Runs the child. The result is its exit code.
pub(crate) fn run(what: Option<OsString>) -> i32 {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_INPUT).read_to_string(&mut text);
    let (line, code) = match (what.as_ref().and_then(|what| what.to_str()), read) {
        (_, Err(error)) => (failure(ErrorCode::E503, &format!("standard input: {error}")), 1),
        (Some(REQUEST), Ok(_)) => single(&text),
        (Some(PROMPT), Ok(_)) => {
            let args: Vec<String> =
                std::env::args_os().skip(3).map(|arg| arg.to_string_lossy().into_owned()).collect();
            match Options::parse(&args) {
                Ok(options) => prompt(&options, &text),
                Err(problem) => (failure(ErrorCode::E301, &problem), 1),
            }
        }
        (_, Ok(_)) => {
            let problem = format!("{ARGUMENT} is called by mozart itself, with `{REQUEST}` or `{PROMPT}`");
            (failure(ErrorCode::E301, &problem), 1)
        }
    };
    let mut out = std::io::stdout().lock();
    // Nobody reads when the guard is gone; then there is nobody to tell either.
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(_) => 1,
    }
}

fn single(text: &str) -> (String, i32) {
    let result = match serde_json::from_str::<Request>(text) {
        Ok(orders) => request(&orders),
        Err(_) => Err(HttpError::new(Trouble::Address, "the request is not complete")),
    };
    let code = i32::from(result.is_err());
    (serde_json::to_string(&result).expect("a result is plain data"), code)
}

/// What the arguments of `prompt` say.
#[derive(Debug)]
struct Options {
    family: Family,
    url: String,
    model: String,
    timeout: Duration,
    system: Option<String>,
    key_env: Option<String>,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    num_ctx: Option<u64>,
    keep_alive: Option<String>,
    /// Address that is asked first, and how long.
    alive: Option<(String, Duration)>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self, String> {
        let value = |name: &str| {
            let pair = args.chunks_exact(2).find(|pair| pair[0] == name);
            pair.map(|pair| pair[1].clone())
        };
        let need = |name: &str| value(name).ok_or_else(|| format!("{name} is missing"));
        fn read<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, String> {
            let parse = |text: String| text.parse().map_err(|_| format!("{name}: `{text}` is not a number"));
            text.map(parse).transpose()
        }
        let seconds = |name: &str| -> Result<Option<Duration>, String> {
            let number: Option<f64> = read(name, value(name))?;
            let time = |number| Duration::try_from_secs_f64(number).map_err(|_| format!("{name} is no time"));
            number.map(time).transpose()
        };
        let family = need("--family")?;
        Ok(Self {
            family: Family::named(&family).ok_or_else(|| format!("--family: `{family}` is not known"))?,
            url: need("--url")?,
            model: need("--model")?,
            timeout: seconds("--timeout")?.ok_or("--timeout is missing")?,
            system: value("--system-file").map(|path| system(&path)).transpose()?,
            key_env: value("--key-env"),
            max_tokens: read("--max-tokens", value("--max-tokens"))?,
            temperature: read("--temperature", value("--temperature"))?,
            num_ctx: read("--num-ctx", value("--num-ctx"))?,
            keep_alive: value("--keep-alive"),
            alive: value("--alive-url").zip(seconds("--alive-timeout")?),
        })
    }
}

fn system(path: &str) -> Result<String, String> {
    let problem = |why: &str| format!("the system prompt {path} cannot be read: {why}");
    let bytes =
        crate::file::read(Path::new(path), MAX_SYSTEM).map_err(|error| problem(&error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| problem("it is not UTF-8"))
}

fn prompt(options: &Options, text: &str) -> (String, i32) {
    let key = match &options.key_env {
        None => None,
        Some(name) => match std::env::var(name).ok().filter(|key| !key.is_empty()) {
            Some(key) => Some(key),
            None => {
                return (failure(ErrorCode::E502, &format!("{name}, which holds the key, is not set")), 1);
            }
        },
    };
    let until = Instant::now() + options.timeout;
    if let Some((url, patience)) = &options.alive
        && let Err(error) = request(&Request::get(url.clone(), *patience, 4096))
    {
        return no_answer(&error);
    }
    let question = Question {
        model: &options.model,
        prompt: text,
        system: options.system.as_deref(),
        max_tokens: options.max_tokens,
        temperature: options.temperature,
        num_ctx: options.num_ctx,
        keep_alive: options.keep_alive.as_deref(),
    };
    let left = until.saturating_duration_since(Instant::now());
    let mut ask = Request::post(&options.url, options.family.body(&question).to_string(), left, ANSWER);
    ask.headers = options.family.headers(key.as_deref());
    let reply = match request(&ask) {
        Ok(reply) => reply,
        Err(error) => return no_answer(&error),
    };
    let to = origin(&options.url);
    if !(200..300).contains(&reply.status) {
        return refused(&to, &reply, key.as_deref());
    }
    let said = serde_json::from_str(&reply.body).ok().and_then(|body: Value| options.family.said(&body));
    match said {
        Some(Said { text, input_tokens, output_tokens, model, cut }) => {
            if cut {
                // Standard error is kept beside the answer.
                _ = writeln!(std::io::stderr(), "the answer ends at the limit of tokens (max_tokens)");
            }
            let model = model.unwrap_or_else(|| options.model.clone());
            let line = json!({
                "result": text, "input_tokens": input_tokens, "output_tokens": output_tokens, "model": model,
            });
            (line.to_string(), 0)
        }
        None if reply.cut => {
            let message = format!("the answer of {to} is longer than {} MiB", ANSWER >> 20);
            (failure(ErrorCode::E503, &message), 1)
        }
        None => {
            let message = format!(
                "the answer of {to} holds no text of a model: is the address right, and the schema_family of the \
                 profile ({})?",
                options.family.as_str()
            );
            (failure(ErrorCode::E503, &message), 1)
        }
    }
}

fn no_answer(error: &HttpError) -> (String, i32) {
    let code = match error.trouble {
        Trouble::Address | Trouble::NotBuilt => ErrorCode::E301,
        Trouble::Name => ErrorCode::E902,
        Trouble::Connection => ErrorCode::E501,
        Trouble::Tls => ErrorCode::E903,
        Trouble::Timeout => ErrorCode::E504,
        Trouble::Protocol | Trouble::Lost => ErrorCode::E503,
    };
    (failure(code, &error.message), 1)
}

/// An answer with an error status.
fn refused(to: &str, reply: &Reply, key: Option<&str>) -> (String, i32) {
    let mut why = complaint(&reply.body);
    // Some servers repeat what they were sent.
    if let Some(key) = key {
        why = why.replace(key, "[REDACTED]");
    }
    let code = meaning(reply.status, &why);
    let mut message = format!("{to} answered with status {}", reply.status);
    if !why.is_empty() {
        message.push_str(": ");
        message.push_str(&why);
    }
    if let Some(wait) = reply.retry_after.as_deref().filter(|_| code.is_rate_limit()) {
        // In the form in which every other program says it.
        message.push_str(&format!(" (Retry-After: {})", crate::util::text::first_line(wait, 60)));
    }
    (failure(code, &message), if code.is_rate_limit() { LATER } else { 1 })
}

fn meaning(status: u16, why: &str) -> ErrorCode {
    let why = why.to_lowercase();
    match status {
        429 if why.contains("quota") || why.contains("credit") => ErrorCode::E104,
        429 => ErrorCode::E101,
        503 | 529 => ErrorCode::E103,
        402 => ErrorCode::E104,
        401 | 403 => ErrorCode::E502,
        408 | 504 => ErrorCode::E504,
        413 => ErrorCode::E602,
        400..=499 => ErrorCode::E301,
        _ => ErrorCode::E503,
    }
}

fn failure(code: ErrorCode, message: &str) -> String {
    json!({ "error": { "code": code.to_string(), "message": message } }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn arguments_are_read_and_missing_ones_named() {
        let all = "--family ollama --url http://h/api/chat --model m --timeout 2.5 --temperature 0.5 --num-ctx 4096 \
                   --alive-url http://h/api/version --alive-timeout 1";
        let options = Options::parse(&args(all)).expect("all that is needed");
        assert_eq!((options.family, options.num_ctx), (Family::Ollama, Some(4096)));
        assert_eq!(options.timeout, Duration::from_millis(2500));
        assert!(options.alive.is_some() && options.key_env.is_none());
        for (text, part) in [
            ("--family nope --url u --model m --timeout 1", "`nope` is not known"),
            ("--family openai --model m --timeout 1", "--url is missing"),
            ("--family openai --url u --model m --timeout x", "`x` is not a number"),
            ("--family openai --url u --model m --timeout -1", "no time"),
        ] {
            let problem = Options::parse(&args(text)).expect_err(text);
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn statuses_mean_what_follows_from_them() {
        for (status, why, code) in [
            (429, "slow down", ErrorCode::E101),
            (429, "You exceeded your current quota", ErrorCode::E104),
            (529, "overloaded", ErrorCode::E103),
            (503, "", ErrorCode::E103),
            (401, "", ErrorCode::E502),
            (404, "model not found", ErrorCode::E301),
            (413, "", ErrorCode::E602),
            (500, "", ErrorCode::E503),
            (504, "", ErrorCode::E504),
        ] {
            assert_eq!(meaning(status, why), code, "{status}");
        }
    }

    #[test]
    fn a_refusal_names_the_wait_and_never_the_key() {
        let reply = Reply {
            status: 429,
            retry_after: Some("30".into()),
            body: r#"{"error":{"message":"key sk-12345 is busy"}}"#.into(),
            cut: false,
        };
        let (line, code) = refused("https://h", &reply, Some("sk-12345"));
        assert_eq!(code, LATER);
        assert!(line.contains("E101") && line.contains("(Retry-After: 30)"), "{line}");
        assert!(!line.contains("sk-12345"), "{line}");
    }
}
