//! From an exit and its output to an error code.

mod code;

pub use code::ErrorCode;
