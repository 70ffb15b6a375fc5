//! Whether a client's rules admit a request: where it comes from, what it asks for, what it states,
//! and how large it is.
//!
//! The first two functions need only the head of the request. [`content`] needs its facts and its
//! body. All of them run before a node is chosen.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::request::json_body::Peek;
use crate::routes::address_range::AddressRange;
use crate::routes::client_guard::ClientGuard;
use crate::scan::texts::{decoded, has_text};
use crate::scan::top_level::{each_element, each_member};
use crate::vocabulary::admission_fault::{AdmissionFault, RequestLimit};
use crate::vocabulary::client_error::ClientError;
use crate::vocabulary::facts::{Facts, Place};
use crate::vocabulary::headers::Headers;
use crate::vocabulary::operation::Operation;

/// Types of parts with an image: in chat completions, in Responses, in threads, and what a computer
/// tool returns.
const IMAGES: [&str; 4] = ["image_url", "input_image", "computer_screenshot", "image_file"];

/// Checks where a request comes from. `address`: as the platform says. `place` is asked only where
/// the rules need it.
///
/// # Errors
/// The client may not call from there.
pub fn origin(
    guard: &ClientGuard,
    address: Option<&str>,
    place: &dyn Fn() -> Place,
) -> Result<(), ClientError> {
    let is_in = |ranges: &Vec<AddressRange>| {
        address.is_some_and(|address| ranges.iter().any(|range| range.has(address)))
    };
    if !guard.addresses.as_ref().is_none_or(is_in) {
        return Err(ClientError::NotAdmitted(AdmissionFault::Address));
    }
    if let Some(countries) = &guard.countries {
        let place = place();
        // Behind a Worker, the country is that of Cloudflare's own egress.
        let country = place.country.filter(|_| !place.is_behind_worker);
        if !country.is_some_and(|country| countries.contains(&country)) {
            return Err(ClientError::NotAdmitted(AdmissionFault::Country));
        }
    }
    Ok(())
}

/// Checks what a request asks for. `bytes`: the length of its body, if it states one.
///
/// # Errors
/// The client may not use the operation, or not send so much.
pub fn purpose(guard: &ClientGuard, operation: Operation, bytes: Option<u64>) -> Result<(), ClientError> {
    let path = operation.path();
    if guard.operations.as_ref().is_some_and(|globs| !globs.iter().any(|glob| glob.matches(path))) {
        return Err(ClientError::NotAdmitted(AdmissionFault::Operation(path)));
    }
    // Evaluations may read what is stored of the whole account.
    if guard.sees_own_only && operation == Operation::Evals {
        return Err(ClientError::NotAdmitted(AdmissionFault::Operation(path)));
    }
    bytes.map_or(Ok(()), |bytes| within(RequestLimit::Bytes, guard.request.max_bytes, Some(bytes)))
}

/// Checks what a request states about itself, and gives pinned entries their values. `read`: the
/// headers that rules read.
///
/// # Errors
/// The client may not state something.
pub fn statements(
    guard: &ClientGuard,
    headers: &Headers,
    read: &mut BTreeMap<String, String>,
    metadata: &mut BTreeMap<String, Value>,
) -> Result<(), ClientError> {
    let mut stated = headers.iter().filter(|_| !guard.headers.refuse.is_empty());
    if let Some((name, _)) = stated.find(|(name, _)| guard.headers.refuses(name)) {
        return Err(ClientError::NotAdmitted(AdmissionFault::Header(name.to_owned())));
    }
    if let Some(name) = metadata.keys().find(|name| guard.metadata.refuses(name)) {
        return Err(ClientError::NotAdmitted(AdmissionFault::Metadata(name.clone())));
    }
    read.extend(guard.headers.pin.iter().map(|(name, value)| (name.clone(), value.clone())));
    let pinned = guard.metadata.pin.iter();
    metadata.extend(pinned.map(|(name, value)| (name.clone(), Value::String(value.clone()))));
    Ok(())
}

