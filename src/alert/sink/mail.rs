//! E-mail by SMTP: one plain-text message an alert. What was captured is cleaned of control
//! characters before it is a header or a body, so that no line feed in it begins a header of its own.

use std::path::Path;
use std::sync::Arc;

use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;

use super::http::causes;
use super::{Failure, Secret, text};
use crate::alert::Alert;
use crate::alert::egress::{CONNECT, Egress};

/// Characters of a subject.
const SUBJECT: usize = 200;

/// How the connection is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Asked for, and without it nothing is sent (RFC 3207).
    #[default]
    Starttls,
    /// From the first byte (RFC 8314).
    Tls,
    /// In clear: for a relay on this machine.
    None,
}

#[derive(Clone, Debug)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub from: String,
    pub to: Vec<String>,
    /// User name and password.
    pub login: Option<(String, Secret)>,
}

pub(super) struct Sender {
    settings: Mail,
    from: Mailbox,
    to: Vec<Mailbox>,
    tls: TlsParameters,
    egress: Arc<Egress>,
}

impl Sender {
    pub(super) fn new(
        settings: Mail,
        ca_file: Option<&Path>,
        egress: Arc<Egress>,
    ) -> Result<Self, String> {
        let mailbox = |text: &String| {
            text.parse::<Mailbox>()
                .map_err(|e| format!("`{text}` is no address: {e}"))
        };
        let from = mailbox(&settings.from)?;
        let to: Vec<Mailbox> = settings.to.iter().map(mailbox).collect::<Result<_, _>>()?;
        if to.is_empty() {
            return Err("it needs somebody in `to`".into());
        }
        if settings.login.is_some() && settings.security == Security::None {
            return Err("a password is not sent in clear: use starttls or tls".into());
        }
        let mut tls = TlsParameters::builder(settings.host.clone());
        if let Some(path) = ca_file {
            tls = tls.certificate_store(CertificateStore::None);
            for authority in super::tls::authorities(path)? {
                let certificate = Certificate::from_der(authority.to_vec());
                tls = tls.add_root_certificate(certificate.map_err(|e| causes(&e))?);
            }
        }
        Ok(Self {
            from,
            to,
            tls: tls.build_rustls().map_err(|e| causes(&e))?,
            settings,
            egress,
        })
    }

    pub(super) async fn send(&self, alert: &Alert) -> Result<(), Failure> {
        let message = self.message(alert)?;
        let mut connection = self.connect().await?;
        let sent = self.hand_over(&mut connection, &message).await;
        connection.abort().await;
        sent.map_err(|e| self.failure(&e))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let s = &self.settings;
        let addresses = self.egress.addresses(&s.host, s.port).await;
        let addresses = addresses.map_err(Failure::passing)?;
        let tls = (s.security == Security::Tls).then(|| self.tls.clone());
        let hello = ClientId::default();
        let connecting =
            AsyncSmtpConnection::connect_tokio1(&*addresses, Some(CONNECT), &hello, tls, None);
        let mut connection = connecting.await.map_err(|e| self.failure(&e))?;
        if s.security == Security::Starttls {
            // Where the server does not offer it, this is an error and not a connection in clear.
            let secured = connection.starttls(self.tls.clone(), &hello).await;
            secured.map_err(|e| self.failure(&e))?;
        }
        Ok(connection)
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &lettre::Message,
    ) -> Result<(), lettre::transport::smtp::Error> {
        if let Some((user, password)) = &self.settings.login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await?;
        }
        let envelope: &Envelope = message.envelope();
        connection.send(envelope, &message.formatted()).await?;
        Ok(())
    }

    pub(super) fn message(&self, alert: &Alert) -> Result<lettre::Message, Failure> {
        let mut builder = MessageBuilder::new()
            .from(self.from.clone())
            .subject(subject(alert))
            // The same for every attempt, so that a mailbox may drop what it has seen.
            .message_id(Some(format!("<{}@apitap>", alert.message_id())))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder
            .body(body(alert))
            .map_err(|e| Failure::refusal(causes(&e)))
    }

    /// A permanent answer (5xx) to a message is a refusal; the server may say what it likes, but not
    /// our password.
    fn failure(&self, e: &lettre::transport::smtp::Error) -> Failure {
        let mut why = causes(e);
        if let Some((_, password)) = &self.settings.login {
            why = why.replace(password.expose(), "…");
        }
        // 5xx on greeting or login (421, 530, 535 …) is the server's trouble with us, not with the
        // message; these are mended by a person and tried until then.
        match e.status().map(u16::from) {
            Some(550..=559) => Failure::refusal(why),
            _ => Failure::passing(why),
        }
    }
}

/// What begins an encoded word (RFC 2047) would be decoded by whoever reads it, into anything.
fn subject(alert: &Alert) -> String {
    let title = text::title(alert, SUBJECT).replace("=?", "= ?");
    format!("apitap: {title}")
}

pub(super) fn body(alert: &Alert) -> String {
    let mut out = format!("{}\r\n\r\n", text::title(alert, 1_000));
    for (name, value) in text::facts(alert) {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    for line in text::evidence(alert, 500) {
        out.push_str(&format!("- {line}\r\n"));
    }
    out.push_str(&format!("\r\napitap alert {}\r\n", alert.id));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};

    fn mail() -> Mail {
        Mail {
            host: "mail.example".into(),
            port: 587,
            security: Security::Starttls,
            from: "apitap <apitap@example.com>".into(),
            to: vec!["soc@example.com".into()],
            login: Some(("apitap".into(), Secret::new("hunter2"))),
        }
    }

    fn formatted(alert: &Alert) -> String {
        let sender = Sender::new(mail(), None, Arc::default()).unwrap();
        String::from_utf8(sender.message(alert).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_message() {
        let text = formatted(&alert());
        assert!(
            text.contains("Subject: apitap: [HIGH] one token walks order ids\r\n"),
            "{text}"
        );
        assert!(
            text.contains("Endpoint: GET api.example.com /v1/orders/{order_id}\r\n"),
            "{text}"
        );
        assert!(
            text.contains("Message-ID: <0123456789abcdef0123-1@apitap>\r\n"),
            "{text}"
        );
    }

    #[test]
    fn captured_text_begins_no_header() {
        let text = formatted(&hostile());
        let head = text.split("\r\n\r\n").next().unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|l| !l.starts_with([' ', '\t']))
            .map(|l| l.split(':').next().unwrap())
            .collect();
        let mut known = names.clone();
        known.retain(|n| {
            [
                "From",
                "To",
                "Subject",
                "Message-ID",
                "Content-Type",
                "Content-Transfer-Encoding",
                "MIME-Version",
                "Date",
            ]
            .contains(n)
        });
        assert_eq!(names, known);
        assert!(
            !body(&hostile())
                .replace("\r\n", "")
                .contains(char::is_control)
        );
    }

    #[test]
    fn what_cannot_be_is_said() {
        let wrong = |change: fn(&mut Mail)| {
            let mut m = mail();
            change(&mut m);
            Sender::new(m, None, Arc::default()).err().unwrap()
        };
        assert!(wrong(|m| m.to.clear()).contains("to"));
        assert!(wrong(|m| m.from = "a\r\nBcc: x@y".into()).contains("no address"));
        let clear = wrong(|m| m.security = Security::None);
        assert!(clear.contains("in clear") && !clear.contains("hunter2"));
        assert!(!format!("{:?}", mail()).contains("hunter2"));
    }
}
