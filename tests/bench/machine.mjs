// What was measured with: the machine, and the versions of all that takes part.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'

const { resolve } = createRequire(import.meta.url)

/** What is measured: the commit, with a `+` where files differ from it; `undefined` outside of a repository. */
export function commit() {
  try {
    const git = (...parameters) =>
      execFileSync('git', parameters, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .trim()
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`
  } catch {
    return undefined
  }
}

export function machine() {
  return {
    processor: cpus()[0].model,
    cores: cpus().length,
    memory_bytes: totalmem(),
    system: `Linux ${release().split('-')[0]}`,
    node: process.versions.node,
    browser: execFileSync('/usr/bin/chromium', ['--version'], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim(),
  }
}

/** `{ package: version }` of installed packages. */
export const versions = (packages) => Object.fromEntries(packages.map((name) => [name, versionOf(name)]))

function versionOf(name) {
  // A package need not export its package.json: it is looked for upwards from what it does export.
  let folder = dirname(resolve(name))
  for (;;) {
    try {
      const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      if (found.name === name) return found.version
    } catch {
      // None here.
    }
    if (dirname(folder) === folder) throw new Error(`the package ${name} is not installed`)
    folder = dirname(folder)
  }
}
