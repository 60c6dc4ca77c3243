//! Follows the handshake: which message begins which epoch, and what each tells.

use super::certificate::Certificate;
use super::facts::text;
use super::half::Epoch;
use super::handshake::{Message, kind};
use super::hello::{ClientHello, EncryptedExtensions, ServerHello};
use super::ja4::Transport;
use super::negotiation::Early;
use super::session::{MAX_REFUSED, Session, Shared};
use crate::flow::Side;

impl Session {
    /// TLS 1.2: the sender's next record is sealed. TLS 1.3 sends the same as a disguise (RFC
    /// 8446, appendix D.4), perhaps before its version is known.
    pub(super) fn change_cipher(&mut self, side: Side) {
        let disguise = match self.negotiation.version {
            Some(_) => self.negotiation.is_tls13(),
            None => self.negotiation.retried || self.negotiation.early != Early::None,
        };
        if disguise {
            return;
        }
        if self.client == Some(side.other()) && !self.negotiation.full {
            self.facts.resumed = true;
        }
        self.half(side).begin(Epoch::Sealed);
    }

    /// Joins a fragment to handshake messages and follows them.
    pub(super) fn messages(&mut self, side: Side, fragment: &[u8], shared: &mut Shared) {
        let mut joiner = std::mem::take(&mut self.half(side).joiner);
        let before = self.half(side).epoch;
        joiner.push(fragment, |message| self.message(side, message, shared));
        let half = self.half(side);
        if half.epoch == before {
            half.joiner = joiner;
        }
    }

    fn message(&mut self, side: Side, message: Message<'_>, shared: &mut Shared) {
        let (body, epoch) = (message.body(), self.half(side).epoch);
        let from_client = self.client == Some(side);
        if message.kind == kind::CLIENT_HELLO {
            if let Ok(hello) = ClientHello::read(body) {
                self.client = Some(side);
                self.negotiation.client_hello(&hello, &shared.keys);
                self.facts.client_hello(&hello, Transport::Tcp);
                self.negotiation.hash(message.whole);
            }
            return;
        }
        self.negotiation.hash(message.whole);
        match (message.kind, epoch) {
            (kind::SERVER_HELLO, _) => self.server_hello(side, body),
            (kind::CERTIFICATE, _) if !from_client => {
                self.negotiation.full = true;
                if let Some(version) = self.negotiation.version
                    && self.facts.certificate.is_none()
                {
                    self.facts.certificate = Certificate::read(body, version).map(Box::new);
                }
            }
            (kind::CERTIFICATE, _) => {
                // A client that has none sends an empty list (RFC 5246, section 7.4.6).
                if let Some(version) = self.negotiation.version {
                    self.facts.client_certificate |= Certificate::is_any(body, version);
                }
            }
            (kind::SERVER_HELLO_DONE | kind::SERVER_KEY_EXCHANGE, _) if !from_client => {
                self.negotiation.full = true;
            }
            (kind::CLIENT_KEY_EXCHANGE, _) => self.negotiation.client_key_exchange(body),
            (kind::NEW_SESSION_TICKET, Epoch::Clear) => self.negotiation.new_session_ticket(body),
            (kind::ENCRYPTED_EXTENSIONS, Epoch::Handshake) => self.encrypted_extensions(body),
            (kind::END_OF_EARLY_DATA, Epoch::Early) => self.half(side).begin(Epoch::Handshake),
            (kind::FINISHED, Epoch::Handshake) => self.half(side).begin(Epoch::Application),
            (kind::KEY_UPDATE, Epoch::Application) => {
                let half = self.half(side);
                half.opener = half
                    .opener
                    .as_ref()
                    .and_then(|opener| opener.updated())
                    .map(Box::new);
            }
            _ => {}
        }
    }

    fn server_hello(&mut self, side: Side, body: &[u8]) {
        let Ok(hello) = ServerHello::read(body) else {
            return;
        };
        if hello.is_retry() {
            return self.negotiation.retry();
        }
        if self.client == Some(side) {
            return;
        }
        self.client = Some(side.other());
        self.negotiation.server_hello(&hello);
        self.facts.server_hello(&hello);
        if self.negotiation.is_tls13() {
            self.half(side).begin(Epoch::Handshake);
            let early = self.negotiation.early;
            let client = self.half(side.other());
            client.begin(match early {
                Early::None | Early::Rejected => Epoch::Handshake,
                Early::Offered | Early::Accepted => Epoch::Early,
            });
            if early == Early::Rejected {
                client.refused = MAX_REFUSED;
            }
        }
    }

    fn encrypted_extensions(&mut self, body: &[u8]) {
        let Ok(sent) = EncryptedExtensions::read(body) else {
            return;
        };
        if self.facts.alpn.is_none() {
            self.facts.alpn = sent.extensions.alpn().next().map(text);
        }
        if self.negotiation.early == Early::Offered {
            self.negotiation.early = if sent.early_data() {
                Early::Accepted
            } else {
                Early::Rejected
            };
            if let (Early::Rejected, Some(client)) = (self.negotiation.early, self.client) {
                self.half(client).begin(Epoch::Handshake);
                self.half(client).refused = MAX_REFUSED;
            }
        }
    }
}
