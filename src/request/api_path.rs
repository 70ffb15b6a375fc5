//! Reads the operation from a path.
//!
//! Clients differ in what they write before the operation: OpenAI's SDKs write `/v1/…`, Azure's
//! SDKs `/openai/deployments/{model}/…`, `/openai/…` or `/openai/v1/…`. AI Gateway's custom
//! providers may insert one more `/v1`, and path rules add prefixes of their own. All of these mean
//! the same and are accepted. Empty segments (`//`, a trailing `/`) are ignored. The grammar is
//! `[prefix] v1* [openai] v1* [deployments/{model}] v1* rest`.

use super::percent;
use super::stored_object::StoredObject;
use crate::routes::prefix_map::PrefixMap;
use crate::vocabulary::operation::Operation;

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiPath {
    /// An operation on a model.
    Operation {
        /// The operation.
        operation: Operation,
        /// The model in the path (Azure's form), decoded.
        model: Option<String>,
    },
    /// The list of models.
    Models,
    /// One model, by its decoded name.
    Model(String),
    /// An operation on a stored object. Its path is not checked yet.
    StoredObject(StoredObject),
    /// Another part of OpenAI's API, such as a realtime session or the administration of an
    /// organization. It is not routed. The client should learn this and not doubt its URL.
    Stateful,
    /// A path that the gateway does not know.
    Unknown,
}

/// The path that says whether the gateway runs.
pub const HEALTHZ: &str = "/healthz";
/// The methods of what can only be read.
pub const GET: &str = "GET, HEAD";
/// All methods that any path accepts.
pub const ALL: &str = "GET, HEAD, POST, DELETE";

impl ApiPath {
    /// The methods that the path accepts, as the value of an `allow` header; `None` where there is
    /// nothing to call.
    pub fn allow(&self) -> Option<&'static str> {
        match self {
            Self::Operation { operation: Operation::ChatCompletions, model: None } => Some("GET, HEAD, POST"),
            Self::Operation { .. } => Some("POST"),
            Self::Model(name) if StoredObject::fine_tuned_model(name).is_some() => Some("GET, HEAD, DELETE"),
            Self::Models | Self::Model(_) => Some(GET),
            // Only the account knows which of them each path accepts.
            Self::StoredObject(_) => Some(ALL),
            Self::Stateful | Self::Unknown => None,
        }
    }

    /// The meaning of the path with this method: a `POST` creates chat completions, a `GET` lists
    /// the stored ones. A `GET` of a model shows a node, a `DELETE` of a fine-tuned one is for the
    /// account that has it.
    #[must_use]
    pub fn with_method(self, method: &str) -> Self {
        match self {
            Self::Operation { operation: Operation::ChatCompletions, model: None } if method == "GET" => {
                Self::StoredObject(StoredObject::completions())
            }
            Self::Model(name) if method == "DELETE" => {
                StoredObject::fine_tuned_model(&name).map_or(Self::Model(name), Self::StoredObject)
            }
            path => path,
        }
    }
}

/// Whether a path belongs to a part of OpenAI's API that is not routed (its OpenAPI document,
/// 2.3.0).
fn is_stateful(segments: &[&str]) -> bool {
    matches!(
        segments,
        [
            "chatkit"
                | "content_provenance_checks"
                | "fine_tuning"
                | "live"
                | "organization"
                | "projects"
                | "realtime"
                | "skills",
            ..
        ] | ["audio", "voices" | "voice_consents", ..]
    )
}

/// Reads a path without its query.
///
/// `prefixes` are the prefixes of path rules, without a trailing slash. Any form may follow one of
/// them; the longest prefix that leaves a readable path counts. A path that can be read without a
/// prefix needs none, so a rule for `/openai/*` does not hide Azure's own paths. But a rule for
/// `/live/*` takes precedence over OpenAI's paths of that name.
pub fn parse(path: &str, prefixes: &PrefixMap) -> ApiPath {
    let plain = read(path);
    if !matches!(plain, ApiPath::Unknown | ApiPath::Stateful | ApiPath::StoredObject(_)) {
        return plain;
    }
    // AI Gateway's `/v1` may also come before the prefix. No prefix begins with `/v1`.
    let bare = without_v1(path);
    prefixes
        .of(bare)
        .filter_map(|(prefix, _)| bare.strip_prefix(prefix).filter(|rest| rest.starts_with('/')))
        .map(read)
        .find(|path| *path != ApiPath::Unknown)
        .unwrap_or(plain)
}

