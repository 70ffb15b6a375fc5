//! Compiles `when`: from matchers to conditions.

use std::ops::Bound;

use serde_json::{Map, Value};

use super::compiler::Compiler;
use crate::routes::at::At;
use crate::routes::glob::Glob;
use crate::routes::raw::{RawMatcher, RawScalar, RawTest, RawWhen};
use crate::routes::text_pattern::TextPattern;
use crate::routes::when::{BUCKETS, Condition, Fact, ValueTest};
use crate::vocabulary::operation::Operation;
use crate::vocabulary::rng::stable_hash;

/// The most bytes of `contains`.
const MOST_PATTERN_BYTES: usize = 1024;

/// The letter case in which the values of a fact are compared.
#[derive(Clone, Copy)]
enum LetterCase {
    AsWritten,
    Upper,
    Lower,
}

impl LetterCase {
    fn of(self, text: &str) -> String {
        match self {
            Self::AsWritten => text.to_owned(),
            Self::Upper => text.to_ascii_uppercase(),
            Self::Lower => text.to_ascii_lowercase(),
        }
    }
}

/// Maps a name in the document to its fact.
type NamedFact<'a> = &'a dyn Fn(&str) -> Fact;

impl Compiler<'_> {
    /// Compiles a `when` and records what it reads. `chosen` is the name of the target that it
    /// chooses.
    pub(super) fn condition(&mut self, when: &RawWhen, at: At<'_>, chosen: &str) -> Condition {
        let condition = self.when(when, at, stable_hash(chosen.as_bytes()));
        condition.gather(&mut self.reads, &mut self.prefixes);
        condition
    }

    /// Compiles a `when`. Conditions with different salts select their shares independently.
    fn when(&mut self, when: &RawWhen, at: At<'_>, salt: u64) -> Condition {
        let mut all = Vec::new();
        let plain = [
            ("path", &when.path, Fact::Path, LetterCase::AsWritten),
            ("model", &when.model, Fact::Model, LetterCase::AsWritten),
            ("method", &when.method, Fact::Method, LetterCase::Upper),
            ("operation", &when.operation, Fact::Operation, LetterCase::Lower),
            ("client", &when.client, Fact::Client, LetterCase::AsWritten),
            ("continent", &when.continent, Fact::Continent, LetterCase::Upper),
            ("country", &when.country, Fact::Country, LetterCase::Upper),
            ("colo", &when.colo, Fact::Colo, LetterCase::Upper),
            ("input_tokens", &when.input_tokens, Fact::InputTokens, LetterCase::AsWritten),
        ];
        for (key, matcher, fact, case) in plain {
            if let Some(matcher) = matcher {
                let test = self.matcher(matcher, at.key(key), case);
                self.check_names(&test, &fact, at.key(key));
                all.push(Condition::Fact(fact, test));
            }
        }
        let header = |name: &str| Fact::Header(name.to_ascii_lowercase());
        let query = |name: &str| Fact::Query(name.to_owned());
        let metadata = |name: &str| Fact::Metadata(name.to_owned());
        let label = |name: &str| Fact::Label(name.to_owned());
        let named: [(_, _, NamedFact<'_>); 5] = [
            ("header", &when.header, &header),
            ("query", &when.query, &query),
            ("metadata", &when.metadata, &metadata),
            ("body", &when.body, &body_field),
            ("label", &when.label, &label),
        ];
        for (key, matchers, fact) in named {
            let section = at.key(key);
            for (name, matcher) in matchers {
                all.push(Condition::Fact(
                    fact(name),
                    self.matcher(matcher, section.key(name), LetterCase::AsWritten),
                ));
            }
        }
        all.extend(self.share(when, at, salt));
        for (key, list, join) in [
            ("all", &when.all, Condition::All as fn(Vec<Condition>) -> Condition),
            ("any", &when.any, Condition::Any),
        ] {
            let section = at.key(key);
            if let Some(list) = list {
                let inner = list.iter().enumerate();
                all.push(join(
                    inner.map(|(index, when)| self.when(when, section.index(index), salt)).collect(),
                ));
            }
        }
        if let Some(not) = &when.not {
            all.push(Condition::Not(Box::new(self.when(not, at.key("not"), salt))));
        }
        match all.pop() {
            None => Condition::Always,
            Some(only) if all.is_empty() => only,
            Some(last) => {
                all.push(last);
                Condition::All(all)
            }
        }
    }

    fn share(&mut self, when: &RawWhen, at: At<'_>, salt: u64) -> Option<Condition> {
        let by = when.by.as_deref().and_then(|by| self.affinity(by, at.key("by")));
        let Some(percent) = when.percent else {
            if by.is_some() {
                self.report.refuse(at.key("percent"), "a percentage: without it `by` does nothing");
            }
            return None;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the schema allows 0 to 100"
        )]
        #[expect(clippy::cast_precision_loss, reason = "10,000 is exact as f64")]
        let buckets = (percent / 100.0 * BUCKETS as f64).round() as u64;
        Some(Condition::Share { buckets, by, salt })
    }

    fn matcher(&mut self, matcher: &RawMatcher, at: At<'_>, case: LetterCase) -> ValueTest {
        match matcher {
            RawMatcher::Scalar(value) => scalar(value, case),
            RawMatcher::List(list) => any_of(list, case),
            RawMatcher::Test(test) => self.test(test, at, case),
        }
    }

    fn test(&mut self, test: &RawTest, at: At<'_>, case: LetterCase) -> ValueTest {
        let mut all = Vec::new();
        all.extend(test.is_in.as_deref().map(|list| any_of(list, case)));
        if let Some(not) = &test.not {
            all.push(ValueTest::Not(Box::new(self.matcher(not, at.key("not"), case))));
        }
        all.extend(test.prefix.as_deref().map(|prefix| ValueTest::Prefix(case.of(prefix))));
        all.extend(test.exists.map(ValueTest::Exists));
        all.extend(test.gt.map(|low| ValueTest::Within(Bound::Excluded(low), Bound::Unbounded)));
        all.extend(test.gte.map(|low| ValueTest::Within(Bound::Included(low), Bound::Unbounded)));
        all.extend(test.lt.map(|high| ValueTest::Within(Bound::Unbounded, Bound::Excluded(high))));
        all.extend(test.lte.map(|high| ValueTest::Within(Bound::Unbounded, Bound::Included(high))));
        if let Some(words) = test.contains.as_deref() {
            if words.is_empty() || words.len() > MOST_PATTERN_BYTES {
                self.report.refuse(at.key("contains"), format!("1 to {MOST_PATTERN_BYTES} bytes"));
            }
            all.push(ValueTest::Pattern(Box::new(TextPattern::words(words))));
        }
        if let Some(source) = test.matches.as_deref() {
            match TextPattern::expression(source) {
                Ok(pattern) => all.push(ValueTest::Pattern(Box::new(pattern))),
                Err(reason) => {
                    self.report.refuse(at.key("matches"), format!("a regular expression ({reason})"));
                }
            }
        }
        // Keys that failed the shape check have their own issues, so the written object is tested.
        let is_bare = at.find(self.report.written()).and_then(Value::as_object).is_some_and(Map::is_empty);
        if is_bare {
            self.report.refuse(
                at,
                "at least one of the keys in, not, prefix, exists, gt, gte, lt, lte, contains and matches",
            );
        }
        ValueTest::All(all)
    }

    /// Values without `*` must be existing names, or paths that a request can have.
    fn check_names(&mut self, test: &ValueTest, fact: &Fact, at: At<'_>) {
        match test {
            ValueTest::Text(glob) if !glob.as_str().contains('*') => self.check_name(glob.as_str(), fact, at),
            ValueTest::Any(tests) => {
                // The list is either the matcher itself or the value of `in`.
                let list = at.key("in");
                let list = if list.find(self.report.written()).is_some() { list } else { at };
                for (index, test) in tests.iter().enumerate() {
                    self.check_names(test, fact, list.index(index));
                }
            }
            ValueTest::All(tests) => tests.iter().for_each(|test| self.check_names(test, fact, at)),
            ValueTest::Not(test) => self.check_names(test, fact, at.key("not")),
            _ => {}
        }
    }

    fn check_name(&mut self, name: &str, fact: &Fact, at: At<'_>) {
        let operations = Operation::ALL.map(Operation::path);
        let (expected, names) = match fact {
            Fact::Operation => ("the path of an operation, or a pattern with *", operations.to_vec()),
            Fact::Client => ("the name of a client, or a pattern with *", self.declared("clients").collect()),
            Fact::Path => {
                // A path may have any prefix, but it ends with the operation.
                if !operations.iter().any(|operation| name.trim_end_matches('/').ends_with(operation)) {
                    let expected = "a path that ends with an operation, or a pattern such as /prefix/*";
                    self.report.warn(
                        at,
                        "path_never_sent",
                        expected,
                        "no request that is routed has this path",
                    );
                }
                return;
            }
            _ => return,
        };
        if !names.contains(&name) {
            self.report.refuse_name(at, name, expected, names);
        }
    }
}

/// Parses a dotted path: `metadata.tier` is the field `tier` of the top-level field `metadata`.
fn body_field(path: &str) -> Fact {
    let mut names = path.split('.').map(str::to_owned);
    let top = names.next().unwrap_or_default();
    Fact::Body(top, names.collect())
}

fn any_of(list: &[RawScalar], case: LetterCase) -> ValueTest {
    ValueTest::Any(list.iter().map(|value| scalar(value, case)).collect())
}

fn scalar(value: &RawScalar, case: LetterCase) -> ValueTest {
    match value {
        RawScalar::Text(text) => ValueTest::Text(Glob::new(case.of(text))),
        RawScalar::Number(number) => ValueTest::Number(*number),
        RawScalar::Bool(boolean) => ValueTest::Bool(*boolean),
    }
}
