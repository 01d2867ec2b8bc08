/** What needs Node. */
export * as NodeForgeAdmin from "./NodeForgeAdmin.ts"
export * as NodeForgeClient from "./NodeForgeClient.ts"
