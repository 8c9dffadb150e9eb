//! Addresses: what is allowed, what may be shown, where a redirect leads.

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

/// Where a `Location` leads from an address.
pub(super) fn resolve(from: &str, location: &str) -> Option<String> {
    let (scheme, rest) = split_scheme(from)?;
    let location = location.trim();
    let location = location.split('#').next().unwrap_or_default();
    let to = if split_scheme(location).is_some() {
        location.to_owned()
    } else if let Some(other) = location.strip_prefix("//") {
        format!("{scheme}://{other}")
    } else if location.contains("://") || location.is_empty() {
        return None;
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", authority(rest))
    } else {
        let path = rest[authority(rest).len()..].split(['?', '#']).next().unwrap_or_default();
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        if location.starts_with('?') {
            format!("{scheme}://{}{path}{location}", authority(rest))
        } else {
            format!("{scheme}://{}{folder}{location}", authority(rest))
        }
    };
    check(&to).is_ok().then_some(to)
}

/// Both lead to the same server.
pub(super) fn same_origin(a: &str, b: &str) -> bool {
    origin(a).eq_ignore_ascii_case(&origin(b))
}

fn split_scheme(url: &str) -> Option<(&'static str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    ["http", "https"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known)).map(|known| (known, rest))
}

fn authority(rest: &str) -> &str {
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

    #[test]
    fn redirects_are_resolved_and_leave_http_nowhere() {
        let from = "https://a.example/x/y?q=1";
        for (location, to) in [
            ("http://b.example/z", Some("http://b.example/z")),
            ("//b.example/z", Some("https://b.example/z")),
            ("/z#part", Some("https://a.example/z")),
            ("z", Some("https://a.example/x/z")),
            ("?r=2", Some("https://a.example/x/y?r=2")),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(resolve(from, location).as_deref(), to, "{location}");
        }
        assert_eq!(resolve("http://h", "z").as_deref(), Some("http://h/z"));
        assert!(same_origin("https://A/x", "https://a/y") && !same_origin("https://a/", "http://a/"));
    }
}
