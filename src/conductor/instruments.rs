//! What is known of instruments over all jobs (rate limits, breakers), kept over a restart.

use crate::exec::InstrumentRef;
use crate::ids::{JobId, SheetNo};
use crate::sched::{BreakerRecord, BreakerState, LimitRecord};
use crate::store::{InstrumentRow, Write};
use crate::time::Now;

use super::core::Core;

const LIMIT: &str = "limit";
const BREAKER: &str = "breaker";

impl Core {
    /// What an attempt says of its instrument.
    pub(super) fn instrument_said(
        &mut self,
        now: Now,
        on: &InstrumentRef,
        works: bool,
        job: &JobId,
        sheet: SheetNo,
    ) {
        let Some(change) = self.sched.instrument_said(now, on, works, job, sheet) else { return };
        let (name, model) = (&on.name, on.model.as_deref().unwrap_or(""));
        match change.to {
            BreakerState::Open => {
                let failures = change.failures;
                log::warn!("breaker.opened instrument={name:?} model={model:?} failures={failures}");
            }
            BreakerState::Closed => log::info!("breaker.closed instrument={name:?} model={model:?}"),
            BreakerState::HalfOpen => (),
        }
    }

    /// The row of everything that is known, when something of it has changed.
    pub(super) fn instruments_unstored(&self) -> Option<Write> {
        let (limits, breakers) = self.sched.unstored()?;
        let limits =
            limits.iter().map(|record| row(LIMIT, &record.instrument, record.model.as_deref(), record));
        let breakers =
            breakers.iter().map(|record| row(BREAKER, &record.instrument, record.model.as_deref(), record));
        Some(Write::Instruments(limits.chain(breakers).collect()))
    }

    /// What an earlier conductor knew.
    pub(super) fn restore_instruments(&mut self, now: Now) {
        let rows = self.store.instruments().unwrap_or_else(|error| {
            log::error!("registry.read_failed error={:?}", error.to_string());
            Vec::new()
        });
        let (mut limits, mut breakers): (Vec<LimitRecord>, Vec<BreakerRecord>) = (Vec::new(), Vec::new());
        for row in rows {
            let read = match row.kind.as_str() {
                LIMIT => serde_json::from_str(&row.data).map(|record| limits.push(record)),
                BREAKER => serde_json::from_str(&row.data).map(|record| breakers.push(record)),
                // Of a later version, which went back to this one.
                _ => Ok(()),
            };
            if let Err(error) = read {
                log::warn!(
                    "registry.instrument_unreadable instrument={:?} error={:?}",
                    row.instrument,
                    error.to_string()
                );
            }
        }
        self.sched.restore(now, limits, breakers);
    }
}

fn row(kind: &str, instrument: &str, model: Option<&str>, record: &impl serde::Serialize) -> InstrumentRow {
    InstrumentRow {
        kind: kind.to_owned(),
        instrument: instrument.to_owned(),
        model: model.unwrap_or("").to_owned(),
        data: serde_json::to_string(record).expect("a record is plain data"),
    }
}
