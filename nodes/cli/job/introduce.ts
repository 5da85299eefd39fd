/** Says which models serve this mesh, with what they are for, how well they do and where they fail, so that none passes for more than it is; and what nodes lack. */
import { z } from 'zod'
import type { ModelInfo } from '../../../inference/backend.js'
import { DescribeModel, inferenceName } from '../../../inference/service.js'
import type { MeshNode } from '../../../mesh/index.js'
import { unservedJudge } from '../../agents/model/judge.js'

/** As model cards of this project state a figure. */
const shareSchema = z.object({ share: z.number() })

const notesSchema = z.array(z.string()).catch([])

/** The kinds of the held-out set, in words. */
const measured = [
  ['tool', 'tool calls exact'],
  ['arithmetic-call', 'expressions exact'],
  ['none', 'unfit requests recognised'],
] as const

export async function introduceModels(node: MeshNode, say: (text: string) => void): Promise<void> {
  const serving = node.nodes().filter(({ roles }) => roles.includes('inference'))
  for (const { name } of serving) say(introduction(name, await node.ref(inferenceName(name)).ask(DescribeModel, null)))
}

/** What nodes say that a person should know of them, once what several say alike; and what the rules count on and no node has. */
export function passNotesOn(node: MeshNode, say: (text: string) => void): void {
  const saying = new Map<string, string[]>()
  for (const { name, advert } of node.nodes()) {
    for (const note of notesSchema.parse(advert['notes'])) saying.set(note, [...(saying.get(note) ?? []), name])
  }
  for (const [note, names] of saying) say(`${names.sort().join(', ')}: ${note}`)
  const judge = unservedJudge(node.nodes())
  if (judge !== undefined)
    say(
      `the router rules have ${judge} judge what leaves, and no node serves it: nothing leaves the mesh until one does`,
    )
}

export function introduction(node: string, { name, purpose, limits, figures = {} }: ModelInfo): string {
  const shares = measured.flatMap(([kind, words]) => {
    const figure = shareSchema.safeParse(figures[kind])
    return figure.success ? [`${Math.round(figure.data.share * 1000) / 10} % of ${words}`] : []
  })
  const record = shares.length > 0 ? [`On unseen requests: ${shares.join(', ')}.`] : []
  return [`${node} serves ${name}.`, purpose, ...record, limits].filter((sentence) => sentence !== '').join(' ')
}
