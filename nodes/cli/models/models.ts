/** `clawmesh models …`: the models on this machine's disk. */
import { createInterface } from 'node:readline/promises'
import { readCatalogue } from '../../../inference/catalogue.js'
import { Hub } from '../../../inference/store/hub.js'
import type { Licence } from '../../../inference/store/licence.js'
import { ModelStore, type Progress, type StoredModel } from '../../../inference/store/store.js'
import { ClawmeshError, outcomes } from '../../../policies/errors.js'
import { modelStore, readConfig } from '../../config.js'
import { asTyped } from '../as-typed.js'
import { type Command, type Option, text, type Values } from '../command.js'
import { printable } from '../printable.js'
import { size } from '../size.js'

const json: Option = { type: 'boolean', help: 'print JSON' }
const revision: Option = {
  type: 'string',
  value: 'REVISION',
  help: 'a branch, tag or commit (default: main; a commit is a pin)',
}

const openStore = () => new ModelStore(modelStore(readConfig().cache))

export const modelsList: Command = {
  name: 'models list',
  usage: '[options]',
  help: 'Lists the models that were fetched, with their folders, which start --model takes.',
  options: {
    known: { type: 'boolean', help: 'list the Nemotron family instead: sizes, licences, where each runs' },
    json,
  },
  run: async (_, values) => {
    const models = values['known'] ? await readCatalogue() : await openStore().list()
    if (values['json']) print(JSON.stringify(models))
    else if (values['known']) for (const line of await describeKnown()) print(line)
    else if (models.length === 0) print(asTyped('No model was fetched yet. See clawmesh models pull --help.'))
    else for (const model of await openStore().list()) print(line(model))
    return 0
  },
}

export const modelsPull: Command = {
  name: 'models pull',
  usage: 'ORGANISATION/NAME [options]',
  help: 'Fetches a model from a hub: each file checked by its digest before it gets its name, gone on with where it was broken off.',
  options: {
    revision,
    include: {
      type: 'string',
      value: 'PATTERNS',
      help: 'only files like these, with * and commas: "*.json,onnx/model_q4*"',
    },
    hub: { type: 'string', value: 'URL', help: 'the hub or mirror (default: CLAWMESH_MODEL_HUB, else Hugging Face)' },
    'accept-licence': {
      type: 'boolean',
      help: 'you have read the licence of this model and accept it; recorded with your name',
    },
    offline: { type: 'boolean', help: 'ask nobody: it is here already, or this fails' },
    json,
  },
  takes: 'model',
  run: (model, values) => pull(named(model), values),
}

export const modelsVerify: Command = {
  name: 'models verify',
  usage: '[ORGANISATION/NAME] [options]',
  help: 'Reads every file of one model, or of all, and says which are missing, truncated or altered.',
  options: { revision, json },
  takes: 'model',
  run: verify,
}

export const modelsRemove: Command = {
  name: 'models rm',
  usage: 'ORGANISATION/NAME [options]',
  help: 'Takes a model off the disk, with the files that no other model shares.',
  options: { revision, json },
  takes: 'model',
  run: async (given, values) => {
    const store = openStore()
    const model = await store.find(named(given), text(values, 'revision'))
    const freed = await store.remove(model)
    print(
      values['json']
        ? JSON.stringify({ ok: true, ...model, freed })
        : `${model.repository} is gone: ${size(freed)} freed.`,
    )
    return 0
  },
}

async function pull(repository: string, values: Values): Promise<number> {
  const store = openStore()
  const revisionGiven = text(values, 'revision')
  const stop = new AbortController()
  process.once('SIGINT', () =>
    stop.abort(new ClawmeshError('CANCELLED', 'Stopped. What has arrived is kept: the same command goes on.')),
  )
  const model = values['offline']
    ? await whole(store, await store.find(repository, revisionGiven))
    : await store.pull(new Hub(text(values, 'hub') ?? readConfig().modelHub), repository, {
        ...(revisionGiven === undefined ? {} : { revision: revisionGiven }),
        ...(text(values, 'include') === undefined
          ? {}
          : { include: (text(values, 'include') ?? '').split(',').map((each) => each.trim()) }),
        accepts: (licence) => accepts(repository, licence, values['accept-licence'] === true),
        onProgress: progressBar(),
        signal: stop.signal,
      })
  print(values['json'] ? JSON.stringify({ ok: true, ...model }) : line(model))
  return 0
}

async function whole(store: ModelStore, model: StoredModel): Promise<StoredModel> {
  const [fault] = await store.verify(model)
  if (!fault) return model
  throw new ClawmeshError('MODEL_BROKEN', `${model.repository} cannot be used: ${fault.path}, ${fault.why}.`, {
    hint: 'Pull it again without --offline: only what is wrong is fetched.',
  })
}

async function verify(given: string | undefined, values: Values): Promise<number> {
  const store = openStore()
  const models = given === undefined ? await store.list() : [await store.find(given, text(values, 'revision'))]
  const results = []
  for (const model of models) results.push({ ...model, faults: await store.verify(model) })
  if (values['json']) print(JSON.stringify(results))
  else
    for (const { faults, ...model } of results) {
      print(`${faults.length === 0 ? 'ok    ' : 'BROKEN'} ${line(model)}`)
      for (const { path, why } of faults) print(`       ${path}: ${why}`)
    }
  return results.every(({ faults }) => faults.length === 0) ? 0 : outcomes.failed
}

async function accepts(repository: string, { name, link }: Licence, said: boolean): Promise<boolean> {
  if (said) return true
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const where = link ? `, ${link}` : ''
    const typed = await terminal.question(
      printable(`${repository} is under the licence "${name}"${where}. Have you read it, and do you accept it? [y/N] `),
    )
    return /^y(es)?$/i.test(typed.trim())
  } finally {
    terminal.close()
  }
}

/** A bar that moves, at a terminal; elsewhere a line for each tenth. */
function progressBar(): (progress: Progress) => void {
  let last = -1
  return ({ path, done, total }) => {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const step = Math.floor(share * (process.stderr.isTTY ? 200 : 10))
    if (step === last) return
    last = step
    const bar = `${'█'.repeat(Math.floor(share * 30)).padEnd(30, '░')} ${Math.floor(share * 100)} % of ${size(total)}  ${printable(path)}`
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[2K${bar}${share === 1 ? '\n' : ''}` : `· ${bar}\n`)
  }
}

async function describeKnown(): Promise<string[]> {
  return (await readCatalogue()).map(({ name, parameters, active, licence, backends, onnx, notes }) =>
    [
      `${name}: ${parameters / 1e9} B parameters${active ? `, ${active / 1e9} B at a time` : ''}; ${licence}; runs on ${backends.join(', ')}`,
      onnx ? `ONNX: ${onnx.repository ?? `by ${onnx.by}`} (${onnx.quantisation})` : 'no ONNX export known',
      ...(notes ? [notes] : []),
    ].join('; '),
  )
}

function line({ repository, commit, folder, bytes, files }: StoredModel): string {
  return `${printable(repository)}  ${commit.slice(0, 12)}  ${size(bytes)} in ${files} files  ${folder}`
}

function named(model: string | undefined): string {
  if (model !== undefined) return model
  throw new ClawmeshError('USAGE', 'No model was named.', { hint: 'Give it as ORGANISATION/NAME.' })
}

function print(words: string): void {
  process.stdout.write(`${words}\n`)
}