fn without_v1(mut path: &str) -> &str {
    while let Some(rest) = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')) {
        path = rest;
    }
    path
}

fn read(path: &str) -> ApiPath {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let rest = after_v1(&segments);
    let rest = after_v1(rest.strip_prefix(&["openai"]).unwrap_or(rest));
    match rest {
        ["deployments", after @ ..] => read_deployment(after, has_empty_model(path)),
        ["models"] => ApiPath::Models,
        ["models", name @ ..] => ApiPath::Model(percent::decode(&name.join("/")).into_owned()),
        _ => match operation_at_end_of(rest) {
            Some((operation, [])) => ApiPath::Operation { operation, model: None },
            _ => match StoredObject::at(rest) {
                Some(stored) => ApiPath::StoredObject(stored),
                None if is_stateful(rest) => ApiPath::Stateful,
                None => ApiPath::Unknown,
            },
        },
    }
}

/// Whether nothing stands where Azure's form has the model: a client with an empty name.
fn has_empty_model(path: &str) -> bool {
    path.split('/').skip_while(|segment| *segment != "deployments").nth(1) == Some("")
}

/// Reads what follows `deployments/`. Clients do not encode the model (openai-python does not), and
/// `vendor/name` is a common form of model names. So the operation is read from the end, and
/// everything before it is the model. Stored objects belong to no model, but Microsoft's clients
/// write one before `batches`. Without a model, a part of the operation must not become the model.
fn read_deployment(segments: &[&str], has_empty_model: bool) -> ApiPath {
    if has_empty_model && let Some((operation, [])) = operation_at_end_of(segments) {
        return ApiPath::Operation { operation, model: None };
    }
    let [first, after @ ..] = segments else { return ApiPath::Unknown };
    let Some((operation, mut more)) = operation_at_end_of(after) else {
        return StoredObject::at(after).map_or(ApiPath::Unknown, ApiPath::StoredObject);
    };
    while let [name @ .., "v1"] = more {
        more = name;
    }
    let model = more.iter().fold((*first).to_owned(), |model, segment| model + "/" + segment);
    ApiPath::Operation { operation, model: Some(percent::decode(&model).into_owned()) }
}

fn after_v1<'s, 'p>(mut segments: &'s [&'p str]) -> &'s [&'p str] {
    while let ["v1", rest @ ..] = segments {
        segments = rest;
    }
    segments
}

