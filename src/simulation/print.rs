//! A run as text: its promises, and the traffic over time.

use std::fmt::Write;

use serde_json::{Value, json};

use super::measure::quantile;
use super::promise::{Bound, Promise, short};
use super::scenario::{Scenario, ScenarioRun};
use super::setup::Setup;
use crate::vocabulary::time::Millis;

/// The width of a plot, in columns.
const COLUMNS: u64 = 80;
/// The levels of a plot, from 0 to 100 %.
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A run as text: its promises, and a plot. `coloured`: with colour codes for a terminal.
pub fn text(scenario: &Scenario, run: &ScenarioRun, seed: u64, coloured: bool) -> String {
    let mut text = String::new();
    let paint = |code: &str, word: &str| {
        if coloured { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
    };
    let traffic = &run.setup.traffic;
    let _ = writeln!(text, "{}: {}", paint("1", scenario.name), scenario.about);
    let _ = writeln!(
        text,
        "  {} isolates in {} regions, {} s, {} requests, {} calls, seed {seed}",
        traffic.isolates,
        traffic.regions,
        run.setup.length_ms / 1_000,
        run.log.requests.len(),
        run.log.calls.len()
    );
    let widest = run.promises.iter().map(|promise| promise.what.chars().count()).max().unwrap_or(0);
    for promise in &run.promises {
        let mark = if promise.is_kept() { paint("32", "kept  ") } else { paint("31", "BROKEN") };
        let measured = short(promise.measured);
        let _ = writeln!(text, "  {mark}  {:widest$}  {measured:>8}  {}", promise.what, promise.bound);
    }
    plot(run, &paint, &mut text);
    text
}

/// Plots the share of each deployment in the attempts over time.
fn plot(run: &ScenarioRun, paint: &dyn Fn(&str, &str) -> String, text: &mut String) {
    let setup = &run.setup;
    let column_ms = Millis::new(setup.length_ms.get().div_ceil(COLUMNS)).max(Millis::new(1));
    let columns = setup.length_ms.get().div_ceil(column_ms.get()) as usize;
    let deployments = &setup.graph.deployments;
    let mut sent = vec![vec![0_u32; columns]; deployments.len()];
    for call in &run.log.calls {
        let column = sent
            .get_mut(call.deployment)
            .and_then(|row| row.get_mut((call.at / column_ms.get()).get() as usize));
        if let Some(count) = column {
            *count += 1;
        }
    }
    let totals: Vec<u32> =
        (0..columns).map(|column| sent.iter().filter_map(|row| row.get(column)).sum()).collect();
    let widest = deployments.iter().map(|deployment| deployment.name.chars().count()).max().unwrap_or(0);
    let _ = writeln!(text, "  share of the calls, a column for {} s:", short(column_ms.as_f64() / 1_000.0));
    for (deployment, row) in deployments.iter().zip(&sent) {
        let _ = write!(text, "  {:widest$} ▏", deployment.name);
        for (column, (count, total)) in row.iter().zip(&totals).enumerate() {
            let block = block(*count, *total).to_string();
            let at = column_ms * column as u64;
            let is_bad = is_in_weather(setup, deployment.id, at..at + column_ms);
            text.push_str(&if is_bad { paint("31", &block) } else { block });
        }
        text.push_str("▕\n");
    }
    if !setup.weather.is_empty() {
        let weather = (0..columns).map(|column| {
            let at = column_ms * column as u64;
            let is_bad = |spell: &super::setup::WeatherSpell| spell.from < at + column_ms && at < spell.until;
            if setup.weather.iter().any(is_bad) { '~' } else { ' ' }
        });
        let _ = writeln!(text, "  {:widest$}  {}", "weather", weather.collect::<String>().trim_end());
    }
}

fn is_in_weather(setup: &Setup, deployment: usize, within: std::ops::Range<Millis>) -> bool {
    setup.weather.iter().any(|spell| {
        setup.is_selected(spell.who, deployment) && spell.from < within.end && within.start < spell.until
    })
}

/// A block whose height is the share. A share above 0 is always visible.
fn block(count: u32, total: u32) -> char {
    let height = if total == 0 { 0 } else { (u64::from(count) * 8).div_ceil(u64::from(total)) };
    BLOCKS.get(height as usize).copied().unwrap_or('█')
}

/// A run as JSON: its promises, and the attempts in each second.
pub fn value(scenario: &Scenario, run: &ScenarioRun, seed: u64) -> Value {
    let seconds = run.setup.length_ms.seconds_rounded_up() as usize;
    let mut calls = vec![vec![0_u32; seconds]; run.setup.graph.deployments.len()];
    for call in &run.log.calls {
        if let Some(count) =
            calls.get_mut(call.deployment).and_then(|row| row.get_mut((call.at / 1_000).get() as usize))
        {
            *count += 1;
        }
    }
    let names = run.setup.graph.deployments.iter().map(|deployment| deployment.name.clone());
    let mut waits: Vec<Millis> =
        run.log.requests.iter().filter_map(|request| Some(request.answered_at? - request.at)).collect();
    waits.sort_unstable();
    json!({
        "scenario": scenario.name,
        "about": scenario.about,
        "seed": seed,
        "isolates": run.setup.traffic.isolates,
        "regions": run.setup.traffic.regions,
        "seconds": seconds,
        "requests": run.log.requests.len(),
        "calls": run.log.calls.len(),
        "answered_after_ms": { "p50": quantile(&waits, 0.5), "p99": quantile(&waits, 0.99) },
        "kept": run.promises.iter().all(Promise::is_kept),
        "promises": run.promises.iter().map(of_promise).collect::<Vec<_>>(),
        "calls_per_second": names.zip(calls).collect::<std::collections::BTreeMap<_, _>>(),
    })
}

fn of_promise(promise: &Promise) -> Value {
    let (bound, limit) = match promise.bound {
        Bound::AtMost(limit) => ("at_most", limit),
        Bound::AtLeast(limit) => ("at_least", limit),
    };
    json!({ "what": promise.what, "measured": promise.measured, bound: limit, "kept": promise.is_kept() })
}
