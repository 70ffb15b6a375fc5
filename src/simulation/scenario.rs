//! Scenarios: what is simulated under a name, and its promises.

use std::ops::Range;
use std::rc::Rc;

use super::log::Log;
use super::measure::{CountedBy, quantile};
use super::promise::{Promise, Promises};
use super::setup::{DeploymentSelector, Setup, Traffic, WeatherSpell, graph_of};
use super::simulated_upstream::Weather;
use super::world;
use crate::routes::Issue;
use crate::routes::graph::Graph;
use crate::vocabulary::time::Millis;

/// How long an external document is run under normal conditions, to find the deployments with the
/// most traffic.
const WATCHED_MS: Millis = Millis::new(10_000);

/// A scenario that can be run.
#[derive(Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// A description in one sentence.
    pub about: &'static str,
    /// The routes document, unless another one is given.
    pub(super) document: &'static str,
    /// Adds conditions to the normal setup, and sets the length of the run.
    pub(super) shape: fn(&mut Setup),
    /// Adds the promises.
    pub(super) promise: fn(&RunEvidence<'_>, &mut Promises),
}

/// Options that replace parts of a scenario.
#[derive(Debug, Clone, Default)]
pub struct ScenarioOptions {
    /// Another routes document, compiled.
    pub graph: Option<Rc<Graph>>,
    /// Another number of isolates.
    pub isolates: Option<usize>,
    /// The seed of all randomness.
    pub seed: u64,
}

/// A run and its results.
#[derive(Debug)]
pub struct ScenarioRun {
    /// The setup that was simulated.
    pub setup: Setup,
    /// The events.
    pub log: Log,
    /// The promises, with their measured numbers.
    pub promises: Vec<Promise>,
}

/// The data that the promises are checked against.
#[derive(Debug)]
pub struct RunEvidence<'a> {
    pub(super) setup: &'a Setup,
    pub(super) log: &'a Log,
}

impl Scenario {
    /// Runs the scenario.
    ///
    /// # Errors
    /// If the document of the scenario does not compile. A test excludes this.
    pub fn run(&self, choices: &ScenarioOptions) -> Result<ScenarioRun, Vec<Issue>> {
        let setup = self.setup(choices)?;
        let log = world::run(setup.clone(), choices.seed);
        let mut promises = Promises::default();
        let evidence = RunEvidence { setup: &setup, log: &log };
        evidence.promise_always(&mut promises);
        (self.promise)(&evidence, &mut promises);
        Ok(ScenarioRun { promises: promises.all(), setup, log })
    }

    fn setup(&self, choices: &ScenarioOptions) -> Result<Setup, Vec<Issue>> {
        let graph = match &choices.graph {
            Some(graph) => Rc::clone(graph),
            None => graph_of(self.document)?,
        };
        let mut setup = Setup::fair(graph, Traffic::default(), Millis::new(90_000));
        (self.shape)(&mut setup);
        if choices.graph.is_some() {
            setup.ranking = ranking(&setup, choices.seed);
        }
        setup.traffic.isolates = choices.isolates.unwrap_or(setup.traffic.isolates).max(1);
        Ok(setup)
    }
}

/// The deployments of a document, in the order of their traffic, most traffic first.
fn ranking(setup: &Setup, seed: u64) -> Vec<usize> {
    let fair = Setup::fair(Rc::clone(&setup.graph), setup.traffic.clone(), WATCHED_MS);
    let log = world::run(fair, seed);
    let mut ranking: Vec<_> = (0..setup.graph.deployments.len()).collect();
    ranking.sort_by_key(|id| std::cmp::Reverse(log.calls_to(*id, Millis::ZERO..WATCHED_MS).count()));
    ranking
}

