// Makes an instance of a JSON schema, as a model does for a structured output. `text` is the value
// of every string.

const MAX_DEPTH = 16;

export function instanceOf(schema, text, root = schema, depth = 0) {
  if (depth > MAX_DEPTH || typeof schema !== "object" || schema === null) return null;
  const within = (inner) => instanceOf(inner, text, root, depth + 1);
  if (schema.$ref) return within(resolve(root, schema.$ref));
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choice = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choice) return within(choice[0]);
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "string":
      return text;
    case "integer":
    case "number":
      return schema.minimum ?? 1;
    case "boolean":
      return true;
    case "array":
      return Array.from({ length: schema.minItems ?? 1 }, () => within(schema.items));
    case "null":
      return null;
    default:
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, property]) => [name, within(property)]),
      );
  }
}

function resolve(root, pointer) {
  return pointer
    .split("/")
    .slice(1)
    .reduce((at, name) => at?.[name], root);
}
