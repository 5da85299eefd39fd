/** Which commands there are, by their first word. Each is loaded when it is asked for: most need little of the whole. */
import { type Command, formerly } from './command.js'

const families: Readonly<Record<string, () => Promise<Command[]>>> = {
  start: async () => [(await import('./job/start.js')).start],
  debate: async () => [(await import('./job/debate.js')).debateCommand],
  research: async () => [(await import('./job/research.js')).researchCommand],
  up: async () => [(await import('./mesh/up.js')).up],
  run: async () => [(await import('./job/run.js')).run],
  tasks: async () => {
    const tasks = await import('./job/tasks.js')
    return [
      tasks.tasksList,
      tasks.tasksShow,
      tasks.tasksSettle,
      tasks.tasksAnswer,
      tasks.tasksCancel,
      tasks.tasksForget,
    ]
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
  mail: async () => [(await import('./mesh/mail.js')).mailList],
  mcp: async () => {
    const [{ mcp }, { mcpLogin, mcpLogout }] = await Promise.all([import('./mcp.js'), import('./mcp-login.js')])
    return [mcpLogin, mcpLogout, mcp]
  },
  catalog: async () => [(await import('./catalog.js')).catalog],
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
  agents: async () => [(await import('./mesh/agents.js')).agents],
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
  route: async () => {
    const [{ routeCalibrate }, { routeTest }, { route }] = await Promise.all([
      import('./models/calibrate.js'),
      import('./models/route-test.js'),
      import('./models/route.js'),
    ])
    return [routeCalibrate, routeTest, route]
  },
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

/** What `help` shows: what a person wants, and the first words of the commands for it. One that has another name now is not among them. */
export const chapters: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  [
    'Begin',
    {
      start: 'a mesh on this machine that does one job: yours, or the example',
      up: 'a mesh that stays, for other machines to join',
      invite: 'a string that lets one more machine in',
      join: 'this machine into the mesh of that string',
      service: 'up or join at every boot',
      doctor: 'what is wrong here, and what to do about it',
    },
  ],
  [
    'Ask',
    {
      run: 'a request to the mesh that runs',
      tasks: 'what was asked and how far it came; settle, cancel, forget',
      debate: 'agents that answer, hear each other and decide',
      research: 'an answer from files, with the evidence',
      mcp: 'the mesh as an MCP server, on standard input and output; logins into other servers',
      catalog: 'tools, resources and prompts of a program of yours, for MCP clients',
    },
  ],
  [
    'Decide',
    {
      approve: 'held actions: allow, refuse, follow',
      policy: 'what actions may do: explain, test, apply, roll back',
      route: 'where the privacy router would let a text go, and why; test, calibrate',
      label: 'how sensitive a file or task is; lower it',
      keys: 'who may use the gateway',
      revoke: 'a node, cut off',
      users: 'who is somebody to the mesh',
      roles: 'what each role may do',
      whoami: 'what this machine is',
    },
  ],
  [
    'See',
    {
      nodes: 'the machines, what they have and do; drain',
      agents: 'who works in it now, where, and what each machine can start',
      place: 'where a prompt would go now, and why',
      models: 'models on this disk, and providers elsewhere',
      costs: 'what the questions to models cost',
      audit: 'the trail: verify, tail, query, export, prove, erase a person',
      mail: 'messages that wait for their actor',
      dead: 'messages that nobody took; replay, drop',
    },
  ],
  [
    'Set up',
    { site: 'what a second site is started with', completion: 'commands and options completed by your shell' },
  ],
]

export const firstWords: readonly string[] = Object.keys(families)

/** Those that begin with the word; none if there is no such. */
export const commandsOf = async (word: string): Promise<Command[]> =>
  (Object.hasOwn(families, word) && (await families[word]?.())) || []

export const allCommands = async (): Promise<Command[]> => (await Promise.all(firstWords.map(commandsOf))).flat()
