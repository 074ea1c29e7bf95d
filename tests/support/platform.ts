/** The config of a small platform's stack. */
export const PLATFORM = {
  domain: "staging.example.test",
  gitOrganization: "projects",
  registry: "registry.example.test",
  ingressAddress: "192.0.2.10",
  citadelOrganization: "orchard9",
  placeholderImage: "placeholder:1",
  agentImage: "agent:1",
} as const;
