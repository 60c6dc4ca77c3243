//! Real captures: whatever is in a file, the ledger balances, nothing panics, and the number of
//! workers changes nothing. Skipped, loudly, where `../shared` is absent.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use apitap::capture::{FileSource, Polled, Source};
use apitap::exchange::{parse_line, write_line};
use apitap::sensor::{Counts, Inline, Ledger, Merger, Pool, Settings};

fn shared(folder: &str) -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(folder);
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("SKIPPED: {} is absent", dir.display());
    None
}

fn captures() -> Vec<PathBuf> {
    let Some(dir) = shared("captures") else {
        return Vec::new();
    };
    let all = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = all
        .filter(|p| p.extension().is_some_and(|e| e == "pcap" || e == "pcapng"))
        .collect();
    files.sort();
    files
}

fn inline(source: &mut dyn Source) -> (Vec<String>, Ledger) {
    let mut sensor = Inline::new(&Settings::default());
    let (mut lines, mut out) = (Vec::new(), Vec::new());
    let mut take = |records: Vec<apitap::sensor::Record>| {
        for record in records {
            out.clear();
            write_line(&record.exchange, &mut out);
            lines.push(String::from_utf8(out.clone()).unwrap());
        }
    };
    loop {
        let polled = sensor.poll(source);
        take(sensor.ready());
        let ledger = sensor.ledger();
        assert!(ledger.balanced(), "{}: {}", source.name(), ledger.to_json());
        if matches!(polled, Ok(Polled::End)) {
            break;
        }
    }
    take(sensor.finish());
    (lines, sensor.ledger())
}

fn threads(source: Box<dyn Source>, workers: usize) -> (Vec<String>, Ledger) {
    let pool = Pool::start(
        vec![source],
        &Settings {
            workers,
            ..Settings::default()
        },
    );
    let (mut merger, mut statuses) = (Merger::new(workers), vec![None; workers]);
    let (mut lines, mut finished) = (Vec::new(), 0);
    while finished < workers {
        let mut report = pool.reports.recv().unwrap();
        assert_eq!(report.panics, 0);
        finished += usize::from(report.finished);
        statuses[report.worker] = Some(report.status);
        merger.add(report.worker, &mut report.records, report.watermark);
        let ready = if finished < workers {
            merger.ready()
        } else {
            merger.finish()
        };
        for record in ready {
            let mut out = Vec::new();
            write_line(&record.exchange, &mut out);
            lines.push(String::from_utf8(out).unwrap());
        }
    }
    let sources = pool.handle.sources();
    pool.join();
    let mut counts = Counts {
        analysed: lines.len() as u64,
        ..Counts::default()
    };
    for status in statuses.into_iter().flatten() {
        counts.status.add(&status);
    }
    (lines, counts.ledger(&sources))
}

#[test]
fn every_capture_balances_and_workers_change_nothing() {
    let mut read = 0;
    for file in captures() {
        let Ok(mut source) = FileSource::open(&file) else {
            continue;
        };
        let (one, ledger) = inline(&mut source);
        assert!(
            ledger.balanced(),
            "{}: {}",
            file.display(),
            ledger.to_json()
        );
        for (name, stage) in &ledger.stages {
            assert_eq!(stage.pending, 0, "{}: {name}", file.display());
        }
        let (four, other) = threads(Box::new(FileSource::open(&file).unwrap()), 4);
        assert_eq!(one, four, "{}", file.display());
        assert_eq!(ledger.to_json(), other.to_json(), "{}", file.display());
        read += 1;
    }
    assert!(
        read > 150 || captures().is_empty(),
        "only {read} captures could be opened"
    );
}

/// What `read` writes, `analyze` reads.
#[test]
fn every_line_reads_back() {
    for file in captures() {
        let Ok(mut source) = FileSource::open(&file) else {
            continue;
        };
        for line in inline(&mut source).0 {
            let read = parse_line(line.as_bytes());
            assert!(read.is_ok(), "{}: {read:?}: {line}", file.display());
        }
    }
}

#[test]
fn cut_anywhere_it_reads_as_far_as_it_goes() {
    let Some(dir) = shared("captures") else {
        return;
    };
    let whole = std::fs::read(dir.join("zeek-wikipedia.pcap")).unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("cut.pcap");
    let mut last = 0;
    // Every offset of the first kilobytes, then in strides.
    for end in (0..2_048).chain((2_048..whole.len()).step_by(211)) {
        std::fs::write(&path, &whole[..end]).unwrap();
        let Ok(mut source) = FileSource::open(&path) else {
            assert!(end < 24, "a whole header is enough to open it: {end}");
            continue;
        };
        let (lines, ledger) = inline(&mut source);
        assert!(ledger.balanced());
        assert!(
            lines.len() + 2 >= last,
            "{end}: {} after {last}",
            lines.len()
        );
        last = lines.len();
    }
}

#[test]
fn packed_files_read_like_plain_ones() {
    let Some(dir) = shared("captures") else {
        return;
    };
    let plain = dir.join("zeek-wikipedia.pcap");
    let tmp = tempfile::tempdir().unwrap();
    let packed = tmp.path().join("x.pcap.gz");
    let mut gz = flate2::write::GzEncoder::new(
        std::fs::File::create(&packed).unwrap(),
        flate2::Compression::fast(),
    );
    std::io::Write::write_all(&mut gz, &std::fs::read(&plain).unwrap()).unwrap();
    gz.finish().unwrap();
    let (a, _) = inline(&mut FileSource::open(&plain).unwrap());
    let (b, _) = inline(&mut FileSource::open(&packed).unwrap());
    assert!(!a.is_empty());
    assert_eq!(a, b);
}

/// Operations of a document, counted on the tree itself; none of the published ones has a path item
/// elsewhere.
fn operations(path: &Path, text: &str) -> usize {
    let yaml = path.to_string_lossy().contains(".yml");
    let tree: serde_json::Value = if yaml {
        serde_saphyr::from_str(text).unwrap()
    } else {
        serde_json::from_str(text).unwrap()
    };
    let methods = [
        "get", "put", "post", "delete", "options", "head", "patch", "trace",
    ];
    let items = tree["paths"].as_object().unwrap().values();
    items
        .flat_map(|item| item.as_object().unwrap().keys())
        .filter(|key| methods.contains(&key.as_str()))
        .count()
}

#[test]
fn every_published_spec_reads() {
    let Some(dir) = shared("specs") else { return };
    let mut read = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "gz") {
            continue;
        }
        let mut text = String::new();
        let mut file = flate2::read::GzDecoder::new(std::fs::File::open(&path).unwrap());
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        let mut spec = apitap::catalog::spec::parse(&path.display().to_string(), &text).unwrap();
        // Kubernetes names no host: each cluster has its own.
        spec.bind(&["api.example".to_owned()]);
        let counted = operations(&path, &text);
        println!("{}: {} operations", path.display(), spec.operations);
        assert!(counted > 100);
        assert_eq!(spec.operations, counted, "{}", path.display());
        assert_eq!(spec.notes, Vec::<String>::new(), "{}", path.display());
        read += 1;
    }
    assert!(read >= 5);
}
