//! What can be read off all sheets, kept up to date so that nobody has to look at all of them:
//! who waits for whom, who is ready, who runs, whose timer comes next, how many are where.
//!
//! Sheets with the same dependencies share one *gate*, so a stage of a thousand sheets after a
//! stage of a thousand costs two thousand links and not a million.
//! Everything here can be computed anew from the score and the sheets; [`Index::build`] does.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::ready::{self, Ready};
use super::{InstrumentRef, JobSpec, Sheet, SheetState, SkipReason};
use crate::ids::SheetNo;
use crate::time::Mono;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Index {
    gates: Vec<Gate>,
    /// The gate before each sheet.
    gate_of: Vec<u32>,
    /// The gates that each sheet helps to open.
    opens: Vec<Vec<u32>>,
    /// Longest chain of dependencies above each sheet.
    depths: Vec<u32>,
    /// The chain of instruments of each sheet; sheets with equal chains have the same number.
    chains: Vec<u32>,
    /// Pending sheets.
    pub(super) pending: BTreeSet<SheetNo>,
    /// Pending sheets whose dependencies are satisfied.
    pub(super) ready: Ready,
    /// Sheets that hold a slot.
    pub(super) active: BTreeSet<SheetNo>,
    /// Held sheets by the time they go on.
    pub(super) timers: BTreeSet<(Mono, SheetNo)>,
    /// How many are where.
    pub(super) counts: Counts,
}

#[derive(Debug, PartialEq, Eq)]
struct Gate {
    /// Dependencies not yet satisfied.
    open: u32,
    members: Vec<SheetNo>,
}

/// How many sheets of a job are in which state. The sum is the number of sheets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pending, ready or not.
    pub pending: u32,
    /// Dispatched or in progress.
    pub active: u32,
    /// Waiting for a rate limit.
    pub waiting: u32,
    /// Waiting for a retry.
    pub retrying: u32,
    /// Waiting for a person.
    pub fermata: u32,
    /// Completed.
    pub completed: u32,
    /// Failed.
    pub failed: u32,
    /// Skipped on purpose.
    pub skipped: u32,
    /// Skipped because a dependency did not succeed.
    pub blocked: u32,
    /// Cancelled.
    pub cancelled: u32,
}

impl Counts {
    /// Counts sheets.
    #[must_use]
    pub fn of(sheets: &[Arc<Sheet>]) -> Self {
        let mut counts = Self::default();
        for sheet in sheets {
            *counts.slot(&sheet.state) += 1;
        }
        counts
    }

    /// Sheets that are not terminal.
    #[must_use]
    pub const fn unfinished(&self) -> u32 {
        self.pending + self.active + self.waiting + self.retrying + self.fermata
    }

    /// Sheets that succeeded or were skipped on purpose.
    #[must_use]
    pub const fn satisfied(&self) -> u32 {
        self.completed + self.skipped
    }

    const fn slot(&mut self, state: &SheetState) -> &mut u32 {
        match state {
            SheetState::Pending => &mut self.pending,
            SheetState::Dispatched(_) | SheetState::InProgress(_) => &mut self.active,
            SheetState::Waiting { .. } => &mut self.waiting,
            SheetState::RetryScheduled { .. } => &mut self.retrying,
            SheetState::Fermata(_) => &mut self.fermata,
            SheetState::Completed { .. } => &mut self.completed,
            SheetState::Failed { .. } => &mut self.failed,
            SheetState::Skipped { reason: SkipReason::UpstreamFailed, .. } => &mut self.blocked,
            SheetState::Skipped { .. } => &mut self.skipped,
            SheetState::Cancelled { .. } => &mut self.cancelled,
        }
    }
}

impl Index {
    /// Reads everything off the score and the sheets.
    pub(super) fn build(spec: &JobSpec, sheets: &[Arc<Sheet>]) -> Self {
        let count = sheets.len();
        let mut gates: Vec<Gate> = Vec::new();
        let mut gate_of = Vec::with_capacity(count);
        let mut opens: Vec<Vec<u32>> = vec![Vec::new(); count];
        let mut known: HashMap<&[SheetNo], u32> = HashMap::new();
        for (at, sheet) in spec.sheets.iter().enumerate() {
            let gate = *known.entry(sheet.after.as_slice()).or_insert_with(|| {
                let gate = u32::try_from(gates.len()).expect("there are at most as many gates as sheets");
                let mut open = 0;
                let mut last = None;
                for &dependency in &sheet.after {
                    // The loader rejects numbers that do not exist; in an old record they count as satisfied.
                    let exists = dependency.0 >= 1 && dependency.index() < count;
                    if exists && last != Some(dependency) {
                        opens[dependency.index()].push(gate);
                        open += u32::from(!sheets[dependency.index()].state.satisfies());
                    }
                    last = Some(dependency);
                }
                gates.push(Gate { open, members: Vec::new() });
                gate
            });
            gates[gate as usize].members.push(SheetNo::from_index(at));
            gate_of.push(gate);
        }
        let depths = depths(&gates, &opens, count);
        let mut index = Self {
            gates,
            gate_of,
            opens,
            depths,
            chains: chains(spec),
            pending: BTreeSet::new(),
            ready: Ready::none_of(count),
            active: BTreeSet::new(),
            timers: BTreeSet::new(),
            counts: Counts::default(),
        };
        for sheet in sheets {
            index.enter(sheet);
        }
        index
    }

