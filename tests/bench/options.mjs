// What a run is asked for, by variables as `make bench DOCS=1000 ROUNDS=1` hands them on.

import { adapterNames } from './bundles.mjs'

/**
 * `ONLY` names adapters (all), `DOCS` numbers of documents (10,000), `ROUNDS` is how often each is measured (3), `PUBLISH=1`
 * has the report written into docs/, `FROM` is a result to draw again instead of a run, `AGAINST` one to compare with.
 */
export async function optionsFrom(environment) {
  const { ONLY, DOCS = '10000', ROUNDS = '3', PUBLISH, FROM, AGAINST } = environment
  const known = await adapterNames()
  const only = ONLY === undefined ? known : [...new Set(ONLY.split(',').map((name) => name.trim()))]
  const unknown = only.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new Error(`no such adapter: ${unknown}. There are: ${known.join(', ')}`)
  const docs = [...new Set(DOCS.split(',').map((text) => whole(text.trim(), 'DOCS', 100)))]
  if (PUBLISH !== undefined && !['0', '1'].includes(PUBLISH)) throw new Error(`PUBLISH: 1 or 0, not ${PUBLISH}`)
  // Firkin comes first where it takes part: ratios are those to the first.
  const names = only.includes('firkin') ? ['firkin', ...only.filter((name) => name !== 'firkin')] : only
  return { names, docs, rounds: whole(ROUNDS, 'ROUNDS', 1), publish: PUBLISH === '1', from: FROM, against: AGAINST }
}

function whole(text, name, least) {
  const number = Number(text)
  if (!Number.isInteger(number) || number < least)
    throw new Error(`${name}: a whole number from ${least} on, not ${text}`)
  return number
}
