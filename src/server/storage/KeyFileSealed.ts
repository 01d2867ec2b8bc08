/**
 * Secrets sealed by AES-256-GCM, with a key in a file beside the ledger, which is made once.
 */
import { Effect, Layer, Option, Result } from "effect"
import * as Aead from "effect/crypto/Aead"
import { SecureRandom } from "effect/crypto/SecureRandom"
import * as Base64 from "effect/encoding/Base64"
import { StartFailed } from "../StartFailed.ts"
import { DataFolder } from "./DataFolder.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { Sealed } from "./Sealed.ts"

const keyBytes = 32
const nonceBytes = 12

const encoder = new TextEncoder()

const loadKey = Effect.gen(function* () {
  const random = yield* SecureRandom
  const { key: file } = yield* DataFolder
  const found = yield* PrivateFile.read(file)
  if (Option.isSome(found)) return found.value
  const made = yield* random.randomBytes(keyBytes)
  yield* PrivateFile.write(file, made)
  return made
})

export const make = Effect.gen(function* () {
  const aead = yield* Aead.Aead
  const random = yield* SecureRandom
  const key = yield* loadKey.pipe(
    Effect.flatMap((bytes) => Aead.key(Aead.aes256Gcm, bytes)),
    Effect.mapError(
      (cause) => new StartFailed({ message: `the key of the data folder cannot be used: ${cause.message}`, cause })
    )
  )
  return Sealed.of({
    seal: Effect.fnUntraced(function* (text, context) {
      const nonce = yield* random.randomBytes(nonceBytes)
      const sealed = yield* aead.encrypt(key, encoder.encode(text), { nonce, aad: encoder.encode(context) })
      return Base64.encode(new Uint8Array([...nonce, ...sealed]))
    }, Effect.orDie),
    open: Effect.fnUntraced(function* (sealed, context) {
      const bytes = Result.getOrElse(Base64.decode(sealed), () => new Uint8Array())
      const options = { nonce: bytes.subarray(0, nonceBytes), aad: encoder.encode(context) }
      return yield* Effect.map(aead.decrypt(key, bytes.subarray(nonceBytes), options), (text) =>
        new TextDecoder().decode(text)
      )
    }, Effect.option)
  })
})

export const layer = Layer.effect(Sealed, make).pipe(Layer.provide(Aead.layerWebCrypto))
