//! The gateway's own response headers: the id of the request, the deployment that served it, and
//! its attempts.

use std::fmt::Write;

use crate::attempt::trail::Trail;
use crate::routes::graph::Expose;
use crate::vocabulary::decimal;
use crate::vocabulary::time::Millis;
use crate::vocabulary::usage::Usage;

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
    /// What the answer used, and what it cost in millionths of a dollar, if that is known.
    pub used: Option<(Usage, Option<u64>)>,
}

/// The header with the id of the request at the gateway.
pub const REQUEST_ID: &str = "x-switchyard-request-id";

/// The headers that `expose` allows.
pub fn own(served: &ServedRequest<'_>, expose: Expose) -> Vec<(&'static str, String)> {
    let mut headers = Vec::with_capacity(7);
    let mut show = |shown: bool, name, value: String| {
        if shown {
            headers.push((name, value));
        }
    };
    show(expose.request_id, REQUEST_ID, served.request_id.to_owned());
    show(expose.routes, "x-switchyard-routes", served.routes.to_owned());
    if let Some(node) = served.node {
        show(expose.model, "x-switchyard-model", visible(node));
    }
    let Some((trail, elapsed_ms)) = served.tried else { return headers };
    show(expose.attempts, "x-switchyard-attempts", trail.attempts().len().to_string());
    if let Some(attempt) = trail.serving().or_else(|| trail.attempts().last()) {
        show(expose.deployment, "x-switchyard-deployment", visible(&attempt.deployment.name));
        show(expose.trail, "x-switchyard-trail", visible(&trail.text()));
    }
    let (upstream_ms, backoff_ms) = (trail.upstream_ms(), trail.backoff_ms());
    let own_ms = elapsed_ms - upstream_ms - backoff_ms;
    let mut timing = String::with_capacity(64);
    for (name, ms) in
        [("upstream;dur=", upstream_ms), (", backoff;dur=", backoff_ms), (", switchyard;dur=", own_ms)]
    {
        timing.push_str(name);
        decimal::push(&mut timing, ms.get());
    }
    show(expose.timing, "server-timing", timing);
    if let Some((usage, micro_usd)) = served.used {
        show(expose.usage, "x-switchyard-usage", usage_text(&usage));
        if let Some(micro_usd) = micro_usd {
            let (dollars, rest) = (micro_usd / 1_000_000, micro_usd % 1_000_000);
            show(expose.cost, "x-switchyard-cost", format!("{dollars}.{rest:06}"));
        }
    }
    headers
}

/// The usage as a dictionary of RFC 9651: `input=9, cached_input=4, output=12, estimated`. Without
/// what is zero, except for input and output.
fn usage_text(usage: &Usage) -> String {
    let mut text = String::new();
    for (name, quantity) in [
        ("input", usage.input_tokens),
        ("cached_input", usage.cached_input_tokens),
        ("output", usage.output_tokens),
        ("reasoning", usage.reasoning_tokens),
        ("images", usage.images),
        ("audio_ms", usage.audio_ms),
        ("characters", usage.characters),
    ] {
        if quantity > 0 || matches!(name, "input" | "output") {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{name}={quantity}");
        }
    }
    if usage.is_estimated {
        text.push_str(", estimated");
    }
    text
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
        usage: false,
        cost: false,
    };

    #[test]
    fn nothing_is_shown_that_expose_hides() {
        let trail = Trail::default();
        let served = ServedRequest {
            request_id: "req_1",
            routes: "abc",
            node: Some("chat"),
            tried: Some((&trail, ms(5))),
            used: Some((Usage { input_tokens: 9, ..Usage::default() }, Some(1))),
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
    fn usage_and_cost_are_shown_where_a_document_says_so() {
        let shown = |usage: Usage, micro_usd| {
            let used = Some((usage, micro_usd));
            let trail = Trail::default();
            let tried = Some((&trail, ms(5)));
            let served = ServedRequest { request_id: "", routes: "", node: None, tried, used };
            let headers = own(&served, Expose { usage: true, cost: true, ..NONE });
            headers.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        let usage = Usage { input_tokens: 9, output_tokens: 12, ..Usage::default() };
        assert_eq!(shown(usage, None), ["input=9, output=12"]);
        let usage = Usage { cached_input_tokens: 4, reasoning_tokens: 8, is_estimated: true, ..usage };
        let expected = ["input=9, cached_input=4, output=12, reasoning=8, estimated", "2.000045"];
        assert_eq!(shown(usage, Some(2_000_045)), expected);
    }

    #[test]
    fn a_name_in_any_script_makes_a_valid_header() {
        assert_eq!(visible("größe\r\nx: 1"), "gr??e??x: 1");
    }
}
