/** A clawdforge server, over a socket or in this process, and the agents that it can be given. */

export * as ForgeServer from "./ForgeServer.ts"
export type { AgentDefinition } from "../agent/Agent.ts"
export * as ClaudeAgent from "../agent/ClaudeAgent.ts"
export * as DemoAgent from "../agent/DemoAgent.ts"
