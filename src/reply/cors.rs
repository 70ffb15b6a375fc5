//! Cross-origin requests from browsers (the Fetch standard,
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>). They are off unless
//! `settings.cors.origins` names the origin, because a key in a browser is public.

use crate::routes::glob::Glob;

/// Headers for an answer to `origin`; empty if the origin may not read it.
pub fn headers(allowed: &[Glob], origin: Option<&str>) -> Vec<(&'static str, String)> {
    match origin {
        Some(origin) if allowed.iter().any(|glob| glob.matches(origin)) => vec![
            ("access-control-allow-origin", origin.to_owned()),
            ("access-control-expose-headers", "*".to_owned()),
            ("vary", "origin".to_owned()),
        ],
        _ => Vec::new(),
    }
}

/// Headers for the answer to a preflight that asks for `requested` headers; empty if the origin may
/// not call. `methods`: those that the path accepts.
pub fn preflight(
    allowed: &[Glob],
    origin: Option<&str>,
    requested: Option<&str>,
    methods: &str,
) -> Vec<(&'static str, String)> {
    let mut headers = headers(allowed, origin);
    if !headers.is_empty() {
        headers.push(("access-control-allow-methods", methods.to_owned()));
        headers.push((
            "access-control-allow-headers",
            requested.unwrap_or("authorization, content-type").to_owned(),
        ));
        headers.push(("access-control-max-age", "86400".to_owned()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_origins_may_call() {
        let allowed = [Glob::new("https://app.example.com"), Glob::new("https://*.example.org")];
        for (origin, expected) in [
            (Some("https://app.example.com"), true),
            (Some("https://a.example.org"), true),
            // Another scheme is another origin.
            (Some("http://app.example.com"), false),
            (Some("https://app.example.com.evil.test"), false),
            (None, false),
        ] {
            assert_eq!(!headers(&allowed, origin).is_empty(), expected, "{origin:?}");
            assert_eq!(!preflight(&allowed, origin, None, "GET").is_empty(), expected, "{origin:?}");
        }
        assert!(headers(&[], Some("https://app.example.com")).is_empty(), "off by default");
    }

    #[test]
    fn a_preflight_allows_the_headers_that_it_asks_for_and_the_methods_of_the_path() {
        let allowed = [Glob::new("*")];
        let headers = preflight(&allowed, Some("https://a"), Some("x-stainless-lang"), "GET, DELETE");
        assert!(headers.contains(&("access-control-allow-headers", "x-stainless-lang".to_owned())));
        assert!(headers.contains(&("access-control-allow-methods", "GET, DELETE".to_owned())));
    }
}
