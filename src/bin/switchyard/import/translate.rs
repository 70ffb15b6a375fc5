//! A configuration of LiteLLM becomes a routes document, with notes about all that is not the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::fallback_lists::{read_aliases, read_lists, read_targets};
use super::import_notes::{ImportNotes, KeyFate};
use super::key_table::rule_of;
use super::model_nodes::{FallbackLists, GroupRetry, ModelGroup, NodeMaker, RETRIED};
use super::model_rows::{
    RowReader, allowed_fails, ejections, milliseconds, object, put, timeouts, variables, whole,
};
use super::router_entries;
use super::value_checks::{limit_of, name_problem, shape_problem};
use super::wildcard_rows::{captures, longest, mentioned};
use super::yaml_tree::YamlNode;

/// Where editors find the schema.
const SCHEMA: &str = "./routes.schema.json";

/// The retries of LiteLLM's proxy if none are set.
const USUAL_RETRIES: u32 = 2;

/// The depth of fallbacks if none is set.
const USUAL_DEPTH: u32 = 5;

/// What a policy calls the classes.
const POLICY: &[(&str, &[&str])] = &[
    ("BadRequestErrorRetries", &["bad_request"]),
    ("AuthenticationErrorRetries", &["auth"]),
    ("TimeoutErrorRetries", &["timeout"]),
    ("RateLimitErrorRetries", &["rate_limit"]),
    ("ContentPolicyViolationErrorRetries", &["content_policy"]),
    ("InternalServerErrorRetries", &["unavailable", "connection", "truncated"]),
    ("ServiceUnavailableErrorRetries", &["unavailable"]),
    ("NotFoundErrorRetries", &["not_found"]),
];

/// Whether a file looks like a configuration of LiteLLM.
pub fn is_litellm(root: &YamlNode) -> bool {
    ["model_list", "router", "router_settings", "litellm_settings"].iter().any(|key| root.peek(key).is_some())
}

