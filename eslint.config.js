import pulumi from "@pulumi/eslint-plugin";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules/", "templates/", "tools/"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    plugins: { "@pulumi": pulumi },
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@pulumi/no-output-in-template-literal": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_", ignoreRestSiblings: true },
      ],
      // An interface may ask for a promise where an implementation has nothing to wait for.
      "@typescript-eslint/require-await": "off",
      eqeqeq: "error",
    },
  },
  {
    // core/connections.ts reads the environment, and nothing else of the product does.
    files: ["{automation,cli,components,core,providers,stacks}/**/*.{ts,js}", "index.ts"],
    ignores: ["core/connections.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        {
          object: "process",
          property: "env",
          message: "Use an accessor of core/connections.ts.",
        },
      ],
      "no-restricted-imports": [
        "error",
        {
          paths: ["process", "node:process"].map((name) => ({
            name,
            importNames: ["env"],
            message: "Use an accessor of core/connections.ts.",
          })),
        },
      ],
    },
  },
  {
    // Tests take the functions of plain objects apart.
    files: ["tests/**/*.ts"],
    rules: { "@typescript-eslint/unbound-method": "off" },
  },
);
