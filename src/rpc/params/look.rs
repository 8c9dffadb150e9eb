//! Parameters of the methods that look back at a job.

use super::{Fields, Params, RpcError};
use crate::ids::{JobId, SheetNo};

/// Records of `job.history` when no limit is given.
const HISTORY_DEFAULT: u64 = 50;

/// `job.history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The job.
    pub job_id: JobId,
    /// Only attempts of this sheet; from 1.
    pub sheet_num: Option<SheetNo>,
    /// Most records, newest first: 1-10,000, default 50.
    pub limit: usize,
}

impl TryFrom<Params> for History {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        let limit = fields.integer("limit", 1..=10_000)?.unwrap_or(HISTORY_DEFAULT);
        Ok(Self {
            job_id: fields.job_id()?,
            sheet_num: fields.integer32("sheet_num", 1)?.map(SheetNo),
            limit: usize::try_from(limit).expect("at most 10,000"),
        })
    }
}

/// `job.watch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The job.
    pub job_id: JobId,
    /// Events from this sequence number on, as far as they are still kept; `None` is from now on.
    pub from_seq: Option<u64>,
    /// Also what the programs of its sheets print, as `sheet.output`. Default false.
    pub output: bool,
}

impl TryFrom<Params> for Watch {
    type Error = RpcError;

    fn try_from(params: Params) -> Result<Self, RpcError> {
        let mut fields = Fields::new(params)?;
        Ok(Self {
            job_id: fields.job_id()?,
            from_seq: fields.integer("from_seq", 0..=u64::MAX)?,
            output: fields.flag("output", false)?,
        })
    }
}
