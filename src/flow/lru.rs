//! Lists of slots by last activity, oldest first: O(1) touch, expiry and eviction.

/// No slot.
pub(super) const NIL: u32 = u32::MAX;

/// A slot's place in its list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    prev: u32,
    next: u32,
}

impl Link {
    pub(super) const FREE: Self = Self {
        prev: NIL,
        next: NIL,
    };
}

#[derive(Debug)]
pub(super) struct List {
    oldest: u32,
    newest: u32,
    pub(super) len: usize,
}

impl List {
    pub(super) const EMPTY: Self = Self {
        oldest: NIL,
        newest: NIL,
        len: 0,
    };

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    pub(super) fn push(&mut self, links: &mut [Link], at: u32) {
        links[at as usize] = Link {
            prev: self.newest,
            next: NIL,
        };
        match self.newest {
            NIL => self.oldest = at,
            newest => links[newest as usize].next = at,
        }
        self.newest = at;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, links: &mut [Link], at: u32) {
        let Link { prev, next } = links[at as usize];
        match prev {
            NIL => self.oldest = next,
            prev => links[prev as usize].next = next,
        }
        match next {
            NIL => self.newest = prev,
            next => links[next as usize].prev = prev,
        }
        links[at as usize] = Link::FREE;
        self.len -= 1;
    }

    pub(super) fn touch(&mut self, links: &mut [Link], at: u32) {
        if self.newest != at {
            self.remove(links, at);
            self.push(links, at);
        }
    }
}
