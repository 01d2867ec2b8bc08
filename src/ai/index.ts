/** Agents for programs that are written for `effect/ai`. */

export * as ForgeLanguageModel from "./ForgeLanguageModel.ts"
