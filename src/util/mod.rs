//! Small pure functions on text that several layers share. No state, no I/O.

pub mod pattern;
pub mod redact;
pub mod text;

pub use redact::redact;
pub use text::tail;
