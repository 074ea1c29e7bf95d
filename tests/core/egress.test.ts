import assert from "node:assert/strict";
import { egress, egressRules, type DataService } from "../../core/egress.ts";
import { parsePlatformConfig } from "../../core/settings.ts";
import { thrown } from "../support/errors.ts";
import { PLATFORM } from "../support/platform.ts";

const rules = (settings: object = {}, services: DataService[] = []) =>
  egressRules(egress.parse(settings), services);

describe("egressRules", () => {
  it("opens the pods, the cluster's DNS, and all addresses outside link-local and private ranges", () => {
    assert.deepEqual(rules(), [
      { to: [{ podSelector: {} }] },
      {
        to: [
          {
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
            podSelector: {},
          },
        ],
        ports: [
          { protocol: "UDP", port: 53 },
          { protocol: "TCP", port: 53 },
        ],
      },
      {
        to: [
          {
            ipBlock: {
              cidr: "0.0.0.0/0",
              except: [
                "169.254.0.0/16",
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "100.64.0.0/10",
              ],
            },
          },
          { ipBlock: { cidr: "::/0", except: ["fe80::/10", "fc00::/7"] } },
        ],
      },
    ]);
  });

  it("opens the address and port of a data service", () => {
    const services = [
      { host: "10.0.0.5", port: 5432 },
      { host: "[fd00::5]", port: 6379 },
    ];
    const found = rules({}, services);
    assert.deepEqual(found.slice(2, 4), [
      { to: [{ ipBlock: { cidr: "10.0.0.5/32" } }], ports: [{ protocol: "TCP", port: 5432 }] },
      { to: [{ ipBlock: { cidr: "fd00::5/128" } }], ports: [{ protocol: "TCP", port: 6379 }] },
    ]);
  });

  it("opens the port of a data service with a name at all but link-local addresses", () => {
    assert.deepEqual(rules({}, [{ host: "db.internal", port: 5432 }])[2], {
      to: [
        { ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.0.0/16"] } },
        { ipBlock: { cidr: "::/0", except: ["fe80::/10"] } },
      ],
      ports: [{ protocol: "TCP", port: 5432 }],
    });
  });

  it("opens the ranges that the platform opens, for one port or all", () => {
    const open = [
      { cidr: "10.1.0.0/16", port: 53, protocol: "UDP" },
      { cidr: "10.2.0.0/16" },
    ] as const;
    assert.deepEqual(rules({ open }).slice(2, 4), [
      { to: [{ ipBlock: { cidr: "10.1.0.0/16" } }], ports: [{ protocol: "UDP", port: 53 }] },
      { to: [{ ipBlock: { cidr: "10.2.0.0/16" } }] },
    ]);
  });

  it("opens nothing else if everything is closed, and everything if nothing is closed", () => {
    assert.equal(rules({ closed: ["0.0.0.0/0", "::/0"] }).length, 2);
    assert.deepEqual(rules({ closed: ["0.0.0.0/0"] })[2], {
      to: [{ ipBlock: { cidr: "::/0" } }],
    });
    assert.deepEqual(rules({ closed: [] })[2], {
      to: [{ ipBlock: { cidr: "0.0.0.0/0" } }, { ipBlock: { cidr: "::/0" } }],
    });
  });

  it("is a setting whose mistakes are all named in one error", () => {
    const error = thrown("RDEV_SETTINGS", () =>
      parsePlatformConfig({
        ...PLATFORM,
        egress: JSON.stringify({ closed: ["10.0.0.0"], open: [{ cidr: "x", port: 0 }], to: 1 }),
      }),
    );
    for (const line of [
      'rdev:egress.closed.0: is not a range of addresses, such as 10.0.0.0/8, instead got "10.0.0.0"',
      "rdev:egress.open.0.cidr: is not a range",
      "rdev:egress.open.0.port: ",
      "rdev:egress.to is not a setting",
    ]) {
      assert.ok(error.message.includes(line), `${line} in ${error.message}`);
    }
  });
});
