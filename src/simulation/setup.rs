//! What is simulated: a routes document, traffic, and what befalls whom.

use std::rc::Rc;

use super::simulated_upstream::{UpstreamProfile, Weather};
use crate::routes::graph::Graph;
use crate::routes::{Issue, compile};
use crate::vocabulary::time::Millis;

/// A world to be run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The routes.
    pub graph: Rc<Graph>,
    /// Deployments as [`DeploymentSelector`] counts them.
    pub ranking: Vec<usize>,
    /// Who asks, where and how often.
    pub traffic: Traffic,
    /// Deployments that are not as others are.
    pub profiles: Vec<(DeploymentSelector, UpstreamProfile)>,
    /// What befalls deployments.
    pub weather: Vec<WeatherSpell>,
    /// What befalls shards and the hub.
    pub object_faults: Vec<ObjectFault>,
    /// For how long requests arrive.
    pub length_ms: Millis,
}

/// Who asks, where and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// How many regions there are.
    pub regions: usize,
    /// Isolates in all of them.
    pub isolates: usize,
    /// Requests in a second at each isolate.
    pub rate: f64,
    /// The part of the requests that is to be streamed.
    pub streamed: f64,
    /// The part of the clients that leave within two seconds.
    pub impatient: f64,
    /// How long isolates live on average; `None`: as long as the world.
    pub lifetime_ms: Option<Millis>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { regions: 3, isolates: 120, rate: 3.0, streamed: 0.7, impatient: 0.0, lifetime_ms: None }
    }
}

/// Deployments, in an order that is the document's, or of a document that is not ours that of their traffic in fair weather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentSelector {
    /// One of them.
    Nth(usize),
    /// All of them.
    All,
}

/// Weather for some time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeatherSpell {
    /// What.
    pub weather: Weather,
    /// Whom it befalls.
    pub who: DeploymentSelector,
    /// In the eyes of which region; `None`: of all.
    pub region: Option<usize>,
    /// From when.
    pub from: Millis,
    /// Until when, exclusive.
    pub until: Millis,
}

/// A time in which something befalls an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectFault {
    /// What.
    pub kind: ObjectFaultKind,
    /// The shard of which region; `None`: all shards and the hub.
    pub region: Option<usize>,
    /// From when.
    pub from: Millis,
    /// Until when, exclusive. Of what happens at once, it says nothing.
    pub until: Millis,
}

/// What befalls an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFaultKind {
    /// It answers so much later.
    Late(Millis),
    /// It refuses reports.
    Overloaded,
    /// It takes reports and never answers.
    Lost,
    /// It is started anew and goes on with what it has stored.
    Evicted,
}

/// The graph of a document, with made-up values for its variables.
///
/// # Errors
/// Every problem of the document.
pub fn graph_of(document: &str) -> Result<Rc<Graph>, Vec<Issue>> {
    let variable = |name: &str| {
        let name = name.to_lowercase().replace('_', "-");
        Some(match name.as_str() {
            _ if name.contains("endpoint") => format!("https://{name}.openai.azure.com"),
            _ if name.ends_with("url") => format!("https://{name}.example/v1"),
            _ if name.ends_with("version") => "2024-10-21".to_owned(),
            _ => format!("made-up-{name}"),
        })
    };
    compile(document, &variable).map(|compiled| Rc::new(compiled.graph))
}

impl Setup {
    /// Fair weather for the routes of this graph.
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

    /// The deployment of that rank. With fewer of them than that, the last one.
    pub fn nth(&self, rank: usize) -> usize {
        self.ranking.get(rank).or(self.ranking.last()).copied().unwrap_or(0)
    }

    /// Whether a deployment is meant.
    pub fn is_selected(&self, who: DeploymentSelector, deployment: usize) -> bool {
        match who {
            DeploymentSelector::All => true,
            DeploymentSelector::Nth(rank) => self.nth(rank) == deployment,
        }
    }
}
