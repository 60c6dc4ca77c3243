//! Records of all workers in one total order.

use super::{Order, Record, TlsRecord};
use crate::time::Timestamp;

/// What has a place in the total order.
pub trait Ordered {
    fn order(&self) -> Order;
}

impl Ordered for Record {
    fn order(&self) -> Order {
        self.order
    }
}

impl Ordered for TlsRecord {
    fn order(&self) -> Order {
        self.order
    }
}

/// Holds records back until no worker can bring an older one.
#[derive(Debug)]
pub struct Merger<T = Record> {
    pending: Vec<T>,
    marks: Vec<Timestamp>,
    /// Everything before this was handed out.
    released: Timestamp,
}

impl<T: Ordered> Merger<T> {
    pub fn new(workers: usize) -> Self {
        Self {
            pending: Vec::new(),
            marks: vec![Timestamp::MIN; workers.max(1)],
            released: Timestamp::MIN,
        }
    }

    /// A worker's records, and its promise that none to come is older than `watermark`.
    pub fn add(&mut self, worker: usize, records: &mut Vec<T>, watermark: Timestamp) {
        self.pending.append(records);
        self.marks[worker] = self.marks[worker].max(watermark);
    }

    /// The records that are in order for good, in order.
    pub fn ready(&mut self) -> Vec<T> {
        let mark = self.marks.iter().copied().min().unwrap_or(Timestamp::MAX);
        if mark <= self.released {
            return Vec::new();
        }
        self.released = mark;
        // What another worker may still bring has the mark's own time at the earliest.
        let early = |r: &mut T| r.order().at < mark;
        let mut ready: Vec<_> = self.pending.extract_if(.., early).collect();
        ready.sort_unstable_by_key(T::order);
        ready
    }

    /// The input is over: everything that is left.
    pub fn finish(&mut self) -> Vec<T> {
        let mut rest = std::mem::take(&mut self.pending);
        rest.sort_unstable_by_key(T::order);
        rest
    }

    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Packet time up to which everything was handed out.
    pub fn watermark(&self) -> Timestamp {
        self.released
    }
}

/// A record of either kind.
#[derive(Clone, Debug)]
pub enum Either {
    Exchange(Record),
    Tls(TlsRecord),
}

/// Two lists in order as one.
pub fn interleave(records: Vec<Record>, flows: Vec<TlsRecord>) -> impl Iterator<Item = Either> {
    let (mut records, mut flows) = (records.into_iter().peekable(), flows.into_iter().peekable());
    std::iter::from_fn(move || {
        let next = records.peek().map(|r| r.order);
        match flows.next_if(|f| next.is_none_or(|next| f.order < next)) {
            Some(flow) => Some(Either::Tls(flow)),
            None => records.next().map(Either::Exchange),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::exchange::Exchange;
    use crate::tls::Facts;

    const END: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::LOCALHOST), 443);

    #[test]
    fn both_kinds_come_in_their_one_order() {
        let order = |secs, flow| Order {
            at: Timestamp::from_secs(secs),
            flow,
            ordinal: 0,
        };
        let record = |secs| Record {
            order: order(secs, 1),
            exchange: Box::new(Exchange::at(Timestamp::from_secs(secs))),
        };
        let flow = |secs, flow| TlsRecord {
            order: order(secs, flow),
            flow: Box::new(crate::http::tls_flow(END, END, &Facts::default())),
        };
        let all = interleave(
            vec![record(2), record(3)],
            vec![flow(1, 9), flow(3, 0), flow(3, 2)],
        );
        let told: Vec<_> = all
            .map(|either| match either {
                Either::Exchange(r) => ('x', r.order.at.secs()),
                Either::Tls(f) => ('t', f.order.at.secs()),
            })
            .collect();
        assert_eq!(told, [('t', 1), ('x', 2), ('t', 3), ('x', 3), ('t', 3)]);
    }
}
