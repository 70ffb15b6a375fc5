//! Which headers cross the gateway. Names are in lower case throughout, as the platform gives them.
//!
//! Towards the upstream everything passes but what is known to be somebody else's business: providers add headers faster
//! than a list could follow, and a client that sends one means it. Towards the client only what is listed passes: an upstream
//! says much about who serves it and where, and a new header of that kind must not leak until somebody notices.
//!
//! The runtime copies headers that go on, and takes out those that do not: so these are what it is told.

use crate::vocabulary::headers::Headers;

/// The names of those request headers that do not go on to the upstream, with a line break behind each.
pub fn not_forwarded(all: &Headers) -> String {
    let connection = all.get("connection").unwrap_or_default();
    names(all, |name| is_forwarded(name) && !is_listed(connection, name))
}

/// The names of those response headers that do not reach the client, with a line break behind each.
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

/// Whether a request header goes on to the upstream, if it is not named in `connection` (see [`is_listed`]).
fn is_forwarded(name: &str) -> bool {
    !(is_credential(name) || is_about_the_client(name) || is_hop_by_hop(name) || is_about_the_message(name))
}

/// The gateway has read the client's credentials, and the upstream has its own. What names an account goes with them.
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

/// Who the client is, the way it came, and what it said to the gateway alone. A `cf-` header that leaks to a host behind
/// Cloudflare, as OpenAI's is, can also get the request refused.
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

/// Of one connection only (RFC 9110 §7.6.1).
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

/// Of the URL and the bytes as the client sent them, and of an answer that only it could read.
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

/// Whether `connection`, the value of that header, names `name`: then it is of this connection only and stays here.
fn is_listed(connection: &str, name: &str) -> bool {
    connection.split(',').any(|listed| listed.trim().eq_ignore_ascii_case(name))
}

/// Whether a response header may reach the client: what describes the body, and what SDKs and their users read. The account
/// (`openai-organization`, `openai-project`), cookies and topology (`x-ms-region`, `azureml-*`, `cf-*`) do not.
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
            | "x-request-id"
            | "retry-after"
            | "retry-after-ms"
            | "x-should-retry"
            // These two tell caches and proxies on the way to leave a stream alone.
            | "cache-control"
            | "x-accel-buffering"
    )
}

#[cfg(test)]
mod tests {
    use super::{is_forwarded, is_listed, is_returned, not_forwarded, not_returned};
    use crate::vocabulary::headers::Headers;

    #[test]
    fn the_runtime_is_told_what_to_take_out() {
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
            // Tracing, and whatever comes next year.
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
            // Where it is and how it came.
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
            // Would be wrong after an edit.
            "host",
            "content-length",
            "content-digest",
            "accept-encoding",
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
        ] {
            assert_eq!(is_listed(connection, name), expected, "{connection}");
        }
    }

    #[test]
    fn clients_see_what_they_use() {
        for name in [
            "content-type",
            "content-disposition",
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
            // The upstream's opinion of browsers is not ours.
            "access-control-allow-origin",
            // Set by whoever writes the answer.
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
