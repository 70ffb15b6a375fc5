//! The header that asks for faults: `x-switchyard-fault: DEPLOYMENT=429, OTHER=hang`.

use std::rc::Rc;

use crate::routes::graph::{Deployment, nearest_deployment};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::fault::Fault;

/// The name of the header.
pub const FAULT: &str = "x-switchyard-fault";

/// The header with the admin token, beside the key of a client.
pub const ADMIN_TOKEN: &str = "x-switchyard-admin-token";

/// The fault of each deployment that the header names, by its id. Of a deployment that is named
/// twice, the first one counts.
///
/// # Errors
/// A part names a fault or a deployment that does not exist, or there is no part.
#[inline(never)]
pub fn parse(text: &str, deployments: &[Rc<Deployment>]) -> Result<Vec<(usize, Fault)>, ClientError> {
    let mut faults = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let (name, fault) = part.rsplit_once('=').unwrap_or((part, ""));
        let (name, fault) = (name.trim(), Fault::parse(fault.trim()));
        let deployment = deployments.iter().find(|deployment| deployment.name == name);
        let Some((deployment, fault)) = deployment.zip(fault) else {
            let nearest = if deployment.is_some() { None } else { nearest_deployment(name, deployments) };
            return Err(ClientError::InvalidFault { text: part.to_owned(), nearest });
        };
        faults.push((deployment.id, fault));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::compile;

    fn deployments() -> Vec<Rc<Deployment>> {
        let deployment = |name: &str| {
            format!(r#""{name}": {{"provider": "openai", "api_key": "${{KEY}}", "model": "gpt-4o"}}"#)
        };
        let names = ["azure-eastus", "openai", "a/b:c"].map(deployment);
        let document = format!(
            r#"{{"version": 1, "deployments": {{{}}}, "models": {{"m": {{"targets": ["openai"]}}}}}}"#,
            names.join(", ")
        );
        compile(&document, &|_| Some("sk".to_owned())).unwrap().graph.deployments
    }

    #[test]
    fn each_part_names_a_deployment_and_a_fault() {
        use Fault::{Cut, Hang, RateLimit, ServerError};
        let deployments = deployments();
        let id = |name: &str| deployments.iter().find(|found| found.name == name).unwrap().id;
        let (east, openai, odd) = (id("azure-eastus"), id("openai"), id("a/b:c"));
        for (text, expected) in [
            ("openai=429", vec![(openai, RateLimit)]),
            ("openai=500,azure-eastus=hang", vec![(openai, ServerError), (east, Hang)]),
            (" openai = cut , azure-eastus=429 ", vec![(openai, Cut), (east, RateLimit)]),
            ("a/b:c=cut", vec![(odd, Cut)]),
            ("openai=429,openai=500", vec![(openai, RateLimit), (openai, ServerError)]),
        ] {
            assert_eq!(parse(text, &deployments), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_does_not_exist_gets_the_nearest_that_does() {
        for (text, part, nearest) in [
            ("azure-eastsu=429", "azure-eastsu=429", Some("azure-eastus")),
            ("azure-eastsu=hung", "azure-eastsu=hung", Some("azure-eastus")),
            ("openai=503", "openai=503", None),
            ("openai", "openai", None),
            ("openai=429, somebody=cut", "somebody=cut", None),
            ("openai=429,", "", None),
            ("", "", None),
            ("=", "=", None),
        ] {
            let expected =
                ClientError::InvalidFault { text: part.to_owned(), nearest: nearest.map(str::to_owned) };
            assert_eq!(parse(text, &deployments()), Err(expected), "{text}");
        }
    }
}
