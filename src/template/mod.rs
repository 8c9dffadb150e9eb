//! Prompts: templates in the manner of Jinja2, `{name}` placeholders, and the assembly of a whole prompt.
//!
//! Not here: where the variables come from (`plan`), reading of injected files (the sheet worker).
//!
//! Invariants: rendering is pure and bounded (work, output, recursion); an undefined name is an error with
//! its name and line, never an empty text; what prints, prints as Python would.

mod attributes;
mod calc;
mod compare;
mod context;
mod filters;
mod json;
mod lists;
mod meter;
mod methods;
mod nesting;
mod object;
mod percent;
pub mod placeholders;
pub mod prompt;
mod python;
mod questions;
mod rewrite;
mod slices;
#[cfg(test)]
mod tests;
mod tokens;
mod vars;
mod views;
mod words;
mod work;

use std::io;

use minijinja::syntax::SyntaxConfig;
use std::sync::OnceLock;

use minijinja::{AutoEscape, Environment, ErrorKind, Output, State, Template, UndefinedBehavior, Value};

pub(crate) use filters::FILTERS;
pub(crate) use questions::TESTS;
pub use vars::{Item, Stand, Vars};

/// Largest rendered text, 16 MiB.
pub const MAX_OUTPUT: usize = 16 * 1024 * 1024;
/// Most steps of the engine for one template.
pub const MAX_STEPS: u64 = 10_000_000;
/// Nesting of macros, calls and recursive loops, so that a thread with a stack of 256 KiB is enough.
const MAX_RECURSION: usize = 60;

/// Why a template was not rendered. Sheets fail with E304 and are not retried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", line.map(|line| format!(" (template line {line})")).unwrap_or_default())]
pub struct RenderError {
    /// What is wrong, with the name of the variable or filter, and what to do.
    pub message: String,
    /// Line of the template, from 1, when known.
    pub line: Option<usize>,
}

/// Renders a template. Undefined names fail wherever they are used, except in `is defined` and `default`.
pub fn render(template: &str, vars: &Vars) -> Result<String, RenderError> {
    run(template, vars, strict())
}

/// Renders with undefined names as empty text, for the paths of injections.
pub fn render_lenient(template: &str, vars: &Vars) -> Result<String, RenderError> {
    static LENIENT: OnceLock<Environment<'static>> = OnceLock::new();
    run(template, vars, LENIENT.get_or_init(|| environment(UndefinedBehavior::Chainable)))
}

/// Checks the syntax of a template without rendering it.
pub fn check(template: &str) -> Result<(), RenderError> {
    prepared(template)?.compiled(strict()).map(drop)
}

