//! `settings`: everything with its default filled in.

use super::Compiler;
use super::policy::{commit, timeouts};
use crate::routes::at::At;
use crate::routes::glob::Glob;
use crate::routes::graph::{Expose, Policy, Settings};
use crate::routes::raw;

impl<'a> Compiler<'a> {
    pub(super) fn settings(&mut self, raw: &'a raw::Settings, at: At<'_>) -> Settings {
        self.warn_without_effect(
            &[
                ("hedge", raw.hedge.is_some()),
                ("sticky", raw.sticky.is_some()),
                ("when_all_ejected", raw.when_all_ejected.is_some()),
            ],
            at,
        );
        let policy = Policy {
            fallback_on: raw.fallback_on.as_deref().map(|list| self.triggers(list, at.key("fallback_on"))),
            retry: raw.retry.as_ref().map(|retry| self.retry(retry, at.key("retry"))),
            timeout: timeouts(raw.timeout.as_ref()),
            commit: raw.commit.map(commit),
        };
        Settings {
            deadline_ms: raw.deadline_ms.map_or(600_000, |limit| limit.0),
            max_attempts: raw.max_attempts.unwrap_or(4),
            policy,
            requirements: self.requirements(raw.min_quality, &raw.require_tags, at),
            on: self.edges(raw.on.as_ref(), at.key("on")).unwrap_or_default(),
            buffer_bytes: raw.buffer_bytes.map_or(16 * 1024 * 1024, |bytes| bytes as usize),
            refresh_ms: u64::from(raw.refresh_seconds.unwrap_or(30)) * 1000,
            expose: expose(&raw.expose),
            cors_origins: raw.cors.iter().flat_map(|cors| &cors.origins).map(Glob::new).collect(),
            keepalive_ms: u64::from(raw.keepalive_ms.unwrap_or(10_000)),
        }
    }
}

fn expose(raw: &raw::Expose) -> Expose {
    Expose {
        request_id: raw.request_id.unwrap_or(true),
        model: raw.model.unwrap_or(true),
        deployment: raw.deployment.unwrap_or(true),
        attempts: raw.attempts.unwrap_or(true),
        trail: raw.trail.unwrap_or(true),
        routes: raw.routes.unwrap_or(true),
        timing: raw.timing.unwrap_or(true),
    }
}
