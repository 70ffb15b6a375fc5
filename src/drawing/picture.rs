//! From the compiled graph to boxes and arrows.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use serde::Serialize;

use super::condition_text::{condition_text, key_text};
use crate::routes::graph::{
    Commit, Deployment, Destination, Graph, HedgeAfter, Node, Requirements, RuleAction, Strategy, Target,
    Upstream,
};
use crate::vocabulary::error_class::ErrorClass;

/// What is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// The version of the routes document.
    pub version: String,
    /// The boxes: rules, then nodes, then deployments.
    pub nodes: Vec<PictureBox>,
    /// The arrows between them.
    pub edges: Vec<Arrow>,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PictureBox {
    /// A letter and a number.
    pub id: String,
    /// What it stands for.
    pub kind: BoxKind,
    /// The name of a model or deployment, or the path in the document.
    pub name: String,
    /// What is said of it.
    pub details: Vec<String>,
    /// The state of a deployment, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ShownState>,
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxKind {
    /// A rule.
    Rule,
    /// The edges of `settings.on`, which hold for every node.
    Settings,
    /// A named node, which clients send as `model`.
    Model,
    /// A node that stands inside of another one.
    InlineNode,
    /// A deployment.
    Deployment,
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShownState {
    /// It serves.
    Serving,
    /// It is being probed.
    Probation,
    /// Failures have ejected it.
    Ejected,
    /// An administrator has taken it out.
    Drained,
    /// A variable is missing or invalid.
    Disabled,
}

impl ShownState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Serving, Self::Probation, Self::Ejected, Self::Drained, Self::Disabled];

    /// Its name in pictures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Probation => "probation",
            Self::Ejected => "ejected",
            Self::Drained => "drained",
            Self::Disabled => "disabled",
        }
    }
}

/// An arrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arrow {
    /// The id of the box where it begins.
    pub from: String,
    /// The id of the box where it ends.
    pub to: String,
    /// Why a request goes this way.
    pub kind: ArrowKind,
    /// The tier, the share, the condition or the error classes. Empty: nothing is to be said.
    pub label: String,
}

/// Why a request goes the way of an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrowKind {
    /// A rule chooses the node.
    Rule,
    /// It is a target.
    Target,
    /// An edge of `on`: after a failure of these classes.
    On,
}

impl Picture {
    /// The picture of a graph. `state_of` says what is known of a deployment.
    pub fn of(graph: &Graph, state_of: &dyn Fn(&Deployment) -> Option<ShownState>) -> Self {
        let mut drawing = Drawing::default();
        for (place, rule) in graph.rules.iter().enumerate() {
            let id = format!("r{place}");
            let mut details = vec![condition_text(&rule.when)];
            match &rule.action {
                RuleAction::Use(node) => drawing.arrow(&id, id_of_node(node), ArrowKind::Rule, String::new()),
                RuleAction::Deny(denial) => {
                    details.push(format!("refused: {} {}", denial.status, denial.code));
                }
            }
            drawing.rule(id, BoxKind::Rule, format!("rule {}", place + 1), details);
        }
        if !graph.settings.on.is_empty() {
            let details = vec!["where no node has an edge".to_owned()];
            drawing.rule("s0".to_owned(), BoxKind::Settings, "settings.on".to_owned(), details);
            drawing.edges("s0", &graph.settings.on);
        }
        for node in graph.models.values() {
            drawing.node(node, BoxKind::Model);
        }
        drawing.inline_nodes();
        let deployments = graph.deployments.iter().map(|deployment| PictureBox {
            id: id_of_deployment(deployment),
            kind: BoxKind::Deployment,
            name: deployment.name.clone(),
            details: details_of_deployment(deployment),
            state: state_of(deployment),
        });
        let Drawing { mut nodes, edges, .. } = drawing;
        nodes.extend(deployments);
        Self { version: graph.version.clone(), nodes, edges }
    }
}

/// A picture under way.
#[derive(Default)]
struct Drawing {
    nodes: Vec<PictureBox>,
    edges: Vec<Arrow>,
    /// The ids of the nodes that have a box.
    drawn: BTreeSet<usize>,
    /// Nodes to which an arrow leads.
    ahead: VecDeque<Rc<Node>>,
}

impl Drawing {
    fn rule(&mut self, id: String, kind: BoxKind, name: String, details: Vec<String>) {
        self.nodes.push(PictureBox { id, kind, name, details, state: None });
    }

    fn arrow(&mut self, from: &str, to: String, kind: ArrowKind, label: String) {
        self.edges.push(Arrow { from: from.to_owned(), to, kind, label });
    }

    /// Draws the nodes that are no models. All models are drawn.
    fn inline_nodes(&mut self) {
        while let Some(node) = self.ahead.pop_front() {
            self.node(&node, BoxKind::InlineNode);
        }
    }

