//! What differs between two versions, as text: each place with the old and the new value.

use std::fmt::Write as _;

use serde_json::Value;

use crate::output::{BOLD, GREEN, RED, counted, painted, printable};

/// The changes of a difference, as the admin API has it.
pub fn difference_text(difference: &Value, is_coloured: bool) -> String {
    let mut text = String::new();
    for change in changes(difference) {
        let path = change.get("path").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "{}", painted(BOLD, &printable(path), is_coloured));
        for (member, sign, code) in [("old", '-', RED), ("new", '+', GREEN)] {
            if let Some(value) = change.get(member) {
                let _ = writeln!(text, "{}", painted(code, &format!("  {sign} {value}"), is_coloured));
            }
        }
    }
    if let Some(more @ 1..) = difference.get("more").and_then(Value::as_u64) {
        let _ = writeln!(text, "… and {more} more");
    }
    text
}

/// `1 change`, `2 changes`.
pub fn counted_changes(difference: &Value) -> String {
    counted(change_count(difference), "change")
}

/// The number of changes.
pub fn change_count(difference: &Value) -> usize {
    let more = difference.get("more").and_then(Value::as_u64).unwrap_or_default();
    changes(difference).len() + usize::try_from(more).unwrap_or(usize::MAX)
}

fn changes(difference: &Value) -> &[Value] {
    difference.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{change_count, counted_changes, difference_text};

    #[test]
    fn each_place_is_named_with_what_was_and_what_is() {
        let difference = json!({ "more": 3, "changes": [
            { "path": "models.chat.targets[0]", "old": "azure", "new": "openai" },
            { "path": "settings.sticky", "old": null },
            { "path": "clients.app", "new": { "key": "${KEY}" } },
        ] });
        assert_eq!(
            difference_text(&difference, false),
            "models.chat.targets[0]\n  - \"azure\"\n  + \"openai\"\nsettings.sticky\n  - null\nclients.app\n  \
             + {\"key\":\"${KEY}\"}\n… and 3 more\n"
        );
        assert_eq!((change_count(&difference), counted_changes(&difference).as_str()), (6, "6 changes"));
        let painted = difference_text(&difference, true);
        assert!(
            painted.contains("\u{1b}[31m  - \"azure\"\u{1b}[0m\n\u{1b}[32m  + \"openai\""),
            "{painted:?}"
        );
        assert_eq!(difference_text(&json!({ "more": 0, "changes": [] }), true), "");
    }
}
