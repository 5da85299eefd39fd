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
