/**
 * Programs that are what they are given: of `python3` or `sh` it is the script that counts. Which one a process runs is read from its command line, and so
 * is what else may have brought code into it. Pure. What is not understood counts as code of somebody's own.
 *
 *     scriptOf('/usr/bin/python3.11', ['python3', '-I', '/usr/bin/pip3', 'install'], []) // '/usr/bin/pip3'
 *     scriptOf('/usr/bin/python3.11', ['python3', '-c', '…'], [])                       // undefined
 *     loadersOf('/usr/bin/node', ['NODE_OPTIONS'])                                      // ['NODE_OPTIONS']
 *
 * Programs that run code beside their work (git with its hooks, make, an editor) are not told apart from others: a rule for one is for all that it runs itself.
 */

interface Interpreter {
  readonly names: RegExp
  /** Before the script, and without a word of their own behind them. All others may bring in code. */
  readonly options: RegExp
  /** Variables that may bring in code. */
  readonly loading: RegExp
  readonly harmless?: RegExp
  /** Code of the person's own folder, which is the action's, is run before every script unless one of these is said. */
  readonly own?: { readonly without: RegExp; readonly variable: string }
}

const never = /(?!)/

const interpreters: readonly Interpreter[] = [
  {
    names: /^(python|pypy)[\d.]*t?$/,
    options: /^-[bBdEIOPqsSuv]+$/,
    loading: /^PYTHON/,
    harmless: /^PYTHON(UNBUFFERED|DONTWRITEBYTECODE|IOENCODING|UTF8|HASHSEED|NOUSERSITE|FAULTHANDLER|SAFEPATH)$/,
    own: { without: /^-[a-zA-Z]*[Is]/, variable: 'PYTHONNOUSERSITE' },
  },
  {
    names: /^(node|nodejs|bun|deno)[\d.]*$/,
    options:
      /^--(jitless|no-warnings|no-deprecation|no-expose-wasm|enable-source-maps|expose-gc|(max-old-space-size|v8-pool-size)=\d+)$/,
    loading: /^(NODE_|BUN_|DENO_)/,
    harmless: /^NODE_(ENV|NO_WARNINGS|DISABLE_COLORS|DEBUG)$/,
  },
  {
    names: /^(sh|bash|dash|ash|zsh|ksh|mksh|fish|busybox)[\d.]*$/,
    options: /^-[eux]+$/,
    loading: /^(ENV|BASH_ENV|BASH_FUNC_.*|SHELLOPTS|BASHOPTS|PS4|ZDOTDIR)$/,
  },
  { names: /^perl[\d.]*$/, options: /^-[wWtT]+$/, loading: /^PERL/ },
  { names: /^(ruby|jruby)[\d.]*$/, options: /^-w$/, loading: /^(RUBY|GEM_|BUNDLE_)/ },
  { names: /^php(-cgi)?[\d.]*$/, options: never, loading: /^PHP/ },
  { names: /^(lua|luajit|texlua)[-\d.]*$/, options: never, loading: /^LUA/ },
  { names: /^(tclsh|wish|expect)[\d.]*$/, options: never, loading: /^TCL/ },
  // Their scripts follow an option, so none of them has one that is known.
  { names: /^([gm]?awk|original-awk|java|Rscript|R|julia|guile|pwsh|osascript)[\d.]*$/, options: never, loading: /./ },
]

const anyProgram = /^(LD_|GCONV_PATH$)/

/** @param program absolute; the name of a tool is none */
export const isInterpreter = (program: string): boolean => interpreterOf(program) !== undefined

/**
 * As it is written in the command line; undefined where it runs anything else, or more than that.
 * @param args with the program's own name as the first
 * @param variables that its environment has with a value
 */
export function scriptOf(program: string, args: readonly string[], variables: readonly string[]): string | undefined {
  const interpreter = interpreterOf(program)
  if (!interpreter) return undefined
  const given = args.slice(1)
  const first = given.findIndex((arg) => !interpreter.options.test(arg))
  const script = given[first]
  if (script === undefined || script === '' || script.startsWith('-')) return undefined
  const { own } = interpreter
  const isApart = !own || variables.includes(own.variable) || given.slice(0, first).some((arg) => own.without.test(arg))
  return isApart ? script : undefined
}

/** Those of the variables that may make it another program. */
export function loadersOf(program: string, variables: readonly string[]): string[] {
  const { loading = never, harmless = never } = interpreterOf(program) ?? {}
  return variables.filter((name) => anyProgram.test(name) || (loading.test(name) && !harmless.test(name)))
}

const interpreterOf = (program: string): Interpreter | undefined => {
  if (!program.startsWith('/')) return undefined
  const name = program.slice(program.lastIndexOf('/') + 1)
  return interpreters.find(({ names }) => names.test(name))
}
