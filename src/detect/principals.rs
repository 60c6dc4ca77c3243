//! Who is followed: a table of bounded size, least recently seen out first, in two parts.
//!
//! A newcomer stands in the outer part, which a flood of addresses turns over at will; one that
//! comes back a few times moves to the inner part (four fifths of the room), so a flood of
//! strangers puts out no one who is already followed (segmented LRU, Karedla et al., 1994).

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use foldhash::HashMap;
use serde::{Deserialize, Serialize};

use super::Principal;
use super::authorization::Doors;
use super::counter::{Counter, Presence};
use super::enumeration::{Known, Walks};
use super::objects::Newness;
use super::place::{Pair, Recent};
use super::profile::Profile;
use super::purse::Spent;
use super::sources::Sources;
use crate::exchange::Exchange;

/// Exchanges after which a principal is worth the inner part.
const REGULAR: u32 = 8;
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Key {
    Identity(Arc<str>),
    /// IPv6 stands as its /64: hosts choose the rest at will.
    Client(IpAddr),
}

/// What is kept of one principal. Fixed in size: a counter for each kind of thing it has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Followed {
    key: Key,
    client: IpAddr,
    pub presence: Presence,
    pub counters: Vec<Option<Box<Counter>>>,
    pub walks: Walks,
    pub known: Known,
    /// With whom it spoke, as on the wire.
    pub routes: Recent<Pair>,
    pub newness: Newness,
    pub doors: Doors,
    pub sources: Sources,
    pub spent: Spent,
    pub profile: Box<Profile>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slot {
    who: Followed,
    visits: u32,
    inner: bool,
    newer: u32,
    older: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Queue {
    newest: u32,
    oldest: u32,
    len: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Table {
    slots: Vec<Slot>,
    outer: Queue,
    inner: Queue,
    max: usize,
    pub evicted: u64,
    /// Only ever looked up, never walked: its order reaches no result.
    #[serde(skip)]
    places: HashMap<Key, u32>,
}

impl Table {
    pub(super) fn new(max: usize) -> Self {
        let empty = Queue {
            newest: NONE,
            oldest: NONE,
            len: 0,
        };
        Self {
            slots: Vec::new(),
            outer: empty,
            inner: empty,
            max: max.max(2),
            evicted: 0,
            places: HashMap::default(),
        }
    }

    /// Makes the index that is not saved, under the limit of now.
    pub(super) fn restored(mut self, max: usize) -> Self {
        self.max = max.max(2);
        self.places = self
            .slots
            .iter()
            .enumerate()
            .map(|(i, s)| (s.who.key.clone(), i as u32))
            .collect();
        self
    }

    /// Whether what was saved is two lists that hold each place once.
    pub(super) fn sound(&self) -> bool {
        self.walk(self.outer, false)
            && self.walk(self.inner, true)
            && self.outer.len + self.inner.len == self.slots.len()
    }

    fn walk(&self, queue: Queue, inner: bool) -> bool {
        let (mut newer, mut place) = (NONE, queue.newest);
        for _ in 0..queue.len {
            match self.slots.get(place as usize) {
                Some(slot) if slot.newer == newer && slot.inner == inner => {
                    (newer, place) = (place, slot.older)
                }
                _ => return false,
            }
        }
        place == NONE && queue.oldest == newer
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Followed> {
        self.slots.iter_mut().map(|s| &mut s.who)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Followed> {
        self.slots.iter().map(|s| &s.who)
    }

    /// The principal of this text, as alerts name it.
    pub(super) fn named(&self, text: &str) -> Option<&Followed> {
        Some(&self.slots.get(self.place(text)?)?.who)
    }

    /// Where it stands in `iter`.
    pub(super) fn place(&self, text: &str) -> Option<usize> {
        let address = || {
            let address = text.strip_suffix("/64").unwrap_or(text).parse().ok()?;
            self.places.get(&Key::Client(network(address)))
        };
        let place = self.places.get(&Key::Identity(text.into()));
        place.or_else(address).map(|place| *place as usize)
    }

    /// The principal of an exchange. A credential names one only once it was answered with
    /// success; until then its calls are the client's.
    pub(super) fn of(&mut self, x: &Exchange) -> &mut Followed {
        let client = network(x.client);
        let identity = x.identity.as_ref().map(|id| Key::Identity(id.clone()));
        let proven = x.status.is_some_and(|s| (200..400).contains(&s));
        let key = identity
            .filter(|k| proven || self.places.contains_key(k))
            .unwrap_or(Key::Client(client));
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.admit(key, client),
        };
        self.touch(place);
        let who = &mut self.slots[place as usize].who;
        who.client = client;
        who.routes.meet(x);
        who
    }

    /// Whom `of` has found for this exchange.
    pub(super) fn find(&self, x: &Exchange) -> Option<&Followed> {
        let identity = x.identity.as_ref().map(|id| Key::Identity(id.clone()));
        let place = identity.and_then(|key| self.places.get(&key));
        let place = place.or_else(|| self.places.get(&Key::Client(network(x.client))))?;
        Some(&self.slots.get(*place as usize)?.who)
    }

    fn admit(&mut self, key: Key, client: IpAddr) -> u32 {
        let who = Followed {
            key: key.clone(),
            client,
            presence: Presence::default(),
            counters: Vec::new(),
            walks: Walks::default(),
            known: Known::default(),
            routes: Recent::default(),
            newness: Newness::default(),
            doors: Doors::default(),
            sources: Sources::default(),
            spent: Spent::default(),
            profile: Box::default(),
        };
        let slot = Slot {
            who,
            visits: 0,
            inner: false,
            newer: NONE,
            older: NONE,
        };
        let place = if self.slots.len() < self.max {
            self.slots.push(slot);
            (self.slots.len() - 1) as u32
        } else {
            let place = if self.outer.len > 0 {
                self.outer.oldest
            } else {
                self.inner.oldest
            };
            self.unlink(place);
            self.places.remove(&self.slots[place as usize].who.key);
            self.slots[place as usize] = slot;
            self.evicted += 1;
            place
        };
        self.places.insert(key, place);
        self.link(place, false);
        place
    }

    fn touch(&mut self, place: u32) {
        let slot = &mut self.slots[place as usize];
        slot.visits = slot.visits.saturating_add(1);
        let inner = slot.inner || slot.visits >= REGULAR;
        self.unlink(place);
        self.link(place, inner);
        if self.inner.len > (self.max * 4 / 5).max(1) {
            let last = self.inner.oldest;
            self.unlink(last);
            self.slots[last as usize].visits = 0;
            self.link(last, false);
        }
    }

    fn queue(&mut self, inner: bool) -> &mut Queue {
        if inner {
            &mut self.inner
        } else {
            &mut self.outer
        }
    }

    fn unlink(&mut self, place: u32) {
        let (newer, older, inner) = {
            let s = &self.slots[place as usize];
            (s.newer, s.older, s.inner)
        };
        match newer {
            NONE => self.queue(inner).newest = older,
            n => self.slots[n as usize].older = older,
        }
        match older {
            NONE => self.queue(inner).oldest = newer,
            o => self.slots[o as usize].newer = newer,
        }
        self.queue(inner).len -= 1;
    }

    fn link(&mut self, place: u32, inner: bool) {
        let head = self.queue(inner).newest;
        let slot = &mut self.slots[place as usize];
        (slot.newer, slot.older, slot.inner) = (NONE, head, inner);
        match head {
            NONE => self.queue(inner).oldest = place,
            h => self.slots[h as usize].newer = place,
        }
        let queue = self.queue(inner);
        queue.newest = place;
        queue.len += 1;
    }
}

impl Followed {
    pub(super) fn principal(&self) -> Principal {
        let client = match self.client {
            IpAddr::V6(net) => format!("{net}/64"),
            IpAddr::V4(address) => address.to_string(),
        };
        let identity = match &self.key {
            Key::Identity(id) => Some(id.to_string()),
            Key::Client(_) => None,
        };
        Principal {
            identity,
            client: Some(client),
        }
    }

    /// Requests in its open windows: the first watch counts them.
    pub(super) fn requests(&self) -> [f64; 3] {
        let counter = self.counters.first().and_then(Option::as_ref);
        counter.map_or([0.0; 3], |c| c.counts(&self.presence))
    }

    /// The network that it called from last.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }

    pub(super) fn nameless(&self) -> bool {
        matches!(self.key, Key::Client(_))
    }

    /// Tells this principal from others in small rings.
    pub(super) fn mark(&self) -> u64 {
        match &self.key {
            Key::Identity(id) => super::distinct::hash_text(id),
            Key::Client(IpAddr::V4(a)) => u64::from(u32::from(*a)),
            Key::Client(IpAddr::V6(a)) => (u128::from(*a) >> 64) as u64,
        }
    }

    pub(super) fn describe(&self) -> String {
        let p = self.principal();
        p.identity.or(p.client).unwrap_or_default()
    }
}

/// The address, or the /64 an IPv6 address lies in.
pub(super) fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn from(client: u32) -> Exchange {
        let mut x = Exchange::at(Timestamp::from_secs(1));
        x.client = IpAddr::V4(client.into());
        x
    }

    #[test]
    fn a_flood_puts_out_no_regular_and_costs_the_budget_alone() {
        let mut table = Table::new(100);
        for _ in 0..20 {
            table.of(&from(7)).client = from(7).client;
        }
        table.of(&from(7)).counters.push(None);
        for stranger in 1_000..50_000 {
            table.of(&from(stranger));
        }
        assert_eq!(table.len(), 100);
        assert!(table.evicted > 40_000 && table.sound());
        assert_eq!(
            table.of(&from(7)).counters.len(),
            1,
            "the regular was forgotten"
        );
    }

    /// One that does four kinds of things, with a full profile, holds the budget; what is kept for
    /// evidence alone is little of it: the last windows of each counter, and with whom it spoke
    /// (most with one server).
    #[test]
    fn a_busy_principal_takes_four_kibibytes_and_evidence_little_of_it() {
        use crate::detect::{past::Past, profile};
        let counters = 4;
        let places = crate::detect::WATCHES.len() * size_of::<Option<Box<Counter>>>();
        let entry = size_of::<(Key, u32)>() + size_of::<Pair>();
        let counted = counters * size_of::<Counter>();
        let whole = size_of::<Slot>() + places + entry + counted + profile::MOST;
        let past = counters * 3 * size_of::<Past>();
        println!(
            "a principal with {counters} counters: {whole} bytes, {past} of them past windows"
        );
        assert!(whole <= 4 << 10, "{whole}");
        assert!(past * 10 <= whole, "{past} of {whole}");
    }

    #[test]
    fn a_credential_counts_once_it_was_answered_with_success() {
        let mut table = Table::new(10);
        let mut x = from(9);
        x.identity = Some("bearer:forged".into());
        x.status = Some(401);
        assert_eq!(table.of(&x).principal().identity, None);
        x.status = Some(200);
        assert_eq!(
            table.of(&x).principal().identity.as_deref(),
            Some("bearer:forged")
        );
        x.status = Some(401);
        assert_eq!(
            table.of(&x).principal().identity.as_deref(),
            Some("bearer:forged")
        );
    }

    #[test]
    fn neighbours_in_a_64_are_one() {
        let mut table = Table::new(10);
        for host in 1..50_u16 {
            let mut x = from(0);
            x.client = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 5, host, 0, 0, host));
            table.of(&x);
        }
        assert_eq!(table.len(), 1);
    }
}
