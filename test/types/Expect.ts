/**
 * Statements about types. The type checker holds them; nothing here runs.
 */

/** Whether two types are the same. */
export type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

/** Statements that are all true; the type checker takes no others. */
export type Holds<Statements extends ReadonlyArray<true>> = Statements
