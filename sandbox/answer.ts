/** What came of a question to a person: a yes, or who said no ("Ada", "nobody: the question was not answered in time"). */
import type { ApprovalAnswer } from './approval.js'

export type Answer = 'allow' | Refusal

export interface Refusal {
  readonly refusedBy: string
}

export const answerOf = ({ answer, by }: ApprovalAnswer): Answer => (answer === 'allow' ? answer : { refusedBy: by })

/** Ends the sentence that says what was not allowed. */
export const byWhom = ({ refusedBy }: Refusal): string => `, by ${refusedBy}`