/// The routes document. What cannot be in it is in `notes`. `asked`: the models that clients use,
/// for rows that stand for any model.
#[expect(clippy::too_many_lines, reason = "a file, section by section")]
pub fn translate(root: &YamlNode, asked: &[String], notes: &mut ImportNotes) -> Value {
    let sections = ["router_settings", "litellm_settings", "general_settings"];
    let nothing = YamlNode::nothing(root.line);
    let [router, litellm, general] = sections.map(|section| root.get(section).unwrap_or(&nothing));
    let set = |key: &str| router.get(key).or_else(|| litellm.get(key));
    let place = |key: &str| {
        let section = if router.peek(key).is_some() { "router_settings" } else { "litellm_settings" };
        format!("{section}.{key}")
    };
    let truth = |key: &str| router.get(key).and_then(YamlNode::boolean).unwrap_or(false);

    let rows = root.get("model_list").and_then(YamlNode::items).unwrap_or_default();
    let aliases = set("model_group_alias");
    let of_rows = rows.iter().filter_map(|row| row.peek("model_name")?.value.text());
    let of_aliases = aliases.iter().flat_map(|map| map.entries()).map(|entry| entry.key.as_str());
    let mut taken: BTreeSet<String> =
        of_rows.chain(of_aliases).chain(router_entries::names(root)).map(str::to_owned).collect();
    let wild = expanded(rows, asked, &mentioned(root), &taken);
    taken.extend(wild.iter().map(|(name, ..)| name.clone()));
    let wild_names: Vec<(String, usize)> =
        wild.iter().map(|(name, index, _)| (name.clone(), *index)).collect();
    let mut reader = RowReader::new(taken, truth("enable_pre_call_checks"));
    let mut skipped = BTreeSet::new();
    let credentials = root.get("credential_list").and_then(YamlNode::items).unwrap_or_default();
    for (index, credential) in credentials.iter().enumerate() {
        let name = credential.get("credential_name").and_then(YamlNode::text);
        let is_named = |row: &YamlNode| {
            let named = row.peek("litellm_params")?.value.peek("litellm_credential_name")?.value.text();
            (named == name).then_some(())
        };
        let path = format!("credential_list[{index}]");
        match (name, credential.get("credential_values")) {
            (Some(name), Some(values)) if rows.iter().any(|row| is_named(row).is_some()) => {
                reader.credentials.insert(name, (index, values));
            }
            _ => {
                let said =
                    "It is left out: no row of `model_list` names it as its `litellm_credential_name`.";
                notes.lost(credential.line, &path, said);
                skipped.insert(path);
            }
        }
    }

    // `router` is a dialect without retries. LiteLLM itself retries twice if nothing is set.
    let retries = set("num_retries").and_then(YamlNode::number).map(whole);
    let is_litellm = root.peek("router").is_none();
    if retries.is_none() && is_litellm {
        let said = "It is absent: two retries, as in LiteLLM. Among several deployments, a retry goes to another one. A lone one that answers 429 is retried only if it says that it is back within 5 seconds.";
        notes.near(root.line, "router_settings.num_retries", said);
    }
    let retries = retries.or(is_litellm.then_some(USUAL_RETRIES));
    let backoff_ms =
        router.get("retry_after").and_then(YamlNode::number).filter(|wait| *wait > 0.0).map(milliseconds);
    let retry = policy(retries, router.get("retry_policy"), backoff_ms.as_ref());

    let strategy = router
        .get("routing_strategy")
        .and_then(|node| strategy(node, "router_settings.routing_strategy", notes));
    let mut maker = NodeMaker {
        depth: set("max_fallbacks").and_then(YamlNode::number).map_or(USUAL_DEPTH, whole).min(64) as usize,
        filters_tags: truth("enable_tag_filtering"),
        ..NodeMaker::default()
    };
    let mut order = Vec::new();
    let mut unpriced = Vec::new();
    let mut left_out: BTreeMap<usize, String> = BTreeMap::new();
    let mut refused = BTreeSet::new();
    let named = rows.iter().enumerate().map(|(index, row)| {
        let name = row.get("model_name").and_then(YamlNode::text);
        (name.unwrap_or_default().to_owned(), index, None)
    });
    let named = named.filter(|(name, ..)| !name.contains('*'));
    let wild = wild.into_iter().map(|(name, index, matched)| (name, index, Some(matched)));
    for (name, index, matched) in named.chain(wild) {
        let Some(row) = rows.get(index) else { continue };
        let pattern = row.peek("model_name").and_then(|entry| entry.value.text()).unwrap_or_default();
        let captured = matched.as_deref().and_then(|matched| captures(pattern, matched));
        let path = format!("model_list[{index}]");
        let made = if name.is_empty() {
            Err("it has no `model_name`".to_owned())
        } else if let Some(problem) = name_problem(&name) {
            Err(problem.to_owned())
        } else {
            reader.add(row, &path, captured.as_deref(), notes)
        };
        match made {
            Ok(made) => {
                if !made.has_price {
                    unpriced.push((row.line, path, name.clone()));
                }
                let group = maker.groups.entry(name.clone()).or_insert_with(|| {
                    order.push(name);
                    ModelGroup { rows: Vec::new(), strategy, retry: retry.clone() }
                });
                group.rows.push(made);
            }
            // Of a row for several models, the others may be imported.
            Err(problem) if matched.is_some() => {
                notes.lost(row.line, &path, format!("`{name}` is left out: {problem}."));
                refused.insert(index);
            }
            Err(problem) => drop(left_out.insert(index, problem)),
        }
    }
    for (index, row) in rows.iter().enumerate() {
        let name = row.peek("model_name").and_then(|entry| entry.value.text()).unwrap_or_default();
        let path = format!("model_list[{index}]");
        let problem = left_out.remove(&index);
        let of_row: Vec<&str> = wild_names
            .iter()
            .filter(|(_, place)| *place == index)
            .map(|(name, _)| name.as_str())
            .filter(|name| maker.groups.contains_key(*name))
            .collect();
        if let Some(problem) = problem {
            notes.lost(row.line, &path, format!("The row is left out: {problem}."));
            skipped.insert(path);
        } else if of_row.is_empty() && refused.contains(&index) {
            skipped.insert(path);
        } else if name.contains('*') && of_row.is_empty() {
            notes.lost(row.line, &path, "The row is left out: `*` stands for any model, and a routes document names each one. Name those that your clients use: `--model NAME`, as often as needed.");
            skipped.insert(path);
        } else if name.contains('*') {
            let said = format!(
                "`{name}` stands for the models that this file or `--model` names: {}. Other names are unknown.",
                of_row.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            );
            notes.near(row.line, &path, said);
        }
    }
    groups_of_their_own(router, &mut maker, retries, backoff_ms.as_ref(), notes);
    for (line, path, name) in unpriced {
        if maker.groups.get(&name).is_some_and(|group| group.strategy == Some("cost")) {
            notes.near(line, &path, "It has no price: LiteLLM has a list of prices; set `cost` here.");
        }
    }
    order.extend(read_aliases(aliases, &place("model_group_alias"), &mut maker, notes));
    for (key, list) in [
        ("fallbacks", &mut maker.general as &mut FallbackLists),
        ("context_window_fallbacks", &mut maker.context),
        ("content_policy_fallbacks", &mut maker.content),
    ] {
        *list = read_lists(set(key), &place(key), &maker.groups, &maker.aliases, notes);
    }
    maker.default = set("default_fallbacks")
        .map(|list| read_targets(list, &place("default_fallbacks"), &maker.groups, &maker.aliases, notes))
        .unwrap_or_default();
    if let Some(any) = maker.general.remove("*") {
        maker.default.extend(any);
    }

    let mut models = Map::new();
    for name in &order {
        let target = maker.aliases.get(name).filter(|_| {
            ![&maker.general, &maker.context, &maker.content].iter().any(|lists| lists.contains_key(name))
        });
        let node = target.map_or_else(|| maker.node(name), |target| json!({ "targets": [target] }));
        models.insert(name.clone(), node);
    }
    router_entries::add(root, &mut models, notes);

    let mut settings = Map::new();
    let most = order.iter().map(|name| maker.most_attempts(name)).max().unwrap_or(0).min(64);
    let capped =
        litellm.get("num_retries_per_request").and_then(YamlNode::number).map(|cap| (whole(cap) + 1).min(64));
    put(
        &mut settings,
        "max_attempts",
        capped.or(Some(most).filter(|most| *most > 4)).map_or(Value::Null, Value::from),
    );
    let timeout = litellm.get("request_timeout").or_else(|| router.get("timeout"));
    put(&mut settings, "timeout", timeouts(timeout, router.get("stream_timeout")));
    // LiteLLM has no deadline: there is time for a second attempt after the longest limit.
    let longest = timeout.and_then(YamlNode::number).unwrap_or(0.0).max(reader.longest_timeout) * 2.0;
    put(
        &mut settings,
        "deadline_ms",
        Some(longest).filter(|seconds| *seconds > 600.0).map_or(Value::Null, milliseconds),
    );
    let fails = allowed_fails(set("allowed_fails"), set("allowed_fails_policy"));
    put(&mut settings, "health", ejections(set("cooldown_time"), fails));
    put(&mut settings, "sticky", sticky(router, notes));

    let (owner, key) = if let Some(key) = general.get("master_key").and_then(YamlNode::text) {
        ("master", variables(key, "key of your clients, LiteLLM's master key", notes))
    } else {
        let said = "It is absent: LiteLLM lets everybody call. Clients get a key here.";
        notes.near(root.line, "general_settings.master_key", said);
        ("default", notes.variable("GATEWAY_KEY", "key of your clients, which you choose"))
    };
    let key = if key.starts_with("${") && key.ends_with('}') {
        key
    } else {
        notes.variable(
            "LITELLM_MASTER_KEY",
            "key of your clients, LiteLLM's master key, which stands in the file",
        )
    };
    for entry in root.get("environment_variables").map(YamlNode::entries).unwrap_or_default() {
        entry.read.set(true);
        let path = format!("environment_variables.{}", entry.key);
        notes.lost(entry.line, &path, "Set it as a secret, if the document names it.");
    }
    report_keys(root, "", "", &skipped, notes);
    let mut document = Map::new();
    document.insert("$schema".into(), SCHEMA.into());
    document.insert("version".into(), 1.into());
    document.insert("clients".into(), json!({ owner: { "key": key } }));
    document.insert("deployments".into(), Value::Object(reader.deployments));
    document.insert("models".into(), Value::Object(models));
    put(&mut document, "settings", Value::Object(settings));
    Value::Object(document)
}

