/** What a model cannot do is found out once: worker, voters and supervisor over a real server, whose answers are of no use. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { type JobResult, runJob } from '../../../nodes/agents/job/job.js'
import { type Crew, called, raiseCrew, said } from './crew.js'

interface Asked {
  temperature: number
  seed?: number
  messages: { content: string }[]
}

describe('a model whose answers are of no use', () => {
  const crews: Crew[] = []
  afterEach(async () => {
    for (const crew of crews.splice(0)) await crew.dismiss()
  })

  /** Does a request with three workers and a server that answers so. */
  async function ask(
    request: string,
    answer: (words: string) => string | Promise<string>,
    heard: (progress: string) => void = () => undefined,
  ) {
    const crew = await raiseCrew(answer)
    crews.push(crew)
    const supervisor = await crew.mesh.join('supervisor', { roles: ['supervisor'] })
    const progress: string[] = []
    const result: JobResult = await runJob(supervisor, await crew.tasks.begin({}), {
      request,
      workspace: crew.about,
      files: crew.files,
      workers: crew.workers,
      signal: new AbortController().signal,
      progress: (text) => {
        progress.push(text)
        heard(text)
      },
      sayEveryMs: 50,
    })
    return { result, progress, asked: crew.asked.map((body) => JSON.parse(body) as Asked) }
  }

  it('is not asked the same again, and not by another worker', async () => {
    const { result, asked } = await ask('Sing a song.', () => said({ content: 'La la la.' }, 'stop'))
    assert.equal(result.error?.code, 'MODEL_UNSUITED')
    assert.match(
      result.error?.message ?? '',
      /^3 answers of nvidia\/Llama-3\.1-Nemotron-Nano-8B-v1 cannot be used\. .* without choosing a tool/,
    )
    assert.match(result.error?.hint ?? '', /`--model DIR\|URL`/)
    assert.deepEqual(
      asked.map(({ temperature, seed }) => [temperature, seed]),
      [
        [0, undefined],
        [0.7, 1],
        [0.7, 2],
      ],
    )
  })

  it('may have another word, drawn more freely, and that one counts', async () => {
    let answers = 0
    const { result } = await ask('How many lines has a.csv?', () => {
      answers += 1
      return answers === 1 ? called('count_lines', { path: '/etc/passwd' }) : called('count_lines', { path: 'a.csv' })
    })
    assert.equal(result.error, undefined)
    assert.match(result.answer, /2 lines/)
  })

  it('loses its vote at the first tool that says nothing of the entries', async () => {
    const { result, asked } = await ask('Add up the entries of this quarter.', (words) =>
      called(words.startsWith('Add up the entries') ? 'check_entries' : 'count_lines', { path: 'a.csv' }),
    )
    assert.ok(result.ledger, result.answer)
    assert.deepEqual(
      result.vote?.ballots.map(({ choice }) => choice),
      [undefined, undefined, undefined],
    )
    assert.equal(result.error?.code, 'TASK_FAILED')
    assert.match(result.error?.message ?? '', /did not agree/)
    assert.equal(asked.length, 4, 'one part and three votes')
  })

  it('is said to be waited for while it takes long', async () => {
    let wait: () => void = () => undefined
    const waited = new Promise<void>((resolve) => (wait = resolve))
    const answer = () => waited.then(() => called('count_lines', { path: 'a.csv' }))
    const { result } = await ask('How many lines has a.csv?', answer, (progress) => {
      if (/still waiting: 0 of 1 parts done/.test(progress)) wait()
    })
    assert.equal(result.error, undefined)
  })

  it('says so where an action fails, and where none may be done', async () => {
    const failed = await ask('How many lines has b.csv?', () => called('count_lines', { path: 'b.csv' }))
    assert.equal(failed.result.error?.code, 'TASK_FAILED')
    const refused = await ask('Read ../b.csv', () => called('read_file', { path: '../b.csv' }))
    assert.equal(refused.result.error?.code, 'DENIED')
  })
})
