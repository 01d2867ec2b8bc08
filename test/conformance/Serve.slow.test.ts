import * as Servers from "./Servers.ts"
import { suite } from "./Vitest.ts"

suite("forge serve", Servers.served, ["claude", "broken", "here"])
