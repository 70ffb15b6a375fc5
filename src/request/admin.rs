//! The paths of the admin API.

use super::percent::decode;

/// What is asked of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `GET api/routes`
    Routes,
    /// `GET api/health`
    Health,
    /// `POST api/deployments/{name}/drain`
    Drain(String),
    /// `POST api/deployments/{name}/enable`
    Enable(String),
    /// `POST api/deployments/{name}/reset`
    Reset(String),
    /// `POST api/deployments/reset`
    ResetAll,
}

impl Path {
    /// The method that it takes.
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Routes | Self::Health => "GET",
            Self::Drain(_) | Self::Enable(_) | Self::Reset(_) | Self::ResetAll => "POST",
        }
    }
}

/// What stands behind `/admin/`; `None` where nothing does. The name of a deployment may hold any character, percent-encoded.
pub fn parse(path: &str) -> Option<Path> {
    match path {
        "api/routes" => return Some(Path::Routes),
        "api/health" => return Some(Path::Health),
        "api/deployments/reset" => return Some(Path::ResetAll),
        _ => {}
    }
    let (name, action) = path.strip_prefix("api/deployments/")?.rsplit_once('/')?;
    let name = decode(name);
    match action {
        _ if name.is_empty() => None,
        "drain" => Some(Path::Drain(name)),
        "enable" => Some(Path::Enable(name)),
        "reset" => Some(Path::Reset(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_meaning_and_method() {
        let owned = str::to_owned;
        for (path, expected, method) in [
            ("api/routes", Some(Path::Routes), "GET"),
            ("api/health", Some(Path::Health), "GET"),
            ("api/deployments/reset", Some(Path::ResetAll), "POST"),
            ("api/deployments/azure-eastus/drain", Some(Path::Drain(owned("azure-eastus"))), "POST"),
            ("api/deployments/azure-eastus/enable", Some(Path::Enable(owned("azure-eastus"))), "POST"),
            ("api/deployments/azure-eastus/reset", Some(Path::Reset(owned("azure-eastus"))), "POST"),
            // A deployment may be called so.
            ("api/deployments/reset/reset", Some(Path::Reset(owned("reset"))), "POST"),
            ("api/deployments/a%20b%2Fc/drain", Some(Path::Drain(owned("a b/c"))), "POST"),
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
