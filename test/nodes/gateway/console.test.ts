/** The console: what is served to whom, that it loads nothing from elsewhere, and, where there is a Chromium, that it works. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Browser, Locator, Page } from 'playwright-core'
import { z } from 'zod'
import { installation } from '../../../mesh/installation.js'
import { consoleFolder } from '../../../nodes/gateway/console.js'
import { askPerson } from '../../../sandbox/approval.js'
import { chromium, openBrowser, openTab } from '../../kit/chromium.js'
import { eventually } from '../../kit/eventually.js'
import { ask, openStand, type Stand, shipped } from './stand.js'

async function enter(page: Page, url: string, key: string): Promise<void> {
  await page.goto(url)
  await page.locator('input[type=password]').fill(key)
  await page.locator('form button').click()
  await page.locator('nav a[aria-current=page]').waitFor()
}

/** How wide the page is laid out, whatever is seen of it. */
const widthOf = (page: Page) => page.evaluate('document.documentElement.scrollWidth')

/** Each view, and what it shows when it is there. */
const views: Record<string, (page: Page) => Locator[]> = {
  mesh: (page) => [page.locator('.map .node'), page.locator('main tbody tr')],
  tasks: (page) => [page.locator('.tree .done', { hasText: 'look around' })],
  debates: (page) => [page.locator('.votes td.with').nth(1), page.locator('.debate h3', { hasText: /^Erased$/ })],
  approvals: (page) => [page.locator('main kbd')],
  policies: (page) => [page.locator('.policy').nth(4), page.locator('td strong', { hasText: '1 in force' })],
  costs: (page) => [page.locator('figure .bar')],
  audit: (page) => [page.locator('.audit tbody tr').nth(5)],
}

async function see(page: Page, view: string): Promise<void> {
  await page.evaluate(`location.hash = '#${view}'`)
  for (const shown of views[view]?.(page) ?? []) await shown.first().waitFor({ state: 'attached' })
}

describe('the console', () => {
  let stand: Stand
  let browser: Browser | undefined
  before(async () => {
    stand = await openStand()
    if (chromium) browser = await openBrowser()
  })
  after(async () => {
    await browser?.close()
    await stand?.close()
  })
  const open = () => {
    if (!browser) throw new Error('there is no Chromium here')
    return openTab(browser)
  }

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
    await stand.publish(stand.policies.add({ name: 'strict', text: '{}', by: 'ada', reason: 'why' }, Date.now()))
    const { page, problems } = await open()
    await enter(page, url, keyOf.admin)
    await page.evaluate(readFileSync(join(installation, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8'))
    for (const name of Object.keys(views)) {
      await see(page, name)
      for (const [width, colorScheme] of [
        [360, 'light'],
        [1280, 'dark'],
      ] as const) {
        await page.setViewportSize({ width, height: 800 })
        await page.emulateMedia({ colorScheme })
        const wide = Number(await widthOf(page))
        assert.ok(wide <= width, `${name} is ${wide} wide on ${width}`)
        // The other colours are all that can make a difference.
        const rules = colorScheme === 'dark' ? '{ runOnly: ["color-contrast"] }' : '{}'
        const faults = await page.evaluate(
          `axe.run(${rules}).then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))`,
        )
        assert.deepEqual(faults, [], `${name}, ${width} wide, ${colorScheme}`)
      }
    }
    assert.equal(await page.locator('main b').count(), 0, 'text stays text')
    await see(page, 'tasks')
    const waiting = await tasks.begin({ request: 'What a person decides' })
    const question = { node: stand.box.name, tool: 'read_file', args: { path: 'a' }, missing: [], workspace: '/w' }
    const refused = askPerson(stand.box, question, {
      signal: new AbortController().signal,
      trace: waiting.id,
      deadline: Date.now() + 30_000,
    })
    const note = page.locator('.task', { hasText: 'What a person decides' }).locator('.held')
    await note.waitFor({ state: 'visible' })
    await note.click()
    await page.locator('main li').first().focus()
    await page.keyboard.press('r')
    assert.equal((await refused).answer, 'refuse')
    await waiting.end({ ok: true, answer: '' })
    await see(page, 'policies')
    assert.equal(await page.locator('.policy summary .bad').count(), 0, 'each preset holds its truth table')
    await see(page, 'mesh')
    await eventually(async () =>
      assert.equal(await page.locator('.map .node').count(), await page.locator('main tbody tr').count()),
    )
    await page.locator('.node[tabindex="0"]').focus()
    const chosen = () => page.locator('.details h3').textContent()
    const first = await chosen()
    await page.keyboard.press('ArrowRight')
    assert.notEqual(await chosen(), first, 'the arrows choose another machine')
    await page.route('**/v1/audit/events*', async (route) => {
      await front.audit.intend({ kind: 'vote.cast', trace: '', actor: 'test', facts: { between: true } })
      await route.continue()
    })
    await see(page, 'audit')
    await page.locator('.audit td.facts', { hasText: '"between":true' }).first().waitFor()
    assert.deepEqual(problems, [])
    await page.close()
  })

  it('lets an approver answer by keys, in a real browser, and shows no more than the role may see', {
    skip: chromium ? false : 'there is no Chromium here',
  }, async () => {
    const { page, problems } = await open()
    await enter(page, stand.url, stand.keyOf.approver)
    assert.deepEqual(await page.locator('nav a').allTextContents(), ['Mesh', 'Approvals', 'Policies'])
    await see(page, 'approvals')
    const { box } = stand
    // Shown as it is written, it would read as a picture.
    const path = '/<b>secret</b>/\u202egpj.exe'
    const missing = [{ kind: 'read' as const, path }]
    const question = { node: box.name, tool: 'read_file', args: { path }, missing, workspace: '/w' }
    const answer = askPerson(box, question, {
      signal: new AbortController().signal,
      trace: 't',
      deadline: Date.now() + 30_000,
    })
    await page.locator('main li pre', { hasText: '<b>secret</b>' }).first().waitFor()
    assert.equal(await page.locator('main b').count(), 0, 'text stays text')
    const words = (await page.locator('main li').first().textContent()) ?? ''
    assert.ok(words.includes('\\u{202e}gpj.exe') && !words.includes('\u202e'), words)
    await page.keyboard.press('j')
    await page.keyboard.press('a')
    assert.deepEqual(await answer, { answer: 'allow', by: 'approver' })
    await page.locator('main li').first().waitFor({ state: 'detached' })
    const again = () => {
      const options = { signal: new AbortController().signal, trace: 'u', deadline: Date.now() + 30_000 }
      return askPerson(box, { ...question, args: { path: 'often' } }, options)
    }
    const often = again()
    await page.locator('main li input').fill('2')
    await page.getByRole('button', { name: 'Allow N times' }).click()
    for (const answered of [often, again()]) assert.equal((await answered).answer, 'allow')
    const third = again()
    await page.locator('main li').first().waitFor()
    assert.equal(await page.locator('main li input').inputValue(), '2', 'what was typed last')
    await page.keyboard.press('j')
    await page.keyboard.press('r')
    assert.deepEqual(await third, { answer: 'refuse', by: 'approver' })
    assert.deepEqual(problems, [])
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 800 })
      assert.ok(Number(await widthOf(page)) <= width, `it is wider than ${width}`)
    }
    await page.close()
  })
})
