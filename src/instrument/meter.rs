//! What a program has used so far, read from its output while it still runs.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

use super::lines::Lines;
use super::profile::{Format, Output, Profile};
use super::usage;
use crate::cost::Reported;
use crate::file;

/// Most bytes that one look reads; the next look goes on from there.
const MOST: u64 = 16 * 1024 * 1024;

/// Follows the live output of a program that prints one JSON object per line.
#[derive(Debug)]
pub struct Meter<'a> {
    output: &'a Output,
    read: u64,
    lines: Lines,
    used: Reported,
}

impl<'a> Meter<'a> {
    /// A meter for an instrument, when its output tells what it uses before it ends. `text` as for
    /// [`super::extract()`].
    #[must_use]
    pub fn of(profile: &'a Profile, text: bool) -> Option<Self> {
        let output = &profile.output;
        let tells = output.input_tokens_path.is_some()
            || output.output_tokens_path.is_some()
            || output.total_tokens_path.is_some()
            || output.cost_path.is_some();
        (output.format == Format::Jsonl && tells && !text).then(|| Self {
            output,
            read: 0,
            lines: Lines::default(),
            used: Reported::default(),
        })
    }

    /// Reads what was printed since the last look. A file that is not there or cannot be read is no news.
    pub fn look(&mut self, stdout: &Path) -> Reported {
        let mut news = Vec::new();
        if let Ok(mut from) = file::open(stdout)
            && from.seek(SeekFrom::Start(self.read)).is_ok()
        {
            // What was read before an error is what there is.
            _ = from.take(MOST).read_to_end(&mut news);
        }
        self.read += news.len() as u64;
        let (output, used) = (self.output, &mut self.used);
        self.lines.feed(&news, |line| {
            if let Ok(event) = serde_json::from_slice::<Value>(line)
                && event.is_object()
            {
                usage::add(used, output, &event);
            }
        });
        *used
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::instrument::Registry;

    #[test]
    fn a_stream_is_read_once_and_summed() {
        let registry = Registry::built_in();
        let profile = registry.get("codex-cli").expect("a profile that is built in");
        let mut meter = Meter::of(profile, false).expect("it prints JSON lines");
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        assert_eq!(meter.look(Path::new("/does/not/exist")), Reported::default());
        let turn = r#"{"type":"turn.completed","usage":{"input_tokens":10,"output_tokens":3}}"#;
        write!(file, "{turn}\n{}", &turn[..20]).expect("a temporary file can be written");
        assert_eq!(meter.look(file.path()).input, Some(10));
        assert_eq!(meter.look(file.path()).input, Some(10));
        writeln!(file, "{}", &turn[20..]).expect("a temporary file can be written");
        let used = meter.look(file.path());
        assert_eq!((used.input, used.output), (Some(20), Some(6)));
        assert!(Meter::of(profile, true).is_none());
        assert!(Meter::of(registry.get("claude-code").expect("built in"), false).is_none());
    }
}