    fn node(&mut self, node: &Rc<Node>, kind: BoxKind) {
        if !self.drawn.insert(node.id) {
            return;
        }
        let id = id_of_node(node);
        self.rule(id.clone(), kind, node.name.clone(), details_of_node(node));
        for (place, target) in node.targets.iter().enumerate() {
            let to = self.end(&target.to);
            self.arrow(&id, to, ArrowKind::Target, label_of_target(node, place, target));
        }
        self.edges(&id, &node.on);
    }

    /// The edges of `on`, one arrow for each destination.
    fn edges(&mut self, from: &str, on: &[(ErrorClass, Destination)]) {
        let mut arrows: Vec<(String, Vec<&str>)> = Vec::new();
        for (class, destination) in on {
            let to = self.end(destination);
            match arrows.iter_mut().find(|(end, _)| *end == to) {
                Some((_, classes)) => classes.push(class.name()),
                None => arrows.push((to, vec![class.name()])),
            }
        }
        for (to, classes) in arrows {
            self.arrow(from, to, ArrowKind::On, classes.join(", "));
        }
    }

    /// The id of the box at the end of an arrow.
    fn end(&mut self, destination: &Destination) -> String {
        match destination {
            Destination::Deployment(deployment) => id_of_deployment(deployment),
            Destination::Node(node) => {
                self.ahead.push_back(Rc::clone(node));
                id_of_node(node)
            }
        }
    }
}

fn id_of_node(node: &Node) -> String {
    format!("n{}", node.id)
}

fn id_of_deployment(deployment: &Deployment) -> String {
    format!("d{}", deployment.id)
}

fn details_of_deployment(deployment: &Deployment) -> Vec<String> {
    let (provider, model) = match &deployment.upstream {
        Upstream::OpenAi { model, .. } => ("openai", model),
        Upstream::Azure { deployment: name, .. } => ("azure", name),
    };
    let via = deployment.via.as_ref().map(|_| "via AI Gateway".to_owned());
    let place = [Some(provider.to_owned()), deployment.region.clone(), via];
    let mut details = vec![model.clone(), place.into_iter().flatten().collect::<Vec<_>>().join(" · ")];
    if !deployment.tags.is_empty() {
        details.push(format!("tags: {}", deployment.tags.join(", ")));
    }
    details
}

fn details_of_node(node: &Node) -> Vec<String> {
    let mut details = vec![node.strategy.name().to_owned()];
    let Requirements { min_quality, require_tags } = &node.requirements;
    if *min_quality > 0 {
        details.push(format!("quality from {min_quality}"));
    }
    if !require_tags.is_empty() {
        details.push(format!("only tags: {}", require_tags.join(", ")));
    }
    match node.policy.commit {
        Some(Commit::Complete) => details.push("commit: complete".to_owned()),
        Some(Commit::Headers) => details.push("commit: headers".to_owned()),
        Some(Commit::FirstToken) | None => {}
    }
    if let Some(hedge) = node.policy.hedge {
        details.push(match hedge.after {
            HedgeAfter::Ms(ms) => format!("hedge after {} ms", ms.get()),
            HedgeAfter::Percentile(percentile) => format!("hedge after p{percentile}"),
        });
    }
    if let Some(sticky) = &node.policy.sticky {
        details.push(format!("sticky by {}", key_text(&sticky.by)));
    }
    details
}

fn label_of_target(node: &Node, place: usize, target: &Target) -> String {
    let share = |among: &[&Target]| {
        let sum: f64 = among.iter().map(|target| target.weight).sum();
        // The weights may all be 0.
        format!("{:.0} %", if sum > 0.0 { target.weight / sum * 100.0 } else { 0.0 })
    };
    let all: Vec<&Target> = node.targets.iter().collect();
    match &node.strategy {
        Strategy::Match(cases) => match cases.get(place) {
            // `else` is a last condition that always holds.
            Some(crate::routes::when::Condition::Always) if place + 1 == cases.len() => "else".to_owned(),
            Some(condition) => condition_text(condition),
            None => String::new(),
        },
        Strategy::Weighted => share(&all),
        Strategy::Priority if all.len() > 1 => {
            let lower: BTreeSet<u32> =
                all.iter().map(|other| other.priority).filter(|other| *other < target.priority).collect();
            let tier: Vec<&Target> =
                all.into_iter().filter(|other| other.priority == target.priority).collect();
            let number = lower.len() + 1;
            if tier.len() > 1 { format!("{number}: {}", share(&tier)) } else { number.to_string() }
        }
        Strategy::Priority
        | Strategy::RoundRobin
        | Strategy::Random
        | Strategy::Latency
        | Strategy::Cost
        | Strategy::LeastBusy
        | Strategy::Nearest => String::new(),
    }
}
