//! HTTP/2 joined late: every real capture of it is started at each of its packets in turn. What is
//! then shown must be what the whole capture shows, or absent; never another value.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apitap::capture::{FileSource, Frame, Polled, Source, SourceError};
use apitap::exchange::Exchange;
use apitap::sensor::{Inline, Settings};

/// A source whose first packets were missed.
struct Late {
    inner: FileSource,
    missed: usize,
}

impl Source for Late {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn poll(
        &mut self,
        patience: Duration,
        sink: &mut dyn FnMut(Frame<'_>),
    ) -> Result<Polled, SourceError> {
        let missed = &mut self.missed;
        self.inner.poll(patience, &mut |frame| {
            if *missed == 0 {
                sink(frame);
            } else {
                *missed -= 1;
            }
        })
    }
}

struct Heard {
    exchanges: Vec<Exchange>,
    frames: u64,
    /// Packets were changed after they were captured.
    damaged: bool,
}

fn listen(path: &Path, missed: usize) -> Heard {
    let inner = FileSource::open(path).expect("opens");
    let mut source = Late { inner, missed };
    let settings = Settings {
        mask: false,
        ..Settings::default()
    };
    let mut sensor = Inline::new(&settings);
    let mut exchanges = Vec::new();
    while let Ok(Polled::Frames | Polled::Idle) = sensor.poll(&mut source) {
        exchanges.extend(sensor.ready().into_iter().map(|r| *r.exchange));
    }
    exchanges.extend(sensor.finish().into_iter().map(|r| *r.exchange));
    let ledger = sensor.ledger();
    assert!(ledger.balanced(), "{} from {missed}", path.display());
    Heard {
        exchanges,
        frames: sensor.frames().frames,
        damaged: !ledger.stages["frame"].malformed.is_empty(),
    }
}

/// The captures that the index names as HTTP/2.
fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    let Ok(index) = std::fs::read_to_string(folder.join("index.csv")) else {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return Vec::new();
    };
    let is_http2 = |line: &&str| {
        let category = line.split(',').nth(2);
        matches!(category, Some("http2-cleartext" | "grpc" | "h2c-upgrade"))
    };
    let named = index.lines().filter(is_http2);
    named
        .filter_map(|line| Some(folder.join(line.split(',').next()?)))
        .collect()
}

fn agrees<T: PartialEq>(late: &Option<T>, whole: &Option<T>) -> bool {
    late.is_none() || late == whole
}

/// Whether `late` may be what is left of `whole`.
fn is_part_of(late: &Exchange, whole: &Exchange) -> bool {
    agrees(&late.method, &whole.method)
        && agrees(&late.host, &whole.host)
        && agrees(&late.path, &whole.path)
        && agrees(&late.query, &whole.query)
        && agrees(&late.status, &whole.status)
        && agrees(&late.content_type, &whole.content_type)
        && agrees(&late.request_content_type, &whole.request_content_type)
        && agrees(&late.user_agent, &whole.user_agent)
        && agrees(&late.grpc_status, &whole.grpc_status)
        && agrees(&late.request_messages, &whole.request_messages)
        && agrees(&late.response_messages, &whole.response_messages)
}

#[test]
fn started_at_each_packet_nothing_is_ever_wrong() {
    let (mut requests, mut resolved, mut starts) = (0, 0, 0);
    for path in captures() {
        let whole = listen(&path, 0);
        if whole.damaged {
            // The whole of it is no truth to compare with.
            continue;
        }
        let mut flows: HashMap<_, Vec<&Exchange>> = HashMap::new();
        for x in &whole.exchanges {
            let ends = (x.client, x.client_port, x.server, x.server_port);
            flows.entry(ends).or_default().push(x);
        }
        for missed in 1..=whole.frames as usize {
            starts += 1;
            let late = listen(&path, missed);
            assert!(late.exchanges.len() <= whole.exchanges.len() + 1);
            for x in &late.exchanges {
                let ends = (x.client, x.client_port, x.server, x.server_port);
                // The request's first packet is the same one, where the request was seen.
                let same = |w: &&&Exchange| x.partial.no_request || x.ts == w.ts;
                let found = flows.get(&ends).into_iter().flatten();
                let found = found.filter(same).any(|w| is_part_of(x, w));
                assert!(found, "{} from {missed}: {x:?}", path.display());
                if &*x.protocol == "http/2" && !x.partial.no_request {
                    requests += 1;
                    resolved += usize::from(x.path.is_some());
                }
            }
        }
    }
    eprintln!(
        "joined late {starts} times: the path of {resolved} of {requests} requests is resolved"
    );
    assert!(resolved * 2 >= requests, "{resolved} of {requests}");
}
