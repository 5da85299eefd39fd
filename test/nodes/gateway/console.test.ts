/** The console: what is served to whom, that it loads nothing from elsewhere, and, where there is a Chromium, that it works. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { z } from 'zod'
import { installation } from '../../../mesh/installation.js'
import { consoleFolder } from '../../../nodes/gateway/console.js'
import { askPerson } from '../../../sandbox/approval.js'
import { Chromium, chromium } from '../../kit/chromium.js'
import { eventually } from '../../kit/eventually.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { ask, openStand, type Stand, shipped } from './stand.js'

async function enter(browser: Chromium, key: string): Promise<void> {
  await browser.run(
    `document.querySelector('input').value = ${JSON.stringify(key)}; document.querySelector('form').requestSubmit()`,
  )
  await browser.holds("document.querySelector('nav a[aria-current=page]')")
}

/** Each view, and what it shows when it is there. */
const views = {
  mesh: "document.querySelector('.map .node') && document.querySelectorAll('.map .node').length === document.querySelectorAll('main tbody tr').length",
  tasks: "document.querySelector('.tree .done')?.textContent.includes('look around')",
  debates:
    "document.querySelectorAll('.votes td.with').length === 2 && [...document.querySelectorAll('.debate h3')].some((h) => h.textContent === 'Erased')",
  approvals: "document.querySelector('main kbd')",
  policies: "document.querySelectorAll('.policy').length > 4 && !document.querySelector('.policy summary .bad')",
  costs: "document.querySelector('figure .bar')",
  audit: "document.querySelectorAll('.audit tbody tr').length > 5",
}

