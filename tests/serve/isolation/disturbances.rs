//! What a client can cause: requests, the answers of the upstreams to them, and how the client
//! behaves meanwhile. The upstreams do nothing wrong in them.

use proptest::prelude::*;

use super::super::fake::{Script, Step};
use super::super::{ANSWER, CHAT, FIRST, LAST, NEXT, STREAM};
use crate::times::ms;
use switchyard::vocabulary::time::Millis;

/// A request of a client, and everything about it that is unusual.
#[derive(Debug, Clone)]
pub struct Disturbance {
    pub method: &'static str,
    pub path: &'static str,
    pub body: String,
    pub header: Option<(&'static str, String)>,
    /// How the first upstream answers it.
    pub upstream: Script,
    /// How the others answer it, if not in the same way.
    pub elsewhere: Option<Script>,
    pub conduct: Conduct,
}

/// How a client behaves.
#[derive(Debug, Clone, Copy)]
pub enum Conduct {
    Waits,
    Leaves(Millis),
    /// It takes this long for each piece of a stream.
    ReadsSlowly(Millis),
    UploadsSlowly(Millis),
    /// The same for the part of a body that is not buffered.
    UploadsRestSlowly(Millis),
    BreaksUpload,
    BreaksRest(usize),
    NeverUploads,
}

impl Disturbance {
    /// A chat request that is served as usual.
    pub fn chat(body: &str) -> Self {
        Self::of("POST", "/v1/chat/completions", body, Script::json(200, ANSWER))
    }

