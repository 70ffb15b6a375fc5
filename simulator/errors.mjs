// The errors of each provider: status, body and headers as in its documentation and in public
// recordings.

// OpenAI: https://developers.openai.com/api/docs/guides/error-codes
export function openaiError(name, { operation, model = "the model" }) {
  const error = (status, message, type, code, headers = {}, param = null) => ({
    status,
    headers,
    json: { error: { message, type, param, code } },
  });
  switch (name) {
    case "rate_limit":
      return error(
        429,
        `Rate limit reached for ${model} in organization org-simulated on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms.`,
        "requests",
        "rate_limit_exceeded",
        { "retry-after": "20", "retry-after-ms": "20000", "x-ratelimit-remaining-requests": "0" },
      );
    case "quota":
      return error(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        "insufficient_quota",
      );
    case "slow_down":
      return error(429, "Slow down: traffic rose too fast. Reduce it and ramp up gradually.", "requests", "slow_down");
    case "overloaded":
      return error(
        503,
        "The engine is currently overloaded, please try again later.",
        "service_unavailable_error",
        "server_is_overloaded",
      );
    case "server_error":
      return error(
        500,
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        null,
      );
    case "timeout":
      return error(408, "The request timed out.", "timeout", "request_timeout");
    case "content_filter":
      return error(
        400,
        "Your request was rejected as a result of our safety system.",
        "invalid_request_error",
        "content_policy_violation",
      );
    case "context_window":
      return contextWindow();
    case "invalid_request":
      return invalidRequest();
    case "unsupported_operation":
      return error(404, `${model} is not supported by ${operation}.`, "invalid_request_error", "model_not_found");
    case "bad_key":
      return error(
        401,
        "Incorrect API key provided: sk-sim**************. You can find your API key at https://platform.openai.com/account/api-keys.",
        "invalid_request_error",
        "invalid_api_key",
      );
    case "forbidden":
      return error(
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
      );
    case "deployment_not_found":
      return error(
        404,
        `The model \`${model}\` does not exist or you do not have access to it.`,
        "invalid_request_error",
        "model_not_found",
      );
    case "unknown_url":
      return error(404, "Invalid URL", "invalid_request_error", null);
    default:
      return anyError(name);
  }
}

// Azure: https://learn.microsoft.com/azure/foundry/openai/how-to/troubleshoot-errors
export function azureError(name, { operation, apiVersion = "v1" }) {
  const error = (status, code, message, headers = {}) => ({ status, headers, json: { error: { code, message } } });
  switch (name) {
    case "rate_limit":
      return error(
        429,
        "429",
        `Requests to the ${azureOperation(operation)} Operation under Azure OpenAI API version ${apiVersion} have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 22 seconds.`,
        { "retry-after": "22", "retry-after-ms": "22000", "x-ratelimit-remaining-tokens": "0" },
      );
    case "quota":
      return error(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
      );
    case "slow_down":
      return error(
        429,
        "too_many_requests",
        "The system is currently experiencing high demand and cannot process your request. Your request exceeds the maximum usage size allowed during peak load. Please retry after 6 seconds.",
      );
    case "overloaded":
      return error(
        503,
        "ServiceUnavailable",
        "The service is temporarily unable to process your request. Please try again later.",
      );
    case "server_error":
      return {
        status: 500,
        headers: { "ms-azureml-model-error-reason": "model_error", "ms-azureml-model-error-statuscode": "500" },
        json: {
          error: {
            message: "The server had an error while processing your request. Sorry about that!",
            type: "server_error",
            param: null,
            code: null,
          },
        },
      };
    case "timeout":
      return error(408, "Timeout", "The operation was timeout.");
    case "content_filter":
      return operation === "responses" ? filteredResponse() : filteredPrompt();
    case "context_window":
      return contextWindow();
    case "invalid_request":
      return invalidRequest();
    case "unsupported_operation":
      return error(
        400,
        "OperationNotSupported",
        `The ${operation} operation does not work with the specified model. Please choose different model and try again.`,
      );
    case "bad_key":
      return error(
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.",
      );
    case "bad_token":
      return {
        status: 401,
        headers: {},
        json: {
          statusCode: 401,
          message:
            "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.",
        },
      };
    case "forbidden":
      return error(401, "PermissionDenied", "Principal does not have access to API/Operation.");
    case "deployment_not_found":
      return error(
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
      );
    case "unknown_url":
      return error(404, "404", "Resource not found");
    default:
      return anyError(name);
  }
}

function anyError(name) {
  const limited = (type, code, message) => ({ status: 429, headers: {}, json: { error: { message, type, param: null, code } } });
  switch (name) {
    case "too_large":
      return limited(
        "tokens",
        "rate_limit_exceeded",
        "Request too large for the model in organization org-simulated on tokens per min (TPM): Limit 30000, Requested 61337. The input or output tokens must be reduced in order to run successfully.",
      );
    case "no_capacity":
      return limited("resource_unavailable", "resource_unavailable", "Resource Unavailable: the system does not have enough resources for this tier.");
    case "bad_gateway":
      return {
        status: 502,
        headers: { "content-type": "text/html" },
        text: "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
      };
    case "empty_error":
      return { status: 500, headers: {}, text: "" };
    default:
      throw new TypeError(`no error "${name}"`);
  }
}

function contextWindow() {
  return {
    status: 400,
    headers: {},
    json: {
      error: {
        message:
          "This model's maximum context length is 128000 tokens. However, your messages resulted in 150001 tokens. Please reduce the length of the messages.",
        type: "invalid_request_error",
        param: "messages",
        code: "context_length_exceeded",
      },
    },
  };
}

function invalidRequest() {
  return {
    status: 400,
    headers: {},
    json: {
      error: {
        message: "Invalid value for 'temperature': expected a number between 0 and 2.",
        type: "invalid_request_error",
        param: "temperature",
        code: "invalid_value",
      },
    },
  };
}

const FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.";
const VERDICT = { hate: { filtered: false, severity: "safe" }, jailbreak: { filtered: true, detected: true } };

function filteredPrompt() {
  const innererror = { code: "ResponsibleAIPolicyViolation", content_filter_result: VERDICT };
  const error = { message: FILTERED, type: null, param: "prompt", code: "content_filter", status: 400, innererror };
  return { status: 400, headers: {}, json: { error } };
}

// The Responses API of Azure has no `error` object around these fields.
function filteredResponse() {
  return {
    status: 400,
    headers: {},
    json: {
      message: FILTERED,
      type: "invalid_request_error",
      param: "prompt",
      code: "content_filter",
      content_filters: [{ blocked: true, source_type: "prompt", content_filter_results: VERDICT }],
    },
  };
}

function azureOperation(operation) {
  return operation === "embeddings" ? "Embeddings_Create" : "ChatCompletions_Create";
}
