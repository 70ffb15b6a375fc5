// A large routes document: 200 deployments, 200 models and 500 rules. The entries for the request
// of the rig are at the end of each list, so that every rule before them is evaluated and does not
// match.

const DEPLOYMENTS = 200;
const RULES = 500;
const REGIONS = ["eastus", "westeurope", "swedencentral", "japaneast"];

/** The settings and clients of the sample, with many more deployments, models and rules. */
export function largeRoutes(sample) {
  const names = Array.from({ length: DEPLOYMENTS }, (_, index) => `deployment-${index}`);
  const deployments = names.map((name, index) => [name, deployment(index)]);
  // Each model falls back from its own deployment to the next ones, as with several regions.
  const models = names.map((_, index) => [
    `team-${index}`,
    { targets: [0, 1, 2].map((step) => names[(index + step) % DEPLOYMENTS]) },
  ]);
  const rules = Array.from({ length: RULES - 1 }, (_, index) => ({
    when: when(index),
    use: `team-${index % (DEPLOYMENTS - 1)}`,
  }));
  return {
    ...sample,
    deployments: Object.fromEntries(deployments),
    models: Object.fromEntries([...models, ["chat", { targets: ["team-197", "team-199"] }]]),
    rules: [...rules, { when: { header: { "user-agent": "OpenAI/*" }, model: "cha*" }, use: "chat" }],
  };
}

function deployment(index) {
  const common = { region: REGIONS[index % REGIONS.length], tags: [`cell-${index % 10}`], quality: (index % 3) + 1 };
  if (index % 2 === 0) {
    return {
      provider: "openai",
      endpoint: "${OPENAI_BASE_URL}",
      api_key: "${OPENAI_API_KEY}",
      model: `gpt-4o-${index}`,
      ...common,
    };
  }
  const azure = { provider: "azure", endpoint: "${AZURE_EASTUS_ENDPOINT}", api_key: "${AZURE_EASTUS_KEY}" };
  return { ...azure, deployment: `gpt-4o-${index}`, ...common };
}

/** A condition, of each kind in turn. None matches the request of the rig. */
function when(index) {
  const kinds = [
    { path: `/ai/team-${index}/*` },
    { header: { "x-tenant": `tenant-${index}` } },
    { model: `team-${index}-*` },
    { metadata: { team: `team-${index}` } },
    { header: { "user-agent": `bookshop-${index}/*` }, model: "chat*" },
  ];
  return kinds[index % kinds.length];
}
