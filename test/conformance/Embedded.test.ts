import * as Embedded from "./Embedded.ts"
import { suite } from "./Vitest.ts"

suite("a server in this process", Embedded.server, ["socket"])
