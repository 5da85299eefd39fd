const warmUp = 500

/** Calls a second, with so many at once under way. */
export async function perSecond(call: () => Promise<unknown>, inFlight: number, count: number): Promise<number> {
  const run = async (calls: number) => {
    let left = calls
    const lane = async () => {
      while (left-- > 0) await call()
    }
    await Promise.all(Array.from({ length: inFlight }, lane))
  }
  await run(warmUp)
  const begun = performance.now()
  await run(count)
  return (1000 * count) / (performance.now() - begun)
}
