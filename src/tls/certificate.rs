//! What a server's certificate says in clear: its names, when it ends, whether it vouches for
//! itself. TLS 1.3 encrypts the message; there it is read only where the keys are.
//!
//! Nothing is verified: a listener reports what was shown. DER is read by `x509-cert`.

use compact_str::CompactString;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::cursor::Cursor;
use super::hello::Version;
use crate::time::Timestamp;

/// Names kept of one certificate; a content network's may have a hundred, a forged one thousands.
pub const MAX_NAMES: usize = 32;

/// RFC 1035, section 2.3.4; the rest of a longer name is no name of a host.
pub const MAX_NAME: usize = 255;

/// The server's own certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// DNS names of the subject's alternative names, or the common name where there are none.
    pub names: Vec<CompactString>,
    pub not_after: Option<Timestamp>,
    /// Issuer and subject are one.
    pub self_signed: bool,
}

impl Certificate {
    /// Reads the first certificate of a Certificate message's body (RFC 5246, section 7.4.2; RFC
    /// 8446, section 4.4.2). `None` where there is none, or none that can be read.
    pub fn read(body: &[u8], version: Version) -> Option<Self> {
        Self::from_der(first(body, version)?)
    }

    /// Whether the message has a certificate, whatever it is.
    pub fn is_any(body: &[u8], version: Version) -> bool {
        first(body, version).is_some_and(|der| !der.is_empty())
    }

    /// The profile `Raw` takes serial numbers longer than the 20 bytes of RFC 5280: private
    /// authorities issue such.
    fn from_der(der: &[u8]) -> Option<Self> {
        let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        let mut names = Vec::new();
        if let Ok(Some((_, SubjectAltName(alternatives)))) = tbs.get_extension() {
            let dns = alternatives.iter().filter_map(|name| match name {
                GeneralName::DnsName(name) => Some(text(name.as_str())),
                _ => None,
            });
            names.extend(dns.take(MAX_NAMES));
        }
        if names.is_empty() {
            let common = tbs.subject().common_name().ok().flatten();
            names.extend(common.map(|name| text(&name.value())));
        }
        let end = tbs.validity().not_after.to_unix_duration();
        let end = i64::try_from(end.as_secs()).ok().map(Timestamp::from_secs);
        Some(Self {
            names,
            not_after: end,
            self_signed: tbs.issuer() == tbs.subject(),
        })
    }
}

/// The first certificate of the message's list.
fn first(body: &[u8], version: Version) -> Option<&[u8]> {
    let mut c = Cursor(body);
    if version >= Version::TLS13 {
        let _context = c.vec8()?;
    }
    Cursor(c.vec24()?).vec24()
}

fn text(name: &str) -> CompactString {
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= MAX_NAME).last();
    CompactString::from(&name[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tls::tests::unhex;

    /// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650
    /// -subj /CN=front -addext subjectAltName=DNS:api.example,DNS:*.api.example,IP:10.0.0.1`
    const SELF_SIGNED: &str = include_str!("certificate/self-signed.hex");

    const END: &str = "2036-11-22T17:08:24Z";

    fn message(der: &[u8]) -> Vec<u8> {
        let length = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
        [length(der.len() + 3), length(der.len()), der.to_vec()].concat()
    }

    #[test]
    fn names_and_end_of_a_certificate() {
        let der = unhex(SELF_SIGNED);
        let read = Certificate::read(&message(&der), Version::TLS12).unwrap();
        assert_eq!(read.names, ["api.example", "*.api.example"]);
        assert!(read.self_signed);
        assert_eq!(read.not_after.map(|t| t.to_string()).as_deref(), Some(END));
        // TLS 1.3 has a context before the list and extensions behind each certificate.
        let body = [&[0], &message(&der)[..]].concat();
        assert_eq!(Certificate::read(&body, Version::TLS13), Some(read));
    }

    #[test]
    fn a_certificate_that_is_cut_or_absent_is_none() {
        let der = unhex(SELF_SIGNED);
        for end in 0..der.len() {
            assert_eq!(Certificate::from_der(&der[..end]), None, "cut at {end}");
        }
        assert!(Certificate::is_any(&message(&der), Version::TLS12));
        assert!(!Certificate::is_any(&[0, 0, 0], Version::TLS12));
        assert!(!Certificate::is_any(&[0, 0, 0, 0], Version::TLS13));
        assert_eq!(Certificate::read(&[0, 0, 0], Version::TLS12), None);
    }

    proptest! {
        #[test]
        fn a_byte_changed_anywhere_is_survived(at in 0_usize..400, byte in any::<u8>()) {
            let mut der = unhex(SELF_SIGNED);
            let at = at % der.len();
            der[at] = byte;
            if let Some(read) = Certificate::from_der(&der) {
                prop_assert!(read.names.len() <= MAX_NAMES);
            }
        }
    }
}
