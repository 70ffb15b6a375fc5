//! Variables of the routes document whose values are in Cloudflare's Secrets Store.
//!
//! Such a value has to be asked for, and a document is compiled without a wait. So the values are
//! read before, for the names that the environment does not have as text. A document without such
//! names waits for nothing.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;

use super::isolate_memory::Isolate;
use super::platform::{Platform, PlatformError};
use super::timing::until;
use crate::routes::{Compiled, Issue, compile};
use crate::vocabulary::time::Millis;

/// How long the store may take to answer.
const SECRET_MS: Millis = Millis::new(3_000);

impl Isolate {
    /// Compiles a document with the variables of this platform.
    ///
    /// # Errors
    /// Every issue of the document.
    pub(super) async fn compiled<P: Platform>(
        &self,
        platform: &P,
        document: &str,
    ) -> Result<Compiled, Vec<Issue>> {
        let unread = RefCell::new(BTreeSet::new());
        let result = compile(document, &|name: &str| {
            platform.variable(name).or_else(|| {
                if let Some(known) = self.secrets.borrow().get(name) {
                    return known.clone();
                }
                if platform.has_secret(name) {
                    unread.borrow_mut().insert(name.to_owned());
                }
                None
            })
        });
        let unread = unread.take();
        if unread.is_empty() {
            return result;
        }
        // Behind a pointer, because most documents have none.
        Box::pin(self.read_secrets(platform, unread.into_iter().collect())).await;
        compile(document, &|name: &str| {
            platform.variable(name).or_else(|| self.secrets.borrow().get(name).cloned().flatten())
        })
    }

    /// Reads the known secrets again. Returns whether one has another value now. If the store does
    /// not answer, the known value stays.
    pub(super) async fn refresh_secrets<P: Platform>(&self, platform: &P) -> bool {
        let names: Vec<String> = self.secrets.borrow().keys().cloned().collect();
        !names.is_empty() && Box::pin(self.read_secrets(platform, names)).await
    }

    async fn read_secrets<P: Platform>(&self, platform: &P, names: Vec<String>) -> bool {
        let read = async |name: &str| {
            let late = || Err(PlatformError::new(format!("no answer within {SECRET_MS} ms")));
            let value = until(platform, platform.now() + SECRET_MS, platform.read_secret(name)).await;
            value.unwrap_or_else(late)
        };
        let mut reads: Vec<_> = names.iter().map(|name| (Box::pin(read(name)), None)).collect();
        // All at the same time.
        poll_fn(|context| {
            for (read, value) in reads.iter_mut().filter(|(_, value)| value.is_none()) {
                if let Poll::Ready(found) = read.as_mut().poll(context) {
                    *value = Some(found);
                }
            }
            if reads.iter().all(|(_, value)| value.is_some()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let mut has_changed = false;
        let values = reads.into_iter().filter_map(|(_, value)| value);
        for (name, value) in names.iter().zip(values) {
            let mut secrets = self.secrets.borrow_mut();
            let known = secrets.entry(name.clone()).or_default();
            match value {
                Ok(value) => {
                    has_changed |= *known != value;
                    *known = value;
                }
                Err(error) => {
                    platform.warn(&format!("routes: the Secrets Store does not give {name}: {error}"));
                }
            }
        }
        has_changed
    }
}
