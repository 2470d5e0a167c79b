// Errors: one shape for all that can go wrong, in CouchDB's words.
//
// Errors cross between page, worker and tabs as plain objects (`ErrorReport`). What was aborted is told by an
// AbortError, as `fetch` does; it is a DOMException, with `status`, `reason` and `code` added.

/** An error as it crosses from one thread to another. */
export interface ErrorReport {
  status: number
  name: string
  reason: string
  code?: string
  /** The documents that it is about. */
  ids?: readonly string[]
}

/** What a call of Firkin rejects with. */
export class FirkinError extends Error {
  /** The HTTP status that CouchDB would answer with; 0 where none fits, as when the network failed. */
  readonly status: number
  /** What happened, for people. */
  readonly reason: string
  /** What happened, for programs: the stable name, such as `conflict` or `not_found`. */
  readonly code: string
  /** The documents that a conflict of a transaction is about; twenty at most. */
  readonly ids?: readonly string[]

  constructor(report: ErrorReport, options?: ErrorOptions) {
    super(`${report.name}: ${report.reason}`, options)
    this.status = report.status
    this.name = report.name
    this.reason = report.reason
    this.code = report.code ?? report.name
    if (report.ids !== undefined) this.ids = report.ids
  }
}

/** What a call rejects with whose signal was aborted; `cause` is the signal's reason. */
export interface AbortError extends DOMException {
  readonly name: 'AbortError'
  readonly status: 0
  readonly reason: string
}

const named = (status: number, name: string) => (reason: string, cause?: unknown) =>
  new FirkinError({ status, name, reason }, cause === undefined ? undefined : { cause })

export const badRequest = named(400, 'bad_request')
export const notFound = named(404, 'not_found')
export const conflict = named(409, 'conflict')
export const missingId = named(412, 'missing_id')
export const storageFailed = named(500, 'storage_failed')
export const closed = named(503, 'closed')
export const outdated = named(503, 'outdated')
export const networkFailed = named(0, 'network_failed')

/** What the caller of `signal` is told. */
export function aborted(signal: AbortSignal): AbortError {
  const reason = 'The operation was aborted.'
  const error = new DOMException(reason, 'AbortError')
  const more = { status: 0, reason, code: 'aborted', cause: signal.reason }
  for (const [name, value] of Object.entries(more)) Object.defineProperty(error, name, { value, configurable: true })
  return error as AbortError
}

/** Whatever was thrown, as a report. */
export function reportOf(error: unknown): ErrorReport {
  const { status, name, reason, code, message } = (error ?? {}) as Partial<ErrorReport & Error>
  if (typeof status === 'number' && typeof name === 'string') {
    return { status, name, reason: String(reason ?? message ?? name), ...(typeof code === 'string' ? { code } : {}) }
  }
  return { status: 500, name: 'storage_failed', reason: `the engine failed: ${message ?? String(error)}` }
}
