//! What the hellos agreed on, and the keys that follow from it.

use super::cipher::Opener;
use super::half::Epoch;
use super::handshake::MAX_MESSAGE;
use super::hello::{ClientHello, ServerHello, Version};
use super::keylog::{KeyStore, Label};
use super::secrets::{MasterSeed, Secret, key_block, master};
use super::suite::Suite;

/// Handshake messages kept for the extended master secret; hellos and certificates at their
/// limits. Kept only while private keys or premaster secrets are there to be used.
const MAX_TRANSCRIPT: usize = 512 << 10;

/// Most that a negotiation holds: what a handshake is hashed of, and names of sessions, tickets and
/// a premaster secret out of its messages.
pub(super) const MAX_HELD: usize = MAX_TRANSCRIPT + 5 * MAX_MESSAGE;

/// Why records cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Nobody has given the key, so far.
    NoKey,
    /// A version or suite that is not read here, or hellos that were not seen.
    Unsupported,
}

/// What became of the client's early data (RFC 8446, section 4.2.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Early {
    #[default]
    None,
    /// The server has not answered yet.
    Offered,
    Accepted,
    Rejected,
}

/// The state of one handshake; a renegotiation begins another.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    client_random: Option<[u8; 32]>,
    server_random: Option<[u8; 32]>,
    pub(super) version: Option<Version>,
    suite: Option<&'static Suite>,
    extended_master_secret: bool,
    encrypt_then_mac: bool,
    pub(super) early: Early,
    /// The server has asked for another hello: only TLS 1.3 does.
    pub(super) retried: bool,
    /// The server has sent more than its hello: it does not go on from an earlier session.
    pub(super) full: bool,
    /// Of the client's hello: it stands before the premaster secret.
    offered: u16,
    /// The client's session id and ticket, by which an earlier session may go on.
    session_id: Vec<u8>,
    ticket: Vec<u8>,
    /// Those that the server gives for later sessions.
    given: [Vec<u8>; 2],
    encrypted_premaster: Vec<u8>,
    transcript: Option<Vec<u8>>,
    master: Option<Secret>,
}

impl Negotiation {
    pub(super) fn client_hello(&mut self, hello: &ClientHello<'_>, keys: &KeyStore) {
        // The second hello behind a HelloRetryRequest goes on with the first.
        let retried = self.retried && self.server_random.is_none();
        let early = match hello.early_data() {
            _ if retried => self.early,
            true => Early::Offered,
            false => Early::None,
        };
        let premasters = keys.knows_premasters();
        *self = Self {
            client_random: Some(*hello.random),
            early,
            retried,
            offered: hello.legacy_version.0,
            transcript: premasters.then(Vec::new),
            ..Self::default()
        };
        if premasters {
            self.session_id = hello.session_id.to_vec();
            self.ticket = hello.ticket().unwrap_or_default().to_vec();
        }
    }

    pub(super) fn server_hello(&mut self, hello: &ServerHello<'_>) {
        self.version = Some(hello.version());
        self.server_random = Some(*hello.random);
        self.suite = Suite::of(hello.cipher);
        self.extended_master_secret = hello.extended_master_secret();
        self.encrypt_then_mac = hello.encrypt_then_mac();
        if self.transcript.is_some() {
            self.given[0] = hello.session_id.to_vec();
        }
    }

    /// The server wants another hello; early data does not survive that.
    pub(super) fn retry(&mut self) {
        self.retried = true;
        if self.early == Early::Offered {
            self.early = Early::Rejected;
        }
    }

    /// RFC 5077, section 3.3: a lifetime and a ticket.
    pub(super) fn new_session_ticket(&mut self, body: &[u8]) {
        if let Some(ticket) = body.get(6..)
            && self.transcript.is_some()
        {
            self.given[1] = ticket.to_vec();
        }
    }

    /// RFC 5246, section 7.4.7.1.
    pub(super) fn client_key_exchange(&mut self, body: &[u8]) {
        if let Some(encrypted) = body.get(2..)
            && self.transcript.is_some()
            && self.suite.is_some_and(|suite| suite.rsa_key_exchange)
        {
            self.encrypted_premaster = encrypted.to_vec();
        }
    }

