//! How the command line calls others: without redirects, with the certificates of this machine, and
//! with a proxy of the environment only for what is not on this machine.

use std::net::IpAddr;
use std::sync::Arc;

use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::{Agent, Error};

/// The settings of all calls. `is_local`: of those to this machine.
pub fn config(is_local: bool) -> ConfigBuilder<AgentScope> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("switchyard/", env!("CARGO_PKG_VERSION")));
    // A proxy of the environment does not know what runs on this machine.
    if is_local { config.proxy(None) } else { config }
}

/// The same settings with the certificates that this machine trusts. `SSL_CERT_FILE` names others.
pub fn with_tls(config: ConfigBuilder<AgentScope>) -> ConfigBuilder<AgentScope> {
    config.tls_config(tls())
}

/// Whether a host is this machine. An IPv6 address may be in brackets.
pub fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether nobody knows the host. The resolver of the system says so in words alone: those of Rust
/// on Unix, and those of Windows.
pub fn is_unknown_host(error: &Error) -> bool {
    let is_said = |text: &str| {
        text.contains("failed to lookup address information") || text.contains("No such host is known")
    };
    match error {
        Error::HostNotFound => true,
        Error::Io(error) => is_said(&error.to_string()),
        _ => false,
    }
}

fn tls() -> TlsConfig {
    let found = rustls_native_certs::load_native_certs();
    let certificates: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// Whether an error is one of TLS.
pub fn is_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}
