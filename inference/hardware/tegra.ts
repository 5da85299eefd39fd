/** A Jetson module: its GPU has the machine's memory, and older ones have no nvidia-smi. */
export interface Tegra {
  /** The word of the device tree that gave it away. */
  chip: string
  computeCapability: string
}

/** Compute capabilities as NVIDIA's list of CUDA GPUs states them. */
const chips: Record<string, string> = {
  'nvidia,tegra210': '5.3',
  'nvidia,tegra186': '6.2',
  'nvidia,tegra194': '7.2',
  'nvidia,tegra234': '8.7',
  'nvidia,tegra264': '11.0',
}

/** /proc/device-tree/compatible: words that end with a zero byte, the most general last. */
export function parseTegra(compatible: string): Tegra | undefined {
  const chip = compatible.split('\0').find((word) => Object.hasOwn(chips, word))
  return chip === undefined ? undefined : { chip, computeCapability: chips[chip] ?? '' }
}
