//! The bodies of `POST /admin/api/keys` and below.

use serde_json::{Map, Value};

use crate::keys::key_format::KeyHash;
use crate::keys::key_record::KeyRecord;
use crate::vocabulary::rfc3339;
use crate::vocabulary::time::{Instant, Millis};

/// The longest name, owner, pattern and prefix, in characters.
const MOST_CHARS: usize = 128;
/// The most models of a key.
const MOST_MODELS: usize = 100;
/// The longest overlap of a rotation: 90 days.
const MOST_OVERLAP_SECONDS: u64 = 90 * 86_400;
/// How long an old key goes on if the request says nothing: a day.
const USUAL_OVERLAP_SECONDS: u64 = 86_400;

type Members = Map<String, Value>;

/// Reads `{client, name, owner?, models?, limits?, expires?}`: a key to issue. The limits are
/// checked with the routes document.
///
/// # Errors
/// What is wrong with it.
pub fn issue(text: &str, now: Instant) -> Result<KeyRecord, String> {
    let members: Members = serde_json::from_str(text).map_err(|error| {
        format!("An object {{\"client\": \"…\", \"name\": \"…\"}} was expected; \"owner\", \"models\", \"limits\" and \"expires\" may follow. {error}.")
    })?;
    known(&members, &["client", "name", "owner", "models", "limits", "expires"])?;
    let record = record(&members)?;
    match record.expires {
        Some(expires) if expires <= now => Err("\"expires\" is over already.".to_owned()),
        _ => Ok(record),
    }
}

/// A key of another gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedKey {
    /// Its SHA-256, as 64 hexadecimal digits in lower case.
    pub hash: String,
    /// What it is known by; may be empty.
    pub prefix: String,
    /// Its client, name, owner, models and end.
    pub record: KeyRecord,
}

/// Reads `{"keys": [{hash, client, name, prefix?, owner?, models?, limits?, expires?}]}`, at most
/// `most` of them.
///
/// # Errors
/// What is wrong with the first key that is not valid.
pub fn import(text: &str, most: usize) -> Result<Vec<ImportedKey>, String> {
    let expected = || {
        format!(
            "An object {{\"keys\": [{{\"hash\": \"…\", \"client\": \"…\", \"name\": \"…\"}}]}} was expected, with at most {most} keys."
        )
    };
    let mut members: Members = serde_json::from_str(text).map_err(|_| expected())?;
    let Some(Value::Array(keys)) = members.remove("keys") else { return Err(expected()) };
    if !members.is_empty() || keys.len() > most {
        return Err(expected());
    }
    let one = |(index, key): (usize, Value)| {
        let Value::Object(members) = key else { return Err(expected()) };
        imported(&members).map_err(|why| format!("keys[{index}]: {why}"))
    };
    keys.into_iter().enumerate().map(one).collect()
}

fn imported(members: &Members) -> Result<ImportedKey, String> {
    known(members, &["hash", "prefix", "client", "name", "owner", "models", "limits", "expires"])?;
    let hash = members.get("hash").and_then(Value::as_str).and_then(KeyHash::parse);
    let hash = hash.ok_or("\"hash\" is not the SHA-256 of a key, in 64 hexadecimal digits.")?.hex();
    let prefix = text(members, "prefix")?.unwrap_or_default();
    Ok(ImportedKey { hash, prefix, record: KeyRecord { is_imported: true, ..record(members)? } })
}

/// Reads `{overlap_seconds?}`, or nothing.
///
/// # Errors
/// What was expected.
pub fn overlap(body: &str) -> Result<Millis, String> {
    let expected = || {
        format!(
            "An object {{\"overlap_seconds\": 3600}} was expected, with a number up to {MOST_OVERLAP_SECONDS}."
        )
    };
    if body.trim().is_empty() {
        return Ok(Millis::new(USUAL_OVERLAP_SECONDS * 1_000));
    }
    let members: Members = serde_json::from_str(body).map_err(|_| expected())?;
    known(&members, &["overlap_seconds"])?;
    let seconds = match members.get("overlap_seconds") {
        None => Some(USUAL_OVERLAP_SECONDS),
        Some(value) => value.as_u64().filter(|seconds| *seconds <= MOST_OVERLAP_SECONDS),
    };
    seconds.map(|seconds| Millis::new(seconds * 1_000)).ok_or_else(expected)
}

fn known(members: &Members, names: &[&str]) -> Result<(), String> {
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => {
            let name: String = name.chars().take(40).collect();
            Err(format!("There is no \"{name}\" here. The members are {}.", names.join(", ")))
        }
        None => Ok(()),
    }
}

fn record(members: &Members) -> Result<KeyRecord, String> {
    let needed = |name: &str| text(members, name)?.ok_or_else(|| format!("\"{name}\" is missing."));
    let expires = match text(members, "expires")? {
        None => None,
        Some(text) => Some(rfc3339::parse_end(&text).ok_or(
            "\"expires\" is neither a time such as \"2027-01-31T18:00:00Z\" nor a day such as \"2027-01-31\".",
        )?),
    };
    Ok(KeyRecord {
        client: needed("client")?,
        name: needed("name")?,
        owner: text(members, "owner")?,
        models: models(members)?,
        limits: limits(members)?,
        expires,
        ..KeyRecord::default()
    })
}

