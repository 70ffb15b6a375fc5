//! `switchyard import`: that a configuration of LiteLLM becomes a document that routes as LiteLLM
//! does, and that nothing of it is dropped in silence.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_collect,
    reason = "tests"
)]

mod articles;
mod failover;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../graphs/mod.rs"]
mod graphs;
mod import_report;
mod importer;
mod nothing_is_lost;
mod selection;
mod tables;
#[allow(dead_code, reason = "each of the test files uses a part of it")]
#[path = "../times/mod.rs"]
mod times;
mod whole_files;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use graphs::Isolate;
use serde_json::Value;
use switchyard::attempt::failure::Failure;
use switchyard::attempt::machine::{Action, Machine, MachineEvent};
use switchyard::routes::compile;
use switchyard::routes::graph::Graph;
use switchyard::vocabulary::error_class::ErrorClass;
use times::at;

/// A path that no other test uses.
fn fresh_path(ending: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("import");
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(format!("{}-{number}{ending}", std::process::id()))
}

/// Runs the command on a file with this content.
fn command(content: &[u8], arguments: &[&str]) -> Output {
    let path = fresh_path(".yaml");
    std::fs::write(&path, content).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    let output = command.arg("import").arg(&path).args(arguments).output().unwrap();
    std::fs::remove_file(path).unwrap();
    output
}

/// The report on a file, with the document.
struct Imported {
    report: Value,
}

impl Imported {
    fn document(&self) -> &Value {
        &self.report["document"]
    }

    /// The notes about a key.
    fn notes(&self, key: &str) -> Vec<&Value> {
        self.report["notes"].as_array().unwrap().iter().filter(|note| note["key"] == key).collect()
    }

    #[track_caller]
    fn assert_note(&self, key: &str, fate: &str, line: usize) {
        let found = self.notes(key);
        let is_there = found.iter().any(|note| note["fate"] == fate && note["line"] == line);
        assert!(is_there, "{key} {fate} {line}: {:#}", self.report);
    }

    /// The document as a graph. Every variable has a value that is valid where it stands.
    fn graph(&self) -> Rc<Graph> {
        let env = |name: &str| {
            Some(match name {
                _ if name.contains("ENDPOINT") || name.contains("BASE") => {
                    format!("https://{}.example.com", name.to_lowercase().replace('_', "-"))
                }
                _ if name.contains("VERSION") => "2024-10-21".to_owned(),
                _ => format!("value-of-{name}"),
            })
        };
        let compiled =
            compile(&self.document().to_string(), &env).unwrap_or_else(|issues| panic!("{issues:#?}"));
        assert!(compiled.warnings.is_empty(), "{:#?}", compiled.warnings);
        Rc::new(compiled.graph)
    }

    /// The deployments that a request tries, if its attempts fail with these classes and the one
    /// after them succeeds.
    fn tried(&self, model: &str, fails: &[ErrorClass]) -> Vec<String> {
        self.tried_with(model, fails, &[], 1)
    }

    fn tried_with(
        &self,
        model: &str,
        fails: &[ErrorClass],
        headers: &[(&str, &str)],
        seed: u64,
    ) -> Vec<String> {
        let graph = self.graph();
        let entry = graph.models.get(model).unwrap_or_else(|| panic!("no model {model}: {:#}", self.report));
        let mut facts = graphs::facts();
        facts.headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut isolate = Isolate::new(&graph, seed);
        let mut now = at(1_000_000);
        let mut fails = fails.iter();
        let mut tried = Vec::new();
        let (mut machine, mut action) =
            Machine::start(Rc::clone(&graph), Rc::new(facts), entry, &mut isolate.context(now));
        for _ in 0..1_000 {
            let event = match action {
                Action::Dispatch(dispatch) => {
                    tried.push(dispatch.deployment.name.clone());
                    let number = dispatch.number;
                    match fails.next() {
                        None => MachineEvent::Committed { number, status: 200 },
                        Some(class) => {
                            MachineEvent::Failed { number, failure: Failure::silent(*class, "scripted") }
                        }
                    }
                }
                Action::Wait => panic!("nothing is under way: {tried:?}"),
                Action::Sleep { ms } => {
                    now += ms;
                    MachineEvent::SleepElapsed
                }
                Action::Reply(_) => MachineEvent::SleepElapsed,
                Action::Stop => return tried,
            };
            action = machine.on(event, &mut isolate.context(now));
        }
        panic!("the machine does not stop: {tried:?}");
    }

    /// How many of 1000 requests each of these deployments gets.
    fn shares(&self, model: &str, deployments: &[&str]) -> Vec<usize> {
        let first: Vec<String> =
            (0..1000).map(|seed| self.tried_with(model, &[], &[], seed).swap_remove(0)).collect();
        deployments.iter().map(|name| first.iter().filter(|first| first == name).count()).collect()
    }
}

#[track_caller]
fn import(content: &str) -> Imported {
    import_with(content, &[])
}

#[track_caller]
fn import_with(content: &str, arguments: &[&str]) -> Imported {
    let output = command(content.as_bytes(), &[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(output.status.code(), Some(0), "{said}{report:#}");
    Imported { report }
}
