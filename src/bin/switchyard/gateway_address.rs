//! The address of a gateway.

use ureq::http::Uri;

use crate::gateway_error::GatewayError;
use crate::http_agent::is_local;

/// Scheme, host and port of an address, and whether it is on this machine.
pub fn origin(url: &str, is_insecure: bool) -> Result<(String, bool), GatewayError> {
    let wrong =
        |message: String, help: String| Err(GatewayError::of_arguments("wrong_address", message, help));
    let uri: Uri = url.parse().unwrap_or_default();
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return wrong(
            "The address of the gateway is not one that begins with https://.".to_owned(),
            "Write it as https://switchyard.example.workers.dev.".to_owned(),
        );
    };
    if authority.as_str().contains('@') {
        return wrong(
            "The address of the gateway has a user or a password in it.".to_owned(),
            "Remove them. The token is in SWITCHYARD_ADMIN_TOKEN.".to_owned(),
        );
    }
    let origin = format!("{scheme}://{authority}");
    if !matches!(uri.path_and_query().map_or("/", |rest| rest.as_str()), "/" | "") {
        return wrong(
            "The address of the gateway has a path.".to_owned(),
            format!("Name the gateway without it: {origin}."),
        );
    }
    let host = authority.host();
    let is_local = is_local(host);
    if scheme == "http" && !is_local && !is_insecure {
        return wrong(
            format!("{origin} has no TLS, so that others could read the token on its way."),
            "Use https://. If the network is yours alone, add --insecure.".to_owned(),
        );
    }
    Ok((origin, is_local))
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_address_is_an_origin_that_a_token_may_be_sent_to() {
        for (url, is_insecure, expected) in [
            ("https://gateway.example", false, "https://gateway.example"),
            ("https://gateway.example:8443/", false, "https://gateway.example:8443"),
            ("http://127.0.0.1:8787", false, "http://127.0.0.1:8787"),
            ("http://[::1]:8787", false, "http://[::1]:8787"),
            ("http://localhost:8787", false, "http://localhost:8787"),
            ("http://10.0.0.7", true, "http://10.0.0.7"),
            ("http://10.0.0.7", false, "no TLS"),
            ("http://localhost.example", false, "no TLS"),
            ("http://127.0.0.1.example", false, "no TLS"),
            ("https://me:secret@gateway.example", false, "a user or a password"),
            ("https://gateway.example/v1", false, "has a path"),
            ("https://gateway.example/?a=b", false, "has a path"),
            ("gateway.example", false, "begins with https://"),
            ("ftp://gateway.example", false, "begins with https://"),
            ("", false, "begins with https://"),
        ] {
            let found = origin(url, is_insecure);
            let said =
                found.as_ref().map_or_else(|error| error.message.as_str(), |(origin, _)| origin.as_str());
            assert!(said.contains(expected), "{url}: {found:?}");
            assert!(!format!("{found:?}").contains("secret"), "{found:?}");
        }
    }
}
