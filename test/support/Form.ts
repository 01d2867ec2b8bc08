/**
 * Multipart forms, as clients write them.
 */
const boundary = "------------------------d74496d66958873e"

/** A file under its name. */
export const file = (content: string, name = "notes.txt", part = "file") =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${part}"; filename="${name}"\r\n` +
  `Content-Type: text/plain\r\n\r\n${content}\r\n`

export const field = (name: string, value: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`

export const contentType = `multipart/form-data; boundary=${boundary}`

export const body = (...parts: ReadonlyArray<string>) => `${parts.join("")}--${boundary}--\r\n`

/** What a request with a form has. */
export const of = (...parts: ReadonlyArray<string>) => ({
  body: body(...parts),
  headers: { "content-type": contentType }
})
