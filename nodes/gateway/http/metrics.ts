/** What the gateway counts, as Prometheus reads it. */
import type { Usage } from '../../../inference/backend.js'
import type { NodeInfo } from '../../../mesh/index.js'

/** Upper bounds in seconds. */
const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

interface Latency {
  /** How many took at most bounds[i] and more than the one before. */
  counts: number[]
  sum: number
  count: number
}

export class Metrics {
  readonly #requests = new Map<string, { route: string; status: number; count: number }>()
  readonly #latencies = new Map<string, Latency>()
  #prompt = 0
  #output = 0

  /** `route` is of the table, or 'none': never what a caller made up, which would grow without end. */
  ended(route: string, status: number, seconds: number): void {
    const key = `${route} ${status}`
    const entry = this.#requests.get(key) ?? { route, status, count: 0 }
    entry.count += 1
    this.#requests.set(key, entry)
    const latency = this.#latencies.get(route) ?? { counts: bounds.map(() => 0), sum: 0, count: 0 }
    const slot = bounds.findIndex((bound) => seconds <= bound)
    if (slot >= 0) latency.counts[slot] = (latency.counts[slot] ?? 0) + 1
    latency.sum += seconds
    latency.count += 1
    this.#latencies.set(route, latency)
  }

  used(usage: Usage | null): void {
    this.#prompt += usage?.promptTokens ?? 0
    this.#output += usage?.outputTokens ?? 0
  }

  /** The text exposition format, version 0.0.4. */
  text(nodes: readonly Pick<NodeInfo, 'name' | 'advert'>[]): string {
    const lags = nodes.flatMap(({ name, advert: { auditLag } }) =>
      typeof auditLag === 'number' ? `clawmesh_audit_lag{node="${name}"} ${auditLag}` : [],
    )
    const requests = [...this.#requests.values()]
    const sample = ({ route, status, count }: (typeof requests)[number], name: string) =>
      `${name}{route="${route}",status="${status}"} ${count}`
    const lines = [
      ...head('clawmesh_gateway_requests_total', 'counter', 'Requests that ended.'),
      ...requests.map((request) => sample(request, 'clawmesh_gateway_requests_total')),
      ...head('clawmesh_gateway_errors_total', 'counter', 'Requests that ended with a status of 400 or more.'),
      ...requests
        .filter(({ status }) => status >= 400)
        .map((request) => sample(request, 'clawmesh_gateway_errors_total')),
      ...head('clawmesh_gateway_tokens_total', 'counter', 'Tokens of answers that came to their end.'),
      `clawmesh_gateway_tokens_total{kind="prompt"} ${this.#prompt}`,
      `clawmesh_gateway_tokens_total{kind="output"} ${this.#output}`,
      ...head('clawmesh_gateway_request_seconds', 'histogram', 'From the head of a request to the end of its answer.'),
      ...[...this.#latencies].flatMap(([route, latency]) => histogram(route, latency)),
      ...head('clawmesh_nodes', 'gauge', 'Nodes of the mesh that are alive.'),
      `clawmesh_nodes ${nodes.length}`,
      ...head(
        'clawmesh_audit_lag',
        'gauge',
        'Audit events that stand on the disk of a node and not yet on the stream.',
      ),
      ...lags,
    ]
    return `${lines.join('\n')}\n`
  }
}

const head = (name: string, type: string, help: string) => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]

function histogram(route: string, { counts, sum, count }: Latency): string[] {
  const name = 'clawmesh_gateway_request_seconds'
  let below = 0
  const buckets = bounds.map((bound, slot) => {
    below += counts[slot] ?? 0
    return `${name}_bucket{route="${route}",le="${bound}"} ${below}`
  })
  return [
    ...buckets,
    `${name}_bucket{route="${route}",le="+Inf"} ${count}`,
    `${name}_sum{route="${route}"} ${sum}`,
    `${name}_count{route="${route}"} ${count}`,
  ]
}
