use super::*;
use crate::compose::Packet;
use crate::compose::savefile::Savefile;

mod pcap_files;
mod pcapng_files;

/// What a source came to: frames with copies of their bytes, and what was said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    frames: Vec<(Timestamp, LinkType, Vec<u8>, u32, String)>,
    errors: Vec<String>,
    drops: Drops,
}

impl Told {
    fn packets(&self) -> Vec<&[u8]> {
        self.frames.iter().map(|f| f.2.as_slice()).collect()
    }

    fn times(&self) -> Vec<i64> {
        self.frames.iter().map(|f| f.0.nanos()).collect()
    }
}

/// Reads to the end, which must come.
fn drain(source: &mut dyn Source) -> Told {
    let mut told = Told::default();
    let mut indexes = Vec::new();
    for _ in 0..10_000 {
        let polled = source.poll(Duration::ZERO, &mut |f| {
            indexes.push(f.interface);
            told.frames
                .push((f.ts, f.link, f.data.to_vec(), f.wire_len, String::new()));
        });
        match polled {
            Ok(Polled::End) => {
                for (frame, index) in told.frames.iter_mut().zip(indexes) {
                    frame.4 = source.interface(index);
                }
                told.drops = source.drops();
                return told;
            }
            Ok(_) => {}
            Err(e) => told.errors.push(e.reason),
        }
    }
    panic!("no end: {} frames, {:?}", told.frames.len(), told.errors);
}

/// The savefile from memory; what cannot be opened is said too.
fn read(bytes: &[u8]) -> Told {
    match FileSource::from_reader("x", std::io::Cursor::new(bytes.to_vec())) {
        Ok(mut source) => drain(&mut source),
        Err(e) => Told {
            errors: vec![e.reason],
            ..Told::default()
        },
    }
}

fn packet(nanos: i64, data: &[u8]) -> Packet {
    Packet {
        ts: Timestamp(nanos),
        data: data.to_vec(),
    }
}

#[test]
fn merged_files_go_by_time_and_go_on_behind_damage() {
    let broken = {
        let mut f = Savefile::little();
        f.section().interface(LinkType::ETHERNET, 0, &[]);
        f.enhanced(0, 1, b"one", 3).block(0x77, b"");
        // A packet block too short for a packet, in the middle.
        f.block(6, b"").enhanced(0, 30, b"three", 5);
        f.into_bytes()
    };
    let sound = {
        let mut f = Savefile::big();
        f.pcap(LinkType::RAW);
        f.packet(&packet(2_000, b"two"))
            .packet(&packet(40_000, b"four"));
        f.into_bytes()
    };
    let lane = |bytes: &[u8]| -> Box<dyn Source> {
        Box::new(FileSource::from_reader("lane", std::io::Cursor::new(bytes.to_vec())).unwrap())
    };
    let told = drain(&mut MergedSource::new(
        vec![lane(&sound), lane(&broken)],
        false,
    ));
    assert_eq!(told.packets(), [&b"one"[..], b"two", b"three", b"four"]);
    assert_eq!(told.errors.len(), 1, "{:?}", told.errors);
    let told = drain(&mut MergedSource::new(
        vec![lane(&sound), lane(&broken)],
        true,
    ));
    assert_eq!(told.packets(), [&b"two"[..], b"four", b"one", b"three"]);
    let links: Vec<_> = told.frames.iter().map(|f| f.1).collect();
    assert_eq!(links[1..3], [LinkType::RAW, LinkType::ETHERNET]);
}

#[test]
fn a_reader_that_fails_is_said_and_what_came_before_stands() {
    struct Fails(std::io::Cursor<Vec<u8>>);
    impl std::io::Read for Fails {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buf) {
                Ok(0) => Err(std::io::Error::other("the disk is on fire")),
                other => other,
            }
        }
    }
    let mut ng = Savefile::little();
    ng.section().interface(LinkType::ETHERNET, 0, &[]);
    ng.enhanced(0, 1, b"one", 3);
    let mut pcap = Savefile::little();
    pcap.pcap(LinkType::ETHERNET).packet(&packet(1_000, b"one"));
    for bytes in [ng.into_bytes(), pcap.into_bytes()] {
        let input = Fails(std::io::Cursor::new(bytes));
        let told = drain(&mut FileSource::from_reader("x", input).unwrap());
        assert_eq!(told.packets(), [b"one"]);
        assert!(
            told.errors.iter().any(|e| e.contains("on fire")),
            "{:?}",
            told.errors
        );
    }
}
