/** One figure of a benchmark. A ratio is against the baseline, which was measured in the same run. */
export interface Figure {
  metric: string
  value: number
  unit: string
  baseline?: number
  ratio?: number
  /** What we want to reach, for people: "≥ 0.95". */
  aim?: string
  /** Whether the aim was reached. */
  ok?: boolean
}

export type Report = (figure: Figure) => void

/** For a figure: an aim from below, and whether it was reached. */
export const atLeast = (value: number, aim: number) => ({ aim: `≥ ${aim}`, ok: value >= aim })
