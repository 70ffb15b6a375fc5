//! Watches the rest of a body that is too large to buffer.
//!
//! Its beginning names the model, and the request was routed and allowed by it. A second `model` in
//! the rest would go out unedited, and most parsers read the last one. So the rest is read while it
//! flows, and the upstream call ends before a second `model` is passed on.

use std::cell::{Cell, RefCell};

use super::form_watch::FormWatch;
use crate::scan::member_watch::MemberWatch;
use crate::vocabulary::client_error::ClientError;

/// A body that flows, and what was found in it.
#[derive(Debug)]
pub struct BodyWatch {
    reader: RefCell<BodyReader>,
    /// How many times the known beginning names the model.
    known: usize,
    fault: Cell<Option<BodyFault>>,
}

#[derive(Debug)]
enum BodyReader {
    Json(MemberWatch),
    Form(Box<FormWatch>),
}

/// Why a body that flows is not sent to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// It names the model once more.
    SecondModel,
    /// It is not JSON, or not a form.
    Malformed,
    /// The client did not send all of it.
    BrokeOff,
}

impl BodyWatch {
    /// Watches a JSON body. `first`: the bytes in which `known` members name the model.
    ///
    /// # Errors
    /// The first bytes have more of them, or are not JSON.
    pub fn json(first: &[u8], known: usize) -> Result<Self, BodyFault> {
        Self::of(BodyReader::Json(MemberWatch::new("model")), first, known)
    }

    /// Watches a form with this boundary.
    ///
    /// # Errors
    /// As for JSON.
    pub fn form(first: &[u8], known: usize, boundary: &str) -> Result<Self, BodyFault> {
        Self::of(BodyReader::Form(Box::new(FormWatch::new(boundary))), first, known)
    }

    fn of(reader: BodyReader, first: &[u8], known: usize) -> Result<Self, BodyFault> {
        let watch = Self { reader: RefCell::new(reader), known, fault: Cell::default() };
        watch.read(first).map(|()| watch)
    }

    /// Reads the next piece. It may be passed on if there is no error.
    ///
    /// # Errors
    /// The body must not be sent to its end.
    pub fn read(&self, piece: &[u8]) -> Result<(), BodyFault> {
        let mut reader = self.reader.borrow_mut();
        let (is_well_formed, count) = match &mut *reader {
            BodyReader::Json(json) => (json.read(piece).is_ok(), json.count()),
            BodyReader::Form(form) => (form.read(piece).is_ok(), form.count()),
        };
        if count > self.known {
            return Err(self.fail(BodyFault::SecondModel));
        }
        if is_well_formed { Ok(()) } else { Err(self.fail(BodyFault::Malformed)) }
    }

    /// The body has ended.
    ///
    /// # Errors
    /// It is not complete.
    pub fn end(&self) -> Result<(), BodyFault> {
        let is_complete = match &*self.reader.borrow() {
            BodyReader::Json(json) => json.is_complete(),
            BodyReader::Form(form) => form.is_complete(),
        };
        if is_complete { Ok(()) } else { Err(self.fail(BodyFault::Malformed)) }
    }

    /// Notes why the body is not sent to its end. The first reason counts.
    pub fn fail(&self, fault: BodyFault) -> BodyFault {
        let fault = self.fault.get().unwrap_or(fault);
        self.fault.set(Some(fault));
        fault
    }

    /// The error for the client, if the body was not sent to its end.
    pub fn error(&self) -> Option<ClientError> {
        let is_form = matches!(*self.reader.borrow(), BodyReader::Form(_));
        self.fault.get().map(|fault| fault.error(is_form))
    }
}

impl BodyFault {
    /// The error for the client. `is_form`: the body is a form, or otherwise JSON.
    pub fn error(self, is_form: bool) -> ClientError {
        if is_form {
            ClientError::InvalidForm(self.message("The multipart body", "a form"))
        } else {
            ClientError::InvalidJson(self.message("The request body", "JSON"))
        }
    }

    fn message(self, body: &str, kind: &str) -> String {
        match self {
            Self::SecondModel => format!(
                "{body} is larger than settings.buffer_bytes, and names `model` again after its beginning. Name \
                 it once."
            ),
            Self::Malformed => format!("{body} is not {kind}."),
            Self::BrokeOff => "The body broke off.".to_owned(),
        }
    }
}
