//! The gateway's own response headers: the id of the request, the deployment that served it, and
//! its attempts.

use crate::attempt::trail::Trail;
use crate::routes::graph::Expose;
use crate::vocabulary::time::Millis;

/// What the headers report.
pub struct ServedRequest<'a> {
    /// The gateway's id of the request.
    pub request_id: &'a str,
    /// Version of the routes document.
    pub routes: &'a str,
    /// The entry node, once it is chosen.
    pub node: Option<&'a str>,
    /// The attempts, once they are known, and the time of the whole request.
    pub tried: Option<(&'a Trail, Millis)>,
}

/// The headers that `expose` allows.
pub fn own(served: &ServedRequest<'_>, expose: Expose) -> Vec<(&'static str, String)> {
    let mut headers = Vec::with_capacity(7);
    let mut show = |shown: bool, name, value: String| {
        if shown {
            headers.push((name, value));
        }
    };
    show(expose.request_id, "x-switchyard-request-id", served.request_id.to_owned());
    show(expose.routes, "x-switchyard-routes", served.routes.to_owned());
    if let Some(node) = served.node {
        show(expose.model, "x-switchyard-model", visible(node));
    }
    let Some((trail, elapsed_ms)) = served.tried else { return headers };
    show(expose.attempts, "x-switchyard-attempts", trail.attempts().len().to_string());
    if let Some(attempt) = trail.serving().or_else(|| trail.attempts().last()) {
        show(expose.deployment, "x-switchyard-deployment", visible(&attempt.deployment.name));
        show(expose.trail, "x-switchyard-trail", visible(&trail.to_string()));
    }
    let (upstream_ms, backoff_ms) = (trail.upstream_ms(), trail.backoff_ms());
    let own_ms = elapsed_ms - upstream_ms - backoff_ms;
    let timing = format!("upstream;dur={upstream_ms}, backoff;dur={backoff_ms}, switchyard;dur={own_ms}");
    show(expose.timing, "server-timing", timing);
    headers
}

/// Names come from a document in any script, but a header takes only visible ASCII.
fn visible(text: &str) -> String {
    let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.bytes().all(is_visible) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::short::ms;

    const NONE: Expose = Expose {
        request_id: false,
        model: false,
        deployment: false,
        attempts: false,
        trail: false,
        routes: false,
        timing: false,
    };

    #[test]
    fn nothing_is_shown_that_expose_hides() {
        let trail = Trail::default();
        let served = ServedRequest {
            request_id: "req_1",
            routes: "abc",
            node: Some("chat"),
            tried: Some((&trail, ms(5))),
        };
        assert_eq!(own(&served, NONE), []);
        let shown: Vec<_> = own(&served, Expose::default()).into_iter().map(|(name, _)| name).collect();
        // Without an attempt there is no deployment and no trail to show.
        assert_eq!(
            shown,
            [
                "x-switchyard-request-id",
                "x-switchyard-routes",
                "x-switchyard-model",
                "x-switchyard-attempts",
                "server-timing",
            ]
        );
    }

    #[test]
    fn a_name_in_any_script_makes_a_valid_header() {
        assert_eq!(visible("größe\r\nx: 1"), "gr??e??x: 1");
    }
}
