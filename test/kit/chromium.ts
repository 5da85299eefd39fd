/** A real browser, by the DevTools protocol over a pipe: needs nothing but the browser itself. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { z } from 'zod'
import { eventually } from './eventually.js'

/** Where Debian has it; undefined if it is not on this machine. */
export const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync)

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-pipe',
]

const messageSchema = z.object({
  id: z.int().optional(),
  method: z.string().optional(),
  params: z.record(z.string(), z.unknown()).optional(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.object({ message: z.string() }).optional(),
})
type Result = Record<string, unknown>

export class Chromium {
  readonly #child: ChildProcess
  readonly #answers = new Map<number, { resolve: (result: Result) => void; reject: (error: Error) => void }>()
  readonly #problems: string[] = []
  #session: string | undefined
  #last = 0

  constructor(child: ChildProcess) {
    this.#child = child
    let text = ''
    this.#pipe<Readable>(4)
      .setEncoding('utf8')
      .on('data', (piece: string) => {
        const parts = `${text}${piece}`.split('\0')
        text = parts.pop() ?? ''
        for (const part of parts) this.#take(messageSchema.parse(JSON.parse(part)))
      })
  }

  static async open(profile: string): Promise<Chromium> {
    const child = spawn(chromium ?? '', [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    })
    const browser = new Chromium(child)
    const { targetId } = await browser.#call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await browser.#call('Target.attachToTarget', { targetId, flatten: true })
    browser.#session = String(sessionId)
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.#call(`${domain}.enable`)
    return browser
  }

  async visit(url: string): Promise<void> {
    await this.#call('Page.navigate', { url })
  }

  /** What an expression of the page gives; an await is allowed in it. */
  async run(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.#call('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails))
    return z.object({ value: z.unknown().optional() }).parse(result).value
  }

  /** Resolves when the expression is true. */
  async holds(expression: string): Promise<void> {
    await eventually(async () => {
      if ((await this.run(`Boolean(${expression})`)) !== true) throw new Error(`not so: ${expression}`)
    }, 15_000)
  }

  async press(key: string): Promise<void> {
    const text = key.length === 1 ? { text: key } : {}
    await this.#call('Input.dispatchKeyEvent', { type: 'keyDown', key, ...text })
    await this.#call('Input.dispatchKeyEvent', { type: 'keyUp', key })
  }

  async resize(width: number): Promise<void> {
    await this.#call('Emulation.setDeviceMetricsOverride', { width, height: 800, deviceScaleFactor: 1, mobile: false })
  }

  /** PNG. */
  async screenshot(dark = false): Promise<Buffer> {
    const value = dark ? 'dark' : 'light'
    await this.#call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] })
    const { data } = await this.#call('Page.captureScreenshot')
    return Buffer.from(String(data), 'base64')
  }

  /** What the page threw, and what its policy refused. */
  async problems(): Promise<string[]> {
    return [...this.#problems]
  }

  async close(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }

  #call(method: string, params: Result = {}): Promise<Result> {
    const id = ++this.#last
    const target = this.#session === undefined ? {} : { sessionId: this.#session }
    this.#pipe<Writable>(3).write(`${JSON.stringify({ id, method, params, ...target })}\0`)
    return new Promise((resolve, reject) => this.#answers.set(id, { resolve, reject }))
  }

  #take({ id, method, params, result, error }: z.output<typeof messageSchema>): void {
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') this.#problems.push(JSON.stringify(params))
    const waiting = id === undefined ? undefined : this.#answers.get(id)
    if (error) waiting?.reject(new Error(error.message))
    else waiting?.resolve(result ?? {})
  }

  #pipe<T>(number: number): T {
    return this.#child.stdio[number] as T
  }
}
