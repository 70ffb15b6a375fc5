//! Compiles `settings` and fills in the defaults.

use super::compiler::Compiler;
use crate::routes::at::At;
use crate::routes::glob::Glob;
use crate::routes::graph::{Ejections, Expose, HealthSharing, Settings, StreamUsage};
use crate::routes::limit_rule::Unreachable;
use crate::routes::raw::{RawEjections, RawExpose, RawHealthSharing, RawSettings, RawUsage};
use crate::vocabulary::time::Millis;

impl<'a> Compiler<'a> {
    pub(super) fn settings(&mut self, raw: &'a RawSettings, at: At<'_>) -> Settings {
        let policy = self.policy(&raw.into(), at);
        let seconds =
            |seconds: Option<u32>, default| Millis::new(1000) * u64::from(seconds.unwrap_or(default));
        let max_stale_ms = seconds(raw.max_stale_seconds, 120);
        Settings {
            deadline_ms: raw.deadline_ms.map_or(Millis::new(600_000), Millis::from),
            max_attempts: raw.max_attempts.unwrap_or(4),
            policy,
            requirements: self.requirements(raw.min_quality, &raw.require_tags, at),
            on: self.edges(raw.on.as_ref(), at.key("on")).unwrap_or_default(),
            buffer_bytes: raw.buffer_bytes.map_or(16 * 1024 * 1024, |bytes| bytes as usize),
            // An isolate with traffic refreshes in the background before the document is stale.
            refresh_ms: seconds(raw.refresh_seconds, 30).min(max_stale_ms / 2),
            max_stale_ms,
            expose: expose(&raw.expose),
            cors_origins: raw.cors.iter().flat_map(|cors| &cors.origins).map(Glob::new).collect(),
            keepalive_ms: Millis::new(u64::from(raw.keepalive_ms.unwrap_or(10_000))),
            health: health(&raw.health),
            log_sample: raw.log.as_ref().and_then(|log| log.sample).unwrap_or(1.0),
            webhooks: self.webhooks(&raw.webhooks, at.key("webhooks")),
            usage: match raw.usage {
                Some(RawUsage::Exact) => StreamUsage::Exact,
                Some(RawUsage::Estimate) | None => StreamUsage::Estimate,
            },
            limits: self.limits(&raw.limits, at.key("limits")),
            limits_unreachable: raw.limits_unreachable.map(Unreachable::from),
        }
    }
}

fn health(raw: &RawHealthSharing) -> HealthSharing {
    let default = HealthSharing::default();
    HealthSharing {
        reports_per_second: raw.reports_per_second.unwrap_or(default.reports_per_second),
        first_snapshot_ms: raw
            .first_snapshot_ms
            .map_or(default.first_snapshot_ms, |ms| Millis::new(u64::from(ms))),
    }
}

impl From<&RawHealthSharing> for RawEjections {
    fn from(raw: &RawHealthSharing) -> Self {
        Self {
            first_ejection_ms: raw.first_ejection_ms,
            longest_ejection_ms: raw.longest_ejection_ms,
            failures_in_a_row: raw.failures_in_a_row,
        }
    }
}

/// When failures eject a deployment: as written, or else as usual. A longest ejection that is
/// shorter than the first one bounds it.
pub(super) fn ejections(raw: &RawEjections, usual: Ejections) -> Ejections {
    let ms = |ms: Option<u32>, usual_ms| ms.map_or(usual_ms, |ms| Millis::new(u64::from(ms)));
    let first_ms = ms(raw.first_ejection_ms, usual.first_ms);
    Ejections {
        first_ms,
        // If only a long first ejection is stated, later ones are not shorter.
        longest_ms: ms(raw.longest_ejection_ms, usual.longest_ms.max(first_ms)),
        failures_in_a_row: raw.failures_in_a_row.unwrap_or(usual.failures_in_a_row),
    }
}

fn expose(raw: &RawExpose) -> Expose {
    let default = Expose::default();
    Expose {
        request_id: raw.request_id.unwrap_or(default.request_id),
        model: raw.model.unwrap_or(default.model),
        deployment: raw.deployment.unwrap_or(default.deployment),
        attempts: raw.attempts.unwrap_or(default.attempts),
        trail: raw.trail.unwrap_or(default.trail),
        routes: raw.routes.unwrap_or(default.routes),
        timing: raw.timing.unwrap_or(default.timing),
        usage: raw.usage.unwrap_or(default.usage),
        cost: raw.cost.unwrap_or(default.cost),
    }
}
