//! The description of the admin API (docs/admin-api.openapi.json) has what the code has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{AdminPath, parse};
use crate::vocabulary::client_error::tests::all;
use crate::vocabulary::error_class::ErrorClass;
use crate::vocabulary::operation::Operation;
use crate::vocabulary::switch::Switch;

fn description() -> Value {
    serde_json::from_str(include_str!("../../../docs/admin-api.openapi.json")).unwrap()
}

/// The path that follows in the list of all paths. A new one does not compile without its place
/// here.
fn next(path: &AdminPath) -> Option<AdminPath> {
    let name = || Some("x".to_owned());
    Some(match path {
        AdminPath::Routes => AdminPath::Document,
        AdminPath::Document => AdminPath::History,
        AdminPath::History => AdminPath::Version("x".to_owned()),
        AdminPath::Version(_) => AdminPath::Check,
        AdminPath::Check => AdminPath::Rollback,
        AdminPath::Rollback => AdminPath::Canary,
        AdminPath::Canary => AdminPath::Faults(None),
        AdminPath::Faults(None) => AdminPath::Faults(name()),
        AdminPath::Faults(Some(_)) => AdminPath::Keys,
        AdminPath::Keys => AdminPath::KeyImport,
        AdminPath::KeyImport => AdminPath::Key("x".to_owned()),
        AdminPath::Key(_) => AdminPath::KeyRotation("x".to_owned()),
        AdminPath::KeyRotation(_) => AdminPath::Audit,
        AdminPath::Audit => AdminPath::Health,
        AdminPath::Health => AdminPath::Metrics,
        AdminPath::Metrics => AdminPath::Usage,
        AdminPath::Usage => AdminPath::UsageDays,
        AdminPath::UsageDays => AdminPath::Explain,
        AdminPath::Explain => AdminPath::Requests(None),
        AdminPath::Requests(None) => AdminPath::Requests(name()),
        AdminPath::Requests(Some(_)) => AdminPath::Ask("x".to_owned()),
        AdminPath::Ask(_) => AdminPath::Switch(Switch::Drain, name()),
        AdminPath::Switch(Switch::Drain, _) => AdminPath::Switch(Switch::Enable, name()),
        AdminPath::Switch(Switch::Enable, _) => AdminPath::Switch(Switch::Reset, name()),
        AdminPath::Switch(Switch::Reset, Some(_)) => AdminPath::Switch(Switch::Reset, None),
        // Faults have paths of their own.
        AdminPath::Switch(Switch::Reset, None) | AdminPath::Switch(Switch::Fault, _) => return None,
    })
}

fn paths() -> Vec<AdminPath> {
    std::iter::successors(Some(AdminPath::Routes), next).collect()
}

/// The path that a template of the description stands for, with `x` for each parameter.
fn path_of(template: &str) -> AdminPath {
    let parts: Vec<_> =
        template.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
    let path = parts.join("/");
    parse(path.strip_prefix("/admin/").unwrap()).unwrap_or_else(|| panic!("no path is {template}"))
}

/// Each operation of the description: its path, its method and what is written about it.
fn operations(description: &Value) -> Vec<(AdminPath, String, &Value)> {
    let paths = description["paths"].as_object().unwrap();
    let of_path = |(template, methods)| {
        let (template, methods): (&String, &Value) = (template, methods);
        let path = path_of(template);
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, described)| (path.clone(), method.to_ascii_uppercase(), described))
    };
    paths.iter().flat_map(of_path).collect()
}

fn texts(list: &Value) -> BTreeSet<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn the_description_has_the_paths_and_methods_of_the_code() {
    let description = description();
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&description) {
        assert!(described.entry(format!("{path:?}")).or_default().insert(method));
    }
    let of_code = |path: AdminPath| {
        let methods = path.allow().split(", ").filter(|method| *method != "HEAD").map(str::to_owned);
        (format!("{path:?}"), methods.collect())
    };
    assert_eq!(described, paths().into_iter().map(of_code).collect());
    assert_eq!(described.len(), description["paths"].as_object().unwrap().len(), "each path once");
}

#[test]
fn the_description_has_the_roles_of_the_code() {
    let description = description();
    for (path, method, described) in operations(&description) {
        let expected = if path.needs_admin(&method) { "admin" } else { "viewer" };
        let schemes = described["security"].as_array().unwrap();
        for scheme in schemes {
            let roles: Vec<_> = scheme.as_object().unwrap().values().flat_map(texts).collect();
            assert_eq!(roles, [expected], "{method} {path:?}");
        }
        let named: BTreeSet<_> =
            schemes.iter().flat_map(|scheme| scheme.as_object().unwrap().keys()).collect();
        let known: BTreeSet<_> =
            description["components"]["securitySchemes"].as_object().unwrap().keys().collect();
        assert_eq!(named, known, "{method} {path:?}");
        let refused = if expected == "admin" { "AdminNeeded" } else { "NotAdmitted" };
        let refused = format!("#/components/responses/{refused}");
        assert_eq!(described["responses"]["403"]["$ref"], refused, "{method} {path:?}");
    }
}

#[test]
fn the_description_has_the_acts_of_the_code() {
    let description = description();
    let paths = paths();
    let acts = paths.iter().flat_map(|path| ["GET", "POST", "PUT", "DELETE"].map(|method| path.act(method)));
    let of_the_gateway = [
        "routes.found",
        "routes.written_outside_the_api",
        "routes.canary.start",
        "routes.canary.take_back",
        "routes.canary.take_over",
    ];
    let expected: BTreeSet<_> = acts.flatten().chain(of_the_gateway).collect();
    let described = &description["components"]["schemas"]["AuditEntry"]["properties"]["what"]["enum"];
    assert_eq!(texts(described), expected);
}

#[test]
fn each_error_of_the_description_is_one_of_the_code_with_its_status() {
    let description = description();
    let errors = all();
    let known: BTreeSet<(u16, &str)> = errors.iter().map(|error| (error.status(), error.code())).collect();
    for (path, method, described) in operations(&description) {
        for (status, response) in described["responses"].as_object().unwrap() {
            let Some(name) = response["$ref"].as_str() else { continue };
            let name = name.strip_prefix("#/components/responses/").unwrap();
            let schema =
                &description["components"]["responses"][name]["content"]["application/json"]["schema"];
            let codes = match name {
                "Refused" => ["routes_refused"].into(),
                _ => texts(&schema["allOf"][1]["properties"]["error"]["properties"]["code"]["enum"]),
            };
            for code in codes {
                let is_known = match status.parse() {
                    Ok(status) => known.contains(&(status, code)),
                    Err(_) => known.iter().any(|(_, known)| *known == code),
                };
                assert!(is_known, "{method} {path:?}: {status} {code}");
            }
        }
    }
}

#[test]
fn the_description_has_the_operations_and_error_classes_of_the_code() {
    let description = description();
    let schemas = &description["components"]["schemas"];
    assert_eq!(texts(&schemas["Operation"]["enum"]), Operation::ALL.map(Operation::path).into());
    assert_eq!(texts(&schemas["ErrorClass"]["enum"]), ErrorClass::ALL.map(ErrorClass::name).into());
}
