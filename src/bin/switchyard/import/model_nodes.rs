//! Groups of rows, their fallbacks and aliases become nodes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::model_rows::{ModelRow, object, put};

/// What another deployment could cure: the default of `fallback_on`.
const CURABLE: &[&str] =
    &["rate_limit", "quota", "unavailable", "timeout", "connection", "auth", "not_found", "truncated"];

/// What LiteLLM retries unless a policy says otherwise.
pub const RETRIED: &[&str] = &["rate_limit", "unavailable", "connection", "timeout", "truncated"];

/// The retries of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRetry {
    /// How many.
    pub attempts: u32,
    /// The classes.
    pub on: Vec<&'static str>,
    /// The first wait.
    pub backoff_ms: Option<Value>,
}

/// The rows of one `model_name`.
pub struct ModelGroup {
    /// The rows.
    pub rows: Vec<ModelRow>,
    /// The strategy of the routes document. `weighted` if none.
    pub strategy: Option<&'static str>,
    /// The retries, if any are set.
    pub retry: Option<GroupRetry>,
}

/// Lists of fallbacks, by the model that they are for. `*` is for all that have none.
pub type FallbackLists = BTreeMap<String, Vec<String>>;

/// Everything that nodes are made of.
#[derive(Default)]
pub struct NodeMaker {
    /// The groups, by name.
    pub groups: BTreeMap<String, ModelGroup>,
    /// Other names of groups.
    pub aliases: BTreeMap<String, String>,
    /// General fallbacks.
    pub general: FallbackLists,
    /// Fallbacks of models without their own.
    pub default: Vec<String>,
    /// Fallbacks when the input is too long.
    pub context: FallbackLists,
    /// Fallbacks when a content filter rejects.
    pub content: FallbackLists,
    /// How deep chains are followed.
    pub depth: usize,
    /// Whether tags in requests choose.
    pub filters_tags: bool,
}

impl NodeMaker {
    /// The node of a model or an alias.
    pub fn node(&self, name: &str) -> Value {
        let Some((group, rows)) = self.group(name) else { return Value::Null };
        let chain = self.chain(name, group, &self.general, true);
        let mut on = Map::new();
        for (class, lists) in [("context_window", &self.context), ("content_policy", &self.content)] {
            let chain = self.chain(name, group, lists, false);
            match chain.as_slice() {
                [] => {}
                [one] => drop(on.insert(class.to_owned(), self.place(one))),
                several => {
                    let targets: Vec<Value> = several.iter().map(|name| self.place(name)).collect();
                    let every: Vec<_> = CURABLE.iter().copied().chain([class]).collect();
                    on.insert(class.to_owned(), json!({ "targets": targets, "fallback_on": every }));
                }
            }
        }
        if chain.is_empty() && on.is_empty() {
            return self.group_node(rows);
        }
        let own = std::iter::once(sole(self.group_node(rows)));
        let targets: Vec<Value> = own.chain(chain.iter().map(|name| self.place(name))).collect();
        let mut node = Map::new();
        put(&mut node, "targets", targets.into());
        if !chain.is_empty() {
            // LiteLLM keeps errors of these classes for their own lists, if there are any.
            let carried = [(&self.context, "context_window"), (&self.content, "content_policy")];
            let general = carried.iter().filter(|(lists, _)| lists.is_empty()).map(|(_, class)| *class);
            let every: Vec<_> = CURABLE.iter().copied().chain(["bad_request"]).chain(general).collect();
            put(&mut node, "fallback_on", json!(every));
        }
        put(&mut node, "on", Value::Object(on));
        Value::Object(node)
    }

    /// The most attempts of a request for a model.
    pub fn most_attempts(&self, name: &str) -> u32 {
        let Some((group, rows)) = self.group(name) else { return 0 };
        let lists = [(&self.general, true), (&self.context, false), (&self.content, false)];
        let chains = lists.into_iter().map(|(lists, any)| {
            let groups = self.chain(name, group, lists, any);
            groups
                .iter()
                .filter_map(|name| self.group(name))
                .map(|(_, rows)| group_attempts(rows))
                .sum::<u32>()
        });
        group_attempts(rows) + chains.sum::<u32>()
    }

