/**
 * How many processors' worth of time a control group gives, from cpu.max (v2, "QUOTA PERIOD") or the two files of v1. undefined for no limit, and for what is
 * none: 'max', -1, nothing, or more than the machine has.
 */
export function parseQuota(quota: string, period: string, threads: number): number | undefined {
  const [given, every] = [quota, period].map((text) => (/^\d+$/.test(text.trim()) ? Number(text) : Number.NaN))
  const share = (given ?? Number.NaN) / (every ?? Number.NaN)
  return share > 0 && share < threads ? share : undefined
}
