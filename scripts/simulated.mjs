// The variables of routes.json, with values for the simulated upstreams.

export const simulatedVars = ({ openai, eastus, westeurope }) => ({
  OPENAI_BASE_URL: openai.endpoint,
  OPENAI_API_KEY: openai.key,
  AZURE_EASTUS_ENDPOINT: eastus.endpoint,
  AZURE_EASTUS_KEY: eastus.key,
  AZURE_WESTEUROPE_ENDPOINT: westeurope.endpoint,
  AZURE_WESTEUROPE_KEY: westeurope.key,
  SWITCHYARD_KEY: "sk-switchyard-local",
  ADMIN_TOKEN: "admin-local",
});
