//! The keys of a fleet file.

use super::key::Default::{Is, Nothing, Required};
use super::key::Kind::{ByName, Filled, Label, List, OrNull, Section, Word};
use super::key::{Group, Key, key};

/// For the schema.
pub(super) const ABOUT: &str = "Several scores that are submitted together, some only after others.";

const KEYS: &[Key] = &[
    key("name", Label(1, 128), Required, "Id of the fleet.")
        .rule("a name that begins with a dot or contains a slash"),
    key("type", Word(&["fleet"]), Required, "What makes this file a fleet."),
    key("scores", List(&Section), Required, "The scores, at least one and at most 1000.")
        .rule("an empty list"),
    key("scores.*.path", Filled, Required, "Score file; relative to the fleet file.")
        .rule("a file that is not there, or that is itself a fleet"),
    key("scores.*.group", Filled, Nothing, "Group of the score; one without a group starts at once."),
    key("groups", ByName(&OrNull(&Section)), Is("{}"), "Groups, and what they wait for.")
        .rule("groups that wait for each other in a circle"),
    key("groups.*.depends_on", List(&Filled), Is("[]"), "Groups whose scores must have ended before.")
        .rule("a group that is not declared"),
];

/// All keys.
pub(super) const GROUPS: &[Group] = &[Group { title: "Fleet", text: "", keys: KEYS }];
