/**
 * Records a program's spans, log lines and metrics.
 */
import { Effect, Layer, Logger, Metric, Option, Tracer } from "effect"

export interface Recorder {
  readonly spans: Array<Tracer.NativeSpan>
  /** Each log line in every form that Effect's own loggers give it. */
  readonly logs: Array<string>
  readonly metrics: Effect.Effect<ReadonlyArray<Metric.Metric.Snapshot>>
  readonly layer: Layer.Layer<never>
}

export const make = (): Recorder => {
  const spans: Array<Tracer.NativeSpan> = []
  const logs: Array<string> = []
  const registry: Metric.MetricRegistry = new Map()
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const logger = Logger.make((line) => {
    logs.push(
      Logger.formatSimple.log(line),
      Logger.formatLogFmt.log(line),
      Logger.formatJson.log(line),
      JSON.stringify(Logger.formatStructured.log(line))
    )
  })
  return {
    spans,
    logs,
    metrics: Effect.provideService(Metric.snapshot, Metric.MetricRegistry, registry),
    layer: Layer.mergeAll(
      Layer.succeed(Tracer.Tracer, tracer),
      Layer.succeed(Metric.MetricRegistry, registry),
      Logger.layer([logger])
    )
  }
}

/** The spans as a tree, children in the order in which they began, with a star where a span is linked to another. */
export const tree = (spans: ReadonlyArray<Tracer.NativeSpan>): ReadonlyArray<string> => {
  const isChildOf = (span: Tracer.NativeSpan, parent: Tracer.AnySpan | undefined) =>
    Option.getOrUndefined(span.parent)?.spanId === parent?.spanId
  const below = (parent: Tracer.NativeSpan | undefined, indent: string): ReadonlyArray<string> =>
    spans
      .filter((span) => isChildOf(span, parent))
      .flatMap((span) => [
        `${indent}${span.name}${span.links.map((link) => ` * ${nameOf(link.span)}`).join("")}`,
        ...below(span, `${indent}  `)
      ])
  return below(undefined, "")
}

const nameOf = (span: Tracer.AnySpan): string => (span._tag === "Span" ? span.name : "outside")
