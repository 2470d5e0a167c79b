// A gate before a server: lets pass who has the token of the hour, and may send others somewhere else. It remembers what was asked,
// and what secrets it was shown, and adds to each request what it takes on its way to a server that is far, and to the answers of feeds that wait what
// they take back.

import { request as ask, createServer } from 'node:http'
import { Transform } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'

/** Stands before the server at `url`, for pages of `origin`. */
export async function startGate(url, { origin, token, location, delay_ms = 0, feeds_delay_ms = 0 }) {
  const gate = { feeds_delay_ms, token, location, shown: [], refused: 0, requests: [] }
  const server = createServer(async (request, response) => {
    const { authorization, cookie, 'x-token': own } = request.headers
    gate.shown.push(...[authorization, cookie, own].filter(Boolean))
    const cors = {
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'accept, authorization, content-type, x-token',
      'access-control-allow-methods': 'GET, PUT, POST',
    }
    const answer = (status, headers = {}, body = '') => response.writeHead(status, { ...cors, ...headers }).end(body)
    if (request.method === 'OPTIONS') return answer(204)
    if (gate.location !== undefined) return answer(307, { location: gate.location + request.url })
    if (gate.token !== undefined && authorization !== `Bearer ${gate.token}`) {
      gate.refused += 1
      return answer(401, { 'content-type': 'application/json' }, '{"error":"unauthorized","reason":"Token expired."}')
    }
    gate.requests.push(`${request.method} ${request.url}`)
    await pause(delay_ms)
    const { host: _, origin: __, ...headers } = request.headers
    const onward = ask(url + request.url, { method: request.method, headers }, (back) => {
      response.writeHead(back.statusCode, { ...back.headers, ...cors })
      const late = request.url.includes('feed=longpoll') && gate.feeds_delay_ms
      if (late) back.pipe(delayed(late)).pipe(response)
      else back.pipe(response)
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return Object.assign(gate, { url: `http://127.0.0.1:${server.address().port}`, stop })
}

/** Passes each piece on so many milliseconds later. */
function delayed(delay_ms) {
  return new Transform({
    transform: (piece, _, done) => {
      pause(delay_ms).then(() => done(null, piece))
    },
  })
}
