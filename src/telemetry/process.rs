//! The process as the kernel sees it, under the names that every Prometheus client gives it. What
//! cannot be read is left out.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::{MetricType, family, gauge};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Process {
    /// Wall time; the earliest time there is where it is not known.
    pub(super) started: Timestamp,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let encoder = &mut encoder;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = memory(&status, "VmRSS:") {
            let help = "Memory that is resident";
            gauge(encoder, "process_resident_memory_bytes", help, bytes)?;
        }
        if let Some(bytes) = memory(&status, "VmSize:") {
            let help = "Address space";
            gauge(encoder, "process_virtual_memory_bytes", help, bytes)?;
        }
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
        let help = "Time on processors, in user and system mode";
        let name = "process_cpu_seconds";
        let cpu = family(encoder, name, help, MetricType::Counter)?;
        ConstCounter::new(seconds).encode(cpu.0)?;
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            let help = "File descriptors that are open";
            gauge(encoder, "process_open_fds", help, open.count() as i64)?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let help = "File descriptors that may be open";
            gauge(encoder, "process_max_fds", help, most)?;
        }
        if self.started > Timestamp::MIN {
            let help = "When it started, seconds of the epoch";
            let at = self.started.secs();
            gauge(encoder, "process_start_time_seconds", help, at)?;
        }
        Ok(())
    }
}

/// A line such as `VmRSS:      1234 kB`.
fn memory(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tapitap\nVmSize:\t  9 kB\nVmRSS:\t   12 kB\n";
        assert_eq!(memory(status, "VmRSS:"), Some(12 << 10));
        assert_eq!(memory(status, "VmSwap:"), None);
    }
}
