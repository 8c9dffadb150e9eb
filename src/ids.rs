//! Names of jobs, sheets and attempts. Parsed once at the edge, then trusted.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Name of a job: 1-100 characters of `[A-Za-z0-9._-]`, the first a letter or digit.
/// It becomes part of file names, so nothing else is ever accepted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(Arc<str>);

/// Why a text is not a job id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobIdError {
    /// The text is empty.
    #[error("Score ID cannot be empty")]
    Empty,
    /// More than 100 characters.
    #[error("Score ID too long ({0} chars, max 100)")]
    TooLong(usize),
    /// A character outside the set, or a first character that is not a letter or digit.
    #[error(
        "Invalid score ID '{0}'. Must start with a letter or digit and contain only letters, digits, hyphens, underscores, and dots."
    )]
    Characters(String),
}

impl JobId {
    /// Checks and keeps a job name.
    pub fn new(text: &str) -> Result<Self, JobIdError> {
        let mut chars = text.chars();
        let Some(first) = chars.next() else { return Err(JobIdError::Empty) };
        let count = text.chars().count();
        if count > 100 {
            return Err(JobIdError::TooLong(count));
        }
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !first.is_ascii_alphanumeric() || !chars.all(inner) {
            return Err(JobIdError::Characters(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = JobIdError;
    fn try_from(text: String) -> Result<Self, JobIdError> {
        Self::new(&text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl std::borrow::Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Number of a sheet inside its job, from 1, after fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SheetNo(pub u32);

impl SheetNo {
    /// Position in a list of all sheets.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize - 1
    }

    /// The sheet at a position of a list of all sheets.
    ///
    /// # Panics
    /// When there are more than `u32::MAX` sheets, which loading a score excludes.
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        Self(u32::try_from(index + 1).expect("a score has at most 10,000 sheets"))
    }
}

impl fmt::Display for SheetNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of an attempt inside its job, from 1. Never used twice for one job id, fresh runs included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptNo(pub u32);

impl fmt::Display for AttemptNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 128 random bits as 32 hexadecimal digits: the mark by which everything that an attempt
/// started is recognised (`MOZART_SHEET_TOKEN` in its environment).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Token([u8; 32]);

impl Token {
    /// Writes 16 random bytes as a token. The caller brings the randomness.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(digits)
    }

    /// The 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("nothing but digits is let in")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.as_str().to_owned()
    }
}

impl TryFrom<String> for Token {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = <[u8; 32]>::try_from(text.as_bytes()).ok();
        let digits = digits.filter(|digits| digits.iter().all(|digit| DIGITS.contains(digit)));
        digits.map(Self).ok_or_else(|| format!("{text:?} is no token: 32 lower-case hexadecimal digits"))
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Full name of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttemptKey {
    /// Job.
    pub job: JobId,
    /// Sheet of the job.
    pub sheet: SheetNo,
    /// Attempt of the job.
    pub attempt: AttemptNo,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.job, self.sheet, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_their_digits() {
        let token = Token::from_bytes([0x00, 0x1f, 0xa0, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(token.as_str(), "001fa0ff0102030405060708090a0b0c");
        assert_eq!(Token::try_from(token.to_string()), Ok(token));
        for bad in
            ["", "001fa0ff0102030405060708090a0b0", "001FA0ff0102030405060708090a0b0c", &"ä".repeat(16)]
        {
            assert!(Token::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn job_ids_are_safe_file_names() {
        for good in ["a", "9", "a.b-c_d", &"x".repeat(100)] {
            assert_eq!(JobId::new(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", ".a", "-a", "a/b", "a b", "ä", "..", "a\0", &"x".repeat(101)] {
            assert!(JobId::new(bad).is_err(), "{bad:?}");
        }
    }
}
