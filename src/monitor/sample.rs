//! One sample: resident memory and processes of the conductor's tree.

use std::collections::{HashMap, HashSet};

use sysinfo::{
    Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind, get_current_pid,
};

use super::{Live, Scope};
use crate::pressure::Sample;

const MIB: f64 = 1024.0 * 1024.0;

/// Keeps the process table between samples while there is something to watch, so that only what
/// changes is read; lets go of it when there is not.
#[derive(Default)]
pub(super) struct Sampler {
    system: Option<System>,
}

impl Sampler {
    pub(super) fn sample(&mut self, live: &Live, scope: Scope) -> Sample {
        let Ok(own) = get_current_pid() else { return Sample::default() };
        if !live.any {
            self.system = None;
            // A table for one process, dropped again: cheaper to make than to keep.
            let memory_mb = table().and_then(|mut system| own_memory(&mut system, own));
            return Sample { memory_mb, processes: memory_mb.map(|_| 0), zombies: 0 };
        }
        if self.system.is_none() {
            self.system = table();
        }
        let Some(system) = &mut self.system else { return Sample::default() };
        tree(system, own, live, scope)
    }
}

/// An empty table that keeps no file open.
fn table() -> Option<System> {
    System::new().inspect_err(|error| log::debug!("monitor.probe_failed error={error}")).ok()
}

fn own_memory(system: &mut System, own: Pid) -> Option<f64> {
    let what = ProcessRefreshKind::nothing().without_tasks().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), true, what);
    Some(mib(system.process(own)?.memory()))
}

fn tree(system: &mut System, own: Pid, live: &Live, scope: Scope) -> Sample {
    let what = ProcessRefreshKind::nothing().without_tasks().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let Some(conductor) = system.process(own) else { return Sample::default() };
    let own_memory = conductor.memory();

    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for process in system.processes().values() {
        if let Some(parent) = process.parent() {
            children.entry(parent).or_default().push(process.pid());
        }
    }
    // Our own guards are among our children; whatever else is there came back to us as subreaper.
    let direct = children.get(&own).cloned().unwrap_or_default();
    let adopted =
        live.guards.iter().map(|pid| Pid::from_u32(*pid)).filter(|pid| system.process(*pid).is_some());
    let mut guards: HashSet<Pid> = adopted.collect();
    let unknown: Vec<Pid> = direct.iter().copied().filter(|pid| !guards.contains(pid)).collect();
    let with_arguments = ProcessRefreshKind::nothing().without_tasks().with_cmd(UpdateKind::OnlyIfNotSet);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&unknown), false, with_arguments);
    guards.extend(unknown.into_iter().filter(|pid| is_guard(system, *pid)));

    let (mut memory, mut processes, mut zombies) = (0_u64, 0_u32, 0_u32);
    let mut seen: HashSet<Pid> = HashSet::from([own]);
    let mut next: Vec<Pid> = direct.into_iter().chain(guards.iter().copied()).collect();
    while let Some(pid) = next.pop() {
        let Some(process) = system.process(pid).filter(|_| seen.insert(pid)) else { continue };
        next.extend(children.get(&pid).into_iter().flatten().copied());
        if matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead) {
            zombies += 1;
            continue;
        }
        memory = memory.saturating_add(process.memory());
        if !guards.contains(&pid) {
            processes += 1;
        }
    }
    let memory = match scope {
        Scope::Tree => memory.saturating_add(own_memory),
        Scope::Daemon => own_memory,
    };
    Sample { memory_mb: Some(mib(memory)), processes: Some(processes), zombies }
}

/// `mozart __guard DIR` or `mozart __bound ...`.
fn is_guard(system: &System, pid: Pid) -> bool {
    let Some(process) = system.process(pid) else { return false };
    process.cmd().get(1).is_some_and(|word| word == "__guard" || word == "__bound")
}

fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory sizes are far below 2^53 bytes")]
    let bytes = bytes as f64;
    bytes / MIB
}
