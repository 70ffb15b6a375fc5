//! Lists of fallbacks and other names of models, as LiteLLM's settings have them.

use std::collections::BTreeMap;

use super::import_notes::ImportNotes;
use super::model_nodes::{FallbackLists, ModelGroup, NodeMaker};
use super::value_checks::name_problem;
use super::yaml_tree::YamlNode;

/// Reads `model_group_alias`. Returns the aliases in their order.
pub fn read_aliases(
    node: Option<&YamlNode>,
    at: &str,
    maker: &mut NodeMaker,
    notes: &mut ImportNotes,
) -> Vec<String> {
    let mut order = Vec::new();
    for entry in node.iter().flat_map(|map| map.entries()) {
        entry.read.set(true);
        let to = entry.value.get("model").unwrap_or(&entry.value);
        let path = format!("{at}.{}", entry.key);
        let problem = match to.text() {
            Some(to) if maker.groups.contains_key(to) => name_problem(&entry.key)
                .or(maker.groups.contains_key(&entry.key).then_some("a model has this name")),
            _ => Some("its model is not in `model_list`, or is left out"),
        };
        if let Some(problem) = problem {
            notes.lost(entry.line, &path, format!("The alias is left out: {problem}."));
        } else if let Some(to) = to.text() {
            maker.aliases.insert(entry.key.clone(), to.to_owned());
            order.push(entry.key.clone());
        }
        if let Some(hidden) = entry.value.peek("hidden") {
            hidden.read.set(true);
            notes.lost(hidden.line, &format!("{path}.hidden"), "All models are in the list of models.");
        }
    }
    order
}

/// Lists of fallbacks: `[{model: [fallback, …]}]`.
pub fn read_lists(
    node: Option<&YamlNode>,
    at: &str,
    groups: &BTreeMap<String, ModelGroup>,
    aliases: &BTreeMap<String, String>,
    notes: &mut ImportNotes,
) -> FallbackLists {
    let mut lists = FallbackLists::new();
    let Some(node) = node else { return lists };
    let rules = node.items().unwrap_or(std::slice::from_ref(node));
    let is_list = node.items().is_some();
    let places = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| (rule, if is_list { format!("{at}[{index}]") } else { at.to_owned() }));
    for (rule, at) in places.clone() {
        if rule.entries().is_empty() {
            notes.lost(rule.line, &at, "It has no effect: `MODEL: [FALLBACK, …]` is expected.");
        }
    }
    for (entry, at) in
        places.flat_map(|(rule, at)| rule.entries().iter().map(move |entry| (entry, at.clone())))
    {
        entry.read.set(true);
        let path = format!("{at}.{}", entry.key);
        if entry.key != "*" && !groups.contains_key(&entry.key) && !aliases.contains_key(&entry.key) {
            notes.lost(entry.line, &path, "The model is not in `model_list`, or is left out.");
            entry.value.mark_read();
            continue;
        }
        let found = read_targets(&entry.value, &path, groups, aliases, notes);
        lists.entry(entry.key.clone()).or_default().extend(found);
    }
    lists
}

/// The models of one list of fallbacks.
pub fn read_targets(
    list: &YamlNode,
    path: &str,
    groups: &BTreeMap<String, ModelGroup>,
    aliases: &BTreeMap<String, String>,
    notes: &mut ImportNotes,
) -> Vec<String> {
    let items = list.items().unwrap_or(std::slice::from_ref(list));
    let mut found = Vec::new();
    for item in items {
        let name = item.text().or_else(|| item.get("model").and_then(YamlNode::text));
        for other in item.entries().iter().filter(|entry| entry.key != "model") {
            other.read.set(true);
            other.value.mark_read();
            notes.lost(
                other.line,
                &format!("{path}.{}", other.key),
                "A fallback gets the request of the client.",
            );
        }
        match name {
            Some(name) if groups.contains_key(name) || aliases.contains_key(name) => {
                found.push(name.to_owned());
            }
            Some(name) => notes.lost(
                item.line,
                path,
                format!("The fallback `{name}` is not in `model_list`, or is left out."),
            ),
            None => notes.lost(item.line, path, "The name of a model is expected."),
        }
    }
    found
}
