//! Tests against the real programs in temporary directories.

mod guard;
mod wait;
