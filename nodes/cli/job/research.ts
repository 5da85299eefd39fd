/** `clawmesh research`: a mesh on this machine whose models read files, and one of which, or one elsewhere if the rules let it, writes an answer with its evidence. */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { supervise } from '../../../mesh/index.js'
import { ClawmeshError, outcomes } from '../../../policies/errors.js'
import { readPolicy } from '../../../sandbox/preset.js'
import type { ResearchBill } from '../../agents/research/bill.js'
import { isUrl } from '../../agents/research/reader.js'
import { type ResearchResult, research } from '../../agents/research/research.js'
import { readConfig } from '../../config.js'
import { openDataFolder, openFreeDataFolder } from '../../data-folder.js'
import { accountName, dataSubject } from '../../data-subject.js'
import type { Site } from '../../site.js'
import type { AuditTrail } from '../../trail.js'
import { checkApart, checkWorkspace, listFiles } from '../../workspace.js'
import { type Command, text, texts, type Values, whole } from '../command.js'
import { explain } from '../failure.js'
import { pricesOf } from '../models/prices.js'
import { modelOption, subjectOption } from '../options.js'
import { printable } from '../printable.js'
import { stopOnSignal } from '../stop.js'
import { progress } from '../terminal.js'
import { introduceModels } from './introduce.js'
import { startOwnMesh, workAndDrain } from './own-mesh.js'

export const researchCommand: Command = {
  name: 'research',
  usage: '"QUESTION" --sources DIR|FILE|URL… [--nodes N] [--model DIR|URL] [options]',
  help: 'Answers a question from files, with the evidence. Models of the mesh read; one elsewhere writes the answer only if every piece of evidence may leave. Not with the shipped model.',
  options: {
    sources: {
      type: 'string',
      value: 'DIR|FILE|URL',
      many: true,
      help: 'what is read: a folder and all below it, or a file; and any number of pages (give it once for each)',
    },
    nodes: { type: 'string', value: 'N', help: 'how many nodes read side by side (default: 3)' },
    seconds: { type: 'string', value: 'N', help: 'how long it may take (default: 1800)' },
    prices: {
      type: 'string',
      value: 'FILE',
      help: 'the price table (default: policies/prices.yaml, examples to be edited)',
    },
    json: { type: 'boolean', help: 'print one JSON object as the last line' },
    data: { type: 'string', value: 'DIR', help: 'where the mesh keeps its keys, its providers and its audit trail' },
    model: modelOption,
    subject: subjectOption,
  },
  takes: 'question',
  run: startResearch,
}

const mostNodes = 16

async function startResearch(question: string | undefined, values: Values): Promise<number> {
  if (question === undefined || question.trim() === '')
    throw new ClawmeshError('USAGE', 'There is no question.', {
      hint: 'clawmesh research "Who decided it?" --sources notes',
    })
  const { files, urls, ...given } = sourcesOf(texts(values, 'sources'))
  const nodes = whole(values, 'nodes', 1, mostNodes) ?? 3
  const seconds = whole(values, 'seconds', 1, 86_400) ?? 1800
  const prices = pricesOf(values)
  const config = readConfig()
  const policy = await readPolicy('read-only-research')
  const data = text(values, 'data')
  const folder = data === undefined ? openFreeDataFolder(config.data) : openDataFolder(resolve(data))
  // Pages alone are read without a folder; a sandbox wants one all the same.
  const empty = given.workspace === undefined ? mkdtempSync(join(tmpdir(), 'clawmesh-research-')) : undefined
  const workspace = given.workspace ?? empty ?? ''
  const stop = stopOnSignal()
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    checkApart(workspace, folder.path)
    const names = Array.from({ length: nodes }, (_, index) => `worker-${index + 1}`)
    const site = await startOwnMesh({
      config,
      folder,
      port: 0,
      names,
      sandbox: { workspace, policy: reaching(policy.text, urls), policyName: policy.name },
      model: text(values, 'model'),
      onFailure: (error) => stop.abort(error),
    })
    const ended = await workAndDrain(site, stop.signal, () =>
      withReaders(site, names, (readers) => {
        const trace = randomUUID()
        dataSubject(site.node, site.ground.authority.subjects, text(values, 'subject') ?? accountName()).file(trace)
        return research(
          site.node,
          { question: question.trim(), sources: [...files, ...urls], readers, prices },
          { signal: stop.signal, ms: seconds * 1000, progress, trace },
        )
      }),
    )
    if (values['json']) process.stdout.write(`${JSON.stringify(summaryOf(ended))}\n`)
    else print(ended)
    if (stop.signal.aborted) return explain(stop.signal.reason)
    return ended.trail.verdict.ok ? 0 : outcomes.failed
  } finally {
    unwatch()
    folder.release()
    if (empty !== undefined) rmSync(empty, { recursive: true, force: true })
  }
}

interface Ended {
  result: ResearchResult
  trail: AuditTrail
}

