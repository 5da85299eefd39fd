/** A processor as its machine reports it. `threads` counts what the system can schedule on. */
export interface Cpu {
  /** Where it mixes kinds of core, each of them. */
  model: string
  threads: number
  cores: number | undefined
  /** Those that have processors: the memory of a GPU can be a node too. */
  numaNodes: number | undefined
  /** The flags of `matteringFlags` that it has, in their order; where it mixes kinds of core, those that all of them have. */
  flags: string[]
}

/** More than any machine has: Linux can be built for 8,192. */
export const mostProcessors = 65_536

/** What decides how fast a model runs on a processor: x86 vector and matrix extensions, then ARM's. */
export const matteringFlags: readonly string[] = [
  ...['avx', 'avx2', 'fma', 'f16c', 'avx512f', 'avx512bw', 'avx512_vnni', 'avx512_bf16', 'avx512_fp16', 'avx_vnni'],
  ...['amx_tile', 'amx_int8', 'amx_bf16'],
  ...['asimd', 'asimdhp', 'asimddp', 'bf16', 'i8mm', 'sve', 'sve2', 'sme'],
]

/** Of lists as the kernel writes them, one for each kind of core or for each processor. */
export function mattering(lists: readonly string[]): string[] {
  const kinds = [...new Set(lists)].map((list) => new Set(list.split(/\s+/)))
  return matteringFlags.filter((flag) => kinds.length > 0 && kinds.every((kind) => kind.has(flag)))
}

/** One name for what has these, or undefined. */
export function nameOf(kinds: readonly string[]): string | undefined {
  return kinds.length > 0 ? [...new Set(kinds)].join(' + ') : undefined
}
