//! The paths of the admin API.

use serde::{Deserialize, Serialize};

use super::percent::decode;

/// What is asked of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `GET api/routes`
    Routes,
    /// `GET api/health`
    Health,
    /// `POST api/deployments/{name}/{switch}`; without a name `POST api/deployments/reset`, for all.
    Switch(Switch, Option<String>),
}

/// What can be done with a deployment by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Take all traffic away.
    Drain,
    /// Let it have traffic again.
    Enable,
    /// Forget what was learned about it.
    Reset,
}

impl Switch {
    /// The one that a path names.
    fn parse(name: &str) -> Option<Self> {
        match name {
            "drain" => Some(Self::Drain),
            "enable" => Some(Self::Enable),
            "reset" => Some(Self::Reset),
            _ => None,
        }
    }
}

impl Path {
    /// The method that it takes.
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Routes | Self::Health => "GET",
            Self::Switch(..) => "POST",
        }
    }
}

/// What stands behind `/admin/`; `None` where nothing does. The name of a deployment may hold any character, percent-encoded.
pub fn parse(path: &str) -> Option<Path> {
    match path {
        "api/routes" => return Some(Path::Routes),
        "api/health" => return Some(Path::Health),
        "api/deployments/reset" => return Some(Path::Switch(Switch::Reset, None)),
        _ => {}
    }
    let (name, switch) = path.strip_prefix("api/deployments/")?.rsplit_once('/')?;
    let name = Some(decode(name).into_owned()).filter(|name| !name.is_empty())?;
    Some(Path::Switch(Switch::parse(switch)?, Some(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Switch::{Drain, Enable, Reset};

    #[test]
    fn each_path_has_its_meaning_and_method() {
        let owned = |name: &str| Some(name.to_owned());
        for (path, expected, method) in [
            ("api/routes", Some(Path::Routes), "GET"),
            ("api/health", Some(Path::Health), "GET"),
            ("api/deployments/reset", Some(Path::Switch(Reset, None)), "POST"),
            ("api/deployments/azure-eastus/drain", Some(Path::Switch(Drain, owned("azure-eastus"))), "POST"),
            (
                "api/deployments/azure-eastus/enable",
                Some(Path::Switch(Enable, owned("azure-eastus"))),
                "POST",
            ),
            ("api/deployments/azure-eastus/reset", Some(Path::Switch(Reset, owned("azure-eastus"))), "POST"),
            // A deployment may be called so.
            ("api/deployments/reset/reset", Some(Path::Switch(Reset, owned("reset"))), "POST"),
            ("api/deployments/a%20b%2Fc/drain", Some(Path::Switch(Drain, owned("a b/c"))), "POST"),
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
