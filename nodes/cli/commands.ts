/** Which commands there are, by their first word, in the order of the help. Each is loaded when it is asked for: most need little of the whole. */
import { type Command, formerly } from './command.js'

const families: Readonly<Record<string, () => Promise<Command[]>>> = {
  start: async () => [(await import('./job/start.js')).start],
  debate: async () => [(await import('./job/debate.js')).debateCommand],
  research: async () => [(await import('./job/research.js')).researchCommand],
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
  dead: async () => {
    const { deadList, deadShow, deadReplay, deadDrop } = await import('./mesh/dead.js')
    return [deadList, deadShow, deadReplay, deadDrop]
  },
  mcp: async () => [(await import('./mcp.js')).mcp],
  invite: async () => [(await import('./mesh/invite.js')).invite],
  site: async () => [(await import('./mesh/site.js')).site],
  join: async () => [(await import('./mesh/join.js')).join],
  nodes: async () => {
    const [{ nodes }, { nodesDrain, nodesUndrain }] = await Promise.all([
      import('./mesh/nodes.js'),
      import('./mesh/drain.js'),
    ])
    // The longer names first: the short one is a command of its own.
    return [nodesDrain, nodesUndrain, nodes]
  },
  place: async () => [(await import('./models/place.js')).place],
  revoke: async () => [(await import('./mesh/revoke.js')).revoke],
  doctor: async () => [(await import('./mesh/doctor.js')).doctor],
  service: async () => {
    const service = await import('./mesh/service.js')
    return [service.serviceInstall, service.serviceStatus, service.serviceLogs, service.serviceUninstall]
  },
  audit: async () => {
    const [{ auditVerify }, { auditTail, auditQuery }, { auditExport }, { auditKey }, prove, erase] = await Promise.all(
      [
        import('./audit/verify.js'),
        import('./audit/show.js'),
        import('./audit/export.js'),
        import('./audit/key.js'),
        import('./audit/prove.js'),
        import('./audit/erase.js'),
      ],
    )
    const { auditErase, auditSubjects } = erase
    const { auditProve, auditCheckpoint } = prove
    return [
      auditVerify,
      auditTail,
      auditQuery,
      auditExport,
      auditProve,
      auditCheckpoint,
      auditKey,
      auditSubjects,
      auditErase,
    ]
  },
  models: async () => {
    const [models, provider] = await Promise.all([import('./models/models.js'), import('./models/provider.js')])
    const { modelsList, modelsPull, modelsVerify, modelsRemove } = models
    const { providerAdd, providerList, providerRemove } = provider
    return [modelsList, modelsPull, modelsVerify, modelsRemove, providerAdd, providerList, providerRemove]
  },
  costs: async () => [(await import('./models/costs.js')).costs],
  route: async () => [(await import('./models/route.js')).route],
  label: async () => {
    const { labelShow, labelLower } = await import('./models/label.js')
    return [labelShow, labelLower]
  },
  policy: async () => {
    const [{ policyTest, policyExplain }, edition] = await Promise.all([
      import('./policy/policy.js'),
      import('./policy/policy-edition.js'),
    ])
    const { policyDiff, policyApply, policyHistory, policyRollback } = edition
    return [policyTest, policyExplain, policyDiff, policyApply, policyHistory, policyRollback]
  },
  whoami: async () => [(await import('./people/people.js')).whoamiCommand],
  users: async () => [(await import('./people/people.js')).usersCommand],
  roles: async () => [(await import('./people/people.js')).rolesCommand],
  keys: async () => {
    const { keysAdd, keysList, keysRemove } = await import('./people/keys.js')
    return [keysAdd, keysList, keysRemove]
  },
  completion: async () => [(await import('./completion.js')).completionOf(allCommands)],
  gateway: async () => {
    const { keysAdd, keysList, keysRemove } = await import('./people/keys.js')
    const former = { 'gateway key add': keysAdd, 'gateway key list': keysList, 'gateway key remove': keysRemove }
    return Object.entries(former).map(([name, command]) => formerly(name, command))
  },
}

export const firstWords: readonly string[] = Object.keys(families)

/** Those that begin with the word; none if there is no such. */
export const commandsOf = async (word: string): Promise<Command[]> =>
  (Object.hasOwn(families, word) && (await families[word]?.())) || []

export const allCommands = async (): Promise<Command[]> => (await Promise.all(firstWords.map(commandsOf))).flat()
