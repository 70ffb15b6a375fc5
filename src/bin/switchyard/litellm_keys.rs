//! Reads lists of LiteLLM's virtual keys: JSON of `/key/list` and `/key/info`, or a table of its
//! database as CSV. LiteLLM has the SHA-256 of each key, and so has the gateway.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use switchyard::keys::key_format::KeyHash;
use switchyard::vocabulary::rfc3339::parse_end;

/// What LiteLLM calls "no narrowing".
const ALL_MODELS: &[&str] = &["all-proxy-models", "all-team-models"];
/// Columns whose effect does not exist here.
const NOT_IMPORTED: &[&str] =
    &["model_max_budget", "soft_budget", "rpm_limit_per_model", "tpm_limit_per_model"];
/// The most seconds in a month.
const MONTH_SECONDS: u64 = 31 * 86_400;

/// The keys of a file, in the form of the admin API, and what is said about them.
#[derive(Debug, Default, PartialEq)]
pub struct ReadKeys {
    /// The keys to import.
    pub keys: Vec<Value>,
    /// The keys that are left out, each with the reason.
    pub left_out: Vec<String>,
    /// Budgets and limits that are not imported, each with its key and the reason.
    pub without: Vec<String>,
}

/// Which client a key belongs to.
#[derive(Debug, Default)]
pub struct ClientChoice {
    /// The client of all keys that no team decides.
    pub usual: Option<String>,
    /// The client of the keys of a team.
    pub of_team: BTreeMap<String, String>,
}

/// Reads a list.
///
/// # Errors
/// It is neither JSON nor CSV with a column `token`.
pub fn read(text: &str, clients: &ClientChoice) -> Result<ReadKeys, String> {
    let rows = if text.trim_start().starts_with(['{', '[']) { of_json(text)? } else { of_csv(text)? };
    let mut read = ReadKeys::default();
    for row in &rows {
        let row = Row(row);
        let (limits, without) = row.limits();
        match row.key(clients, limits) {
            Ok(key) => {
                read.keys.push(key);
                read.without.extend(without.into_iter().map(|why| format!("{}: {why}", row.name())));
            }
            Err(why) => read.left_out.push(format!("{}: {why}", row.name())),
        }
    }
    Ok(read)
}

fn of_json(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("It is no JSON: {error}."))?;
    let mut rows = Vec::new();
    gather(value, &mut rows);
    if rows.is_empty() {
        Err("There is no key in it: `keys`, `token` or `info` was expected.".to_owned())
    } else {
        Ok(rows)
    }
}

