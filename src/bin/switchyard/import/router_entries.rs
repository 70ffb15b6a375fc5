//! The section `router`, as articles about LiteLLM write it: models over models.

use serde_json::{Map, Value, json};

use super::import_notes::ImportNotes;
use super::model_rows::{number, object, put, whole};
use super::value_checks::name_problem;
use super::yaml_tree::YamlNode;

/// What such files call errors, and the classes.
const ERROR_TYPES: &[(&str, &str)] = &[
    ("rate_limit_error", "rate_limit"),
    ("service_unavailable_error", "unavailable"),
    ("internal_server_error", "unavailable"),
    ("api_error", "unavailable"),
    ("api_connection_error", "connection"),
    ("timeout_error", "timeout"),
    ("timeout", "timeout"),
    ("authentication_error", "auth"),
    ("not_found_error", "not_found"),
    ("bad_request_error", "bad_request"),
    ("context_window_exceeded_error", "context_window"),
    ("content_policy_violation_error", "content_policy"),
];

/// Strategies by their names in such files.
const STRATEGIES: &[(&str, &str)] = &[
    ("fallback", "priority"),
    ("priority", "priority"),
    ("load_balance", "weighted"),
    ("weighted", "weighted"),
    ("random_weighted", "weighted"),
    ("simple-shuffle", "weighted"),
    ("random", "random"),
    ("round_robin", "round_robin"),
    ("least_busy", "least_busy"),
    ("least-busy", "least_busy"),
    ("latency", "latency"),
    ("latency-based-routing", "latency"),
    ("cost", "cost"),
    ("cost-based-routing", "cost"),
];

fn entries(root: &YamlNode) -> &[YamlNode] {
    root.peek("router").map_or(&[], |entry| entry.value.items().unwrap_or(std::slice::from_ref(&entry.value)))
}

/// The names of the nodes that the section makes.
pub fn names(root: &YamlNode) -> impl Iterator<Item = &str> {
    entries(root).iter().filter_map(|entry| entry.peek("model_name").or(entry.peek("name"))?.value.text())
}

/// Adds the nodes of the section.
pub fn add(root: &YamlNode, models: &mut Map<String, Value>, notes: &mut ImportNotes) {
    root.get("router");
    let known: Vec<&str> = names(root).collect();
    for (index, entry) in entries(root).iter().enumerate() {
        let path = format!("router[{index}]");
        let name = entry.get("model_name").or_else(|| entry.get("name")).and_then(YamlNode::text);
        let problem = match name {
            None => Some("it has no `model_name`"),
            Some(name) if models.contains_key(name) => Some("another model has its name"),
            Some(name) => name_problem(name),
        };
        if let Some(problem) = problem {
            notes.lost(entry.line, &path, format!("The entry is left out: {problem}."));
            continue;
        }
        let mut node = Map::new();
        let word = |key: &str| entry.get(key).and_then(|node| Some((node.line, node.text()?)));
        let strategy = word("load_balance_strategy").or(word("routing_strategy"));
        if let Some((line, named)) = strategy {
            // The general name is the fallback of the special one.
            let general = word("routing_strategy").map(|(_, general)| general);
            let of = |wanted: &str| STRATEGIES.iter().find(|(name, _)| *name == wanted).map(|(_, own)| *own);
            let own = of(named).or_else(|| {
                notes.lost(line, &path, format!("The strategy `{named}` does not exist here."));
                general.and_then(of)
            });
            put(&mut node, "strategy", own.unwrap_or("weighted").into());
        }
        let mut targets = Vec::new();
        let mut target = |line: usize, to: &str, weight: Option<f64>, priority: Option<f64>| {
            if !models.contains_key(to) && !known.contains(&to) {
                notes.lost(line, &path, format!("`{to}` is not in `model_list`, or is left out."));
            } else if weight.is_none() && priority.is_none() {
                targets.push(json!(to));
            } else {
                let weight = weight.map(|weight| number(weight.clamp(0.0, 1e6)));
                targets.push(object([
                    ("use", Some(to.into())),
                    ("weight", weight),
                    ("priority", priority.map(|tier| whole(tier).into())),
                ]));
            }
        };
        for model in entry.get("models").and_then(YamlNode::items).unwrap_or_default() {
            let get = |key: &str| model.get(key).and_then(YamlNode::number);
            if let Some(to) = model.text().or_else(|| model.get("name").and_then(YamlNode::text)) {
                target(model.line, to, get("weight"), get("priority"));
            }
        }
        for key in ["model_alias", "fallback_models"] {
            for to in entry.get(key).map(YamlNode::texts).unwrap_or_default() {
                target(entry.line, to, None, None);
            }
        }
        if let Some(types) = entry.get("fallback_on_error_types") {
            let mut classes = Vec::new();
            for named in types.texts() {
                let class =
                    ERROR_TYPES.iter().find(|(name, _)| *name == named).map(|(_, class)| json!(class));
                let status = named.parse::<u16>().ok().filter(|status| (400..600).contains(status));
                match class.or(status.map(Value::from)) {
                    Some(class) if classes.contains(&class) => {}
                    Some(class) => classes.push(class),
                    None => notes.lost(
                        types.line,
                        &format!("{path}.fallback_on_error_types"),
                        format!("The type `{named}` is not known."),
                    ),
                }
            }
            put(&mut node, "fallback_on", classes.into());
        }
        if targets.is_empty() {
            notes.lost(entry.line, &path, "The entry is left out: none of its models is in `model_list`.");
            continue;
        }
        put(&mut node, "targets", targets.into());
        models.insert(name.unwrap_or_default().to_owned(), Value::Object(node));
    }
}
