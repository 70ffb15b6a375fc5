//! The `model` part of a multipart body (RFC 7578, RFC 2046 §5.1).
//!
//! Transcriptions, translations and image edits are sent as forms: a file of several megabytes and
//! a few short fields. As with JSON, the form is scanned once for what routing needs, and a new
//! model is spliced in. The bytes of all other parts, such as files, stay unchanged.
//!
//! Lines must end in CRLF, as the RFC requires and every SDK writes. A form with bare line feeds is
//! refused, because readers interpret it differently. Of several parts named `model` the last is
//! read and all are replaced, for the same reason.

use std::fmt;
use std::ops::Range;

use memchr::memmem;

use super::splice::Splice;

/// The facts of a form that routing needs, and the positions of its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The value of the part named `model`.
    pub model: Option<String>,
    /// Whether the part named `stream` is `true`.
    pub is_streamed: bool,
    /// The part named `n`, if it is a number: how many images are asked for.
    pub count: Option<u64>,
    boundary: String,
    /// Where the first delimiter begins.
    first: usize,
    /// The values of all parts named `model`, in order.
    models: Vec<Range<usize>>,
}

/// Why a form cannot be routed. `Display` is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormError {
    /// The boundary that `content-type` names does not occur in the body.
    NoDelimiter,
    /// Lines end in LF instead of CRLF.
    BareLineFeed,
    /// The form has no closing delimiter, or the headers of a part have no end.
    Unterminated,
    /// `model` is not UTF-8.
    ModelNotText,
    /// Readers differ in which name a part has: it has two, or one that is written in a way that
    /// not all of them understand.
    AmbiguousName,
    /// The headers of a part, in a form that is too large to buffer, are too long.
    HeadersTooLong,
}

impl fmt::Display for FormError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoDelimiter => "The multipart body does not contain the boundary that content-type names.",
            Self::BareLineFeed => "The lines of the multipart body end in LF; CRLF was expected.",
            Self::Unterminated => "The multipart body, or one of its parts, is cut short.",
            Self::ModelNotText => "The `model` part of the multipart body is not UTF-8 text.",
            Self::AmbiguousName => {
                "The headers of a part of the multipart body can be read in two ways. Send one content-disposition \
                 for each part, on one line, with one quoted name."
            }
            Self::HeadersTooLong => "The headers of a part of the multipart body are too long.",
        })
    }
}

