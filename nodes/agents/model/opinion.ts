/** Asks the judging model of the router rules: a question to a model of the mesh like any other, judged and on record, of nobody's session. */
import type { MeshNode } from '../../../mesh/index.js'
import type { Opinion } from '../../../router/opinion.js'
import { openSession } from './privacy.js'
import { think } from './think.js'

export const opinionOf =
  (node: MeshNode): Opinion =>
  async ({ model, seconds }, request, { trace, signal }) => {
    const session = await openSession(node, trace)
    const deadline = node.now() + seconds * 1000
    const { text } = await think(node, request, { model, session, actor: 'judge', deadline, signal, trace })
    return text
  }
