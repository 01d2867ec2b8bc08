/**
 * Reads the body of a successful response as JSON, and decodes it.
 */
import { Effect, identity, Result } from "effect"
import type { TransportError } from "../../ForgeError.ts"
import * as TransportFailure from "../failure/TransportFailure.ts"
import * as Body from "../Body.ts"
import type { OpenResponse } from "./OpenResponse.ts"

export interface Options<A> {
  readonly decode: (json: unknown) => Result.Result<A, string>
  /** Runs with the body of a success that could not be decoded: the server acted, and what it made may have to be undone. */
  readonly onUndecodable?: ((text: string) => Effect.Effect<void>) | undefined
}

/** Whatever a body holds, decoding it must not end the program with a defect. */
const decodeSafely =
  <A>(decode: Options<A>["decode"]) =>
  (json: unknown): Result.Result<A, string> =>
    Result.try({ try: () => decode(json), catch: () => "it cannot be read" }).pipe(Result.flatMap(identity))

export const read = Effect.fnUntraced(function* <A>(
  { call, onBroken, origin, requestId, response }: Omit<OpenResponse, "onFailure">,
  { decode, onUndecodable }: Options<A>
): Effect.fn.Return<A, TransportError> {
  const body = yield* Effect.mapError(Body.read(response, Body.maxAnswerBytes), onBroken)
  const decoded = Result.flatMap(Body.parseJson(body), decodeSafely(decode))
  if (Result.isSuccess(decoded)) return decoded.success
  if (onUndecodable !== undefined) yield* onUndecodable(body.text)
  return yield* TransportFailure.malformed(call, { status: response.status, origin, requestId }, decoded.failure)
})
