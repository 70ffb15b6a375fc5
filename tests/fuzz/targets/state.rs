//! What isolates, Durable Objects and operators write.

use switchyard::health::Health;
use switchyard::health::reporter::Reporter;
use switchyard::health::shard::{SavedDeployment, Shard, ShardHead};
use switchyard::health::wire::{HealthReport, ShardAnswer};
use switchyard::routes::glob::Glob;
use switchyard::routes::graph::RateLimits;
use switchyard::routes::{MAX_BYTES, compile};
use switchyard::vocabulary::rng::SplitMix64;
use switchyard::vocabulary::time::{Instant, Millis};

use super::two_texts;

const NOW: Instant = Instant::from_epoch_ms(1_767_225_600_000);
const HOUR_MS: Millis = Millis::new(3_600_000);

/// A document compiles, or has issues that can be printed.
pub fn document(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let env = |name: &str| (!name.starts_with("MISSING")).then(|| "sk-value".to_owned());
    match compile(&text, &env) {
        Ok(compiled) => assert!(text.len() <= MAX_BYTES, "{} warnings", compiled.warnings.len()),
        Err(issues) => {
            assert!(!issues.is_empty());
            for issue in issues {
                assert!(!issue.to_string().contains("sk-value"));
            }
        }
    }
}

/// A pattern matches as a simple matcher says.
pub fn glob(data: &[u8]) {
    let (pattern, text) = two_texts(data);
    assert_eq!(Glob::new(pattern.clone()).matches(&text), matches(pattern.as_bytes(), text.as_bytes()));
}

/// Compares each part of the pattern with each part of the text.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Whether the pattern so far matches the first bytes of the text, for each number of them.
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for part in pattern {
        if *part == b'*' {
            for end in 1..fits.len() {
                fits[end] |= fits[end - 1];
            }
        } else {
            for end in (1..fits.len()).rev() {
                fits[end] = fits[end - 1] && text[end - 1] == *part;
            }
            fits[0] = false;
        }
    }
    fits[text.len()]
}

/// A report is written as it was read, and a shard answers it.
pub fn report(data: &[u8]) {
    let Ok(report) = HealthReport::parse(&String::from_utf8_lossy(data)) else { return };
    assert_eq!(HealthReport::parse(&report.to_json()).as_ref(), Ok(&report));
    let mut rng = SplitMix64::new(1);
    let mut shard = Shard::new(&mut rng);
    for now in [NOW, NOW, NOW + HOUR_MS] {
        let answer = shard.report(&report, now, &mut rng);
        assert!(answer.next_ms <= HOUR_MS);
        assert!(ShardAnswer::parse(&answer.to_json()).is_ok());
        let _ = shard.report_to_hub(now);
        shard.forget(now);
    }
}

/// An answer is written as it was read, and an isolate goes on after it.
pub fn shard_answer(data: &[u8]) {
    let Ok(mut answer) = ShardAnswer::parse(&String::from_utf8_lossy(data)) else { return };
    assert_eq!(ShardAnswer::parse(&answer.to_json()).as_ref(), Ok(&answer));
    let mut rng = SplitMix64::new(1);
    let mut health = Health::new([("a", RateLimits::default()), ("b", RateLimits::default())]);
    let mut reporter = Reporter::new(1);
    for now in [NOW, NOW + HOUR_MS] {
        answer.n = reporter.report(&mut health, 100, now, &mut rng).n;
        reporter.on_answer(&mut health, &answer, now, &mut rng);
        assert!(reporter.due_at(&health) <= now + HOUR_MS, "an answer does not silence it");
        for id in 0..2 {
            assert!((0.0..=1.0).contains(&health.share(id, now)));
        }
    }
}

/// What was stored is stored as it was.
pub fn saved(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(saved) = SavedDeployment::parse(&text) {
        assert_eq!(SavedDeployment::parse(&saved.to_json()).as_ref(), Some(&saved));
    }
    if let Some(head) = ShardHead::parse(&text) {
        assert_eq!(ShardHead::parse(&head.to_json()).as_ref(), Some(&head));
    }
}
