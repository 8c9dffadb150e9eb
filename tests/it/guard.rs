//! Guards against the real `mozart` program: nothing is lost, nothing is left.
#![allow(clippy::unwrap_used)]

mod bound;
mod end;
mod output;
mod restart;
mod run;
mod support;
