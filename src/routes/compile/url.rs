//! Parses and validates endpoints.
//!
//! A few rules replace a URL library. They accept only the forms that providers use, so that later
//! code can append a path.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The `expected` text of issues with an endpoint.
pub const EXPECTED: &str = "a URL with https (or http to loopback) and without user, query and fragment, such as https://api.example.com/v1";

/// Parses an endpoint and removes its trailing slash. `None` if the text is not a valid endpoint.
pub fn parse(text: &str) -> Option<Url<'_>> {
    let (is_encrypted, rest) = match text.split_once("://")? {
        (scheme, rest) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        (scheme, rest) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        _ => return None,
    };
    let rest = rest.trim_end_matches('/');
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host_of(authority)?;
    let is_path = path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\\\"<>^`{|}".contains(&byte));
    // An HTTP client resolves dot segments and then calls another URL than the one in the document.
    let has_dot_segment = path.split('/').any(|segment| segment == "." || segment == "..");
    (is_path && !has_dot_segment && (is_encrypted || is_loopback(host))).then_some(Url {
        text: text.trim_end_matches('/'),
        host,
        path,
    })
}

/// A valid endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Url<'a> {
    /// The whole URL, without a trailing slash.
    pub text: &'a str,
    /// The host, without its port.
    pub host: &'a str,
    /// The path, empty or with its leading slash.
    pub path: &'a str,
}

impl Url<'_> {
    /// Whether the host is this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host)
    }
}

/// The host of `host`, `host:port` or `[address]:port`. `None` if host or port is malformed.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<Ipv6Addr>().ok()?;
            (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_host = host.parse::<Ipv6Addr>().is_ok() || host.split('.').all(is_label);
    (is_host && port.is_none_or(is_port)).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_https_and_loopback_may_be_called() {
        for (text, expected) in [
            ("https://api.openai.com/v1", Some(("api.openai.com", "/v1"))),
            ("https://api.openai.com/v1/", Some(("api.openai.com", "/v1"))),
            ("HTTPS://NAME.openai.azure.com", Some(("NAME.openai.azure.com", ""))),
            ("https://host:8443/a/b", Some(("host", "/a/b"))),
            ("https://10.0.0.1", Some(("10.0.0.1", ""))),
            ("http://127.0.0.1:4010/v1", Some(("127.0.0.1", "/v1"))),
            ("http://127.9.9.9", Some(("127.9.9.9", ""))),
            ("http://localhost:1", Some(("localhost", ""))),
            ("http://[::1]:4010", Some(("::1", ""))),
            ("http://api.openai.com/v1", None),
            // These begin like a loopback host but are not one.
            ("http://127.0.0.1.example.com", None),
            ("http://localhost.example.com", None),
            ("http://[::2]", None),
            ("ftp://host", None),
            ("api.openai.com/v1", None),
            ("https://", None),
            ("https:///v1", None),
            ("https://user:secret@host/v1", None),
            ("https://host/v1?api-version=1", None),
            ("https://host/v1#top", None),
            ("https://host?x", None),
            ("https://host:0", None),
            ("https://host:65536", None),
            ("https://host:+1", None),
            ("https://host:", None),
            ("https://[::1", None),
            ("https://[host]", None),
            ("https://[::1]1", None),
            ("https://a..b", None),
            ("https://host/a b", None),
            ("https://host/ä", None),
            ("https://host/../x", None),
            ("https://host\\@evil", None),
        ] {
            assert_eq!(parse(text).map(|url| (url.host, url.path)), expected, "{text}");
        }
        assert_eq!(parse("https://host/v1//").map(|url| url.text), Some("https://host/v1"));
    }
}
