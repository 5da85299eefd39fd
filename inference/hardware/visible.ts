/** What the environment says of the GPUs that programs may use, each as it is set. */
export interface VisibleGpus {
  /** CUDA_VISIBLE_DEVICES. */
  cuda?: string | undefined
  /** ROCR_VISIBLE_DEVICES. */
  rocr?: string | undefined
  /** HIP_VISIBLE_DEVICES. */
  hip?: string | undefined
}

/**
 * The devices that CUDA_VISIBLE_DEVICES leaves, in its order, by CUDA's rules: a list of indices or of beginnings of UUIDs; the first entry that names nothing
 * ends the list; an empty list leaves none. An index counts as nvidia-smi counts, which is CUDA's own order unless unlike GPUs share a machine.
 */
export function visibleOf<T extends { index?: number; uuid: string }>(
  devices: readonly T[],
  setting: string | undefined,
): T[] {
  if (setting === undefined) return [...devices]
  const visible: T[] = []
  for (const entry of setting.split(',').map((each) => each.trim())) {
    const found = devices.find(({ index, uuid }) =>
      /^\d+$/.test(entry) ? index === Number(entry) : /^(GPU|MIG)-./.test(entry) && uuid.startsWith(entry),
    )
    if (!found || visible.includes(found)) break
    visible.push(found)
  }
  return visible
}

/**
 * The devices of AMD that the environment leaves a program on HIP, in its order: ROCr takes its choice of all, and HIP of what that leaves. Both take indices, and beginnings of ids as GPU-0123456789abcdef;
 * the first entry that names nothing, or more than one, ends the list. To ROCr an empty list leaves none, and an entry that is repeated ends it; HIP goes by an empty one as by none, and then by CUDA's.
 * An index counts as the kernel numbers its cards.
 */
export function visibleToHip<T extends { id: string | undefined }>(devices: readonly T[], set: VisibleGpus): T[] {
  const { cuda, rocr, hip } = set
  const left = rocr === undefined ? [...devices] : chosen(devices, rocr, 'ends')
  const second = hip || cuda
  return second ? chosen(left, second, 'is nothing new') : left
}

function chosen<T extends { id: string | undefined }>(
  devices: readonly T[],
  list: string,
  repeated: 'ends' | 'is nothing new',
): T[] {
  const found: T[] = []
  for (const entry of list.split(',').map((each) => each.trim())) {
    const named = devices.filter(({ id }, index) =>
      /^\d+$/.test(entry) ? index === Number(entry) : /^gpu-./i.test(entry) && isBeginning(entry.slice(4), id),
    )
    const [device] = named
    if (!device || named.length > 1) break
    if (!found.includes(device)) found.push(device)
    else if (repeated === 'ends') break
  }
  return found
}

/** Of the 16 digits of an id, however it is written. */
const isBeginning = (digits: string, id = ''): boolean =>
  /^(0x)?[0-9a-f]+$/i.test(id) &&
  id.replace(/^0x/i, '').toLowerCase().padStart(16, '0').startsWith(digits.toLowerCase())
