//! Interfaces. The descriptor is polled, since libpcap's read time-out does not bound a read on a
//! quiet link; apitap sends nothing through it.

use std::net::IpAddr;
use std::time::Duration;

use pcap::{Active, Capture, Device, Precision};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Drops, Frame, LinkType, Polled, Source, SourceError, raw_or};
use crate::time::Timestamp;

#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// BPF, in libpcap's language.
    pub filter: String,
    /// Bytes kept of a packet. Offloads make frames of 64 KiB and more.
    pub snap_length: u32,
    /// Kernel ring, in bytes.
    pub buffer: u32,
    pub promiscuous: bool,
}

pub struct LiveSource {
    name: String,
    capture: Capture<Active>,
    link: LinkType,
    gone: bool,
}

impl LiveSource {
    pub fn open(name: &str, settings: &LiveSettings) -> Result<Self, SourceError> {
        let fail = |e: pcap::Error| SourceError {
            name: name.to_owned(),
            reason: reason(&e),
        };
        let mut capture = Capture::from_device(name)
            .map_err(fail)?
            .promisc(settings.promiscuous)
            .snaplen(i32::try_from(settings.snap_length).unwrap_or(i32::MAX))
            .buffer_size(i32::try_from(settings.buffer).unwrap_or(i32::MAX))
            .timeout(100)
            .precision(Precision::Nano)
            .open()
            .map_err(fail)?;
        if !settings.filter.is_empty() {
            capture
                .filter(&settings.filter, true)
                .map_err(|e| SourceError {
                    name: name.to_owned(),
                    reason: format!(
                        "the filter `{}` does not compile: {}",
                        settings.filter,
                        reason(&e)
                    ),
                })?;
        }
        let link = raw_or(capture.get_datalink().0);
        Ok(Self {
            name: name.to_owned(),
            capture: capture.setnonblock().map_err(fail)?,
            link,
            gone: false,
        })
    }
}

impl Source for LiveSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn poll(
        &mut self,
        patience: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        if self.gone {
            return Ok(Polled::End);
        }
        let fail = |reason: String| SourceError {
            name: self.name.clone(),
            reason,
        };
        let wait = Timespec {
            tv_sec: patience.as_secs().cast_signed(),
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        match poll(
            &mut [PollFd::new(&self.capture, PollFlags::IN)],
            Some(&wait),
        ) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(Polled::Idle),
            Ok(_) => {}
            Err(e) => return Err(fail(e.to_string())),
        }
        let link = self.link;
        match self
            .capture
            .dispatch(None, |packet| sink(frame(link, &packet)))
        {
            Ok(0) => Ok(Polled::Idle),
            Ok(_) => Ok(Polled::Frames),
            Err(e) => {
                self.gone = true;
                Err(fail(reason(&e)))
            }
        }
    }

    fn drops(&mut self) -> Drops {
        self.capture.stats().map_or_else(
            |_| Drops::default(),
            |s| Drops {
                kernel: u64::from(s.dropped),
                interface: u64::from(s.if_dropped),
            },
        )
    }

    fn live(&self) -> bool {
        true
    }
}

/// What libpcap can capture on: name, description, and whether it is up.
pub fn interfaces() -> Result<Vec<(String, String, bool)>, String> {
    let devices = Device::list().map_err(|e| reason(&e))?;
    Ok(devices
        .into_iter()
        .map(|d| (d.name, d.desc.unwrap_or_default(), d.flags.is_up()))
        .collect())
}

/// The addresses of this machine, as far as libpcap knows them.
pub fn addresses() -> Vec<IpAddr> {
    let devices = Device::list().unwrap_or_default();
    let all = devices.into_iter().flat_map(|d| d.addresses);
    all.map(|a| a.addr).collect()
}

/// libpcap's words, with the mend behind the two that everybody meets.
fn reason(e: &pcap::Error) -> String {
    let text = match e {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    };
    let lower = text.to_lowercase();
    if lower.contains("permi") {
        format!("{text}: run as root, or give the program the right with `setcap cap_net_raw+ep`")
    } else if lower.contains("no such device") || lower.contains("doesn't exist") {
        format!("{text}: `apitap interfaces` lists what there is")
    } else if lower.contains("is not up") {
        format!("{text}: `ip link set IFACE up` brings it up")
    } else {
        text
    }
}

/// libpcap's header with nanosecond precision: `tv_usec` holds nanoseconds.
fn frame<'a>(link: LinkType, packet: &pcap::Packet<'a>) -> Frame<'a> {
    let ts = packet.header.ts;
    let nanos = ts
        .tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(ts.tv_usec);
    Frame {
        ts: Timestamp::from_nanos(nanos),
        link,
        data: packet.data,
        wire_len: packet.header.len,
        interface: 0,
    }
}
