/** An agent with a vote: it looks at every file itself, in its own words, and says what it found. It hears of no other voter before it has voted. */
import { z } from 'zod'
import { type Context, type MeshNode, message, on } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { billShape, Uses } from '../model/price.js'
import { wasKilled } from './killed.js'
import { addUp, type CheckedFile, readCheckedFile } from './ledger.js'
import { inTurn } from './turn.js'
import type { Report } from './worker.js'

const faultSchema = z.object({ file: z.string(), line: z.number(), receipt: z.string(), reason: z.string() })

export const ballotSchema = z.object({
  totalCents: z.number().int(),
  entries: z.number().int(),
  faulty: z.array(faultSchema),
})
export type LedgerBallot = z.output<typeof ballotSchema>

export const CastVote = message('worker.vote', {
  request: z.object({
    files: z.array(z.string()),
    /** Whose files they are; see `workspaceId`. */
    workspace: z.string(),
    phrasing: z.number().int().nonnegative(),
  }),
  /** With what it took; null where nobody counted it. */
  reply: ballotSchema.extend(billShape),
  from: ['supervisor'],
  to: ['worker'],
})

/** Voters ask the model in different words, so that one misunderstanding is not everybody's. */
const phrasings = [
  (file: string) => `Check the entries of ${file} and tell me which are faulty`,
  (file: string) => `Check the expense entries in ${file}: add up what is valid and name the faulty ones.`,
  (file: string) => `Please go through the expense entries in ${file} and report the valid total and the faulty ones`,
]

type DoesPart = (part: { words: string; workspace: string }, context: Context) => Promise<Report>

/** Questions that a voter has under way at a time. */
export const filesAtOnce = 2

export function votes(node: MeshNode, doPart: DoesPart) {
  return on(CastVote, async ({ files, workspace, phrasing }, context) => {
    const ask = phrasings[phrasing % phrasings.length] ?? String
    let tokens: number | null = 0
    let uses: Uses | null = new Uses()
    const counting = async (words: string, of: Context) => {
      const report = await doPart({ words, workspace }, of).catch((error: unknown) => {
        tokens = null
        uses = null
        throw error
      })
      tokens = tokens === null || report.tokens === null ? null : tokens + report.tokens
      if (report.uses === null) uses = null
      for (const use of report.uses ?? []) uses?.add(use)
      return report
    }
    const checked = await inTurn(files, filesAtOnce, (file) => check(file, ask(file), counting, context))
    const { totalCents, entries, faulty } = addUp(checked)
    const ballot = { totalCents, entries, faulty }
    await node.audit.record({ kind: 'vote.cast', trace: context.trace, actor: `voter on ${node.name}`, facts: ballot })
    return { ...ballot, tokens, uses: (uses as Uses | null)?.all ?? null }
  })
}

/** Actions that one file may take. */
export const triesPerFile = 3

async function check(
  file: string,
  words: string,
  doPart: (words: string, context: Context) => Promise<Report>,
  context: Context,
): Promise<CheckedFile> {
  for (let attempt = 1; ; attempt += 1) {
    const report = await doPart(words, context).catch((error: unknown) => {
      if (attempt < triesPerFile && wasKilled(ClawmeshError.from(error))) return undefined
      throw error
    })
    if (!report) continue
    const checked = readCheckedFile(file, report)
    if (checked) return checked
    // An action that was killed tells nothing of the file; anything else would come out the same again, whoever asks.
    if (report.outcome.status === 'failed' && report.outcome.signal !== null && attempt < triesPerFile) continue
    throw new ClawmeshError(
      'MODEL_UNSUITED',
      `For "${words}" the model chose ${report.call.name}, which says nothing of the entries.`,
      {
        hint: 'Use a more capable model.',
      },
    )
  }
}
