//! A request to explain, as JSON: from the admin API, or from a file of the command line.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::scan::top_level::{self, MemberSpan};
use crate::vocabulary::facts::Place;
use crate::vocabulary::headers::Headers;

/// The keys, for messages.
const KEYS: &str = "method, path, headers, body, client, key and place";
/// The keys of `place`, for messages.
const PLACE_KEYS: &str = "continent, country, colo, latitude and longitude";

/// A request to explain.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainRequest {
    /// The method in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The raw query.
    pub query: String,
    /// The headers; names in lower case.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The name of the client who sends it. It needs no key.
    pub client: Option<String>,
    /// The key that it comes with, if no client is named.
    pub key: Option<String>,
    /// Where it comes from.
    pub place: Place,
}

impl ExplainRequest {
    /// Reads `{method?, path, headers?, body?, client?, key?, place?}`. A `body` that is a text is
    /// sent as this text; any other is sent as the JSON that it is, byte for byte.
    ///
    /// # Errors
    /// What is wrong and what was expected. The message quotes no value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (members, ended) = top_level::parse(text);
        ended.map_err(|error| format!("A JSON object was expected: {error}."))?;
        let mut request = Self {
            method: String::new(),
            path: String::new(),
            query: String::new(),
            headers: Headers::default(),
            body: Vec::new(),
            client: None,
            key: None,
            place: Place::default(),
        };
        for MemberSpan { key, value } in members {
            let name = read(text, &key)?;
            let name = name.as_str().unwrap_or_default();
            let value_at = value.clone();
            let value = read(text, &value)?;
            match name {
                "method" => request.method = word(name, value)?.to_ascii_uppercase(),
                "path" => {
                    let path = word(name, value)?;
                    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
                    (request.path, request.query) = (path.to_owned(), query.to_owned());
                }
                "headers" => request.headers = headers(value)?,
                "body" => {
                    request.body = match value {
                        Value::Null => Vec::new(),
                        Value::String(text) => text.into_bytes(),
                        _ => text.get(value_at).unwrap_or_default().as_bytes().to_vec(),
                    };
                }
                "client" => request.client = Some(word(name, value)?),
                "key" => request.key = Some(word(name, value)?),
                "place" => request.place = place(value)?,
                _ => return Err(format!("There is no key '{}'. The keys are {KEYS}.", shortened(name))),
            }
        }
        if !request.path.starts_with('/') {
            return Err("`path` is missing: a path such as \"/v1/chat/completions\" was expected.".to_owned());
        }
        if request.method.is_empty() {
            let usual = if request.body.is_empty() { "GET" } else { "POST" };
            usual.clone_into(&mut request.method);
        }
        if !request.body.is_empty() && request.headers.get("content-type").is_none() {
            request.headers.push("content-type", "application/json");
        }
        Ok(request)
    }
}

fn read(text: &str, span: &Range<usize>) -> Result<Value, String> {
    let value = text.get(span.clone()).unwrap_or_default();
    serde_json::from_str(value).map_err(|error| format!("A value cannot be read: {error}."))
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

fn word(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(format!("`{name}` is not a text.")),
    }
}

fn members(name: &str, value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(format!("`{name}` is not an object.")),
    }
}

fn headers(value: Value) -> Result<Headers, String> {
    let mut headers = Headers::default();
    for (name, value) in members("headers", value)? {
        let Value::String(value) = value else {
            return Err(format!("The header '{}' is not a text.", shortened(&name)));
        };
        headers.push(&name.to_ascii_lowercase(), &value);
    }
    Ok(headers)
}

fn place(value: Value) -> Result<Place, String> {
    let mut place = Place::default();
    let (mut latitude, mut longitude) = (None, None);
    for (name, value) in members("place", value)? {
        let code = |value| Ok::<_, String>(Some(word(&name, value)?.to_ascii_uppercase()));
        match name.as_str() {
            "continent" => place.continent = code(value)?,
            "country" => place.country = code(value)?,
            "colo" => place.colo = code(value)?,
            "latitude" => latitude = value.as_f64(),
            "longitude" => longitude = value.as_f64(),
            _ => {
                let name = shortened(&name);
                return Err(format!("`place` has no key '{name}'. The keys are {PLACE_KEYS}."));
            }
        }
    }
    place.coordinates = latitude.zip(longitude);
    Ok(place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any JSON, not deep.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i32>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        let name = prop_oneof![
            prop::sample::select(vec![
                "method", "path", "headers", "body", "client", "key", "place", "latitude"
            ])
            .prop_map(str::to_owned),
            ".{0,6}",
        ];
        leaf.prop_recursive(3, 12, 4, move |inner| {
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn no_text_and_no_json_panics(text in ".{0,40}", json in json()) {
            let _ = ExplainRequest::parse(&text);
            if let Ok(request) = ExplainRequest::parse(&json.to_string()) {
                prop_assert!(request.path.starts_with('/') && !request.method.is_empty());
            }
        }
    }

    #[test]
    fn a_request_is_read_with_its_defaults() {
        let request = ExplainRequest::parse(r#"{"path":"/v1/models"}"#).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/models"));
        let text = r#"{"path":"/v1/chat/completions?a=b","body":{"b":1, "a":2},"headers":{"X-Tier":"gold"},
            "client":"app","place":{"country":"de","latitude":52.5,"longitude":13.4}}"#;
        let request = ExplainRequest::parse(text).unwrap();
        assert_eq!((request.method.as_str(), request.query.as_str()), ("POST", "a=b"));
        assert_eq!(request.body, br#"{"b":1, "a":2}"#, "byte for byte");
        let pairs: Vec<_> = request.headers.iter().collect();
        assert_eq!(pairs, [("x-tier", "gold"), ("content-type", "application/json")]);
        assert_eq!(request.place.country.as_deref(), Some("DE"));
        assert_eq!(request.place.coordinates, Some((52.5, 13.4)));
        let request = ExplainRequest::parse(r#"{"method":"put","path":"/","body":"a=1"}"#).unwrap();
        assert_eq!((request.method.as_str(), request.body.as_slice()), ("PUT", &b"a=1"[..]));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_expected() {
        for (text, expected) in [
            ("", "A JSON object was expected: "),
            ("[]", "A JSON object was expected: "),
            ("{}", "`path` is missing"),
            (r#"{"path":"v1"}"#, "`path` is missing"),
            (r#"{"path":7}"#, "`path` is not a text."),
            (r#"{"path":"/","pth":1}"#, "There is no key 'pth'. The keys are method, path, "),
            (r#"{"path":"/","headers":[]}"#, "`headers` is not an object."),
            (r#"{"path":"/","headers":{"a":1}}"#, "The header 'a' is not a text."),
            (r#"{"path":"/","place":"DE"}"#, "`place` is not an object."),
            (
                r#"{"path":"/","place":{"city":"Berlin"}}"#,
                "`place` has no key 'city'. The keys are continent, ",
            ),
            (r#"{"path":"/","key":["sk-secret"]}"#, "`key` is not a text."),
        ] {
            let error = ExplainRequest::parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("sk-"), "{error}");
        }
    }
}
