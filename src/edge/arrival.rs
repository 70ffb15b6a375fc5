//! A request as it arrives, before its body is read.

use wasm_bindgen::JsValue;

use super::host::Exchange;
use super::{clock, isolate, js};
use crate::request::credentials;
use crate::vocabulary::facts::Place;
use crate::vocabulary::headers::Headers;
use crate::vocabulary::time::Millis;

/// A request that has just arrived.
pub struct Arrival {
    /// The request itself, for its body, and what belongs to it.
    pub exchange: Exchange,
    /// `POST`, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The raw query.
    pub query: String,
    /// Its headers.
    pub headers: Headers,
    /// When it arrived.
    pub at: Millis,
    /// Our name for it.
    pub id: String,
}

impl Arrival {
    /// Reads what can be read without waiting.
    pub fn of(head: &str, exchange: &Exchange) -> Self {
        let (method, rest) = head.split_once('\n').unwrap_or_default();
        let (url, headers) = rest.split_once('\n').unwrap_or_default();
        // scheme://host/path?query
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let target = after_scheme.split_once('/').map_or("", |(_, rest)| rest);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let id = format!("req_{:016x}{:016x}", isolate::entropy(), isolate::entropy());
        Self {
            method: method.to_owned(),
            path: format!("/{path}"),
            query: query.to_owned(),
            headers: Headers::parse(headers.to_owned()),
            at: clock::now(),
            id,
            exchange: exchange.clone(),
        }
    }

    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The key that came along.
    pub fn key(&self) -> Option<&str> {
        credentials::key(self.header("authorization"), self.header("api-key"))
    }

    /// Where it comes from, as the platform says (`request.cf`), and the client itself (`hint`).
    pub fn place(&self, hint: Option<String>) -> Place {
        let is_behind_worker = self.header("cf-worker").is_some();
        let cf = js_sys::Reflect::get(&self.exchange.request(), &"cf".into()).unwrap_or(JsValue::UNDEFINED);
        if !cf.is_object() {
            return Place { hint, is_behind_worker, ..Place::default() };
        }
        let number = |name| js::string_at(&cf, name)?.parse::<f64>().ok();
        Place {
            continent: js::string_at(&cf, "continent"),
            country: js::string_at(&cf, "country"),
            colo: js::string_at(&cf, "colo"),
            coordinates: number("latitude").zip(number("longitude")),
            hint,
            is_behind_worker,
        }
    }
}
