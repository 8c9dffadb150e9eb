//! The codes of everything that can go wrong with an attempt.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Code of an error, as `E001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table in `docs/errors.md` says what each code means")]
pub enum ErrorCode {
    E001,
    E002,
    E003,
    E004,
    E005,
    E006,
    E007,
    E008,
    E009,
    E101,
    E102,
    E103,
    E104,
    E201,
    E202,
    E203,
    E204,
    E209,
    E301,
    E302,
    E303,
    E304,
    E305,
    E306,
    E401,
    E402,
    E403,
    E404,
    E501,
    E502,
    E503,
    E504,
    E505,
    E601,
    E602,
    E603,
    E604,
    E701,
    E901,
    E902,
    E903,
    E904,
    E999,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
