/**
 * Decisions as a program of the kernel's classic BPF. It is made of blocks: each ends in a return on every way through it, and jumps only
 * within itself, so that blocks are put one after another as they are and every distance is the length of what is passed over.
 */
import { type Architecture, type CallName, numberOf } from './calls.js'
import { type Decision, killed, type Verdict } from './decision.js'

/** struct sock_filter: the operation, how far to go on where a test holds and where it does not, and a value. */
interface Instruction {
  readonly operation: number
  readonly ifTrue: number
  readonly ifFalse: number
  readonly value: number
}
type Block = readonly Instruction[]

/** BPF_LD | BPF_W | BPF_ABS, BPF_ALU | BPF_AND | BPF_K, and so on. */
const operations = {
  load: 0x20,
  and: 0x54,
  go: 0x05,
  ifEqual: 0x15,
  ifAtLeast: 0x35,
  ifAnyOf: 0x45,
  return: 0x06,
} as const
type Operation = keyof typeof operations

/** In struct seccomp_data. Both architectures are little-endian: the low half of an argument comes first. */
const numberAt = 0
const architectureAt = 4
const argumentAt = (argument: number) => 16 + 8 * argument

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 */
const names: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 }

/** From here on the numbers of x86_64 are those of x32, which the kernel may know too. */
const x32From = 0x40000000

const furthest = 255
const instructionBytes = 8

/** @param otherwise what becomes of every call that has no decision */
export function codeOf(
  architecture: Architecture,
  decisions: ReadonlyMap<CallName, Decision>,
  otherwise: Verdict,
): Buffer {
  const foreign = blockOf(killed)
  return bytesOf([
    step('load', architectureAt),
    test('ifEqual', names[architecture], foreign.length, 0),
    ...foreign,
    step('load', numberAt),
    ...treeOf(rangesOf(architecture, decisions, otherwise)),
  ])
}

/** Numbers from one on, up to where the next range begins. */
interface Range {
  readonly from: number
  readonly decision: Decision
}

/** All numbers there are; neighbours with the same verdict are one range. */
function rangesOf(architecture: Architecture, decisions: ReadonlyMap<CallName, Decision>, otherwise: Verdict): Range[] {
  const decided = [...decisions]
    .flatMap(([call, decision]) => {
      const number = numberOf(call, architecture)
      return number === undefined ? [] : [{ number, decision }]
    })
    .sort((one, other) => one.number - other.number)
  const ranges: Range[] = [{ from: 0, decision: otherwise }]
  const add = (from: number, decision: Decision) => {
    const last = ranges.at(-1)
    if (last?.from === from) ranges.pop()
    const before = ranges.at(-1)
    if (!before || !isSame(before.decision, decision)) ranges.push({ from, decision })
  }
  for (const { number, decision } of decided) {
    add(number, decision)
    add(number + 1, otherwise)
  }
  if (architecture === 'x64') add(x32From, killed)
  return ranges
}

function isSame(one: Decision, other: Decision): boolean {
  return 'returns' in one && 'returns' in other && one.returns === other.returns
}

/** A binary tree, so that each call costs about seven comparisons, and those that its arguments need. */
function treeOf(ranges: readonly Range[]): Block {
  const middle = Math.ceil(ranges.length / 2)
  const [first] = ranges
  const second = ranges[middle]
  if (!first || !second) return first ? blockOf(first.decision) : []
  const below = treeOf(ranges.slice(0, middle))
  const above = treeOf(ranges.slice(middle))
  if (below.length <= furthest) return [test('ifAtLeast', second.from, below.length, 0), ...below, ...above]
  const far = [step('go', below.length)]
  return [test('ifAtLeast', second.from, 0, far.length), ...far, ...below, ...above]
}

function blockOf(decision: Decision): Block {
  if ('returns' in decision) return [step('return', decision.returns)]
  const { argument, mask, is, values } = decision
  const ifSo = blockOf(decision.ifSo)
  const ifNot = blockOf(decision.ifNot)
  const operation = is === 'one of' ? 'ifEqual' : 'ifAnyOf'
  return [
    step('load', argumentAt(argument)),
    ...(mask === undefined ? [] : [step('and', mask)]),
    ...values.map((value, place) => test(operation, value, values.length - 1 - place + ifNot.length, 0)),
    ...ifNot,
    ...ifSo,
  ]
}

const step = (operation: Operation, value: number): Instruction => ({
  operation: operations[operation],
  ifTrue: 0,
  ifFalse: 0,
  value,
})

function test(operation: Operation, value: number, ifTrue: number, ifFalse: number): Instruction {
  // A jump that were cut short would lead anywhere.
  if (ifTrue > furthest || ifFalse > furthest) throw new RangeError('a decision on one call has grown too large')
  return { operation: operations[operation], ifTrue, ifFalse, value }
}

function bytesOf(code: Block): Buffer {
  const bytes = Buffer.alloc(code.length * instructionBytes)
  code.forEach(({ operation, ifTrue, ifFalse, value }, place) => {
    const at = place * instructionBytes
    bytes.writeUInt16LE(operation, at)
    bytes.writeUInt8(ifTrue, at + 2)
    bytes.writeUInt8(ifFalse, at + 3)
    bytes.writeUInt32LE(value >>> 0, at + 4)
  })
  return bytes
}
