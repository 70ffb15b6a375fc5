//! An explanation as text: the request, the tree of what the walk looked at, and the attempts.

use std::fmt::Write;

use switchyard::balance::order_notes::Measure;
use switchyard::explain::course_view::{
    AttemptReason, Course, CourseEnd, PlaceReason, PlannedAttempt, PlannedLimit, PlannedTarget,
};
use switchyard::serve::explained::{
    ExplainedCache, ExplainedCall, ExplainedFacts, ExplainedLimit, Explanation, FieldChange,
};
use switchyard::vocabulary::limit::{LimitRate, LimitUnit};
use switchyard::vocabulary::needs::Feature;
use switchyard::vocabulary::time::Millis;

use crate::limit_notation::dollars;
use crate::output::counted;

/// The explanation. `has_health`: whether a state of health is known, at a time worth naming.
/// `coloured`: with colour codes for a terminal.
pub fn text(explanation: &Explanation, has_health: bool, coloured: bool) -> String {
    let mut page = Page { text: String::new(), coloured };
    page.head(explanation, has_health);
    if let Some(course) = &explanation.course {
        page.text.push('\n');
        for target in &course.tree {
            page.target(target, "", "");
        }
        for attempt in &course.attempts {
            let call = explanation.calls.iter().find(|call| call.deployment == attempt.deployment);
            page.attempt(attempt, call);
        }
    }
    page.end(explanation);
    page.text
}

/// How the request uses the cache.
fn of_cache(cache: &ExplainedCache) -> String {
    if let Some(bypass) = cache.bypass {
        return format!("not used: {}", bypass.replace('_', " "));
    }
    let reads = if cache.reads { "an answer that was kept, or else " } else { "" };
    format!("{reads}a new answer, which is kept for {} s", cache.keeps_seconds)
}

/// A limit that the request takes from.
fn of_limit(limit: &ExplainedLimit) -> String {
    let ExplainedLimit { of, meter, unit, amount, per, takes, left } = limit;
    let rate = LimitRate { unit: *unit, amount: *amount, per: *per };
    let words = |units: u64| match rate.unit {
        LimitUnit::MicroUsd => dollars(units),
        _ => units.to_string(),
    };
    let left = left.map(|left| format!(", {} left", words(left))).unwrap_or_default();
    format!("{} of the {of}'s limit {meter}: {}{left}", words(*takes), rate.in_words())
}

struct Page {
    text: String,
    coloured: bool,
}

/// Bold, for names that matter.
const BOLD: &str = "1";
/// Green: it is tried.
const GREEN: &str = "32";
/// Red: it is not.
const RED: &str = "31";