async function withReaders(
  site: Site,
  names: string[],
  work: (readers: string[]) => Promise<ResearchResult>,
): Promise<ResearchResult> {
  await introduceModels(site.node, progress)
  const readers = names.map((_, index) => `reader-${index + 1}`)
  const supervisor = await supervise(site.node, {
    name: 'supervisor',
    children: readers.map((name, index) => ({ name, definition: 'reader', prefers: names[index] ?? '' })),
    onRestart: (child, node, reason) => progress(`${child} goes on on ${node}: ${reason}`),
    onGiveUp: (_, error) => progress(error.message),
  })
  return work(readers).finally(() => supervisor.stop().catch(() => undefined))
}

/** Throws USAGE or WORKSPACE_UNREADABLE. */
function sourcesOf(given: string[]): { workspace: string | undefined; files: string[]; urls: string[] } {
  const urls = given.filter((source) => /^[a-z]+:\/\//i.test(source))
  const [place, ...more] = given.filter((source) => !urls.includes(source))
  if (given.length === 0)
    throw new ClawmeshError('USAGE', 'There are no sources.', {
      hint: 'Name a folder, a file or a URL with --sources.',
    })
  if (more.length > 0)
    throw new ClawmeshError('USAGE', 'There are several folders or files.', {
      hint: 'Name one folder that holds them.',
    })
  const strange = urls.find((url) => !isUrl(url) || !URL.canParse(url))
  if (strange !== undefined)
    throw new ClawmeshError('USAGE', `${strange} cannot be read.`, { hint: 'Give a URL of http or https.' })
  if (place === undefined) return { workspace: undefined, files: [], urls }
  const path = resolve(place)
  if (!existsSync(path))
    throw new ClawmeshError('USAGE', `There is no ${place}.`, {
      hint: 'Name a folder, a file or a URL with --sources.',
    })
  if (statSync(path).isFile()) return { workspace: realpathSync(dirname(path)), files: [basename(path)], urls }
  checkWorkspace(path)
  return { workspace: realpathSync(path), files: listFiles(path), urls }
}

/** The policy with the hosts that a person named, for the tool that fetches and for no other program. */
function reaching(policy: string, urls: readonly string[]): string {
  if (urls.length === 0) return policy
  const document = parseDocument(policy)
  const endpoints = urls.map((url) => {
    const { hostname, port, protocol } = new URL(url)
    return { host: hostname, port: Number(port) || (protocol === 'https:' ? 443 : 80) }
  })
  document.set('network_policies', { sources: { endpoints, binaries: [{ path: 'tool:http_fetch' }] } })
  return String(document)
}

function summaryOf({ result, trail }: Ended) {
  return { ok: trail.verdict.ok, ...result, auditVerified: trail.verdict.ok }
}

function print({ result, trail }: Ended): void {
  const { answer, evidence, writer, unknownCitations, madeUp, unread, bill } = result
  const cited = evidence.flatMap((each, index) =>
    each.cited ? [`  [${index + 1}] ${each.place}  ${inOneLine(each.quote)}`] : [],
  )
  const said = writer.zone === 'elsewhere' ? 'elsewhere' : `of the mesh: ${writer.reason}`
  const lines = [
    answer,
    '',
    cited.length > 0 ? 'Evidence, word for word in the sources:' : 'The answer names no evidence: do not rely on it.',
    ...cited,
    ...(unknownCitations.length > 0
      ? [`The answer names evidence that there is not: ${unknownCitations.join(', ')}.`]
      : []),
    ...(madeUp > 0 ? [`${madeUp} quotes were in no source, and were left out.`] : []),
    ...unread.map((each) => `Not read: ${each}`),
    '',
    `Written by ${writer.model}, ${said}.`,
    ...billLines(bill),
    `Task ${result.trace}. ${trail.verdict.ok ? 'The audit trail verifies.' : 'The audit trail does not verify.'}`,
  ]
  process.stdout.write(`${lines.map((line) => printable(line)).join('\n')}\n`)
}

function billLines({ lines, cost, frontier, currency, prices }: ResearchBill): string[] {
  return [
    ...lines.map(
      (line) =>
        `  ${line.role.padEnd(5)} ${line.model} (${line.zone}): ${line.requests} requests, ${line.promptTokens} tokens in (${line.cachedTokens} cached), ${line.outputTokens} out, ${line.seconds.toFixed(1)} s, ${line.cost.toFixed(4)} ${currency}${line.unpriced > 0 ? `, ${line.unpriced} without a price` : ''}`,
    ),
    `As run: ${cost.toFixed(4)} ${currency}, by the price table ${prices}. The same trace at its frontier rates: ${frontier.toFixed(4)} ${currency}. That is a calculation: no such model was asked for it.`,
  ]
}

const inOneLine = (quote: string) => quote.replace(/\s+/g, ' ').slice(0, 200)
