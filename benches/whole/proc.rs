//! What `/proc` and the file system say about a process and a program. Linux only, like the numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Resident memory in MB.
pub(crate) fn resident_mb(pid: u32) -> Result<f64> {
    Ok(kib_of(&format!("/proc/{pid}/status"), &["VmRSS:"])? / 1024.0)
}

/// Memory that belongs to this process alone, in MB.
pub(crate) fn private_mb(pid: u32) -> Result<f64> {
    Ok(kib_of(&format!("/proc/{pid}/smaps_rollup"), &["Private_Clean:", "Private_Dirty:"])? / 1024.0)
}

fn kib_of(path: &str, keys: &[&str]) -> Result<f64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let mut sum = None;
    for line in text.lines() {
        if let Some(rest) = keys.iter().find_map(|key| line.strip_prefix(key)) {
            let kib: f64 = rest.trim().trim_end_matches("kB").trim().parse()?;
            sum = Some(sum.unwrap_or(0.0) + kib);
        }
    }
    sum.with_context(|| format!("{path} does not say {}", keys.join(", ")))
}

/// What the threads of a process have used so far.
pub(crate) struct Usage {
    /// Time on a CPU, all threads.
    pub(crate) cpu: Duration,
    /// Voluntary switches by thread: each is one wake-up.
    pub(crate) wakeups: BTreeMap<u32, u64>,
}

/// Reads it now.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let mut usage = Usage { cpu: Duration::ZERO, wakeups: BTreeMap::new() };
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("cannot list the threads")? {
        let entry = entry?;
        let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Nanoseconds; the clock ticks of `stat` are too coarse for a process that does nothing.
        let sched = fs::read_to_string(entry.path().join("schedstat"))?;
        let nanos = sched.split(' ').next().unwrap_or_default().parse()?;
        usage.cpu += Duration::from_nanos(nanos);
        let status = fs::read_to_string(entry.path().join("status"))?;
        let switches = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .context("no voluntary_ctxt_switches")?;
        usage.wakeups.insert(tid, switches.trim().parse()?);
    }
    Ok(usage)
}

/// A process below `root` whose command line holds this argument.
pub(crate) fn descendant_with_argument(root: u32, argument: &str) -> Option<u32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in parentheses may hold spaces; the parent is the second field after it.
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        if let Some(parent) = rest.split(' ').nth(1).and_then(|text| text.parse::<u32>().ok()) {
            parents.insert(pid, parent);
        }
    }
    let below = |mut pid: u32| {
        while let Some(&parent) = parents.get(&pid) {
            if parent == root {
                return true;
            }
            pid = parent;
        }
        false
    };
    parents.keys().copied().find(|&pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).any(|word| word == argument.as_bytes()) && below(pid)
    })
}

/// Whether an ELF program needs no dynamic loader: it has no `PT_INTERP` program header.
pub(crate) fn is_static(program: &Path) -> Result<bool> {
    const PT_INTERP: u32 = 3;
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let field = |at: usize, len: usize| -> u64 {
        let mut value = [0; 8];
        if let Some(part) = bytes.get(at..at + len) {
            value[..len].copy_from_slice(part);
        }
        u64::from_le_bytes(value)
    };
    if bytes.get(..5) != Some(b"\x7fELF\x02") {
        return Ok(false);
    }
    let headers = usize::try_from(field(32, 8))?;
    let (size, count) = (usize::try_from(field(54, 2))?, usize::try_from(field(56, 2))?);
    Ok((0..count).all(|index| field(headers + index * size, 4) != u64::from(PT_INTERP)))
}

/// Middle value of a sorted list.
pub(crate) fn median(sorted: &[Duration]) -> Duration {
    quantile(sorted, 0.5)
}

/// The value below which this share of a sorted list lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "positions in a list of a few million"
)]
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// Milliseconds with fraction.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Microseconds with fraction.
pub(crate) fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
