/**
 * The execution of keyed calls at moments that no client can bring about.
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import { assert, describe, it } from "@effect/vitest"
import {
  DateTime,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Queue,
  type Schema,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import { RunFailed, StorageUnavailable } from "../../../src/api/Errors.ts"
import * as KeptAnswers from "../../../src/server/calls/KeptAnswers.ts"
import * as SqlKeptAnswers from "../../../src/server/calls/SqlKeptAnswers.ts"
import * as Calls from "../../../src/server/calls/Calls.ts"
import type * as RunningCall from "../../../src/server/calls/RunningCall.ts"
import * as CallAnswer from "../../../src/server/calls/CallAnswer.ts"
import * as Shutdown from "../../../src/server/Shutdown.ts"
import { database } from "../storage/Support.ts"

const id = { appId: 1, path: "/p", key: "k" }

/** The calls of a server on a new ledger, all with the same key. */
const make = Effect.fnUntraced(function* (
  wrap: (kept: KeptAnswers.KeptAnswers["Service"]) => KeptAnswers.KeptAnswers["Service"] = (kept) => kept
) {
  const kept = yield* SqlKeptAnswers.make
  const scope = yield* Scope.fork(yield* Effect.scope)
  const calls = yield* Calls.make({}).pipe(
    Effect.provideService(KeptAnswers.KeptAnswers, wrap(kept)),
    Scope.provide(scope)
  )
  const ask = Effect.fnUntraced(function* (work: RunningCall.Work, body: Schema.Json = {}) {
    const { answer } = yield* calls.start({ ...id, body }, work)
    return (yield* answer).body
  }, Effect.scoped)
  /** The frames of the call after one of them. */
  const read = Effect.fnUntraced(function* (work: RunningCall.Work, after: number) {
    const call = yield* calls.start({ ...id, after, body: {} }, work)
    const reader = yield* call.read(after)
    const all: Array<string> = []
    while (true) {
      yield* reader.ready
      const taken = yield* reader.take
      if (taken.length === 0) return { frames: all, answer: yield* call.answer }
      all.push(...taken)
    }
  }, Effect.scoped)
  /** Opens a request for the call, until it leaves. */
  const come = Effect.fnUntraced(function* (work: RunningCall.Work, call: Partial<Calls.Call> = {}) {
    const request = yield* Scope.fork(scope)
    yield* Scope.provide(calls.start({ ...id, body: {}, ...call }, work), request)
    return { leave: Scope.close(request, Exit.void) }
  })
  return { ask, come, kept, read, end: Scope.close(scope, Exit.void) }
})

const withServices = Effect.provide(Layer.mergeAll(database, Shutdown.layer, NodeCrypto.layer))

/** Work that goes on until it is released. */
const working = Effect.gen(function* () {
  const began = yield* Deferred.make<void>()
  const goOn = yield* Deferred.make<void>()
  const work: RunningCall.Work = () =>
    Deferred.succeed(began, undefined).pipe(
      Effect.andThen(Deferred.await(goOn)),
      Effect.as({ status: 200, body: '"done"' })
    )
  return { work, began: Deferred.await(began), goOn: Deferred.succeed(goOn, undefined) }
})

const unavailable = StorageUnavailable.from(new Error("the disk is gone"))
const storageUnavailable = '{"detail":"storage unavailable"}'

const mustNotBegin: RunningCall.Work = () => Effect.succeed({ status: 200, body: '"done twice"' })