describe('the console', () => {
  let stand: Stand
  before(async () => {
    stand = await openStand()
  })
  after(() => stand?.close())

  it('is served to anyone, under a policy that lets nothing in from elsewhere', async () => {
    const files = readdirSync(consoleFolder)
    const paths = files.map((name) => (name === 'index.html' ? '/' : `/console/${name}`))
    assert.ok(paths.includes('/') && paths.length > 5)
    for (const path of paths) {
      const { status, headers, text } = await ask(stand.url, path)
      assert.equal(status, 200, path)
      const policy = String(headers['content-security-policy'])
      assert.match(policy, /^default-src 'none'; script-src 'self';/)
      assert.ok(!/unsafe|\*|https?:|data:/.test(policy), policy)
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.ok(text.length > 100, path)
    }
    assert.equal((await ask(stand.url, '/console/none.js')).status, 404)
    assert.equal((await ask(stand.url, '/console/..%2fserver.js')).status, 400)
    assert.equal((await ask(stand.url, '/console/keys.json')).status, 400)
  })

  it('names no place but its own, has no inline script or style, and is small', () => {
    let bytes = 0
    for (const name of readdirSync(consoleFolder)) {
      const text = readFileSync(join(consoleFolder, name), 'utf8')
      bytes += gzipSync(text).length
      const urls = text.match(/(?:https?:)?\/\/[\w.-]+\.\w+[^\s'"]*/g) ?? []
      assert.deepEqual(
        urls.filter((url) => url !== 'http://www.w3.org/2000/svg'),
        [],
        name,
      )
      assert.ok(!/innerHTML|insertAdjacentHTML|document\.write|eval\(|\sstyle=|<script>|localStorage/.test(text), name)
    }
    assert.ok(bytes < 50_000, `${bytes} bytes, gzipped`)
  })

  it('shows the mesh, tasks, debates, policies, costs and the trail, readable by everyone, on wide screens and narrow ones', {
    skip: chromium ? false : 'there is no Chromium here',
  }, async () => {
    const { front, keyOf, tasks, url } = stand
    const body = { model: shipped, messages: [{ role: 'user', content: '12 + 7' }] }
    assert.equal((await ask(url, '/v1/chat/completions', { method: 'POST', key: keyOf.developer, body })).status, 200)
    const task = await tasks.begin({ request: 'Look <b>around</b>' })
    await task.step('look around', { result: z.string(), repeatable: true }, async () => 'seen')
    await task.end({ ok: true, answer: 'seen' })
    const voters = ['ada', 'bob', 'cy'].map((name) => ({ name, model: shipped }))
    const votes = voters.map(({ name: voter }, at) => ({
      voter,
      answer: at === 1 ? 'no' : 'yes',
      confidence: 0.5,
      reason: '',
    }))
    await front.note(
      'debate.opened',
      { question: 'Is <b>it</b>?', voters, topology: 'ring', vote: 'majority' },
      'd',
      'debate',
    )
    await front.note('debate.round', { round: 1, votes }, 'd', 'debate')
    await front.note('vote.decided', { answer: 'yes', reason: '2 of 3', tokens: 9 }, 'd', 'debate')
    const { subjects } = stand.mesh.authority
    front.file('of dora', subjects.keyOf('dora'))
    await front.note('debate.opened', { question: 'PRIVATE', voters, topology: 'ring', vote: 'majority' }, 'of dora')
    subjects.erase('dora', Date.now())
    const profile = temporaryFolder()
    const browser = await Chromium.open(profile)
    try {
      await browser.visit(url)
      await browser.holds("document.querySelector('input[type=password]')")
      await browser.run(readFileSync(join(installation, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8'))
      await enter(browser, keyOf.admin)
      for (const [name, shown] of Object.entries(views)) {
        await browser.run(`location.hash = '#${name}'`)
        await browser.holds(`location.hash === '#${name}' && ${shown}`)
        for (const [width, dark] of [
          [360, false],
          [1280, true],
        ] as const) {
          await browser.resize(width)
          await browser.screenshot(dark)
          const wide = Number(await browser.run('document.documentElement.scrollWidth'))
          assert.ok(wide <= width, `${name} is ${wide} wide on ${width}`)
          // The other colours are all that can make a difference.
          const rules = dark ? '{ runOnly: ["color-contrast"] }' : '{}'
          const faults = await browser.run(
            `axe.run(${rules}).then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))`,
          )
          assert.deepEqual(faults, [], `${name}, ${width} wide, ${dark ? 'dark' : 'light'}`)
        }
      }
      assert.equal(await browser.run("document.querySelectorAll('main b').length"), 0, 'text stays text')
      await browser.run("location.hash = '#mesh'")
      await browser.holds(views.mesh)
      await browser.run("document.querySelector('.node[tabindex=\\'0\\']').focus()")
      const chosen = () => browser.run("document.querySelector('.details h3').textContent")
      const first = await chosen()
      await browser.press('ArrowRight')
      assert.notEqual(await chosen(), first, 'the arrows choose another machine')
      assert.deepEqual(await browser.problems(), [])
    } finally {
      await browser.close()
      await eventually(() => rmSync(profile, { recursive: true, force: true }))
    }
  })

  it('lets an approver answer by keys, in a real browser, and shows no more than the role may see', {
    skip: chromium ? false : 'there is no Chromium here',
  }, async () => {
    const profile = temporaryFolder()
    const browser = await Chromium.open(profile)
    try {
      await browser.visit(stand.url)
      await browser.holds("document.querySelector('input[type=password]')")
      await enter(browser, stand.keyOf.approver)
      assert.equal(
        await browser.run("[...document.querySelectorAll('nav a')].map((a) => a.textContent).join()"),
        'Mesh,Approvals,Policies',
      )
      await browser.run("location.hash = '#approvals'")
      const { box } = stand
      const missing = [{ kind: 'read' as const, path: '/<b>secret</b>' }]
      const question = { node: box.name, tool: 'read_file', args: { path: '/<b>secret</b>' }, missing, workspace: '/w' }
      const answer = askPerson(box, question, {
        signal: new AbortController().signal,
        trace: 't',
        deadline: Date.now() + 30_000,
      })
      await browser.holds("document.querySelector('main li pre')?.textContent.includes('<b>secret</b>')")
      assert.equal(await browser.run("document.querySelectorAll('main b').length"), 0, 'text stays text')
      await browser.press('j')
      await browser.press('a')
      assert.deepEqual(await answer, { answer: 'allow', by: 'approver' })
      await browser.holds("document.querySelectorAll('main li').length === 0")
      assert.deepEqual(await browser.problems(), [])
      for (const width of [360, 1280]) {
        await browser.resize(width)
        assert.ok(
          Number(await browser.run('document.documentElement.scrollWidth')) <= width,
          `it is wider than ${width}`,
        )
      }
    } finally {
      await browser.close()
      await eventually(() => rmSync(profile, { recursive: true, force: true }))
    }
  })
})
