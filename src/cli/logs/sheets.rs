//! The output of the programs of sheets, live: the files are followed with inotify, the job with its
//! event stream, both in one `poll`.

use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::failure::{Done, Failure, Stop};
use crate::cli::job::{self, Doc};
use crate::cli::rpc::{Rpc, wait_for};
use crate::cli::tail::{Changes, Tail};
use crate::cli::watch::{Seen, Watch};

use super::Options;

/// One stream of one attempt.
struct Source {
    sheet: u32,
    stream: &'static str,
    tail: Tail,
    /// A line without its end yet, when whole lines are needed.
    partial: Vec<u8>,
}

/// Everything that is shown.
struct Sources<'a> {
    cx: &'a Context,
    wanted: Option<u32>,
    list: Vec<Source>,
    changes: Option<Changes>,
    /// The stream that wrote last, for the headings between streams.
    last: Option<(u32, &'static str)>,
    shown: bool,
}

/// Shows the output of one sheet, or of all that play; follows it if asked.
pub(super) fn show(cx: &Context, options: &Options, doc: &Value, lines: Option<usize>) -> Done {
    let id = Doc(doc).text("job_id").to_owned();
    if let Some(number) = options.sheet
        && !Doc(doc).sheets().iter().any(|(num, _)| *num == number)
    {
        return Err(Failure::new("job_not_found", format!("Sheet {number} not found in job '{id}'"))
            .with("job_id", id)
            .into());
    }
    let mut sources =
        Sources { cx, wanted: options.sheet, list: Vec::new(), changes: None, last: None, shown: false };
    if !options.follow {
        sources.add(Doc(doc), lines)?;
        sources.print()?;
        sources.finish()?;
        if !sources.shown && !cx.out.json {
            cx.out.remark("No log entries found.");
        }
        return Ok(0);
    }
    let changes = Changes::new().map_err(|error| failed("watch files", &error))?;
    sources.changes = Some(changes);
    // The stream first: what happens between the two is then seen twice, never missed.
    let mut watch = Watch::open(cx, &id)?;
    let doc = Rpc::connect(cx)?.job(&id)?;
    sources.add(Doc(&doc), lines)?;
    let mut over = job::is_terminal(Doc(&doc).text("status"));
    while !over {
        sources.print()?;
        sources.wait(&watch)?;
        let mut changed = false;
        loop {
            match watch.waiting()? {
                Seen::Event(_) => changed = true,
                Seen::Ended(_) | Seen::Closed => {
                    over = true;
                    break;
                }
                Seen::Timeout => break,
            }
        }
        if changed && !over {
            let doc = Rpc::connect(cx)?.job(&id)?;
            sources.add(Doc(&doc), None)?;
        }
    }
    // Sheets that came and went between two looks still have their files.
    if let Ok(doc) = Rpc::connect(cx).and_then(|mut rpc| rpc.job(&id)) {
        sources.add_ended(Doc(&doc))?;
    }
    sources.print()?;
    sources.finish()?;
    Ok(0)
}

impl Sources<'_> {
    /// Adds the files of the wanted sheet, or of all sheets that play.
    fn add(&mut self, doc: Doc<'_>, lines: Option<usize>) -> Result<(), Stop> {
        for (number, sheet) in doc.sheets() {
            let wanted = match self.wanted {
                Some(wanted) => wanted == number,
                None => job::is_playing(sheet.text("status")),
            };
            if wanted {
                self.add_sheet(number, sheet, lines)?;
            }
        }
        Ok(())
    }

    /// Adds files of sheets that ended while this command followed the job.
    fn add_ended(&mut self, doc: Doc<'_>) -> Result<(), Stop> {
        match self.wanted {
            Some(_) => self.add(doc, None),
            None => Ok(()),
        }
    }

    fn add_sheet(&mut self, number: u32, sheet: Doc<'_>, lines: Option<usize>) -> Result<(), Stop> {
        for (stream, key) in [("stdout", "output_log"), ("stderr", "error_log")] {
            let path = PathBuf::from(sheet.text(key));
            let known = self.list.iter().any(|source| source.tail.path() == path);
            if sheet.text(key).is_empty() || known {
                continue;
            }
            if let Some(changes) = &mut self.changes
                && changes.add(&path).is_err()
            {
                // Its directory is made by a worker after the dispatch: the event of the program's
                // start, which comes after that, leads here once more.
                continue;
            }
            let tail = Tail::open(&path, lines)
                .map_err(|error| failed(&format!("read {}", path.display()), &error))?;
            self.list.push(Source { sheet: number, stream, tail, partial: Vec::new() });
        }
        Ok(())
    }

    fn wait(&self, watch: &Watch) -> Result<(), Stop> {
        let mut fds = vec![PollFd::new(watch.socket(), PollFlags::POLLIN)];
        if let Some(changes) = &self.changes {
            fds.push(PollFd::new(changes.descriptor(), PollFlags::POLLIN));
        }
        wait_for(&mut fds, None).map_err(|error| failed("wait", &error))?;
        if let Some(changes) = &self.changes {
            changes.clear();
        }
        Ok(())
    }

    /// Writes what was appended.
    fn print(&mut self) -> Result<(), Stop> {
        let labelled = self.wanted.is_none();
        for source in &mut self.list {
            let text = source
                .tail
                .read()
                .map_err(|error| failed(&format!("read {}", source.tail.path().display()), &error))?;
            if text.is_empty() {
                continue;
            }
            self.shown = true;
            if self.cx.out.json {
                source.partial.extend_from_slice(&text);
                while let Some(end) = memchr::memchr(b'\n', &source.partial) {
                    let line: Vec<u8> = source.partial.drain(..=end).collect();
                    self.cx.out.document_line(&line_document(source.sheet, source.stream, &line))?;
                }
                continue;
            }
            let this = (source.sheet, source.stream);
            if labelled && self.last != Some(this) && !self.cx.out.quiet {
                self.cx.out.remark(&format!("==> sheet {} {} <==", source.sheet, source.stream));
            }
            self.last = Some(this);
            self.cx.out.program_text(&text)?;
        }
        Ok(())
    }

    /// A last line without its end is a line too.
    fn finish(&mut self) -> Result<(), Stop> {
        for source in &mut self.list {
            let rest = std::mem::take(&mut source.partial);
            if !rest.is_empty() {
                self.cx.out.document_line(&line_document(source.sheet, source.stream, &rest))?;
            }
        }
        Ok(())
    }
}

fn line_document(sheet: u32, stream: &str, line: &[u8]) -> Value {
    let text = String::from_utf8_lossy(line);
    json!({"sheet_num": sheet, "stream": stream, "line": text.trim_end_matches(['\n', '\r'])})
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::new("internal", format!("cannot {what}: {error}"))
}
