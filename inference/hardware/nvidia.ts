import { plain } from './fact.js'
import { wholeBytes, wholeNumber } from './whole.js'

/** One GPU as nvidia-smi reports it; undefined where it says [N/A], or in brackets why else it says nothing. */
export interface NvidiaGpu {
  index: number
  uuid: string
  name: string
  computeCapability: string | undefined
  driver: string | undefined
  /** Bytes. */
  memoryTotal: number | undefined
  memoryFree: number | undefined
  /** Watts that it may take. */
  powerLimit: number | undefined
  /** It is divided: its memory is that of its parts. */
  isDivided: boolean
}

const MiB = 1024 * 1024
/** Of one GPU; a larger number says that there is no limit. */
const mostWatts = 100_000

type Field = (typeof allFields)[number]

const allFields = [
  'index',
  'uuid',
  'name',
  'compute_cap',
  'driver_version',
  'memory.total',
  'memory.free',
  'power.limit',
  'mig.mode.current',
] as const
/** Drivers before 510 refuse a question with a field that they do not know. */
const oldFields = allFields.filter((field) => field !== 'compute_cap' && field !== 'mig.mode.current')

export const nvidiaQueries: readonly { fields: readonly Field[]; arguments: readonly string[] }[] = [
  allFields,
  oldFields,
].map((fields) => ({
  fields,
  arguments: [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits'],
}))

/** The rows of `nvidia-smi` for these fields; a line that is not such a row is no GPU. */
export function parseNvidia(text: string, fields: readonly string[] = allFields): NvidiaGpu[] {
  return text.split('\n').flatMap((line) => {
    const values = line.split(',').map((field) => stated(plain(field)))
    const value = (field: Field): string | undefined =>
      fields.includes(field) ? values[fields.indexOf(field)] : undefined
    const [index, uuid, name] = [wholeNumber(value('index')), value('uuid'), value('name')]
    const power = Number(value('power.limit'))
    if (index === undefined || uuid === undefined || name === undefined) return []
    return [
      {
        index,
        uuid,
        name,
        computeCapability: value('compute_cap'),
        driver: value('driver_version'),
        memoryTotal: wholeBytes(value('memory.total'), MiB),
        memoryFree: wholeBytes(value('memory.free'), MiB),
        powerLimit: power > 0 && power <= mostWatts ? power : undefined,
        isDivided: value('mig.mode.current') === 'Enabled',
      },
    ]
  })
}

/**
 * Parts whose GPU has no memory of its own but the machine's. Named one by one: a [N/A] of an unknown part may just as well be a
 * broken driver, and a guess would place models where they do not fit.
 */
export function sharesMemory(name: string): boolean {
  return /\b(GB10|N1X|Orin|Thor|Xavier)\b/.test(name)
}

/** Why there is no value stands in brackets, in ever new words. */
function stated(field: string): string | undefined {
  return field === '' || /^(\[.*\]|N\/A|Not Supported|Unknown Error|GPU is lost|Insufficient Permissions)$/i.test(field)
    ? undefined
    : field
}
