//! A configuration of LiteLLM becomes a routes document, with notes about all that is not the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::import_notes::{ImportNotes, KeyFate};
use super::key_table::rule_of;
use super::model_nodes::{FallbackLists, GroupRetry, ModelGroup, NodeMaker, RETRIED};
use super::model_rows::{RowReader, ejections, milliseconds, object, put, timeouts, variables, whole};
use super::router_entries;
use super::value_checks::{limit_of, name_problem, shape_problem};
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

/// The routes document. What cannot be in it is in `notes`.
#[expect(clippy::too_many_lines, reason = "a file, section by section")]
pub fn translate(root: &YamlNode, notes: &mut ImportNotes) -> Value {
    let sections = ["router_settings", "litellm_settings", "general_settings"];
    let nothing = YamlNode::nothing(root.line);
    let [router, litellm, general] = sections.map(|section| root.get(section).unwrap_or(&nothing));
    let set = |key: &str| router.get(key).or_else(|| litellm.get(key));
    let truth = |key: &str| router.get(key).and_then(YamlNode::boolean).unwrap_or(false);

    let mut skipped = BTreeSet::new();
    let rows = root.get("model_list").and_then(YamlNode::items).unwrap_or_default();
    let aliases = set("model_group_alias");
    let named = rows.iter().filter_map(|row| row.peek("model_name")).filter_map(|entry| entry.value.text());
    let named = named.chain(aliases.iter().flat_map(|map| map.entries()).map(|entry| entry.key.as_str()));
    let named = named.chain(router_entries::names(root)).map(str::to_owned);
    let mut reader = RowReader::new(named.collect(), truth("enable_pre_call_checks"));
    for credential in root.get("credential_list").and_then(YamlNode::items).unwrap_or_default() {
        let name = credential.get("credential_name").and_then(YamlNode::text);
        if let (Some(name), Some(values)) = (name, credential.get("credential_values")) {
            reader.credentials.insert(name, values);
        }
    }

    // `router` is a dialect without retries. LiteLLM itself retries twice if nothing is set.
    let retries = set("num_retries").and_then(YamlNode::number).map(whole);
    let retries = retries.or(root.peek("router").is_none().then_some(USUAL_RETRIES));
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
    for (index, row) in rows.iter().enumerate() {
        let path = format!("model_list[{index}]");
        let Some(name) = row.get("model_name").and_then(YamlNode::text) else {
            notes.lost(row.line, &path, "The row is left out: it has no `model_name`.");
            skipped.insert(path);
            continue;
        };
        let made = match name_problem(name) {
            Some(problem) => Err(problem.to_owned()),
            None => reader.add(row, &path, notes),
        };
        match made {
            Ok(made) => {
                if !made.has_price {
                    unpriced.push((row.line, path, name));
                }
                let group = maker.groups.entry(name.to_owned()).or_insert_with(|| {
                    order.push(name.to_owned());
                    ModelGroup { rows: Vec::new(), strategy, retry: retry.clone() }
                });
                group.rows.push(made);
            }
            Err(problem) => {
                notes.lost(row.line, &path, format!("The row is left out: {problem}."));
                skipped.insert(path);
            }
        }
    }
    groups_of_their_own(router, &mut maker, retries, backoff_ms.as_ref(), notes);
    for (line, path, name) in unpriced {
        if maker.groups.get(name).is_some_and(|group| group.strategy == Some("cost")) {
            notes.near(line, &path, "It has no price: LiteLLM has a list of prices; set `cost` here.");
        }
    }
    for entry in aliases.iter().flat_map(|map| map.entries()) {
        entry.read.set(true);
        let to = entry.value.get("model").unwrap_or(&entry.value);
        let path = format!("model_group_alias.{}", entry.key);
        let problem = match to.text() {
            Some(to) if maker.groups.contains_key(to) => name_problem(&entry.key)
                .or(maker.groups.contains_key(&entry.key).then_some("a model has this name")),
            _ => Some("its model is not in `model_list`"),
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
    for (key, list) in [
        ("fallbacks", &mut maker.general as &mut FallbackLists),
        ("context_window_fallbacks", &mut maker.context),
        ("content_policy_fallbacks", &mut maker.content),
    ] {
        *list = fallbacks(set(key), key, &maker.groups, &maker.aliases, notes);
    }
    maker.default = set("default_fallbacks")
        .map(|list| targets(list, "default_fallbacks", &maker.groups, &maker.aliases, notes))
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
    let longest = timeout.and_then(YamlNode::number).filter(|seconds| *seconds > 600.0);
    put(&mut settings, "deadline_ms", longest.map_or(Value::Null, milliseconds));
    put(&mut settings, "health", ejections(set("cooldown_time"), set("allowed_fails")));
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

/// Lists of fallbacks: `[{model: [fallback, …]}]`.
fn fallbacks(
    node: Option<&YamlNode>,
    key: &str,
    groups: &BTreeMap<String, ModelGroup>,
    aliases: &BTreeMap<String, String>,
    notes: &mut ImportNotes,
) -> FallbackLists {
    let mut lists = FallbackLists::new();
    let Some(node) = node else { return lists };
    let rules = node.items().unwrap_or(std::slice::from_ref(node));
    for entry in rules.iter().flat_map(YamlNode::entries) {
        entry.read.set(true);
        let path = format!("{key}.{}", entry.key);
        if entry.key != "*" && !groups.contains_key(&entry.key) && !aliases.contains_key(&entry.key) {
            notes.lost(entry.line, &path, "The model is not in `model_list`, or is left out.");
            entry.value.mark_read();
            continue;
        }
        let found = targets(&entry.value, &path, groups, aliases, notes);
        lists.entry(entry.key.clone()).or_default().extend(found);
    }
    lists
}

/// The models of one list of fallbacks.
fn targets(
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

/// `settings.sticky` from the first check that keeps requests together.
fn sticky(router: &YamlNode, notes: &mut ImportNotes) -> Value {
    let ttl = router.get("deployment_affinity_ttl_seconds").and_then(YamlNode::number);
    let ttl = ttl.map(|seconds| whole(seconds).clamp(1, 86_400).into());
    let mut by = None;
    let Some(node) = router.get("optional_pre_call_checks") else { return Value::Null };
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
    by.map_or(Value::Null, |by| object([("by", Some(by.into())), ("ttl", ttl)]))
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
                notes.note(entry.line, &shown, rule.fate, rule.note);
            }
            if let Some(said) = limit_of(entry) {
                notes.near(entry.line, &shown, said);
            }
            report_keys(&entry.value, &shown, &path, skipped, notes);
        } else {
            match rule {
                Some(rule) if matches!(rule.fate, KeyFate::NotNeeded | KeyFate::NoEquivalent) => {
                    notes.note(entry.line, &shown, rule.fate, rule.note);
                }
                Some(_) => notes.lost(entry.line, &shown, "It has no effect here, beside the other keys."),
                None => notes.lost(
                    entry.line,
                    &shown,
                    "The importer does not know this key, or it has no meaning here.",
                ),
            }
        }
    }
}
