//! What is simulated: a routes document, traffic, and the conditions of deployments and Durable
//! Objects.

use std::rc::Rc;

use super::simulated_upstream::{UpstreamProfile, Weather};
use crate::routes::graph::Graph;
use crate::routes::{Issue, compile};
use crate::vocabulary::time::Millis;

/// The setup of a run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The routes.
    pub graph: Rc<Graph>,
    /// The deployments in the order that [`DeploymentSelector`] uses.
    pub ranking: Vec<usize>,
    /// The traffic.
    pub traffic: Traffic,
    /// Profiles of deployments that differ from the default.
    pub profiles: Vec<(DeploymentSelector, UpstreamProfile)>,
    /// The conditions of deployments.
    pub weather: Vec<WeatherSpell>,
    /// The faults of shards and of the hub.
    pub object_faults: Vec<ObjectFault>,
    /// How long requests arrive.
    pub length_ms: Millis,
}

/// Where requests arrive, how many, and of which kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// The number of regions.
    pub regions: usize,
    /// The number of isolates in all regions.
    pub isolates: usize,
    /// Requests per second at each isolate.
    pub rate: f64,
    /// The fraction of the requests that ask for a stream.
    pub streamed: f64,
    /// The fraction of the clients that leave within two seconds.
    pub impatient: f64,
    /// The average lifetime of an isolate; `None`: as long as the run.
    pub lifetime_ms: Option<Millis>,
    /// Whether an isolate at the end of its lifetime sends nothing any more.
    pub is_killed: bool,
    /// Whether requests are counted. Counters make a few reports that there would not be without
    /// them.
    pub is_counted: bool,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            regions: 3,
            isolates: 120,
            rate: 3.0,
            streamed: 0.7,
            impatient: 0.0,
            lifetime_ms: None,
            is_killed: false,
            is_counted: false,
        }
    }
}

/// Selects deployments. They have the order of the document, or for an external document the order
/// of their traffic under normal conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentSelector {
    /// The deployment with this rank.
    Nth(usize),
    /// All deployments.
    All,
}

/// A condition for a limited time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeatherSpell {
    /// The condition.
    pub weather: Weather,
    /// The deployments that it affects.
    pub who: DeploymentSelector,
    /// The only region that sees it; `None`: all regions see it.
    pub region: Option<usize>,
    /// Its start.
    pub from: Millis,
    /// Its end, exclusive.
    pub until: Millis,
}

/// A fault of a Durable Object for a limited time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectFault {
    /// The kind of the fault.
    pub kind: ObjectFaultKind,
    /// The region of the shard; `None`: all shards and the hub.
    pub region: Option<usize>,
    /// Its start.
    pub from: Millis,
    /// Its end, exclusive. Not used for a fault that happens at one moment.
    pub until: Millis,
}

/// The kind of a fault of a Durable Object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFaultKind {
    /// It answers this much later.
    Late(Millis),
    /// It refuses reports.
    Overloaded,
    /// It accepts reports and never answers.
    Lost,
    /// It restarts from its stored state.
    Evicted,
}

/// The graph of a document, with generated values for its variables.
///
/// # Errors
/// Every problem of the document.
pub fn graph_of(document: &str) -> Result<Rc<Graph>, Vec<Issue>> {
    compile(document, &|name| Some(made_up(name))).map(|compiled| Rc::new(compiled.graph))
}

/// A value for a variable, of a form that suits its name.
pub fn made_up(name: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    match name.as_str() {
        _ if name.contains("endpoint") => format!("https://{name}.openai.azure.com"),
        _ if name.ends_with("url") => format!("https://{name}.example/v1"),
        _ if name.ends_with("version") => "2024-10-21".to_owned(),
        _ => format!("made-up-{name}"),
    }
}

impl Setup {
    /// Normal conditions for the routes of this graph.
    pub fn fair(graph: Rc<Graph>, traffic: Traffic, length_ms: Millis) -> Self {
        let ranking = (0..graph.deployments.len()).collect();
        Self {
            graph,
            ranking,
            traffic,
            profiles: Vec::new(),
            weather: Vec::new(),
            object_faults: Vec::new(),
            length_ms,
        }
    }

    /// The deployment with this rank. If there are fewer deployments, the last one.
    pub fn nth(&self, rank: usize) -> usize {
        self.ranking.get(rank).or(self.ranking.last()).copied().unwrap_or(0)
    }

    /// Whether the selector includes this deployment.
    pub fn is_selected(&self, who: DeploymentSelector, deployment: usize) -> bool {
        match who {
            DeploymentSelector::All => true,
            DeploymentSelector::Nth(rank) => self.nth(rank) == deployment,
        }
    }
}
