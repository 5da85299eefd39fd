/** `clawmesh research`: models of the mesh that runs here, or of one of the command's own, read files, and one of which, or one elsewhere if the rules let it, writes an answer with its evidence. */
import { existsSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { type MeshNode, supervise } from '../../../mesh/index.js'
import { ClawmeshError, outcomes } from '../../../policies/errors.js'
import { readPolicy } from '../../../sandbox/preset.js'
import { workspaceId } from '../../../sandbox/workspace.js'
import type { ResearchBill } from '../../agents/research/bill.js'
import { keepResearch, researchOf } from '../../agents/research/kept.js'
import { isUrl } from '../../agents/research/reader.js'
import { type ResearchResult, research } from '../../agents/research/research.js'
import { spread } from '../../agents/spread.js'
import { accountName, dataSubject } from '../../data-subject.js'
import { recallOffer } from '../../member/offer.js'
import type { AuditTrail } from '../../trail.js'
import { checkApart, checkWorkspace, listFiles } from '../../workspace.js'
import { answerAtTerminal } from '../approve/inbox.js'
import { type Command, text, texts, type Values, whole } from '../command.js'
import { explain } from '../failure.js'
import { pricesOf } from '../models/prices.js'
import { ownModelOption, subjectOption } from '../options.js'
import { printable } from '../printable.js'
import { stopOnSignal } from '../stop.js'
import { progress } from '../terminal.js'
import { allowedOptions, readAllowed } from './allowed.js'
import { type Ended, onStage } from './stage.js'

export const researchCommand: Command = {
  name: 'research',
  usage:
    '"QUESTION" --sources DIR|FILE|URL… [--nodes N] [--model DIR|URL] [--tokens N] [--cost AMOUNT] [--time TIME] [options]',
  help: 'Answers a question from files, with the evidence: on the mesh that runs here where they lie in its workspace, otherwise on one that ends with it. Models of the mesh read; one elsewhere writes the answer only if every piece of evidence may leave. Not with the shipped model.',
  options: {
    sources: {
      type: 'string',
      value: 'DIR|FILE|URL',
      many: true,
      help: 'what is read: a folder and all below it, or a file; and any number of pages (give it once for each)',
    },
    nodes: { type: 'string', value: 'N', help: 'how many nodes read side by side (default: 3)' },
    seconds: {
      type: 'string',
      value: 'N',
      help: 'how long it may take from now on (default: 1800, or what --time says)',
    },
    ...allowedOptions,
    prices: {
      ...allowedOptions['prices'],
      type: 'string',
      help: 'the price table (default: policies/prices.yaml, examples to be edited)',
    },
    json: { type: 'boolean', help: 'print one JSON object as the last line' },
    data: { type: 'string', value: 'DIR', help: 'the data folder of the mesh: of one that runs, or of its own' },
    model: ownModelOption,
    subject: subjectOption,
  },
  takes: 'question',
  run: startResearch,
}

const mostNodes = 16

async function startResearch(question: string | undefined, values: Values): Promise<number> {
  if (question === undefined || question.trim() === '')
    throw new ClawmeshError('USAGE', 'There is no question.', {
      hint: 'For example: `clawmesh research "Who decided it?" --sources notes`',
    })
  const sources = sourcesOf(texts(values, 'sources'))
  const nodes = whole(values, 'nodes', 1, mostNodes) ?? 3
  const allowed = readAllowed(values)
  const ms = (whole(values, 'seconds', 1, 86_400) ?? 1800) * 1000
  const prices = pricesOf(values)
  const policy = await readPolicy('read-only-research')
  // Pages alone are read without a folder; a sandbox wants one all the same.
  const empty = sources.folder === undefined ? mkdtempSync(join(tmpdir(), 'clawmesh-research-')) : undefined
  const folder = sources.folder ?? empty ?? ''
  const stop = stopOnSignal()
  const { signal } = stop
  try {
    const ended = await onStage(
      {
        data: text(values, 'data'),
        model: text(values, 'model'),
        hosting: 'reader',
        unsuited: (data) => whyNotOn(recallOffer(data, {}).workspace, sources),
        own: (data) => {
          checkApart(folder, data)
          return {
            names: Array.from({ length: nodes }, (_, index) => `worker-${index + 1}`),
            sandbox: { workspace: folder, policy: reaching(policy.text, sources.urls), policyName: policy.name },
          }
        },
        stop,
      },
      ({ node, tasks, subjects, here, workspace = { folder } }) => {
        const subject = dataSubject(node, subjects, text(values, 'subject') ?? accountName())
        // The folder is a real path, and that of the mesh may have been named by a link.
        const files = sources.files.map((file) => relative(realpathSync(workspace.folder), join(folder, file)))
        const own = sources.folder === undefined ? null : { ...workspace, folder: sources.folder }
        const about = researchOf(question.trim(), { ...sources, workspace: own }, subject.name)
        const sizes = new Map(files.map((file, index) => [file, sizeOf(join(folder, sources.files[index] ?? ''))]))
        return keepResearch(node, tasks, about, { allowed, signal, progress }, (task, until) => {
          const trace = task.id
          subject.file(trace)
          const answering = answerAtTerminal(node, trace)
          return withReaders({ node, places: here, count: nodes, trace }, (readers) =>
            research(
              node,
              {
                question: question.trim(),
                sources: [...files, ...sources.urls],
                workspace: workspaceId(workspace),
                readers,
                prices,
                sizeOf: (file) => sizes.get(file),
              },
              { signal: until, ms: values['seconds'] === undefined ? (allowed?.ms ?? ms) : ms, progress, task },
            ),
          ).finally(() => answering?.end())
        })
      },
    )
    if (values['json']) process.stdout.write(`${JSON.stringify(summaryOf(ended))}\n`)
    else print(ended)
    if (signal.aborted) return explain(signal.reason)
    return isWhole(ended.trail) ? 0 : outcomes.failed
  } finally {
    if (empty !== undefined) rmSync(empty, { recursive: true, force: true })
  }
}

const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size

/** The trail of a mesh that goes on is for `clawmesh audit verify`. */
const isWhole = (trail: AuditTrail | undefined) => trail?.verdict.ok ?? true

/** Nodes of a mesh that runs read what lies in its workspace, and reach what its policy lets them. */
function whyNotOn(workspace: string | undefined, { folder, urls }: Sources): string | undefined {
  if (urls.length > 0) return 'pages are read under a policy that lets them be fetched'
  if (workspace === undefined || folder === undefined || !isWithin(realpathSync(workspace), folder))
    return `the sources are not in its workspace${workspace === undefined ? '' : ` (${workspace})`}`
  return undefined
}

const isWithin = (workspace: string, folder: string) => `${folder}/`.startsWith(`${workspace}/`)

async function withReaders<T>(
  { node, places, count, trace }: { node: MeshNode; places: readonly string[]; count: number; trace: string },
  work: (readers: string[]) => Promise<T>,
): Promise<T> {
  // Several researches of one mesh have actors of their own.
  const prefix = `research-${trace.slice(0, 8)}`
  const readers = Array.from({ length: count }, (_, index) => `${prefix}-reader-${index + 1}`)
  const supervisor = await supervise(node, {
    name: `${prefix}-supervisor`,
    children: spread(
      readers.map((name) => ({ name, definition: 'reader' })),
      places,
    ),
    onRestart: (child, where, reason) => progress(`${child} goes on on ${where}: ${reason}`),
    onGiveUp: (_, error) => progress(error.message),
  })
  return work(readers).finally(() => supervisor.stop().catch(() => undefined))
}

interface Sources {
  /** In which the files lie; undefined where there are none. */
  folder: string | undefined
  files: string[]
  urls: string[]
}

/** Throws USAGE or WORKSPACE_UNREADABLE. */
function sourcesOf(given: string[]): Sources {
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
  if (place === undefined) return { folder: undefined, files: [], urls }
  const path = resolve(place)
  if (!existsSync(path))
    throw new ClawmeshError('USAGE', `There is no ${place}.`, {
      hint: 'Name a folder, a file or a URL with --sources.',
    })
  if (statSync(path).isFile()) return { folder: realpathSync(dirname(path)), files: [basename(path)], urls }
  checkWorkspace(path)
  return { folder: realpathSync(path), files: listFiles(path), urls }
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

function summaryOf({ result, trail }: Ended<ResearchResult>) {
  return { ok: isWhole(trail), ...result, ...(trail ? { auditVerified: trail.verdict.ok } : {}) }
}

function print({ result, trail }: Ended<ResearchResult>): void {
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
    `Task ${result.trace}.${trail ? ` The audit trail ${trail.verdict.ok ? 'verifies' : 'does not verify'}.` : ''}`,
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
