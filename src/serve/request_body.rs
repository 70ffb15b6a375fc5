//! The body of a request: what is known about it, and how it is sent to an upstream.
//!
//! The platform buffers the bytes. The core reads a short body completely, and an excerpt of a long
//! JSON body. An edit is a splice: the platform assembles the body of an attempt, and does not copy
//! a body without an edit. A body that is too large for the buffer is sent once, as it arrives. If
//! its model was read, the rest is watched for another one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use serde_json::Value;

use super::platform::{BodyLimits, BodyStart, OutgoingBody, Platform, UploadError};
use crate::request::body_needs;
use crate::request::body_watch::BodyWatch;
use crate::request::excerpt::{Excerpt, LEFT_OUT};
use crate::request::json_body::{self, Edit, Peek};
use crate::request::multipart::{self, Form};
use crate::routes::graph::Params;
use crate::routes::reads::Reads;
use crate::routes::text_pattern::LOOKED_AT_BYTES;
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::needs::Needs;
use crate::vocabulary::time::{Instant, Millis};

/// How much of a long body is read at a time. This size fits into the cache of a processor.
const WINDOW_BYTES: usize = 64 * 1024;

/// The most bytes that the bodies of all requests of an isolate hold together. The memory of an
/// isolate ends at 128 MiB, and a body that is sent is copied once more.
const HELD_BYTES: usize = 65 * 1024 * 1024;

/// The body of a request.
pub struct RequestBody {
    /// The bytes that the core has: all, an excerpt, or the first bytes of a body that is sent
    /// once.
    known: Excerpt,
    /// The parsed content of these bytes.
    meaning: BodyMeaning,
    /// How the body is sent.
    sending: Sending,
    /// The whole length, if it is known.
    length: Option<usize>,
}

/// How a body is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// As JSON.
    Json,
    /// As a form, with its boundary.
    Form(String),
    /// As bytes that can be searched.
    Bytes,
    /// The core does not read it.
    Opaque,
}

impl Reading {
    /// Chosen by the `content-type` header: a form, or otherwise JSON.
    ///
    /// # Errors
    /// If a form has no boundary.
    pub fn of(content_type: &str) -> Result<Self, ClientError> {
        if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            return Ok(Self::Json);
        }
        let missing =
            || ClientError::InvalidForm("The content-type multipart/form-data names no boundary.".to_owned());
        multipart::boundary(content_type).ok_or_else(missing).map(Self::Form)
    }
}

/// The parsed content of a body.
enum BodyMeaning {
    /// The body is not parsed.
    Unread,
    Json(Peek),
    Form(Form),
}

enum Sending {
    /// There is no body.
    Empty,
    /// The body can be sent many times, because the platform buffers it.
    Repeatable,
    /// The body can be sent once.
    Once {
        is_sent: Cell<bool>,
        /// When all of it was sent.
        sent_at: Cell<Option<Instant>>,
        /// Reads the rest, if the first bytes name a model.
        watch: Option<Rc<BodyWatch>>,
    },
}

/// The error for a body that can be sent once and was already sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadySent;

impl RequestBody {
    /// Reads a body. `length`: its `content-length`. `limit`: the size of the largest body that is
    /// buffered. `within_ms`: how long the body may take to arrive.
    ///
    /// # Errors
    /// If the body breaks off, is late, is not valid, or is too large to find the model in it, or
    /// if the isolate has no room for it.
    pub async fn read<P: Platform>(
        platform: &P,
        reading: &Reading,
        length: Option<usize>,
        limit: usize,
        within_ms: Millis,
    ) -> Result<Self, ClientError> {
        let failed = |error| match error {
            UploadError::Broken(error) => ClientError::InvalidJson(format!("The body broke off: {error}")),
            UploadError::Late => ClientError::RequestTimeout { after_ms: within_ms },
            UploadError::NoRoom => ClientError::TooManyBodies,
        };
        let part = |start, end| platform.body_part(start, end);
        let limits = BodyLimits { until: platform.now() + within_ms, held_bytes: HELD_BYTES };
        if let Some(length) = length.filter(|length| *length <= limit) {
            let received = platform.read_body(length, limits).await.map_err(failed)?;
            return Self::repeatable(&part, reading, received.length, received.bytes);
        }
        // Without a length the body may still be small enough to buffer. With a length it is too
        // large. Then the first `limit` bytes are searched for the model.
        match platform.read_body_start(limit, limits).await.map_err(failed)? {
            BodyStart::Whole(bytes) => Self::repeatable(&part, reading, bytes.len(), Some(bytes)),
            BodyStart::Long(bytes) => Self::sent_once(reading, bytes, length, limit),
        }
    }

