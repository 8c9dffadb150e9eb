//! The whole program, measured from outside: `cargo bench --bench whole [-- --quick] [--json]`.
//!
//! Every row that can be compared is compared with the least that the same work needs on this
//! machine (a bare event loop, a bare `fsync`ed commit, a bare fork and wait), measured in the same
//! run, so that the ratios mean something on any machine. The budgets are in `docs/benchmarks.md`.
//!
//! The program under test is the one that cargo built with this benchmark, or `MOZART_BIN`.
//! It runs in a temporary directory of its own (`MOZART_HOME`, `MOZART_SOCKET`, `MOZART_PID_FILE`)
//! and touches no conductor of the user. Nothing here is a test: no row fails a build unless
//! `--check` asks for it.

mod conductor;
mod echo;
mod history;
mod idle;
mod load;
mod proc;
mod program;
mod report;
mod sheets;
mod submits;
#[expect(unreachable_pub, reason = "shared by benchmarks")]
#[path = "../texts/mod.rs"]
mod texts;
mod wire;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::report::Report;

/// What is measured, in this order.
const SECTIONS: [(&str, Section); 6] = [
    ("program", program::measure),
    ("idle", idle::measure),
    ("wire", wire::measure),
    ("submits", submits::measure),
    ("sheets", sheets::measure),
    ("history", history::measure),
];

type Section = fn(&Plan, &mut Report) -> Result<()>;

/// What was asked for on the command line.
pub(crate) struct Plan {
    /// The program under test, absolute.
    pub(crate) program: PathBuf,
    /// Whether it is linked statically: some budgets are tighter then.
    pub(crate) is_static: bool,
    /// A smoke test of about half a minute instead of a measurement.
    pub(crate) quick: bool,
    /// Jobs in the history of the last section.
    pub(crate) jobs: usize,
    json: bool,
    check: bool,
    only: Vec<String>,
}

impl Plan {
    /// The first value, or the second with `--quick`.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Length of one timed window.
    pub(crate) fn window(&self) -> Duration {
        self.pick(Duration::from_secs(5), Duration::from_millis(500))
    }
}

const HELP: &str = "\
Usage: cargo bench --bench whole -- [--quick] [--json] [--check] [--only NAME]... [--jobs N]

  --quick       short windows: shows that everything runs, numbers are rough
  --json        one JSON document on stdout instead of the table
  --check       exit 1 when a budget is missed
  --only NAME   program, idle, wire, submits, sheets or history (repeatable)
  --jobs N      jobs in the history section (default 1000, quick 200; the budget is for 10000)

MOZART_BIN names another program to measure.
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            say(&format!("Error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(served) = echo::serve_if_asked(&args) {
        served?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(plan) = parse(&args)? else {
        std::io::stdout().lock().write_all(HELP.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut report = Report::new(&plan)?;
    for (name, measure) in SECTIONS {
        if !plan.only.is_empty() && !plan.only.iter().any(|wanted| wanted == name) {
            continue;
        }
        say(&format!("measuring: {name}"));
        report.section(name);
        // One section that cannot run must not take the numbers of the others with it.
        if let Err(error) = measure(&plan, &mut report) {
            say(&format!("  {name} stopped: {error:#}"));
            report.failed(&format!("{error:#}"));
        }
    }
    let text = if plan.json { report.json()? } else { report.table() };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    let bad = report.has_failures() || (plan.check && report.is_over_budget());
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `None` = help was asked for.
fn parse(args: &[String]) -> Result<Option<Plan>> {
    let program = match std::env::var_os("MOZART_BIN") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_BIN_EXE_mozart")),
    };
    let program = program
        .canonicalize()
        .with_context(|| format!("cannot find the program to measure, `{}`", program.display()))?;
    let is_static = proc::is_static(&program)?;
    let mut plan =
        Plan { program, is_static, quick: false, jobs: 0, json: false, check: false, only: Vec::new() };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            // Cargo itself adds this one.
            "--bench" => (),
            "--quick" => plan.quick = true,
            "--json" => plan.json = true,
            "--check" => plan.check = true,
            "--only" => {
                let name = words.next().context("--only needs the name of a section")?;
                if !SECTIONS.iter().any(|(known, _)| known == name) {
                    bail!("there is no section `{name}`");
                }
                plan.only.push(name.clone());
            }
            "--jobs" => {
                let text = words.next().context("--jobs needs a number")?;
                plan.jobs = text.parse().with_context(|| format!("`{text}` is not a number of jobs"))?;
            }
            "--help" | "-h" => return Ok(None),
            other => bail!("unknown option `{other}`; try --help"),
        }
    }
    if plan.jobs == 0 {
        plan.jobs = plan.pick(1000, 200);
    }
    Ok(Some(plan))
}

/// Progress goes to stderr, so that stdout holds the result alone.
pub(crate) fn say(line: &str) {
    // Nobody may be reading; that does not change a number.
    _ = writeln!(std::io::stderr().lock(), "{line}");
}
