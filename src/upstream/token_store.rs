//! The tokens of Entra ID in an isolate: which one is used, and when the next one is asked for.
//!
//! A token is replaced in the background long before it expires. So an endpoint that is down harms
//! nothing while a token is valid. At most one request for a token is under way, and after a
//! failure there is none for a while.
//!
//! Invariant: while there is a valid token that was not refused, nobody waits and nobody fails.

use std::rc::Rc;

use super::entra_token::{IssuedToken, TokenFailure};
use crate::routes::entra::Entra;
use crate::vocabulary::sorted::BoxedMap;
use crate::vocabulary::time::{Instant, Millis};

/// A token is not used so shortly before its end: the call takes time.
const MARGIN_MS: Millis = Millis::new(10_000);
/// A request for a token that has not ended after this time has died with its isolate's request.
const DEAD_AFTER_MS: Millis = Millis::new(15_000);
/// The first pause after a failure. It doubles with each further one.
const FIRST_PAUSE_MS: u64 = 1_000;
/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// A refused token that is younger is not replaced: the next one would be refused, too.
const YOUNG_MS: Millis = Millis::new(60_000);

/// The tokens of an isolate.
#[derive(Default)]
pub struct TokenStore(BoxedMap<String, StoredToken>);

/// What is known of the tokens of one application for one scope.
#[derive(Default)]
struct StoredToken {
    token: Option<CurrentToken>,
    /// The text of the token before. Upstreams may still quote it.
    previous: Option<Rc<str>>,
    /// When the request began that is under way.
    asked_at: Option<Instant>,
    failed: Option<FailedRequest>,
}

struct CurrentToken {
    text: Rc<str>,
    obtained_at: Instant,
    refresh_at: Instant,
    expires_at: Instant,
}

struct FailedRequest {
    failure: TokenFailure,
    count: u32,
    retry_at: Instant,
    /// The proof that was sent. Another one may be accepted.
    proof: u64,
}

/// What to do for a request that needs a token.
#[derive(Debug, PartialEq, Eq)]
pub enum TokenStep {
    /// Use this one. `refresh`: also ask for the next one, in the background.
    Use {
        /// The token.
        token: Rc<str>,
        /// Whether to ask.
        refresh: bool,
    },
    /// Ask for one, then look again.
    Ask,
    /// Somebody asks. Look again.
    Wait,
    /// There is none.
    Fail(TokenFailure),
}

impl TokenStore {
    /// The next step for a request that needs a token. `refused`: the one that the upstream has
    /// refused. After [`TokenStep::Ask`] and after a refresh, [`Self::on_answer`] follows.
    pub fn step(&mut self, entra: &Entra, refused: Option<&str>, now: Instant) -> TokenStep {
        let stored = self.of(entra, now);
        let proof = entra.proof.secret().fingerprint();
        let is_asked = stored.is_asked(now);
        let pause = stored.failed.as_ref().filter(|failed| now < failed.retry_at && failed.proof == proof);
        let may_ask = !is_asked && pause.is_none();
        let usable = stored.token.as_ref().filter(|token| {
            now + MARGIN_MS < token.expires_at && refused.is_none_or(|refused| *token.text != *refused)
        });
        let step = match (usable, pause) {
            (Some(token), _) => {
                TokenStep::Use { token: Rc::clone(&token.text), refresh: may_ask && now >= token.refresh_at }
            }
            (None, _) if is_asked => TokenStep::Wait,
            (None, Some(failed)) => TokenStep::Fail(failed.failure.clone()),
            (None, None) => TokenStep::Ask,
        };
        if matches!(step, TokenStep::Ask | TokenStep::Use { refresh: true, .. }) {
            stored.asked_at = Some(now);
        }
        step
    }

    /// Whether another token may be accepted in place of a refused one. A young one is not
    /// replaced.
    pub fn may_replace(&mut self, entra: &Entra, refused: &str, now: Instant) -> bool {
        let current = self.of(entra, now).token.as_ref();
        current.is_none_or(|token| *token.text != *refused || now - token.obtained_at >= YOUNG_MS)
    }

