//! What the admin API says about versions of the routes document, and its presentation.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use switchyard::routes::Issue;
use switchyard::vocabulary::time::Instant;

use crate::difference_text::{counted_changes, difference_text};
use crate::gateway_client::GatewayClient;
use crate::gateway_error::GatewayError;
use crate::output::{Progress, printable, table};

/// The document that serves.
pub struct CurrentDocument {
    /// Its text.
    pub text: String,
    /// Its version.
    pub version: String,
}

impl CurrentDocument {
    /// Asks a gateway for it.
    ///
    /// # Errors
    /// The gateway cannot be asked.
    pub fn of(gateway: &GatewayClient) -> Result<Self, GatewayError> {
        let _progress = Progress::of("Fetching the current document");
        let answer = gateway.get("/admin/api/routes/document", &[])?.accepted()?;
        let version = answer.etag().unwrap_or_default().to_owned();
        Ok(Self { text: answer.body, version })
    }
}

/// A version as the history lists it.
#[derive(Debug, Deserialize)]
pub struct ListedVersion {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub version: String,
    /// Who made it.
    pub who: String,
    /// The reason, if one was given.
    pub why: Option<String>,
    /// How it was made.
    pub how: String,
    /// When it was recorded.
    pub at: Instant,
    /// How many places it changed.
    pub changes: usize,
    /// When another one replaced it.
    pub replaced_at: Option<Instant>,
}

#[derive(Deserialize)]
struct VersionList {
    versions: Vec<ListedVersion>,
}

/// All versions that are kept, latest first.
///
/// # Errors
/// The gateway cannot be asked.
pub fn listed_versions(gateway: &GatewayClient) -> Result<Vec<ListedVersion>, GatewayError> {
    let answer = gateway.get("/admin/api/routes/history", &[])?.accepted()?;
    Ok(answer.json::<VersionList>()?.versions)
}

/// The version that an argument means: its name, or its number in the history.
///
/// # Errors
/// No version has this number, or the gateway cannot be asked.
pub fn named_version(gateway: &GatewayClient, argument: &str) -> Result<String, GatewayError> {
    // Names have twelve digits, numbers have fewer.
    let Some(number) = argument.parse::<u64>().ok().filter(|_| argument.len() < 12) else {
        return Ok(argument.to_owned());
    };
    let found = listed_versions(gateway)?.into_iter().find(|listed| listed.number == number);
    found.map(|listed| listed.version).ok_or_else(|| {
        let message = format!("No version with the number {number} is kept.");
        GatewayError::of_status(404, "version_not_found", message, "`switchyard history` lists the versions.")
    })
}

