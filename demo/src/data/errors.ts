// Errors as a person should read them.

/** The status of a `FirkinError`, which is worded as HTTP's; 0 of any other error. */
export function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | null)?.status
  return typeof status === 'number' ? status : 0
}

export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : ''
}

/** One plain sentence. */
export function plainReason(error: unknown): string {
  const code = codeOf(error)
  if (code === 'quota_exceeded') return 'This device has no room left for the journal.'
  if (code === 'storage_failed') return 'The browser could not write to its storage.'
  if (code === 'closed') return 'The journal was closed. Reload the page to open it again.'
  if (code === 'format_too_new') return 'A newer version of Atlas wrote this journal. Reload the page to update.'
  if (code === 'network_failed') return 'The sync server cannot be reached.'
  const status = statusOf(error)
  if (status === 401) return 'The sync server asks for a name and password.'
  if (status === 403) return 'The sync server does not let this journal in.'
  if (status === 404) return 'The sync server has no such journal.'
  if (status === 409) return 'Someone else changed this meanwhile.'
  const reason = (error as { reason?: unknown } | null)?.reason
  if (typeof reason === 'string' && reason !== '') return reason
  return error instanceof Error ? error.message : 'Something went wrong.'
}
