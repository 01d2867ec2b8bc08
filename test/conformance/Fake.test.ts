import * as Fake from "./Fake.ts"
import { suite } from "./Vitest.ts"

suite("the fake", Fake.server, ["socket", "here"])
