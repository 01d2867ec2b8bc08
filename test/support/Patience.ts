/**
 * How long a test waits for what has to come. It comes late where the machine has much else to do, which is no failure;
 * what never comes is one that says what was waited for, before the time of the whole test is over.
 */
export const patience = "60 seconds"
