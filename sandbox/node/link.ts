import { execa } from "execa";
import { z } from "zod";
import { InfraError } from "../../core/errors.ts";

/** Two addresses of this machine for one node, on a pair of virtual interfaces. */
export interface Link {
  /** This machine's interface. The node's cgroup has the same name. */
  readonly name: string;
  /** The other end, until it is moved into the node. */
  readonly peer: string;
  /** This machine's address, as the node and its pods see it. */
  readonly host: string;
  /** The node's address. */
  readonly node: string;
}

/** Each node uses 4 addresses: 10.201.<number>.0/30. */
const NUMBERS = 256;

const routes = z.array(z.object({ dst: z.string() }));

/**
 * Makes a pair of interfaces with a name and addresses that nothing on this machine uses. The kernel
 * refuses a second interface with the same name, so the name reserves the addresses. `ip` is the path
 * of the program.
 * Errors: RDEV_PREREQUISITE if all are taken.
 */
export async function reserveLink(ip: string): Promise<Link> {
  const { stdout } = await execa(ip, ["-json", "-4", "route", "show", "table", "all"]);
  const taken = routes.parse(JSON.parse(stdout || "[]")).map(({ dst }) => dst);
  const start = Math.floor(Math.random() * NUMBERS);
  for (let i = 0; i < NUMBERS; i++) {
    const number = (start + i) % NUMBERS;
    if (taken.some((dst) => overlaps(dst, number))) continue;
    const link: Link = {
      name: `rdev-node${number}`,
      peer: `rdev-peer${number}`,
      host: `10.201.${number}.1`,
      node: `10.201.${number}.2`,
    };
    const { name, peer } = link;
    const { failed, stderr } = await execa(
      ip,
      ["link", "add", name, "type", "veth", "peer", "name", peer],
      { reject: false },
    );
    if (!failed) return link;
    if (!/exists/.test(stderr)) {
      throw new InfraError(
        "RDEV_PREREQUISITE",
        `ip could not make the interface ${name}: ${stderr}`,
      );
    }
  }
  throw new InfraError(
    "RDEV_PREREQUISITE",
    "All addresses for nodes, 10.201.0.0/16, are in use on this machine (ip route, ip link).",
  );
}

/** Whether a route, such as `10.201.7.0/24`, is about the addresses of this number. */
function overlaps(route: string, number: number): boolean {
  const [address = "", prefix = "32"] = route.split("/");
  const octets = address.split(".").map(Number);
  // A wider route, such as a VPN's 10.0.0.0/8, is no obstacle: it still leads to all other addresses.
  if (Number(prefix) < 16 || octets[0] !== 10 || octets[1] !== 201) return false;
  const size = 2 ** (32 - Number(prefix));
  const first = (octets[2] ?? 0) * 256 + (octets[3] ?? 0);
  const own = number * 256;
  return first < own + 4 && own < first + size;
}