    fn group(&self, name: &str) -> Option<(&str, &ModelGroup)> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.groups.get_key_value(name).map(|(name, group)| (name.as_str(), group))
    }

    /// The fallbacks of a model in the order in which they are tried, each group once. A fallback
    /// is followed by its own fallbacks.
    fn chain(&self, name: &str, group: &str, lists: &FallbackLists, any: bool) -> Vec<String> {
        let mut seen = BTreeSet::from([group.to_owned()]);
        let mut chain = Vec::new();
        self.follow(name, lists, any, self.depth, &mut seen, &mut chain);
        chain
    }

    fn follow(
        &self,
        name: &str,
        lists: &FallbackLists,
        any: bool,
        depth: usize,
        seen: &mut BTreeSet<String>,
        chain: &mut Vec<String>,
    ) {
        if depth == 0 {
            return;
        }
        let list = lists.get(name).or(any.then_some(&self.default)).or_else(|| lists.get("*"));
        for target in list.into_iter().flatten() {
            let Some((group, _)) = self.group(target) else { continue };
            if seen.insert(group.to_owned()) {
                chain.push(target.clone());
                self.follow(target, lists, any, depth - 1, seen, chain);
            }
        }
    }

    /// A group as a target: by its name, unless its node does more than the group alone.
    fn place(&self, name: &str) -> Value {
        let Some((group, rows)) = self.group(name) else { return Value::Null };
        let leads_on = |lists: &FallbackLists, any| !self.chain(group, group, lists, any).is_empty();
        if leads_on(&self.general, true) || leads_on(&self.context, false) || leads_on(&self.content, false) {
            sole(self.group_node(rows))
        } else {
            group.into()
        }
    }

    /// The node of a group alone.
    fn group_node(&self, group: &ModelGroup) -> Value {
        let all: Vec<&ModelRow> = group.rows.iter().collect();
        if !self.filters_tags {
            return self.tiers(group, &all);
        }
        let tags: BTreeSet<&str> = all.iter().flat_map(|row| &row.tags).map(String::as_str).collect();
        let with = |tag: &str| -> Vec<&ModelRow> {
            all.iter().copied().filter(|row| row.tags.iter().any(|known| known == tag)).collect()
        };
        let cases: Vec<Value> = tags
            .iter()
            .filter(|tag| **tag != "default")
            .map(|tag| {
                let listed = json!([tag, format!("{tag},*"), format!("*,{tag}"), format!("*,{tag},*")]);
                let when = json!({ "header": { "x-litellm-tags": listed } });
                json!({ "when": when, "use": sole(self.tiers(group, &with(tag))) })
            })
            .collect();
        if cases.is_empty() {
            return self.tiers(group, &all);
        }
        let others = if tags.contains("default") { with("default") } else { all };
        json!({ "strategy": "match", "cases": cases, "else": sole(self.tiers(group, &others)) })
    }

    /// A node for each `order`, tried one after the other.
    fn tiers(&self, group: &ModelGroup, rows: &[&ModelRow]) -> Value {
        let mut tiers: BTreeMap<u32, Vec<&ModelRow>> = BTreeMap::new();
        for row in rows {
            tiers.entry(row.order.unwrap_or(u32::MAX)).or_default().push(row);
        }
        let mut nodes: Vec<Value> = tiers.values().map(|rows| self.tier(group, rows)).collect();
        if nodes.len() < 2 {
            return nodes.pop().unwrap_or_default();
        }
        let targets: Vec<Value> = nodes.into_iter().map(sole).collect();
        let every: Vec<_> = CURABLE.iter().copied().chain(["bad_request"]).collect();
        json!({ "targets": targets, "fallback_on": every })
    }

    fn tier(&self, group: &ModelGroup, rows: &[&ModelRow]) -> Value {
        let retry = |retry: &GroupRetry| {
            let on = (retry.attempts > 0).then(|| json!(retry.on));
            object([
                ("attempts", Some(retry.attempts.min(10).into())),
                ("on", on),
                ("backoff_ms", retry.backoff_ms.clone()),
            ])
        };
        let own = |row: &ModelRow| -> Option<GroupRetry> {
            let attempts = row.retries?;
            let like = group.retry.clone();
            let like = like.filter(|like| !like.on.is_empty());
            let like = like.unwrap_or(GroupRetry { attempts, on: RETRIED.to_vec(), backoff_ms: None });
            Some(GroupRetry { attempts, ..like })
        };
        let mut node = Map::new();
        if let [row] = rows {
            put(&mut node, "targets", json!([row.deployment]));
            if let Some(set) = own(row).or(group.retry.clone()) {
                put(&mut node, "retry", retry(&set));
            }
            return Value::Object(node);
        }
        let strategy = group.strategy.unwrap_or("weighted");
        // The first of weight, rpm and tpm that some row has. What a row lacks is 0.
        let metric = (0..3).find(|metric| rows.iter().any(|row| weight(row, *metric) > 0.0));
        let metric = metric.filter(|_| strategy == "weighted");
        // A weight of the document is at most a million; limits may be larger.
        let largest =
            metric.map_or(1.0, |metric| rows.iter().map(|row| weight(row, metric)).fold(1.0, f64::max));
        let scale = (1e6 / largest).min(1.0);
        let is_last = |row: &ModelRow| metric.is_some_and(|metric| weight(row, metric) <= 0.0);
        let some_last = rows.iter().any(|row| is_last(row));
        put(&mut node, "strategy", if some_last { "priority" } else { strategy }.into());
        let targets: Vec<Value> = rows
            .iter()
            .map(|row| {
                let weight = metric
                    .filter(|_| !is_last(row))
                    .map(|metric| super::model_rows::number(weight(row, metric) * scale));
                let priority = some_last.then(|| json!(u32::from(is_last(row))));
                if weight.is_none() && priority.is_none() {
                    return json!(row.deployment);
                }
                object([("use", Some(json!(row.deployment))), ("weight", weight), ("priority", priority)])
            })
            .collect();
        put(&mut node, "targets", targets.into());
        if let Some(retries) = retries_of(group, rows) {
            put(&mut node, "max_attempts", (retries.min(63) + 1).into());
        }
        // Otherwise the classes of a node around this one would count.
        if !self.general.is_empty()
            || !self.default.is_empty()
            || group.rows.len() > rows.len()
            || !self.context.is_empty()
            || !self.content.is_empty()
        {
            put(&mut node, "fallback_on", json!(CURABLE));
        }
        Value::Object(node)
    }
}