    /// A sheet has changed from `old` to what `sheets` says now.
    pub(super) fn moved(&mut self, sheets: &[Arc<Sheet>], num: SheetNo, old: &SheetState) {
        let sheet = &sheets[num.index()];
        self.leave(num, old);
        self.enter(sheet);
        if sheet.state.satisfies() && !old.satisfies() {
            for at in 0..self.opens[num.index()].len() {
                let gate = self.opens[num.index()][at] as usize;
                self.gates[gate].open -= 1;
                if self.gates[gate].open == 0 {
                    for at in 0..self.gates[gate].members.len() {
                        let member = &sheets[self.gates[gate].members[at].index()];
                        if member.state == SheetState::Pending {
                            self.queue(member);
                        }
                    }
                }
            }
        }
    }

    fn queue(&mut self, sheet: &Sheet) {
        let kind = (self.chains[sheet.num.index()], sheet.ledger.instrument_index);
        let urgency = ready::urgency(self.depth(sheet.num), sheet.ledger.attempt_count);
        self.ready.insert(sheet.num, kind, urgency);
    }

    /// The sheets that directly depend on one, in no order.
    pub(super) fn dependents(&self, num: SheetNo) -> impl Iterator<Item = SheetNo> + '_ {
        self.opens[num.index()].iter().flat_map(|&gate| self.gates[gate as usize].members.iter().copied())
    }

    /// Longest chain of dependencies above a sheet; 0 for one that has none.
    pub(super) fn depth(&self, num: SheetNo) -> u32 {
        self.depths[num.index()]
    }

    fn leave(&mut self, num: SheetNo, old: &SheetState) {
        *self.counts.slot(old) -= 1;
        match old {
            SheetState::Pending => {
                self.pending.remove(&num);
                self.ready.remove(num);
            }
            SheetState::Dispatched(_) | SheetState::InProgress(_) => _ = self.active.remove(&num),
            SheetState::Waiting { until } | SheetState::RetryScheduled { until } => {
                self.timers.remove(&(until.mono, num));
            }
            SheetState::Fermata(question) => {
                if let Some(until) = question.deadline {
                    self.timers.remove(&(until.mono, num));
                }
            }
            SheetState::Completed { .. }
            | SheetState::Failed { .. }
            | SheetState::Skipped { .. }
            | SheetState::Cancelled { .. } => {}
        }
    }

    fn enter(&mut self, sheet: &Sheet) {
        let num = sheet.num;
        *self.counts.slot(&sheet.state) += 1;
        match &sheet.state {
            SheetState::Pending => {
                self.pending.insert(num);
                if self.gates[self.gate_of[num.index()] as usize].open == 0 {
                    self.queue(sheet);
                }
            }
            SheetState::Dispatched(_) | SheetState::InProgress(_) => _ = self.active.insert(num),
            SheetState::Waiting { until } | SheetState::RetryScheduled { until } => {
                self.timers.insert((until.mono, num));
            }
            SheetState::Fermata(question) => {
                if let Some(until) = question.deadline {
                    self.timers.insert((until.mono, num));
                }
            }
            SheetState::Completed { .. }
            | SheetState::Failed { .. }
            | SheetState::Skipped { .. }
            | SheetState::Cancelled { .. } => {}
        }
    }
}

/// Numbers the different chains of instruments.
fn chains(spec: &JobSpec) -> Vec<u32> {
    let mut known: HashMap<&[InstrumentRef], u32> = HashMap::new();
    let mut last: Option<(&[InstrumentRef], u32)> = None;
    let number = |chain| {
        // Sheets in a row mostly share theirs.
        if let Some((same, number)) = last.filter(|(same, _)| *same == chain) {
            last = Some((same, number));
            return number;
        }
        let next = u32::try_from(known.len()).expect("there are at most as many chains as sheets");
        let number = *known.entry(chain).or_insert(next);
        last = Some((chain, number));
        number
    };
    spec.sheets.iter().map(|sheet| sheet.instruments.as_slice()).map(number).collect()
}

/// Longest chains, in the order in which gates open. Sheets on a cycle, which loading excludes, keep 0.
fn depths(gates: &[Gate], opens: &[Vec<u32>], count: usize) -> Vec<u32> {
    let mut missing = vec![0_u32; gates.len()];
    for gate in opens.iter().flatten() {
        missing[*gate as usize] += 1;
    }
    let mut level = vec![0_u32; gates.len()];
    let mut depths = vec![0_u32; count];
    let mut open: Vec<usize> = (0..gates.len()).filter(|&gate| missing[gate] == 0).collect();
    while let Some(gate) = open.pop() {
        for member in &gates[gate].members {
            depths[member.index()] = level[gate];
            for &next in &opens[member.index()] {
                let next = next as usize;
                level[next] = level[next].max(level[gate] + 1);
                missing[next] -= 1;
                if missing[next] == 0 {
                    open.push(next);
                }
            }
        }
    }
    depths
}
