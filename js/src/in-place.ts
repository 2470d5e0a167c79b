// The engine where the app is, without a worker.

import { startInPlace } from './logic.js'
import type { FromPage, ToPage } from './messages.js'
import type { Port } from './port.js'
import { serve } from './serve.js'

/** Serves the app at the other end of `app`, in its own thread. */
export function serveInPlace(app: Port<ToPage, FromPage>): void {
  serve(app, startInPlace)
}
