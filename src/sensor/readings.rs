//! What the taps show at one moment: what the sources count and what the workers have learnt,
//! joined by tap. [`super::doctor`] judges it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::checks::Checks;
use super::pipeline::SourceStatus;
use super::sights::Sights;
use super::tap::{Flows, Frames, Networks, Segments, Volume};

/// One tap at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "TapForm")]
pub struct TapReading {
    pub name: String,
    pub live: bool,
    pub frames: Frames,
    pub flows: Flows,
    /// TLS handshakes by server port.
    pub hellos: BTreeMap<u16, u64>,
}

/// One item of `taps` in `/api/v1/sensor`.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Tap")]
struct TapForm {
    tap: String,
    live: bool,
    frames: u64,
    wire_bytes: u64,
    /// Frames that the snap length cut, and the bytes it cost.
    cut_frames: u64,
    cut_frame_bytes: u64,
    checksums: Checks,
    clock_backward: u64,
    clock_farthest_ns: u64,
    /// By reason.
    ignored: BTreeMap<&'static str, Volume>,
    malformed: BTreeMap<&'static str, Volume>,
    /// By kind of tunnel that frames came through.
    tunnels: BTreeMap<&'static str, Volume>,
    /// By server port.
    tls_handshakes: BTreeMap<u16, u64>,
    #[serde(flatten)]
    segments: Segments,
    #[serde(flatten)]
    flows: Flows,
}

impl schemars::JsonSchema for TapReading {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        TapForm::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        TapForm::json_schema(generator)
    }
}

impl From<TapReading> for TapForm {
    fn from(tap: TapReading) -> Self {
        let f = &tap.frames;
        Self {
            live: tap.live,
            frames: f.all.frames,
            wire_bytes: f.all.bytes,
            cut_frames: f.cut.frames,
            cut_frame_bytes: f.cut.bytes,
            checksums: f.checks,
            clock_backward: f.clock.backward,
            clock_farthest_ns: f.clock.farthest,
            ignored: f.all_ignored().map(|(r, v)| (r.name(), v)).collect(),
            malformed: f.all_malformed().map(|(r, v)| (r.name(), v)).collect(),
            tunnels: f.all_tunnels().map(|(t, v)| (t.name(), v)).collect(),
            tls_handshakes: tap.hellos,
            segments: f.segments,
            flows: tap.flows,
            tap: tap.name,
        }
    }
}

/// One source at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReading {
    pub name: String,
    pub live: bool,
    pub frames: u64,
    pub kernel_drops: u64,
    pub interface_drops: u64,
    /// Segments for which their worker had no room.
    pub shed: u64,
}

/// One overlay network at one moment; without a number: all that are past the bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct NetworkReading {
    pub vni: Option<u32>,
    #[serde(flatten)]
    pub segments: Segments,
    #[serde(flatten)]
    pub flows: Flows,
}

/// All that the doctor looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    pub taps: Vec<TapReading>,
    pub networks: Vec<NetworkReading>,
    pub sources: Vec<SourceReading>,
    /// Server ports on which an exchange was read.
    pub read_ports: Vec<u16>,
    /// Exchanges read.
    pub exchanges: u64,
}

impl Readings {
    /// What happened since an earlier reading of the same sensor. What is known for good (the
    /// ports on which something could be read, how far a clock went back) stays.
    pub fn since(&self, earlier: &Self) -> Self {
        let less: fn(u64, u64) -> u64 = u64::saturating_sub;
        let mut now = self.clone();
        for (mine, then) in now.taps.iter_mut().zip(&earlier.taps) {
            mine.frames.each(&then.frames, less);
            mine.flows.each(&then.flows, less);
            if mine.frames.clock.backward == 0 {
                mine.frames.clock.farthest = 0;
            }
            for (port, n) in &mut mine.hellos {
                *n -= then.hellos.get(port).copied().unwrap_or(0).min(*n);
            }
        }
        for (mine, then) in now.sources.iter_mut().zip(&earlier.sources) {
            for (a, b) in [
                (&mut mine.frames, then.frames),
                (&mut mine.kernel_drops, then.kernel_drops),
                (&mut mine.interface_drops, then.interface_drops),
                (&mut mine.shed, then.shed),
            ] {
                *a = less(*a, b);
            }
        }
        for mine in &mut now.networks {
            if let Some(then) = earlier.networks.iter().find(|n| n.vni == mine.vni) {
                mine.segments.each(&then.segments, less);
                mine.flows.each(&then.flows, less);
            }
        }
        now.exchanges = less(self.exchanges, earlier.exchanges);
        now
    }
}

/// Joins what the sources count to what the workers have learnt.
pub fn readings(sources: &[SourceStatus], sights: &Sights, exchanges: u64) -> Readings {
    let mut out = Readings {
        read_ports: sights.read_ports.iter().copied().collect(),
        exchanges,
        ..Readings::default()
    };
    let mut networks: Networks<NetworkReading> = Networks::default();
    for (index, source) in sources.iter().enumerate() {
        for (i, (name, frames)) in source.taps.iter().enumerate() {
            let tap = (index as u32) << 16 | i as u32;
            let hellos = sights.hellos.range((tap, 0)..=(tap, u16::MAX));
            out.taps.push(TapReading {
                name: name.clone(),
                live: source.live,
                frames: frames.clone(),
                flows: sights.taps.get(&tap).copied().unwrap_or_default(),
                hellos: hellos.map(|((_, port), n)| (*port, *n)).collect(),
            });
        }
        for (vni, segments) in source.networks.iter() {
            networks.at(vni).segments.each(segments, |a, b| a + b);
        }
        out.sources.push(SourceReading {
            name: match source.name.rsplit_once('/') {
                Some((_, file)) if !source.live => file.to_owned(),
                _ => source.name.clone(),
            },
            live: source.live,
            frames: source.frames.frames,
            kernel_drops: source.drops.kernel,
            interface_drops: source.drops.interface,
            shed: source.shed,
        });
    }
    for (vni, flows) in sights.networks.iter() {
        networks.at(vni).flows.each(flows, |a, b| a + b);
    }
    let named = networks.iter().map(|(vni, n)| NetworkReading { vni, ..*n });
    out.networks = named.filter(|n| n.segments.segments > 0).collect();
    out
}
