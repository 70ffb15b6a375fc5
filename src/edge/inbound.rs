//! What arrives: the request, read once, as plain values.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{ReadableStream, ReadableStreamDefaultReader, Request, WritableStream};

use super::{flow, js};
use crate::reply::error::ClientError;
use crate::request::body::{self, Edit, Peek};
use crate::request::facts::{Facts, Place};
use crate::request::multipart::{self, Form};
use crate::routes::graph::Params;
use crate::time::Millis;
use crate::upstream::Call;

/// Of a body that is too large to keep, this much is searched for its `model`.
const PREFIX_BYTES: usize = 256 * 1024;

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

/// A request body.
pub enum Body {
    /// All of it, to be sent as often as needed.
    Kept {
        /// The bytes, for editing.
        bytes: Vec<u8>,
        /// The same bytes on the side of JavaScript, for sending them as they are.
        original: Uint8Array,
        /// What they say.
        content: Content,
    },
    /// Too large to keep: its beginning, and a stream that can be sent once.
    Once {
        /// What was read to find the model.
        prefix: Vec<u8>,
        /// What the prefix says.
        peek: Peek,
        /// The rest, until it is sent.
        rest: RefCell<Option<ReadableStream>>,
        /// `content-length` of all of it, where known.
        length: Option<usize>,
    },
}

/// What a kept body says.
pub enum Content {
    /// A JSON object.
    Json(Peek),
    /// A multipart form.
    Form(Form),
}

impl Body {
    /// Reads a body. `length` is its `content-length`, `limit` the largest that is kept.
    pub async fn read(
        request: &Request,
        content_type: &str,
        length: Option<usize>,
        limit: usize,
    ) -> Result<Self, ClientError> {
        let unreadable = |error: JsValue| ClientError::InvalidJson(format!("the body broke off: {}", js::text_of(&error)));
        if length.is_some_and(|length| length <= limit) || request.body().is_none() {
            let buffer = request.array_buffer().map(JsFuture::from).map_err(unreadable)?.await.map_err(unreadable)?;
            let original = Uint8Array::new(buffer.unchecked_ref::<ArrayBuffer>());
            return Self::keep(original.to_vec(), original, content_type);
        }
        let Some(stream) = request.body() else { return Err(ClientError::MissingModel) };
        let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
        // Without a length the body may yet turn out to be small.
        let enough = if length.is_some() { PREFIX_BYTES } else { limit };
        let mut prefix = Vec::new();
        while prefix.len() <= enough {
            match js::read(&reader).await.map_err(unreadable)? {
                Some(bytes) => prefix.extend_from_slice(&bytes),
                None => {
                    let original = Uint8Array::from(prefix.as_slice());
                    return Self::keep(prefix, original, content_type);
                }
            }
        }
        reader.release_lock();
        match Peek::of_prefix(&prefix) {
            Some(peek) => Ok(Self::Once { prefix, peek, rest: RefCell::new(Some(stream)), length }),
            None => Err(ClientError::RequestTooLarge { limit: limit as u64 }),
        }
    }

    fn keep(bytes: Vec<u8>, original: Uint8Array, content_type: &str) -> Result<Self, ClientError> {
        let content = if content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            let boundary = multipart::boundary(content_type)
                .ok_or_else(|| ClientError::InvalidForm("the content-type has no boundary".to_owned()))?;
            Content::Form(Form::of(&bytes, &boundary).map_err(|error| ClientError::InvalidForm(error.to_string()))?)
        } else {
            Content::Json(Peek::of(&bytes).map_err(|error| ClientError::InvalidJson(error.to_string()))?)
        };
        Ok(Self::Kept { bytes, original, content })
    }

    /// The JSON members that are known, if it is JSON.
    pub fn peek(&self) -> Option<&Peek> {
        match self {
            Self::Kept { content: Content::Json(peek), .. } | Self::Once { peek, .. } => Some(peek),
            Self::Kept { content: Content::Form(_), .. } => None,
        }
    }

    /// The model that the client wrote.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Kept { content: Content::Form(form), .. } => form.model.as_deref(),
            _ => self.peek()?.model.as_deref(),
        }
    }

    /// Whether the client asked for a streamed answer.
    pub fn stream(&self) -> bool {
        match self {
            Self::Kept { content: Content::Form(form), .. } => form.stream,
            _ => self.peek().is_some_and(|peek| peek.stream),
        }
    }

    /// Whether it can be sent again.
    pub fn replayable(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }

    /// Its bytes, as far as they are known.
    pub fn known_bytes(&self) -> &[u8] {
        match self {
            Self::Kept { bytes, .. } | Self::Once { prefix: bytes, .. } => bytes,
        }
    }

    /// Its whole length, as far as it is known.
    pub fn length(&self) -> usize {
        match self {
            Self::Kept { bytes, .. } => bytes.len(),
            Self::Once { prefix, length, .. } => length.unwrap_or(prefix.len()),
        }
    }

    /// What to send to a deployment that calls its model `model`. Of a body that is sent once only the model is edited,
    /// since the rest of it is not known.
    pub fn for_attempt(&self, model: Option<&str>, params: &Params) -> Result<JsValue, JsValue> {
        let edited = match self {
            Self::Kept { bytes, content: Content::Json(peek), .. } => body::edit(bytes, peek, &Edit { model, params }),
            Self::Kept { bytes, content: Content::Form(form), .. } => model.map(|model| form.with_model(bytes, model)),
            Self::Once { prefix, peek, rest, length } => {
                let rest = rest.borrow_mut().take().ok_or("the body was sent already")?;
                let edit = Edit { model, params: &Params::default() };
                let head = body::edit(prefix, peek, &edit).unwrap_or_else(|| prefix.clone());
                let whole = length.map(|length| length.saturating_sub(prefix.len()).saturating_add(head.len()));
                return Ok(stream(head, rest, whole).into());
            }
        };
        Ok(match (edited, self) {
            (Some(edited), _) => Uint8Array::from(edited.as_slice()).into(),
            (None, Self::Kept { original, .. }) => original.into(),
            (None, Self::Once { .. }) => JsValue::UNDEFINED,
        })
    }
}

/// A stream of `head` and then `rest`; with its length, where it is known, so that upstreams get a `content-length`.
fn stream(head: Vec<u8>, rest: ReadableStream, length: Option<usize>) -> ReadableStream {
    #[expect(clippy::cast_precision_loss, reason = "bodies are far below 2^53 bytes")]
    let (readable, writable): (ReadableStream, WritableStream) = match length {
        Some(length) => {
            let pipe = js::FixedLengthStream::new(length as f64);
            (pipe.readable(), pipe.writable())
        }
        None => {
            let pipe = js::IdentityTransformStream::new();
            (pipe.readable(), pipe.writable())
        }
    };
    spawn_local(async move {
        if flow::send(&writable, &head).await.is_ok() {
            // What breaks here breaks the upstream call, which reports it.
            let _ = JsFuture::from(rest.pipe_to(&writable)).await;
        }
    });
    readable
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