impl Page {
    fn paint(&self, code: &str, words: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{words}\u{1b}[0m") } else { words.to_owned() }
    }

    /// A line of the head or of an attempt: what it is about, and what is said.
    fn line(&mut self, about: &str, said: &str) {
        let _ = writeln!(self.text, "  {about:<9} {said}");
    }

    fn head(&mut self, explanation: &Explanation, has_health: bool) {
        let client = explanation.client.as_ref().map(|client| format!("client {client}, "));
        let at = if has_health { format!(", at {}", explanation.now.utc()) } else { String::new() };
        let routes = format!("routes {}", explanation.routes);
        let _ = writeln!(self.text, "{}{routes}{at}", client.unwrap_or_default());
        if let (Some(entry), Some(facts)) = (&explanation.entry, &explanation.facts) {
            let why = match explanation.rule {
                Some(rule) => format!("rules[{rule}] is the first that matches"),
                None if facts.model.is_empty() => "made for a stored object".to_owned(),
                None => "no rule matches, and it is what `model` names".to_owned(),
            };
            let entry = self.paint(BOLD, entry);
            self.line("entry", &format!("{entry}: {why}"));
            self.line("request", &of_facts(facts));
        }
        if let Some(cache) = &explanation.cache {
            self.line("cache", &of_cache(cache));
        }
        for limit in &explanation.limits {
            self.line("takes", &of_limit(limit));
        }
        if let Some(Course { max_attempts, deadline_ms, .. }) = &explanation.course {
            let attempts = counted(*max_attempts as usize, "attempt");
            self.line("limits", &format!("{attempts}, {} for all of them", length(*deadline_ms)));
        }
    }

    /// A target and what is inside it. `before`: what comes before its first line. `inside`: what
    /// comes before each of its other lines.
    fn target(&mut self, target: &PlannedTarget, before: &str, inside: &str) {
        let strategy = target.node.as_ref().map(|node| {
            let sticky = if node.is_sticky { ", sticky" } else { "" };
            format!(" ({}{sticky})", node.strategy)
        });
        let mut said = Vec::new();
        if let Some(class) = target.edge {
            said.push(format!("by the edge for {class}"));
        }
        let tried: Vec<String> = target.attempts.iter().map(ToString::to_string).collect();
        if !tried.is_empty() {
            let word = if tried.len() == 1 { "attempt" } else { "attempts" };
            said.push(self.paint(GREEN, &format!("{word} {}", tried.join(", "))));
        }
        if let Some(exclusion) = &target.excluded {
            let until = exclusion.until.map(|until| format!("until {}: ", until.utc())).unwrap_or_default();
            let word = if tried.is_empty() { "not tried" } else { "passed over at first" };
            said.push(self.paint(RED, &format!("{word}: {until}{}", exclusion.why)));
        } else if tried.is_empty() && target.node.is_none() {
            said.push("not reached".to_owned());
        }
        said.extend(target.because.iter().map(reason));
        let place = target.place.map_or("-".to_owned(), |place| place.to_string());
        let place = if before.is_empty() { String::new() } else { format!("{place} ") };
        let name = self.paint(BOLD, &target.to) + &strategy.unwrap_or_default();
        let said = if said.is_empty() { String::new() } else { format!("  {}", said.join("; ")) };
        let _ = writeln!(self.text, "{before}{place}{name}{said}");
        let targets = target.node.as_ref().map(|node| node.targets.as_slice()).unwrap_or_default();
        for (index, inner) in targets.iter().enumerate() {
            let is_last = index + 1 == targets.len();
            let (branch, more) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.target(inner, &format!("{inside}{branch}"), &format!("{inside}{more}"));
        }
    }

    fn attempt(&mut self, attempt: &PlannedAttempt, call: Option<&ExplainedCall>) {
        let why = match attempt.by {
            AttemptReason::Order => "its turn",
            AttemptReason::Edge => "an edge leads there",
            AttemptReason::Retry => "a retry",
            AttemptReason::LastResort => "the last resort: nothing else is left",
        };
        let probe = if attempt.is_probe { ", as its probe" } else { "" };
        let wait = match attempt.wait_ms {
            Millis::ZERO => String::new(),
            ms => format!(", after a wait of {}", length(ms)),
        };
        let name = self.paint(BOLD, &attempt.deployment);
        let _ = writeln!(self.text, "\nattempt {}: {name}, {why}{probe}{wait}", attempt.number);
        self.line("path", &attempt.path.join(" > "));
        if attempt.by != AttemptReason::Retry
            && let Some(call) = call
        {
            self.line("call", &format!("{} {}", call.method, call.url));
            let passed = list("; passes", &call.headers_passed);
            self.line("key", &call.credential.replace('_', " "));
            self.line("headers", &format!("{}{passed}", list("sets", &call.headers_set)));
            self.line("body", &body(&call.body));
        }
        let limits = &attempt.limits;
        let times = [
            ("headers", limits.headers),
            ("first token", limits.first_token),
            ("held pause", limits.held_pause),
            ("flow pause", limits.flow_pause),
        ];
        let times: Vec<String> = times.iter().filter_map(|(phase, limit)| time(phase, *limit)).collect();
        self.line("times", &times.join(", "));
        let hedge = attempt.hedge_after_ms.map(|ms| format!("; hedged after {}", length(ms)));
        self.line("commit", &format!("{}{}", attempt.commit, hedge.unwrap_or_default()));
    }

    fn end(&mut self, explanation: &Explanation) {
        if let Some(part) = explanation.answer {
            let _ = writeln!(self.text, "\nThe gateway itself answers: {part}.");
        }
        if let Some(error) = &explanation.error {
            let status = self.paint(RED, &format!("{} {}", error.status, error.code));
            let by = explanation.rule.filter(|_| explanation.entry.is_none());
            let by = by.map(|rule| format!(" rules[{rule}] refuses the request.")).unwrap_or_default();
            let _ = writeln!(self.text, "\nThe client gets {status}: {}{by}", error.message);
        } else if let Some(course) = &explanation.course {
            let end = match course.end {
                CourseEnd::Exhausted => "the client gets one of the failures",
                CourseEnd::NoneEligible => "the client learns that nothing else may be tried",
                CourseEnd::DeadlineExceeded => "the time of the request is over",
            };
            let _ = writeln!(self.text, "\nIf all of this fails, {end}.");
        }
    }
}

fn of_facts(facts: &ExplainedFacts) -> String {
    let mut said = vec![format!("about {} input tokens", facts.input_tokens)];
    said.extend(facts.max_output_tokens.map(|most| format!("at most {most} output tokens")));
    said.push(if facts.is_streamed { "a stream" } else { "in one piece" }.to_owned());
    let needs: Vec<&str> = facts.needs.iter().map(Feature::name).collect();
    if !needs.is_empty() {
        said.push(format!("needs {}", needs.join(" and ")));
    }
    if !facts.is_replayable {
        said.push("sent once".to_owned());
    }
    said.extend(facts.patience_ms.map(|ms| format!("its client waits {}", length(ms))));
    said.extend(facts.owner.as_ref().map(|owner| format!("its object is at {owner}")));
    said.join(", ")
}

fn reason(reason: &PlaceReason) -> String {
    match reason {
        PlaceReason::By(measure) => of_measure(*measure),
        PlaceReason::Case => "the case that matches".to_owned(),
        PlaceReason::FasterOfTwo => "the faster of two that were drawn".to_owned(),
        PlaceReason::Behind(share) => {
            format!("moved behind: it should get {} of its traffic now", percent(*share))
        }
        PlaceReason::Kept(share) => {
            format!(
                "in its place: it should get {} of its traffic now, and this is a part of it",
                percent(*share)
            )
        }
        PlaceReason::Leased => "first: this isolate alone may probe it".to_owned(),
        PlaceReason::Owner => "first: it has the object".to_owned(),
    }
}

fn of_measure(measure: Measure) -> String {
    let known = |value: f64, said: String, unknown: &str| {
        if value.is_finite() { said } else { unknown.to_owned() }
    };
    match measure {
        Measure::Priority(tier) => format!("priority {tier}"),
        Measure::Weight { weight, share } => format!("weight {weight}, drawn with {}", percent(share)),
        Measure::Turn => "in turn".to_owned(),
        Measure::Chance => "drawn".to_owned(),
        Measure::WaitMs(ms) => known(ms, format!("expected wait {} ms", ms.round()), "no latency known"),
        Measure::InFlight(count) => format!("{count} in flight"),
        Measure::PriceMicros(micros) => {
            known(micros, format!("price ${:.6}", micros / 1_000_000.0), "no price")
        }
        Measure::DistanceKm(km) => known(km, format!("{} km away", km.round()), "at an unknown place"),
    }
}

fn body(changes: &[FieldChange]) -> String {
    if changes.is_empty() {
        return "as it comes".to_owned();
    }
    let said = changes.iter().map(|FieldChange { field, is_dropped, value }| match (is_dropped, value) {
        (true, _) => format!("drops {field}"),
        (false, Some(value)) => format!("sets {field} = {value}"),
        (false, None) => format!("sets {field}"),
    });
    said.collect::<Vec<_>>().join(", ")
}

fn time(phase: &str, limit: PlannedLimit) -> Option<String> {
    Some(format!("{phase} {} ({})", length(limit.ms?), limit.from))
}

/// `sets a, b`; nothing without names.
fn list(word: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("{word} {}", names.join(", ")) }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `600 s`, or `250 ms` where the seconds are not whole.
fn length(ms: Millis) -> String {
    let ms = ms.get();
    if ms.is_multiple_of(1_000) { format!("{} s", ms / 1_000) } else { format!("{ms} ms") }
}
