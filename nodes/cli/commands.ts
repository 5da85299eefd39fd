/** Which commands there are, by their first word, in the order of the help. Each is loaded when it is asked for: most need little of the whole. */
import type { Command } from './command.js'

const families: Readonly<Record<string, () => Promise<Command[]>>> = {
  start: async () => [(await import('./job/start.js')).start],
  debate: async () => [(await import('./job/debate.js')).debateCommand],
  up: async () => [(await import('./mesh/up.js')).up],
  run: async () => [(await import('./job/run.js')).run],
  tasks: async () => {
    const tasks = await import('./job/tasks.js')
    return [tasks.tasksList, tasks.tasksShow, tasks.tasksSettle, tasks.tasksCancel, tasks.tasksForget]
  },
  approve: async () => {
    const approve = await import('./approve/approve.js')
    const { approveFollow, approveList, approveShow, approveAllow, approveRefuse, approveRevoke } = approve
    return [approveFollow, approveList, approveShow, approveAllow, approveRefuse, approveRevoke]
  },
  mcp: async () => [(await import('./mcp.js')).mcp],
  invite: async () => [(await import('./mesh/invite.js')).invite],
  join: async () => [(await import('./mesh/join.js')).join],
  nodes: async () => [(await import('./mesh/nodes.js')).nodes],
  revoke: async () => [(await import('./mesh/revoke.js')).revoke],
  audit: async () => {
    const [{ auditVerify }, { auditTail, auditQuery }, { auditExport }, { auditKey }] = await Promise.all([
      import('./audit/verify.js'),
      import('./audit/show.js'),
      import('./audit/export.js'),
      import('./audit/key.js'),
    ])
    return [auditVerify, auditTail, auditQuery, auditExport, auditKey]
  },
  models: async () => {
    const [models, provider] = await Promise.all([import('./models.js'), import('./provider.js')])
    const { modelsList, modelsPull, modelsVerify, modelsRemove } = models
    const { providerAdd, providerList, providerRemove } = provider
    return [modelsList, modelsPull, modelsVerify, modelsRemove, providerAdd, providerList, providerRemove]
  },
  costs: async () => [(await import('./costs.js')).costs],
  route: async () => [(await import('./route.js')).route],
  label: async () => {
    const { labelShow, labelLower } = await import('./label.js')
    return [labelShow, labelLower]
  },
  policy: async () => {
    const { policyTest, policyExplain } = await import('./policy.js')
    return [policyTest, policyExplain]
  },
  gateway: async () => {
    const { gatewayKeyAdd, gatewayKeyList, gatewayKeyRemove } = await import('./gateway-key.js')
    return [gatewayKeyAdd, gatewayKeyList, gatewayKeyRemove]
  },
}

export const firstWords: readonly string[] = Object.keys(families)

/** Those that begin with the word; none if there is no such. */
export const commandsOf = async (word: string): Promise<Command[]> =>
  (Object.hasOwn(families, word) && (await families[word]?.())) || []

export const allCommands = async (): Promise<Command[]> => (await Promise.all(firstWords.map(commandsOf))).flat()
