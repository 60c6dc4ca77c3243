//! What an endpoint demands, takes and gives away: what lies open of it, and who is told.

use super::views::kind;
use super::{Catalog, Change, Entry, view};
use crate::catalog::auth::Around;
use crate::catalog::exposure::{Exposed, Exposure};
use crate::catalog::hosts::Alarm;
use crate::catalog::view::Kind;

impl Catalog {
    /// One alert a host and alarm, with what is known by then.
    pub(super) fn find_security(&mut self, id: u32, changes: &mut Vec<Change>) {
        let Some(Entry { e, .. }) = self.state.endpoints.get_mut(&id) else {
            return;
        };
        let host = &e.host;
        let hosts = &self.state.hosts;
        let told = |alarm| hosts.is_told(host, alarm);
        // A host that demands nothing of anybody may be a public service: it is listed alone.
        let open = e.authentication.is_due()
            && !told(Alarm::Authentication)
            && hosts.demanded(host) != (0, 0);
        let tokens = e.authentication.tokens.take_news() && !told(Alarm::Tokens);
        let errors = e.leaking.take_news() && !told(Alarm::Errors);
        e.authentication.told |= open;
        let due = [
            (open, Alarm::Authentication),
            (tokens, Alarm::Tokens),
            (errors, Alarm::Errors),
        ];
        for (_, alarm) in due.into_iter().filter(|(due, _)| *due) {
            self.tell(id, alarm, changes);
        }
    }

    fn tell(&mut self, id: u32, alarm: Alarm, changes: &mut Vec<Change>) {
        let Some(entry) = self.state.endpoints.get(&id) else {
            return;
        };
        let host = entry.e.host.clone();
        let facts = self.with_around(entry, |entry, around| match alarm {
            Alarm::Authentication => {
                let exposure = entry.e.authentication.exposure(around);
                exposure.into_iter().collect()
            }
            Alarm::Tokens => entry.e.authentication.tokens.exposures(around),
            Alarm::Errors => entry.e.leaking.exposures(around),
        });
        let now = self.state.now;
        if let Some(exposed) = Exposed::of(alarm.detector(), &host, now, facts)
            && self.state.hosts.tell(&host, alarm)
        {
            changes.push(Change::Exposed(exposed));
        }
    }

    /// All that lies open of an endpoint in these ways.
    pub(super) fn security(&self, entry: &Entry) -> Vec<Exposure> {
        self.with_around(entry, |entry, around| {
            let mut all = Vec::from_iter(entry.e.authentication.exposure(around));
            all.extend(entry.e.authentication.tokens.exposures(around));
            all.extend(entry.e.leaking.exposures(around));
            all
        })
    }

    fn with_around<T>(&self, entry: &Entry, act: impl FnOnce(&Entry, &Around<'_>) -> T) -> T {
        let Entry { key, e, .. } = entry;
        let template = self.state.trie.template(e.node);
        let operation = e.operation.as_deref();
        let around = Around {
            host: &e.host,
            label: &view::label(&e.method, &e.host, &template, operation),
            key,
            method: &e.method,
            template: &template,
            api: kind(e, &template) == Kind::Api,
            reads: operation.is_some_and(|o| o.starts_with("query ")),
            given_out: e.schemas.given_out(),
            demanded: self.state.hosts.demanded(&e.host),
        };
        act(entry, &around)
    }
}
