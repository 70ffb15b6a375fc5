//! What the gateway's errors say.

use super::ClientError;
use crate::vocabulary::limit::LimitRate;
use crate::vocabulary::needs::missing;
use crate::vocabulary::time::Millis;

/// Most characters that are quoted from a client's text.
const QUOTED_CHARS: usize = 100;

/// Most characters of a parser's message about a body. The message ends with the position of the
/// error.
const REASON_CHARS: usize = 300;

/// Most reasons that a [`ClientError::NoEligibleDeployment`] lists.
const LISTED_REASONS: usize = 5;

impl ClientError {
    /// What happened and how to fix it, for people.
    #[expect(clippy::too_many_lines, reason = "one arm for each error")]
    pub fn message(&self) -> String {
        match self {
            Self::InvalidApiKey => "Incorrect or missing API key. Send the key that this gateway gave you, as \
                'Authorization: Bearer KEY' or as 'api-key: KEY'; a provider's key does not work here."
                .into(),
            Self::NoClients => "This gateway lets nobody in yet: its routes document has no \"clients\" section. \
                Add one, such as \"clients\": {\"my-app\": {\"key\": \"${MY_APP_KEY}\", \"models\": [\"*\"]}}, \
                and set the secret MY_APP_KEY."
                .into(),
            Self::InvalidAdminToken => "The admin API needs the value of the secret ADMIN_TOKEN, as \
                'Authorization: Bearer TOKEN'. While that secret is not set, it is closed."
                .into(),
            Self::AdminTokenNeeded => "You may look, and not change anything. Send the value of the secret ADMIN_TOKEN, \
                or have ACCESS_ADMINS name you."
                .into(),
            Self::AccessTokenRefused(fault) => {
                format!("The token of Cloudflare Access in Cf-Access-Jwt-Assertion {}.", fault.message())
            }
            Self::AccessNotAdmitted { name } => format!(
                "Cloudflare Access says that you are '{}', whom neither ACCESS_ADMINS nor ACCESS_VIEWERS names.",
                quoted(name)
            ),
            Self::CrossSiteRequest => "A page of another site sent this, so nothing was changed. Send the value of the \
                secret ADMIN_TOKEN."
                .into(),
            Self::FaultNotAllowed => "x-switchyard-fault needs the value of the secret ADMIN_TOKEN: as the key of the \
                request, or beside a client's key as 'x-switchyard-admin-token: TOKEN'."
                .into(),
            Self::InvalidFault { text, nearest } => format!(
                "x-switchyard-fault cannot do '{}'.{} Write DEPLOYMENT=FAULT, with a deployment of the routes document \
                 (GET /admin/api/health lists them) and 429, 500, hang or cut; separate several with commas.",
                quoted(text),
                nearest.as_ref().map(|part| format!(" Did you mean '{}'?", quoted(part))).unwrap_or_default()
            ),
            Self::RegistryMissing => "There is no registry of versions here. Add the binding REGISTRY to the class \
                Registry in wrangler.toml, with a migration that has new_sqlite_classes = [\"Registry\"], and deploy. \
                Without it, write the document with `npx wrangler kv key put routes --path routes.json --binding ROUTES --remote`."
                .into(),
            Self::RegistryUnavailable => "The Durable Object that has the versions could not be reached, so nothing was \
                changed. Try again; if it stays, check the binding REGISTRY in wrangler.toml."
                .into(),
            Self::IfMatchMissing => "Say on which version the change is based: send the etag of GET \
                /admin/api/routes/document as the header If-Match, or If-Match: * to replace whatever serves."
                .into(),
            Self::RoutesChanged { current } => format!(
                "Somebody has changed the routes: the current version is '{}'. Get it with GET \
                 /admin/api/routes/document, make the change there, and send its etag as If-Match.",
                quoted(current)
            ),
            Self::ChangeUnderWay => "Another change of the routes is under way. It ends within 30 s; look at GET \
                /admin/api/routes/history before you try again."
                .into(),
            Self::CanaryUnderWay { version } => format!(
                "A canary of version '{}' is under way. Wait until it ends, or end it: POST /admin/api/routes/canary \
                 with {{\"action\": \"take_back\"}} or {{\"action\": \"promote\"}}.",
                quoted(version)
            ),
            Self::NoCanary => "No canary is under way. PUT /admin/api/routes?canary=5&minutes=10 starts one; GET \
                /admin/api/audit says how the last one ended."
                .into(),
            Self::VersionNotFound { version } => format!(
                "There is no version '{}'. GET /admin/api/routes/history lists the versions that are kept.",
                quoted(version)
            ),
            Self::RoutesRefused { count } => format!(
                "The document has {count} error{}, so it was not stored; what served goes on. \"issues\" lists all.",
                if *count == 1 { "" } else { "s" }
            ),
            Self::RoutesNotWritten => "The KV namespace of the routes did not answer, or did not take the document. KV \
                takes one write a second for a key. Look at GET /admin/api/routes/history, and try again; if it stays, \
                check the binding ROUTES in wrangler.toml."
                .into(),
            Self::DeploymentNotFound { deployment, nearest } => format!(
                "The routes document has no deployment '{}'.{} GET /admin/api/health lists them.",
                quoted(deployment),
                nearest.as_ref().map(|name| format!(" Did you mean '{}'?", quoted(name))).unwrap_or_default()
            ),
            Self::SwitchNotShared => "The switch is at work in the isolate that took this call, and nowhere else: the \
                Durable Object that tells the others could not be reached. Try again; if it stays, check the binding \
                HEALTH in wrangler.toml."
                .into(),
            Self::MetricsUnavailable => "The Durable Object that has the counters could not be reached, so there are no \
                metrics now. Counters are not lost. Try again; if it stays, check the binding HEALTH in wrangler.toml."
                .into(),
            Self::RequestNotFound { id } => format!(
                "There is no record of the request '{}'. The gateway keeps the latest requests that failed, or in \
                 which an attempt failed; those of other isolates arrive within seconds. The log has more of \
                 them, and of the other requests as many as settings.log.sample allows.",
                quoted(id),
            ),
            Self::RecordsUnavailable => "The Durable Object that has the records could not be reached. Try again; if it \
                stays, check the binding HEALTH in wrangler.toml. The log has the records, too."
                .into(),
            Self::KeyExpired => "The time of this API key is over. Ask the gateway's operator for another one.".into(),
            Self::KeyRevoked => "This API key was revoked. Ask the gateway's operator for another one.".into(),
            Self::KeysUnavailable => "The gateway cannot find out now whether it knows this API key: its store does not \
                answer, or too many unknown keys are tried. Try again in a second."
                .into(),
            Self::KeyNotFound { id } => format!(
                "There is no key '{}'. GET /admin/api/keys lists the issued keys with their ids.",
                quoted(id)
            ),
            Self::KeyNotActive => "This key has ended, or is known already, so nothing was changed. Issue another one: \
                POST /admin/api/keys."
                .into(),
            Self::ClientNotFound { client, nearest } => format!(
                "The routes document has no client '{}'.{} A key belongs to a client of the document.",
                quoted(client),
                nearest.as_ref().map(|name| format!(" Did you mean '{}'?", quoted(name))).unwrap_or_default()
            ),
            Self::KeysNotAllowed { client, lacks } => format!(
                "The routes document does not allow such keys for client '{}'. Add \"{lacks}\": true to it.",
                quoted(client)
            ),
            Self::KeysNotWritten => "The KV namespace of the routes did not take the record, so there is no such key. \
                Try again; if it stays, check the binding ROUTES in wrangler.toml."
                .into(),
            Self::ModelNotFound { model, nearest } => format!(
                "Model '{}' does not exist, or you may not use it.{} GET /v1/models lists the models that you may use.",
                quoted(model),
                nearest.as_ref().map(|name| format!(" Did you mean '{}'?", quoted(name))).unwrap_or_default()
            ),
            Self::LimitReached { rate, is_own, retry_ms } => limit_reached(rate, *is_own, *retry_ms),
            Self::LimitsUnavailable => "The gateway cannot check the limits of this request now. Try again in a \
                second; if it stays, have the gateway's operator check the binding LEDGER in wrangler.toml."
                .into(),
            Self::NotAdmitted(fault) => fault.message(&quoted),
            Self::Denied { denial, .. } => denial.message.clone(),
            Self::InvalidJson(reason) | Self::InvalidForm(reason) => cut(reason, REASON_CHARS),
            Self::MissingModel => "You must provide a \"model\" parameter. GET /v1/models lists the models that \
                you may use."
                .into(),
            Self::RequestTooLarge { limit } => format!(
                "The request body is larger than the {limit} bytes that this gateway keeps, and they do not contain \
                 \"model\". Put \"model\" before the long fields, send a smaller body, or have the gateway's operator \
                 raise settings.buffer_bytes."
            ),
            Self::RequestTimeout { after_ms } => format!(
                "The request body did not arrive within {after_ms} ms, the time for the whole request. Send a smaller \
                 body, let your client wait longer, or have the gateway's operator raise \"deadline_ms\"."
            ),
            Self::TooManyBodies => "The gateway holds too many large request bodies at this moment. Try again in a \
                second."
                .into(),
            Self::UnsupportedEncoding { encoding } => format!(
                "The request body has the content-encoding '{}'. Send it without one: the gateway has to read it.",
                quoted(encoding)
            ),
            Self::Internal => "The gateway could not answer. Try again; if it stays, tell its operator the request \
                id in x-switchyard-request-id."
                .into(),
            Self::NoEligibleDeployment { model, reasons, returns_in_ms } => {
                none_eligible(model, reasons, *returns_in_ms)
            }
            Self::CapabilityMissing { model, lacks, limit } => missing(&quoted(model), lacks, limit),
            Self::UpstreamUnreachable { attempts } => {
                format!("No upstream could be reached ({}). Try again in a moment.", counted(*attempts))
            }
            Self::UpstreamTimeout { attempts } => format!(
                "No upstream answered in time ({}). Try again in a moment, or ask for a shorter answer.",
                counted(*attempts)
            ),
            Self::OutcomeUnknown { .. } => "The upstream did not say whether it did this: it may have done it. \
                 The gateway does not repeat it. Look whether it was done before you send it again."
                .to_owned(),
            Self::DeadlineExceeded { after_ms } => format!(
                "The request was not finished within its deadline of {after_ms} ms. Ask for a shorter answer or \
                 have the gateway's operator raise \"deadline_ms\"; your client's own timeout counts too."
            ),
            Self::RoutesUnavailable => "The gateway has no valid routes document to serve with. Try again in a \
                moment; the gateway's log says what is wrong with the document."
                .into(),
            Self::UnknownPath { method, path } => format!(
                "Unknown request URL: {} {}. Use an OpenAI path such as /v1/chat/completions, or an Azure OpenAI \
                 path such as /openai/deployments/MODEL/chat/completions.",
                quoted(method),
                quoted(path)
            ),
            Self::MethodNotAllowed { method, allow } => {
                format!("Method {} is not allowed here. Use {allow}.", quoted(method))
            }
            Self::WebSocketNotSupported { path } => format!(
                "This gateway does not serve WebSockets. Use POST {} over HTTP; with \"stream\": true the answer comes as \
                 server-sent events.",
                quoted(path)
            ),
            Self::InvalidObjectPath { path } => format!(
                "'{}' cannot be the path of an object. Use ids as the gateway's answers had them, such as file-abc123: up to \
                 128 letters, digits, '_', '-', '.' and ':', and at most 8 parts between slashes.",
                quoted(path)
            ),
            Self::ObjectNotFound { path } => format!(
                "'{}' not found: no model that your key opens here leads to an account that keeps such objects. GET \
                 /v1/models lists the models that you may use.",
                quoted(path)
            ),
            Self::NotOwnObject { id } => format!(
                "There is no object with the id '{}'. Your key reaches only objects that were made with it, or with another key \
                 of the same client.",
                quoted(id)
            ),
            Self::ObjectsUnavailable => {
                "The gateway cannot find out now which objects are yours. Try again in a second.".to_owned()
            }
            Self::ListNotReadable => "The provider's list is too long, or of another form than lists have, and cannot be \
                narrowed to your objects. Ask for a shorter page, such as ?limit=100."
                .to_owned(),
            Self::NoOwnListed { passed } => format!(
                "The list goes on, and none of its next {passed} objects is yours. Ask for your objects by their ids, or for \
                 the list after one of them: ?after=ID."
            ),
            Self::StatefulOperation { path } => format!(
                "{} belongs to a part of the provider's API that this gateway does not route. Besides models, it routes files, \
                 uploads, batches, vector_stores, conversations, containers, fine_tuning, evals, assistants, threads, videos, \
                 and stored responses and chat completions. Call the provider directly for realtime, for the administration \
                 of an organization and for others.",
                quoted(path)
            ),
        }
    }
}

