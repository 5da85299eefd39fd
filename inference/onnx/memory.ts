/** Whether something was thrown for want of memory: by Node, by onnxruntime or by the system, each in its own words. */
export function isOutOfMemory(thrown: unknown): boolean {
  for (let each = thrown, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth++)
    if (saysSo(each.message)) return true
  return false
}

export const saysSo = (words: string): boolean =>
  /bad[ _]alloc|allocation failed|out of memory|cannot allocate|failed to allocate|ENOMEM/i.test(words)
