//! What jobs do, through the real program and scripted agents.

#![allow(clippy::unwrap_used)]

mod control;
mod job_log;
mod order;
mod prompts;
mod retries;
mod skips;
mod submit;
mod times;
mod views;
