//! The whole prompt of an attempt: injections, body, requirements, extensions, what failed before.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::classify::ErrorCode;
use crate::exec::{Failure, Mode, Order};
use crate::score::{Extension, Injection, InjectionKind, InjectionSource};
use crate::template;
use crate::template::prompt::{PromptParts, assemble, default_body, measure};

use super::Attempt;
use super::rules::Rules;

/// Most bytes of one injected file.
const MAX_FILE: usize = 1 << 20;
/// Most bytes of all injected files.
const MAX_ALL: usize = 8 << 20;

/// Texts of injected files by what they are for.
#[derive(Default)]
struct Injected {
    skills: Vec<String>,
    tools: Vec<String>,
    context: Vec<String>,
    bytes: usize,
}

impl Attempt<'_> {
    /// The prompt, byte for byte as the instrument gets it.
    pub(super) fn prompt(
        &mut self,
        order: &Order,
        rules: &Rules,
        warnings: &mut Vec<String>,
    ) -> Result<String, Failure> {
        let score = &self.prepared.score;
        let injected = if self.profile.raw_prompt { Injected::default() } else { self.injected(warnings) };
        for (name, texts) in [
            ("injected_skills", &injected.skills),
            ("injected_tools", &injected.tools),
            ("injected_context", &injected.context),
        ] {
            self.vars.set(name, texts.clone());
        }
        let stakes = score.prompt.stakes.as_deref().unwrap_or("");
        let thinking = score
            .prompt
            .thinking_method
            .as_deref()
            .or(self.prepared.snapshot.thinking_method.as_deref())
            .unwrap_or("");
        let body = match &score.prompt.template {
            Some(template) => template::render(template, &self.vars).map_err(|error| {
                let place = error.line.map_or_else(String::new, |line| format!(" (template line {line})"));
                refusal(
                    ErrorCode::E304,
                    format!("the prompt template does not render: {}{place}", error.message),
                )
            })?,
            None => {
                let items = (self.sheet.start_item, self.sheet.end_item);
                let total = u32::try_from(self.prepared.plan.sheets.len()).unwrap_or(u32::MAX);
                default_body(self.sheet.num.0, total, items, stakes, thinking)
            }
        };
        let extensions = self.extensions(warnings);
        let workspace = self.prepared.workspace.display().to_string();
        let prompt = assemble(&PromptParts {
            raw: self.profile.raw_prompt,
            sheet: self.sheet.num.0,
            total: u32::try_from(self.prepared.plan.sheets.len()).unwrap_or(u32::MAX),
            workspace: &workspace,
            retry_count: order.retry_count,
            concurrent: score.parallel.enabled,
            skills: &injected.skills,
            tools: &injected.tools,
            context: &injected.context,
            body: &body,
            specs: &[],
            requirements: rules.requirements(),
            extensions: &extensions,
            previous: order.previous.as_deref(),
            completion: (order.mode == Mode::Completion).then_some(order.completion),
        });
        let tokens = measure(&prompt).estimated_tokens;
        let (warn, refuse) = (self.worker.warn_tokens, self.worker.refuse_tokens);
        if refuse > 0 && tokens > refuse {
            let message = format!(
                "the prompt has about {tokens} tokens, {refuse} are allowed (preflight.token_error_threshold): shorten \
                 the injected files or split the sheet"
            );
            return Err(refusal(ErrorCode::E602, message));
        }
        if warn > 0 && tokens > warn {
            warnings.push(format!("the prompt has about {tokens} tokens"));
        }
        Ok(prompt)
    }

    fn injected(&self, warnings: &mut Vec<String>) -> Injected {
        let sheet = &self.prepared.score.sheet;
        let own = sheet.cadenzas.get(&self.sheet.num.0).into_iter().flatten();
        let mut injected = Injected::default();
        for injection in sheet.prelude.iter().chain(own) {
            self.inject(injection, &mut injected, warnings);
        }
        injected
    }

    fn inject(&self, injection: &Injection, injected: &mut Injected, warnings: &mut Vec<String>) {
        let (written, directory) = match &injection.source {
            InjectionSource::File(path) => (path, false),
            InjectionSource::Directory(path) => (path, true),
        };
        let path = match template::render_lenient(written, &self.vars) {
            Ok(path) => self.find(&path),
            Err(error) => {
                warnings.push(format!("the injection path `{written}` does not render: {}", error.message));
                return;
            }
        };
        let text = if directory { read_directory(&path) } else { read_file(&path) };
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                warnings.push(format!("injection {} is left out: {error}", path.display()));
                if injection.kind != InjectionKind::Context {
                    log::error!(
                        "attempt.injection_missing attempt={} path={:?}",
                        self.key,
                        path.display().to_string()
                    );
                }
                return;
            }
        };
        let text = crate::util::text::head_bytes(&text, MAX_ALL.saturating_sub(injected.bytes)).to_owned();
        injected.bytes += text.len();
        match injection.kind {
            InjectionKind::Skill => injected.skills.push(text),
            InjectionKind::Tool => injected.tools.push(text),
            InjectionKind::Context => injected.context.push(text),
        }
    }

    /// In the workspace, else beside the score.
    fn find(&self, path: &str) -> PathBuf {
        let in_workspace = self.prepared.workspace.join(path);
        let beside = self.prepared.score.base.join(path);
        if !in_workspace.exists() && beside.exists() { beside } else { in_workspace }
    }

    fn extensions(&self, warnings: &mut Vec<String>) -> Vec<String> {
        let score = &self.prepared.score;
        let own = score.sheet.prompt_extensions.get(&self.sheet.num.0).into_iter().flatten();
        score
            .prompt
            .prompt_extensions
            .iter()
            .chain(own)
            .filter_map(|extension| match extension {
                Extension::Text(text) => Some(text.clone()),
                Extension::File(path) => read_file(path)
                    .map_err(|error| {
                        warnings.push(format!("extension {} is left out: {error}", path.display()))
                    })
                    .ok(),
            })
            .collect()
    }
}

fn refusal(code: ErrorCode, message: String) -> Failure {
    Failure { code, message, retriable: false, delay: Duration::ZERO }
}

/// The text of a file, or for one that is not text a note that names it.
fn read_file(path: &Path) -> std::io::Result<String> {
    let file = crate::file::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    // A character more than is kept, so that the cut is not taken for something that is not text.
    file.take(MAX_FILE as u64 + 4).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE {
        let cut = std::str::from_utf8(&bytes).err().filter(|error| error.error_len().is_none());
        bytes.truncate(cut.map_or(bytes.len(), |error| error.valid_up_to()));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let kind = match extension.as_deref() {
            Some("pdf") => "PDF document",
            Some("png" | "jpg" | "jpeg" | "gif" | "webp") => "image",
            Some("docx") => "Word document",
            Some("xlsx" | "xls") => "spreadsheet",
            _ => "file",
        };
        return Ok(format!("[{kind} {}: not text, read it yourself]", path.display()));
    };
    if text.len() <= MAX_FILE {
        return Ok(text);
    }
    let head = crate::util::text::head_bytes(&text, MAX_FILE);
    Ok(format!("{head}\n[... {} bytes of {} are left out]", size.saturating_sub(head.len() as u64), path.display()))
}

/// All regular files of a directory by name, each under its name.
fn read_directory(dir: &Path) -> std::io::Result<String> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir)?.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    let mut parts = Vec::new();
    let mut size = 0;
    for file in files {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = read_file(&file)?;
        size += text.len();
        parts.push(format!("--- Input: {name} ---\n\n{text}"));
        if size > MAX_ALL {
            break;
        }
    }
    Ok(parts.join("\n\n"))
}
