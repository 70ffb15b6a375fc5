// Variables with values for the simulated upstreams: those of routes.json, and those of the guides,
// whose documents also call through the simulated AI Gateway.

export const simulatedVars = ({ openai, eastus, westeurope, aiGateway }) => ({
  OPENAI_BASE_URL: openai.endpoint,
  OPENAI_API_KEY: openai.key,
  AZURE_EASTUS_ENDPOINT: eastus.endpoint,
  AZURE_EASTUS_KEY: eastus.key,
  AZURE_WESTEUROPE_ENDPOINT: westeurope.endpoint,
  AZURE_WESTEUROPE_KEY: westeurope.key,
  CF_AIG_ENDPOINT: aiGateway.endpoint,
  CF_AIG_TOKEN: aiGateway.key,
  SWITCHYARD_KEY: "sk-switchyard-local",
  ADMIN_TOKEN: "admin-local",
});
