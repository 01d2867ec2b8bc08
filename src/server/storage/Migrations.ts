/**
 * The tables of the ledger, as a list of migrations. A released migration is never changed.
 *
 * The statements are valid in SQLite and in PostgreSQL; where the two differ, they depend on the dialect. Times are
 * milliseconds since 1970. A session refers to its app by the number of the app's token, which is never reused: a token
 * that is minted under an old name inherits nothing.
 */
import { Effect, Layer } from "effect"
import { Migrator, SqlClient } from "effect/sql"
import { StartFailed } from "../StartFailed.ts"

const tables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const identity = sql.onDialectOrElse({
    pg: () => sql.literal("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    orElse: () => sql.literal("INTEGER PRIMARY KEY AUTOINCREMENT")
  })

  yield* sql`CREATE TABLE tokens (
    app_id ${identity},
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL UNIQUE,
    ip_cidrs TEXT,
    created_at BIGINT NOT NULL
  )`

  yield* sql`CREATE TABLE sessions (
    seq ${identity},
    session_id TEXT NOT NULL UNIQUE,
    app_id BIGINT NOT NULL,
    app_name TEXT NOT NULL,
    agent TEXT NOT NULL,
    agent_session_id TEXT NOT NULL,
    model TEXT,
    effort TEXT,
    system TEXT,
    meta TEXT,
    cwd TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_turn_at BIGINT,
    turn_count BIGINT NOT NULL,
    in_turn BIGINT NOT NULL DEFAULT 0,
    closed_at BIGINT
  )`
  yield* sql`CREATE INDEX sessions_by_app ON sessions (app_id, seq)`
  yield* sql`CREATE INDEX sessions_open ON sessions (seq) WHERE closed_at IS NULL`

  yield* sql`CREATE TABLE session_events (
    seq ${identity},
    session_id TEXT NOT NULL,
    app_id BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    turn_index BIGINT,
    detail TEXT
  )`
  yield* sql`CREATE INDEX session_events_by_session ON session_events (session_id, seq)`
  yield* sql`CREATE INDEX session_events_by_time ON session_events (at)`

  // Written to check whether the ledger can be written.
  yield* sql`CREATE TABLE probe (id BIGINT PRIMARY KEY, at BIGINT NOT NULL)`

  yield* sql`CREATE TABLE uploads (
    sha256 TEXT NOT NULL PRIMARY KEY,
    app_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
  )`
  yield* sql`CREATE INDEX uploads_by_app ON uploads (app_id)`
  yield* sql`CREATE INDEX uploads_by_expiry ON uploads (expires_at)`

  yield* sql`CREATE TABLE upload_sessions (
    session_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (session_id, sha256)
  )`
  yield* sql`CREATE INDEX upload_sessions_by_upload ON upload_sessions (sha256)`

  // The calls with a key. One without a status has no answer yet.
  yield* sql`CREATE TABLE kept_answers (
    app_id BIGINT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    session_id TEXT,
    at BIGINT NOT NULL,
    status BIGINT,
    body TEXT,
    PRIMARY KEY (app_id, path, key)
  )`
  yield* sql`CREATE INDEX kept_answers_by_session ON kept_answers (session_id)`
  yield* sql`CREATE INDEX kept_answers_by_time ON kept_answers (at)`
  yield* sql`CREATE INDEX kept_answers_open ON kept_answers (app_id) WHERE status IS NULL`

  yield* sql`CREATE TABLE runs (
    seq ${identity},
    app_id BIGINT NOT NULL,
    app_name TEXT NOT NULL,
    agent TEXT NOT NULL,
    at BIGINT NOT NULL,
    prompt_bytes BIGINT NOT NULL,
    response_bytes BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    outcome TEXT NOT NULL
  )`
  yield* sql`CREATE INDEX runs_by_time ON runs (at)`
})

/** The id of the server that owns a session or a call. Null in older rows, which every server on the ledger treats as its own. */
const owner = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE sessions ADD COLUMN owner TEXT`
  yield* sql`ALTER TABLE kept_answers ADD COLUMN owner TEXT`
})

/** What is known of the media type of an upload. */
const mediaType = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE uploads ADD COLUMN media_type TEXT`
})

/** The frames of the calls that have ended, in pieces, of which the newest is in the row of its call. How many a call had is unknown where a crash cut it, and in older rows. */
const keptFrames = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE kept_answers ADD COLUMN frames BIGINT`
  yield* sql`ALTER TABLE kept_answers ADD COLUMN newest_first BIGINT`
  yield* sql`ALTER TABLE kept_answers ADD COLUMN newest_text TEXT`
  yield* sql`CREATE TABLE kept_frames (
    app_id BIGINT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    first_frame BIGINT NOT NULL,
    last_frame BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (app_id, path, key, last_frame),
    FOREIGN KEY (app_id, path, key) REFERENCES kept_answers (app_id, path, key) ON DELETE CASCADE
  )`
})

/** For lists of open sessions, and for the search for expired ones, among many that are closed. */
const sessionIndexes = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE INDEX sessions_open_by_app ON sessions (app_id, seq) WHERE closed_at IS NULL`
  yield* sql`CREATE INDEX sessions_by_closing ON sessions (closed_at) WHERE closed_at IS NOT NULL`
})

/** The workspace of a session, as JSON. */
const workspace = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE sessions ADD COLUMN workspace TEXT`
})

/** The MCP servers of an open session, sealed. */
const mcpServers = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE sessions ADD COLUMN mcp_servers TEXT`
})

/** What the turns of a session used together, as JSON. */
const usage = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE sessions ADD COLUMN usage TEXT`
})

const migrations = {
  "1_tables": tables,
  "2_owner": owner,
  "3_media_type": mediaType,
  "4_kept_frames": keptFrames,
  "5_session_indexes": sessionIndexes,
  "6_usage": usage,
  "7_workspace": workspace,
  "8_mcp_servers": mcpServers
}

/** The number of the newest migration of this server. */
export const latest = Object.keys(migrations).length

/** Brings the ledger up to `latest`. */
export const run = Migrator.make({})({ loader: Migrator.fromRecord(migrations) })

/** The number of the newest migration of the ledger. */
const applied = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ readonly applied: number | null }>`
    SELECT MAX(migration_id) AS applied FROM effect_sql_migrations`
  return rows[0]?.applied ?? 0
})

/** Brings the ledger up to date, and refuses one of a newer server. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* run
    const last = yield* applied
    if (last > latest) {
      return yield* new StartFailed({
        message: `the ledger is of a newer version (${last}) than this server knows (${latest})`
      })
    }
  })
)
