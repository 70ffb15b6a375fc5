//! Parses JSON to a value. It also finds the keys that an object has twice. Errors give the place
//! and a hint.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::at::At;
use super::issue::Issue;

/// The deepest nesting of objects and lists. Routes need far less, and every later step fits in the
/// stack of a Worker at this depth.
pub(super) const MAX_DEPTH: usize = 64;

/// Parses a document. If an object has a key twice, the last value is used, and the path of the key
/// is added to `duplicates`.
///
/// # Errors
/// The first syntax error.
pub fn parse(document: &str, duplicates: &mut Vec<String>) -> Result<Value, Issue> {
    let document = document.strip_prefix('\u{feff}').unwrap_or(document);
    let mut deserializer = serde_json::Deserializer::from_str(document);
    let seed = Element { at: At::Root, depth: 0, duplicates };
    let parsed = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| Issue {
        note: hint(document, &error).map(str::to_owned),
        ..Issue::of_document(in_characters(document, &error), "JSON")
    })
}

/// The text of an error. The parser counts columns in bytes, and people count characters.
fn in_characters(document: &str, error: &serde_json::Error) -> String {
    let (text, line, column) = (error.to_string(), error.line(), error.column());
    let Some(said) = text.strip_suffix(&format!(" column {column}")) else { return text };
    let of_line = document.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let characters = of_line.char_indices().take_while(|(start, _)| *start < column).count();
    // The end of a line counts, too.
    let characters = characters + column.saturating_sub(of_line.len());
    format!("{said} column {characters}")
}

/// A hint at the probable mistake.
fn hint(document: &str, error: &serde_json::Error) -> Option<&'static str> {
    let line = document.lines().nth(error.line().checked_sub(1)?)?;
    // The parser stops at the wrong byte or one byte after it.
    let around = line.as_bytes().get(error.column().saturating_sub(2)..)?;
    let found = around.iter().take(2).find(|byte| matches!(byte, b'/' | b'#' | b'\''))?;
    Some(match found {
        b'\'' => "texts take double quotes",
        _ => "comments are not supported; `description` takes text",
    })
}

/// A value of the document, with its place.
struct Element<'a, 'd> {
    at: At<'a>,
    /// The number of objects and lists around it.
    depth: usize,
    duplicates: &'d mut Vec<String>,
}

impl Element<'_, '_> {
    /// The depth of the values in this one.
    fn deeper<E: Error>(&self) -> Result<usize, E> {
        if self.depth < MAX_DEPTH {
            Ok(self.depth + 1)
        } else {
            Err(E::custom(format_args!("objects and lists nested more than {MAX_DEPTH} deep")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_, '_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        loop {
            let at = self.at.index(list.len());
            let Some(element) =
                elements.next_element_seed(Element { at, depth, duplicates: self.duplicates })?
            else {
                break;
            };
            list.push(element);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let at = self.at.key(&key);
            let value = entries.next_value_seed(Element { at, depth, duplicates: self.duplicates })?;
            if object.contains_key(&key) {
                self.duplicates.push(at.to_string());
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::parse;

    #[test]
    fn keys_that_stand_twice_are_found_at_any_depth() {
        let mut duplicates = Vec::new();
        let value = parse(r#"{"a": [{"b": 1, "b": {"c": 1, "c": 2}}], "a": 3}"#, &mut duplicates);
        assert_eq!(value.unwrap(), serde_json::json!({ "a": 3 }));
        assert_eq!(duplicates, ["a[0].b.c", "a[0].b", "a"]);
    }

    #[test]
    fn a_syntax_error_says_where_and_what_to_do() {
        for (document, expected) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\n  // a comment\n}", "comments are not supported"),
            ("{\"a\": 1, # a comment\n}", "comments are not supported"),
            ("{\"a\": 1 /* a comment */ }", "comments are not supported"),
            ("{'a': 1}", "double quotes"),
            ("{\"a\": 1,}", "trailing comma at line 1 column 9"),
            ("{} {}", "trailing characters at line 1 column 4"),
            ("{\"ä\": \"€🙂\",}", "trailing comma at line 1 column 12"),
            ("{\"a\":\n \"ßß\" x}", "at line 2 column 7"),
            ("{\"é", "EOF while parsing a string at line 1 column 3"),
            ("{\"a\": 1e999}", "number out of range at line 1"),
            (&"[".repeat(65), "objects and lists nested more than 64 deep at line 1 column 65"),
        ] {
            let issue = parse(document, &mut Vec::new()).unwrap_err().to_string();
            assert!(issue.contains(expected), "{document:.40}: {issue}");
        }
    }

    proptest! {
        #[test]
        fn every_text_is_read_as_serde_json_reads_it(text in r#"[\[\]{}:,"0-9a-c./# -]{0,40}"#) {
            let plain: Option<Value> = serde_json::from_str(&text).ok();
            prop_assert_eq!(parse(&text, &mut Vec::new()).ok(), plain);
        }
    }
}
