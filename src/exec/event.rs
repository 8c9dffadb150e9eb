//! What is told about a job: names and fields of its events.
//!
//! What every sheet tells is kept as numbers and becomes JSON only when somebody listens: a step is short.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Counts, Execution, InstrumentRef, account};
use crate::classify::ErrorCode;
use crate::ids::SheetNo;

/// An event of a job, before the conductor adds job id, sequence number and time.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// `sheet.completed`, ... (conductor 8.1).
    pub name: &'static str,
    /// 0 = the job itself.
    pub sheet: u32,
    /// Its fields.
    pub facts: Facts,
}

/// The fields of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Facts {
    /// What came of an attempt.
    Result(Arc<Attempted>),
    /// An attempt runs.
    Started(Started),
    /// How the rules of an attempt went.
    Rules {
        /// Passed share of the executed ones, 0-100.
        share: f64,
        /// How many passed.
        passed: u32,
        /// How many were looked at.
        executed: u32,
    },
    /// How far the job is.
    Progress {
        /// Sheets that are done or not needed.
        completed: u32,
        /// All of them.
        total: usize,
    },
    /// What was spent, in micro-dollars.
    Cost {
        /// By the attempt.
        cost: u64,
        /// By its job so far.
        total: u64,
    },
    /// Anything else, as it is told.
    Other(Value),
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempted {
    instrument: InstrumentRef,
    attempt: u32,
    success: bool,
    share: Option<f64>,
    cost_micro: Option<u64>,
    seconds: f64,
    rate_limited: bool,
    /// How long the instrument asked to wait, in seconds.
    wait: Option<f64>,
    error: Option<ErrorCode>,
    total_sheets: usize,
}

/// An attempt that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    instrument: InstrumentRef,
    attempt: u32,
    pid: u32,
    total_sheets: usize,
}

impl JobEvent {
    /// An event of the job itself.
    #[must_use]
    pub fn of_job(name: &'static str, facts: impl Into<Facts>) -> Self {
        Self { name, sheet: 0, facts: facts.into() }
    }

    /// An event of one sheet.
    #[must_use]
    pub fn of_sheet(name: &'static str, num: SheetNo, facts: impl Into<Facts>) -> Self {
        Self { name, sheet: num.0, facts: facts.into() }
    }
}

impl From<Value> for Facts {
    fn from(data: Value) -> Self {
        Self::Other(data)
    }
}

impl Facts {
    /// The object that listeners get as `data`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Result(result) => result.to_json(),
            Self::Started(started) => started.to_json(),
            Self::Rules { share, passed, executed } => object([
                ("pass_rate", (*share).into()),
                ("passed", (*passed).into()),
                ("executed", (*executed).into()),
            ]),
            Self::Progress { completed, total } => {
                object([("completed", (*completed).into()), ("total", (*total).into())])
            }
            Self::Cost { cost, total } => object([
                ("cost_usd", account::dollars(*cost).into()),
                ("total_cost_usd", account::dollars(*total).into()),
            ]),
            Self::Other(data) => data.clone(),
        }
    }
}

impl Attempted {
    fn to_json(&self) -> Value {
        let mut data = object([
            ("instrument", self.instrument.name.as_ref().into()),
            ("attempt", self.attempt.into()),
            ("success", self.success.into()),
            ("validation_pass_rate", self.share.into()),
            ("cost_usd", self.cost_micro.map(account::dollars).into()),
            ("duration_seconds", self.seconds.into()),
            ("rate_limited", self.rate_limited.into()),
            ("error_classification", self.error.map(|code| code.to_string()).into()),
            ("model_used", self.instrument.model.as_deref().into()),
            ("total_sheets", self.total_sheets.into()),
        ]);
        if let Some(wait) = self.wait {
            data["seconds_remaining"] = wait.into();
        }
        data
    }
}

impl Started {
    fn to_json(&self) -> Value {
        object([
            ("attempt", self.attempt.into()),
            ("instrument", self.instrument.name.as_ref().into()),
            ("model", self.instrument.model.as_deref().into()),
            ("pid", self.pid.into()),
            ("total_sheets", self.total_sheets.into()),
        ])
    }
}

/// An event of the job itself.
pub(super) fn job(name: &'static str, data: Value) -> JobEvent {
    JobEvent::of_job(name, data)
}

/// An event of one sheet.
pub(super) fn sheet(name: &'static str, num: SheetNo, facts: impl Into<Facts>) -> JobEvent {
    JobEvent::of_sheet(name, num, facts)
}

/// `again`: it has run before, in this run or in an earlier one.
pub(super) fn begun(again: bool, epoch: u32, sheets: usize, instrument: &str) -> JobEvent {
    if again {
        job("job.resuming", json!({ "sheet_count": sheets, "run_epoch": epoch }))
    } else {
        job("job.started", json!({ "sheet_count": sheets, "instrument": instrument }))
    }
}

pub(super) fn progress(counts: &Counts, total: usize) -> JobEvent {
    JobEvent::of_job("job.progress", Facts::Progress { completed: counts.satisfied(), total })
}

pub(super) fn sheet_started(exec: &Execution, num: SheetNo, pid: u32) -> JobEvent {
    let started = Started {
        instrument: exec.instrument(num).clone(),
        attempt: exec.sheets[num.index()].ledger.attempt_count,
        pid,
        total_sheets: exec.sheets.len(),
    };
    sheet("sheet.started", num, Facts::Started(started))
}

/// The fields that every result of an attempt has. Read before the sheet changes its instrument.
pub(super) fn result(exec: &Execution, num: SheetNo, success: bool) -> Facts {
    Facts::Result(Arc::new(attempted(exec, num, success)))
}

/// The same for an attempt whose instrument asked to wait for so many seconds.
pub(super) fn limited(exec: &Execution, num: SheetNo, wait: f64) -> Facts {
    let result = attempted(exec, num, false);
    Facts::Result(Arc::new(Attempted { rate_limited: true, wait: Some(wait), ..result }))
}

fn attempted(exec: &Execution, num: SheetNo, success: bool) -> Attempted {
    let ledger = &exec.sheets[num.index()].ledger;
    let evidence = ledger.evidence.as_ref();
    Attempted {
        instrument: exec.instrument(num).clone(),
        attempt: ledger.attempt_count,
        success,
        share: ledger.pass_percentage,
        cost_micro: evidence.and_then(|evidence| evidence.cost_micro),
        seconds: evidence.map_or(0.0, |evidence| evidence.duration_seconds),
        rate_limited: false,
        wait: None,
        error: ledger.error.as_ref().map(|error| error.code),
        total_sheets: exec.sheets.len(),
    }
}

/// The wait that an instrument has asked for is over.
pub(super) fn cleared(exec: &Execution, num: SheetNo) -> JobEvent {
    sheet("rate_limit.cleared", num, json!({ "instrument": *exec.instrument(num).name }))
}

/// What an attempt has cost, and its job so far.
pub(super) fn cost_update(num: SheetNo, cost: u64, total: u64) -> JobEvent {
    sheet("job.cost_update", num, Facts::Cost { cost, total })
}

/// How the rules of an attempt went.
pub(super) fn rules(name: &'static str, num: SheetNo, share: f64, passed: u32, executed: u32) -> JobEvent {
    sheet(name, num, Facts::Rules { share, passed, executed })
}

/// An object whose map never grows.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut map = Map::with_capacity(N + 1);
    for (name, value) in members {
        map.insert(name.to_owned(), value);
    }
    Value::Object(map)
}
