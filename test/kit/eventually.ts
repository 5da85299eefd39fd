/** Runs an assertion until it holds, and resolves to what it gives; throws its last failure when the time is up. */
export async function eventually<T>(holds: () => T | Promise<T>, withinMs = 30_000): Promise<T> {
  const until = performance.now() + withinMs
  for (;;) {
    try {
      return await holds()
    } catch (error) {
      if (performance.now() > until) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
