//! What an isolate knows of keys, in virtual time.

use proptest::prelude::*;

use super::*;
use crate::vocabulary::time::short::ms;

const START: Instant = Instant::from_epoch_ms(1_800_000_000_000);

fn hash(number: usize) -> KeyHash {
    KeyHash::of(&format!("sk-{number}"))
}

/// A read that finds this revision.
fn read(cache: &mut KeyCache<u64>, key: &KeyHash, revision: Option<u64>, at: Instant) -> ReadBegun {
    let begun = cache.begin(key, KeyForm::Issued, at);
    if begun == ReadBegun::Yes {
        match revision {
            Some(revision) => cache.learn(key, revision, at, || revision),
            None => cache.learn_unknown(key, at),
        }
        cache.end(key, at);
    }
    begun
}

#[test]
fn a_record_serves_for_a_minute_and_is_due_after_half_of_it() {
    let (mut cache, key) = (KeyCache::default(), hash(1));
    assert_eq!(cache.find(&key, START), KnownKey::Nothing);
    assert_eq!(read(&mut cache, &key, Some(1), START), ReadBegun::Yes);
    for (age, expected) in [
        (0, KnownKey::Fresh { value: 1, is_due: false }),
        (29_999, KnownKey::Fresh { value: 1, is_due: false }),
        (30_000, KnownKey::Fresh { value: 1, is_due: true }),
        (59_999, KnownKey::Fresh { value: 1, is_due: true }),
        (60_000, KnownKey::Stale(1)),
        (599_999, KnownKey::Stale(1)),
        (600_000, KnownKey::Nothing),
    ] {
        assert_eq!(cache.find(&key, START + ms(age)), expected, "{age}");
    }
    assert_eq!(cache.find(&hash(2), START), KnownKey::Nothing, "another key");
}

#[test]
fn that_a_key_does_not_exist_is_known_for_ten_seconds() {
    let (mut cache, key) = (KeyCache::<u64>::default(), hash(1));
    read(&mut cache, &key, None, START);
    assert_eq!(cache.find(&key, START + ms(9_999)), KnownKey::Unknown);
    assert_eq!(cache.find(&key, START + ms(10_000)), KnownKey::Nothing);
    read(&mut cache, &key, Some(1), START + ms(10_000));
    assert!(
        matches!(cache.find(&key, START + ms(10_000)), KnownKey::Fresh { .. }),
        "it was issued meanwhile"
    );
}

#[test]
fn one_read_of_a_key_is_under_way_at_a_time() {
    let (mut cache, key) = (KeyCache::<u64>::default(), hash(1));
    assert_eq!(cache.begin(&key, KeyForm::Issued, START), ReadBegun::Yes);
    assert_eq!(cache.begin(&key, KeyForm::Issued, START + ms(14_999)), ReadBegun::UnderWay);
    assert_eq!(cache.begin(&hash(2), KeyForm::Issued, START), ReadBegun::Yes, "another key");
    cache.end(&key, START + ms(1));
    assert_eq!(
        cache.begin(&key, KeyForm::Issued, START + ms(2)),
        ReadBegun::UnderWay,
        "another read has ended"
    );
    assert_eq!(cache.begin(&key, KeyForm::Issued, START + ms(15_000)), ReadBegun::Yes, "it has died");
    cache.end(&key, START);
    assert_eq!(cache.begin(&key, KeyForm::Issued, START + ms(15_001)), ReadBegun::UnderWay);
    cache.end(&key, START + ms(15_000));
    assert_eq!(cache.begin(&key, KeyForm::Issued, START + ms(15_001)), ReadBegun::Yes);
}

#[test]
fn an_older_revision_of_a_cache_of_the_store_changes_nothing() {
    let (mut cache, key) = (KeyCache::default(), hash(1));
    read(&mut cache, &key, Some(1), START);
    cache.change(|value| *value == 1, |_| 20);
    read(&mut cache, &key, Some(1), START + ms(40_000));
    assert_eq!(cache.find(&key, START + ms(50_000)), KnownKey::Fresh { value: 20, is_due: false });
    read(&mut cache, &key, Some(3), START + ms(70_000));
    assert_eq!(cache.find(&key, START + ms(70_000)), KnownKey::Fresh { value: 3, is_due: false });
}

#[test]
fn a_new_key_that_a_cache_of_the_store_does_not_have_yet_goes_on() {
    let (mut cache, key) = (KeyCache::default(), hash(1));
    cache.learn(&key, 1, START, || 1);
    read(&mut cache, &key, None, START + ms(119_999));
    assert_eq!(cache.find(&key, START + ms(119_999)), KnownKey::Fresh { value: 1, is_due: false });
    read(&mut cache, &key, None, START + ms(150_000));
    assert_eq!(cache.find(&key, START + ms(150_000)), KnownKey::Unknown, "somebody has removed it");
}

