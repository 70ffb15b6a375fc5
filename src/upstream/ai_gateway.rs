//! Cloudflare AI Gateway as the way to a provider.
