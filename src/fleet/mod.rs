//! Fleet files: several scores that are submitted together, some only after others.
//!
//! For: reading a fleet file, finding all of its problems with their places, and arranging its groups in layers.
//! Not for: running a fleet, which this version does not do, or reading files: the text and a way to look at the
//! members are handed in.
//!
//! Invariants of a [`Fleet`] that exists: it has a member; every group that a member or another group names is
//! among its groups; the layers hold every member once, and a group stands in a later layer than all groups that it
//! waits for; the ids of the members differ.

mod layers;
mod members;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::score::decode::{At, Cx, Fields};
use crate::score::paths::resolve;
use crate::score::yaml::{self, Kind};
use crate::score::{Issue, document_name};

pub use members::check_members;

/// Most scores in a fleet.
pub const MAX_MEMBERS: usize = 1000;

/// What to say to somebody who submits a fleet.
pub const NOT_RUN: &str = "fleets are checked but not yet run, that comes with a later version: submit the scores that it lists one by one";

/// A fleet whose file has no errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fleet {
    /// Id of the fleet.
    pub name: String,
    /// Its scores, in the order of the file. At least one.
    pub members: Vec<Member>,
    /// Its groups: declared ones in the order of the file, then those that members name without declaring them.
    pub groups: Vec<Group>,
    /// Indexes into `members`: the first layer starts at once, each other one when the layer before it has ended.
    pub layers: Vec<Vec<usize>>,
}

/// One score of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The score file, absolute.
    pub path: PathBuf,
    /// Group; `None` starts in the first layer.
    pub group: Option<String>,
    /// Id of its job: the stem of the file, with a number when two members have the same.
    pub job_id: String,
    /// Line and column of the path.
    #[serde(skip)]
    pub(crate) place: Option<(u32, u32)>,
}

/// Scores that start together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// As members name it.
    pub name: String,
    /// Groups whose members must have ended before.
    pub depends_on: Vec<String>,
}

/// Result of loading.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// `None` exactly when there is an error among the issues.
    pub fleet: Option<Fleet>,
    /// All problems, in the order of the document.
    pub issues: Vec<Issue>,
}

/// Whether a text is a fleet file: a mapping with `type: fleet`. A text that is no YAML is none.
#[must_use]
pub fn is_fleet(text: &str) -> bool {
    let Ok(root) = yaml::parse(text) else { return false };
    let Kind::Map(entries) = &root.kind else { return false };
    entries.iter().any(|entry| {
        entry.key.as_str() == Some("type") && matches!(&entry.value.kind, Kind::Str(text) if text == "fleet")
    })
}

/// Loads a fleet file. Relative paths stand in `base`, the directory of the file. Its members are not looked at:
/// that is [`check_members`].
#[must_use]
pub fn load(text: &str, base: &Path) -> Loaded {
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let issue = Issue::error("yaml", "", format!("YAML syntax error: {error}"));
            return Loaded { fleet: None, issues: vec![issue.at(Some((error.line, error.column)))] };
        }
    };
    let cx = Cx::new("fleet field", &[("score", "scores"), ("group", "groups"), ("members", "scores")]);
    let fleet = At::root(&cx, &root).section(|f| decode(f, base)).flatten();
    let issues = cx.into_issues();
    let refused = issues.iter().any(Issue::is_error);
    Loaded { fleet: fleet.filter(|_| !refused), issues }
}

fn decode(f: &mut Fields<'_>, base: &Path) -> Option<Fleet> {
    let name = f.required("name").and_then(|at| document_name(&at));
    f.required("type").and_then(|at| at.one_of(&[("fleet", ())]));
    let scores = f.required("scores");
    let mut members = scores.as_ref().and_then(|at| decode_members(at, base)).unwrap_or_default();
    let mut groups = Vec::new();
    let mut places = Vec::new();
    if let Some(at) = f.present("groups") {
        let read = at.named(|name, at| Some((at.clone(), group(name, at)?))).unwrap_or_default();
        for (_, (at, group)) in read {
            places.push(at);
            groups.push(group);
        }
        layers::undefined(&places, &groups);
    }
    members::name_jobs(&mut members);
    undeclared(f, &members, &mut groups);
    let layers = layers::arrange(f, &places, &members, &groups)?;
    Some(Fleet { name: name?, members, groups, layers })
}

fn decode_members(at: &At<'_>, base: &Path) -> Option<Vec<Member>> {
    let mut count = 0_usize;
    let members = at.list(|at| {
        count += 1;
        if count > MAX_MEMBERS {
            return None;
        }
        at.section(|f| {
            let path = f.required("path");
            let place = path.as_ref().and_then(At::place);
            let path = path.and_then(|at| at.filled_text().map(|text| resolve(base, text)));
            let group = f.opt_filled("group");
            Some(Member { path: path?, group, job_id: String::new(), place })
        })?
    })?;
    match count {
        0 => at.error_hint("List should have at least 1 item", "write:\nscores:\n  - path: first.yaml"),
        n if n > MAX_MEMBERS => at.error(format!("List should have at most {MAX_MEMBERS} items")),
        _ => (),
    }
    Some(members)
}

fn group(name: &str, at: &At<'_>) -> Option<Group> {
    let group = |depends_on| Group { name: name.to_owned(), depends_on };
    if name.is_empty() {
        at.error("the name of a group must not be empty");
        return None;
    }
    if at.is_null() {
        return Some(group(Vec::new()));
    }
    at.section(|f| group(f.list("depends_on", |at| at.filled_text().map(str::to_owned))))
}

/// A group that only members name is one without dependencies; it may as well be a typing error.
fn undeclared(f: &Fields<'_>, members: &[Member], groups: &mut Vec<Group>) {
    for member in members {
        let Some(name) = &member.group else { continue };
        if groups.iter().any(|group| group.name == *name) {
            continue;
        }
        let message = format!("group '{name}' is not declared under 'groups'; it depends on nothing");
        f.at.cx.push(Issue::warning("schema", "scores", message).at(member.place));
        groups.push(Group { name: name.clone(), depends_on: Vec::new() });
    }
}
