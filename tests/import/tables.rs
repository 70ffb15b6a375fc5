//! Reads the tables beside the configurations in `files/`. `files/README.md` explains them.

use std::collections::BTreeMap;

use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::needs::{Feature, Features, Needs};
use switchyard::vocabulary::time::Millis;

use super::times::ms;

/// One row of a table.
pub struct Case {
    /// Its line in the file, from 1.
    pub number: usize,
    /// The row as it is written.
    pub line: String,
    pub model: String,
    pub is_streamed: bool,
    pub headers: BTreeMap<String, String>,
    pub tokens: u64,
    pub needs: Needs,
    /// How many such requests are sent; the last one counts.
    pub count: u32,
    /// The time between them.
    pub pause_ms: u64,
    states: Vec<(String, State, bool)>,
    pub expected: Expected,
    /// Keys of which the report has to say that they differ.
    pub differs: Vec<String>,
}

/// What a deployment does.
#[derive(Debug, Clone, Copy)]
pub enum State {
    Serves,
    /// It fails, and says when to come back.
    Fails(ErrorClass, Option<Millis>),
    /// It serves after this time.
    Takes(Millis),
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Served,
    /// The last failure is of this class.
    Fails(ErrorClass),
    /// The deadline has passed.
    Late,
    /// No deployment can serve it.
    Nobody,
    /// There is no such model.
    Unknown,
}

/// What should happen.
pub enum Expected {
    /// These deployments are tried.
    Tried(Order, End),
    /// Percent of the requests that go to each of these first.
    Shares(Vec<(String, u32)>),
}

/// Deployments in their order. Those of one group may come in any order.
pub struct Order(Vec<Vec<String>>);

impl Order {
    pub fn fits(&self, tried: &[String]) -> bool {
        let mut rest = tried;
        for group in &self.0 {
            let Some((now, later)) = rest.split_at_checked(group.len()) else { return false };
            let mut now = now.to_vec();
            now.sort();
            if now != *group && *group != ["*"] {
                return false;
            }
            rest = later;
        }
        rest.is_empty()
    }
}

impl Case {
    /// What a deployment does when it is asked once more.
    pub fn state_of(&self, name: &str, asked_before: usize) -> State {
        let is = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => pattern == name,
        };
        let found = self.states.iter().find(|(pattern, ..)| is(pattern));
        match found {
            Some((_, _, true)) if asked_before > 0 => State::Serves,
            Some((_, state, _)) => *state,
            None => State::Serves,
        }
    }
}

/// The arguments of the import that a table names.
pub fn arguments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("arguments: ")).flat_map(str::split_whitespace).collect()
}

/// The cases of a table.
///
/// # Errors
/// The line that is not understood.
pub fn table(text: &str) -> Result<Vec<Case>, String> {
    let is_case =
        |line: &str| !line.trim().is_empty() && !line.starts_with('#') && !line.starts_with("arguments: ");
    let rows = text.lines().enumerate().filter(|(_, line)| is_case(line));
    rows.map(|(index, line)| case(line, index + 1).map_err(|why| format!("{}: {why}", index + 1))).collect()
}

fn case(line: &str, number: usize) -> Result<Case, String> {
    let columns: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [request, states, expected, differs @ ..] = columns.as_slice() else {
        return Err("three columns are expected".to_owned());
    };
    let mut words = request.split_whitespace();
    let mut case = Case {
        number,
        line: line.to_owned(),
        model: words.next().unwrap_or_default().to_owned(),
        is_streamed: false,
        headers: BTreeMap::new(),
        tokens: 100,
        needs: Needs::default(),
        count: 1,
        pause_ms: 100,
        states: Vec::new(),
        expected: expectation(expected)?,
        differs: Vec::new(),
    };
    let mut features = Features::default();
    for word in words {
        match word.split_once('=') {
            None if word == "stream" => case.is_streamed = true,
            None => match Feature::ALL.into_iter().find(|feature| feature.name() == word) {
                Some(feature) => features = features.with(feature),
                None => return Err(format!("`{word}` is not known")),
            },
            Some(("tokens", count)) => {
                case.tokens = count.parse().map_err(|_| "tokens")?;
                case.needs.context_tokens = case.tokens;
            }
            Some(("requests", count)) => case.count = count.parse().map_err(|_| "requests")?,
            Some(("pause", pause)) => case.pause_ms = time(pause).ok_or("pause")?,
            Some((header, value)) => drop(case.headers.insert(header.to_owned(), value.to_owned())),
        }
    }
    case.needs.features = features;
    for state in states.split(',').map(str::trim).filter(|state| *state != "-") {
        let (pattern, does) = state.split_once(": ").ok_or_else(|| format!("`{state}` is not a state"))?;
        let (does, is_once) = does.strip_suffix(" once").map_or((does, false), |does| (does, true));
        let (class, hint) = does.split_once(" after ").unwrap_or((does, ""));
        let does = match (ErrorClass::parse(class), time(does)) {
            (Some(class), _) => State::Fails(class, time(hint).map(ms)),
            (None, Some(time)) => State::Takes(ms(time)),
            (None, None) => return Err(format!("`{does}` is neither a class nor a time")),
        };
        case.states.push((pattern.to_owned(), does, is_once));
    }
    for differs in differs {
        let (keys, why) = differs
            .strip_prefix("differs ")
            .and_then(|rest| rest.split_once(": "))
            .ok_or("`differs KEY: WHY` is expected")?;
        if why.len() < 10 {
            return Err("the reason is missing".to_owned());
        }
        case.differs.extend(keys.split(", ").map(str::to_owned));
    }
    Ok(case)
}

fn expectation(text: &str) -> Result<Expected, String> {
    if let Some(shares) = text.strip_prefix("shares ") {
        let words: Vec<&str> = shares.split_whitespace().collect();
        let pairs = words.chunks(2).map(|pair| match pair {
            [name, percent] => {
                let percent = percent.strip_suffix('%').and_then(|percent| percent.parse().ok());
                Ok(((*name).to_owned(), percent.ok_or("a share in percent is expected")?))
            }
            _ => Err("pairs of a name and a share are expected".to_owned()),
        });
        return Ok(Expected::Shares(pairs.collect::<Result<_, String>>()?));
    }
    let (tried, end) = text.split_once("=>").map_or((text, "served"), |(tried, end)| (tried, end.trim()));
    let end = match end {
        "served" => End::Served,
        "late" => End::Late,
        "nobody" => End::Nobody,
        "unknown model" => End::Unknown,
        class => End::Fails(ErrorClass::parse(class).ok_or_else(|| format!("`{class}` is not an end"))?),
    };
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut is_open = false;
    for word in tried.split_whitespace() {
        let starts = word.starts_with('{');
        let name = word.trim_matches(['{', '}']).to_owned();
        match groups.last_mut().filter(|_| is_open) {
            Some(group) => group.push(name),
            None => groups.push(vec![name]),
        }
        is_open = (is_open || starts) && !word.ends_with('}');
    }
    for group in &mut groups {
        group.sort();
    }
    Ok(Expected::Tried(Order(groups), end))
}

/// `20s` or `500ms` in milliseconds.
fn time(text: &str) -> Option<u64> {
    match text.strip_suffix("ms") {
        Some(ms) => ms.parse().ok(),
        None => text.strip_suffix('s')?.parse().ok().map(|seconds: u64| seconds * 1000),
    }
}
