//! The heads of requests and answers: paths, queries, headers.

use switchyard::health::headroom::Headroom;
use switchyard::request::multipart::boundary;
use switchyard::request::{admin_path, api_path, credentials, percent, query as parameters};
use switchyard::routes::graph::RateLimits;
use switchyard::routes::prefix_map::PrefixMap;
use switchyard::upstream::forwarding;
use switchyard::vocabulary::facts::{metadata, patience_ms};
use switchyard::vocabulary::headers::Headers;
use switchyard::vocabulary::retry_after::retry_after;
use switchyard::vocabulary::time::Instant;

use super::two_texts;

/// Any path leads somewhere, and what is encoded comes back.
pub fn path(data: &[u8]) {
    let (path, method) = two_texts(data);
    let prefixes: PrefixMap = ["/gateway", "/a/b"].into_iter().collect();
    let path = format!("/{path}");
    let _ = api_path::parse(&path, &prefixes).with_method(&method);
    let _ = admin_path::parse(&path);
    let encoded = percent::encode(&path).into_owned();
    assert_eq!(percent::decode(&encoded), path);
}

/// A query can be written again.
pub fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = parameters::parse(&text);
    let pairs =
        read.iter().map(|(name, value)| format!("{}={}", percent::encode(name), percent::encode(value)));
    assert_eq!(parameters::parse(&pairs.collect::<Vec<_>>().join("&")), read);
}

/// A boundary has a form that a body can contain.
pub fn content_type(data: &[u8]) {
    if let Some(boundary) = boundary(&String::from_utf8_lossy(data)) {
        assert!((1..=70).contains(&boundary.len()) && !boundary.contains(['\r', '\n']));
    }
}

/// Credentials stop here, and no header says anything that cannot be used.
pub fn headers(data: &[u8]) {
    let headers = Headers::parse(String::from_utf8_lossy(data).into_owned());
    assert_eq!(Headers::of(headers.iter()).iter().count(), headers.iter().count());
    let withheld = forwarding::not_forwarded(&headers);
    if headers.get("authorization").is_some() {
        assert!(withheld.lines().any(|name| name == "authorization"));
    }
    let _ = forwarding::not_returned(&headers);
    let now = Instant::from_epoch_ms(1_767_225_600_000);
    let _ = retry_after(&headers, now);
    if let Some(room) = Headroom::of(&headers, &RateLimits::default(), now) {
        assert!(room.remaining(now).is_none_or(|left| (0.0..=1.0).contains(&left)));
    }
    let get = |name| headers.get(name);
    let _ = credentials::key(get("authorization"), get("api-key"));
    let _ = metadata(get("cf-aig-metadata"), get("x-switchyard-metadata"));
    let _ = patience_ms(
        [get("x-stainless-read-timeout"), get("x-stainless-timeout")],
        get("cf-aig-request-timeout"),
    );
}
