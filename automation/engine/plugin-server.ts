/** What every gRPC server that an engine uses as a plugin has in common. */
import grpc from "@grpc/grpc-js";
import anyProto from "google-protobuf/google/protobuf/any_pb.js";
import structProto from "google-protobuf/google/protobuf/struct_pb.js";
import providerProto from "@pulumi/pulumi/proto/provider_pb.js";
import statusProto from "@pulumi/pulumi/proto/status_pb.js";

/** The engine's own limits. States are larger than gRPC's default of 4 MB. */
export const CHANNEL_LIMITS = {
  "grpc.max_receive_message_length": 400 * 1024 * 1024,
  "grpc.max_send_message_length": 400 * 1024 * 1024,
};

/** Makes the server listen on a free port of 127.0.0.1, and returns the port. */
export function listenOnFreePort(server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
}

/** An object that exists although its create failed. */
export interface HalfDone {
  readonly id: string;
  /** Plain JSON. */
  readonly properties: Parameters<typeof structProto.Struct.fromJavaScript>[0];
  readonly reasons: readonly string[];
}

/**
 * Answers a call by a promise. The engine gets an error's message without its stack, and records the
 * object that `halfDone` finds in the error.
 */
export function unary<Request, Response>(
  work: (request: Request) => Response | Promise<Response>,
  halfDone: (error: unknown) => HalfDone | undefined = () => undefined,
): grpc.handleUnaryCall<Request, Response> {
  return ({ request }, reply) => {
    void (async () => work(request))().then(
      (response) => reply(null, response),
      (error: unknown) => reply(toStatus(error, halfDone(error))),
    );
  };
}

function toStatus(error: unknown, halfDone: HalfDone | undefined): Partial<grpc.StatusObject> {
  const message = error instanceof Error ? error.message : String(error);
  const metadata = new grpc.Metadata();
  if (halfDone) {
    const failed = new providerProto.ErrorResourceInitFailed()
      .setId(halfDone.id)
      .setProperties(structProto.Struct.fromJavaScript(halfDone.properties))
      .setReasonsList([...halfDone.reasons]);
    const detail = new anyProto.Any();
    detail.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const status = new statusProto.Status().setCode(grpc.status.UNKNOWN).setMessage(message);
    status.addDetails(detail);
    // grpc-js has no other way to send structured errors.
    metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  }
  return { code: grpc.status.UNKNOWN, details: message, metadata };
}