/// Text from somebody else, shortened for a message.
fn quoted(words: &str) -> String {
    cut(words, QUOTED_CHARS)
}

/// The first `most` characters, with spaces instead of control characters.
fn cut(words: &str, most: usize) -> String {
    let mut rest = words.chars();
    let mut cut: String =
        rest.by_ref().take(most).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if rest.next().is_some() {
        cut.push('…');
    }
    cut
}

fn none_eligible(model: &str, reasons: &[String], returns_in_ms: Option<Millis>) -> String {
    let advice = returns_in_ms.map_or_else(
        || {
            "Use another model, or have the gateway's operator check its requirements and deployments."
                .to_owned()
        },
        |ms| format!("Try again in {} s.", ms.seconds_rounded_up().max(1)),
    );
    format!("No deployment may serve model '{}' right now.{} {advice}", quoted(model), ruled_out(reasons))
}

fn limit_reached(rate: &LimitRate, is_own: bool, retry_ms: Option<Millis>) -> String {
    let whose = if is_own { "your" } else { "the gateway's" };
    let Some(retry_ms) = retry_ms else {
        return format!(
            "This request may use more than {whose} whole limit of {}. Send a shorter input or a lower \
             \"max_completion_tokens\", or have the gateway's operator raise the limit.",
            rate.in_words()
        );
    };
    let seconds = retry_ms.seconds_rounded_up().max(1);
    let advice = if rate.is_quota() {
        format!("It begins anew in {seconds} s; the gateway's operator can raise it.")
    } else {
        format!("Try again in {seconds} s.")
    };
    let whose = if is_own { "Your" } else { "The gateway's" };
    format!("{whose} limit of {} is used up. {advice}", rate.in_words())
}

fn ruled_out(reasons: &[String]) -> String {
    let listed: Vec<String> = reasons.iter().take(LISTED_REASONS).map(|reason| quoted(reason)).collect();
    if listed.is_empty() { String::new() } else { format!(" Ruled out: {}.", listed.join("; ")) }
}

fn counted(attempts: u32) -> String {
    format!("{attempts} attempt{}", if attempts == 1 { "" } else { "s" })
}
