//! `techniques` of a score: documents that teach an agent how to do something, for the stages that name them.

use std::path::{Path, PathBuf};

use super::Brief;
use super::inject::{Injected, read_file};
use crate::score::Technique;
use crate::util::text::cut;

/// Characters of one setting in the manifest.
const MAX_SETTING: usize = 200;

impl Brief<'_> {
    /// Puts the documents of the active techniques and a list of them after the injected skills.
    pub(super) fn add_techniques(&self, injected: &mut Injected, warnings: &mut Vec<String>) {
        let active: Vec<(&String, &Technique)> = self.techniques().collect();
        for (name, technique) in &active {
            // The document of a technique of kind `mcp` is not for the prompt: the program reads it.
            if technique.kind == "mcp" {
                continue;
            }
            let places = self.documents(name, technique);
            let Some(path) = places.iter().find(|path| path.is_file()) else {
                if technique.kind == "skill" {
                    let first = places.first().cloned().unwrap_or_default();
                    warnings.push(format!(
                        "technique `{name}` has no document: {} is not there, nor another of {} places",
                        first.display(),
                        places.len().saturating_sub(1)
                    ));
                    injected.missing.push(first);
                }
                continue;
            };
            match read_file(path) {
                Ok(text) => injected.add_skill(text),
                Err(error) => warnings.push(format!("technique {} is left out: {error}", path.display())),
            }
        }
        if !active.is_empty() {
            injected.add_skill(manifest(&active));
        }
    }

    /// File with tool servers for the instrument: of the first active technique of kind `mcp` that names one.
    pub(super) fn tool_servers(&self) -> Option<PathBuf> {
        let path = self.techniques().filter(|(_, technique)| technique.kind == "mcp").find_map(|(_, it)| {
            let text = it.config.get("path")?.as_str()?;
            Some(self.find(text))
        });
        path.filter(|path| path.is_file())
    }

    fn techniques(&self) -> impl Iterator<Item = (&String, &Technique)> {
        let stage = self.sheet.stage.to_string();
        let active = move |phase: &String| phase == "all" || phase.trim() == stage;
        self.score.techniques.iter().filter(move |(_, technique)| technique.phases.iter().any(&active))
    }

    /// Where the document of a technique may be, in order.
    fn documents(&self, name: &str, technique: &Technique) -> Vec<PathBuf> {
        let mut places = Vec::new();
        if let Some(path) = technique.config.get("path").and_then(|path| path.as_str()) {
            places.push(match (path.strip_prefix("~/"), self.home) {
                (Some(below), Some(home)) => home.join(below),
                _ => self.find(path),
            });
        }
        let below = Path::new(".mozart/techniques");
        let file = format!("{name}.md");
        places.extend(self.home.map(|home| home.join(below).join(&file)));
        places.extend([self.workspace, &self.score.base].map(|dir| dir.join(below).join(&file)));
        places.extend(self.home.map(|home| home.join(below).join(name).join("SKILL.md")));
        places
    }
}

/// The list of what is active, with its settings.
fn manifest(active: &[(&String, &Technique)]) -> String {
    let mut lines = vec!["### Techniques For This Sheet\n".to_owned()];
    for (name, technique) in active {
        lines.push(format!("- **{name}** ({})", technique.kind));
        for (key, value) in technique.config.iter() {
            let value = match value.as_str() {
                Some(text) => text.to_owned(),
                None => serde_json::to_string(value).unwrap_or_default(),
            };
            lines.push(format!("  - {key}: {}", cut(&value, MAX_SETTING)));
        }
    }
    lines.join("\n")
}
