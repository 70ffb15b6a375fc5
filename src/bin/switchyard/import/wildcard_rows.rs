//! Rows whose `model_name` has a `*`. A routes document names each model, so that such a row counts
//! for the models that the file names elsewhere, and for those of `--model`.

use super::yaml_tree::YamlNode;

/// What the `*`s of a pattern stand for in a name, if it matches.
pub fn captures<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split('*');
    let mut rest = name.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = if parts.peek().is_none() {
            rest.ends_with(part).then(|| rest.len() - part.len())?
        } else {
            rest.find(part)?
        };
        let (captured, after) = rest.split_at_checked(at)?;
        found.push(captured);
        rest = after.strip_prefix(part)?;
    }
    rest.is_empty().then_some(found)
}

/// A text with each `*` replaced by what it stands for.
pub fn filled(text: &str, captured: &[&str]) -> String {
    let mut captured = captured.iter();
    let mut filled = String::new();
    for (index, part) in text.split('*').enumerate() {
        if index > 0 {
            filled.push_str(captured.next().copied().unwrap_or("*"));
        }
        filled.push_str(part);
    }
    filled
}

/// The longest of the patterns that match a name, with the name that it matches: that of a provider
/// is inferred as LiteLLM does for OpenAI's models.
pub fn longest<'p>(
    patterns: &(impl Iterator<Item = &'p str> + Clone),
    name: &str,
) -> Option<(&'p str, String)> {
    let inferred = (!name.contains('/')).then(|| format!("openai/{name}"));
    [Some(name.to_owned()), inferred].into_iter().flatten().find_map(|name| {
        let fits = patterns.clone().filter(|pattern| captures(pattern, &name).is_some());
        fits.max_by_key(|pattern| pattern.len()).map(|pattern| (pattern, name))
    })
}

/// The models that the settings and the section `router` name.
pub fn mentioned(root: &YamlNode) -> Vec<&str> {
    let mut found = Vec::new();
    let sections = ["router_settings", "litellm_settings"].into_iter().filter_map(|key| root.peek(key));
    for section in sections.map(|entry| &entry.value) {
        for key in ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"] {
            for entry in in_list(section, key).iter().flat_map(YamlNode::entries) {
                found.push(entry.key.as_str());
                let list = entry.value.items().unwrap_or(std::slice::from_ref(&entry.value));
                found.extend(list.iter().filter_map(name_of));
            }
        }
        found.extend(in_list(section, "default_fallbacks").iter().filter_map(name_of));
        let aliases = section.peek("model_group_alias").map(|entry| entry.value.entries());
        found.extend(aliases.unwrap_or_default().iter().filter_map(|entry| name_of(&entry.value)));
        for group in in_list(section, "routing_groups") {
            found.extend(in_list(group, "models").iter().filter_map(YamlNode::text));
        }
        let policies = section.peek("model_group_retry_policy").map(|entry| entry.value.entries());
        found.extend(policies.unwrap_or_default().iter().map(|entry| entry.key.as_str()));
    }
    for entry in in_list(root, "router") {
        for model in in_list(entry, "models") {
            found.extend(model.text().or_else(|| model.peek("name")?.value.text()));
        }
        for key in ["model_alias", "fallback_models"] {
            found.extend(in_list(entry, key).iter().filter_map(YamlNode::text));
        }
    }
    found
}

/// The values of a list, or the one value.
fn in_list<'a>(node: &'a YamlNode, key: &str) -> &'a [YamlNode] {
    node.peek(key).map_or(&[], |entry| entry.value.items().unwrap_or(std::slice::from_ref(&entry.value)))
}

/// A name, or the `model` of a mapping.
fn name_of(node: &YamlNode) -> Option<&str> {
    node.text().or_else(|| node.peek("model")?.value.text())
}

#[cfg(test)]
mod tests {
    use super::{captures, filled, longest};

    #[test]
    fn a_pattern_matches_the_whole_name() {
        for (pattern, name, expected) in [
            ("openai/*", "openai/gpt-4o", Some(vec!["gpt-4o"])),
            ("openai/*", "azure/gpt-4o", None),
            ("*", "anything", Some(vec!["anything"])),
            ("*-mini", "gpt-4o-mini", Some(vec!["gpt-4o"])),
            ("*-mini", "gpt-4o-mini-2", None),
            ("a*b*c", "a1b2c", Some(vec!["1", "2"])),
            ("ab*ba", "aba", None),
            ("plain", "plain", Some(vec![])),
            ("plain", "plainer", None),
            ("é*", "éa", Some(vec!["a"])),
        ] {
            assert_eq!(captures(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_was_captured_is_filled_in() {
        assert_eq!(filled("azure/*", &["gpt-4o"]), "azure/gpt-4o");
        assert_eq!(filled("*-*", &["a", "b"]), "a-b");
        assert_eq!(filled("fixed", &["a"]), "fixed");
    }

    #[test]
    fn the_longest_pattern_counts_and_a_bare_name_has_a_provider() {
        let patterns = ["*", "gpt-*", "gpt-4*", "openai/*"];
        assert_eq!(longest(&patterns.into_iter(), "gpt-4o"), Some(("gpt-4*", "gpt-4o".to_owned())));
        assert_eq!(longest(&patterns[1..].iter().copied(), "o3"), Some(("openai/*", "openai/o3".to_owned())));
        assert_eq!(longest(&patterns[1..].iter().copied(), "azure/o3"), None);
    }
}
