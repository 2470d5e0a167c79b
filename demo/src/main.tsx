// Opens the journal, brings the countries in if this device lacks them, and shows the app.

import { render } from 'preact'
import { App } from './app'
import { importCountries, isImported } from './data/collection'
import { database } from './data/database'
import { changeSettings, currentSettings } from './data/settings'
import { beginSync } from './data/sync'
import { Trouble } from './parts/states'
import { keepVersions } from './version'

const root = document.querySelector('#app') as HTMLElement

async function start(): Promise<void> {
  await database.ready
  if (!(await isImported())) {
    // A device that was welcomed before has a new edition to take in, which needs no ceremony.
    if (currentSettings().welcomed) await importCountries(() => undefined).catch(() => askAgain())
  }
  root.replaceChildren()
  render(<App />, root)
  // The app does not depend on it: what goes wrong with the sync is shown as the sync's state.
  void beginSync()
}

/** The countries are gone, with the browser's storage perhaps, and cannot be fetched now: the welcome shows it. */
function askAgain(): void {
  changeSettings({ welcomed: false })
}

void keepVersions()
start().catch((error: unknown) => render(<Trouble error={error} />, root))