/// The body of a request, as far as it is known.
pub struct Content<'a> {
    /// Its length, if it is known.
    pub bytes: Option<u64>,
    /// Its members and its bytes, if it is JSON.
    pub json: Option<(&'a Peek, &'a [u8])>,
    /// The number in the part `n`, if it is a form.
    pub count_in_form: Option<u64>,
    /// Whether all of it is known.
    pub is_whole: bool,
    /// The size of the largest body that is known as a whole.
    pub buffer_bytes: u64,
}

/// Checks the body of a request.
///
/// # Errors
/// It is beyond a limit of the client, or has something that the client may not use.
pub fn content(guard: &ClientGuard, facts: &Facts, content: &Content<'_>) -> Result<(), ClientError> {
    let limits = &guard.request;
    within(RequestLimit::Bytes, limits.max_bytes, content.bytes)?;
    within(RequestLimit::InputTokens, limits.max_input_tokens, Some(facts.input_tokens))?;
    if !guard.reads_body() {
        return Ok(());
    }
    // What is not read may have anything in it.
    if !content.is_whole {
        within(
            RequestLimit::Bytes,
            Some(content.buffer_bytes),
            content.bytes.filter(|bytes| *bytes > content.buffer_bytes),
        )?;
    }
    let members = || content.json.into_iter().flat_map(|(peek, body)| peek.members(body));
    let number = |names: &[&str]| {
        let named = members().filter(|(name, value)| names.contains(name) && *value != b"null");
        let numbers =
            named.map(|(_, value)| std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()));
        // One that cannot be read may be any number.
        numbers.map(|number: Option<u64>| number.unwrap_or(u64::MAX)).max()
    };
    if matches!(facts.operation, Operation::ChatCompletions | Operation::Completions | Operation::Responses) {
        let answers = number(&["n", "best_of"]).unwrap_or(1).max(1);
        let allowed = facts.max_output_tokens.map(|tokens| tokens.saturating_mul(answers));
        within(RequestLimit::OutputTokens, limits.max_output_tokens, allowed)?;
    }
    if limits.max_images.is_some() {
        let asked = number(&["n"]).or(content.count_in_form).unwrap_or(1);
        let count = match facts.operation {
            Operation::ImagesGenerations | Operation::ImagesEdits | Operation::ImagesVariations => asked,
            _ => members().map(|(_, value)| images_in(value)).sum(),
        };
        within(RequestLimit::Images, limits.max_images, Some(count).filter(|count| *count < u64::MAX))?;
    }
    let refused = members().find_map(|(name, value)| refused_parameter(guard, name, value));
    refused.map_or(Ok(()), |name| Err(ClientError::NotAdmitted(AdmissionFault::Parameter(name))))
}

fn within(limit: RequestLimit, most: Option<u64>, found: Option<u64>) -> Result<(), ClientError> {
    match most.filter(|most| found.is_none_or(|found| found > *most)) {
        Some(most) => Err(ClientError::NotAdmitted(AdmissionFault::Beyond { limit, most, found })),
        None => Ok(()),
    }
}

/// The number of parts with an image. A text that is only the name of such a part counts, too.
fn images_in(value: &[u8]) -> u64 {
    let mut count = 0;
    has_text(value, &mut |text| {
        count += u64::from(IMAGES.contains(&text));
        false
    });
    count
}

/// The name of what the client may not use in this member of the body.
fn refused_parameter(guard: &ClientGuard, name: &str, value: &[u8]) -> Option<String> {
    let parameters = &guard.parameters;
    if !parameters.admits_field(name) {
        return Some(name.to_owned());
    }
    let mut refused = None;
    if name == "tools" {
        let _ = each_element(value, &mut |tool| {
            let _ = each_member(tool, &mut |key, kind| {
                let is_type = decoded(key) == "type";
                let kind = kind.strip_prefix(b"\"").and_then(|kind| kind.strip_suffix(b"\"")).unwrap_or(kind);
                if is_type && refused.is_none() && !parameters.admits_tool(&decoded(kind)) {
                    refused = Some(format!("tools:{}", decoded(kind)));
                }
            });
        });
    }
    refused
}
