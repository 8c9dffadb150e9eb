//! The scores of a fleet: the ids of their jobs, and whether their files can be what they are named for.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Fleet, Member, is_fleet};
use crate::score::Issue;

/// Looks at every member through `read`, which gives the text of a file or says why it cannot: a file that is not
/// there and a member that is itself a fleet are errors. Whether a member is a valid score is not looked at.
#[must_use]
pub fn check_members(fleet: &Fleet, read: &dyn Fn(&Path) -> Result<String, String>) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (index, member) in fleet.members.iter().enumerate() {
        let path = format!("scores.{index}.path");
        let shown = member.path.display();
        let issue = match read(&member.path) {
            Err(why) => Issue::error("fleet", &path, format!("Score not found: {shown}"))
                .hint(format!("{why}; the path is relative to the fleet file")),
            Ok(text) if is_fleet(&text) => {
                Issue::error("fleet", &path, format!("fleets cannot be nested: {shown}"))
                    .hint("list the scores of that fleet here")
            }
            Ok(_) => continue,
        };
        issues.push(issue.at(member.place));
    }
    issues
}

/// Gives every member an id of its own: the stem of its file, from the second on with a number.
pub(super) fn name_jobs(members: &mut [Member]) {
    let stem = |path: &Path| {
        path.file_stem().map_or_else(|| "score".to_owned(), |stem| stem.to_string_lossy().into())
    };
    let mut taken: BTreeSet<String> = BTreeSet::new();
    // A plain stem is kept for the first file that has it, whatever numbers others make up.
    let stems: Vec<String> = members.iter().map(|member| stem(&member.path)).collect();
    for (member, stem) in members.iter_mut().zip(&stems) {
        member.job_id = if taken.contains(stem) {
            (2..)
                .map(|number: usize| format!("{stem}-{number}"))
                .find(|id| !taken.contains(id) && !stems.contains(id))
                .expect("there are more numbers than members")
        } else {
            stem.clone()
        };
        taken.insert(member.job_id.clone());
    }
}