/// The models that rows with a `*` stand for: the name, the row, and the name that the pattern
/// matches.
fn expanded(
    rows: &[YamlNode],
    asked: &[String],
    mentioned: &[&str],
    names: &BTreeSet<String>,
) -> Vec<(String, usize, String)> {
    let pattern = |row: &'_ YamlNode| {
        row.peek("model_name")?.value.text().filter(|name| name.contains('*')).map(str::to_owned)
    };
    let patterns: Vec<(usize, String)> =
        rows.iter().enumerate().filter_map(|(index, row)| Some((index, pattern(row)?))).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for name in mentioned.iter().copied().chain(asked.iter().map(String::as_str)) {
        if names.contains(name) || name == "*" || !seen.insert(name) {
            continue;
        }
        let of_all = patterns.iter().map(|(_, pattern)| pattern.as_str());
        let Some((longest, matched)) = longest(&of_all, name) else { continue };
        let rows = patterns.iter().filter(|(_, pattern)| pattern == longest);
        found.extend(rows.map(|(index, _)| (name.to_owned(), *index, matched.clone())));
    }
    found
}

/// Strategies and policies that hold for some groups.
fn groups_of_their_own(
    router: &YamlNode,
    maker: &mut NodeMaker,
    retries: Option<u32>,
    backoff_ms: Option<&Value>,
    notes: &mut ImportNotes,
) {
    for (index, own) in
        router.get("routing_groups").and_then(YamlNode::items).unwrap_or_default().iter().enumerate()
    {
        let path = format!("router_settings.routing_groups[{index}]");
        own.get("group_name");
        let named = own.get("routing_strategy").and_then(|node| strategy(node, &path, notes));
        for model in own.get("models").map(YamlNode::texts).unwrap_or_default() {
            if let Some(group) = maker.groups.get_mut(model) {
                group.strategy = named;
            } else {
                notes.lost(own.line, &path, format!("`{model}` is not in `model_list`."));
            }
        }
    }
    for entry in router.get("model_group_retry_policy").map(YamlNode::entries).unwrap_or_default() {
        if let Some(group) = maker.groups.get_mut(&entry.key) {
            entry.read.set(true);
            group.retry = policy(retries, Some(&entry.value), backoff_ms);
        }
    }
}

