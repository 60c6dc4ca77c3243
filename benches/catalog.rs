//! A large inventory: 100,000 endpoints and 1,000,000 principals beside 1,000 of each. Prints what
//! an exchange costs, what publishing and checkpoints cost, and the memory; fails where a count is
//! not what it must be, or the memory is past the budget. Where valgrind is, it counts an exchange's
//! instructions too (`catalog/instructions.sh`).
//!
//! `cargo bench --bench catalog` (or `make bench-catalog`). Each size runs in a process of its own,
//! so that its memory is its own. `SIZE="endpoints principals steady spec"` runs one size alone, and
//! `HOUR="endpoints principals exchanges"` an hour of traffic.
#![allow(clippy::unwrap_used)]

#[path = "catalog/hour.rs"]
mod hour;
#[path = "catalog/scale.rs"]
mod scale;

use std::process::{Command, ExitCode};

use scale::{Figures, Size};

/// Endpoints, principals, and whether a spec is loaded. With 100,000 of both the default budgets are
/// full.
const SIZES: [(u64, u64, bool); 7] = [
    (1_000, 1_000, false),
    (1_000, 1_000, true),
    (100_000, 1_000, false),
    (100_000, 1_000, true),
    (100_000, 100_000, false),
    (1_000, 1_000_000, false),
    (100_000, 1_000_000, false),
];

fn main() -> ExitCode {
    if let Ok(size) = std::env::var("SIZE") {
        return one(&size);
    }
    if let Ok(size) = std::env::var("HOUR") {
        return one_hour(&size);
    }
    println!(
        "endpoints principals spec | ns an exchange: new endpoint, new principal, even, skewed | ms: \
         view all, 1 %, none, new day; settle; save, restore | MiB: saved, in memory, peak with a \
         restored copy"
    );
    let sound = SIZES.map(|(endpoints, principals, spec)| {
        let size = format!("{endpoints} {principals} 200000 {}", u8::from(spec));
        let own = std::env::current_exe().unwrap();
        Command::new(own)
            .env("SIZE", size)
            .status()
            .unwrap()
            .success()
    });
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/catalog/instructions.sh"
    );
    let own = std::env::current_exe().unwrap();
    let counted = Command::new(script).arg(own).status().unwrap().success();
    ExitCode::from(u8::from(sound.contains(&false) || !counted))
}

fn numbers(size: &str) -> Vec<u64> {
    let numbers = size.split_whitespace();
    numbers.map(|n| n.parse().unwrap()).collect()
}

fn one_hour(size: &str) -> ExitCode {
    let &[endpoints, principals, exchanges] = &numbers(size)[..] else {
        return ExitCode::from(2);
    };
    let sound = hour::run(endpoints, principals, exchanges);
    ExitCode::from(u8::from(!sound))
}

fn one(size: &str) -> ExitCode {
    let numbers = numbers(size);
    let &[endpoints, principals, steady, spec] = &numbers[..] else {
        return ExitCode::from(2);
    };
    let size = Size {
        endpoints,
        principals,
        steady,
        spec: spec > 0,
        whole: std::env::var_os("ONLY_CALLS").is_none(),
    };
    let f = scale::run(size);
    print(size, &f);
    if !size.whole {
        return ExitCode::SUCCESS;
    }
    let sound = f.restored
        && [f.endpoints, f.settled] == [endpoints as usize; 2]
        && f.principals as u64 == principals
        && f.made_anew as u64 == endpoints / 100
        && f.memory << 20 <= scale::budget(size);
    if !sound {
        println!("NOT SOUND: {f:?}");
    }
    ExitCode::from(u8::from(!sound))
}

fn print(size: Size, f: &Figures) {
    let ms = |d: std::time::Duration| d.as_secs_f64() * 1e3;
    println!(
        "{:>6} {:>7} {:>5} | {:>6.0} {:>6.0} {:>6.0} {:>6.0} | {:>7.1} {:>6.1} {:>6.1} {:>6.1}; {:>6.0}; {:>6.0} {:>6.0} | {:>5} {:>5} {:>5}",
        f.endpoints,
        f.principals,
        size.spec,
        f.admit,
        f.arrive,
        f.even,
        f.skewed,
        ms(f.view_all),
        ms(f.view_some),
        ms(f.view_none),
        ms(f.view_day),
        ms(f.settle),
        ms(f.save),
        ms(f.restore),
        f.saved_bytes >> 20,
        f.memory,
        scale::memory("VmHWM:"),
    );
}
