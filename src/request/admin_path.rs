//! The paths of the admin API.

use super::api_path::GET;
use super::percent::decode;
use crate::vocabulary::switch::Switch;

/// A call of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminPath {
    /// `GET api/routes`, `PUT api/routes`
    Routes,
    /// `GET api/routes/document`
    Document,
    /// `GET api/routes/history`
    History,
    /// `GET api/routes/history/{version}`
    Version(String),
    /// `POST api/routes/check`
    Check,
    /// `POST api/routes/rollback`
    Rollback,
    /// `POST api/routes/canary`
    Canary,
    /// `GET api/keys`, `POST api/keys`
    Keys,
    /// `POST api/keys/import`
    KeyImport,
    /// `GET api/keys/{id}`, `DELETE api/keys/{id}`
    Key(String),
    /// `POST api/keys/{id}/rotate`
    KeyRotation(String),
    /// `GET api/audit`
    Audit,
    /// `GET api/health`
    Health,
    /// `GET metrics`
    Metrics,
    /// `GET api/usage`
    Usage,
    /// `GET api/usage/days`
    UsageDays,
    /// `POST api/explain`
    Explain,
    /// `GET api/requests/{id}`. `GET api/requests` has no id: all records.
    Requests(Option<String>),
    /// `GET api/faults`, `POST api/faults`, `DELETE api/faults`; with a name `DELETE
    /// api/faults/{name}`
    Faults(Option<String>),
    /// `POST api/deployments/{name}/ask`
    Ask(String),
    /// `POST api/deployments/{name}/{switch}`. `POST api/deployments/reset` has no name and resets
    /// all deployments.
    Switch(Switch, Option<String>),
}

impl AdminPath {
    /// The methods that the path accepts, as the value of an `allow` header.
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Routes => "GET, HEAD, PUT",
            Self::Document
            | Self::History
            | Self::Version(_)
            | Self::Audit
            | Self::Health
            | Self::Metrics
            | Self::Usage
            | Self::UsageDays
            | Self::Requests(_) => GET,
            Self::Faults(None) => "GET, HEAD, POST, DELETE",
            Self::Faults(Some(_)) => "DELETE",
            Self::Keys => "GET, HEAD, POST",
            Self::Key(_) => "GET, HEAD, DELETE",
            Self::Explain
            | Self::Check
            | Self::Rollback
            | Self::Canary
            | Self::KeyImport
            | Self::KeyRotation(_)
            | Self::Ask(_)
            | Self::Switch(..) => "POST",
        }
    }

    /// Whether a request with this method needs more than the right to look.
    ///
    /// A check changes nothing. But what it says about a document of the caller depends on the
    /// values of variables: whose document has `${ADMIN_TOKEN}` as the name of a target could guess
    /// that value by the names that are suggested.
    pub fn needs_admin(&self, method: &str) -> bool {
        self.act(method).is_some() || *self == Self::Check
    }

    /// The name of what a request with this method changes; `None` if it only looks.
    pub fn act(&self, method: &str) -> Option<&'static str> {
        match self {
            Self::Routes => (method == "PUT").then_some("routes.put"),
            Self::Rollback => Some("routes.rollback"),
            Self::Canary => Some("routes.canary.end"),
            Self::Switch(Switch::Drain, _) => Some("deployment.drain"),
            Self::Switch(Switch::Enable, _) => Some("deployment.enable"),
            Self::Switch(Switch::Reset, _) => Some("deployment.reset"),
            Self::Ask(_) => Some("deployment.ask"),
            Self::Keys => (method == "POST").then_some("key.issue"),
            Self::Key(_) => (method == "DELETE").then_some("key.revoke"),
            Self::KeyImport => Some("key.import"),
            Self::KeyRotation(_) => Some("key.rotate"),
            Self::Faults(_) if method == "POST" => Some("fault.start"),
            Self::Faults(_) if method == "DELETE" => Some("fault.end"),
            _ => None,
        }
    }
}

