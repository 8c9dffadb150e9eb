//! What the documents of the program may say, as data: one table of keys per kind of document.
//!
//! For: the JSON Schemas that editors use and the reference pages, both made from the same tables. Not for:
//! decoding; that is done by `score`, `config`, `instrument` and `fleet`, which give better messages than a schema
//! can. Tests hold the two together: every key of a table is known to its decoder and the other way round, ranges
//! and defaults are those of the decoder, and a value that a decoder takes is never refused by the schema.
//!
//! Invariant: pure functions of constants; the same build always gives the same text.

mod config;
mod fleet;
mod instrument;
mod json;
mod key;
mod markdown;
mod score;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use key::{Default, Group, Key, Kind, Range};

/// Kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A score.
    Score,
    /// The configuration file of the conductor.
    Config,
    /// An instrument profile.
    Instrument,
    /// A fleet file.
    Fleet,
}

impl Document {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Score, Self::Config, Self::Instrument, Self::Fleet];

    /// The word that `mozart schema` takes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Config => "config",
            Self::Instrument => "instrument",
            Self::Fleet => "fleet",
        }
    }

    /// The JSON Schema (draft 2020-12) of such documents.
    #[must_use]
    pub fn json_schema(self) -> Value {
        match self {
            Self::Score => json::schema("Mozart score", score::ABOUT, score::GROUPS, json::Manner::Lenient),
            Self::Config => config::schema(),
            Self::Instrument => json::schema(
                "Mozart instrument profile",
                instrument::ABOUT,
                instrument::GROUPS,
                json::Manner::Strict,
            ),
            Self::Fleet => json::schema("Mozart fleet", fleet::ABOUT, fleet::GROUPS, json::Manner::Lenient),
        }
    }

    /// The tables of keys; `None` for the configuration, whose table is [`crate::config::FIELDS`].
    #[must_use]
    pub fn groups(self) -> Option<&'static [Group]> {
        match self {
            Self::Score => Some(score::GROUPS),
            Self::Config => None,
            Self::Instrument => Some(instrument::GROUPS),
            Self::Fleet => Some(fleet::GROUPS),
        }
    }
}

/// The keys of a score whose last step is this name, in the order of the reference.
pub(crate) fn paths_of_score(name: &str) -> Vec<&'static str> {
    let keys = score::GROUPS.iter().flat_map(|group| group.keys);
    keys.filter(|key| key.split().1 == name).map(|key| key.path).collect()
}

/// The reference page of scores, `docs/score-reference.md`.
#[must_use]
pub fn score_reference() -> String {
    markdown::page(score::INTRODUCTION, score::GROUPS, score::CLOSING)
}
