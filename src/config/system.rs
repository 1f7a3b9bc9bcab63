//! What the machine allows: file descriptors and memory, read from /proc and the control groups.
//!
//! Elsewhere than on Linux nothing can be read without unsafe code; cautious values stand in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Config, UNLIMITED};

/// The limits of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Soft limit of open file descriptors; [`UNLIMITED`] if there is none.
    pub descriptors: usize,
    /// Smallest memory limit in bytes: control groups and physical memory.
    pub memory_bytes: usize,
}

impl Machine {
    /// Reads the limits of this process.
    pub fn read() -> Self {
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let group_limits = limit_files(&groups, Path::new("/sys/fs/cgroup"))
            .into_iter()
            // "max" is no number, and no limit.
            .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        let memory_bytes = group_limits.chain(total_memory(&memory)).min();
        Self {
            descriptors: open_files(&limits).unwrap_or(DESCRIPTORS_ASSUMED),
            memory_bytes: memory_bytes.unwrap_or(MEMORY_ASSUMED),
        }
    }
}

impl Config {
    /// Replaces "auto" in `[limits]` by what the machine allows, so that both fields are `Some`.
    #[must_use]
    pub fn effective(mut self, machine: &Machine) -> Self {
        let reserve = DESCRIPTORS_RESERVED.min(machine.descriptors / 2);
        self.limits.connections.get_or_insert(machine.descriptors - reserve);
        self.limits.queued_bytes.get_or_insert(machine.memory_bytes / 2);
        self
    }
}

/// Finds the soft limit in the table of /proc/self/limits.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(UNLIMITED),
        number => number.parse().ok(),
    }
}

/// Finds `MemTotal`, in bytes.
fn total_memory(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<usize>().ok()?.checked_mul(1024)
}

/// Lists the files that may hold a memory limit: those of the process's groups (version 1 and 2)
/// and of all groups above, whose limits hold as well. Inside a container the path of
/// /proc/self/cgroup may not exist, and the limit stands in the root.
fn limit_files(groups: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (base, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let relative = Path::new(path.trim_start_matches('/'));
        files.extend(relative.ancestors().map(|group| base.join(group).join(file)));
    }
    files
}

/// Descriptors kept for listeners, files, the runtime, and connections that are told why they are
/// refused.
const DESCRIPTORS_RESERVED: usize = 256;
/// The customary soft limit.
const DESCRIPTORS_ASSUMED: usize = 1024;
/// Memory assumed where none can be read: small enough for any machine of today.
const MEMORY_ASSUMED: usize = 512 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_first_column() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   524288   files\n";
        assert_eq!(open_files(text), Some(1024));
        assert_eq!(open_files("Max open files unlimited unlimited files"), Some(UNLIMITED));
        assert_eq!(open_files(""), None);
    }

    #[test]
    fn groups_above_count_too() {
        let root = Path::new("/r");
        assert_eq!(
            limit_files("0::/a/b\n", root),
            ["/r/a/b/memory.max", "/r/a/memory.max", "/r/memory.max"].map(PathBuf::from)
        );
        assert_eq!(
            limit_files("5:cpu:/x\n4:memory:/x\n", root),
            ["/r/memory/x/memory.limit_in_bytes", "/r/memory/memory.limit_in_bytes"]
                .map(PathBuf::from)
        );
    }

    #[test]
    fn automatic_limits_follow_the_machine() {
        let machine = Machine { descriptors: 20_000, memory_bytes: 4 << 30 };
        let limits = Config::default().effective(&machine).limits;
        assert_eq!(limits.connections, Some(20_000 - 256));
        assert_eq!(limits.queued_bytes, Some(2 << 30));
        let tiny = Machine { descriptors: 100, memory_bytes: 1 };
        assert_eq!(Config::default().effective(&tiny).limits.connections, Some(50));
    }

    #[test]
    fn chosen_limits_stay() {
        let mut config = Config::default();
        config.limits.connections = Some(7);
        let machine = Machine { descriptors: 20_000, memory_bytes: 1 };
        assert_eq!(config.effective(&machine).limits.connections, Some(7));
    }

    #[test]
    fn memory_is_counted_in_kibibytes() {
        assert_eq!(total_memory("MemTotal:  2 kB\nMemFree: 1 kB"), Some(2048));
    }
}
