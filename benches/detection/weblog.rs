//! A real web server's log of two days, without labels: what rings is to be explained, line by
//! line. Addresses are public in the log itself.

use std::path::Path;
use std::time::Duration;

use apitap::analysis::{Analysis, Settings};
use apitap::exchange::Exchange;
use apitap::time::Timestamp;

/// Half of the log is for learning.
const LEARNING: Duration = Duration::from_secs(20 * 3_600);

pub(crate) fn run(real: &Path) {
    let text = super::text(&real.join("elastic_apache_logs_first5k.gz"));
    let mut exchanges: Vec<_> = text.lines().filter_map(exchange).collect();
    exchanges.sort_by_key(|x| x.ts);
    let mut settings = Settings::default();
    settings.detect.learning = LEARNING;
    let mut analysis = Analysis::new(settings);
    let mut raised = Vec::new();
    for x in &exchanges {
        analysis.apply(x.ts, x, &mut raised);
    }
    let (from, until) = (exchanges[0].ts, exchanges[exchanges.len() - 1].ts);
    analysis.finish(until, &mut raised);
    println!(
        "\nWeb server's log: {} of {} lines, {from} to {until}, the first {} h learnt",
        exchanges.len(),
        text.lines().count(),
        LEARNING.as_secs() / 3_600
    );
    let first = raised.iter().filter(|alert| alert.revision == 1);
    let mut count = 0;
    for alert in first {
        count += 1;
        println!(
            "{} {} {:?} {}: {}",
            alert.ts, alert.kind, alert.severity, alert.detector, alert.summary
        );
        for why in &alert.why {
            println!("    {why}");
        }
        for sample in &alert.samples {
            println!("    {sample}");
        }
    }
    println!("{count} alerts");
}

/// `83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /x HTTP/1.1" 200 203023 "referer" "agent"`.
fn exchange(line: &str) -> Option<Exchange> {
    let (client, rest) = line.split_once(' ')?;
    let (_, rest) = rest.split_once('[')?;
    let (at, rest) = rest.split_once("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let mut parts = request.split(' ');
    let (method, target) = (parts.next()?, parts.next()?);
    let mut fields = rest.split(' ');
    let (status, bytes) = (fields.next()?, fields.next()?);
    let at = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", at).ok()?;
    let at = at.to_timestamp().ok()?.as_second();
    let mut x = Exchange::at(Timestamp::from_secs(at));
    x.client = client.parse().ok()?;
    x.method = Some(method.into());
    x.host = Some("semicomplete.com".into());
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    (x.path, x.query) = (Some(path.into()), query.map(Into::into));
    x.status = status.parse().ok();
    x.response_bytes = bytes.parse().ok();
    x.user_agent = rest.rsplit('"').nth(1).map(Into::into);
    Some(x)
}