/// The longest operation at the end of `segments`, and the segments before it.
fn operation_at_end_of<'s, 'p>(segments: &'s [&'p str]) -> Option<(Operation, &'s [&'p str])> {
    [2, 1].into_iter().find_map(|length| {
        let (before, last) = segments.split_at_checked(segments.len().checked_sub(length)?)?;
        let operation = Operation::ALL
            .into_iter()
            .filter(|operation| !operation.is_on_stored_objects())
            .find(|operation| operation.path().split('/').eq(last.iter().copied()))?;
        Some((operation, before))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ApiPath, PrefixMap, StoredObject, parse};
    use crate::vocabulary::operation::Operation;

    fn of_rules(paths: &[&str]) -> PrefixMap {
        paths.iter().copied().collect()
    }

    fn prefixes() -> PrefixMap {
        of_rules(&["/ai/azure/eu", "/ai/azure", "/openai"])
    }

    fn chat(model: Option<&str>) -> ApiPath {
        ApiPath::Operation { operation: Operation::ChatCompletions, model: model.map(str::to_owned) }
    }

    #[test]
    fn every_form_of_a_path_means_the_same() {
        for path in [
            // OpenAI's SDKs, with the base URL that they document.
            "/v1/chat/completions",
            // A base URL without `/v1`: AI Gateway's custom provider with the origin alone.
            "/chat/completions",
            // A base URL with `/v1` at both ends, or AI Gateway inserting one.
            "/v1/v1/chat/completions",
            "/v1/v1/v1/chat/completions",
            // Azure's v1, and the dated path of operations without a deployment.
            "/openai/v1/chat/completions",
            "/openai/chat/completions",
            "/v1/openai/v1/chat/completions",
            // A base URL that ends in a slash.
            "/v1/chat/completions/",
            "/v1//chat/completions",
            // AzureOpenAI with an empty model.
            "/openai/deployments//chat/completions",
            // After a rule's prefix, each form again.
            "/ai/azure/chat/completions",
            "/ai/azure/v1/chat/completions",
            "/ai/azure/openai/v1/chat/completions",
            "/v1/ai/azure/v1/chat/completions",
            // Only the longest prefix leaves a readable path.
            "/ai/azure/eu/v1/chat/completions",
        ] {
            assert_eq!(parse(path, &prefixes()), chat(None), "{path}");
        }
    }

    #[test]
    fn azure_paths_carry_the_model() {
        for (path, model) in [
            ("/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
            ("/openai/deployments//gpt-4o/chat/completions", "gpt-4o"),
            ("/v1/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
            // AzureOpenAI with `base_url` instead of `azure_endpoint`.
            ("/v1/deployments/gpt-4o/chat/completions", "gpt-4o"),
            ("/ai/azure/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
            // A rule for `/openai/*` does not hide the form.
            ("/openai/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
            ("/openai/deployments/gpt%2D4o%20eu/chat/completions", "gpt-4o eu"),
            // openai-python does not encode the name.
            ("/openai/deployments/azure/gpt-4o/chat/completions", "azure/gpt-4o"),
            ("/openai/deployments/azure%2Fgpt-4o/chat/completions", "azure/gpt-4o"),
            // A name that looks like the start of a longer operation: the longest operation wins.
            ("/openai/deployments/chat/chat/completions", "chat"),
        ] {
            assert_eq!(parse(path, &prefixes()), chat(Some(model)), "{path}");
        }
    }

    #[test]
    fn every_operation_is_known_by_its_path() {
        for operation in Operation::ALL.into_iter().filter(|other| !other.is_on_stored_objects()) {
            for (path, model) in [
                (format!("/v1/{}", operation.path()), None),
                (format!("/openai/deployments/m/{}", operation.path()), Some("m".to_owned())),
            ] {
                assert_eq!(parse(&path, &of_rules(&[])), ApiPath::Operation { operation, model }, "{path}");
            }
        }
    }

    #[test]
    fn stored_objects_are_known_in_every_form_of_a_path() {
        let stored = |parts: &[&str]| StoredObject::at(parts).map_or(ApiPath::Unknown, ApiPath::StoredObject);
        for start in
            ["", "/v1", "/openai", "/openai/v1", "/v1/openai/v1", "/ai/azure/eu/openai/v1", "/v1/ai/azure"]
        {
            for parts in [
                &["responses", "resp_1"][..],
                &["responses", "resp_1", "input_items"],
                &["chat", "completions", "chatcmpl-1"],
                &["files"],
                &["vector_stores", "vs_1", "files", "file-1", "content"],
            ] {
                let path = format!("{start}/{}", parts.join("/"));
                let read = parse(&path, &prefixes());
                assert_eq!(
                    (&read, read.allow()),
                    (&stored(parts), Some("GET, HEAD, POST, DELETE")),
                    "{path}"
                );
            }
        }
        // Nothing is decoded here: an invalid id is refused later.
        assert_eq!(parse("/v1/responses/%2e%2e", &of_rules(&[])), stored(&["responses", "%2e%2e"]));
        // Microsoft's clients write a model before it, and a prefix may have the same name.
        let batches = stored(&["batches"]);
        assert_eq!(parse("/openai/deployments/gpt-4o/batches", &of_rules(&[])), batches);
        assert_eq!(parse("/batches", &of_rules(&["/batches"])), batches);
        // A `DELETE` of a fine-tuned model is for its account. Other models are nodes.
        let model = |path, method| parse(path, &of_rules(&[])).with_method(method);
        let tuned = ApiPath::StoredObject(StoredObject::fine_tuned_model("ft:m:o::1").unwrap());
        assert_eq!(model("/v1/models/ft:m:o::1", "DELETE"), tuned);
        assert_eq!(model("/openai/v1/models/ft%3Am:o::1", "DELETE"), tuned);
        assert_eq!(model("/v1/models/ft:m:o::1", "GET"), ApiPath::Model("ft:m:o::1".to_owned()));
        assert_eq!(model("/v1/models/gpt-4o", "DELETE"), ApiPath::Model("gpt-4o".to_owned()));
        // A `GET` lists chat completions at the path where a `POST` creates them.
        let completions = ApiPath::StoredObject(StoredObject::completions());
        assert_eq!(parse("/v1/chat/completions", &of_rules(&[])).with_method("GET"), completions);
        assert_eq!(parse("/v1/chat/completions", &of_rules(&[])).with_method("POST"), chat(None));
        // Names of operations take precedence over ids, also after a rule's prefix.
        let compact = ApiPath::Operation { operation: Operation::ResponsesCompact, model: None };
        assert_eq!(parse("/v1/responses/compact", &of_rules(&[])), compact);
        let embeddings = ApiPath::Operation { operation: Operation::Embeddings, model: None };
        assert_eq!(parse("/responses/embeddings", &of_rules(&["/responses"])), embeddings);
    }

    #[test]
    fn other_paths_are_distinguished() {
        for (path, expected) in [
            ("/v1/models", ApiPath::Models),
            ("/models", ApiPath::Models),
            ("/openai/models", ApiPath::Models),
            ("/ai/azure/v1/models/", ApiPath::Models),
            ("/v1/models/gpt-4o", ApiPath::Model("gpt-4o".to_owned())),
            ("/v1/models/a%2Fb", ApiPath::Model("a/b".to_owned())),
            ("/v1/models/a/b", ApiPath::Model("a/b".to_owned())),
            // Bound to one account.
            ("/v1/realtime", ApiPath::Stateful),
            ("/openai/v1/realtime/client_secrets", ApiPath::Stateful),
            ("/v1/fine_tuning/else", ApiPath::Stateful),
            ("/v1/skills", ApiPath::Stateful),
            ("/v1/audio/voices", ApiPath::Stateful),
            ("/v1/organization/users", ApiPath::Stateful),
            ("/v1/projects/proj_1/groups", ApiPath::Stateful),
            ("/v1/content_provenance_checks", ApiPath::Stateful),
            // Not known.
            ("/", ApiPath::Unknown),
            ("", ApiPath::Unknown),
            ("/v1", ApiPath::Unknown),
            ("/v1/audio", ApiPath::Unknown),
            ("/openai/deployments/gpt-4o", ApiPath::Unknown),
            // The first segment is always part of the name, so this is a legacy completion by a
            // model named `chat`.
            (
                "/openai/deployments/chat/completions",
                ApiPath::Operation { operation: Operation::Completions, model: Some("chat".to_owned()) },
            ),
            ("/openai/deployments/completions", ApiPath::Unknown),
            // A prefix ends at the end of a segment, and an unknown prefix is not removed.
            ("/ai/azurex/v1/chat/completions", ApiPath::Unknown),
            ("/ai/prod/v1/chat/completions", ApiPath::Unknown),
            ("/v1x/chat/completions", ApiPath::Unknown),
            ("/Chat/Completions", ApiPath::Unknown),
        ] {
            assert_eq!(parse(path, &prefixes()), expected, "{path}");
        }
    }

    #[test]
    fn each_path_takes_its_methods() {
        assert_eq!(chat(None).allow(), Some("GET, HEAD, POST"));
        assert_eq!(chat(Some("m")).allow(), Some("POST"));
        assert_eq!(ApiPath::Models.allow(), Some("GET, HEAD"));
        assert_eq!(ApiPath::Model("m".to_owned()).allow(), Some("GET, HEAD"));
        assert_eq!(ApiPath::Model("ft:m:o::1".to_owned()).allow(), Some("GET, HEAD, DELETE"));
        assert_eq!(ApiPath::Stateful.allow(), None);
        assert_eq!(ApiPath::Unknown.allow(), None);
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "(/(v1|openai|deployments|models|chat|completions|ai|azure|%|%4|é|.{0,3})){0,8}") {
            let _ = parse(&path, &prefixes());
        }
    }
}