/// The history as a table.
pub fn history_text(versions: &[ListedVersion], is_coloured: bool) -> String {
    let row = |listed: &ListedVersion| {
        vec![
            listed.number.to_string(),
            listed.version.clone(),
            listed.at.utc().to_string(),
            listed.who.clone(),
            listed.how.clone(),
            listed.changes.to_string(),
            listed.why.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = versions.iter().map(row).collect();
    let heads = ["number", "version", "recorded", "who", "how", "changes", "why"];
    let is_current =
        |row: usize, _: usize| versions.get(row).filter(|listed| listed.replaced_at.is_none()).map(|_| "32");
    table(&heads, &rows, is_current, is_coloured)
}

/// A version of the history, with what it changed.
pub fn version_text(listed: &ListedVersion, difference: &Value, is_coloured: bool) -> String {
    let ListedVersion { number, version, who, how, at, .. } = listed;
    let mut text = printable(&format!("version {version}, number {number}, {how} by {who} at {}", at.utc()));
    if let Some(at) = listed.replaced_at {
        let _ = write!(text, ", replaced at {}", at.utc());
    }
    text.push('\n');
    if let Some(why) = &listed.why {
        let _ = writeln!(text, "why: {}", printable(why));
    }
    let _ = writeln!(text, "{}\n{}", counted_changes(difference), difference_text(difference, is_coloured));
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The answer to a change.
#[derive(Debug, Deserialize)]
pub struct ChangeAnswer {
    /// The version that serves now.
    pub version: String,
    /// Its number.
    pub number: Option<u64>,
    /// Whether it is another one than before.
    pub is_changed: bool,
    /// Whether the registry has it.
    pub is_recorded: bool,
    /// How long other isolates may serve the old one.
    pub others_follow_within_seconds: u64,
    /// What is doubtful with the variables of the gateway.
    pub warnings: Vec<FoundIssue>,
    /// What it changed.
    pub difference: Option<Value>,
}

impl ChangeAnswer {
    /// What became of the change, in a few lines.
    pub fn text(&self) -> String {
        let Self { version, others_follow_within_seconds: seconds, .. } = self;
        let number = self.number.map(|number| format!(", number {number},")).unwrap_or_default();
        if !self.is_changed {
            return format!("Version {version} served already. Nothing was changed.\n");
        }
        let mut text =
            format!("Version {version}{number} serves. Other isolates follow within {seconds} seconds.\n");
        if !self.is_recorded {
            text.push_str(
                "The registry did not answer. The version gets into the history when an isolate loads it.\n",
            );
        }
        text
    }
}

/// An issue that a gateway found.
#[derive(Debug, Clone, Deserialize)]
pub struct FoundIssue {
    code: Option<String>,
    path: String,
    found: String,
    expected: String,
    nearest: Option<String>,
    note: Option<String>,
}

impl FoundIssue {
    /// The issue, as if it were found here.
    pub fn into_issue(self) -> Issue {
        let Self { code, path, found, expected, nearest, note } = self;
        // A command ends soon, and there are few codes.
        Issue { code: code.map(|code| &*code.leak()), path, found, expected, nearest, note }
    }
}

/// The issues of a document that a gateway refused.
#[derive(Deserialize)]
pub struct RefusedDocument {
    /// All of them.
    pub issues: Vec<FoundIssue>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn versions() -> Vec<ListedVersion> {
        serde_json::from_value(json!([
            { "number": 2, "version": "a07b5512fe90", "who": "admin", "why": "Sweden", "how": "put",
              "at": 1_767_225_660_000_u64, "changes": 1, "replaced_at": null },
            { "number": 1, "version": "3f2a90c1d4e5", "who": "unknown", "why": null, "how": "found",
              "at": 1_767_225_600_000_u64, "changes": 0, "replaced_at": 1_767_225_660_000_u64 },
        ]))
        .unwrap()
    }

    #[test]
    fn the_history_is_a_table_with_the_current_version_in_green() {
        assert_eq!(
            history_text(&versions(), false),
            "number  version       recorded              who      how    changes  why\n\
             2       a07b5512fe90  2026-01-01T00:01:00Z  admin    put    1        Sweden\n\
             1       3f2a90c1d4e5  2026-01-01T00:00:00Z  unknown  found  0\n"
        );
        let painted = history_text(&versions(), true);
        assert!(painted.contains("\u{1b}[32ma07b5512fe90\u{1b}[0m"), "{painted:?}");
        assert!(!painted.contains("\u{1b}[32m3f2a90c1d4e5"), "{painted:?}");
    }

    #[test]
    fn a_version_is_reported_with_who_when_why_and_its_changes() {
        let difference = json!({ "more": 0, "changes": [{ "path": "a.b", "old": 1, "new": 2 }] });
        let versions = versions();
        assert_eq!(
            version_text(&versions[0], &difference, false),
            "version a07b5512fe90, number 2, put by admin at 2026-01-01T00:01:00Z\nwhy: Sweden\n1 change\na.b\n  \
             - 1\n  + 2\n"
        );
        assert_eq!(
            version_text(&versions[1], &json!({}), false),
            "version 3f2a90c1d4e5, number 1, found by unknown at 2026-01-01T00:00:00Z, replaced at \
             2026-01-01T00:01:00Z\n0 changes\n"
        );
    }

    #[test]
    fn the_end_of_a_change_says_what_serves_and_what_is_missing() {
        let answer = |is_changed: bool, is_recorded: bool| {
            serde_json::from_value::<ChangeAnswer>(json!({
                "version": "a07b5512fe90", "number": if is_recorded { json!(12) } else { json!(null) },
                "is_changed": is_changed, "is_recorded": is_recorded, "others_follow_within_seconds": 90,
                "warnings": [], "difference": null,
            }))
            .unwrap()
            .text()
        };
        let done = "Version a07b5512fe90, number 12, serves. Other isolates follow within 90 seconds.\n";
        assert_eq!(answer(true, true), done);
        assert!(answer(true, false).starts_with("Version a07b5512fe90 serves."));
        assert!(answer(true, false).contains("The registry did not answer."));
        assert_eq!(answer(false, true), "Version a07b5512fe90 served already. Nothing was changed.\n");
    }
}
