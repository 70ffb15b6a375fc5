//! Which headers are forwarded. Names are in lower case, as the platform gives them.
//!
//! Towards the upstream every header passes, except those that are known to be for somebody else:
//! providers add headers faster than a list could follow, and a client that sends one means it.
//! Towards the client only listed headers pass: an upstream reveals much about who serves a request
//! and where, and a new header of that kind must not leak before somebody notices.
//!
//! The runtime copies the headers and removes those that do not pass. So these functions return the
//! names to remove.

use std::collections::BTreeSet;

use crate::vocabulary::headers::Headers;
use crate::vocabulary::sorted;

/// The names of the request headers that do not pass to the upstream, with a line break after each.
pub fn not_forwarded(all: &Headers) -> String {
    let listed = ListedHeaders::of(all.get("connection").unwrap_or_default());
    names(all, |name| is_forwarded(name) && !listed.contains(name))
}

/// The names of the response headers that do not pass to the client, with a line break after each.
pub fn not_returned(all: &Headers) -> String {
    names(all, is_returned)
}

fn names(all: &Headers, pass: impl Fn(&str) -> bool) -> String {
    let mut names = String::with_capacity(128);
    for (name, _) in all.iter().filter(|(name, _)| !pass(name)) {
        names.extend([name, "\n"]);
    }
    names
}

/// Whether a request header passes to the upstream, unless `connection` names it (see
/// [`ListedHeaders`]).
fn is_forwarded(name: &str) -> bool {
    !(is_credential(name)
        || is_about_the_client(name)
        || is_hop_by_hop(name)
        || is_about_the_message(name)
        || is_override(name))
}

/// Credentials. The gateway has read the client's, and the upstream has its own. The headers that
/// name an account belong to them.
fn is_credential(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "api-key"
            | "x-api-key"
            | "ocp-apim-subscription-key"
            | "proxy-authorization"
            | "cookie"
            | "openai-organization"
            | "openai-project"
    )
}

/// Who the client is, which way its request came, and what it sent to the gateway only. A `cf-`
/// header that leaks to a host behind Cloudflare, such as OpenAI's, can also get the request
/// refused.
fn is_about_the_client(name: &str) -> bool {
    ["cf-", "x-forwarded-", "sec-", "access-control-", "x-switchyard-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "forwarded"
                | "via"
                | "x-real-ip"
                | "x-client-ip"
                | "true-client-ip"
                | "cdn-loop"
                | "origin"
                | "referer"
        )
}

/// Valid for one connection only (RFC 9110 §7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "proxy-connection"
            | "proxy-authenticate"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
    )
}

/// About the URL and the bytes as the client sent them, and about an answer that only the client
/// could read.
fn is_about_the_message(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "content-length"
            | "content-md5"
            | "content-digest"
            | "repr-digest"
            | "digest"
            | "accept-encoding"
    )
}

/// Asks a server to act on another method, host or URL than those of the request. Routing, retries
/// and the checks of paths go by the real ones, so an upstream must not see others.
fn is_override(name: &str) -> bool {
    name.strip_prefix("x-").is_some_and(|rest| {
        ["original-", "rewrite-", "override-", "envoy-original-"].iter().any(|start| rest.starts_with(start))
            || rest.ends_with("-override")
            || matches!(rest, "http-method" | "method" | "host")
    })
}

/// The headers that the value of `connection` names. They are valid for this connection only and do
/// not pass.
///
/// A set, in lower case: a client may name thousands of them, and send thousands of headers.
struct ListedHeaders(BTreeSet<String>);

impl ListedHeaders {
    fn of(connection: &str) -> Self {
        let names = connection.split(',').map(str::trim);
        // Nearly always these are all, and nothing is allocated.
        let is_usual =
            |name: &str| name.is_empty() || is_hop_by_hop(name) || matches!(name, "close" | "Keep-Alive");
        Self(sorted::set(names.filter(|name| !is_usual(name)).map(str::to_ascii_lowercase)))
    }

    fn contains(&self, name: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&name.to_ascii_lowercase())
    }
}

/// Whether a response header passes to the client: headers that describe the body, and headers that
/// SDKs and their users read. The account (`openai-organization`, `openai-project`), cookies and
/// topology (`x-ms-region`, `azureml-*`, `cf-*`) do not pass.
pub fn is_returned(name: &str) -> bool {
    match name.strip_prefix("openai-") {
        Some(rest) => !matches!(rest, "organization" | "project"),
        None => name.starts_with("x-ratelimit-") || is_read_by_clients(name),
    }
}

fn is_read_by_clients(name: &str) -> bool {
    matches!(
        name,
        "content-type"
            | "content-disposition"
            | "content-language"
            // The answers to `range` and to `if-none-match`, which go to the upstream.
            | "content-range"
            | "accept-ranges"
            | "etag"
            | "last-modified"
            | "x-request-id"
            | "retry-after"
            | "retry-after-ms"
            | "x-should-retry"
            // These two ask caches and proxies on the way to leave a stream alone.
            | "cache-control"
            | "x-accel-buffering"
    )
}

