//! The request body: kept, so that it can be sent to one deployment after another, or, where it is too large for that, sent
//! once as it arrives.
//!
//! A kept body lies in JavaScript, for sending it. What is looked at lies in Wasm as well: all of a short one, and of long JSON an
//! excerpt. An edit is a splice: the host puts the body of an attempt together, and one without an edit copies nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStream, ReadableStreamDefaultReader};

use super::host::Exchange;
use super::js;
use super::task::{self, Told, Wait};
use crate::request::excerpt::{Excerpt, LEFT_OUT};
use crate::request::json_body::{self, Edit, Peek};
use crate::request::multipart::{self, Form};
use crate::request::splice::{Piece, Splice};
use crate::routes::graph::Params;
use crate::vocabulary::client_error::ClientError;

/// So much of a long body is looked at at a time: it stays in the cache of a processor.
const WINDOW_BYTES: usize = 64 * 1024;

/// A request body.
pub struct Body {
    /// What is looked at: all of it, an excerpt, or the first bytes of a body that is sent once.
    known: Excerpt,
    /// What these bytes say.
    content: Content,
    /// How it is sent.
    sending: Sending,
    /// Its whole length, where known.
    length: Option<usize>,
}

/// How a body is to be read.
pub enum Reading {
    /// As JSON.
    Json,
    /// As a form, with its boundary.
    Form(String),
    /// As bytes that may be searched.
    Bytes,
    /// Not at all.
    AsItIs,
}

impl Reading {
    /// By a `content-type` header: as a form, or else as JSON.
    ///
    /// # Errors
    /// Where a form names no boundary.
    pub fn of(content_type: &str) -> Result<Self, ClientError> {
        if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            return Ok(Self::Json);
        }
        let missing =
            || ClientError::InvalidForm("The content-type multipart/form-data names no boundary.".to_owned());
        multipart::boundary(content_type).ok_or_else(missing).map(Self::Form)
    }
}

/// What a body says.
enum Content {
    /// Nothing that is looked at.
    Nothing,
    Json(Peek),
    Form(Form),
}

enum Sending {
    /// Nothing, as often as needed.
    Nothing,
    /// As often as needed: the exchange keeps the same bytes.
    Kept,
    /// Once: what follows the first bytes, until it is sent.
    Once(RefCell<Option<ReadableStream>>),
}

impl Body {
    /// Reads a body. `length` is its `content-length`, `limit` the largest that is kept.
    pub async fn read(
        exchange: &Exchange,
        reading: &Reading,
        length: Option<usize>,
        limit: usize,
    ) -> Result<Self, ClientError> {
        let broken =
            |error: JsValue| ClientError::InvalidJson(format!("The body broke off: {}", js::text_of(&error)));
        let is_long = length.is_none_or(|length| length > limit);
        let Some(stream) = (if is_long { exchange.request().body() } else { None }) else {
            let length = u32::try_from(length.unwrap_or_default()).unwrap_or(u32::MAX);
            let told = Wait::begin(|wait| exchange.read(length, wait)).await.map_err(broken)?;
            let Told::Body(length, short) = told else { return Err(broken(JsValue::UNDEFINED)) };
            return Self::kept(exchange, reading, length, short);
        };
        let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
        // Without a length the body may yet turn out to be small enough to keep; with one it is not, and as much as would be
        // kept is searched for the model.
        let mut bytes = Vec::new();
        while bytes.len() <= limit {
            let Some(piece) = js::read(&reader).await.map_err(broken)? else {
                exchange.keep(&bytes);
                return Self::kept(exchange, reading, bytes.len(), Some(bytes));
            };
            bytes.extend_from_slice(&piece);
        }
        reader.release_lock();
        let content = match reading {
            Reading::Form(boundary) => Form::of_prefix(&bytes, boundary).map(Content::Form),
            Reading::Json => Peek::of_prefix(&bytes).map(Content::Json),
            Reading::Bytes | Reading::AsItIs => Some(Content::Nothing),
        };
        let content = content.ok_or(ClientError::RequestTooLarge { limit: limit as u64 })?;
        let sending = Sending::Once(RefCell::new(Some(stream)));
        Ok(Self { known: bytes.into(), content, sending, length })
    }

    /// A body of so many bytes that the exchange keeps. `here`: all of it, unless that is yet to be asked for.
    fn kept(
        exchange: &Exchange,
        reading: &Reading,
        length: usize,
        here: Option<Vec<u8>>,
    ) -> Result<Self, ClientError> {
        let sending = Sending::Kept;
        if let (Reading::Json, None) = (reading, &here)
            && let Some((known, peek)) = excerpt(exchange, length)
        {
            return Ok(Self { known, content: Content::Json(peek), sending, length: Some(length) });
        }
        let bytes = match reading {
            Reading::AsItIs => Vec::new(),
            Reading::Json | Reading::Form(_) | Reading::Bytes => {
                here.unwrap_or_else(|| exchange.part(0, length))
            }
        };
        let content = match reading {
            Reading::Form(boundary) => {
                let form = Form::of(&bytes, boundary);
                Content::Form(form.map_err(|error| ClientError::InvalidForm(error.to_string()))?)
            }
            Reading::Json => {
                Content::Json(Peek::of(&bytes).map_err(|error| ClientError::InvalidJson(error.to_string()))?)
            }
            Reading::Bytes | Reading::AsItIs if length == 0 => return Ok(Self::none()),
            Reading::Bytes | Reading::AsItIs => Content::Nothing,
        };
        Ok(Self { known: bytes.into(), content, sending, length: Some(length) })
    }

