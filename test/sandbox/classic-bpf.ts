/** The kernel's classic BPF, as far as a seccomp filter uses it: runs the bytes of one on one call. */

export interface Call {
  readonly number: number
  /** As the kernel's audit names it. */
  readonly architecture: number
  /** The low halves. */
  readonly arguments: readonly number[]
}

/** What the filter returns. Throws for what the kernel would not load. */
export function runFilter(filter: Buffer, call: Call): number {
  let accumulator = 0
  for (let at = 0; ; at += 8) {
    if (at + 8 > filter.length) throw new RangeError('the filter runs past its end')
    const value = filter.readUInt32LE(at + 4)
    const jump = (holds: boolean) => {
      at += 8 * filter.readUInt8(holds ? at + 2 : at + 3)
    }
    switch (filter.readUInt16LE(at)) {
      case 0x20:
        accumulator = loaded(call, value)
        break
      case 0x54:
        accumulator = (accumulator & value) >>> 0
        break
      case 0x05:
        at += 8 * value
        break
      case 0x15:
        jump(accumulator === value)
        break
      case 0x35:
        jump(accumulator >= value)
        break
      case 0x45:
        jump((accumulator & value) !== 0)
        break
      case 0x06:
        return value
      default:
        throw new RangeError(`no instruction at ${at / 8}`)
    }
  }
}

/** A word of struct seccomp_data. */
function loaded(call: Call, offset: number): number {
  if (offset === 0) return call.number >>> 0
  if (offset === 4) return call.architecture
  const argument = (offset - 16) / 8
  if (!Number.isInteger(argument) || argument < 0 || argument > 5) throw new RangeError(`nothing to load at ${offset}`)
  return (call.arguments[argument] ?? 0) >>> 0
}
