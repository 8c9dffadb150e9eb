//! The ready sheets of a job, by what they want: those on the same instrument with the same
//! instruments after it wait in one queue, the most urgent first. A decision of the scheduler
//! looks at the heads alone, however many sheets wait behind them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::SheetNo;

/// Which chain of instruments, and where in it.
pub(super) type Kind = (u32, u32);

/// The first of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The most urgent sheet; of equal ones the lowest number.
    pub sheet: SheetNo,
    /// Sheets in the queue, this one included.
    pub count: u32,
}

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ready {
    all: BTreeSet<SheetNo>,
    queues: BTreeMap<Kind, BTreeSet<(i64, SheetNo)>>,
    /// The place of each sheet in its queue.
    places: Vec<Option<(Kind, i64)>>,
}

impl Ready {
    /// None of so many sheets.
    pub(super) fn none_of(count: usize) -> Self {
        Self { all: BTreeSet::new(), queues: BTreeMap::new(), places: vec![None; count] }
    }

    pub(super) fn insert(&mut self, num: SheetNo, kind: Kind, urgency: i64) {
        self.remove(num);
        self.all.insert(num);
        self.queues.entry(kind).or_default().insert((urgency, num));
        self.places[num.index()] = Some((kind, urgency));
    }

    pub(super) fn remove(&mut self, num: SheetNo) {
        let Some((kind, urgency)) = self.places[num.index()].take() else { return };
        self.all.remove(&num);
        if let Some(queue) = self.queues.get_mut(&kind) {
            queue.remove(&(urgency, num));
            if queue.is_empty() {
                self.queues.remove(&kind);
            }
        }
    }

    pub(super) fn contains(&self, num: SheetNo) -> bool {
        self.places.get(num.index()).is_some_and(Option::is_some)
    }

    /// All of them, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = SheetNo> + '_ {
        self.all.iter().copied()
    }

    /// The first of each queue.
    pub(super) fn heads(&self) -> impl Iterator<Item = Head> + '_ {
        self.queues.values().filter_map(|queue| {
            let &(_, sheet) = queue.first()?;
            Some(Head { sheet, count: u32::try_from(queue.len()).unwrap_or(u32::MAX) })
        })
    }
}

/// Less is more urgent: what is the same for all sheets of a job is left out.
pub(super) fn urgency(depth: u32, retries: u32) -> i64 {
    i64::from(depth) - i64::from(retries.min(10)) * 5
}
