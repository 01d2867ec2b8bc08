import * as Servers from "./Servers.ts"
import { suite } from "./Vitest.ts"

suite("a server in this process", Servers.embedded, ["socket"])