    /// A body that is here as a whole. `limit`: the size of the largest body that is buffered.
    ///
    /// # Errors
    /// If the body is not valid, or is too large to find the model in it.
    pub fn of_bytes(reading: &Reading, mut bytes: Vec<u8>, limit: usize) -> Result<Self, ClientError> {
        let length = bytes.len();
        if length <= limit {
            return Self::repeatable(&|_, _| Vec::new(), reading, length, Some(bytes));
        }
        bytes.truncate(limit.saturating_add(1));
        Self::sent_once(reading, bytes, Some(length), limit)
    }

    /// A body that is sent once. `bytes`: the first bytes, more than the limit.
    fn sent_once(
        reading: &Reading,
        bytes: Vec<u8>,
        length: Option<usize>,
        limit: usize,
    ) -> Result<Self, ClientError> {
        let too_large = ClientError::RequestTooLarge { limit: limit as u64 };
        let (meaning, watch) = match reading {
            Reading::Form(boundary) => {
                let form = Form::of_prefix(&bytes, boundary).ok_or(too_large)?;
                let watch = BodyWatch::form(&bytes, form.model_count(), boundary);
                (BodyMeaning::Form(form), Some(watch.map_err(|fault| fault.error(true))?))
            }
            Reading::Json => {
                let peek = Peek::of_prefix(&bytes).ok_or(too_large)?;
                let watch = BodyWatch::json(&bytes, peek.model_count(&bytes));
                (BodyMeaning::Json(peek), Some(watch.map_err(|fault| fault.error(false))?))
            }
            Reading::Bytes | Reading::Opaque => (BodyMeaning::Unread, None),
        };
        let sending =
            Sending::Once { is_sent: Cell::new(false), sent_at: Cell::new(None), watch: watch.map(Rc::new) };
        Ok(Self { known: bytes.into(), meaning, sending, length })
    }

    /// A body that the platform buffers. `bytes`: the whole body, or `None` if it must be requested
    /// from the platform.
    fn repeatable(
        part: &dyn Fn(usize, usize) -> Vec<u8>,
        reading: &Reading,
        length: usize,
        bytes: Option<Vec<u8>>,
    ) -> Result<Self, ClientError> {
        let sending = Sending::Repeatable;
        if let (Reading::Json, None) = (reading, &bytes)
            && let Some((known, peek)) = excerpt(part, length)
        {
            return Ok(Self { known, meaning: BodyMeaning::Json(peek), sending, length: Some(length) });
        }
        let bytes = match reading {
            Reading::Opaque => Vec::new(),
            Reading::Json | Reading::Form(_) | Reading::Bytes => bytes.unwrap_or_else(|| part(0, length)),
        };
        let meaning = match reading {
            Reading::Form(boundary) => {
                let form = Form::of(&bytes, boundary);
                BodyMeaning::Form(form.map_err(|error| ClientError::InvalidForm(error.to_string()))?)
            }
            Reading::Json => BodyMeaning::Json(
                Peek::of(&bytes).map_err(|error| ClientError::InvalidJson(error.to_string()))?,
            ),
            Reading::Bytes | Reading::Opaque if length == 0 => return Ok(Self::empty()),
            Reading::Bytes | Reading::Opaque => BodyMeaning::Unread,
        };
        Ok(Self { known: bytes.into(), meaning, sending, length: Some(length) })
    }

