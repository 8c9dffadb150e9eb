//! Where redirects lead.

use super::address::{authority, check, origin, split_scheme};

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

#[cfg(test)]
mod tests {
    use super::*;

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
