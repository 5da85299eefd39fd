/** Every route of the gateway and who may use it: the one table that the server, the tests and the documents go by. */

/** What an API key may be for. Not the roles of nodes. */
export const gatewayRoles = ['viewer', 'developer', 'operator', 'admin'] as const
export type GatewayRole = (typeof gatewayRoles)[number]

/** `anyone`: also without a key, for whoever watches over the process. */
export const routes = {
  'GET /healthz': 'anyone',
  'GET /readyz': 'anyone',
  'GET /metrics': ['viewer', 'operator', 'admin'],
  'GET /v1/nodes': ['viewer', 'operator', 'admin'],
  'GET /v1/models': ['viewer', 'developer', 'operator', 'admin'],
  'POST /v1/chat/completions': ['developer', 'operator', 'admin'],
  // Which of its tools, each of these roles may use, the table in mesh-tool.ts says.
  'POST /mcp': ['viewer', 'developer', 'operator', 'admin'],
} as const satisfies Record<string, 'anyone' | readonly GatewayRole[]>
export type Route = keyof typeof routes

export const routeNames = Object.keys(routes) as Route[]

export const isOpen = (route: Route): boolean => routes[route] === 'anyone'

export function mayUse(role: GatewayRole, route: Route): boolean {
  const users: 'anyone' | readonly GatewayRole[] = routes[route]
  return users === 'anyone' || users.includes(role)
}
