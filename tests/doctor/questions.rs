//! What is asked, and what it costs at most.

use serde_json::{Value, json};
use switchyard::doctor::question::{DoctorQuestion, QuestionKind};

use super::{azure, deployment, through_ai_gateway};

fn asked(keys: &Value) -> DoctorQuestion {
    let deployment = deployment(keys);
    DoctorQuestion::new(&deployment, QuestionKind::of(&deployment, None)).unwrap()
}

fn body(question: &DoctorQuestion) -> Value {
    serde_json::from_slice(question.body.as_ref().unwrap()).unwrap()
}

#[test]
fn each_kind_of_model_has_its_question_at_the_address_that_serves() {
    for (keys, url, limit) in [
        (json!({}), "https://api.openai.com/v1/chat/completions", Some("max_tokens")),
        (
            json!({ "model": "o3-mini" }),
            "https://api.openai.com/v1/chat/completions",
            Some("max_completion_tokens"),
        ),
        (json!({ "model": "text-embedding-3-small" }), "https://api.openai.com/v1/embeddings", None),
        (json!({ "model": "gpt-image-1" }), "https://api.openai.com/v1/models/gpt-image-1", None),
        (json!({ "model": "ft:custom/1" }), "https://api.openai.com/v1/models/ft%3Acustom%2F1", None),
        (
            json!({ "model": "tts-1", "endpoint": "https://llm.example/v1" }),
            "https://llm.example/v1/models",
            None,
        ),
        (
            json!({ "provider": "azure" }),
            "https://r.openai.azure.com/openai/v1/chat/completions",
            Some("max_tokens"),
        ),
        (
            json!({ "provider": "azure", "deployment": "gpt-4o", "api_version": "2024-10-21" }),
            "https://r.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
            Some("max_tokens"),
        ),
        (
            json!({ "provider": "azure", "deployment": "dall-e-3", "api_version": "2024-10-21" }),
            "https://r.openai.azure.com/openai/models?api-version=2024-10-21",
            None,
        ),
        (
            json!({ "provider": "azure", "deployment": "prod" }),
            "https://r.openai.azure.com/openai/v1/models",
            None,
        ),
        // A price of the output, or a limit of it, is one of a model that writes.
        (
            json!({ "provider": "azure", "deployment": "prod", "cost": { "input": 1, "output": 2 } }),
            "https://r.openai.azure.com/openai/v1/chat/completions",
            Some("max_tokens"),
        ),
    ] {
        let question = asked(&keys);
        assert_eq!(question.url, url, "{keys}");
        assert_eq!(question.body.is_some(), !url.contains("/models"), "{keys}");
        if let Some(limit) = limit {
            assert_eq!(body(&question)[limit], 1, "{keys}");
        }
    }
}

#[test]
fn the_model_that_the_document_states_counts_before_names() {
    let prod = deployment(&json!({ "provider": "azure", "deployment": "gpt-prod" }));
    let chat = QuestionKind::Chat { is_reasoning: false };
    for (stated, expected) in [
        (None, chat),
        (Some("text-embedding-3-large"), QuestionKind::Embedding),
        (Some("o3"), QuestionKind::Chat { is_reasoning: true }),
        (Some("unheard-of"), chat),
    ] {
        assert_eq!(QuestionKind::of(&prod, stated), expected, "{stated:?}");
    }
}

#[test]
fn credentials_are_those_that_serve() {
    let header = |question: &DoctorQuestion, name: &str| {
        question.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone())
    };
    assert_eq!(header(&asked(&json!({})), "authorization").as_deref(), Some("Bearer zq-secret-key"));
    let azure = azure();
    let question = DoctorQuestion::new(&azure, QuestionKind::Listing).unwrap();
    assert_eq!(header(&question, "api-key").as_deref(), Some("zq-secret-key"));
    let via = through_ai_gateway();
    let question = DoctorQuestion::new(&via, QuestionKind::of(&via, None)).unwrap();
    assert!(question.url.starts_with("https://gateway.ai.cloudflare.com/v1/"), "{}", question.url);
    assert_eq!(header(&question, "cf-aig-authorization").as_deref(), Some("Bearer zq-secret-key"));
}

#[test]
fn the_edits_of_the_deployment_apply() {
    let params =
        json!({ "drop": ["max_tokens"], "set": { "max_completion_tokens": 20, "temperature": 0.5 } });
    let question = asked(&json!({ "params": params, "cost": { "input": 1, "output": 10 } }));
    let sent = body(&question);
    assert_eq!(sent["model"], "gpt-4o");
    assert_eq!((&sent["max_completion_tokens"], &sent["temperature"]), (&json!(20), &json!(0.5)));
    assert_eq!(sent["max_tokens"], Value::Null);
    assert_eq!(question.usage().unwrap().output_tokens, 20);
}

#[test]
fn the_cost_is_a_bound_or_unknown() {
    let cost = |keys: &Value| {
        let deployment = deployment(keys);
        DoctorQuestion::new(&deployment, QuestionKind::of(&deployment, None)).unwrap().micro_usd(&deployment)
    };
    let chat = cost(&json!({ "cost": { "input": 2.5, "output": 10 } })).unwrap();
    // A hundred bytes of body are fewer than a hundred tokens.
    assert!((10.0..300.0).contains(&chat), "{chat}");
    assert_eq!(cost(&json!({})), None);
    // What is free is free without a price.
    assert_eq!(cost(&json!({ "model": "tts-1" })).map(f64::to_bits), Some(0.0_f64.to_bits()));
    // Nothing limits the answer.
    let params = json!({ "drop": ["max_tokens"] });
    assert_eq!(cost(&json!({ "params": params, "cost": { "input": 2.5, "output": 10 } })), None);
}

#[test]
fn azures_list_of_models_cannot_be_reached_through_ai_gateway() {
    let via = json!({ "account": "0123456789abcdef0123456789abcdef", "gateway": "main" });
    let keys = json!({ "provider": "azure", "deployment": "prod", "api_version": "2024-10-21", "via": via });
    let found = deployment(&keys);
    assert_eq!(DoctorQuestion::new(&found, QuestionKind::of(&found, None)), None);
    assert!(DoctorQuestion::new(&found, QuestionKind::Chat { is_reasoning: false }).is_some());
}
