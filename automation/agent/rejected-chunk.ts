import type { CitadelEvent } from "../../providers/citadel/port.ts";

/** An event, and the environment that the agent meant it for. */
export interface RejectedEvent {
  readonly tenant: string;
  readonly event: CitadelEvent;
}

const HEADER_BYTES = 24; // 0xC1 0x00, checksum, content length, and at 22 the metadata's length

/**
 * The events of a file that Fluent Bit keeps aside (chunkio's format, lib/chunkio/cio_file_st.h of
 * its 5.1): behind header and metadata one MessagePack record each, `[[time, metadata], event]`.
 * @throws Error where it is no such file, or is cut in the middle of a record.
 */
export function readRejectedChunk(file: Uint8Array): readonly RejectedEvent[] {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < HEADER_BYTES || bytes[0] !== 0xc1 || bytes[1] !== 0) {
    throw new Error("this is no chunk of Fluent Bit's: its first two bytes are not C1 00");
  }
  const start = HEADER_BYTES + bytes.readUInt16BE(22);
  const length = bytes.readUInt32BE(10);
  const reader = new MessagePack(bytes.subarray(start, length > 0 ? start + length : undefined));
  const events: RejectedEvent[] = [];
  while (!reader.isAtEnd()) {
    const [, event] = reader.read() as [
      unknown,
      CitadelEvent & { fields: { k8s: { tenant: string } } },
    ];
    events.push({ tenant: event.fields.k8s.tenant, event });
  }
  return events;
}

/** As much of MessagePack as Fluent Bit writes. */
class MessagePack {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  read(): unknown {
    const kind = this.#unsigned(1);
    if (kind < 0x80) return kind;
    if (kind < 0x90) return this.#map(kind - 0x80);
    if (kind < 0xa0) return this.#list(kind - 0x90);
    if (kind < 0xc0) return this.#text(kind - 0xa0);
    if (kind >= 0xe0) return kind - 0x100;
    switch (kind) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4: // bytes: 8, 16, 32 bits of length
      case 0xc5:
      case 0xc6:
        return this.#text(this.#unsigned(2 ** (kind - 0xc4)));
      case 0xca:
        return this.#take(4).readFloatBE();
      case 0xcb:
        return this.#take(8).readDoubleBE();
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(2 ** (kind - 0xcc));
      case 0xcf:
        return Number(this.#take(8).readBigUInt64BE());
      case 0xd0:
      case 0xd1:
      case 0xd2:
        return this.#take(2 ** (kind - 0xd0)).readIntBE(0, 2 ** (kind - 0xd0));
      case 0xd3:
        return Number(this.#take(8).readBigInt64BE());
      case 0xd7: // the time: seconds and nanoseconds, of type 0
        return this.#take(9).subarray(1);
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(2 ** (kind - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#list(this.#unsigned(kind === 0xdc ? 2 : 4));
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(kind === 0xde ? 2 : 4));
      default:
        throw new Error(`no log event holds MessagePack of the kind 0x${kind.toString(16)}`);
    }
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error("the file ends in the middle of a record");
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  #unsigned(length: number): number {
    return this.#take(length).readUIntBE(0, length);
  }

  #text(length: number): string {
    return this.#take(length).toString("utf8");
  }

  #list(length: number): unknown[] {
    return Array.from({ length }, () => this.read());
  }

  #map(length: number): Record<string, unknown> {
    // Defines each as its own property, __proto__ as well.
    return Object.fromEntries(
      Array.from({ length }, () => [String(this.read()), this.read()] as const),
    );
  }
}
