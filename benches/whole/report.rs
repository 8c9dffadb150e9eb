//! Rows, their budgets, and the two ways to print them.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::{Value, json};

use crate::Plan;

/// What a number is allowed to be.
#[derive(Clone, Copy)]
pub(crate) enum Budget {
    /// At most this much.
    AtMost(f64),
    /// At least this much.
    AtLeast(f64),
    /// Shown for orientation only.
    None,
}

impl Budget {
    fn verdict(self, value: f64) -> &'static str {
        match self {
            Self::AtMost(limit) if value <= limit => "ok",
            Self::AtLeast(limit) if value >= limit => "ok",
            Self::AtMost(_) | Self::AtLeast(_) => "OVER",
            Self::None => "",
        }
    }
}

/// How a row is judged against its budget.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The measured value itself.
    Value,
    /// Measured value divided by the reference.
    Ratio,
    /// Measured value minus the reference.
    Added,
}

/// One line of the result.
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// The number.
    pub(crate) value: f64,
    /// Unit of the number and of the reference.
    pub(crate) unit: &'static str,
    /// The least that the same work needs, and what that is.
    pub(crate) reference: Option<(&'static str, f64)>,
    /// What the budget is about.
    pub(crate) by: By,
    /// The budget.
    pub(crate) budget: Budget,
}

impl Row {
    /// The number that is compared with the budget, and its unit.
    fn judged(&self) -> (f64, &'static str) {
        let reference = self.reference.map_or(f64::NAN, |(_, value)| value);
        match self.by {
            By::Value => (self.value, self.unit),
            By::Ratio => (self.value / reference, "x"),
            By::Added => (self.value - reference, self.unit),
        }
    }

    fn verdict(&self) -> &'static str {
        self.budget.verdict(self.judged().0)
    }
}

/// Everything that one run found.
pub(crate) struct Report {
    head: Value,
    section: &'static str,
    rows: Vec<(&'static str, Row)>,
    failures: Vec<(&'static str, String)>,
}

impl Report {
    /// An empty report about this program and machine.
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let version = std::process::Command::new(&plan.program).arg("--version").output()?;
        let cores = std::thread::available_parallelism()?.get();
        let head = json!({
            "program": plan.program,
            "version": String::from_utf8_lossy(&version.stdout).trim(),
            "linked": if plan.is_static { "static" } else { "dynamic" },
            "cores": cores,
            "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
            "quick": plan.quick,
        });
        Ok(Self { head, section: "", rows: Vec::new(), failures: Vec::new() })
    }

    /// Rows from here on belong to this section.
    pub(crate) fn section(&mut self, name: &'static str) {
        self.section = name;
    }

    /// One more row.
    pub(crate) fn row(&mut self, row: Row) {
        crate::say(&format!("  {}: {} {}", row.name, number(row.value), row.unit));
        self.rows.push((self.section, row));
    }

    /// The section could not be measured to its end.
    pub(crate) fn failed(&mut self, why: &str) {
        self.failures.push((self.section, why.to_owned()));
    }

    /// Whether a section could not be measured.
    pub(crate) fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Whether a row misses its budget.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.rows.iter().any(|(_, row)| row.verdict() == "OVER")
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let head = ["", "measured", "reference", "compared", "budget", ""].map(str::to_owned);
        let mut lines = vec![head];
        for (_, row) in &self.rows {
            let (judged, unit) = row.judged();
            let compared = match row.by {
                By::Value => String::new(),
                By::Ratio => format!("{} x", number(judged)),
                By::Added => format!("{} {unit} added", number(judged)),
            };
            let budget = match row.budget {
                Budget::AtMost(limit) => format!("<= {} {unit}", number(limit)),
                Budget::AtLeast(limit) => format!(">= {} {unit}", number(limit)),
                Budget::None => String::new(),
            };
            let reference = row
                .reference
                .map_or_else(String::new, |(what, value)| format!("{} {} ({what})", number(value), row.unit));
            let measured = format!("{} {}", number(row.value), row.unit);
            lines.push([row.name.clone(), measured, reference, compared, budget, row.verdict().to_owned()]);
        }
        let mut out = String::new();
        let text = |key: &str| self.head[key].as_str().unwrap_or_default().to_owned();
        let quick = if self.head["quick"] == true { ", quick" } else { "" };
        _ = writeln!(
            out,
            "{} ({}), {} cores, Linux {}{quick}\n",
            text("version"),
            text("linked"),
            self.head["cores"],
            text("kernel"),
        );
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..6).map(width).collect();
        for line in &lines {
            let mut shown = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                _ = write!(shown, "{cell:<width$}  ");
            }
            _ = writeln!(out, "{}", shown.trim_end());
        }
        for (section, why) in &self.failures {
            _ = writeln!(out, "\nnot measured: {section}: {why}");
        }
        out
    }

    /// For programs: one document.
    pub(crate) fn json(&self) -> Result<String> {
        let rows: Vec<Value> = self.rows.iter().map(|(section, row)| row_json(section, row)).collect();
        let failures: Vec<Value> =
            self.failures.iter().map(|(section, why)| json!({ "section": section, "error": why })).collect();
        let document = json!({ "run": self.head, "rows": rows, "failures": failures });
        Ok(serde_json::to_string(&document)? + "\n")
    }
}

fn row_json(section: &str, row: &Row) -> Value {
    let (judged, judged_unit) = row.judged();
    let (kind, limit) = match row.budget {
        Budget::AtMost(limit) => ("at_most", Some(limit)),
        Budget::AtLeast(limit) => ("at_least", Some(limit)),
        Budget::None => ("none", None),
    };
    json!({
        "section": section,
        "name": row.name,
        "value": row.value,
        "unit": row.unit,
        "reference": row.reference.map(|(_, value)| value),
        "reference_name": row.reference.map(|(name, _)| name),
        "compared": judged,
        "compared_unit": judged_unit,
        "budget_kind": kind,
        "budget": limit,
        "ok": match row.verdict() { "ok" => Some(true), "OVER" => Some(false), _ => None },
    })
}

/// Three significant digits, no exponent.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}