/// A node with nothing but one target is that target.
fn sole(node: Value) -> Value {
    let Value::Object(entries) = &node else { return node };
    let targets = entries.get("targets").and_then(Value::as_array);
    match targets.map(Vec::as_slice) {
        Some([one]) if entries.len() == 1 => one.clone(),
        _ => node,
    }
}

fn weight(row: &ModelRow, metric: usize) -> f64 {
    row.metrics.get(metric).copied().flatten().unwrap_or(0.0)
}

/// How often a request is tried again within a tier: a retry goes to another row.
fn retries_of(group: &ModelGroup, rows: &[&ModelRow]) -> Option<u32> {
    let set = group.retry.as_ref().map(|retry| retry.attempts);
    rows.iter().filter_map(|row| row.retries.or(set)).max()
}

/// The most attempts within a group.
fn group_attempts(group: &ModelGroup) -> u32 {
    let mut tiers: BTreeMap<Option<u32>, Vec<&ModelRow>> = BTreeMap::new();
    for row in &group.rows {
        tiers.entry(row.order).or_default().push(row);
    }
    let count = |rows: &[&ModelRow]| u32::try_from(rows.len()).unwrap_or(64);
    let most = |rows: &Vec<&ModelRow>| retries_of(group, rows).unwrap_or(count(rows)).min(63) + 1;
    tiers.values().map(most).fold(0, u32::saturating_add)
}