/// The retries with a policy, in which each class may have its own number.
fn policy(retries: Option<u32>, policy: Option<&YamlNode>, backoff_ms: Option<&Value>) -> Option<GroupRetry> {
    let by_class = |class: &'static str| -> Option<u32> {
        let policy = policy?;
        let named = POLICY.iter().filter(|(_, classes)| classes.contains(&class));
        let numbers = named.filter_map(|(key, _)| policy.get(key).and_then(YamlNode::number)).map(whole);
        numbers.max().or_else(|| {
            policy.get("DefaultRetries").or_else(|| policy.get("ErrorRetries"))?.number().map(whole)
        })
    };
    let retries = retries.or(policy.map(|_| USUAL_RETRIES))?;
    let others = ["auth", "not_found", "bad_request", "content_policy"];
    let usual = RETRIED.iter().map(|class| (*class, by_class(class).unwrap_or(retries)));
    let named = |key: &'static str| {
        POLICY.iter().any(|(name, classes)| {
            classes.contains(&key) && policy.is_some_and(|policy| policy.peek(name).is_some())
        })
    };
    let more =
        others.into_iter().filter(|class| named(class)).map(|class| (class, by_class(class).unwrap_or(0)));
    let all: Vec<(&str, u32)> = usual.chain(more).filter(|(_, count)| *count > 0).collect();
    let attempts = all.iter().map(|(_, count)| *count).max().unwrap_or(0);
    Some(GroupRetry {
        attempts,
        on: all.into_iter().map(|(class, _)| class).collect(),
        backoff_ms: backoff_ms.cloned(),
    })
}

/// The strategy of the routes document.
fn strategy(node: &YamlNode, path: &str, notes: &mut ImportNotes) -> Option<&'static str> {
    let named = node.text()?;
    let near = match named {
        "latency-based-routing" => {
            Some("`latency`: of two that are drawn, the faster one. LiteLLM takes the fastest of all.")
        }
        "usage-based-routing" | "usage-based-routing-v2" => Some(
            "`random`: each deployment gets an equal part, and `limits` move traffic away. LiteLLM takes the least used one.",
        ),
        _ => None,
    };
    if let Some(near) = near {
        notes.near(node.line, path, near);
    }
    match named {
        "simple-shuffle" => None,
        "least-busy" => Some("least_busy"),
        "latency-based-routing" => Some("latency"),
        "cost-based-routing" => Some("cost"),
        "usage-based-routing" | "usage-based-routing-v2" => Some("random"),
        other => {
            notes.lost(
                node.line,
                path,
                format!("The strategy `{other}` does not exist here: `weighted`, as simple-shuffle."),
            );
            None
        }
    }
}

