//! Files that a score puts into a prompt: prelude, cadenzas and extensions. Read at dispatch time, each attempt.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Brief;
use crate::score::{Extension, Injection, InjectionKind, InjectionSource};
use crate::template::{self, Vars};

/// Most bytes of one injected file.
const MAX_FILE: usize = 1 << 20;
/// Most bytes of all injected files.
pub(super) const MAX_ALL: usize = 8 << 20;

/// Texts of injected files by what they are for.
#[derive(Debug, Default)]
pub(super) struct Injected {
    pub(super) skills: Vec<String>,
    pub(super) tools: Vec<String>,
    pub(super) context: Vec<String>,
    /// Skills and tools that are not there.
    pub(super) missing: Vec<PathBuf>,
    bytes: usize,
}

impl Injected {
    /// As much of a text as there is room for.
    fn fit(&mut self, text: &str) -> String {
        let text = crate::util::text::head_bytes(text, MAX_ALL.saturating_sub(self.bytes)).to_owned();
        self.bytes += text.len();
        text
    }

    pub(super) fn add_skill(&mut self, text: String) {
        let text = self.fit(&text);
        self.skills.push(text);
    }
}

impl Brief<'_> {
    pub(super) fn injected(&self, vars: &Vars, warnings: &mut Vec<String>) -> Injected {
        let sheet = &self.score.sheet;
        let own = sheet.cadenzas.get(&self.sheet.num.0).into_iter().flatten();
        let mut injected = Injected::default();
        for injection in sheet.prelude.iter().chain(own) {
            self.inject(injection, vars, &mut injected, warnings);
        }
        self.add_techniques(&mut injected, warnings);
        injected
    }

    fn inject(
        &self,
        injection: &Injection,
        vars: &Vars,
        injected: &mut Injected,
        warnings: &mut Vec<String>,
    ) {
        let (written, directory) = match &injection.source {
            InjectionSource::File(path) => (path, false),
            InjectionSource::Directory(path) => (path, true),
        };
        let path = match template::render_lenient(written, vars) {
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
                    injected.missing.push(path);
                }
                return;
            }
        };
        let text = injected.fit(&text);
        match injection.kind {
            InjectionKind::Skill => injected.skills.push(text),
            InjectionKind::Tool => injected.tools.push(text),
            InjectionKind::Context => injected.context.push(text),
        }
    }

    /// In the workspace, else beside the score.
    pub(super) fn find(&self, path: &str) -> PathBuf {
        let in_workspace = self.workspace.join(path);
        let beside = self.score.base.join(path);
        if !in_workspace.exists() && beside.exists() { beside } else { in_workspace }
    }

    pub(super) fn extensions(&self, warnings: &mut Vec<String>) -> Vec<String> {
        let own = self.score.sheet.prompt_extensions.get(&self.sheet.num.0).into_iter().flatten();
        self.score
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

/// The text of a file, or for one that is not text a note that names it.
pub(super) fn read_file(path: &Path) -> std::io::Result<String> {
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
    Ok(format!(
        "{head}\n[... {} bytes of {} are left out]",
        size.saturating_sub(head.len() as u64),
        path.display()
    ))
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
