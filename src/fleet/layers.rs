//! From groups and what they wait for to layers; what cannot be arranged is reported.

use super::{Group, Member};
use crate::score::decode::{At, Fields, nearest};

/// Reports groups that wait for a group that nobody declared.
pub(super) fn undefined(places: &[At<'_>], groups: &[Group]) {
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    for (at, group) in places.iter().zip(groups) {
        for wanted in &group.depends_on {
            if !names.contains(&wanted.as_str()) {
                let message = format!(
                    "Group '{}' depends on undefined group '{wanted}'. Defined groups: [{}]",
                    group.name,
                    names.join(", ")
                );
                let hint = match nearest(wanted, names.iter().copied()) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("declare it below `groups:`, as in `{wanted}: {{}}`, or remove it here"),
                };
                at.error_hint(message, hint);
            }
        }
    }
}

/// Members by layer; layers without members are left out. `None` after reporting a circle.
pub(super) fn arrange(
    f: &Fields<'_>,
    places: &[At<'_>],
    members: &[Member],
    groups: &[Group],
) -> Option<Vec<Vec<usize>>> {
    let index = |name: &str| groups.iter().position(|group| group.name == name);
    let needs: Vec<Vec<usize>> =
        groups.iter().map(|group| group.depends_on.iter().filter_map(|name| index(name)).collect()).collect();
    let mut depth: Vec<Option<usize>> = vec![None; groups.len()];
    // Each round settles every group whose needs are settled; a round without progress leaves a circle.
    loop {
        let settled = |group: usize| {
            needs[group]
                .iter()
                .map(|&need| depth[need])
                .try_fold(0, |most, depth| depth.map(|depth| most.max(depth + 1)))
        };
        let found: Vec<(usize, usize)> = (0..groups.len())
            .filter(|&group| depth[group].is_none())
            .filter_map(|group| Some((group, settled(group)?)))
            .collect();
        if found.is_empty() {
            break;
        }
        for (group, layer) in found {
            depth[group] = Some(layer);
        }
    }
    if let Some(stuck) = on_a_circle(&needs, &depth) {
        let name = &groups[stuck].name;
        places.get(stuck).unwrap_or(&f.at).error_hint(
            format!("Circular dependency detected involving group '{name}'"),
            "a group cannot wait for itself, not even through others; remove one of the 'depends_on'",
        );
        return None;
    }
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); groups.len() + 1];
    for (at, member) in members.iter().enumerate() {
        let group = member.group.as_deref().and_then(index);
        let layer = group.and_then(|group| depth[group]).unwrap_or(0);
        layers[layer].push(at);
    }
    layers.retain(|layer| !layer.is_empty());
    Some(layers)
}

/// A group that is part of a circle, not merely behind one: walking from an unsettled group to an unsettled need
/// must come to a group a second time.
fn on_a_circle(needs: &[Vec<usize>], depth: &[Option<usize>]) -> Option<usize> {
    let mut at = depth.iter().position(Option::is_none)?;
    let mut seen = vec![false; needs.len()];
    while !std::mem::replace(&mut seen[at], true) {
        at = *needs[at].iter().find(|need| depth[**need].is_none())?;
    }
    Some(at)
}
