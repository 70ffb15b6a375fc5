//! What differs between two documents: a list of paths with the old and the new values.

use serde::Serialize;
use serde_json::Value;

use crate::routes::At;

/// The most changes that a difference lists. It counts the others.
pub const MOST_CHANGES: usize = 200;
/// The most characters of a value. A longer one is cut and becomes a text.
const VALUE_CHARS: usize = 300;

/// What differs between two documents.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// The first changes, in the order of their paths.
    pub changes: Vec<DocumentChange>,
    /// How many more there are.
    pub more: usize,
}

/// A place where two documents differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DocumentChange {
    /// The path, as in issues: `models.chat.targets[1]`.
    pub path: String,
    /// The value of the old document; absent if the place is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// The value of the new document; absent if the place was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

impl Difference {
    /// What differs between two texts. A text that is not JSON counts as one value.
    pub fn between(old: &str, new: &str) -> Self {
        let read = |text: &str| {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
        };
        let mut difference = Self::default();
        difference.compare(At::Root, &read(old), &read(new));
        difference
    }

    /// The number of changes.
    pub fn count(&self) -> usize {
        self.changes.len() + self.more
    }

    fn compare(&mut self, at: At<'_>, old: &Value, new: &Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                for (key, before) in old {
                    match new.get(key) {
                        Some(after) => self.compare(at.key(key), before, after),
                        None => self.note(at.key(key), Some(before), None),
                    }
                }
                for (key, after) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                    self.note(at.key(key), None, Some(after));
                }
            }
            (Value::Array(old), Value::Array(new)) => {
                for index in 0..old.len().max(new.len()) {
                    match (old.get(index), new.get(index)) {
                        (Some(before), Some(after)) => self.compare(at.index(index), before, after),
                        (before, after) => self.note(at.index(index), before, after),
                    }
                }
            }
            _ if old == new => {}
            _ => self.note(at, Some(old), Some(new)),
        }
    }

    fn note(&mut self, at: At<'_>, old: Option<&Value>, new: Option<&Value>) {
        if self.changes.len() == MOST_CHANGES {
            self.more += 1;
            return;
        }
        let path = at.to_string();
        self.changes.push(DocumentChange { path, old: old.map(shortened), new: new.map(shortened) });
    }
}

fn shortened(value: &Value) -> Value {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS) {
        None => value.clone(),
        Some((end, _)) => Value::from(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use serde_json::json;

    use super::{Difference, MOST_CHANGES};

    #[test]
    fn a_difference_names_each_place_with_its_old_and_new_value() {
        let old = json!({ "a": { "b": [1, 2, 3], "c.d": "x" }, "same": {}, "gone": null }).to_string();
        let new = json!({ "a": { "b": [1, 4], "c.d": ["x"] }, "same": {}, "new": { "k": 1 } }).to_string();
        let difference = Difference::between(&old, &new);
        assert_eq!(
            serde_json::to_value(&difference).unwrap(),
            json!({ "more": 0, "changes": [
                { "path": "a.b[1]", "old": 2, "new": 4 },
                { "path": "a.b[2]", "old": 3 },
                { "path": "a[\"c.d\"]", "old": "x", "new": ["x"] },
                { "path": "gone", "old": null },
                { "path": "new", "new": { "k": 1 } },
            ] })
        );
    }

    #[test]
    fn spaces_are_no_difference_and_what_is_not_json_is_one_value() {
        assert_eq!(Difference::between("{\"a\":1}", "\u{feff}{ \"a\": 1 }\n").count(), 0);
        let difference = Difference::between("{", "{}");
        assert_eq!((difference.count(), difference.changes[0].path.as_str()), (1, "$"));
    }

    #[test]
    fn long_values_and_many_changes_are_cut() {
        let many: Vec<usize> = (0..1_000).collect();
        let difference = Difference::between("{}", &json!({ "x": many }).to_string());
        let text = difference.changes[0].new.as_ref().unwrap().as_str().unwrap();
        assert_eq!((text.chars().count(), text.ends_with('…')), (301, true));
        let difference = Difference::between(&json!([]).to_string(), &json!(many).to_string());
        assert_eq!(difference.changes.len(), MOST_CHANGES);
        assert_eq!(difference.count(), 1_000);
    }

    proptest! {
        #[test]
        fn any_two_texts_have_a_difference_and_a_text_has_none_with_itself(old in any::<String>(), new in any::<String>()) {
            let _ = Difference::between(&old, &new);
            prop_assert_eq!(Difference::between(&old, &old).count(), 0);
        }
    }
}
