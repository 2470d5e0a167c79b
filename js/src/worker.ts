// The worker that a page starts for a database.

import { startWorker } from './logic.js'
import type { FromPage, ToPage } from './messages.js'
import { threadPort } from './port.js'
import { serve } from './serve.js'

const scope = globalThis as unknown as Parameters<typeof threadPort>[0]

const page = threadPort<ToPage, FromPage>(scope, () => {})
serve(page, startWorker(page))