/// Names that a template uses and neither sets itself nor gets from the engine, sorted. Branches are not looked
/// at: a name counts also where it is only tested. Nothing for a template that does not parse.
#[must_use]
pub fn undeclared(template: &str) -> Vec<String> {
    let Ok(template) = prepared(template) else { return Vec::new() };
    let env = strict();
    let Ok(compiled) = template.compiled(env) else { return Vec::new() };
    let mut names = compiled.undeclared_variables(false);
    for (name, _) in env.globals() {
        names.remove(name);
    }
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

/// The first filter that a template names and that does not exist, with its line; also where it is not reached.
#[must_use]
pub fn unknown_filter(template: &str) -> Option<(String, usize)> {
    let missing = |name: &str| {
        let probe = strict().render_str(&format!("{{{{ 0 | {name} }}}}"), ());
        probe.err().is_some_and(|error| error.kind() == ErrorKind::UnknownFilter)
    };
    let template = prepared(template).ok()?;
    let found = nesting::filters(&template.text);
    let (name, line) = found.into_iter().find(|(name, _)| !FILTERS.contains(name) && missing(name))?;
    Some((name.to_owned(), line))
}

/// Renders one template with several sets of variables, as [`render`] does; it is compiled once.
pub fn render_each(
    template: &str,
    all: impl IntoIterator<Item = Vars>,
    mut each: impl FnMut(Result<String, RenderError>),
) -> Result<(), RenderError> {
    let template = prepared(template)?;
    let compiled = template.compiled(strict())?;
    for vars in all {
        each(fill(&compiled, template.text.len(), vars));
    }
    Ok(())
}

/// Filters and settings are made once; nothing of a template stays in them.
fn strict() -> &'static Environment<'static> {
    static STRICT: OnceLock<Environment<'static>> = OnceLock::new();
    STRICT.get_or_init(|| environment(UndefinedBehavior::Strict))
}

fn run(template: &str, vars: &Vars, env: &Environment<'static>) -> Result<String, RenderError> {
    let template = prepared(template)?;
    fill(&template.compiled(env)?, template.text.len(), vars.clone())
}

fn fill(compiled: &Template<'_, '_>, length: usize, vars: Vars) -> Result<String, RenderError> {
    let mut out = Capped { text: Vec::with_capacity(length), full: false };
    let result = compiled.render_captured_to(context::context(vars), &mut out).map(drop);
    if out.full {
        return Err(RenderError {
            message: format!("the rendered text is larger than {} MiB", MAX_OUTPUT >> 20),
            line: None,
        });
    }
    result.map_err(|error| explain(&error))?;
    Ok(String::from_utf8(out.text).expect("the engine writes whole pieces of text"))
}

/// Line ends as Jinja2 has them; refuses nesting that would overflow a small stack.
fn prepared(template: &str) -> Result<Prepared, RenderError> {
    let text = template.replace("\r\n", "\n").replace('\r', "\n");
    match nesting::too_deep(&text) {
        Some((line, open)) => {
            let message = if open {
                "template syntax error: a `{{` or `{%` that begins here is never closed: unexpected end of its text"
            } else {
                "an expression or a block is nested too deeply: split it with `{% set %}`"
            };
            let message = message.to_owned();
            Err(RenderError { message, line: Some(line) })
        }
        None => Ok(Prepared::of(text)),
    }
}

/// A template as the engine gets it.
struct Prepared {
    text: String,
    /// Line of a tag whose operators were not understood.
    unread: Option<usize>,
}

impl Prepared {
    fn of(text: String) -> Self {
        let rewritten = rewrite::operators(&text);
        Self { text: rewritten.text.unwrap_or(text), unread: rewritten.unread }
    }

    fn compiled<'t>(&'t self, env: &'t Environment<'static>) -> Result<Template<'t, 't>, RenderError> {
        let compiled =
            env.template_from_named_str("template", &self.text).map_err(|error| explain(&error))?;
        match self.unread {
            Some(line) => Err(RenderError {
                message: "template syntax error: this tag holds something that is not available in scores, or is no expression".to_owned(),
                line: Some(line),
            }),
            None => Ok(compiled),
        }
    }
}

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(undefined);
    // Error messages then name the undefined variable.
    env.set_debug(true);
    env.set_fuel(Some(MAX_STEPS));
    env.set_recursion_limit(MAX_RECURSION);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_syntax(
        SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the usual delimiters are valid"),
    );
    env.set_unknown_method_callback(methods::call);
    env.set_formatter(print);
    env.remove_global("debug");
    filters::register(&mut env);
    env
}

fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_undefined() {
        return Ok(());
    }
    views::no_generator("the text", value)?;
    work::charge_whole(state, value)?;
    python::write_str(out, value)
        .map_err(|_| minijinja::Error::new(ErrorKind::WriteFailure, "a value could not be printed"))
}

fn explain(error: &minijinja::Error) -> RenderError {
    let detail = error.detail().unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::UndefinedError => format!(
            "{}: give it a value in `prompt.variables`, or test it with `is defined`",
            if detail.is_empty() { "an undefined value was used" } else { detail }
        ),
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => {
            "template loading is not available in scores: put the text into the template, or into an injection".to_owned()
        }
        ErrorKind::OutOfFuel => format!("the template needs more than {MAX_STEPS} steps: is a loop too large?"),
        ErrorKind::SyntaxError => format!("template syntax error: {detail}"),
        kind if detail.is_empty() => kind.to_string(),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction | ErrorKind::InvalidOperation => {
            detail.to_owned()
        }
        ErrorKind::UnknownMethod => detail.to_owned(),
        kind => format!("{kind}: {detail}"),
    };
    RenderError { message, line: error.line() }
}

/// Takes at most [`MAX_OUTPUT`] bytes.
struct Capped {
    text: Vec<u8>,
    full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > MAX_OUTPUT {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
