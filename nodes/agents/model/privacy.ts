/**
 * What this node's prompts are judged by, and what its work has seen.
 *
 *     const session = await openSession(node, trace)
 *     session.raise(sensitivityOfCall(rules, call))        // a tool is about to read a file
 *     await think(node, request, { session, … })
 */
import type { ToolCall } from '../../../inference/tool.js'
import type { MeshNode } from '../../../mesh/index.js'
import { parseRouterRules, type RouterRules, sensitivityOfFile } from '../../../policies/router.js'
import type { Sensitivity } from '../../../policies/router-label.js'
import { joinSensitivity } from '../../../router/label.js'
import type { Router } from '../../../router/router.js'
import type { RouterSession } from '../../../router/session.js'
import { holderOf } from '../../elsewhere.js'
import { readRouterRules } from '../../router-rules.js'
import { taggerOf } from '../../tagger.js'

interface Judge {
  /** The rules that it was made for, YAML. */
  text: string
  router: Promise<Router>
}

const judges = new WeakMap<MeshNode, Judge>()
let shipped: string | undefined

function shippedText(): string {
  shipped ??= readRouterRules().text
  return shipped
}

/** The rules of the mesh as the holder of its keys says them; where nobody does, those that ship. */
export function routerOf(node: MeshNode): Promise<Router> {
  const text = holderOf(node)?.rules ?? shippedText()
  const known = judges.get(node)
  if (known?.text === text) return known.router
  const router = openRouter(node, text)
  judges.set(node, { text, router })
  return router
}

const rulesByText = new Map<string, RouterRules>()

/** What the same rules say of files, without what it takes to read a prompt. */
export function rulesOf(node: MeshNode): RouterRules {
  const text = holderOf(node)?.rules ?? shippedText()
  const known = rulesByText.get(text)
  if (known) return known
  // The rules of a mesh change seldom, and those before them are not asked for again.
  rulesByText.clear()
  const rules = parseRouterRules(text, 'the router rules of the mesh')
  rulesByText.set(text, rules)
  return rules
}

/** Loaded when the first prompt is there: the tables of its detectors would be a part of every node's start. */
async function openRouter(node: MeshNode, text: string): Promise<Router> {
  const { Router } = await import('../../../router/router.js')
  const rules = parseRouterRules(text, 'the router rules of the mesh')
  return new Router({ rules, audit: node.audit, tagger: taggerOf(rules) })
}

export async function openSession(node: MeshNode, trace: string, seen?: Sensitivity): Promise<RouterSession> {
  const session = (await routerOf(node)).open(trace)
  if (seen) session.raise(seen)
  return session
}

/** What a call of a sandboxed tool brings into the work by the files or folders that it is about; a call without any is about the whole workspace. */
export function sensitivityOfCall(
  rules: RouterRules,
  { name, arguments: { path, files } }: ToolCall,
): Sensitivity | undefined {
  if (typeof path === 'string') return sensitivityOfFile(rules, path)
  if (Array.isArray(files)) {
    const parts = files.flatMap((file) => sensitivityOfFile(rules, String(file)) ?? [])
    return parts.length > 0 ? joinSensitivity(parts) : undefined
  }
  return ['calculate', 'no_tool', 'http_fetch'].includes(name) ? undefined : sensitivityOfFile(rules, '.')
}
