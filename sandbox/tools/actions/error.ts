/** A tool cannot do what was asked; the message is for the person, and holds only what they gave. */
export class ActionError extends Error {}