#[cfg(test)]
mod tests {
    use super::{ListedHeaders, is_forwarded, is_returned, not_forwarded, not_returned};
    use crate::vocabulary::headers::Headers;

    #[test]
    fn the_names_to_remove_are_returned() {
        let request = Headers::of([
            ("host", "gateway"),
            ("accept", "*/*"),
            ("connection", "close, X-Session"),
            ("x-session", "1"),
            ("x-other", "2"),
        ]);
        assert_eq!(not_forwarded(&request), "host\nconnection\nx-session\n");
        let response = Headers::of([("content-type", "application/json"), ("cf-ray", "1"), ("server", "x")]);
        assert_eq!(not_returned(&response), "cf-ray\nserver\n");
        assert_eq!(not_returned(&Headers::default()), "");
    }

    #[test]
    fn upstreams_see_what_clients_mean_for_them() {
        for name in [
            "content-type",
            "accept",
            "user-agent",
            // OpenAI's own (API reference, "Requests").
            "openai-beta",
            "openai-safety-identifier",
            "x-client-request-id",
            // SDKs, Azure's included.
            "x-stainless-retry-count",
            "x-ms-client-request-id",
            "x-ms-oai-image-generation-deployment",
            // Tracing, and headers that do not exist yet.
            "traceparent",
            "x-new-provider-feature",
        ] {
            assert!(is_forwarded(name), "{name}");
        }
    }

    #[test]
    fn upstreams_do_not_see_who_the_client_is() {
        for name in [
            // Credentials, in every header that some client uses for them.
            "authorization",
            "api-key",
            "x-api-key",
            "ocp-apim-subscription-key",
            "proxy-authorization",
            "cookie",
            "openai-organization",
            "openai-project",
            "cf-aig-authorization",
            "cf-access-jwt-assertion",
            // Where it is and which way its request came.
            "cf-connecting-ip",
            "cf-ipcountry",
            "cf-worker",
            "cf-ew-via",
            "cf-aig-metadata",
            "x-forwarded-for",
            "x-forwarded-proto",
            "forwarded",
            "x-real-ip",
            "true-client-ip",
            "via",
            "cdn-loop",
            "origin",
            "referer",
            "sec-fetch-site",
            "sec-ch-ua",
            "access-control-request-headers",
            "x-switchyard-metadata",
            // Hop by hop.
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "proxy-connection",
            "expect",
            // Wrong after an edit.
            "host",
            "content-length",
            "content-digest",
            "accept-encoding",
            // Another method or URL than those of the request.
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
            "x-original-url",
            "x-rewrite-url",
            "x-http-host-override",
            "x-original-host",
            "x-override-url",
            "x-envoy-original-path",
            "x-host",
        ] {
            assert!(!is_forwarded(name), "{name}");
        }
    }

    #[test]
    fn connection_names_headers_of_its_own() {
        for (connection, name, expected) in [
            ("close, X-Session", "x-session", true),
            ("x-session", "x-session", true),
            ("close", "x-session", false),
            // Whole names, not parts of them.
            ("x-session-id", "x-session", false),
            ("", "x-session", false),
            ("a, Keep-Alive,X-SESSION ,, z", "x-session", true),
            ("b,b,b,a,c,b", "b", true),
        ] {
            assert_eq!(ListedHeaders::of(connection).contains(name), expected, "{connection}");
        }
    }

    /// Compared one by one, these would be 2,500 million pairs.
    #[test]
    fn many_names_beside_many_headers_cost_little() {
        let connection = "b,".repeat(50_000);
        let mut request = Headers::of([("connection", connection.as_str())]);
        request.extend((0..50_000).map(|_| ("a", "")));
        assert_eq!(not_forwarded(&request), "connection\n");
    }

    #[test]
    fn clients_see_what_they_use() {
        for name in [
            "content-type",
            "content-disposition",
            "content-range",
            "accept-ranges",
            "etag",
            "last-modified",
            "x-request-id",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-requests",
            "retry-after",
            "retry-after-ms",
            "x-should-retry",
            "openai-version",
            "openai-processing-ms",
            "openai-model",
            "cache-control",
        ] {
            assert!(is_returned(name), "{name}");
        }
    }

    #[test]
    fn clients_do_not_see_who_served_them() {
        for name in [
            // Cookies and the account.
            "set-cookie",
            "openai-organization",
            "openai-project",
            // Azure's topology.
            "x-ms-region",
            "x-ms-deployment-name",
            "azureml-model-session",
            "ms-azureml-model-time",
            "x-aml-cluster",
            "x-envoy-upstream-service-time",
            "apim-request-id",
            // Cloudflare's, of OpenAI's host or of AI Gateway.
            "cf-ray",
            "cf-cache-status",
            "cf-aig-log-id",
            "server",
            "via",
            "alt-svc",
            "strict-transport-security",
            // The upstream's CORS policy is not the gateway's.
            "access-control-allow-origin",
            // Set by the writer of the answer.
            "content-length",
            "content-encoding",
            "transfer-encoding",
            "connection",
            "www-authenticate",
            "x-unheard-of",
        ] {
            assert!(!is_returned(name), "{name}");
        }
    }
}