/// `settings.sticky` from the first check that keeps requests together.
fn sticky(router: &YamlNode, notes: &mut ImportNotes) -> Value {
    let ttl = router.get("deployment_affinity_ttl_seconds").and_then(YamlNode::number);
    let ttl = ttl.map(|seconds| whole(seconds).clamp(1, 86_400).into());
    let mut by = None;
    let unused = |router: &YamlNode, notes: &mut ImportNotes| {
        if let Some(entry) = router.peek("deployment_affinity_ttl_seconds") {
            let said = "It has no effect: no affinity is among `optional_pre_call_checks`.";
            notes.lost(entry.line, "router_settings.deployment_affinity_ttl_seconds", said);
        }
    };
    let Some(node) = router.get("optional_pre_call_checks") else {
        unused(router, notes);
        return Value::Null;
    };
    for check in node.texts() {
        let key = match check {
            "prompt_caching" => "prompt_cache_key",
            "session_affinity" => "header:x-litellm-session-id",
            "deployment_affinity" => "client",
            "responses_api_deployment_check" | "encrypted_content_affinity" => continue,
            other => {
                let said = format!("The check `{other}` has no equivalent.");
                notes.lost(node.line, "router_settings.optional_pre_call_checks", said);
                continue;
            }
        };
        if by.is_some() {
            let said = format!("Requests stay together by one key; `{check}` is left out.");
            notes.lost(node.line, "router_settings.optional_pre_call_checks", said);
        }
        by = by.or(Some(key));
    }
    if by.is_none() {
        unused(router, notes);
    }
    by.map_or(Value::Null, |by| object([("by", Some(by.into())), ("ttl", ttl)]))
}

/// Why a known key has no effect.
fn hidden_by(path: &str) -> String {
    let other = match path.split_once('.') {
        Some(("router_settings", "timeout")) => "litellm_settings.request_timeout".to_owned(),
        Some(("litellm_settings", key)) => format!("router_settings.{key}"),
        _ => return "It has no effect beside the other keys, or without what it belongs to.".to_owned(),
    };
    format!("It has no effect: `{other}` counts before it.")
}

/// Notes each key that is not the same here, by the table. What nobody read has no effect.
fn report_keys(
    node: &YamlNode,
    shown: &str,
    path: &str,
    skipped: &BTreeSet<String>,
    notes: &mut ImportNotes,
) {
    for (index, item) in node.items().unwrap_or_default().iter().enumerate() {
        let shown = format!("{shown}[{index}]");
        if !skipped.contains(&shown) {
            report_keys(item, &shown, &format!("{path}[]"), skipped, notes);
        }
    }
    for entry in node.entries() {
        let dot = if path.is_empty() { "" } else { "." };
        let (shown, path) = (format!("{shown}{dot}{}", entry.key), format!("{path}{dot}{}", entry.key));
        let rule = rule_of(&path);
        if entry.replaced {
            notes.lost(
                entry.line,
                &shown,
                "The key stands again further below. The last one counts, as in LiteLLM.",
            );
        } else if entry.value.is_nothing() {
            notes.note(entry.line, &shown, KeyFate::NotNeeded, "It has no value.");
        } else if entry.read.get() {
            if let Some(problem) = shape_problem(entry, &path) {
                notes.lost(entry.line, &shown, problem);
            } else if let Some(rule) = rule.filter(|rule| rule.fate != KeyFate::Mapped) {
                notes.note(entry.line, &shown, rule.fate, rule.explanation());
            }
            if let Some(said) = limit_of(entry) {
                notes.near(entry.line, &shown, said);
            }
            report_keys(&entry.value, &shown, &path, skipped, notes);
        } else {
            match rule {
                None if entry.is_named => {
                    let said = "Its values count where an alias (`*`) names them.";
                    notes.note(entry.line, &shown, KeyFate::NotNeeded, said);
                }
                Some(rule) if matches!(rule.fate, KeyFate::NotNeeded | KeyFate::NoEquivalent) => {
                    notes.note(entry.line, &shown, rule.fate, rule.explanation());
                }
                Some(_) => notes.lost(entry.line, &shown, hidden_by(&path)),
                None => notes.lost(
                    entry.line,
                    &shown,
                    "The importer does not know this key here, so that it has no effect. Is it spelled and indented as LiteLLM has it?",
                ),
            }
        }
    }
}
