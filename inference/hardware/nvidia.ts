/** One GPU as nvidia-smi reports it; undefined where it says [N/A]. */
export interface NvidiaGpu {
  index: number
  uuid: string
  name: string
  computeCapability: string | undefined
  driver: string | undefined
  /** Bytes. */
  memoryTotal: number | undefined
  memoryFree: number | undefined
}

export const nvidiaFields = 'index,uuid,name,compute_cap,driver_version,memory.total,memory.free'
export const nvidiaQuery = [`--query-gpu=${nvidiaFields}`, '--format=csv,noheader,nounits'] as const

/** The rows of `nvidia-smi` with `nvidiaQuery`; a line that is not such a row is no GPU. */
export function parseNvidia(text: string): NvidiaGpu[] {
  return text.split('\n').flatMap((line) => {
    const [index, uuid, name, computeCapability, driver, total, free] = line
      .split(',')
      .map((field) => stated(field.trim()))
    if (index === undefined || !/^\d+$/.test(index) || uuid === undefined || name === undefined) return []
    const [memoryTotal, memoryFree] = [mebibytes(total), mebibytes(free)]
    return [{ index: Number(index), uuid, name, computeCapability, driver, memoryTotal, memoryFree }]
  })
}

/**
 * Parts whose GPU has no memory of its own but the machine's. Named one by one: a [N/A] of an unknown part may just as well be a
 * broken driver, and a guess would place models where they do not fit.
 */
export function sharesMemory(name: string): boolean {
  return /\b(GB10|N1X|Orin|Thor|Xavier)\b/.test(name)
}

function stated(field: string): string | undefined {
  return field === '' || /^\[?(N\/A|Not Supported|Unknown Error|GPU is lost|Insufficient Permissions)\]?$/i.test(field)
    ? undefined
    : field
}

function mebibytes(field: string | undefined): number | undefined {
  return field !== undefined && /^\d+$/.test(field) ? Number(field) * 1024 * 1024 : undefined
}
