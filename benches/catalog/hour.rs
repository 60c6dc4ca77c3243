//! An hour of traffic through catalogue and detection: 10,000 endpoints, 100,000 principals, 1,000
//! exchanges a second of packet time. Prints, for each tenth of the hour, exchanges a second of CPU
//! and the memory, and how the last tenth compares with the second (in the first all is new); fails
//! where endpoints or principals are lost.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use apitap::analysis::Analysis;

use super::scale::{self, Size, Traffic};

const PARTS: u64 = 10;

/// Whether all endpoints and principals were still there at the end.
pub(crate) fn run(endpoints: u64, principals: u64, exchanges: u64) -> bool {
    let size = Size {
        endpoints,
        principals,
        steady: exchanges / PARTS,
        spec: false,
        whole: false,
    };
    let mut settings = scale::settings(size);
    // Scores are collected and bars judged from the start.
    settings.detect.learning = Duration::ZERO;
    let (mut analysis, mut traffic) = (Analysis::new(settings), Traffic::new(size));
    traffic.step = Duration::from_secs(3_600) / exchanges.max(1) as u32;
    let mut alerts = Vec::new();
    for endpoint in (0..endpoints).cycle().take(3 * endpoints as usize) {
        let x = traffic.call(endpoint, endpoint % principals, true);
        analysis.apply(x.end, x, &mut alerts);
    }
    println!("minute  exchanges/s  MiB  principals  alerts");
    let mut rates = Vec::new();
    for part in 1..=PARTS {
        let since = Instant::now();
        let rang = scale::evenly(&mut analysis, &mut traffic, size);
        rates.push(size.steady as f64 / since.elapsed().as_secs_f64());
        let (followed, memory) = (analysis.detect.principals().0, scale::memory("VmRSS:"));
        let rate = rates.last().unwrap();
        println!(
            "{:>6}  {rate:>11.0}  {memory:>3}  {followed:>10}  {rang:>6}",
            part * 60 / PARTS
        );
    }
    let confirmed = analysis
        .view()
        .endpoints
        .iter()
        .filter(|e| e.confirmed)
        .count() as u64;
    println!(
        "the last tenth beside the second: {:.2}",
        rates[9] / rates[1]
    );
    let sound = confirmed == endpoints && analysis.detect.principals().0 as u64 == principals;
    if !sound {
        println!(
            "NOT SOUND: {confirmed} endpoints, {:?} principals",
            analysis.detect.principals()
        );
    }
    sound
}
