/** A clawdforge server, over a socket or in this process, and definitions of agents for it. */

export * as ForgeServer from "./ForgeServer.ts"
export type { AgentDefinition } from "../agent/Agent.ts"
export * as ClaudeAgent from "../agent/ClaudeAgent.ts"
export * as DemoAgent from "../agent/DemoAgent.ts"