    /// A request for a token has ended. `jitter`, 0 to 1, spreads the requests of many isolates.
    pub fn on_answer(
        &mut self,
        entra: &Entra,
        answer: Result<IssuedToken, TokenFailure>,
        now: Instant,
        jitter: f64,
    ) {
        let stored = self.of(entra, now);
        stored.asked_at = None;
        // A token that is never used would be asked for again and again.
        let useless = TokenFailure { reason: "token_expires_at_once".to_owned(), is_refusal: false };
        let answer =
            answer.and_then(|token| if token.lives_ms > MARGIN_MS { Ok(token) } else { Err(useless) });
        match answer {
            Ok(IssuedToken { text, lives_ms, refresh_ms }) => {
                let share = 0.05_f64.mul_add(jitter, 0.75);
                let refresh_ms = scaled(lives_ms, share).min(refresh_ms.unwrap_or(Millis::MAX));
                let before = stored.token.replace(CurrentToken {
                    text: text.into(),
                    obtained_at: now,
                    refresh_at: now + refresh_ms,
                    expires_at: now + lives_ms,
                });
                stored.previous = before.map(|before| before.text);
                stored.failed = None;
            }
            Err(failure) => {
                let proof = entra.proof.secret().fingerprint();
                let before = stored.failed.as_ref().filter(|failed| failed.proof == proof);
                let count = before.map_or(0, |failed| failed.count);
                let pause = FIRST_PAUSE_MS.saturating_mul(1 << count.min(16)).min(LONGEST_PAUSE_MS);
                let pause = scaled(Millis::new(pause), 0.4_f64.mul_add(jitter, 0.8));
                let (count, retry_at) = (count.saturating_add(1), now + pause);
                stored.failed = Some(FailedRequest { failure, count, retry_at, proof });
            }
        }
    }

    /// When the token expires, and why there is no newer one.
    pub fn status(&self, entra: &Entra) -> (Option<Instant>, Option<&TokenFailure>) {
        let stored = self.0.get(&*entra.identity);
        let expires_at = stored.and_then(|stored| stored.token.as_ref()).map(|token| token.expires_at);
        (expires_at, stored.and_then(|stored| stored.failed.as_ref()).map(|failed| &failed.failure))
    }

    /// The texts of the tokens that upstreams may quote.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.values().flat_map(|stored| {
            let current = stored.token.as_ref().map(|token| &*token.text);
            current.into_iter().chain(stored.previous.as_deref())
        })
    }

    fn of(&mut self, entra: &Entra, now: Instant) -> &mut StoredToken {
        if !self.0.contains_key(&*entra.identity) {
            // Those of documents of the past are forgotten.
            self.0.retain(|_, stored| stored.is_of_use(now));
        }
        self.0.entry(entra.identity.to_string()).or_default()
    }
}

impl StoredToken {
    fn is_asked(&self, now: Instant) -> bool {
        self.asked_at.is_some_and(|since| now - since < DEAD_AFTER_MS)
    }

    fn is_of_use(&self, now: Instant) -> bool {
        let has_failed = self.failed.as_ref().is_some_and(|failed| now < failed.retry_at);
        self.is_asked(now) || has_failed || self.token.as_ref().is_some_and(|token| now < token.expires_at)
    }
}