    /// Adds a message to what the extended master secret is made of: all up to the
    /// ClientKeyExchange (RFC 7627, section 3).
    pub(super) fn hash(&mut self, message: &[u8]) {
        if !self.encrypted_premaster.is_empty() {
            return;
        }
        if let Some(transcript) = &mut self.transcript {
            if transcript.len() + message.len() > MAX_TRANSCRIPT {
                self.transcript = None;
            } else {
                transcript.extend_from_slice(message);
            }
        }
    }

    /// Bytes that it holds, where premaster secrets are there to be used.
    pub(super) fn held(&self) -> usize {
        let [id, ticket] = &self.given;
        let names = [&self.session_id, &self.ticket, id, ticket];
        let transcript = self.transcript.as_ref().map_or(0, Vec::len);
        let names: usize = names.into_iter().map(Vec::len).sum();
        transcript + names + self.encrypted_premaster.len()
    }

    /// TLS 1.3, or one of its drafts: their records look alike.
    pub(super) fn is_tls13(&self) -> bool {
        self.version >= Some(Version::TLS13)
    }

    /// What opens a direction's records from the start of an epoch on.
    pub(super) fn opener(
        &mut self,
        from_client: bool,
        epoch: Epoch,
        keys: &KeyStore,
    ) -> Result<Opener, Closed> {
        let (Some(version), Some(suite), Some(random)) =
            (self.version, self.suite, self.client_random)
        else {
            return Err(Closed::Unsupported);
        };
        // The suites of TLS 1.3 serve no other version, nor others TLS 1.3.
        if (suite.id >> 8 == 0x13) != (version == Version::TLS13) || version > Version::TLS13 {
            return Err(Closed::Unsupported);
        }
        let label = match (epoch, from_client) {
            (Epoch::Early, true) => Label::ClientEarly,
            (Epoch::Handshake, true) => Label::ClientHandshake,
            (Epoch::Handshake, false) => Label::ServerHandshake,
            (Epoch::Application, true) => Label::ClientTraffic,
            (Epoch::Application, false) => Label::ServerTraffic,
            (Epoch::Sealed, _) if version == Version::TLS12 => {
                return self.tls12(suite, from_client, keys);
            }
            _ => return Err(Closed::Unsupported),
        };
        let secret = keys.traffic(&random, label).ok_or(Closed::NoKey)?;
        if secret.as_bytes().len() != suite.hash.length() {
            return Err(Closed::NoKey);
        }
        Ok(Opener::tls13(suite, secret))
    }

    fn tls12(
        &mut self,
        suite: &'static Suite,
        from_client: bool,
        keys: &KeyStore,
    ) -> Result<Opener, Closed> {
        let (Some(client), Some(server)) = (self.client_random, self.server_random) else {
            return Err(Closed::Unsupported);
        };
        let master = match &self.master {
            Some(master) => master.clone(),
            None => self
                .find_master(suite, &client, &server, keys)
                .ok_or(Closed::NoKey)?,
        };
        if self.transcript.is_some() {
            for given in self.given.iter_mut().filter(|given| !given.is_empty()) {
                keys.remember(given, &master);
                given.clear();
            }
        }
        let [of_client, of_server] = key_block(suite, &master, &client, &server);
        self.master = Some(master);
        let chosen = if from_client { of_client } else { of_server };
        Ok(Opener::tls12(suite, chosen, self.encrypt_then_mac))
    }

    /// From a line of the key log, an earlier session, or the premaster secret.
    fn find_master(
        &self,
        suite: &Suite,
        client: &[u8; 32],
        server: &[u8; 32],
        keys: &KeyStore,
    ) -> Option<Secret> {
        if let Some(known) = keys.master(client) {
            return Some(known);
        }
        if !self.full {
            let earlier = [&self.ticket, &self.session_id];
            return earlier
                .into_iter()
                .filter(|name| !name.is_empty())
                .find_map(|name| keys.resumed(name));
        }
        let transcript = self.transcript.as_ref()?;
        let premaster = keys.premaster(client, &self.encrypted_premaster, self.offered)?;
        let seed = if self.extended_master_secret {
            MasterSeed::Transcript(transcript)
        } else {
            MasterSeed::Randoms { client, server }
        };
        Some(master(suite.hash, premaster.as_bytes(), seed))
    }
}
