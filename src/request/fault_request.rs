//! The body of `POST /admin/api/faults`.

use serde_json::{Map, Value};

use crate::vocabulary::fault::Fault;

/// The longest reason, in characters.
const MOST_CHARS: usize = 200;

/// What `POST /admin/api/faults` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRequest {
    /// The name of the deployment.
    pub deployment: String,
    /// The fault.
    pub fault: Fault,
    /// The part of the attempts that it answers, in percent.
    pub share: u8,
    /// How long it lasts, in seconds.
    pub seconds: u64,
    /// The reason; may be empty.
    pub why: String,
}

impl FaultRequest {
    /// Reads the body. `usual_why`: the reason if the body has none.
    ///
    /// # Errors
    /// What is wrong with it, and what was expected.
    #[inline(never)]
    pub fn parse(text: &str, usual_why: Option<String>) -> Result<Self, String> {
        let members: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| expected(&format!("It is no object: {error}.")))?;
        let is_known = |name: &str| matches!(name, "deployment" | "fault" | "share" | "seconds" | "why");
        if let Some(name) = members.keys().find(|name| !is_known(name)) {
            return Err(expected(&format!("There is no \"{name}\".")));
        }
        let invalid = |name: &str| expected(&format!("\"{name}\" is not valid."));
        let text =
            |name: &str| members.get(name).map_or(Some(""), Value::as_str).ok_or_else(|| invalid(name));
        let number = |name: &str, default: u64, most: u64| match members.get(name) {
            None => Ok(default),
            Some(value) => {
                value.as_u64().filter(|number| (1..=most).contains(number)).ok_or_else(|| invalid(name))
            }
        };
        let why = match text("why")? {
            "" => usual_why.unwrap_or_default(),
            why => why.to_owned(),
        };
        Ok(Self {
            deployment: Some(text("deployment")?)
                .filter(|name| !name.is_empty())
                .ok_or_else(|| invalid("deployment"))?
                .to_owned(),
            fault: Fault::parse(text("fault")?).ok_or_else(|| invalid("fault"))?,
            share: u8::try_from(number("share", 100, 100)?).unwrap_or(100),
            seconds: number("seconds", 60, 3_600)?,
            why: why.chars().take(MOST_CHARS).collect(),
        })
    }
}

fn expected(problem: &str) -> String {
    format!(
        "{problem} Expected: {{\"deployment\": a name, \"fault\": \"429\", \"500\", \"hang\" or \"cut\", \"share\": 1 to 100 \
         (percent, default 100), \"seconds\": 1 to 3600 (default 60), \"why\": a text (optional)}}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_a_default() {
        let least = FaultRequest {
            deployment: "a".to_owned(),
            fault: Fault::Hang,
            share: 100,
            seconds: 60,
            why: String::new(),
        };
        for (text, expected) in [
            (r#"{"deployment":"a","fault":"hang"}"#, least.clone()),
            (
                r#"{"deployment":"a","fault":"cut","share":1,"seconds":3600,"why":"game day"}"#,
                FaultRequest {
                    fault: Fault::Cut,
                    share: 1,
                    seconds: 3_600,
                    why: "game day".to_owned(),
                    ..least.clone()
                },
            ),
        ] {
            assert_eq!(FaultRequest::parse(text, None), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_was_expected() {
        for (text, problem) in [
            ("", "It is no object: "),
            ("[]", "It is no object: "),
            (r#"{"fault":"hang"}"#, "\"deployment\" is not valid."),
            (r#"{"deployment":"","fault":"hang"}"#, "\"deployment\" is not valid."),
            (r#"{"deployment":"a"}"#, "\"fault\" is not valid."),
            (r#"{"deployment":"a","fault":429}"#, "\"fault\" is not valid."),
            (r#"{"deployment":"a","fault":"503"}"#, "\"fault\" is not valid."),
            (r#"{"deployment":"a","fault":"hang","share":0}"#, "\"share\" is not valid."),
            (r#"{"deployment":"a","fault":"hang","share":101}"#, "\"share\" is not valid."),
            (r#"{"deployment":"a","fault":"hang","seconds":3601}"#, "\"seconds\" is not valid."),
            (r#"{"deployment":"a","fault":"hang","seconds":1.5}"#, "\"seconds\" is not valid."),
            (r#"{"deployment":"a","fault":"hang","why":1}"#, "\"why\" is not valid."),
            (r#"{"deployment":"a","fault":"hang","shar":20}"#, "There is no \"shar\"."),
        ] {
            let error = FaultRequest::parse(text, None).unwrap_err();
            assert!(error.starts_with(problem), "{text}: {error}");
            assert!(error.contains("\"seconds\": 1 to 3600"), "{text}: {error}");
        }
    }
}
