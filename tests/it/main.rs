//! Tests against the real programs in temporary directories, one file per subject.

#![allow(clippy::unwrap_used)]

mod agents;
mod band;
mod classify;
mod cli;
mod control;
mod descriptors;
mod examples;
mod explain;
mod fleet;
mod fuzz_corpus;
mod guard;
mod guide;
mod hooks;
mod hostile;
mod house;
mod init;
mod instruments;
mod invariants;
mod isolation;
mod jobs;
mod language;
mod layers;
mod limits;
#[cfg(feature = "http")]
mod notifications;
mod outside;
mod pages;
mod pressure;
mod recovery;
mod registry;
mod schema;
#[cfg(feature = "http")]
mod server;
#[cfg(feature = "http")]
mod services;
mod validate;
mod wait;