/// Gathers the keys of a list, of a page of `/key/list`, or of an answer of `/key/info`.
fn gather(value: Value, rows: &mut Vec<Map<String, Value>>) {
    match value {
        Value::Array(list) => list.into_iter().for_each(|value| gather(value, rows)),
        Value::String(token) => rows.push(Map::from_iter([("token".to_owned(), token.into())])),
        Value::Object(mut members) => {
            if let Some(keys) = members.remove("keys") {
                gather(keys, rows);
            } else if let Some(Value::Object(mut info)) = members.remove("info") {
                if let Some(key) = members.remove("key") {
                    info.entry("token").or_insert(key);
                }
                rows.push(info);
            } else if members.contains_key("token") {
                rows.push(members);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn of_csv(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let mut records = csv(text.trim_start_matches('\u{feff}')).into_iter();
    let heads = records.next().unwrap_or_default();
    if !heads.iter().any(|head| head == "token") {
        return Err("The first line has no column `token`.".to_owned());
    }
    let row = |cells: Vec<String>| {
        heads.iter().cloned().zip(cells.into_iter().map(Value::String)).collect::<Map<String, Value>>()
    };
    Ok(records.filter(|cells| cells.iter().any(|cell| !cell.is_empty())).map(row).collect())
}

/// The records of a table (RFC 4180).
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut is_quoted, mut rest) = (false, text.chars().peekable());
    while let Some(char) = rest.next() {
        match char {
            '"' if is_quoted && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted && rest.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            char => cell.push(char),
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    records
}

/// What LiteLLM has about a key.
struct Row<'a>(&'a Map<String, Value>);

impl Row<'_> {
    /// A value that is set, as a text.
    fn text(&self, name: &str) -> Option<String> {
        let text = match self.0.get(name)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(text).filter(|text| !text.is_empty() && text != "NULL" && text != "None")
    }

    /// What people call it. A token that may be a key is not shown.
    fn name(&self) -> String {
        let of_hash = || {
            let hash = self.text("token").filter(|token| KeyHash::parse(token).is_some());
            hash.map_or("a key without a name".to_owned(), |hash| hash.chars().take(12).collect())
        };
        self.text("key_alias").or_else(|| self.text("key_name")).unwrap_or_else(of_hash)
    }

    /// Its limits in the form of the gateway, and what is not imported.
    fn limits(&self) -> (Vec<Value>, Vec<String>) {
        let (mut limits, mut without) = (Vec::new(), Vec::new());
        let number = |name: &str| self.text(name)?.parse::<f64>().ok();
        let whole = |name: &str| number(name).filter(|number| *number >= 1.0).map(f64::floor);
        for (name, unit, per) in [
            ("rpm_limit", "requests", Some("minute")),
            ("tpm_limit", "tokens", Some("minute")),
            ("max_parallel_requests", "concurrent", None),
        ] {
            match whole(name) {
                // Whole numbers below 2^53 stay what they are.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1")]
                Some(amount) => limits.push(per.map_or_else(
                    || json!({ unit: amount as u64 }),
                    |per| json!({ unit: amount as u64, "per": per }),
                )),
                None => without.extend(self.text(name).map(|value| format!("{name} {value}"))),
            }
        }
        if let Some(budget) = self.text("max_budget") {
            let duration = self.text("budget_duration");
            let per = duration.as_deref().and_then(period);
            let usd = budget.parse::<f64>().ok().filter(|usd| *usd > 0.0);
            if let Some((usd, per)) = usd.zip(per) {
                limits.push(json!({ "usd": usd, "per": per }));
            } else {
                let duration = duration.map_or("for ever".to_owned(), |duration| format!("in {duration}"));
                without.push(format!("max_budget {budget} {duration}"));
            }
        }
        let is_set =
            |name: &&&str| matches!(self.0.get(**name), Some(Value::Object(members)) if !members.is_empty());
        let others = NOT_IMPORTED.iter().filter(|name| self.text(name).is_some() || is_set(name));
        without.extend(others.map(|name| (*name).to_owned()));
        (limits, without)
    }

    fn key(&self, clients: &ClientChoice, limits: Vec<Value>) -> Result<Value, &'static str> {
        let token = self.text("token").ok_or("it has no token")?;
        let hash = match KeyHash::parse(&token) {
            Some(hash) => hash,
            // The key itself stays on this machine.
            None if token.starts_with("sk-") => KeyHash::of(&token),
            None => return Err("its token is neither a SHA-256 nor a key"),
        };
        if self
            .text("blocked")
            .is_some_and(|blocked| ["true", "t", "1"].contains(&blocked.to_lowercase().as_str()))
        {
            return Err("it is blocked");
        }
        let of_team = self.text("team_id").and_then(|team| clients.of_team.get(&team));
        let client = of_team.or(clients.usual.as_ref()).ok_or("no client is named for it")?;
        let expires = match self.text("expires") {
            None => None,
            Some(text) => Some(end(&text).ok_or("its `expires` is no time")?),
        };
        let models = self.models();
        if models.iter().any(|model| model == "no-default-models") {
            return Err("it may use no model");
        }
        let is_narrowed =
            !models.is_empty() && !models.iter().any(|model| ALL_MODELS.contains(&model.as_str()));
        let owner = self.text("user_email").or_else(|| self.text("user_id")).or_else(|| self.text("team_id"));
        Ok(json!({
            "hash": hash.hex(),
            "prefix": self.text("key_name"),
            "client": client,
            "name": cut(&self.name()),
            "owner": owner.as_deref().map(cut),
            "models": is_narrowed.then_some(models),
            "limits": (!limits.is_empty()).then_some(limits),
            "expires": expires,
        }))
    }

    /// A list of JSON, an array of Postgres (`{a,b}`), or names with commas.
    fn models(&self) -> Vec<String> {
        let list = match self.0.get("models") {
            Some(Value::Array(list)) => list.clone(),
            Some(Value::String(text)) => {
                let names = text.trim().trim_matches(['{', '}']).split(',');
                let names = names.map(|name| Value::from(name.trim().trim_matches('"')));
                serde_json::from_str(text).unwrap_or_else(|_| names.collect())
            }
            _ => Vec::new(),
        };
        let names = list.iter().filter_map(Value::as_str).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(128).collect()
}

/// The time of a budget (`30s`, `24h`, `30d`, `1mo`) as that of a limit, if there is one: a month
/// is one of the calendar, and so is a day.
fn period(duration: &str) -> Option<&'static str> {
    let digits = duration.len() - duration.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (count, unit) = duration.split_at_checked(digits)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "mo" => MONTH_SECONDS,
        _ => return None,
    };
    match count.parse::<u64>().ok()?.checked_mul(seconds)? {
        60 => Some("minute"),
        3_600 => Some("hour"),
        86_400 => Some("day"),
        // 28 to 31 days.
        2_419_200..=MONTH_SECONDS => Some("month"),
        _ => None,
    }
}

