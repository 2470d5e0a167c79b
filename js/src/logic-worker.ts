// The worker that an app's logic runs in.

import { threadPort } from './port.js'
import { type FromRules, serveRules, type ToRules } from './rules.js'

const scope = globalThis as unknown as Parameters<typeof threadPort>[0]

serveRules(threadPort<FromRules, ToRules>(scope, () => {}))