/// Whether a path is the admin API, or a part of it.
pub fn is_admin(path: &str) -> bool {
    path.strip_prefix("/admin").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Parses the path below `/admin/`; `None` if nothing has that path. The name of a deployment may
/// contain any character, percent-encoded.
pub fn parse(path: &str) -> Option<AdminPath> {
    match path {
        "api/routes" => return Some(AdminPath::Routes),
        "api/routes/document" => return Some(AdminPath::Document),
        "api/routes/history" => return Some(AdminPath::History),
        "api/routes/check" => return Some(AdminPath::Check),
        "api/routes/rollback" => return Some(AdminPath::Rollback),
        "api/routes/canary" => return Some(AdminPath::Canary),
        "api/audit" => return Some(AdminPath::Audit),
        "api/health" => return Some(AdminPath::Health),
        "metrics" => return Some(AdminPath::Metrics),
        "api/usage" => return Some(AdminPath::Usage),
        "api/usage/days" => return Some(AdminPath::UsageDays),
        "api/explain" => return Some(AdminPath::Explain),
        "api/keys" => return Some(AdminPath::Keys),
        "api/keys/import" => return Some(AdminPath::KeyImport),
        "api/faults" => return Some(AdminPath::Faults(None)),
        "api/requests" => return Some(AdminPath::Requests(None)),
        "api/deployments/reset" => return Some(AdminPath::Switch(Switch::Reset, None)),
        _ => {}
    }
    let is_id =
        |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if let Some(id) = path.strip_prefix("api/keys/") {
        let (id, is_rotation) = id.strip_suffix("/rotate").map_or((id, false), |id| (id, true));
        let path = if is_rotation { AdminPath::KeyRotation } else { AdminPath::Key };
        let id = decode(id);
        return is_id(&id).then(|| path(id.into_owned()));
    }
    if let Some(id) = path.strip_prefix("api/requests/") {
        return is_id(id).then(|| AdminPath::Requests(Some(id.to_owned())));
    }
    if let Some(version) = path.strip_prefix("api/routes/history/") {
        let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return is_version.then(|| AdminPath::Version(version.to_owned()));
    }
    let named = |name: &str| Some(decode(name).into_owned()).filter(|name| !name.is_empty());
    if let Some(name) = path.strip_prefix("api/faults/") {
        return Some(AdminPath::Faults(Some(named(name)?)));
    }
    let (name, switch) = path.strip_prefix("api/deployments/")?.rsplit_once('/')?;
    if switch == "ask" {
        return Some(AdminPath::Ask(named(name)?));
    }
    Some(AdminPath::Switch(Switch::parse(switch)?, Some(named(name)?)))
}

#[cfg(test)]
mod description_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use Switch::{Drain, Enable, Reset};

    #[test]
    fn each_path_has_its_meaning_and_method() {
        let owned = |name: &str| Some(name.to_owned());
        for (path, expected, method) in [
            ("api/routes", Some(AdminPath::Routes), "GET, HEAD, PUT"),
            ("api/routes/document", Some(AdminPath::Document), "GET, HEAD"),
            ("api/routes/history", Some(AdminPath::History), "GET, HEAD"),
            ("api/routes/history/0a1b", Some(AdminPath::Version("0a1b".to_owned())), "GET, HEAD"),
            ("api/routes/history/", None, ""),
            ("api/routes/history/a%20b", None, ""),
            ("api/routes/check", Some(AdminPath::Check), "POST"),
            ("api/routes/rollback", Some(AdminPath::Rollback), "POST"),
            ("api/routes/canary", Some(AdminPath::Canary), "POST"),
            ("api/audit", Some(AdminPath::Audit), "GET, HEAD"),
            ("api/health", Some(AdminPath::Health), "GET, HEAD"),
            ("metrics", Some(AdminPath::Metrics), "GET, HEAD"),
            ("api/usage", Some(AdminPath::Usage), "GET, HEAD"),
            ("api/usage/days", Some(AdminPath::UsageDays), "GET, HEAD"),
            ("api/usage/", None, ""),
            ("api/metrics", None, ""),
            ("api/explain", Some(AdminPath::Explain), "POST"),
            ("api/requests", Some(AdminPath::Requests(None)), "GET, HEAD"),
            ("api/requests/req_1f", Some(AdminPath::Requests(owned("req_1f"))), "GET, HEAD"),
            ("api/requests/", None, ""),
            ("api/faults", Some(AdminPath::Faults(None)), "GET, HEAD, POST, DELETE"),
            ("api/keys", Some(AdminPath::Keys), "GET, HEAD, POST"),
            ("api/keys/import", Some(AdminPath::KeyImport), "POST"),
            ("api/keys/key_17", Some(AdminPath::Key("key_17".to_owned())), "GET, HEAD, DELETE"),
            ("api/keys/key_17/rotate", Some(AdminPath::KeyRotation("key_17".to_owned())), "POST"),
            ("api/keys/key%5F17", Some(AdminPath::Key("key_17".to_owned())), "GET, HEAD, DELETE"),
            ("api/keys/", None, ""),
            ("api/keys//rotate", None, ""),
            ("api/keys/a%20b", None, ""),
            ("api/keys/key_17/revoke", None, ""),
            ("api/faults/azure%2Feast", Some(AdminPath::Faults(owned("azure/east"))), "DELETE"),
            ("api/faults/", None, ""),
            ("api/deployments/a/fault", None, ""),
            ("api/requests/a%20b", None, ""),
            ("api/deployments/reset", Some(AdminPath::Switch(Reset, None)), "POST"),
            (
                "api/deployments/azure-eastus/drain",
                Some(AdminPath::Switch(Drain, owned("azure-eastus"))),
                "POST",
            ),
            (
                "api/deployments/azure-eastus/enable",
                Some(AdminPath::Switch(Enable, owned("azure-eastus"))),
                "POST",
            ),
            (
                "api/deployments/azure-eastus/reset",
                Some(AdminPath::Switch(Reset, owned("azure-eastus"))),
                "POST",
            ),
            // A deployment may have the name `reset`.
            ("api/deployments/reset/reset", Some(AdminPath::Switch(Reset, owned("reset"))), "POST"),
            ("api/deployments/a%20b%2Fc/drain", Some(AdminPath::Switch(Drain, owned("a b/c"))), "POST"),
            ("api/deployments/a%2Fb/ask", Some(AdminPath::Ask("a/b".to_owned())), "POST"),
            ("api/deployments//ask", None, ""),
            ("api/deployments/ask", None, ""),
            ("api/deployments//drain", None, ""),
            ("api/deployments/a/stop", None, ""),
            ("api/deployments/drain", None, ""),
            ("api/deployments", None, ""),
            ("", None, ""),
        ] {
            let found = parse(path);
            assert_eq!(found, expected, "{path}");
            assert_eq!(found.map_or("", |path| path.allow()), method, "{path}");
        }
    }
}