impl RunEvidence<'_> {
    /// The deployment with this rank.
    pub(super) fn nth(&self, rank: usize) -> usize {
        self.setup.nth(rank)
    }

    pub(super) fn regions(&self) -> Range<usize> {
        0..self.setup.traffic.regions
    }

    pub(super) fn all(&self) -> Range<Millis> {
        Millis::ZERO..self.setup.length_ms
    }

    /// The time of the first condition.
    pub(super) fn spell(&self) -> Range<Millis> {
        self.setup.weather.first().map_or(Millis::ZERO..Millis::ZERO, |spell| spell.from..spell.until)
    }

    /// The promises that hold in every scenario.
    fn promise_always(&self, promises: &mut Promises) {
        let log = self.log;
        let twice = log.requests.iter().filter(|request| request.answers > 1).count();
        let unanswered = log.requests.iter().filter(|request| request.result.is_none()).count();
        promises.at_most("requests answered twice", twice as f64, 0.0);
        promises.at_most("requests never answered", unanswered as f64, 0.0);
        promises.at_most("attempts in flight at the end", f64::from(log.left_in_flight), 0.0);
        let rate = f64::from(self.setup.graph.settings.health.reports_per_second);
        let reports = log.most_reports_in_a_second(&self.all()) as f64;
        promises.at_most("reports per second at an object", reports, rate * 1.1);
    }

    pub(super) fn promise_no_failure(&self, promises: &mut Promises) {
        let failures = self.log.client_failures(&self.all());
        promises.at_most("client-visible failures", failures as f64, 0.0);
    }

    /// Promises how a deployment comes back after its condition ends, in each region: when it comes
    /// back, and that its traffic grows slowly.
    pub(super) fn promise_return(&self, rank: usize, longest_ms: Millis, promises: &mut Promises) {
        let (id, spell) = (self.nth(rank), self.spell());
        let usual = self.log.sent_share(id, &(spell.start - Millis::new(15_000)..spell.start), None);
        let mut latest_ms = 0.0_f64;
        let (mut first, mut middle, mut last) = (0.0_f64, 0.0_f64, f64::INFINITY);
        for region in self.regions() {
            let after = spell.end..self.setup.length_ms;
            let passed = self.log.first_passed_probe(id, region, &after);
            latest_ms = latest_ms.max(passed.map_or(f64::INFINITY, |at| (at - spell.end).as_f64()));
            let Some(passed) = passed else { continue };
            let share = |from: u64, until: u64| {
                let (from, until) = (Millis::new(from), Millis::new(until));
                self.log.sent_share(id, &(passed + from..passed + until), Some(region)) / usual
            };
            first = first.max(share(0, 2_000));
            middle = middle.max((0..10).map(|at| share(at * 2_000, at * 2_000 + 2_000)).fold(0.0, f64::max));
            last = last.min(share(12_000, 20_000));
        }
        promises.at_most(
            "seconds from its end to a probe that passes",
            latest_ms / 1_000.0,
            longest_ms.as_f64() / 1_000.0,
        );
        promises.at_most("part of the usual share in the first 2 s", first, 0.5);
        promises.at_most("part of the usual share in any 2 s after", middle, 1.5);
        promises.at_least("part of the usual share after 12 s", last, 0.8);
    }

    /// Promises how soon the isolates of each region stop using a deployment.
    pub(super) fn promise_ejection(&self, rank: usize, median_ms: f64, promises: &mut Promises) {
        let (id, spell) = (self.nth(rank), self.spell());
        let times = self.log.times_to_eject(id, &spell);
        let median = quantile(&times, 0.5).as_f64();
        promises.at_most(
            "seconds from a region's first failure to an isolate's last request, median",
            median / 1_000.0,
            median_ms / 1_000.0,
        );
        let longest = times.last().copied().unwrap_or(Millis::ZERO).as_f64();
        promises.at_most("the same, longest", longest / 1_000.0, 2.0);
        let strays = self.log.strays(id, &spell, Millis::new(2_000)) as f64;
        promises.at_most("requests 2 s after that, of isolates that were awake", strays, 0.0);
    }

    /// Promises that no region sends to a deployment, from `grace_ms` after the start of its
    /// condition to its end.
    pub(super) fn promise_silence(&self, rank: usize, grace_ms: Millis, promises: &mut Promises) {
        let spell = self.spell();
        let late = self.log.calls_to(self.nth(rank), spell.start + grace_ms..spell.end).count() as f64;
        promises.at_most(format!("requests to it after {} s", grace_ms / 1_000), late, 0.0);
    }

    pub(super) fn promise_probes(&self, rank: usize, by: CountedBy, promises: &mut Promises) {
        let most = self.log.most_probes_at_once(self.nth(rank), &self.all(), by);
        let place = match by {
            CountedBy::Region => "a region",
            CountedBy::Isolate => "an isolate",
        };
        promises.at_most(format!("probes at a time in {place}"), most as f64, 1.0);
    }
}

impl Setup {
    /// Adds a condition for a deployment, from one second to another.
    pub(super) fn with(&mut self, weather: Weather, who: DeploymentSelector, seconds: Range<u64>) {
        let (from, until) = (Millis::new(seconds.start * 1_000), Millis::new(seconds.end * 1_000));
        self.weather.push(WeatherSpell { weather, who, region: None, from, until });
    }

    /// The same, but only one region sees the condition.
    pub(super) fn with_in(
        &mut self,
        region: usize,
        weather: Weather,
        who: DeploymentSelector,
        seconds: Range<u64>,
    ) {
        let (from, until) = (Millis::new(seconds.start * 1_000), Millis::new(seconds.end * 1_000));
        self.weather.push(WeatherSpell { weather, who, region: Some(region), from, until });
    }
}
