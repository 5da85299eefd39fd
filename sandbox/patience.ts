/** How long people are waited for, and how often one action may ask them. */

/** An unanswered question is a refusal. */
export const answerWithinMs = 60_000

/** With the way to a person and back, so that an approver who gives up at the last moment is still the one to say so. */
export const questionMs = answerWithinMs + 5000

/** Of a program that runs: of each kind, files and connections. */
export const mostQuestions = 8

/** What all its questions may take. */
export const questionsMs = mostQuestions * questionMs

/** Why nobody was asked any more. */
export const tooMany = `it had asked for ${mostQuestions} others already`
