/** What the launcher says of a launch, one line each; launcher/report.h is the other side. */
import { ClawmeshError } from '../policies/errors.js'
import type { ActionOutcome } from './launch.js'
import type { MadeFile } from './made.js'
import type { LaunchPlan } from './plan.js'

export type Facts = Pick<
  ActionOutcome,
  'exitCode' | 'signal' | 'timedOut' | 'overMemory' | 'truncated' | 'stopped' | 'wallMs' | 'cpuMs' | 'maxRssKb'
>

/** @param ended what we did: killed, we ordered the end; late, the launcher let the deadline pass and was ended for it */
export function readReport(report: readonly string[], ended: { killed: boolean; late: boolean }): Facts {
  const lines = new Map(report.map(wordsOf).map(([word = '', ...rest]) => [word, rest] as const))
  const failed = lines.get('failed')
  if (failed) throw failure(failed[0] ?? '', failed.slice(1).join(' '))
  const cameToAnEnd = lines.has('exit') || lines.has('signal')
  const neverTold = ended.late && !lines.has('timeout') && !cameToAnEnd
  const timedOut = lines.has('timeout') || neverTold
  const overMemory = lines.has('memory')
  const truncated = lines.has('output')
  const cut = timedOut || overMemory || truncated || ended.killed
  if (!cut && !cameToAnEnd)
    throw new ClawmeshError(
      'SANDBOX_FAILED',
      'The sandbox was ended from outside; what the action had done by then is not known.',
      { hint: 'See whether the machine ran out of memory, and look at what the action may have changed.' },
    )
  const number = (word: string, place: number) => Number(lines.get(word)?.[place] ?? 0)
  return {
    exitCode: !cut && lines.has('exit') ? number('exit', 0) : null,
    signal: !cut && lines.has('signal') ? number('signal', 0) : null,
    timedOut,
    overMemory,
    truncated,
    stopped: lines.has('stopped') || neverTold,
    wallMs: number('usage', 0) / 1000,
    cpuMs: number('usage', 1) / 1000,
    maxRssKb: number('usage', 2),
  }
}

/** After this line there is nothing left of the action, and nothing more to be told. */
export const isLast = (line: string): boolean => line.startsWith('usage ')

/** The new files among the mounts that were made, even where the launch then failed. */
export function madeFiles(report: readonly string[], mounts: LaunchPlan['mounts']): MadeFile[] {
  return report.map(wordsOf).flatMap(([word, index = '', device = '', inode = '']) => {
    const mount = word === 'made' ? mounts[Number(index)] : undefined
    return mount ? [{ path: mount.source, device: BigInt(device), inode: BigInt(inode) }] : []
  })
}

const wordsOf = (line: string): string[] => line.split(' ')

export function failure(stage: string, reason: string): ClawmeshError {
  const data = { stage, reason }
  if (stage === 'changed')
    return new ClawmeshError('DENIED', `${reason} is not what it was when it was decided on, so nothing was run.`, {
      hint: 'Somebody changed it, or put a link on the way to it, meanwhile. Look at it, and ask again.',
      data,
    })
  if (stage === 'make')
    return new ClawmeshError('SANDBOX_FAILED', `A file could not be made, so nothing was run: ${reason}.`, {
      hint: 'See that its folder exists and may be written.',
      data,
    })
  if (stage === 'hand')
    return new ClawmeshError('SANDBOX_FAILED', `A file that was allowed could not be opened: ${reason}.`, {
      hint: 'See whether it may be opened so by whoever runs this node.',
      data,
    })
  return new ClawmeshError(
    'SANDBOX_FAILED',
    `The sandbox could not be put up (${stage}: ${reason}), so nothing was run.`,
    { hint: 'The log of the node says at its start what this machine lacks.', data },
  )
}
