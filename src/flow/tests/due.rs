//! Streams that want to be called though nothing comes.

use super::*;

/// Rings ten seconds behind what came last, once.
struct Alarm(Timestamp);

impl Stream for Alarm {
    type Out = Vec<String>;

    fn on_data(&mut self, _: Side, chunk: Chunk<'_>, _: &mut Vec<String>) -> usize {
        self.0 = chunk.ts + Duration::from_secs(10);
        chunk.data.len()
    }

    fn on_gap(&mut self, _: Side, _: Timestamp, _: u64, _: u64, _: &mut Vec<String>) {}
    fn on_end(&mut self, _: Side, _: Timestamp, _: &mut Vec<String>) {}

    fn on_close(&mut self, _: Timestamp, _: End, out: &mut Vec<String>) {
        out.push("close".into());
    }

    fn due(&self) -> Timestamp {
        self.0
    }

    fn on_tick(&mut self, now: Timestamp, out: &mut Vec<String>) {
        assert!(now >= self.0);
        self.0 = Timestamp::MAX;
        out.push(format!("tick {}", now.secs()));
    }
}

#[test]
fn a_stream_is_called_once_when_its_time_has_come() {
    let mut table = FlowTable::<Alarm>::new(Settings::default(), 1);
    let mut out = Vec::new();
    let mut bench = Bench::new();
    let mut say =
        |table: &mut FlowTable<Alarm>, secs: i64, port: u16, seq: u32, out: &mut Vec<String>| {
            bench.now = secs * 1_000 * MS;
            let s = Segment {
                src_port: port,
                ..bench.segment(true, "A", seq, 501, b"x")
            };
            table.push(&s, FlowKey::of(&s), s.ts, out, |_| Alarm(Timestamp::MAX));
        };
    let tick = |table: &mut FlowTable<Alarm>, secs: i64, out: &mut Vec<String>| {
        table.tick(Timestamp::from_secs(secs), out);
        std::mem::take(out)
    };
    say(&mut table, 0, 1, 101, &mut out);
    say(&mut table, 1, 2, 101, &mut out);
    assert!(tick(&mut table, 9, &mut out).is_empty());
    // The first one speaks again: its time is another.
    say(&mut table, 9, 1, 102, &mut out);
    assert_eq!(tick(&mut table, 12, &mut out), ["tick 12"]);
    assert!(tick(&mut table, 18, &mut out).is_empty());
    assert_eq!(tick(&mut table, 30, &mut out), ["tick 30"]);
    assert!(tick(&mut table, 60, &mut out).is_empty());
    // Who is gone is not called, nor whoever has its place.
    say(&mut table, 60, 2, 102, &mut out);
    table.finish(Timestamp::from_secs(61), &mut out);
    assert_eq!(std::mem::take(&mut out), ["close", "close"]);
    say(&mut table, 65, 3, 101, &mut out);
    assert!(tick(&mut table, 72, &mut out).is_empty());
    assert_eq!(tick(&mut table, 75, &mut out), ["tick 75"]);
}
