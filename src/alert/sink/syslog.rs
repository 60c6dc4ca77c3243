//! Syslog, RFC 5424: over UDP (RFC 5426), TCP with octet counting (RFC 6587), or TLS (RFC 5425). The
//! message is JSON or CEF, beside structured data of the alert's own.
//!
//! Syslog acknowledges nothing. Over TCP and TLS each alert has a connection of its own, which is
//! ended and whose end by the receiver is waited for: then it has read all of it, and a reset is a
//! failure that is tried again. Over UDP nobody can know.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::http::causes;
use super::{Failure, cef, text};
use crate::alert::Alert;
use crate::alert::egress::{CONNECT, Egress};
use crate::detect::Severity;

/// Bytes of a message: rsyslog cuts longer ones unless it is told otherwise, and a datagram of more
/// is seldom whole.
const LONGEST: usize = 8_000;

/// A receiver that keeps the connection open this long after our end has taken the message.
const CLOSE: Duration = Duration::from_secs(2);

/// RFC 5612's number for those without one of their own.
const SD_ID: &str = "apitap@32473";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    Udp,
    #[default]
    Tcp,
    Tls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    #[default]
    Json,
    Cef,
}

#[derive(Clone, Debug)]
pub struct Syslog {
    pub host: String,
    pub port: u16,
    pub carrier: Carrier,
    pub layout: Layout,
    /// 0 to 23; 16 is local0.
    pub facility: u8,
}

pub(super) struct Sender {
    settings: Syslog,
    name: ServerName<'static>,
    tls: TlsConnector,
    egress: Arc<Egress>,
    here: String,
}

impl Sender {
    pub(super) fn new(
        settings: Syslog,
        tls: rustls::ClientConfig,
        egress: Arc<Egress>,
    ) -> Result<Self, String> {
        let name = ServerName::try_from(settings.host.clone())
            .map_err(|_| format!("`{}` is no host", settings.host))?;
        Ok(Self {
            settings,
            name,
            tls: TlsConnector::from(Arc::new(tls)),
            egress,
            here: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
        })
    }

    pub(super) async fn send(&self, alert: &Alert) -> Result<(), Failure> {
        let s = &self.settings;
        let message = message(alert, s, &self.here);
        if s.carrier == Carrier::Udp {
            return self.datagram(message.as_bytes()).await;
        }
        let frame = format!("{} {message}", message.len());
        let stream = self
            .egress
            .connect(&s.host, s.port)
            .await
            .map_err(Failure::passing)?;
        if s.carrier == Carrier::Tcp {
            return hand_over(stream, frame.as_bytes()).await;
        }
        match timeout(CONNECT, self.tls.connect(self.name.clone(), stream)).await {
            Ok(Ok(stream)) => hand_over(stream, frame.as_bytes()).await,
            Ok(Err(e)) => Err(Failure::passing(format!("TLS: {}", causes(&e)))),
            Err(_) => Err(Failure::passing("TLS: no answer in time")),
        }
    }

    async fn datagram(&self, message: &[u8]) -> Result<(), Failure> {
        let s = &self.settings;
        let addresses = self.egress.addresses(&s.host, s.port).await;
        let to = addresses.map_err(Failure::passing)?[0];
        let here = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(here).await.map_err(Failure::passing)?;
        socket.connect(to).await.map_err(Failure::passing)?;
        socket.send(message).await.map_err(Failure::passing)?;
        Ok(())
    }
}

/// Writes, ends our direction, and waits until the receiver ends its own.
async fn hand_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    frame: &[u8],
) -> Result<(), Failure> {
    stream.write_all(frame).await.map_err(Failure::passing)?;
    stream.flush().await.map_err(Failure::passing)?;
    stream.shutdown().await.map_err(Failure::passing)?;
    let mut rest = [0; 64];
    let end = async {
        loop {
            match stream.read(&mut rest).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                // TLS without its own farewell: the connection was ended, not reset.
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(e) => return Err(Failure::passing(format!("not taken: {e}"))),
            }
        }
    };
    timeout(CLOSE, end).await.unwrap_or(Ok(()))
}

/// RFC 5424, 6: header, structured data, message.
pub(super) fn message(alert: &Alert, settings: &Syslog, here: &str) -> String {
    let severity = match alert.severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    };
    let mut out = format!(
        "<{}>1 {} {} apitap {} {} {}",
        u32::from(settings.facility) * 8 + severity,
        alert.last_seen,
        name(here, 255),
        std::process::id(),
        name(&alert.kind, 32),
        structured(alert),
    );
    let room = LONGEST.saturating_sub(out.len() + 1);
    out.push(' ');
    match settings.layout {
        Layout::Json => out.push_str(&json(alert, room)),
        Layout::Cef => out.push_str(cut(&cef::line(alert), room)),
    }
    out
}

/// What is missing is `-`; the rest is printable ASCII.
fn name(text: &str, max: usize) -> String {
    let kept: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(max)
        .collect();
    if kept.is_empty() { "-".into() } else { kept }
}

