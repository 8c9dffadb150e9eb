//! Addresses: what is allowed, and what may be shown.

use super::{HttpError, Trouble};

/// Scheme, host and port of an address: all of it that may be shown. The rest may hold a key.
#[must_use]
pub fn origin(url: &str) -> String {
    let Some((scheme, rest)) = split_scheme(url) else { return "an address that is none".to_owned() };
    let host = authority(rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// An address that can be used: http or https, with a host and without a name and password in it.
///
/// # Errors
/// Why it cannot.
pub(crate) fn check(url: &str) -> Result<(), HttpError> {
    let bad = |why: &str| Err(HttpError::new(Trouble::Address, why));
    let Some((scheme, rest)) = split_scheme(url) else {
        return bad("the address must begin with http:// or https://");
    };
    let host = authority(rest);
    if host.contains('@') {
        return bad("an address must not hold a name or a password: put it into a header");
    }
    if host.is_empty() || host.starts_with(':') {
        return Err(HttpError::new(Trouble::Address, format!("the {scheme} address has no host")));
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return bad("the address contains a space or a control character");
    }
    Ok(())
}

pub(super) fn split_scheme(url: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    ["http", "https"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known)).map(|known| (known, rest))
}

pub(super) fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_of_an_address_is_shown() {
        assert_eq!(
            origin("https://hooks.example.com/services/T0/B0/secret?k=v"),
            "https://hooks.example.com"
        );
        assert_eq!(origin("HTTP://me:pass@host:81#x"), "http://host:81");
        assert_eq!(origin("file:///etc/passwd"), "an address that is none");
    }

    #[test]
    fn addresses_that_cannot_be_used_say_why() {
        for (url, part) in [
            ("ftp://host/", "begin with http"),
            ("host/path", "begin with http"),
            ("https://", "no host"),
            ("http://:80/", "no host"),
            ("https://me:secret@host/", "put it into a header"),
            ("http://host/a b", "space"),
            ("http://host/\nX: y", "control"),
        ] {
            let error = check(url).expect_err(url);
            assert!(error.message.contains(part) && !error.message.contains("secret"), "{url}: {error}");
        }
        assert!(check("http://localhost:11434").is_ok());
    }
}