    fn of(method: &'static str, path: &'static str, body: &str, upstream: Script) -> Self {
        Self {
            method,
            path,
            body: body.to_owned(),
            header: None,
            upstream,
            elsewhere: None,
            conduct: Conduct::Waits,
        }
    }
}

fn bytes(text: &str) -> Step {
    Step::Bytes(text.to_owned())
}

/// JSON that does not state its length.
fn json_of(steps: Vec<Step>) -> Script {
    Script { steps, says_length: false, ..Script::json(200, "") }
}

/// The same request for another node.
fn to(node: &str, body: &str) -> String {
    body.replace(r#""model":"m""#, &format!(r#""model":"{node}""#))
}

/// Answers that have not begun.
fn before_their_commit_point() -> Vec<(String, Script)> {
    vec![
        (CHAT.to_owned(), Script::silence()),
        (STREAM.to_owned(), Script::silence()),
        (CHAT.to_owned(), json_of(vec![Step::Hang])),
        (CHAT.to_owned(), json_of(vec![bytes(ANSWER.split_at(20).0), Step::Hang])),
        (CHAT.to_owned(), Script { steps: vec![Step::Hang], ..Script::json(200, "") }),
        (STREAM.to_owned(), Script::events(vec![bytes(": hello\n\n"), Step::Hang])),
        (
            to("whole", STREAM),
            Script::events(vec![bytes(FIRST), Step::Pause(ms(900)), bytes(NEXT), Step::Hang]),
        ),
        (to("whole", CHAT), json_of(vec![bytes(ANSWER.split_at(20).0), Step::Hang])),
    ]
}

/// Answers that flow.
fn after_their_commit_point() -> Vec<(String, Script)> {
    let steps = || vec![bytes(FIRST), Step::Pause(ms(700)), bytes(NEXT), Step::Hang];
    let json = || vec![bytes(ANSWER.split_at(20).0), Step::Hang];
    vec![
        (STREAM.to_owned(), Script::events(steps())),
        (to("early", STREAM), Script::events(steps())),
        (to("early", CHAT), json_of(json())),
    ]
}

fn leaving() -> Vec<Disturbance> {
    let answers = before_their_commit_point().into_iter().chain(after_their_commit_point());
    answers
        .flat_map(|(body, upstream)| {
            [0, 5, 10, 11, 500, 2_000].map(|after| Disturbance {
                conduct: Conduct::Leaves(ms(after)),
                upstream: upstream.clone(),
                ..Disturbance::chat(&body)
            })
        })
        .collect()
}

/// A client that says how long it waits. Its own upload counts towards that time.
fn impatient() -> Vec<Disturbance> {
    let headers =
        [("x-stainless-timeout", "2"), ("x-stainless-read-timeout", "1"), ("cf-aig-request-timeout", "700")];
    let answers = before_their_commit_point().into_iter();
    answers
        .flat_map(|(body, upstream)| {
            headers.map(|(name, value)| Disturbance {
                header: Some((name, value.to_owned())),
                upstream: upstream.clone(),
                conduct: Conduct::UploadsSlowly(ms(3)),
                ..Disturbance::chat(&body)
            })
        })
        .collect()
}

fn slow_reading() -> Vec<Disturbance> {
    let stream = || Script::events(vec![bytes(FIRST), Step::Pause(ms(20)), bytes(NEXT), bytes(LAST)]);
    let json = || json_of(vec![bytes(ANSWER.split_at(20).0), bytes(ANSWER.split_at(20).1)]);
    [(STREAM.to_owned(), stream()), (to("early", STREAM), stream()), (to("early", CHAT), json())]
        .into_iter()
        .flat_map(|(body, upstream)| {
            [ms(2_000), ms(70_000), ms(150_000)].map(|takes| Disturbance {
                conduct: Conduct::ReadsSlowly(takes),
                upstream: upstream.clone(),
                ..Disturbance::chat(&body)
            })
        })
        .collect()
}

/// Requests whose body is too large for the buffer begin like this.
const LARGE: &str = r#"{"model":"m","messages":[{"role":"user","content":""#;

fn uploading() -> Vec<Disturbance> {
    let large = format!("{LARGE}{}\"}}]}}", "x".repeat(6_000));
    let two_models = format!("{LARGE}{}\"}}],\"model\":\"other\"}}", "x".repeat(6_000));
    let disturbance = |body: &str, conduct| Disturbance { conduct, ..Disturbance::chat(body) };
    let rest_of_file = |conduct| Disturbance {
        conduct,
        ..Disturbance::of(
            "POST",
            "/v1/files",
            &large,
            Script::json(200, r#"{"id":"file-1","object":"file"}"#),
        )
    };
    vec![
        disturbance(CHAT, Conduct::BreaksUpload),
        disturbance(CHAT, Conduct::UploadsSlowly(ms(20_000))),
        disturbance(CHAT, Conduct::NeverUploads),
        Disturbance {
            header: Some(("x-stainless-timeout", "3".to_owned())),
            ..disturbance(CHAT, Conduct::NeverUploads)
        },
        disturbance(&large, Conduct::BreaksRest(0)),
        disturbance(&large, Conduct::BreaksRest(2)),
        disturbance(&large, Conduct::UploadsRestSlowly(ms(3_000))),
        disturbance(&large, Conduct::UploadsRestSlowly(ms(29_995))),
        disturbance(&large, Conduct::UploadsRestSlowly(ms(50_000))),
        disturbance(&large, Conduct::Leaves(ms(2))),
        Disturbance {
            header: Some(("x-stainless-timeout", "3".to_owned())),
            ..disturbance(&large, Conduct::UploadsRestSlowly(ms(9_000)))
        },
        disturbance(&two_models, Conduct::Waits),
        rest_of_file(Conduct::UploadsRestSlowly(ms(50_000))),
        rest_of_file(Conduct::BreaksRest(2)),
    ]
}

/// Refusals of what the request itself is, names or costs.
const REFUSALS: &[(u16, &str)] = &[
    (
        400,
        "{\"error\":{\"message\":\"Missing body\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}",
    ),
    (
        400,
        r#"{"error":{"message":"'max_tokens' is not supported with this model.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"'temperature' does not support 0.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"Invalid value: 'foo'.","type":"invalid_request_error","param":null,"code":"invalid_value"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"Invalid 'user': string too long.","type":"invalid_request_error","code":"string_above_max_length"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"Previous response with id 'resp_1' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"The encrypted content could not be verified.","type":"invalid_request_error","code":"invalid_encrypted_content"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"Your request was rejected as a result of our safety system.","type":"invalid_request_error","code":"content_policy_violation"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
    ),
    (400, r#"{"success":false,"error":[{"code":2029,"message":"No"}]}"#),
    (
        400,
        r#"{"error":{"code":"BadRequest","message":"Model o3-mini is enabled only for api versions 2024-12-01-preview and later"}}"#,
    ),
    (
        400,
        r#"{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}"#,
    ),
    (400, "<html><body>400 Bad Request</body></html>"),
    (
        403,
        r#"{"error":{"message":"This request was flagged.","type":"invalid_request_error","param":"prompt","code":"cyber_policy"}}"#,
    ),
    (403, r#"{"error":{"message":"The response was filtered.","code":"content_filter"}}"#),
    (403, "error code: 1010"),
    (
        404,
        r#"{"error":{"message":"Item with id 'rs_1' not found.","type":"invalid_request_error","param":"input","code":null}}"#,
    ),
    (
        404,
        r#"{"error":{"message":"No such File object: file-1","type":"invalid_request_error","param":null,"code":null}}"#,
    ),
    (405, ""),
    (
        409,
        r#"{"error":{"message":"Cannot cancel a response that is completed.","type":"invalid_request_error","code":null}}"#,
    ),
    (412, ""),
    (
        413,
        r#"{"error":{"message":"Request too large for gpt-4o in organization org-A on tokens per min (TPM): Limit 30000, Requested 61337.","type":"tokens","code":"rate_limit_exceeded"}}"#,
    ),
    (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
    (414, ""),
    (
        415,
        r#"{"error":{"message":"Use JSON","type":"invalid_request_error","code":"unsupported_content_type"}}"#,
    ),
    (422, r#"{"error":{"message":"Unprocessable","type":"invalid_request_error","param":null,"code":null}}"#),
    (
        424,
        r#"{"error":{"message":"Error retrieving tool list from MCP server: 'crm'. Http status code: 424 (Failed Dependency)","type":"external_connector_error","param":"tools","code":"http_error"}}"#,
    ),
    (424, r#"{"success":false,"error":[{"code":2016,"message":"No"}]}"#),
    (
        429,
        r#"{"error":{"message":"Request too large for gpt-4o in organization org-A on tokens per min (TPM): Limit 30000, Requested 61337.","type":"tokens","code":"rate_limit_exceeded"}}"#,
    ),
    (
        429,
        r#"{"error":{"message":"Resource Unavailable: flex.","type":"resource_unavailable","param":null,"code":"resource_unavailable"}}"#,
    ),
    (431, ""),
    (498, r#"{"error":{"message":"Flex tier capacity exceeded","code":"capacity_exceeded"}}"#),
];

const RESPONSES: &str = r#"{"model":"m","input":"hi"}"#;

fn refused() -> Vec<Disturbance> {
    let chats = REFUSALS.iter().map(|(status, error)| Disturbance {
        upstream: Script::json(*status, error),
        ..Disturbance::chat(if status % 2 == 0 { CHAT } else { STREAM })
    });
    let others = [
        ("/v1/embeddings", r#"{"model":"m","input":""}"#),
        ("/v1/responses", RESPONSES),
        ("/v1/moderations", r#"{"model":"m","input":""}"#),
        ("/v1/images/generations", r#"{"model":"m","prompt":""}"#),
    ];
    let others = others.into_iter().flat_map(|(path, body)| {
        REFUSALS
            .iter()
            .map(move |(status, error)| Disturbance::of("POST", path, body, Script::json(*status, error)))
    });
    chats.chain(others).chain(answered_with_an_error()).collect()
}

/// Errors behind a success, an operation without permission, bodies that are no requests, and a
/// stream where none exists.
fn answered_with_an_error() -> Vec<Disturbance> {
    let image = r#"{"error":{"message":"Invalid 'messages[3].content[0].image_url'.","type":"invalid_request_error","param":"messages[3].content[0].image_url","code":"invalid_image_url"}}"#;
    let policy = r#"{"error":{"message":"The response was filtered.","code":"content_filter"}}"#;
    let events =
        |first: &str, error: &str| Script::events(vec![bytes(first), bytes(&format!("data: {error}\n\n"))]);
    let failed =
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":null}}\n\n";
    let reason = "event: error\ndata: {\"type\":\"error\",\"code\":\"content_policy_violation\",\"message\":\"The response was filtered\"}\n\n";
    let streamed = |upstream| Disturbance { upstream, ..Disturbance::chat(STREAM) };
    let scope = r#"{"error":{"message":"Missing scopes: api.responses.write.","type":"invalid_request_error","code":"missing_scope"}}"#;
    let vectors = r#"{"object":"list","data":[{"index":0,"embedding":[1]}]}"#;
    let tokens = r#"{"object":"response.input_tokens","input_tokens":3}"#;
    let with_stream = |body: &str| body.replacen('{', "{\"stream\":true,", 1);
    let bad = [
        "{",
        "null",
        "[]",
        "\"x\"",
        r#"{"messages":[]}"#,
        r#"{"model":"none"}"#,
        r#"{"model":"m","model":"x"}"#,
    ];
    let mut disturbances = vec![
        streamed(events("", image)),
        streamed(events(FIRST, image)),
        streamed(events("", policy)),
        streamed(events(FIRST, policy)),
        Disturbance { upstream: Script::json(200, policy), ..Disturbance::chat(CHAT) },
        Disturbance::of(
            "POST",
            "/v1/responses",
            &with_stream(RESPONSES),
            Script::events(vec![bytes(failed), Step::Pause(ms(40)), bytes(reason)]),
        ),
        Disturbance::of("POST", "/v1/responses", RESPONSES, Script::json(401, scope)),
        Disturbance::of("POST", "/v1/embeddings", &with_stream(super::EMBED), Script::json(200, vectors)),
        Disturbance::of(
            "POST",
            "/v1/responses/input_tokens",
            &with_stream(RESPONSES),
            Script::json(200, tokens),
        ),
    ];
    disturbances.extend(bad.map(Disturbance::chat));
    disturbances
}

/// A limit of the paths of stored objects.
const NONE_LEFT: &[(&str, &str)] = &[
    ("x-ratelimit-limit-requests", "100"),
    ("x-ratelimit-remaining-requests", "0"),
    ("x-ratelimit-reset-requests", "60s"),
    ("retry-after", "30"),
];

fn on_stored_objects() -> Vec<Disturbance> {
    let limited = || Script { headers: NONE_LEFT, ..Script::json(429, super::LIMITED) };
    let failing = |status| Script::json(status, super::OVERLOADED);
    let slow = |after| Script {
        head_after: Some(ms(after)),
        headers: NONE_LEFT,
        ..Script::json(200, r#"{"object":"list","data":[]}"#)
    };
    let replay = |error: &str| {
        let event = format!(
            "event: response.failed\ndata: {{\"type\":\"response.failed\",\"response\":{{\"error\":{error}}}}}\n\n"
        );
        Script::events(vec![
            bytes("event: response.created\ndata: {\"type\":\"response.created\"}\n\n"),
            bytes(&event),
        ])
    };
    let content = |steps| Script {
        steps,
        says_length: false,
        content_type: "application/octet-stream",
        ..Script::json(200, "")
    };
    let cut = || content(vec![bytes("text"), Step::Pause(ms(300)), Step::Break]);
    let mut disturbances = Vec::new();
    for (method, path, body) in [
        ("GET", "/v1/files/file-1", ""),
        ("GET", "/v1/batches", ""),
        ("POST", "/v1/batches", r#"{"input_file_id":"file-1"}"#),
        ("POST", "/v1/evals/eval_1/runs", "{}"),
        ("DELETE", "/v1/responses/resp_1", ""),
        ("GET", "/v1/chat/completions/chatcmpl-1", ""),
    ] {
        let answers =
            [limited(), failing(500), failing(502), failing(404), failing(408), slow(10), slow(4_000)];
        disturbances.extend(answers.map(|upstream| Disturbance::of(method, path, body, upstream)));
        disturbances.push(Disturbance {
            conduct: Conduct::Leaves(ms(400)),
            ..Disturbance::of(method, path, body, Script::silence())
        });
    }
    for error in
        [r#"{"code":"insufficient_quota","message":"x"}"#, r#"{"code":"server_error","message":"x"}"#, "null"]
    {
        disturbances.push(Disturbance::of("GET", "/v1/responses/resp_1?stream=true", "", replay(error)));
    }
    let hanging = || content(vec![bytes("text"), Step::Hang]);
    let file = |upstream, conduct| Disturbance {
        conduct,
        ..Disturbance::of("GET", "/v1/files/file-1/content", "", upstream)
    };
    disturbances.extend([
        file(cut(), Conduct::Waits),
        file(hanging(), Conduct::Leaves(ms(900))),
        file(hanging(), Conduct::Waits),
        file(content(vec![bytes("text"), bytes("more")]), Conduct::ReadsSlowly(ms(90_000))),
    ]);
    disturbances
}

/// Every disturbance once.
pub fn all() -> Vec<Disturbance> {
    [leaving(), impatient(), slow_reading(), uploading(), refused(), on_stored_objects()].concat()
}

/// A random disturbance. Each kind is equally frequent, and the times are random.
pub fn any_disturbance() -> impl Strategy<Value = Disturbance> {
    let kinds = [leaving(), impatient(), slow_reading(), uploading(), refused(), on_stored_objects()];
    let disturbance = prop::sample::select(kinds.to_vec()).prop_flat_map(prop::sample::select);
    (disturbance, 0..4_000_u64).prop_map(|(disturbance, after)| match disturbance.conduct {
        Conduct::Leaves(_) => Disturbance { conduct: Conduct::Leaves(ms(after)), ..disturbance },
        Conduct::ReadsSlowly(_) => {
            Disturbance { conduct: Conduct::ReadsSlowly(ms(after * 40)), ..disturbance }
        }
        Conduct::UploadsSlowly(_) => {
            Disturbance { conduct: Conduct::UploadsSlowly(ms(after / 8)), ..disturbance }
        }
        Conduct::UploadsRestSlowly(_) => {
            Disturbance { conduct: Conduct::UploadsRestSlowly(ms(after * 15)), ..disturbance }
        }
        _ => disturbance,
    })
}