fn structured(alert: &Alert) -> String {
    let revision = alert.revision.to_string();
    let parts = [
        ("id", alert.id.as_str()),
        ("revision", &revision),
        ("severity", alert.severity.name()),
        ("status", alert.status.name()),
        ("detector", &alert.detector),
        ("endpoint", alert.endpoint.as_deref().unwrap_or_default()),
        ("identity", text::identity(alert).unwrap_or_default()),
    ];
    let mut out = format!("[{SD_ID}");
    for (key, value) in parts.into_iter().filter(|(_, v)| !v.is_empty()) {
        out.push_str(&format!(" {key}=\"{}\"", param(value)));
    }
    out.push(']');
    out
}

/// RFC 5424, 6.3.3: three characters are escaped.
fn param(value: &str) -> String {
    let mut out = String::new();
    for c in text::clean(value, 300).chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The alert as one line; where that is too long, without its chart, its filters, its samples, its
/// reasons, and at last with its texts cut.
fn json(alert: &Alert, room: usize) -> String {
    let line = |alert: &Alert| text::json(alert).unwrap_or_default();
    let mut text = line(alert);
    let mut small = alert.clone();
    let shorten: [fn(&mut Alert); 5] = [
        |a| a.series.clear(),
        |a| a.evidence = None,
        |a| a.samples.clear(),
        |a| a.why.clear(),
        |a| {
            let who = a.principal.as_mut().and_then(|p| p.identity.as_mut());
            let all = [a.endpoint.as_mut(), a.host.as_mut(), a.note.as_mut(), who];
            let summary = std::iter::once(&mut a.summary);
            for long in summary.chain(all.into_iter().flatten()) {
                *long = text::clean(long, 200);
            }
        },
    ];
    for step in shorten {
        if text.len() <= room {
            break;
        }
        step(&mut small);
        text = line(&small);
    }
    text
}

fn cut(text: &str, room: usize) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    &text[..ends.take_while(|end| *end <= room).last().unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::sink::tests::{alert, hostile};

    fn settings(layout: Layout) -> Syslog {
        Syslog {
            host: "syslog.example".into(),
            port: 6514,
            carrier: Carrier::Tls,
            layout,
            facility: 16,
        }
    }

    #[test]
    fn a_message_of_rfc_5424() {
        let text = message(&alert(), &settings(Layout::Cef), "sensor 1");
        let pid = std::process::id();
        assert!(
            text.starts_with(&format!(
                "<131>1 2025-10-09T08:53:20Z sensor1 apitap {pid} enumeration [apitap@32473 id=\"0123456789abcdef0123\" \
                 revision=\"1\" severity=\"high\" status=\"open\" detector=\"walk\" endpoint=\"GET api.example.com /v1/orders/{{order_id}}\" \
                 identity=\"bearer:5f0c\"] CEF:0|apitap|"
            )),
            "{text}"
        );
        let text = message(&alert(), &settings(Layout::Json), "sensor");
        let json = &text[text.find("] {").unwrap() + 2..];
        assert_eq!(serde_json::from_str::<Alert>(json).unwrap(), alert());
    }

    #[test]
    fn captured_text_stays_in_its_value() {
        for layout in [Layout::Json, Layout::Cef] {
            let text = message(&hostile(), &settings(layout), "h");
            assert!(
                text.len() <= LONGEST && !text.contains(char::is_control),
                "{text}"
            );
            let start = text.find('[').unwrap();
            // Read back: quotes that are not escaped come in pairs, and the element ends once.
            let (mut inside, mut escaped, mut end) = (false, false, 0);
            for (i, c) in text[start..].char_indices() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' if inside => escaped = true,
                    '"' => inside = !inside,
                    ']' if !inside => {
                        end = start + i;
                        break;
                    }
                    _ => {}
                }
            }
            let rest = &text[end + 1..];
            assert!(
                rest.starts_with(" {") || rest.starts_with(" CEF:0|"),
                "{rest}"
            );
        }
    }

    #[test]
    fn a_long_alert_is_shortened_to_valid_json() {
        let mut a = alert();
        a.why = vec!["é".repeat(900); 9];
        let text = message(&a, &settings(Layout::Json), "h");
        assert!(text.len() <= LONGEST);
        let short: Alert = serde_json::from_str(&text[text.find("] {").unwrap() + 2..]).unwrap();
        assert_eq!((short.id, short.why.len()), (a.id, 0));
    }

    proptest::proptest! {
        /// RFC 5424's own reader gets the cleaned value back.
        #[test]
        fn values_read_back(value in "\\PC{0,40}|[]\"\\\\\r\n\u{85}\u{2028} a-c]{0,40}") {
            let written = param(&value);
            let mut read = String::new();
            let mut chars = written.chars();
            while let Some(c) = chars.next() {
                proptest::prop_assert!(!matches!(c, '"' | ']') && !c.is_control());
                read.push(if c == '\\' { chars.next().unwrap() } else { c });
            }
            proptest::prop_assert_eq!(read, text::clean(&value, 300));
        }
    }
}
