/** A signal that is aborted when the person, or the system, asks this command to end. */
export function interruption(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())
  // Whoever read the output has seen enough.
  process.stdout.on('error', () => stop.abort())
  return stop.signal
}
