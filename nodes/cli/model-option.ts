/** `--model`: which model the mesh of a command serves. */
import type { Option } from './command.js'

export const modelOption: Option = {
  type: 'string',
  value: 'DIR|URL|shipped',
  help: 'a model folder to serve, a model server on this machine (http://… OpenAI-compatible, grpc://HOST:8001/MODEL Triton), or the shipped model (default: a server that is found, else the shipped one)',
}
