/**
 * How long a test waits for something that has to happen: long enough for a busy machine, and shorter than the timeout of
 * the test, so that the failure says what was missing.
 */
export const patience = "60 seconds"