describe("the execution of a keyed call", () => {
  it.effect("happens once, also for requests that looked it up before it began and go on after it has ended", () =>
    Effect.gen(function* () {
      const looked = yield* Queue.unbounded<void>()
      const goOn = yield* Deferred.make<void>()
      let late = 2
      const { ask } = yield* make((kept) => ({
        ...kept,
        find: (call) => {
          const found = kept.find(call)
          if (late-- <= 0) return found
          return Effect.tap(found, Effect.andThen(Queue.offer(looked, undefined), Deferred.await(goOn)))
        }
      }))
      const waiting = yield* Effect.forkChild(
        Effect.forEach([{}, { other: 1 }], (body) => ask(mustNotBegin, body), { concurrency: 2 })
      )
      yield* Queue.takeN(looked, 2)
      const first = yield* ask(() => Effect.succeed({ status: 200, body: '"first"' }))
      yield* Deferred.succeed(goOn, undefined)
      const [same, other] = yield* Fiber.join(waiting)
      assert.deepStrictEqual([first, same], ['"first"', '"first"'])
      assert.include(other, "was used with another body")
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("happens once for a reader of its frames that looked it up before it began: it gets the kept ones", () =>
    Effect.gen(function* () {
      const looked = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      let isFirst = true
      const { read } = yield* make((kept) => ({
        ...kept,
        find: (call) => {
          const found = kept.find(call)
          if (!isFirst) return found
          isFirst = false
          return Effect.tap(found, Effect.andThen(Deferred.succeed(looked, undefined), Deferred.await(goOn)))
        }
      }))
      const work: RunningCall.Work = (feed) =>
        Effect.forEach(["a", "b", "c"], (content) => feed.offer({ _tag: "Text", content })).pipe(
          Effect.as({ status: 200, body: '{"ok":true}' })
        )
      const late = yield* Effect.forkChild(read(mustNotBegin, 0))
      yield* Deferred.await(looked)
      const first = yield* read(work, 0)
      assert.lengthOf(first.frames, 3)
      yield* Deferred.succeed(goOn, undefined)
      assert.deepStrictEqual(yield* Fiber.join(late), first)
      assert.deepStrictEqual((yield* read(mustNotBegin, 2)).frames, first.frames.slice(2))
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("keeps the frames of a call that failed, and a crash leaves a gap and an unknown outcome", () =>
    Effect.gen(function* () {
      const { end, kept, read } = yield* make()
      const work: RunningCall.Work = (feed) =>
        Effect.andThen(feed.offer({ _tag: "Text", content: "a" }), Effect.die("broken"))
      const broken = yield* read(work, 0)
      assert.lengthOf(broken.frames, 1)
      assert.deepStrictEqual((yield* read(mustNotBegin, 0)).frames, broken.frames)
      yield* end
      yield* kept.forget(id)
      yield* kept.begin({ ...id, requestHash: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" })
      const next = yield* make()
      const cut = yield* next.read(mustNotBegin, 7)
      assert.deepStrictEqual(cut, {
        frames: ['event: gap\ndata: {"after":7,"next":null}\n\n'],
        answer: KeptAnswers.cutShort
      })
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("is not repeated after a defect, since it may have acted, and the defect is logged", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.layer([Logger.make(({ message }) => logged.push(message))])
      const { ask } = yield* make()
      const broken = yield* Effect.provide(
        ask(() => Effect.die("broken")),
        logger
      )
      assert.include(broken, "outcome unknown: the server failed during this call")
      assert.strictEqual(yield* ask(mustNotBegin), broken)
      assert.deepStrictEqual(logged, [["a call failed"]])
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("does not begin when the call cannot be recorded", () =>
    Effect.gen(function* () {
      const { ask, kept } = yield* make((kept) => ({ ...kept, begin: () => Effect.fail(unavailable) }))
      assert.strictEqual(yield* ask(mustNotBegin), storageUnavailable)
      assert.isTrue(Option.isNone(yield* kept.find(id)))
    }).pipe(Effect.scoped, withServices)
  )

  it.effect(
    "is possible with another body after a call that did nothing, also if its record could not be deleted",
    () =>
      Effect.gen(function* () {
        let isDown = true
        const { ask } = yield* make((kept) => ({
          ...kept,
          forget: (call) => (isDown ? Effect.fail(unavailable) : kept.forget(call))
        }))
        const refused: RunningCall.Work = () => CallAnswer.fromFailure(unavailable)
        assert.strictEqual(yield* ask(refused), storageUnavailable)
        assert.strictEqual(yield* ask(mustNotBegin), storageUnavailable)
        isDown = false
        const done: RunningCall.Work = () => Effect.succeed({ status: 200, body: '"done"' })
        assert.strictEqual(yield* ask(done, { other: 1 }), '"done"')
        assert.strictEqual(yield* ask(mustNotBegin, { other: 1 }), '"done"')
      }).pipe(Effect.scoped, withServices)
  )

  for (const [what, answer] of [
    ["answer", Effect.succeed({ status: 200, body: '"done"' })],
    ["turn's end", CallAnswer.fromFailure(RunFailed.unrecorded())]
  ] as const) {
    it.effect(`is not repeated when its ${what} cannot be recorded: its outcome is unknown, now and later`, () =>
      Effect.gen(function* () {
        let isDown = true
        const { ask, kept } = yield* make((kept) => ({
          ...kept,
          end: (call) => Effect.suspend(() => (isDown ? Effect.fail(unavailable) : kept.end(call)))
        }))
        assert.strictEqual(yield* ask(() => answer), KeptAnswers.failed.body)
        assert.strictEqual(yield* ask(mustNotBegin), KeptAnswers.failed.body)
        isDown = false
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* ask(mustNotBegin), KeptAnswers.failed.body)
        // It is no row of a running call any more, which the start of a server would end as cut short.
        yield* kept.removeBefore(DateTime.makeUnsafe(1_000))
        assert.isTrue(Option.isNone(yield* kept.find(id)))
      }).pipe(Effect.scoped, withServices)
    )
  }

  it.effect("goes on while a request for it is open, and for thirty seconds after the last one", () =>
    Effect.gen(function* () {
      const { ask, come, kept } = yield* make()
      const { began, work } = yield* working
      const first = yield* come(work)
      yield* began
      yield* first.leave
      yield* TestClock.adjust("20 seconds")
      const second = yield* come(mustNotBegin)
      yield* TestClock.adjust("20 seconds")
      yield* second.leave
      yield* TestClock.adjust("20 seconds")
      const third = yield* come(mustNotBegin)
      yield* third.leave
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(Option.getOrThrow(yield* kept.find(id)).answer, KeptAnswers.failed)
      yield* TestClock.adjust("1 second")
      assert.include(yield* ask(mustNotBegin), "no client was waiting for its answer")
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("goes on without a reader for as long as its request says, and not at all for 0", () =>
    Effect.gen(function* () {
      const { come, kept } = yield* make()
      const isRunning = Effect.map(kept.find(id), (found) => Option.getOrThrow(found).frames === null)
      const { began, work } = yield* working
      const first = yield* come(work, { linger: Duration.minutes(5) })
      yield* began
      yield* first.leave
      yield* TestClock.adjust("299 seconds")
      const second = yield* come(mustNotBegin, { linger: Duration.minutes(5) })
      yield* second.leave
      yield* TestClock.adjust("299 seconds")
      assert.isTrue(yield* isRunning)
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* isRunning)

      yield* kept.forget(id)
      const another = yield* working
      const hasty = yield* come(another.work, { linger: Duration.zero })
      yield* another.began
      yield* TestClock.adjust("1 hour")
      assert.isTrue(yield* isRunning)
      yield* hasty.leave
      yield* TestClock.adjust(0)
      assert.isFalse(yield* isRunning)
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("is cut short when its server stops", () =>
    Effect.gen(function* () {
      const { ask, end, kept } = yield* make()
      const { began, work } = yield* working
      const asking = yield* Effect.forkChild(ask(work))
      yield* began
      yield* end
      assert.strictEqual(yield* Fiber.join(asking), KeptAnswers.cutShort.body)
      const found = Option.getOrThrow(yield* kept.find(id))
      assert.strictEqual(found.answer.body, KeptAnswers.cutShort.body)
    }).pipe(Effect.scoped, withServices)
  )

  it.effect("is awaited by a shutdown, like that of a call without a key", () =>
    Effect.gen(function* () {
      const shutdown = yield* Shutdown.Shutdown
      const { come } = yield* make()
      const [first, second] = [yield* working, yield* working]
      yield* come(first.work)
      yield* come(second.work, { key: undefined })
      yield* Effect.andThen(first.began, second.began)
      const ending = yield* Effect.forkChild(shutdown.begin("10 seconds"), { startImmediately: true })
      yield* first.goOn
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(ending.pollUnsafe())
      yield* second.goOn
      yield* Fiber.join(ending)
    }).pipe(Effect.scoped, withServices)
  )
})

describe("a call without a key", () => {
  it.effect("holds frames only where its own request reads events, since no other can join it", () =>
    Effect.gen(function* () {
      const calls = yield* Calls.make({})
      const heldAfter = Effect.fnUntraced(function* (asEvents: boolean) {
        const held = yield* Deferred.make<number>()
        const work: RunningCall.Work = (feed) =>
          feed.offer({ _tag: "Text", content: "a" }).pipe(
            Effect.andThen(feed.count),
            Effect.tap((count) => Deferred.succeed(held, count)),
            Effect.as({ status: 200, body: '"done"' })
          )
        const call = yield* calls.start({ ...id, key: undefined, asEvents, body: {} }, work)
        assert.strictEqual((yield* call.answer).body, '"done"')
        return yield* Deferred.await(held)
      }, Effect.scoped)
      assert.deepStrictEqual([yield* heldAfter(false), yield* heldAfter(true)], [0, 1])
    }).pipe(Effect.provideServiceEffect(KeptAnswers.KeptAnswers, SqlKeptAnswers.make), Effect.scoped, withServices)
  )
})