#[test]
fn while_the_store_does_not_answer_a_known_key_goes_on_for_ten_minutes() {
    let (mut cache, key) = (KeyCache::default(), hash(1));
    read(&mut cache, &key, Some(1), START);
    cache.on_failure(&key, START + ms(65_000));
    assert_eq!(cache.find(&key, START + ms(69_999)), KnownKey::Fresh { value: 1, is_due: false });
    assert_eq!(cache.find(&key, START + ms(70_000)), KnownKey::Stale(1));
    cache.on_failure(&key, START + ms(599_000));
    assert_eq!(cache.find(&key, START + ms(600_000)), KnownKey::Nothing);
    cache.on_failure(&hash(2), START);
    assert_eq!(cache.find(&hash(2), START), KnownKey::Nothing);
}

#[test]
fn guesses_have_a_budget_and_keys_that_exist_do_not_take_from_it() {
    let mut cache = KeyCache::<u64>::default();
    for number in 0..4_200 {
        assert_eq!(read(&mut cache, &hash(number), Some(1), START), ReadBegun::Yes, "{number}");
    }
    let mut count = 0;
    while read(&mut cache, &hash(20_000 + count), None, START) == ReadBegun::Yes {
        count += 1;
    }
    assert_eq!(count as u64, BURST);
    assert_eq!(cache.begin(&hash(1_000_000), KeyForm::Foreign, START), ReadBegun::Yes, "a budget of its own");
    // A known key is read again whatever is guessed.
    assert_eq!(read(&mut cache, &hash(4_199), Some(1), START + ms(1)), ReadBegun::Yes);
    let guesses = |cache: &mut KeyCache<u64>, second: usize| {
        let at = START + ms(1_000 * second as u64);
        let base = 2_000_000 + second * 1_000;
        (0..50).filter(|number| read(cache, &hash(base + number), None, at) == ReadBegun::Yes).count()
    };
    let in_a_minute: usize = (1..=60).map(|second| guesses(&mut cache, second)).sum();
    assert_eq!(in_a_minute, 60 * 20);
}

#[test]
fn what_is_known_is_bounded_and_the_oldest_goes_first() {
    let mut cache = KeyCache::<u64>::default();
    for number in 0..=MOST_KNOWN {
        cache.learn(&hash(number), 1, START + ms(number as u64), || 1);
    }
    assert_eq!(cache.sizes().0, MOST_KNOWN);
    let now = START + ms(MOST_KNOWN as u64);
    assert_eq!(cache.find(&hash(0), now), KnownKey::Nothing);
    assert!(matches!(cache.find(&hash(1), now), KnownKey::Fresh { .. }));
    for number in 0..5_000 {
        cache.learn_unknown(&hash(100_000 + number), START);
        assert!(cache.sizes().1 <= MOST_UNKNOWN);
    }
    assert_eq!(cache.sizes().0, MOST_KNOWN, "guesses take no place of a key");
}

proptest! {
    /// Whatever happens in whatever order: a revoked key is never active two minutes after that, if
    /// the store answers.
    #[test]
    fn a_revocation_holds_within_two_minutes(steps in prop::collection::vec((0_u64..40_000, 0_u8..4), 1..60)) {
        let (mut cache, key) = (KeyCache::default(), hash(1));
        let (mut now, revoked_at) = (START, START + ms(60_000));
        // The store shows a change 60 s after it at the latest.
        let stored = |now: Instant, lag: u64| if now >= revoked_at + ms(lag) { 2 } else { 1 };
        read(&mut cache, &key, Some(1), now);
        for (pause, what) in steps {
            now += ms(pause);
            let serves = match cache.find(&key, now) {
                KnownKey::Fresh { value, is_due } => {
                    if is_due && what != 0 {
                        read(&mut cache, &key, Some(stored(now, if what == 1 { 60_000 } else { 0 })), now);
                    }
                    value
                }
                KnownKey::Stale(_) | KnownKey::Nothing | KnownKey::Unknown => {
                    let revision = stored(now, if what == 1 { 60_000 } else { 0 });
                    prop_assert_eq!(read(&mut cache, &key, Some(revision), now), ReadBegun::Yes);
                    let KnownKey::Fresh { value, .. } = cache.find(&key, now) else { panic!("it was read") };
                    value
                }
            };
            prop_assert!(serves == 2 || now < revoked_at + ms(120_000), "{}", now - START);
        }
    }
}