    /// The body of a request that has none.
    pub fn empty() -> Self {
        Self {
            known: Excerpt::default(),
            meaning: BodyMeaning::Unread,
            sending: Sending::Empty,
            length: Some(0),
        }
    }

    /// The members of a JSON body.
    pub fn json(&self) -> Option<&Peek> {
        match &self.meaning {
            BodyMeaning::Json(peek) => Some(peek),
            BodyMeaning::Form(_) | BodyMeaning::Unread => None,
        }
    }

    /// The model that the client names.
    pub fn model(&self) -> Option<&str> {
        match &self.meaning {
            BodyMeaning::Json(peek) => peek.model.as_deref(),
            BodyMeaning::Form(form) => form.model.as_deref(),
            BodyMeaning::Unread => None,
        }
    }

    /// Whether the client asked for a streamed answer.
    pub fn stream(&self) -> bool {
        match &self.meaning {
            BodyMeaning::Json(peek) => peek.is_streamed,
            BodyMeaning::Form(form) => form.is_streamed,
            BodyMeaning::Unread => false,
        }
    }

    /// Whether the body can be sent again.
    pub fn is_replayable(&self) -> bool {
        !matches!(self.sending, Sending::Once { .. })
    }

    /// What reads the rest of a body on its way.
    pub fn watch(&self) -> Option<&Rc<BodyWatch>> {
        match &self.sending {
            Sending::Once { watch, .. } => watch.as_ref(),
            Sending::Empty | Sending::Repeatable => None,
        }
    }

    /// Notes that a body that is sent once has been sent.
    pub fn on_upload_end(&self, now: Instant) {
        if let Sending::Once { sent_at, .. } = &self.sending {
            sent_at.set(Some(now));
        }
    }

    /// When a body that is sent once had been sent. `None` for all other bodies.
    pub fn sent_at(&self) -> Option<Instant> {
        match &self.sending {
            Sending::Once { sent_at, .. } => sent_at.get(),
            Sending::Empty | Sending::Repeatable => None,
        }
    }

    /// The body, or what the core has of it.
    pub fn known(&self) -> &Excerpt {
        &self.known
    }

    /// The bytes that the core has.
    pub fn known_bytes(&self) -> &[u8] {
        self.known.text()
    }

    /// The values of the JSON members with these names, for rules.
    /// `part` returns the bytes between two offsets of the body.
    pub fn fields(
        &self,
        names: &[String],
        part: &dyn Fn(usize, usize) -> Vec<u8>,
    ) -> BTreeMap<String, Value> {
        let BodyMeaning::Json(peek) = &self.meaning else { return BTreeMap::new() };
        peek.fields(self.known.text(), names, |span| {
            let (start, end) = (self.known.original(span.start), self.known.original(span.end));
            self.known.is_shortened(span).then(|| part(start, end))
        })
    }

    /// The JSON of the members with these names, for rules that look at texts. Of a long member,
    /// the first [`LOOKED_AT_BYTES`]. `is_json`: the body is JSON, also where it was not read.
    pub fn texts(
        &self,
        names: &[String],
        is_json: bool,
        part: &dyn Fn(usize, usize) -> Vec<u8>,
    ) -> Vec<(String, Vec<u8>)> {
        let known = self.known.text();
        if names.is_empty() || known.is_empty() {
            return Vec::new();
        }
        let unread = if is_json { Peek::of(known).ok() } else { None };
        let Some(peek) = self.json().or(unread.as_ref()) else { return Vec::new() };
        let begun = peek.begun_member(known);
        let members = peek.members(known).chain(begun.iter().map(|(name, value)| (&**name, *value)));
        let is_read = |name: &str| names.iter().any(|wanted| wanted == name);
        let text = |value: &[u8]| {
            let start = value.as_ptr().addr().saturating_sub(known.as_ptr().addr());
            let span = start..start + value.len();
            if self.known.is_shortened(&span) {
                let start = self.known.original(span.start);
                let end = self.known.original(span.end);
                return part(start, end.min(start + LOOKED_AT_BYTES));
            }
            value.get(..LOOKED_AT_BYTES).unwrap_or(value).to_vec()
        };
        members
            .filter(|(name, _)| is_read(name))
            .map(|(name, value)| (name.to_owned(), text(value)))
            .collect()
    }