/// A part of a period.
fn scaled(period: Millis, share: f64) -> Millis {
    Millis::from_f64(period.as_f64() * share)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::{DEAD_AFTER_MS, MARGIN_MS, TokenStep, TokenStore};
    use crate::routes::entra::{Entra, EntraProof};
    use crate::routes::graph::Secret;
    use crate::upstream::entra_token::{IssuedToken, TokenFailure};
    use crate::vocabulary::time::{Instant, Millis};

    fn entra(secret: &str) -> Entra {
        Entra {
            authority: "https://login".to_owned(),
            tenant: "t".to_owned(),
            client_id: "c".to_owned(),
            proof: EntraProof::Secret(Secret::new(secret)),
            scope: "s/.default".to_owned(),
            identity: "https://login t c s/.default".into(),
        }
    }

    fn token(text: &str, seconds: u64) -> IssuedToken {
        let lives_ms = Millis::new(seconds * 1_000);
        IssuedToken { text: text.to_owned(), lives_ms, refresh_ms: None }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_epoch_ms(1_000_000_000 + seconds * 1_000)
    }

    fn used(text: &str, refresh: bool) -> TokenStep {
        TokenStep::Use { token: text.into(), refresh }
    }

    #[test]
    fn a_token_is_refreshed_at_three_quarters_of_its_life_or_when_its_issuer_wants_it() {
        let entra = entra("x");
        for (issuer, jitter, seconds) in [(None, 0.0, 2_700), (None, 1.0, 2_880), (Some(600), 0.5, 600)] {
            let mut store = TokenStore::default();
            assert_eq!(store.step(&entra, None, at(0)), TokenStep::Ask);
            let refresh_ms = issuer.map(|seconds| Millis::new(seconds * 1_000));
            let answer = Ok(IssuedToken { refresh_ms, ..token("a", 3_600) });
            store.on_answer(&entra, answer, at(0), jitter);
            assert_eq!(store.step(&entra, None, at(seconds - 1)), used("a", false));
            assert_eq!(store.step(&entra, None, at(seconds)), used("a", true));
            assert_eq!(store.step(&entra, None, at(seconds)), used("a", false), "one asks");
        }
    }

    #[test]
    fn pauses_after_failures_grow_to_a_minute_and_a_new_secret_ends_them() {
        let (old, new) = (entra("old"), entra("new"));
        let mut store = TokenStore::default();
        let mut now = at(0);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(store.step(&old, None, now), TokenStep::Ask);
            store.on_answer(&old, Err(TokenFailure::unreachable()), now, 0.5);
            let almost = now + Millis::new(pause * 1_000 - 1);
            assert_eq!(store.step(&old, None, almost), TokenStep::Fail(TokenFailure::unreachable()));
            now += Millis::new(pause * 1_000);
        }
        store.on_answer(&old, Err(TokenFailure::unreachable()), now, 0.5);
        assert_eq!(store.step(&new, None, now), TokenStep::Ask);
        store.on_answer(&new, Ok(token("a", 3_600)), now, 0.5);
        assert_eq!(store.step(&old, None, now), used("a", false));
    }

    #[test]
    fn a_token_that_expires_at_once_is_a_failure_and_no_loop() {
        let (mut store, entra) = (TokenStore::default(), entra("x"));
        assert_eq!(store.step(&entra, None, at(0)), TokenStep::Ask);
        store.on_answer(&entra, Ok(token("a", 5)), at(0), 0.0);
        assert!(matches!(store.step(&entra, None, at(0)), TokenStep::Fail(_)));
    }

    #[test]
    fn a_request_for_a_token_that_died_is_followed_by_another_one() {
        let (mut store, entra) = (TokenStore::default(), entra("x"));
        assert_eq!(store.step(&entra, None, at(0)), TokenStep::Ask);
        assert_eq!(store.step(&entra, None, at(14)), TokenStep::Wait);
        assert_eq!(store.step(&entra, None, at(0) + DEAD_AFTER_MS), TokenStep::Ask);
    }

    #[test]
    fn tokens_of_the_past_are_forgotten_and_the_one_before_is_still_masked() {
        let mut store = TokenStore::default();
        for number in 0..100_u64 {
            let entra = Entra { identity: format!("{number}").into(), ..entra("x") };
            assert_eq!(store.step(&entra, None, at(number * 100)), TokenStep::Ask);
            store.on_answer(&entra, Ok(token("a", 60)), at(number * 100), 0.0);
            store.on_answer(&entra, Ok(token("b", 60)), at(number * 100), 0.0);
        }
        assert_eq!(store.0.len(), 1);
        assert_eq!(store.texts().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Pass(u64),
        /// The clock of the platform steps back.
        Back(u64),
        Need {
            after_refusal: bool,
        },
        Issue {
            seconds: u64,
        },
        Fail,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0_u64..400_000).prop_map(Act::Pass),
            (0_u64..2_000).prop_map(Act::Back),
            any::<bool>().prop_map(|after_refusal| Act::Need { after_refusal }),
            (1_u64..7_200).prop_map(|seconds| Act::Issue { seconds }),
            Just(Act::Fail),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_one_asks_at_a_time_and_a_valid_token_serves(
            acts in prop::collection::vec(act(), 1..200)
        ) {
            let (mut store, entra) = (TokenStore::default(), entra("x"));
            let mut now = at(0);
            let never = at(0) - Millis::new(10_000_000);
            let (mut asked, mut retry_from) = (None::<Instant>, never);
            let (mut known, mut count) = (None::<(Rc<str>, Instant)>, 0);
            for act in acts {
                match act {
                    Act::Pass(ms) => now += Millis::new(ms),
                    Act::Back(ms) => now = now - Millis::new(ms),
                    Act::Need { after_refusal } => {
                        let refused = known.clone().filter(|_| after_refusal).map(|(text, _)| text);
                        let step = store.step(&entra, refused.as_deref(), now);
                        let is_valid = known.as_ref().is_some_and(|(_, until)| now + MARGIN_MS < *until);
                        match &step {
                            TokenStep::Use { token, .. } => {
                                prop_assert!(is_valid);
                                prop_assert_ne!(Some(token), refused.as_ref());
                                prop_assert_eq!(Some(token), known.as_ref().map(|(text, _)| text));
                            }
                            _ => prop_assert!(!is_valid || after_refusal, "{:?}", step),
                        }
                        if matches!(step, TokenStep::Ask | TokenStep::Use { refresh: true, .. }) {
                            prop_assert!(asked.is_none_or(|since| now - since >= DEAD_AFTER_MS));
                            prop_assert!(now >= retry_from);
                            asked = Some(now);
                        }
                        if step == TokenStep::Wait {
                            prop_assert!(asked.is_some());
                        }
                    }
                    Act::Issue { seconds } if asked.is_some() => {
                        count += 1;
                        let text = format!("token-{count}");
                        store.on_answer(&entra, Ok(token(&text, seconds)), now, 0.5);
                        if seconds > 10 {
                            known = Some((text.into(), now + Millis::new(seconds * 1_000)));
                            retry_from = never;
                        } else {
                            retry_from = now + Millis::new(800);
                        }
                        asked = None;
                    }
                    Act::Fail if asked.is_some() => {
                        store.on_answer(&entra, Err(TokenFailure::unreachable()), now, 0.5);
                        (asked, retry_from) = (None, now + Millis::new(800));
                    }
                    Act::Issue { .. } | Act::Fail => {}
                }
            }
        }
    }
}
