use std::net::Ipv4Addr;
use std::time::Duration;

use super::*;
use crate::catalog::Oddities;
use crate::time::Timestamp;

/// A Monday, at midnight.
const MONDAY: i64 = 1_767_571_200;

fn access(endpoint: Option<u32>) -> Access {
    Access {
        endpoint: endpoint.map(EndpointId),
        node: None,
        object: None,
        confirmed: true,
        login: false,
        complete: true,
        oddities: Oddities::default(),
    }
}

fn take(profile: &mut Profile, secs: i64, endpoint: Option<u32>, change: impl Fn(&mut Exchange)) {
    let mut x = Exchange::at(Timestamp::from_secs(MONDAY + secs));
    x.client = Ipv4Addr::new(192, 0, 2, 7).into();
    x.status = Some(200);
    change(&mut x);
    let at = super::super::clock(x.end.nanos(), None, Duration::ZERO);
    profile.take(&access(endpoint), &x, false, "curl".into(), &at);
}

#[test]
fn a_week_of_calls_is_told_by_day_and_hour() {
    let mut p = Profile::default();
    for day in 0..7 {
        for n in 0..3 {
            take(
                &mut p,
                day * 86_400 + 9 * 3_600 + n,
                Some(day as u32),
                |_| {},
            );
        }
        take(&mut p, day * 86_400 + 10 * 3_600, None, |x| {
            x.status = Some(404)
        });
    }
    assert_eq!((p.requests(), p.errors(), p.nowhere), (28, 7, 7));
    assert_eq!((p.reach(), p.days.len()), (7, 7));
    let monday = Day {
        at: (MONDAY / 86_400) as i32,
        requests: 4,
        errors: 1,
        reach: 1,
        new: 1,
    };
    assert_eq!(p.days[0], monday);
    let week = p.week.requests();
    assert!(week.iter().all(|day| day[9] == 3 && day[10] == 1));
    assert_eq!(week.iter().flatten().sum::<u64>(), 28);
    assert_eq!(p.first, MONDAY * 1_000_000_000 + 9 * 3_600_000_000_000);
    // Another fortnight puts out the days before.
    for day in 7..21 {
        take(&mut p, day * 86_400, Some(3), |_| {});
    }
    assert_eq!((p.days.len(), p.days[0].new), (DAYS, 0));
}

#[test]
fn hours_keep_their_shape_past_what_a_cell_holds() {
    let mut week = Week::default();
    // A hundred weeks with three of four requests in one hour, the rest in another.
    for _ in 0..100 {
        (0..7_500).for_each(|_| week.add(12 + 4 * 24));
        (0..2_500).for_each(|_| week.add(100));
    }
    let requests = week.requests();
    let all: u64 = requests.iter().flatten().sum();
    assert!((980_000..=1_000_000).contains(&all), "{all}");
    let noon = requests.iter().flatten().max().copied().unwrap_or(0);
    assert!(
        (0.70..0.80).contains(&(noon as f64 / all as f64)),
        "{noon} of {all}"
    );
}

#[test]
fn merged_endpoints_are_one_and_sketches_go_on_where_counters_end() {
    let mut p = Profile::default();
    for endpoint in 0..3 {
        take(&mut p, i64::from(endpoint), Some(endpoint), |_| {});
    }
    let mut renames = Renames::new();
    renames.add(EndpointId(0), EndpointId(2));
    p.renamed(&renames);
    assert_eq!(p.endpoints.ranked()[0], (&EndpointId(2), 2, 0));
    assert_eq!(p.reach(), 2);
    for endpoint in 10..210 {
        take(&mut p, 10, Some(endpoint), |_| {});
    }
    assert!((170..240).contains(&p.reach()), "{}", p.reach());
}

/// Beside what detectors keep, so that a principal stays below 4 KiB in all.
#[test]
fn a_profile_is_small_however_much_is_in_it() {
    let mut p = Profile::default();
    let heap = |p: &Profile| {
        let days = p.days.capacity() * size_of::<Day>();
        let tops = p.endpoints.heap() + p.clients.heap() + p.programs.heap() + p.countries.heap();
        size_of::<Profile>() + days + tops
    };
    take(&mut p, 0, Some(1), |_| {});
    let one = heap(&p);
    for n in 0..10_000_u32 {
        let country = [b'A' + (n % 26) as u8, b'A' + (n / 26 % 26) as u8];
        take(&mut p, i64::from(n) * 86_400, Some(n), |x| {
            x.client = Ipv4Addr::from(n).into();
            x.country = Some(std::str::from_utf8(&country).unwrap_or("DE").into());
        });
        let at = super::super::clock(MONDAY * 1_000_000_000, None, Duration::ZERO);
        let x = Exchange::at(Timestamp::from_secs(MONDAY));
        p.take(&access(None), &x, false, format!("program-{n}").into(), &at);
    }
    println!("a profile of one call: {one} bytes, at most {}", heap(&p));
    assert!(heap(&p) <= MOST, "{}", heap(&p));
    assert!(one <= 900, "{one}");
}
