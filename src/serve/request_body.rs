//! The body of a request: what is known of it, and how it is sent to an upstream.
//!
//! The platform keeps the bytes. What the core looks at is all of a short body, and an excerpt of a long one that is JSON. An
//! edit is a splice: the platform puts the body of an attempt together, and a body without an edit is not copied.
//! A body that is too large to keep is sent once, as it arrives.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::platform::{BodyStart, OutgoingBody, Platform, PlatformError};
use crate::request::excerpt::{Excerpt, LEFT_OUT};
use crate::request::json_body::{self, Edit, Peek};
use crate::request::multipart::{self, Form};
use crate::routes::graph::Params;
use crate::vocabulary::client_error::ClientError;

/// How much of a long body is looked at at a time: it stays in the cache of a processor.
const WINDOW_BYTES: usize = 64 * 1024;

/// The body of a request.
pub struct RequestBody {
    /// What is looked at: all of it, an excerpt, or the first bytes of a body that is sent once.
    known: Excerpt,
    /// What these bytes say.
    meaning: BodyMeaning,
    /// How it is sent.
    sending: Sending,
    /// Its whole length, where known.
    length: Option<usize>,
}

/// How a body is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// As JSON.
    Json,
    /// As a form, with its boundary.
    Form(String),
    /// As bytes that may be searched.
    Bytes,
    /// Not at all.
    Opaque,
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
enum BodyMeaning {
    /// Nothing that is looked at.
    Unread,
    Json(Peek),
    Form(Form),
}

enum Sending {
    /// There is no body.
    Empty,
    /// As often as needed: the platform keeps it.
    Repeatable,
    /// Once. Whether it was sent.
    Once(Cell<bool>),
}

/// A body that can be sent once was sent already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlreadySent;

impl RequestBody {
    /// Reads a body. `length` is its `content-length`, `limit` the largest that is kept.
    ///
    /// # Errors
    /// Where it breaks off, is not what it should be, or is too large to find the model in.
    pub async fn read<P: Platform>(
        platform: &P,
        reading: &Reading,
        length: Option<usize>,
        limit: usize,
    ) -> Result<Self, ClientError> {
        let broken = |error: PlatformError| ClientError::InvalidJson(format!("The body broke off: {error}"));
        if length.is_some_and(|length| length <= limit) {
            let received = platform.read_body(length.unwrap_or_default()).await.map_err(broken)?;
            return Self::kept(platform, reading, received.length, received.bytes);
        }
        // Without a length the body may yet turn out to be small enough to keep. With one it is not, and as much as would be
        // kept is searched for the model.
        match platform.read_body_start(limit).await.map_err(broken)? {
            BodyStart::Whole(bytes) => Self::kept(platform, reading, bytes.len(), Some(bytes)),
            BodyStart::Long(bytes) => Self::sent_once(reading, bytes, length, limit),
        }
    }

    /// A body of which the first bytes are here, more than the limit.
    fn sent_once(
        reading: &Reading,
        bytes: Vec<u8>,
        length: Option<usize>,
        limit: usize,
    ) -> Result<Self, ClientError> {
        let meaning = match reading {
            Reading::Form(boundary) => Form::of_prefix(&bytes, boundary).map(BodyMeaning::Form),
            Reading::Json => Peek::of_prefix(&bytes).map(BodyMeaning::Json),
            Reading::Bytes | Reading::Opaque => Some(BodyMeaning::Unread),
        };
        let meaning = meaning.ok_or(ClientError::RequestTooLarge { limit: limit as u64 })?;
        Ok(Self { known: bytes.into(), meaning, sending: Sending::Once(Cell::new(false)), length })
    }

    /// A body of so many bytes that the platform keeps. `bytes`: all of it, unless it is yet to be asked for.
    fn kept<P: Platform>(
        platform: &P,
        reading: &Reading,
        length: usize,
        bytes: Option<Vec<u8>>,
    ) -> Result<Self, ClientError> {
        let sending = Sending::Repeatable;
        if let (Reading::Json, None) = (reading, &bytes)
            && let Some((known, peek)) = excerpt(platform, length)
        {
            return Ok(Self { known, meaning: BodyMeaning::Json(peek), sending, length: Some(length) });
        }
        let bytes = match reading {
            Reading::Opaque => Vec::new(),
            Reading::Json | Reading::Form(_) | Reading::Bytes => {
                bytes.unwrap_or_else(|| platform.body_part(0, length))
            }
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

    /// The body of a request that takes none.
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

    /// The model that the client wrote.
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

    /// Whether it can be sent again.
    pub fn is_replayable(&self) -> bool {
        !matches!(self.sending, Sending::Once(_))
    }

    /// Its bytes, as far as they are looked at.
    pub fn known_bytes(&self) -> &[u8] {
        self.known.text()
    }

    /// The values of those of its JSON members that are named, for rules.
    pub fn fields<P: Platform>(&self, platform: &P, names: &[String]) -> BTreeMap<String, Value> {
        let BodyMeaning::Json(peek) = &self.meaning else { return BTreeMap::new() };
        peek.fields(self.known.text(), names, |span| {
            let (start, end) = (self.known.original(span.start), self.known.original(span.end));
            self.known.is_shortened(span).then(|| platform.body_part(start, end))
        })
    }

    /// Its whole length, as far as it is known.
    pub fn length(&self) -> usize {
        self.length.unwrap_or(self.known.text().len())
    }

    /// What to send to a deployment that calls its model `model`.
    ///
    /// # Errors
    /// Where the body can be sent once, and was.
    pub fn for_attempt(&self, model: Option<&str>, params: &Params) -> Result<OutgoingBody, AlreadySent> {
        let known = self.known.text();
        let splice = match &self.meaning {
            BodyMeaning::Json(peek) => json_body::edit(known, peek, &Edit { model, params }),
            BodyMeaning::Form(form) => model.map(|model| form.with_model(known.len(), model)),
            BodyMeaning::Unread => None,
        };
        match &self.sending {
            Sending::Empty => Ok(OutgoingBody::Empty),
            Sending::Repeatable => Ok(splice.map_or(OutgoingBody::AsReceived, |splice| {
                OutgoingBody::Edited(splice.moved(|at| self.known.original(at)))
            })),
            Sending::Once(is_sent) if is_sent.replace(true) => Err(AlreadySent),
            Sending::Once(_) => {
                let first = splice.map_or_else(|| known.to_vec(), |splice| splice.apply(known));
                let length =
                    self.length.map(|length| length.saturating_sub(known.len()).saturating_add(first.len()));
                Ok(OutgoingBody::Once { first, length })
            }
        }
    }
}

/// An excerpt of the JSON body that the platform keeps, and what it says. `None` where all of it is needed: where there is
/// little to leave out, where the model's name is too long, and where something is wrong, to say what, and where.
fn excerpt<P: Platform>(platform: &P, length: usize) -> Option<(Excerpt, Peek)> {
    let excerpt = Excerpt::read(length, WINDOW_BYTES, |start, end| platform.body_part(start, end))?;
    let peek = Peek::of(excerpt.text()).ok()?;
    let is_shortened = peek.model.as_ref().is_some_and(|model| model.contains(LEFT_OUT));
    (!is_shortened).then_some((excerpt, peek))
}