    /// The number in the part `n` of a form.
    pub fn count_in_form(&self) -> Option<u64> {
        match &self.meaning {
            BodyMeaning::Form(form) => form.count,
            BodyMeaning::Json(_) | BodyMeaning::Unread => None,
        }
    }

    /// What a JSON body needs of a model.
    pub fn needs(&self, reads: &Reads) -> Needs {
        let BodyMeaning::Json(peek) = &self.meaning else { return Needs::default() };
        body_needs::needs(peek, &self.known, self.tokens(), reads)
    }

    /// The estimated tokens of the input: a quarter of the bytes.
    pub fn tokens(&self) -> u64 {
        (self.length() / 4) as u64
    }

    /// The whole length. If it is not known, the number of known bytes.
    pub fn length(&self) -> usize {
        self.length.unwrap_or(self.known.text().len())
    }

    /// The whole length, if it is known.
    pub fn stated_length(&self) -> Option<usize> {
        self.length
    }

    /// Whether the request can be made to ask for the usage of its stream. A body that is sent once
    /// stays as it is.
    pub fn can_ask_for_usage(&self) -> bool {
        let is_shortened = |span: &Range<usize>| self.known.is_shortened(span);
        self.is_replayable()
            && self.json().is_some_and(|peek| peek.can_ask_for_usage(self.known.text(), is_shortened))
    }

    /// The body to send to a deployment with the model name `model`. `asks_for_usage`: it asks for
    /// the usage of its stream, too.
    ///
    /// # Errors
    /// If the body can be sent once and was already sent.
    pub fn for_attempt(
        &self,
        model: Option<&str>,
        params: &Params,
        asks_for_usage: bool,
    ) -> Result<OutgoingBody, AlreadySent> {
        let known = self.known.text();
        let splice = match &self.meaning {
            BodyMeaning::Json(peek) => json_body::edit(known, peek, &Edit { model, params, asks_for_usage }),
            BodyMeaning::Form(form) => model.map(|model| form.with_model(known.len(), model)),
            BodyMeaning::Unread => None,
        };
        match &self.sending {
            Sending::Empty => Ok(OutgoingBody::Empty),
            Sending::Repeatable => Ok(splice.map_or(OutgoingBody::AsReceived, |splice| {
                OutgoingBody::Edited(splice.moved(|at| self.known.original(at)))
            })),
            Sending::Once { is_sent, .. } if is_sent.replace(true) => Err(AlreadySent),
            Sending::Once { .. } => {
                let first = splice.map_or_else(|| known.to_vec(), |splice| splice.apply(known));
                let length =
                    self.length.map(|length| length.saturating_sub(known.len()).saturating_add(first.len()));
                Ok(OutgoingBody::Once { first, length })
            }
        }
    }
}

/// An excerpt of the buffered JSON body, and its parsed content. `None` if the whole body is
/// needed: the excerpt would not be much shorter, the model's name is too long, or the body is not
/// valid. In the last case the error message needs the exact position.
fn excerpt(part: &dyn Fn(usize, usize) -> Vec<u8>, length: usize) -> Option<(Excerpt, Peek)> {
    let excerpt = Excerpt::read(length, WINDOW_BYTES, part)?;
    let peek = Peek::of(excerpt.text()).ok()?;
    let is_shortened = peek.model.as_ref().is_some_and(|model| model.contains(LEFT_OUT));
    (!is_shortened).then_some((excerpt, peek))
}
