//! The KV namespace with the routes documents.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use worker::Env;

use crate::serve::platform::{PlatformError, StoredText};

/// The binding of the namespace.
const NAMESPACE: &str = "ROUTES";
/// The shortest time for which KV can cache a read near the Worker:
/// <https://developers.cloudflare.com/kv/api/read-key-value-pairs/>
const CACHE_SECONDS: u64 = 30;

/// The metadata of a document, if it is a text. Whoever writes the document past the API may give
/// it metadata of any form.
struct DocumentMetadata(Option<String>);

impl<'de> Deserialize<'de> for DocumentMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyForm)
    }
}

struct AnyForm;

impl<'de> Visitor<'de> for AnyForm {
    type Value = DocumentMetadata;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("metadata")
    }

    fn visit_str<E>(self, text: &str) -> Result<DocumentMetadata, E> {
        Ok(DocumentMetadata(Some(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<DocumentMetadata, E> {
        Ok(DocumentMetadata(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<DocumentMetadata, E> {
        Ok(DocumentMetadata(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<DocumentMetadata, E> {
        Ok(DocumentMetadata(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<DocumentMetadata, A::Error> {
        Ok(DocumentMetadata(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<DocumentMetadata, A::Error> {
        Ok(DocumentMetadata(None))
    }
}

/// The document with this key. Without a binding there is none.
pub async fn read(env: &Env, key: &str) -> Result<Option<StoredText>, PlatformError> {
    let Ok(store) = env.kv(NAMESPACE) else { return Ok(None) };
    let read = store.get(key).cache_ttl(CACHE_SECONDS).text_with_metadata::<DocumentMetadata>();
    let (text, metadata) = read.await.map_err(worker::Error::from)?;
    let note = metadata.and_then(|DocumentMetadata(note)| note);
    Ok(text.map(|text| StoredText { text, note }))
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
