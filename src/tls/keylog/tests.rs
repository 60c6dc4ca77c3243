use proptest::prelude::*;

use super::*;

fn hex(byte: u8, n: usize) -> String {
    format!("{byte:02x}").repeat(n)
}

fn log() -> String {
    let (random, secret) = (hex(1, 32), hex(2, 32));
    format!(
        "# comment\r\nCLIENT_RANDOM {} {}\r\nCLIENT_TRAFFIC_SECRET_0 {random} {secret}\n\
         EXPORTER_SECRET {random} {secret}\nRSA {} {}\nRSA Session-ID:{} Master-Key:{}\n\
         CLIENT_RANDOM 00 11\nPMS_CLIENT_RANDOM {random} {}",
        hex(9, 32),
        hex(0xAB, 48),
        hex(5, 8),
        hex(6, 48),
        hex(7, 32),
        hex(8, 48),
        hex(4, 48),
    )
}

fn check(store: &KeyStore, lines: Lines) {
    let expected = Lines {
        taken: 5,
        ignored: 2,
        malformed: 1,
    };
    assert_eq!(lines, expected);
    assert_eq!(store.master(&[9; 32]), Secret::new(&[0xab; 48]));
    assert_eq!(store.master(&[1; 32]), None);
    let traffic = |label| store.traffic(&[1; 32], label);
    assert_eq!(traffic(Label::ClientTraffic), Secret::new(&[2; 32]));
    assert_eq!(traffic(Label::ServerTraffic), None);
    assert_eq!(
        store.premaster(&[0; 32], &[5; 128], 0x0303),
        Secret::new(&[6; 48])
    );
    assert_eq!(
        store.premaster(&[1; 32], &[], 0x0303),
        Secret::new(&[4; 48])
    );
    assert_eq!(store.resumed(&[7; 32]), Secret::new(&[8; 48]));
    assert!(store.knows_premasters());
}

#[test]
fn a_log_cut_at_every_place_is_the_same_log() {
    let text = log();
    let store = KeyStore::default();
    check(&store, store.load(text.as_bytes()));
    for cut in 0..text.len() {
        let (store, mut log) = (KeyStore::growing(), KeyLog::default());
        log.push(&text.as_bytes()[..cut], &store);
        log.push(&text.as_bytes()[cut..], &store);
        check(&store, log.finish(&store));
    }
}

#[test]
fn a_line_without_end_is_not_held() {
    let (store, mut log) = (KeyStore::growing(), KeyLog::default());
    for _ in 0..1_000 {
        log.push(&[b'a'; 100], &store);
        assert!(log.tail.capacity() <= MAX_LINE);
    }
    log.push(
        format!("\nCLIENT_RANDOM {} {}\n", hex(1, 32), hex(2, 48)).as_bytes(),
        &store,
    );
    assert_eq!((log.lines().taken, log.lines().malformed), (1, 1));
}

#[test]
fn the_oldest_sessions_go_first() {
    let mut bounded = Bounded::default();
    for n in 0..=MAX_SESSIONS {
        bounded.insert(n, n);
    }
    assert_eq!(bounded.map.len(), MAX_SESSIONS);
    assert_eq!((bounded.map.get(&0), bounded.map.get(&1)), (None, Some(&1)));
}

proptest! {
    #[test]
    fn any_bytes_are_lines(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..10)) {
        let (store, mut log) = (KeyStore::growing(), KeyLog::default());
        for piece in &pieces {
            log.push(piece, &store);
            prop_assert!(log.tail.capacity() <= MAX_LINE);
        }
        log.finish(&store);
    }
}
