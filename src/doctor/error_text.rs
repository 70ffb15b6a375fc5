//! What an error answer says, as it was written.

use serde_json::Value;

/// The most characters of a message that are shown.
const MOST_SHOWN: usize = 300;

/// The parts of an error answer.
#[derive(Debug, Default)]
pub(super) struct ErrorText {
    /// `code`, the inner code and `type`, in this order. A number is a text.
    pub(super) names: Vec<String>,
    /// The message.
    pub(super) message: String,
    /// It is a page for people.
    pub(super) is_page: bool,
}

impl ErrorText {
    /// Reads an answer. AI Gateway has a list of errors, some answers of Azure have no wrapper.
    pub(super) fn of(content_type: &str, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let is_markup = text.trim_start().starts_with('<');
        let is_page = is_markup || content_type.contains("text/html");
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self {
                names: Vec::new(),
                message: if is_markup { title_of(&text) } else { text.into_owned() },
                is_page,
            };
        };
        let error = ["error", "errors"].into_iter().find_map(|key| body.get(key)).unwrap_or(&body);
        let error = error.get(0).unwrap_or(error);
        let inner = ["innererror", "inner_error"].into_iter().find_map(|key| error.get(key)?.get("code"));
        let names = ["code", "statusCode", "internalCode"].into_iter().map(|key| error.get(key));
        let names = names.chain([inner, error.get("type"), body.get("internalCode"), body.get("name")]);
        let name = |value: &Value| match value {
            Value::String(name) if !name.is_empty() => Some(name.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let message = error.get("message").unwrap_or(error).as_str().unwrap_or_default();
        Self { names: names.flatten().filter_map(name).collect(), message: message.to_owned(), is_page }
    }

    /// The message as it may be shown: in one line, without secrets, and not too long. `None` if
    /// there is none.
    pub(super) fn shown(&self, secrets: &[&str]) -> Option<String> {
        let mut text = self.message.clone();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
        let words: Vec<&str> =
            text.split_whitespace().map(|word| if is_key(word) { "***" } else { word }).collect();
        let line = words.join(" ");
        let mut shown: String =
            line.chars().map(|shown| if shown.is_control() { ' ' } else { shown }).take(MOST_SHOWN).collect();
        if line.chars().count() > MOST_SHOWN {
            shown.push('…');
        }
        (!shown.is_empty()).then_some(shown)
    }
}

/// Whether a word looks like a key, or like a part of one: providers quote keys that they refuse.
fn is_key(word: &str) -> bool {
    let word = word.trim_matches(|character: char| !character.is_ascii_alphanumeric());
    word.starts_with("sk-")
        || (word.len() >= 32 && word.chars().all(|character| character.is_ascii_alphanumeric()))
}

/// The title of a page.
fn title_of(page: &str) -> String {
    // Lower case in ASCII keeps the positions.
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower.get(start..)?.find("</title>")? + start;
        page.get(start..end)
    });
    title.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::ErrorText;

    #[test]
    fn all_forms_of_errors_are_read() {
        for (body, names, message) in [
            (r#"{"error":{"message":"No","type":"t","code":"c"}}"#, &["c", "t"][..], "No"),
            (r#"{"error":{"code":"x","innererror":{"code":"y"},"message":"No"}}"#, &["x", "y"], "No"),
            (
                r#"{"success":false,"error":[{"code":2009,"message":"Unauthorized"}]}"#,
                &["2009"],
                "Unauthorized",
            ),
            (r#"{"errors":[{"code":10000,"message":"No"}]}"#, &["10000"], "No"),
            (r#"{"statusCode":401,"message":"No"}"#, &["401"], "No"),
            (r#"{"error":"plain"}"#, &[], "plain"),
            ("nothing of all this", &[], "nothing of all this"),
            ("<html><head><TITLE> Login </TITLE></head></html>", &[], "Login"),
            ("<TITLE>", &[], ""),
            ("", &[], ""),
        ] {
            let read = ErrorText::of("", body.as_bytes());
            assert_eq!(read.names, names, "{body}");
            assert_eq!(read.message, message, "{body}");
            assert_eq!(read.is_page, body.starts_with('<'), "{body}");
        }
    }

    #[test]
    fn no_key_is_shown() {
        for (message, expected) in [
            ("Incorrect API key provided: sk-proj-abc*def.", "Incorrect API key provided: ***"),
            ("key 0123456789abcdef0123456789abcdef is wrong", "key *** is wrong"),
            ("the token 'zq.own-key' is wrong", "the token '***' is wrong"),
            ("a\u{1b}[31m\nb", "a [31m b"),
        ] {
            let text = ErrorText { message: message.to_owned(), ..ErrorText::default() };
            assert_eq!(text.shown(&["zq.own-key", ""]).as_deref(), Some(expected));
        }
        let long = ErrorText { message: "ab ".repeat(300), ..ErrorText::default() };
        assert_eq!(long.shown(&[]).map(|text| text.chars().count()), Some(301));
        assert_eq!(ErrorText::default().shown(&[]), None);
    }
}
