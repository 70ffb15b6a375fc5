//! The KV namespace with the routes documents.

use worker::Env;

use crate::serve::platform::{PlatformError, StoredText};

/// The binding of the namespace.
const NAMESPACE: &str = "ROUTES";
/// The shortest time for which KV can cache a read near the Worker:
/// <https://developers.cloudflare.com/kv/api/read-key-value-pairs/>
const CACHE_SECONDS: u64 = 30;

/// The document with this key. Without a binding there is none.
pub async fn read(env: &Env, key: &str) -> Result<Option<StoredText>, PlatformError> {
    let Ok(store) = env.kv(NAMESPACE) else { return Ok(None) };
    let get = || store.get(key).cache_ttl(CACHE_SECONDS);
    if let Ok((text, note)) = get().text_with_metadata::<String>().await {
        return Ok(text.map(|text| StoredText { text, note }));
    }
    // Whoever writes the document past the API may give it metadata of another form.
    Ok(get().text().await.map_err(worker::Error::from)?.map(StoredText::from))
}

/// Writes a document.
pub async fn write(env: &Env, key: &str, text: &str, note: Option<&str>) -> Result<(), PlatformError> {
    let write = store(env)?.put(key, text).map_err(worker::Error::from)?;
    let write = match note {
        Some(note) => write.metadata(note).map_err(worker::Error::from)?,
        None => write,
    };
    Ok(write.execute().await.map_err(worker::Error::from)?)
}

/// Removes a document.
pub async fn remove(env: &Env, key: &str) -> Result<(), PlatformError> {
    Ok(store(env)?.delete(key).await.map_err(worker::Error::from)?)
}

fn store(env: &Env) -> Result<worker::kv::KvStore, PlatformError> {
    env.kv(NAMESPACE).map_err(|_| PlatformError::new("there is no binding ROUTES"))
}
