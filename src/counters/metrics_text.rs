//! Counters as text for Prometheus.
//!
//! The order of families, series and labels is always the same.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::counter_set::Counters;
use super::histogram::BOUNDS_MS;
use super::series::{Family, Series};
use super::usage_cells;

/// A format of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// The text format of Prometheus.
    Prometheus,
    /// OpenMetrics.
    OpenMetrics,
}

impl MetricsFormat {
    /// The format for a client that sends this `accept` header.
    pub fn accepted(accept: &str) -> Self {
        let is_open = accept.contains("application/openmetrics-text");
        if is_open { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The value of the `content-type` header.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The state of a deployment in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeploymentState {
    /// It gets its traffic.
    Healthy = 0,
    /// A probe is under way, or it does not get the requests of one operation.
    Partial = 1,
    /// It gets no traffic.
    Out = 2,
}

/// What is true now, beside what has been counted.
#[derive(Debug, Clone, Default)]
pub struct CurrentState<'a> {
    /// The version of the gateway.
    pub version: &'a str,
    /// The version of the routes document.
    pub routes: &'a str,
    /// The region whose view of the deployments this is.
    pub region: &'a str,
    /// The deployments, each with its state, and whether it is drained.
    pub deployments: Vec<(&'a str, DeploymentState, bool)>,
}

/// Which number of a series is shown.
#[derive(Clone, Copy)]
enum Shown {
    /// The number of a cell.
    Count(usize),
    /// Thousandths in a cell.
    Thousandths(usize),
    /// Millionths in a cell.
    Millionths(usize),
    /// A histogram of milliseconds, as seconds.
    Histogram,
    /// A series for each type of token.
    Tokens,
}

/// A metric: its name without `_total`, its unit, what it tells, where it comes from.
struct Metric {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    family: Family,
    labels: &'static [&'static str],
    shown: Shown,
}

const USED_BY: &[&str] = &["client", "model", "deployment"];

/// All metrics of [`Counters`], in their order.
const METRICS: [Metric; 14] = [
    Metric {
        name: "switchyard_requests",
        unit: "",
        help: "Requests that have ended, by outcome: ok, a class of failure, a code of an error, or client_left.",
        family: Family::Requests,
        labels: &["client", "model", "outcome"],
        shown: Shown::Count(0),
    },
    Metric {
        name: "switchyard_request_duration_seconds",
        unit: "seconds",
        help: "The time from the arrival of a request to the end of its answer.",
        family: Family::RequestDuration,
        labels: &["model"],
        shown: Shown::Histogram,
    },
    Metric {
        name: "switchyard_client_duration_seconds",
        unit: "seconds",
        help: "The time from the arrival of a request of a client to the end of its answer.",
        family: Family::ClientDuration,
        labels: &["client"],
        shown: Shown::Histogram,
    },
    Metric {
        name: "switchyard_first_token_seconds",
        unit: "seconds",
        help: "The time from the beginning of the serving attempt to the first token of a stream, where the commit point is the first token.",
        family: Family::FirstToken,
        labels: &["deployment"],
        shown: Shown::Histogram,
    },
    Metric {
        name: "switchyard_attempts",
        unit: "",
        help: "Attempts at deployments, by outcome: ok, a class of failure, abandoned, or drill.",
        family: Family::Attempts,
        labels: &["deployment", "outcome"],
        shown: Shown::Count(0),
    },
    Metric {
        name: "switchyard_attempt_duration_seconds",
        unit: "seconds",
        help: "The time from the dispatch of an attempt to its commit point or failure.",
        family: Family::AttemptDuration,
        labels: &["deployment"],
        shown: Shown::Histogram,
    },
    Metric {
        name: "switchyard_fallbacks",
        unit: "",
        help: "Requests that went on to another deployment, by result: served or failed.",
        family: Family::Fallbacks,
        labels: &["model", "result"],
        shown: Shown::Count(0),
    },
    Metric {
        name: "switchyard_cache_requests",
        unit: "",
        help: "Requests of nodes that keep answers, by what the cache had: hit, miss, or bypass if they do not use it.",
        family: Family::CacheRequests,
        labels: &["model", "result"],
        shown: Shown::Count(0),
    },
    Metric {
        name: "switchyard_ejections",
        unit: "",
        help: "Ejections of deployments, once for each region, by reason.",
        family: Family::Ejections,
        labels: &["deployment", "reason"],
        shown: Shown::Count(0),
    },
    Metric {
        name: "switchyard_tokens",
        unit: "tokens",
        help: "Tokens by type. input includes cached_input, output includes reasoning.",
        family: Family::Usage,
        labels: USED_BY,
        shown: Shown::Tokens,
    },
    Metric {
        name: "switchyard_images",
        unit: "images",
        help: "Images.",
        family: Family::Usage,
        labels: USED_BY,
        shown: Shown::Count(usage_cells::IMAGES),
    },
    Metric {
        name: "switchyard_audio_seconds",
        unit: "seconds",
        help: "The length of audio.",
        family: Family::Usage,
        labels: USED_BY,
        shown: Shown::Thousandths(usage_cells::AUDIO_MS),
    },
    Metric {
        name: "switchyard_characters",
        unit: "characters",
        help: "Characters that were spoken.",
        family: Family::Usage,
        labels: USED_BY,
        shown: Shown::Count(usage_cells::CHARACTERS),
    },
    Metric {
        name: "switchyard_cost_usd",
        unit: "usd",
        help: "What requests cost, in US dollars, by the prices in the routes document.",
        family: Family::Usage,
        labels: USED_BY,
        shown: Shown::Millionths(usage_cells::MICRO_USD),
    },
];

/// The types of tokens, each with its cell.
const TOKENS: [(&str, usize); 4] = [
    ("input", usage_cells::INPUT),
    ("cached_input", usage_cells::CACHED_INPUT),
    ("output", usage_cells::OUTPUT),
    ("reasoning", usage_cells::REASONING),
];

/// The text of the counters and of the current state.
pub fn metrics_text(counters: &Counters, state: &CurrentState<'_>, format: MetricsFormat) -> String {
    let mut page = Page { text: String::new(), format };
    for metric in &METRICS {
        page.metric(counters, metric);
    }
    page.state(state);
    if format == MetricsFormat::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

/// The text while it is written.
struct Page {
    text: String,
    format: MetricsFormat,
}

impl Page {
    /// The lines before the samples of a metric.
    fn begin(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        // In OpenMetrics the family of a counter is called without the suffix of its samples.
        let suffix = match (self.format, kind) {
            (MetricsFormat::Prometheus, "counter") => "_total",
            (MetricsFormat::Prometheus, "info") => "_info",
            _ => "",
        };
        let kind = if (self.format, kind) == (MetricsFormat::Prometheus, "info") { "gauge" } else { kind };
        let _ = writeln!(self.text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
        let has_unit = !unit.is_empty() && name.ends_with(unit);
        if self.format == MetricsFormat::OpenMetrics && has_unit {
            let _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    fn metric(&mut self, counters: &Counters, metric: &Metric) {
        let is_histogram = matches!(metric.shown, Shown::Histogram);
        let kind = if is_histogram { "histogram" } else { "counter" };
        self.begin(metric.name, kind, metric.unit, metric.help);
        let of_family = counters.series().iter().filter(|series| series.key.family == metric.family);
        // Labels that were cut may be equal. So may a name in the document and the label of the
        // series for everything else.
        let mut sorted: BTreeMap<Vec<&str>, Vec<u64>> = BTreeMap::new();
        for Series { key, cells } in of_family {
            let sums =
                sorted.entry(counters.labels_of(*key).collect()).or_insert_with(|| vec![0; cells.len()]);
            for (sum, cell) in sums.iter_mut().zip(cells) {
                *sum = sum.saturating_add(*cell);
            }
        }
        for (values, cells) in sorted {
            let labels: Vec<(&str, &str)> = metric.labels.iter().copied().zip(values).collect();
            self.series(metric, &labels, &cells);
        }
    }

    fn series(&mut self, metric: &Metric, labels: &[(&str, &str)], cells: &[u64]) {
        let name = metric.name;
        let cell = |at: usize| cells.get(at).copied().unwrap_or(0);
        match metric.shown {
            Shown::Histogram => self.histogram(name, labels, cells),
            Shown::Tokens if TOKENS.iter().all(|(_, at)| cell(*at) == 0) => {}
            Shown::Tokens => {
                for (kind, at) in TOKENS {
                    self.sample(&[name, "_total"], labels, Some(("type", kind)), cell(at));
                }
            }
            Shown::Count(at) if metric.family == Family::Usage && cell(at) == 0 => {}
            Shown::Count(at) => self.sample(&[name, "_total"], labels, None, cell(at)),
            Shown::Thousandths(at) | Shown::Millionths(at) if cell(at) == 0 => {}
            Shown::Thousandths(at) => self.sample(&[name, "_total"], labels, None, Decimal(cell(at), 3)),
            Shown::Millionths(at) => self.sample(&[name, "_total"], labels, None, Decimal(cell(at), 6)),
        }
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], cells: &[u64]) {
        let Some((sum, buckets)) = cells.split_first() else { return };
        let mut count = 0_u64;
        let bounds = BOUNDS_MS.iter().map(Some).chain([None]);
        for (bucket, bound) in buckets.iter().zip(bounds) {
            count = count.saturating_add(*bucket);
            let bound = bound.map_or("+Inf".to_owned(), |ms| Decimal(*ms, 3).to_string());
            self.sample(&[name, "_bucket"], labels, Some(("le", &bound)), count);
        }
        self.sample(&[name, "_sum"], labels, None, Decimal(*sum, 3));
        self.sample(&[name, "_count"], labels, None, count);
    }

    fn state(&mut self, state: &CurrentState<'_>) {
        let help = "The state of a deployment in a region: 0 healthy, 1 partial, 2 out.";
        self.begin("switchyard_deployment_state", "gauge", "", help);
        let labels = |deployment| [("deployment", deployment), ("region", state.region)];
        for (deployment, found, _) in &state.deployments {
            self.sample(&["switchyard_deployment_state"], &labels(deployment), None, *found as u64);
        }
        let help = "Whether an administrator has drained a deployment.";
        self.begin("switchyard_deployment_drained", "gauge", "", help);
        for (deployment, _, is_drained) in &state.deployments {
            let is_drained = u64::from(*is_drained);
            self.sample(&["switchyard_deployment_drained"], &labels(deployment), None, is_drained);
        }
        self.begin("switchyard", "info", "", "The version of the gateway and of its routes document.");
        self.sample(&["switchyard_info"], &[("version", state.version), ("routes", state.routes)], None, 1);
    }

    fn sample(
        &mut self,
        name: &[&str],
        labels: &[(&str, &str)],
        last: Option<(&str, &str)>,
        value: impl Display,
    ) {
        for part in name {
            self.text.push_str(part);
        }
        for (at, (label, value)) in labels.iter().copied().chain(last).enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        let _ = writeln!(self.text, "}} {value}");
    }
}

/// A number of thousandths or millionths (`10^-places`), without zeros at the end but with at least
/// one decimal place.
struct Decimal(u64, u32);

impl Display for Decimal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(number, places) = *self;
        let one = 10_u64.pow(places);
        let (mut rest, mut width) = (number % one, places as usize);
        while width > 1 && rest % 10 == 0 {
            (rest, width) = (rest / 10, width - 1);
        }
        write!(formatter, "{}.{rest:0width$}", number / one)
    }
}