    /// The body of a request that takes none.
    pub fn none() -> Self {
        let (known, content) = (Excerpt::default(), Content::Nothing);
        Self { known, content, sending: Sending::Nothing, length: Some(0) }
    }

    /// The members of a JSON body.
    pub fn json(&self) -> Option<&Peek> {
        match &self.content {
            Content::Json(peek) => Some(peek),
            Content::Form(_) | Content::Nothing => None,
        }
    }

    /// The model that the client wrote.
    pub fn model(&self) -> Option<&str> {
        match &self.content {
            Content::Json(peek) => peek.model.as_deref(),
            Content::Form(form) => form.model.as_deref(),
            Content::Nothing => None,
        }
    }

    /// Whether the client asked for a streamed answer.
    pub fn stream(&self) -> bool {
        match &self.content {
            Content::Json(peek) => peek.is_streamed,
            Content::Form(form) => form.is_streamed,
            Content::Nothing => false,
        }
    }

    /// Whether it can be sent again.
    pub fn replayable(&self) -> bool {
        !matches!(self.sending, Sending::Once(_))
    }

    /// Its bytes, as far as they are looked at.
    pub fn known_bytes(&self) -> &[u8] {
        self.known.text()
    }

    /// The values of those of its JSON members that are named, for rules.
    pub fn fields(&self, exchange: &Exchange, names: &[String]) -> BTreeMap<String, Value> {
        let Content::Json(peek) = &self.content else { return BTreeMap::new() };
        peek.fields(self.known.text(), names, |span| {
            let (start, end) = (self.known.original(span.start), self.known.original(span.end));
            self.known.is_shortened(span).then(|| exchange.part(start, end))
        })
    }

    /// Its whole length, as far as it is known.
    pub fn length(&self) -> usize {
        self.length.unwrap_or(self.known.text().len())
    }

    /// What to send to a deployment that calls its model `model`.
    pub fn for_attempt(&self, model: Option<&str>, params: &Params) -> Result<Outgoing, JsValue> {
        let known = self.known.text();
        let splice = match &self.content {
            Content::Json(peek) => json_body::edit(known, peek, &Edit { model, params }),
            Content::Form(form) => model.map(|model| form.with_model(known.len(), model)),
            Content::Nothing => None,
        };
        Ok(match &self.sending {
            Sending::Nothing => Outgoing { stream: JsValue::NULL, ..Outgoing::default() },
            Sending::Kept => {
                let splice = splice.map(|splice| splice.moved(|at| self.known.original(at)));
                splice.map(Outgoing::spliced).unwrap_or_default()
            }
            Sending::Once(rest) => {
                let rest = rest.borrow_mut().take().ok_or("the body was sent already")?;
                let first = splice.map_or_else(|| known.to_vec(), |splice| splice.apply(known));
                let length =
                    self.length.map(|length| length.saturating_sub(known.len()).saturating_add(first.len()));
                Outgoing { stream: stream(first, rest, length).into(), ..Outgoing::default() }
            }
        })
    }
}

/// An excerpt of the JSON body that the exchange keeps, and what it says. `None` where all of it is needed: where there is little to
/// leave out, where the model's name is too long, and where something is wrong, to say what, and where.
fn excerpt(exchange: &Exchange, length: usize) -> Option<(Excerpt, Peek)> {
    let excerpt = Excerpt::read(length, WINDOW_BYTES, |start, end| exchange.part(start, end))?;
    let peek = Peek::of(excerpt.text()).ok()?;
    let is_shortened = peek.model.as_ref().is_some_and(|model| model.contains(LEFT_OUT));
    (!is_shortened).then_some((excerpt, peek))
}

/// A body as [`super::host::Call::send`] takes it. The default is what the exchange keeps.
#[derive(Default)]
pub struct Outgoing {
    /// Three numbers for each piece.
    pub pieces: Vec<u32>,
    /// What the pieces of the second kind are of.
    pub inserted: Vec<u8>,
    /// A stream, `null` for no body, or `undefined`.
    pub stream: JsValue,
}

impl Outgoing {
    fn spliced(splice: Splice) -> Self {
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let pieces = splice.pieces().iter().flat_map(|piece| match piece {
            Piece::Original(span) => [0, number(span.start), number(span.end)],
            Piece::Inserted(span) => [1, number(span.start), number(span.end)],
        });
        Self { pieces: pieces.collect(), inserted: splice.into_inserted(), stream: JsValue::UNDEFINED }
    }
}

/// A stream of `first` and then `rest`; with its length, where it is known, so that upstreams get a `content-length`.
fn stream(first: Vec<u8>, rest: ReadableStream, length: Option<usize>) -> ReadableStream {
    let (readable, writable) = if let Some(length) = length {
        #[expect(clippy::cast_precision_loss, reason = "bodies are far below 2^53 bytes")]
        let pipe = js::FixedLengthStream::new(length as f64);
        (pipe.readable(), pipe.writable())
    } else {
        let pipe = js::IdentityTransformStream::new();
        (pipe.readable(), pipe.writable())
    };
    task::spawn(async move {
        if js::send(&writable, &first).await.is_ok() {
            // What breaks here breaks the upstream call, which reports it.
            let _ = Wait::of(&rest.pipe_to(&writable)).await;
        }
    });
    readable
}
