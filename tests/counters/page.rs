//! The text for Prometheus.

use insta::assert_snapshot;
use proptest::prelude::*;
use switchyard::counters::metrics_text::{CurrentState, DeploymentState, MetricsFormat, metrics_text};
use switchyard::counters::{Counters, FinishedRequest};
use switchyard::vocabulary::cache_status::CacheStatus;
use switchyard::vocabulary::usage::Usage;

use crate::times::ms;
use crate::{attempt, served};

fn sample() -> Counters {
    let mut counters = Counters::default();
    let usage = Usage {
        input_tokens: 120,
        cached_input_tokens: 100,
        output_tokens: 45,
        reasoning_tokens: 30,
        ..Usage::default()
    };
    let fallback = FinishedRequest {
        is_fallback: true,
        first_token_ms: Some(ms(430)),
        usage,
        micro_usd: 1_234_560,
        ..served()
    };
    counters.on_request(&fallback, [attempt("openai", "rate_limit", 42), attempt("azure", "ok", 430)]);
    let audio = Usage { audio_ms: 61_250, characters: 12, images: 3, ..Usage::default() };
    counters.on_request(
        &FinishedRequest { client: "batch", usage: audio, ..served() },
        [attempt("azure", "ok", 7)],
    );
    counters.on_request(
        &FinishedRequest {
            client: "",
            model: "",
            outcome: "invalid_api_key",
            deployment: None,
            duration_ms: ms(1),
            ..served()
        },
        [],
    );
    counters.on_request(&FinishedRequest { cache: Some(CacheStatus::Hit), deployment: None, ..served() }, []);
    counters.on_ejection("openai", "rate_limited");
    counters
}

fn state() -> CurrentState<'static> {
    CurrentState {
        version: "1.2.3",
        routes: "a1b2c3",
        region: "weur",
        deployments: vec![
            ("azure", DeploymentState::Healthy, true),
            ("openai", DeploymentState::Out, false),
            ("spare", DeploymentState::Partial, false),
        ],
    }
}

#[test]
fn the_text_format_of_prometheus() {
    assert_snapshot!(metrics_text(&sample(), &state(), MetricsFormat::Prometheus));
}

#[test]
fn open_metrics() {
    assert_snapshot!(metrics_text(&sample(), &state(), MetricsFormat::OpenMetrics));
}

#[test]
fn the_format_is_what_the_client_accepts() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    assert_eq!(MetricsFormat::accepted(prometheus), MetricsFormat::OpenMetrics);
    for plain in ["", "*/*", "text/plain", "text/html,application/xhtml+xml"] {
        assert_eq!(MetricsFormat::accepted(plain), MetricsFormat::Prometheus, "{plain}");
    }
}

#[test]
fn without_the_view_of_a_shard_no_state_is_claimed() {
    let state = CurrentState { deployments: Vec::new(), ..state() };
    let text = metrics_text(&Counters::default(), &state, MetricsFormat::Prometheus);
    assert!(!text.contains("switchyard_deployment_state{"), "{text}");
    assert!(text.contains("switchyard_info{"), "{text}");
}

#[test]
fn values_of_labels_are_escaped() {
    let mut counters = Counters::default();
    counters.on_request(&FinishedRequest { client: "a\"b\\c\nd\té", ..served() }, []);
    let text = metrics_text(&counters, &state(), MetricsFormat::Prometheus);
    assert!(text.contains("client=\"a\\\"b\\\\c\\nd\té\""), "{text}");
}

#[test]
fn equal_labels_are_one_series() {
    // The last one has no room, so it is counted as `other`; a node has that name too.
    let most = switchyard::counters::Family::RequestDuration.most_series();
    let mut named = Counters::default();
    named.on_request(&FinishedRequest { model: "other", ..served() }, []);
    for number in 0..most {
        named.on_request(&FinishedRequest { model: &format!("m{number}"), ..served() }, []);
    }
    let text = metrics_text(&named, &state(), MetricsFormat::Prometheus);
    let lines = text
        .lines()
        .filter(|line| line.starts_with("switchyard_request_duration_seconds_count{model=\"other\"}"));
    assert_eq!(lines.collect::<Vec<_>>(), ["switchyard_request_duration_seconds_count{model=\"other\"} 2"]);
}

/// The samples of a text: name with labels, value.
fn samples(text: &str) -> Vec<(&str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap()).collect()
}

proptest! {
    #[test]
    fn every_line_is_a_sample_and_no_series_comes_twice(
        requests in proptest::collection::vec((".{0,6}", "[a-c\"\\\\\n]{0,3}", 0..4_000_u64, 0..3_000_000_u64), 0..40),
    ) {
        let (mut counters, mut usd) = (Counters::default(), 0);
        for (client, deployment, duration, micro_usd) in &requests {
            let request = FinishedRequest {
                client,
                deployment: Some(deployment),
                duration_ms: ms(*duration),
                micro_usd: *micro_usd,
                ..served()
            };
            counters.on_request(&request, [attempt(deployment, "ok", *duration)]);
            usd += micro_usd;
        }
        for format in [MetricsFormat::Prometheus, MetricsFormat::OpenMetrics] {
            let text = metrics_text(&counters, &state(), format);
            let samples = samples(&text);
            let mut names: Vec<_> = samples.iter().map(|(name, _)| *name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            prop_assert_eq!(names.len(), all);
            for (name, value) in &samples {
                prop_assert!(name.ends_with('}') && value.parse::<f64>().is_ok(), "{} {}", name, value);
            }
            // Money is exact to the last digit.
            let micro = |value: &str| {
                let (whole, part) = value.split_once('.').unwrap();
                whole.parse::<u64>().unwrap() * 1_000_000 + format!("{part:0<6}").parse::<u64>().unwrap()
            };
            let costs = samples.iter().filter(|(name, _)| name.starts_with("switchyard_cost_usd_total"));
            prop_assert_eq!(costs.map(|(_, value)| micro(value)).sum::<u64>(), usd);
        }
    }
}