/// A time as LiteLLM writes it, which may have no zone: then it is UTC.
fn end(text: &str) -> Option<String> {
    [text.to_owned(), format!("{text}Z"), format!("{text}:00")]
        .into_iter()
        .find(|text| parse_end(text).is_some())
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "tests")]
mod tests {
    use super::*;

    const HASH: &str = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b";

    fn app() -> ClientChoice {
        let of_team = BTreeMap::from([("t1".to_owned(), "web".to_owned())]);
        ClientChoice { usual: Some("app".to_owned()), of_team }
    }

    fn one(text: &str) -> Value {
        let read = read(text, &app()).unwrap();
        assert_eq!((read.keys.len(), &read.left_out), (1, &Vec::<String>::new()), "{text}");
        read.keys[0].clone()
    }

    #[test]
    fn each_form_of_a_list_is_read() {
        let full = format!(
            r#"{{"token":"{HASH}","key_name":"sk-...1234","key_alias":"ci","user_id":"ada","team_id":"t1",
                "models":["gpt-4o"],"expires":"2027-01-31T18:00:00+00:00","spend":1.5,"blocked":null}}"#
        );
        let expected = json!({
            "hash": HASH, "prefix": "sk-...1234", "client": "web", "name": "ci", "owner": "ada",
            "models": ["gpt-4o"], "limits": null, "expires": "2027-01-31T18:00:00+00:00",
        });
        let info = format!(r#"{{"key":"{HASH}","info":{}}}"#, full.replace("\"token\"", "\"other\""));
        for text in
            [full.clone(), format!("[{full}]"), format!(r#"{{"keys":[{full}],"total_count":1}}"#), info]
        {
            assert_eq!(one(&text), expected, "{text}");
        }
        let csv = format!(
            "token,key_alias,key_name,models,expires,user_id,team_id,blocked\r\n{HASH},ci,sk-...1234,\"{{gpt-4o}}\",\
             2027-01-31T18:00:00+00:00,ada,t1,\r\n"
        );
        assert_eq!(one(&csv), expected);
        let token = one(&format!(r#"{{"keys":["{HASH}"]}}"#));
        assert_eq!((&token["name"], &token["client"]), (&json!(&HASH[..12]), &json!("app")));
    }

    #[test]
    fn values_are_taken_as_litellm_writes_them() {
        let models =
            |models: &str| one(&format!(r#"[{{"token":"{HASH}","models":{models}}}]"#))["models"].clone();
        for (written, expected) in [
            ("[]", json!(null)),
            ("null", json!(null)),
            (r#"["all-proxy-models"]"#, json!(null)),
            (r#"["a","all-team-models"]"#, json!(null)),
            (r#""{}""#, json!(null)),
            (r#""[\"a\", \"b\"]""#, json!(["a", "b"])),
            (r#""{a,\"b c\"}""#, json!(["a", "b c"])),
            (r#"["openai/*"]"#, json!(["openai/*"])),
        ] {
            assert_eq!(models(written), expected, "{written}");
        }
        for (written, expected) in [
            ("2027-01-31 18:00:00.123", "2027-01-31 18:00:00.123Z"),
            ("2027-01-31 18:00:00+00", "2027-01-31 18:00:00+00:00"),
            ("2027-01-31", "2027-01-31"),
        ] {
            let key = one(&format!("token,expires\n{HASH},{written}"));
            assert_eq!(key["expires"], expected);
        }
        let quoted = one(&format!("key_alias,token\n\"a \"\"b\"\",\nc\",{HASH}\n\n"));
        assert_eq!(quoted["name"], "a \"b\",c");
    }

    #[test]
    fn budgets_and_limits_become_limits_of_the_key() {
        for (written, limits, without) in [
            (
                r#""rpm_limit":60,"tpm_limit":"1000.0","max_parallel_requests":4"#,
                json!([{ "requests": 60, "per": "minute" }, { "tokens": 1000, "per": "minute" }, { "concurrent": 4 }]),
                &[][..],
            ),
            (r#""max_budget":12.5,"budget_duration":"30d""#, json!([{ "usd": 12.5, "per": "month" }]), &[]),
            (r#""max_budget":1,"budget_duration":"24h""#, json!([{ "usd": 1.0, "per": "day" }]), &[]),
            (r#""max_budget":1,"budget_duration":"1mo""#, json!([{ "usd": 1.0, "per": "month" }]), &[]),
            (r#""max_budget":1,"budget_duration":"60m""#, json!([{ "usd": 1.0, "per": "hour" }]), &[]),
            (r#""max_budget":10,"budget_duration":"7d""#, json!(null), &["ci: max_budget 10 in 7d"]),
            (r#""max_budget":10"#, json!(null), &["ci: max_budget 10 for ever"]),
            (
                r#""max_budget":0,"rpm_limit":0"#,
                json!(null),
                &["ci: rpm_limit 0", "ci: max_budget 0 for ever"],
            ),
            (r#""max_budget":null,"budget_duration":"1d","model_max_budget":{}"#, json!(null), &[]),
            (r#""model_max_budget":{"gpt-4o":{}}"#, json!(null), &["ci: model_max_budget"]),
        ] {
            let read =
                read(&format!(r#"[{{"token":"{HASH}","key_alias":"ci",{written}}}]"#), &app()).unwrap();
            assert_eq!(
                (&read.keys[0]["limits"], &read.without[..]),
                (&limits, &without.iter().map(|why| (*why).to_owned()).collect::<Vec<_>>()[..]),
                "{written}"
            );
        }
        for duration in ["", "d", "1", "1y", "mo", "99999999999999999999d", "é"] {
            assert_eq!(period(duration), None, "{duration}");
        }
    }

    #[test]
    fn a_key_itself_is_hashed_and_goes_nowhere() {
        let key = one(r#"[{"token":"sk-1234"}]"#);
        assert_eq!((&key["hash"], &key["name"]), (&json!(HASH), &json!("a key without a name")));
        assert!(!key.to_string().contains("sk-1234"));
    }

    #[test]
    fn what_cannot_be_imported_is_left_out_with_its_reason() {
        let row = |more: &str| format!(r#"[{{"token":"{HASH}","key_alias":"ci"{more}}}]"#);
        for (text, expected) in [
            (row(r#","blocked":true"#), "ci: it is blocked"),
            (row(r#","blocked":"t""#), "ci: it is blocked"),
            (row(r#","expires":"soon""#), "ci: its `expires` is no time"),
            (row(r#","models":["no-default-models"]"#), "ci: it may use no model"),
            (row("").replace(HASH, "abc"), "ci: its token is neither a SHA-256 nor a key"),
        ] {
            assert_eq!(read(&text, &app()).unwrap().left_out, [expected]);
        }
        let nobody = read(&row(""), &ClientChoice::default()).unwrap();
        assert_eq!(nobody.left_out, ["ci: no client is named for it"]);
        for text in ["", "{}", "[1]", "a,b\n1,2", "{\"keys\":[]}", "{"] {
            assert!(read(text, &app()).is_err(), "{text}");
        }
    }
}
