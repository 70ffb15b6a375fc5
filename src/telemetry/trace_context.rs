//! The trace that a request belongs to: W3C Trace Context, `traceparent`
//! (<https://www.w3.org/TR/trace-context/>).

use std::fmt::{Display, Formatter};

/// The trace of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hexadecimal digits.
    trace_id: String,
    /// The flags as they came.
    flags: u8,
    /// Whether the caller sent the context. If not, no `tracestate` belongs to it.
    is_continued: bool,
}

/// The `traceparent` of a call: the trace, and the span of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent<'a> {
    context: &'a TraceContext,
    span: u64,
}

impl TraceContext {
    /// The context that the caller sent, or a new one if that is missing or invalid. The trace then
    /// has the id of the request: `req_` and 32 hexadecimal digits. A new trace is not sampled,
    /// because nobody has decided to record it.
    pub fn of(traceparent: Option<&str>, request_id: &str) -> Self {
        traceparent.and_then(Self::parse).unwrap_or_else(|| Self {
            trace_id: request_id.strip_prefix("req_").unwrap_or_default().to_owned(),
            flags: 0,
            is_continued: false,
        })
    }

    /// Reads a `traceparent`. Later versions may have more parts; a version 0 has these four.
    fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace_id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_zero = |text: &str| text.bytes().all(|byte| byte == b'0');
        let is_valid = is_hex(version, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none())
            && is_hex(trace_id, 32)
            && !is_zero(trace_id)
            && is_hex(span, 16)
            && !is_zero(span)
            && is_hex(flags, 2);
        is_valid.then(|| Self {
            trace_id: trace_id.to_owned(),
            flags: u8::from_str_radix(flags, 16).unwrap_or(0) & 1,
            is_continued: true,
        })
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// Whether the caller sent the context.
    pub fn is_continued(&self) -> bool {
        self.is_continued
    }

    /// The `traceparent` of a call. `span`: a random number, which identifies the call.
    pub fn parent(&self, span: u64) -> TraceParent<'_> {
        // Zero is no valid id of a span.
        TraceParent { context: self, span: span.max(1) }
    }
}

impl Display for TraceParent<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let TraceContext { trace_id, flags, .. } = self.context;
        write!(formatter, "00-{trace_id}-{:016x}-{flags:02x}", self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "req_0af7651916cd43dd8448eb211c80319c";
    const SENT: &str = "00-11111111111111112222222222222222-00f067aa0ba902b7-01";

    #[test]
    fn a_call_continues_the_trace_of_the_caller_with_a_span_of_its_own() {
        let context = TraceContext::of(Some(SENT), ID);
        assert_eq!(
            context.parent(0xab).to_string(),
            "00-11111111111111112222222222222222-00000000000000ab-01"
        );
        assert!(context.is_continued());
        let own = TraceContext::of(None, ID);
        assert_eq!(own.parent(0).to_string(), "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-00");
        assert!(!own.is_continued());
    }

    #[test]
    fn a_context_that_is_not_valid_begins_a_new_trace() {
        let zeros = "0".repeat(32);
        for (sent, is_valid) in [
            (SENT.to_owned(), true),
            (SENT.replacen("00", "cc", 1) + "-what-the-future-will-be-like", true),
            (SENT.to_owned() + "-extra", false),
            (SENT.replacen("00", "ff", 1), false),
            (SENT.to_uppercase().replace('0', "A"), false),
            (format!("00-{zeros}-00f067aa0ba902b7-01"), false),
            ("00-11111111111111112222222222222222-0000000000000000-01".to_owned(), false),
            ("00-111111111111111122222222222222-00f067aa0ba902b7-01".to_owned(), false),
            ("00-11111111111111112222222222222222-00f067aa0ba902b7".to_owned(), false),
            (String::new(), false),
            ("é".repeat(28), false),
        ] {
            assert_eq!(TraceContext::of(Some(&sent), ID).is_continued(), is_valid, "{sent}");
        }
    }
}
