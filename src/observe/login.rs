//! Login calls: a request body with a password-like field, and the user name beside it.

use serde_json::Value;

const PASSWORD: [&str; 7] = [
    "password",
    "passwd",
    "pwd",
    "pass",
    "passphrase",
    "passcode",
    "user_password",
];
/// In order of preference.
const USER: [&str; 9] = [
    "username",
    "user_name",
    "login",
    "email",
    "user",
    "userid",
    "user_id",
    "account",
    "phone",
];

/// The user name, where the body is a login. Bodies cut short are no evidence.
pub(super) fn user_name(content_type: &str, body: &[u8]) -> Option<String> {
    if content_type == "application/x-www-form-urlencoded" {
        let pairs: Vec<_> = url::form_urlencoded::parse(body).collect();
        let find = |names: &[&str]| {
            names
                .iter()
                .find_map(|n| pairs.iter().find(|(k, _)| k.eq_ignore_ascii_case(n)))
        };
        find(&PASSWORD)?;
        return find(&USER).map(|(_, v)| v.to_string());
    }
    if !(content_type.ends_with("/json") || content_type.ends_with("+json")) {
        return None;
    }
    let document: Value = serde_json::from_slice(body).ok()?;
    // `{"user": {"email": …, "password": …}}` is as common as the flat form.
    let nested = document.as_object()?.values().filter(|v| v.is_object());
    std::iter::once(&document).chain(nested).find_map(in_object)
}

fn in_object(value: &Value) -> Option<String> {
    let object = value.as_object()?;
    let find = |names: &[&str]| {
        names.iter().find_map(|n| {
            object
                .iter()
                .find(|(k, v)| k.eq_ignore_ascii_case(n) && v.is_string())
        })
    };
    find(&PASSWORD)?;
    find(&USER).and_then(|(_, v)| v.as_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_a_password_beside_a_name() {
        let json = |body: &str| user_name("application/json", body.as_bytes());
        assert_eq!(
            json(r#"{"email":"a@b.example","password":"x"}"#).as_deref(),
            Some("a@b.example")
        );
        assert_eq!(
            json(r#"{"user":{"login":"ann","password":"x"}}"#).as_deref(),
            Some("ann")
        );
        assert_eq!(json(r#"{"email":"a@b.example"}"#), None);
        assert_eq!(json(r#"{"email":"a@b.example","password":"#), None);
        let form = user_name(
            "application/x-www-form-urlencoded",
            b"username=ann%40b&Password=x",
        );
        assert_eq!(form.as_deref(), Some("ann@b"));
        assert_eq!(user_name("text/plain", b"username=ann&password=x"), None);
    }
}
