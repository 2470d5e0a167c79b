// The package, as it is imported by who uses no bundler, by Node and by service workers.
//
// The engine that runs where the app is comes along: a service worker, which needs it, may import nothing later. Bundlers take
// `page.js`, which loads it when it is asked for, as pages hardly ever do.

import { serveInPlace } from './in-place.js'
import { setInPlace } from './start.js'

setInPlace(serveInPlace)

export * from './page.js'
