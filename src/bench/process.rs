//! What a server process has used: CPU time and memory, from /proc.
//!
//! CPU comes from the scheduler's nanoseconds of every thread, because the ticks of /proc/PID/stat
//! are 10 ms; only the share of user time comes from the ticks. A thread that has ended is missing
//! from the sum, which matters little: servers keep their threads.

use std::{fs, path::Path};

/// Use of one or several processes at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU time of all threads.
    pub(super) cpu_ns: u64,
    /// Ticks in user mode.
    pub(super) user_ticks: u64,
    /// Ticks in the kernel.
    pub(super) system_ticks: u64,
    /// Resident memory.
    pub(super) rss_bytes: u64,
    /// The anonymous part of it, which is what user-space code has allocated.
    pub(super) anonymous_bytes: u64,
}

impl Usage {
    /// Adds up the processes; `None` if one of them is not there.
    pub(super) fn of(pids: &[u32]) -> Option<Self> {
        let mut sum = Self::default();
        for pid in pids {
            sum.add(&Path::new("/proc").join(pid.to_string()))?;
        }
        Some(sum)
    }

    /// Reads the CPU time of the calling thread; 0 where it cannot be read.
    pub(super) fn own_thread_ns() -> u64 {
        fs::read_to_string("/proc/thread-self/schedstat")
            .ok()
            .as_deref()
            .and_then(on_cpu)
            .unwrap_or(0)
    }

    fn add(&mut self, process: &Path) -> Option<()> {
        let (user, system) = ticks(&fs::read_to_string(process.join("stat")).ok()?)?;
        let threads = fs::read_dir(process.join("task")).ok()?;
        let scheduled: u64 = threads
            .filter_map(|thread| {
                on_cpu(&fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?)
            })
            .sum();
        let status = fs::read_to_string(process.join("status")).ok()?;
        self.cpu_ns += if scheduled > 0 { scheduled } else { (user + system) * TICK_NS };
        self.user_ticks += user;
        self.system_ticks += system;
        self.rss_bytes += kibibytes(&status, "VmRSS:")?;
        // Kernels before 4.5 do not tell it.
        self.anonymous_bytes += kibibytes(&status, "RssAnon:").unwrap_or(0);
        Some(())
    }
}

/// Reads utime and stime. The name in parentheses may contain anything, so fields count from the
/// last `)`. Source: proc_pid_stat(5), fields 14 and 15.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Reads the first field of schedstat: nanoseconds on the CPU.
fn on_cpu(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Length of a tick on Linux, whatever the kernel's own rate (USER_HZ is 100 everywhere).
const TICK_NS: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_hostile_name() {
        let stat = "12 (a) b (c)) S 1 1 1 0 -1 4194304 1 0 0 0 71 29 0 0 20 0 1 0 5 1 1";
        assert_eq!(ticks(stat), Some((71, 29)));
        assert_eq!(ticks("12 (a) S"), None);
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t     1 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(2 << 20));
        assert_eq!(kibibytes(status, "RssAnon:"), Some(1024));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn the_own_process_can_be_read_and_no_process_cannot() {
        let usage = Usage::of(&[std::process::id()]).unwrap();
        assert!(usage.rss_bytes > 0, "{usage:?}");
        assert_eq!(Usage::of(&[u32::MAX]), None);
    }
}