/// The boundary in a `content-type` of `multipart/form-data`. `None` for any other type, and if
/// there is not exactly one boundary of 1 to 70 printable ASCII characters.
pub fn boundary(content_type: &str) -> Option<String> {
    let (media_type, parameters) = content_type.split_once(';')?;
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let Parameter { value: boundary, .. } = parameter(parameters, "boundary").ok()??;
    let is_fit =
        (1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_fit.then_some(boundary)
}

impl Form {
    /// Reads a whole form.
    ///
    /// # Errors
    /// The body is not a complete form, or its model is not text.
    pub fn of(body: &[u8], boundary: &str) -> Result<Self, FormError> {
        let mut form = Self::new(boundary);
        form.read(body).map(|()| form)
    }

    /// Reads the first bytes of a form that is too large to buffer. `None` if they do not contain
    /// the whole `model`. [`Form::with_model`] then applies to the same first bytes.
    pub fn of_prefix(prefix: &[u8], boundary: &str) -> Option<Self> {
        let mut form = Self::new(boundary);
        let ended = form.read(prefix);
        (form.model.is_some() && matches!(ended, Ok(()) | Err(FormError::Unterminated))).then_some(form)
    }

    /// How many parts are named `model`.
    pub fn model_count(&self) -> usize {
        self.models.len()
    }

    /// The same form with this model. `length` is the length of the form. The model must not
    /// contain line ends. A form without a model gets one as its first part.
    pub fn with_model(&self, length: usize, model: &str) -> Splice {
        let mut splice = Splice::default();
        if self.models.is_empty() {
            splice.keep(0..self.first);
            let (boundary, disposition) = (&self.boundary, "Content-Disposition: form-data; name=\"model\"");
            splice.insert(format!("--{boundary}\r\n{disposition}\r\n\r\n{model}\r\n").as_bytes());
            splice.keep(self.first..length);
            return splice;
        }
        let mut done = 0;
        for value in &self.models {
            splice.keep(done..value.start);
            splice.insert(model.as_bytes());
            done = value.end;
        }
        splice.keep(done..length);
        splice
    }

    fn new(boundary: &str) -> Self {
        let boundary = boundary.to_owned();
        Self { model: None, is_streamed: false, count: None, boundary, first: 0, models: Vec::new() }
    }

    /// Reads whole parts, until the form ends or a part is incomplete.
    fn read(&mut self, body: &[u8]) -> Result<(), FormError> {
        let delimiter = Delimiter::new(&self.boundary);
        let (first, mut next) = delimiter.first(body).ok_or_else(|| delimiter.missing(body))?;
        self.first = first;
        while let NextPart::Part(start) = next {
            // An empty part shares the line end of the delimiter before it.
            let (end, after) = delimiter.find(body, start - 2).ok_or(FormError::Unterminated)?;
            let (headers, value) =
                body.get(start..end).and_then(split_part).ok_or(FormError::Unterminated)?;
            match part_name(headers)?.as_deref() {
                Some("model") => {
                    let model = std::str::from_utf8(value).map_err(|_| FormError::ModelNotText)?;
                    self.model = Some(model.to_owned());
                    self.models.push(end - value.len()..end);
                }
                Some("stream") => self.is_streamed = value.eq_ignore_ascii_case(b"true"),
                Some("n") => {
                    self.count = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
                }
                _ => {}
            }
            next = after;
        }
        Ok(())
    }
}

/// What follows a delimiter.
enum NextPart {
    /// A part that begins at this offset.
    Part(usize),
    /// The end of the form.
    Close,
}

/// The delimiter between parts: `CRLF--boundary`, then white space and a line end, or `--`.
/// Anything else that begins like it is data of a part.
struct Delimiter {
    line: String,
    finder: memmem::Finder<'static>,
}

impl Delimiter {
    fn new(boundary: &str) -> Self {
        let line = format!("\r\n--{boundary}");
        let finder = memmem::Finder::new(line.as_bytes()).into_owned();
        Self { line, finder }
    }

    /// Where the dashes of the first delimiter begin, and what follows. Only the first delimiter
    /// may be at the start of the body.
    fn first(&self, body: &[u8]) -> Option<(usize, NextPart)> {
        let dashes = self.line.trim_start();
        let at_start = body.strip_prefix(dashes.as_bytes()).and_then(|_| Self::after(body, dashes.len()));
        at_start.map(|next| (0, next)).or_else(|| self.find(body, 0).map(|(at, next)| (at + 2, next)))
    }

    /// Where the line end of the next delimiter begins, and what follows.
    fn find(&self, body: &[u8], mut from: usize) -> Option<(usize, NextPart)> {
        loop {
            let at = from + self.finder.find(body.get(from..)?)?;
            if let Some(next) = Self::after(body, at + self.line.len()) {
                return Some((at, next));
            }
            from = at + self.line.len();
        }
    }

    fn after(body: &[u8], at: usize) -> Option<NextPart> {
        let rest = body.get(at..)?;
        if rest.starts_with(b"--") {
            return Some(NextPart::Close);
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        rest.get(padding..)?.starts_with(b"\r\n").then_some(NextPart::Part(at + padding + 2))
    }

    fn missing(&self, body: &[u8]) -> FormError {
        let bare = format!("{}\n", self.line.trim_start());
        match memmem::find(body, bare.as_bytes()) {
            Some(_) => FormError::BareLineFeed,
            None => FormError::NoDelimiter,
        }
    }
}

/// Headers and value of a part.
fn split_part(part: &[u8]) -> Option<(&[u8], &[u8])> {
    if part.is_empty() {
        // The empty line is that of the delimiter after it (RFC 2046, `body-part`).
        return Some((&[], part));
    }
    if let Some(value) = part.strip_prefix(b"\r\n") {
        return Some((&[], value));
    }
    let (headers, rest) = part.split_at_checked(memmem::find(part, b"\r\n\r\n")?)?;
    Some((headers, rest.get(4..)?))
}

/// The `name` of a part, from its `content-disposition`.
///
/// # Errors
/// Other readers may find another name: two of them or two headers, a folded line, a bare CR or LF,
/// `name*`, or a backslash in the name.
pub fn part_name(headers: &[u8]) -> Result<Option<String>, FormError> {
    let mut found = None;
    for line in String::from_utf8_lossy(headers).split("\r\n") {
        if line.starts_with([' ', '\t']) || line.contains(['\r', '\n', '\0']) {
            return Err(FormError::AmbiguousName);
        }
        let Some((header, value)) = line.split_once(':') else { continue };
        if !header.trim().eq_ignore_ascii_case("content-disposition") {
            continue;
        }
        let parameters = value.split_once(';').map_or("", |(_, parameters)| parameters);
        let name = match parameter(parameters, "name").map_err(|_| FormError::AmbiguousName)? {
            Some(Parameter { is_escaped: true, .. }) => return Err(FormError::AmbiguousName),
            name => name.map(|name| name.value),
        };
        if found.replace(name).is_some() {
            return Err(FormError::AmbiguousName);
        }
    }
    Ok(found.flatten())
}

/// The value of a parameter.
struct Parameter {
    value: String,
    /// Whether a backslash is in the value as it was written.
    is_escaped: bool,
}

/// Parameters that readers understand in different ways.
struct Ambiguous;

/// The value of a parameter in `a=b; c="d"`. Text without a `=` is skipped.
fn parameter(mut parameters: &str, wanted: &str) -> Result<Option<Parameter>, Ambiguous> {
    let mut found = None;
    while let Some(end) = parameters.find(['=', ';', '"']) {
        let (name, rest) = parameters.split_at(end);
        let name = name.trim();
        let Some(after) = rest.strip_prefix('=') else {
            parameters = rest.strip_prefix(';').ok_or(Ambiguous)?;
            continue;
        };
        let (parameter, rest) = value(after)?;
        if name.contains(char::is_whitespace) || is_extended(name, wanted) {
            return Err(Ambiguous);
        }
        if name.eq_ignore_ascii_case(wanted) && found.replace(parameter).is_some() {
            return Err(Ambiguous);
        }
        parameters = rest;
    }
    Ok(found)
}

/// Whether `name` is `wanted*`, in an encoding that few readers know (RFC 5987).
fn is_extended(name: &str, wanted: &str) -> bool {
    name.split_once('*').is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
}

/// The value after a `=`, and the text after it and its semicolon.
fn value(after: &str) -> Result<(Parameter, &str), Ambiguous> {
    let Some(quoted) = after.trim_start().strip_prefix('"') else {
        let (value, rest) = after.split_once(';').unwrap_or((after, ""));
        let is_escaped = value.contains('\\');
        let value = value.trim().to_owned();
        return if value.contains('"') {
            Err(Ambiguous)
        } else {
            Ok((Parameter { value, is_escaped }, rest))
        };
    };
    let (parameter, rest) = unquote(quoted).ok_or(Ambiguous)?;
    // Readers for which a backslash escapes nothing find the end of the text elsewhere.
    match rest.trim_start() {
        "" => Ok((parameter, "")),
        rest => Ok((parameter, rest.strip_prefix(';').ok_or(Ambiguous)?)),
    }
}

/// The text up to the closing quote, and what follows. A backslash escapes only quotes and
/// backslashes, because browsers used to send Windows paths unescaped.
fn unquote(quoted: &str) -> Option<(Parameter, &str)> {
    let mut parameter = Parameter { value: String::new(), is_escaped: false };
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some((parameter, rest.as_str())),
            '\\' => {
                parameter.is_escaped = true;
                let is_escape = rest.as_str().starts_with(['"', '\\']);
                parameter.value.extend(if is_escape { rest.next() } else { Some('\\') });
            }
            character => parameter.value.push(character),
        }
    }
}
