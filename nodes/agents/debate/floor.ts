/**
 * The room of a debate, as its holder uses it: who is let in, what each voter has said in it, and who may read that.
 *
 * A debate does not hang on its room. What cannot be heard there (its voter says nothing in rooms, its post was lost, who is to hear it came in later) the holder tells.
 */
import { randomUUID } from 'node:crypto'
import type { MeshNode, Room } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Opener, openStatement, type Statement, statementSchema } from './statement.js'
import type { Vote } from './tally.js'

/** So long a vote waits for what its voter said of it in the room. */
const confirmWithinMs = 2000

interface Said {
  readonly statement: Statement
  readonly node: string
  readonly epoch: number
}

export class Floor {
  readonly #node: MeshNode
  readonly #room: Promise<Room | undefined>
  readonly #over = new AbortController()
  readonly #said: Said[] = []
  readonly #waiting = new Set<() => void>()
  /** Votes that were said in the room as they were told to the holder. */
  readonly #confirmed: { vote: Vote; opener: Opener; epoch: number }[] = []

  constructor(node: MeshNode, takePart: readonly string[]) {
    this.#node = node
    this.#room = node.openRoom(`debate ${randomUUID()}`).catch(() => undefined)
    void this.#open(takePart)
  }

  /** The name of the room, for one who is asked; lets the node in where that actor runs now. */
  async enter(actor: string): Promise<string | undefined> {
    const room = await this.#room
    if (!room || room.isOver) return undefined
    this.#admit(room, [actor])
    return room.name
  }

  /**
   * A vote came with the key to what was said of it. Resolves when that was found in the room, or is not to be expected any more. Throws UNAUTHENTIC if the voter
   * said another thing there.
   */
  async confirm(vote: Vote, round: number, key: Uint8Array): Promise<void> {
    const room = await this.#room
    if (!room) return
    const until = performance.now() + confirmWithinMs
    for (;;) {
      const found = this.#found(vote.voter, round, key, room)
      if (found) {
        const { said, opened } = found
        if (!isSame(opened, vote)) throw twoFaced(vote.voter)
        const opener = { voter: vote.voter, node: said.node, round, key }
        this.#confirmed.push({ vote, opener, epoch: said.epoch })
        return
      }
      const left = until - performance.now()
      if (left <= 0 || room.isOver || this.#over.signal.aborted) return
      await this.#next(left)
    }
  }

  /** What an actor is to hear: what opens it in the room, where that was said after its node came in, or else the vote in the holder's words. */
  async hear(votes: readonly Vote[], actor: string, isAgain: boolean): Promise<(Vote | Opener)[]> {
    const room = await this.#room
    const node = this.#node.find(actor)?.certificate.name
    const since = isAgain || node === undefined ? undefined : room?.members.get(node)
    return votes.map((vote) => {
      const found = this.#confirmed.findLast((one) => isSame(one.vote, vote))
      return found && since !== undefined && since <= found.epoch ? found.opener : vote
    })
  }

  close(): void {
    this.#over.abort()
    this.#tell()
    void this.#room.then((room) => room?.close()).catch(() => undefined)
  }

  async #open(takePart: readonly string[]): Promise<void> {
    const room = await this.#room
    if (!room) return
    this.#admit(room, takePart)
    try {
      const posts = room.subscribe(statementSchema, { signal: this.#over.signal, onLost: () => undefined })
      for await (const { value: statement, node, epoch } of posts) {
        this.#said.push({ statement, node, epoch })
        this.#tell()
      }
    } catch {
      // It is over: what is said from now on the holder tells.
    }
  }

  #admit(room: Room, actors: readonly string[]): void {
    const nodes = actors.flatMap((actor) => this.#node.find(actor)?.certificate.name ?? [])
    const added = [...new Set(nodes)].filter((node) => !room.members.has(node))
    if (added.length > 0) void room.admit(...added).catch(() => undefined)
  }

  #found(voter: string, round: number, key: Uint8Array, room: Room): { said: Said; opened: Vote } | undefined {
    for (const said of this.#said) {
      if (said.statement.voter !== voter || said.statement.round !== round) continue
      const opened = openStatement(said.statement, key, room.id)
      if (opened) return { said, opened }
    }
    return undefined
  }

  #tell(): void {
    for (const tell of [...this.#waiting]) tell()
  }

  #next(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, withinMs)
      this.#waiting.add(done)
    })
  }
}

const isSame = (a: Vote, b: Vote) =>
  a.voter === b.voter && a.answer === b.answer && a.confidence === b.confidence && a.reason === b.reason

const twoFaced = (voter: string) =>
  new ClawmeshError('UNAUTHENTIC', `Voter "${voter}" said one thing to the holder and another in the room.`)
