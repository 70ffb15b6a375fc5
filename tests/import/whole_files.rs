//! Whole configurations, as people run them. Each file in `files/` has a table beside it that says
//! where its requests go. [`tables`] reads the tables, and `files/README.md` explains them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;

use switchyard::attempt::failure::Failure;
use switchyard::attempt::machine::{Action, Machine, MachineEvent, Reply};
use switchyard::attempt::phase::{LimitKind, Phase};
use switchyard::health::{Health, Outcome, Sample};
use switchyard::routes::graph::Graph;
use switchyard::vocabulary::error_class::ErrorClass;
use switchyard::vocabulary::time::Instant;

use super::graphs::{self, Isolate};
use super::tables::{Case, End, Expected, State, arguments, table};
use super::times::{at, ms};
use super::{Imported, import_with};

/// The configurations, by name.
pub fn configurations() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/import/files");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// The table beside a configuration.
pub fn table_of(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/import/files");
    std::fs::read_to_string(folder.join(format!("{name}.cases"))).unwrap()
}

/// What one request did.
struct Went {
    tried: Vec<String>,
    end: End,
}

/// An isolate that serves requests, in virtual time.
struct World {
    graph: Rc<Graph>,
    isolate: Isolate,
    now: Instant,
}

impl World {
    fn new(graph: &Rc<Graph>, seed: u64) -> Self {
        let mut isolate = Isolate::new(graph, seed);
        isolate.health = Health::of(&graph.deployments);
        Self { graph: Rc::clone(graph), isolate, now: at(1_000_000) }
    }

    fn request(&mut self, case: &Case) -> Went {
        let Some(entry) = self.graph.models.get(&case.model) else {
            return Went { tried: Vec::new(), end: End::Unknown };
        };
        let mut facts = graphs::facts();
        facts.model.clone_from(&case.model);
        facts.is_streamed = case.is_streamed;
        facts.headers.clone_from(&case.headers);
        facts.input_tokens = case.tokens;
        facts.needs = case.needs;
        let mut tried: Vec<String> = Vec::new();
        let (graph, entry) = (Rc::clone(&self.graph), Rc::clone(entry));
        let facts = Rc::new(facts);
        let (mut machine, mut action) =
            Machine::start(graph, facts, &entry, &mut self.isolate.context(self.now));
        let mut last = None;
        for _ in 0..1_000 {
            let event = match action {
                Action::Dispatch(dispatch) => {
                    let name = dispatch.deployment.name.clone();
                    let state = case.state_of(&name, tried.iter().filter(|other| **other == name).count());
                    tried.push(name);
                    let number = dispatch.number;
                    let phase = if case.is_streamed { Phase::FirstToken } else { Phase::Headers };
                    let limit = dispatch.limits.of(phase, self.now);
                    let fails = match state {
                        State::Serves => {
                            self.now += ms(200);
                            None
                        }
                        State::Takes(time) if self.now + time < limit.at => {
                            self.now += time;
                            None
                        }
                        State::Takes(_) => {
                            self.now = limit.at;
                            // The failure of the request that the client reads.
                            last = Some(match limit.kind {
                                LimitKind::Deadline => End::Late,
                                _ => End::Fails(ErrorClass::Timeout),
                            });
                            Some(Failure::late(limit.kind))
                        }
                        State::Fails(class, hint_ms) => {
                            self.now += ms(50);
                            last = Some(End::Fails(class));
                            Some(Failure { hint_ms, ..Failure::silent(class, "scripted") })
                        }
                    };
                    match fails {
                        None => MachineEvent::Committed { number, status: 200 },
                        Some(failure) => MachineEvent::Failed { number, failure },
                    }
                }
                Action::Sleep { ms } => {
                    self.now += ms;
                    MachineEvent::SleepElapsed
                }
                Action::Reply(reply) => {
                    if let Some(ticket) = machine.take_ticket() {
                        let first_token_ms = case.is_streamed.then_some(ms(100));
                        let sample = Sample { first_token_ms, ..Sample::of(Outcome::Served) };
                        self.isolate.health.record(ticket, &sample, self.now, &mut self.isolate.rng);
                    }
                    let end = match reply {
                        Reply::Pass => End::Served,
                        Reply::NoneEligible => End::Nobody,
                        Reply::DeadlineExceeded => End::Late,
                        Reply::Exhausted | Reply::Refused => last.unwrap_or(End::Nobody),
                    };
                    return Went { tried, end };
                }
                Action::Wait | Action::Stop => panic!("{}: {tried:?}", case.line),
            };
            action = machine.on(event, &mut self.isolate.context(self.now));
        }
        panic!("{}: the machine does not stop: {tried:?}", case.line);
    }
}

/// What is wrong with a case.
fn problem(case: &Case, graph: &Rc<Graph>, imported: &Imported) -> Option<String> {
    for key in &case.differs {
        let said = imported.notes(key);
        if !said.iter().any(|note| note["fate"] == "approximated" || note["fate"] == "no_equivalent") {
            return Some(format!("the report does not say that `{key}` differs"));
        }
    }
    match &case.expected {
        Expected::Tried(order, end) => (1..=8).find_map(|seed| {
            let mut world = World::new(graph, seed);
            for _ in 1..case.count {
                world.request(case);
                world.now += ms(case.pause_ms);
            }
            let went = world.request(case);
            let fits = order.fits(&went.tried) && went.end == *end;
            (!fits).then(|| format!("got {} ({:?})", went.tried.join(" "), went.end))
        }),
        Expected::Shares(shares) => {
            let mut world = World::new(graph, 7);
            let mut first = std::collections::BTreeMap::new();
            for _ in 0..1000 {
                let went = world.request(case);
                if let Some(name) = went.tried.into_iter().next() {
                    *first.entry(name).or_insert(0_u32) += 1;
                }
                world.now += ms(case.pause_ms);
            }
            let fits = shares.iter().all(|(name, percent)| {
                let got = first.get(name).copied().unwrap_or(0);
                got.abs_diff(percent * 10) <= 50
            });
            (!fits).then(|| format!("got {first:?} of 1000"))
        }
    }
}

#[test]
fn each_configuration_routes_as_its_table_says() {
    let mut problems = String::new();
    let mut cases = 0;
    let all = configurations();
    for (name, content) in &all {
        let path = format!("tests/import/files/{name}.cases");
        let text = table_of(name);
        let imported = import_with(content, &arguments(&text));
        let graph = imported.graph();
        let found = table(&text).unwrap_or_else(|error| panic!("{path}:{error}"));
        assert!(found.len() >= 3, "{path} has {} cases", found.len());
        for case in &found {
            cases += 1;
            if let Some(problem) = problem(case, &graph, &imported) {
                let _ = write!(problems, "\n{path}:{}: {problem}\n  {}", case.number, case.line);
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
    assert!(all.len() >= 20 && cases >= 100, "{} files, {cases} cases", all.len());
}
