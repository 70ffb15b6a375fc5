//! What arrives: the request, read once, as plain values.

use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::Request;

use super::body::Body;
use super::js;
use crate::request::facts::{Facts, Place};
use crate::time::Millis;
use crate::upstream::Call;

/// A request on its way through.
pub struct Inbound {
    /// What routing may depend on.
    pub facts: Rc<Facts>,
    /// What is to be sent.
    pub body: Body,
    /// Headers that go on to upstreams.
    pub forwarded: Vec<(String, String)>,
    /// The raw query.
    pub query: String,
    /// Name of the entry node.
    pub node: String,
    /// Our name for the request.
    pub request_id: String,
    /// When it arrived.
    pub arrived_at: Millis,
}

impl Inbound {
    /// What an upstream's dialect needs to know of attempt `number`.
    pub fn call(&self, number: u32) -> Call<'_> {
        Call {
            operation: self.facts.operation,
            query: &self.query,
            node: &self.node,
            client: &self.facts.client,
            request_id: &self.request_id,
            attempt: number,
        }
    }
}

/// Where the request comes from, as the platform says (`request.cf`) and the client itself.
pub fn place(request: &Request, hint: Option<String>, behind_worker: bool) -> Place {
    let cf = js_sys::Reflect::get(request, &"cf".into()).unwrap_or(JsValue::UNDEFINED);
    if !cf.is_object() {
        return Place { hint, behind_worker, ..Place::default() };
    }
    let number = |name| js::string_at(&cf, name)?.parse::<f64>().ok();
    Place {
        continent: js::string_at(&cf, "continent"),
        country: js::string_at(&cf, "country"),
        colo: js::string_at(&cf, "colo"),
        coordinates: number("latitude").zip(number("longitude")),
        hint,
        behind_worker,
    }
}