/// A text that may be missing.
fn text(members: &Members, name: &str) -> Result<Option<String>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_str().filter(|text| is_short(text)) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(format!("\"{name}\" is not a text of 1 to {MOST_CHARS} printable characters.")),
        },
    }
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MOST_CHARS && !text.chars().any(char::is_control)
}

fn models(members: &Members) -> Result<Option<Vec<String>>, String> {
    let globs = match members.get("models") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_array().filter(|globs| (1..=MOST_MODELS).contains(&globs.len())),
    };
    let text = |glob: &Value| glob.as_str().filter(|text| is_short(text)).map(str::to_owned);
    let globs: Option<Vec<String>> = globs.and_then(|globs| globs.iter().map(text).collect());
    globs
        .map(Some)
        .ok_or_else(|| format!("\"models\" is not a list of 1 to {MOST_MODELS} names or patterns of models."))
}

fn limits(members: &Members) -> Result<Option<Vec<Value>>, String> {
    match members.get("limits") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_array().filter(|limits| !limits.is_empty()) {
            Some(limits) => Ok(Some(limits.clone())),
            None => {
                Err("\"limits\" is not a list of limits, such as [{\"usd\": 50, \"per\": \"month\"}]."
                    .to_owned())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Instant = Instant::from_epoch_ms(1_800_000_000_000);

    #[test]
    fn a_key_to_issue_is_read_with_what_may_be_missing() {
        let record = issue(r#"{"client":"app","name":"ci"}"#, NOW).unwrap();
        assert_eq!((record.client.as_str(), record.name.as_str()), ("app", "ci"));
        assert_eq!((&record.owner, &record.models, record.expires), (&None, &None, None));
        let text = r#"{"client":"app","name":"ci","owner":"ada","models":["chat-*"],"expires":"2027-12-31"}"#;
        let record = issue(text, NOW).unwrap();
        assert_eq!(record.owner.as_deref(), Some("ada"));
        assert_eq!(record.models, Some(vec!["chat-*".to_owned()]));
        assert_eq!(record.expires.unwrap().utc().to_string(), "2028-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!(r#"{{"client":"app","name":"{}"}}"#, "x".repeat(129));
        for (text, expected) in [
            ("", "An object {"),
            ("[]", "An object {"),
            (r#"{"name":"ci"}"#, "\"client\" is missing."),
            (r#"{"client":"app"}"#, "\"name\" is missing."),
            (r#"{"client":"app","name":""}"#, "\"name\" is not a text"),
            (r#"{"client":"app","name":"a\nb"}"#, "\"name\" is not a text"),
            (&long, "\"name\" is not a text"),
            (r#"{"client":7,"name":"ci"}"#, "\"client\" is not a text"),
            (r#"{"client":"app","name":"ci","model":"x"}"#, "There is no \"model\" here."),
            (r#"{"client":"app","name":"ci","models":[]}"#, "\"models\" is not a list"),
            (r#"{"client":"app","name":"ci","models":"x"}"#, "\"models\" is not a list"),
            (r#"{"client":"app","name":"ci","models":[""]}"#, "\"models\" is not a list"),
            (r#"{"client":"app","name":"ci","limits":[]}"#, "\"limits\" is not a list"),
            (r#"{"client":"app","name":"ci","limits":{"usd":5}}"#, "\"limits\" is not a list"),
            (r#"{"client":"app","name":"ci","expires":"soon"}"#, "\"expires\" is neither"),
            (r#"{"client":"app","name":"ci","expires":"2020-01-01"}"#, "\"expires\" is over already."),
        ] {
            let error = issue(text, NOW).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn imported_keys_are_read_by_their_hashes() {
        let hash = "AB".repeat(32);
        let one = |more: &str| format!(r#"{{"keys":[{{"hash":"{hash}","client":"app","name":"n"{more}}}]}}"#);
        let keys = import(&one(r#","prefix":"sk-...1234","expires":"2020-01-01""#), 5).unwrap();
        assert_eq!(
            (keys[0].hash.as_str(), keys[0].prefix.as_str()),
            ("ab".repeat(32).as_str(), "sk-...1234")
        );
        assert!(keys[0].record.is_imported, "one that is over is there, and over");
        for (text, expected) in [
            (one(r#","key":"sk-1234""#), "keys[0]: There is no \"key\" here."),
            (one("").replace(&hash, "sk-1234"), "keys[0]: \"hash\" is not the SHA-256"),
            (r#"{"keys":[1]}"#.to_owned(), "An object {"),
            (r#"{"keys":[],"more":1}"#.to_owned(), "An object {"),
            (r#"{"keys":[{},{},{},{},{},{}]}"#.to_owned(), "An object {"),
        ] {
            let error = import(&text, 5).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("sk-1234"), "{error}");
        }
    }

    #[test]
    fn an_overlap_has_a_default_and_a_limit() {
        for (text, expected) in [
            ("", Some(86_400_000)),
            ("{}", Some(86_400_000)),
            (r#"{"overlap_seconds":0}"#, Some(0)),
            (r#"{"overlap_seconds":3600}"#, Some(3_600_000)),
            (r#"{"overlap_seconds":-1}"#, None),
            (r#"{"overlap_seconds":7776001}"#, None),
            (r#"{"overlap":1}"#, None),
            ("7", None),
        ] {
            assert_eq!(overlap(text).ok().map(Millis::get), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(text in ".{0,60}") {
            let _ = (issue(&text, NOW), import(&text, 5), overlap(&text));
        }
    }
}
