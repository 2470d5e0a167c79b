// Everything about the device: who writes here, where it syncs, how that goes, and what is stored.

import { useEffect, useState } from 'preact/hooks'
import { ask, database } from '../data/database'
import { changeSettings } from '../data/settings'
import { isServer, retrySync, type SyncView } from '../data/sync'
import { Icon, type Sign } from '../parts/icon'
import { Page } from '../parts/page'
import { syncLabel, waiting } from '../parts/sync-pill'
import { say } from '../parts/toasts'
import { when } from '../parts/when'
import { useAnswer } from '../use-answer'
import { useSettings } from '../use-settings'
import { useSync } from '../use-sync'

export function SyncPage() {
  return (
    <Page title="Sync" class="sync-page">
      <State />
      <Name />
      <Stored />
      <Sources />
    </Page>
  )
}

const signs: Record<SyncView['state'], Sign> = {
  off: 'cloud',
  syncing: 'sync',
  synced: 'check',
  offline: 'offline',
  error: 'warning',
}

function State() {
  const { syncOn } = useSettings()
  const sync = useSync()
  useClock()
  return (
    <section class="sync-card" aria-label="Sync" data-testid="sync-panel">
      <div class={`sync-head ${sync.state}`}>
        <Icon sign={signs[sync.state]} size={32} />
        <div role="status">
          <h2>{syncLabel(sync)}</h2>
          <p data-testid="sync-detail">{detailOf(sync)}</p>
        </div>
        <input
          type="checkbox"
          role="switch"
          class="switch"
          aria-label="Sync this journal"
          aria-checked={syncOn}
          checked={syncOn}
          data-testid="sync-switch"
          onChange={(event) => changeSettings({ syncOn: event.currentTarget.checked })}
        />
      </div>
      {sync.state === 'error' && (
        <div class="notice" role="alert">
          <Icon sign="warning" />
          <div>
            <p>
              {sync.reason} Nothing is lost: all you write is stored on this device, and is sent when this is mended.
            </p>
            <div class="actions">
              <button type="button" class="button" onClick={retrySync} data-testid="sync-retry">
                Try again now
              </button>
            </div>
          </div>
        </div>
      )}
      <Server server={sync.server} />
    </section>
  )
}

function detailOf(sync: SyncView): string {
  if (sync.state === 'off')
    return sync.server === '' ? 'Name a server below to begin.' : 'The journal stays on this device.'
  const last = sync.lastSynced === undefined ? 'Not synced yet' : `Last synced ${when(sync.lastSynced)}`
  return `${last}. ${waiting(sync.pending)}.`
}

/** "5 minutes ago" grows old by itself. */
function useClock(): void {
  const [, redraw] = useState(0)
  useEffect(() => {
    const timer = setInterval(() => redraw((count) => count + 1), 20_000)
    return () => clearInterval(timer)
  }, [])
}

function Server({ server }: { server: string }) {
  const [text, setText] = useState(server)
  const [wrong, setWrong] = useState(false)
  useEffect(() => setText(server), [server])
  return (
    <form
      class="field"
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        const valid = text.trim() === '' || isServer(text.trim())
        setWrong(!valid)
        if (!valid) return
        changeSettings({ server: text.trim(), syncOn: true })
        say('Server saved.')
      }}
    >
      <label for="server">
        <b>Server</b>
      </label>
      <div class="with-button">
        <input
          id="server"
          type="url"
          value={text}
          placeholder="https://example.org/atlas"
          autocomplete="off"
          spellcheck={false}
          aria-invalid={wrong}
          aria-describedby="server-hint"
          data-testid="server"
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="button plain" disabled={text.trim() === server} data-testid="server-save">
          Save
        </button>
      </div>
      <p class="hint" id="server-hint" role={wrong ? 'alert' : undefined}>
        {wrong
          ? 'This is not an address. It begins with http:// or https:// and ends with the name of a database.'
          : 'A Firkin server or a CouchDB, with the name of the database at the end. Everybody who names the same one shares a journal.'}
      </p>
    </form>
  )
}

function Name() {
  const { name } = useSettings()
  const [text, setText] = useState(name)
  return (
    <form
      class="sync-card"
      onSubmit={(event) => {
        event.preventDefault()
        changeSettings({ name: text.trim() })
        say('Name saved.')
      }}
    >
      <div class="field">
        <label for="name">
          <b>Your name</b>
        </label>
        <div class="with-button">
          <input
            id="name"
            value={text}
            maxLength={60}
            autocomplete="given-name"
            data-testid="name"
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button type="submit" class="button plain" disabled={text.trim() === name} data-testid="name-save">
            Save
          </button>
        </div>
        <p class="hint">Stands on the notes that you write from now on.</p>
      </div>
    </form>
  )
}

function Stored() {
  const { value } = useAnswer(async () => {
    const [info, countries, notes, visits] = await Promise.all([
      database.info(),
      ...['country', 'note', 'visit'].map((kind) => ask<object>({ selector: { kind }, fields: ['_id'] })),
    ] as const)
    return { info, countries: countries?.length, notes: notes?.length, visits: visits?.length }
  }, [])
  const [bytes, setBytes] = useState<number>()
  useEffect(() => {
    void navigator.storage?.estimate?.().then(({ usage }) => setBytes(usage))
  }, [])
  return (
    <section aria-labelledby="stored-title">
      <h2 id="stored-title">On this device</h2>
      <dl class="facts" data-testid="stored">
        <Row name="Countries" value={value?.countries} />
        <Row name="Marks" value={value?.visits} />
        <Row name="Notes" value={value?.notes} />
        <Row name="Room taken, with the app" value={bytes === undefined ? undefined : sizeOf(bytes)} />
      </dl>
    </section>
  )
}

function Row({ name, value }: { name: string; value: number | string | undefined }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value ?? '–'}</dd>
    </div>
  )
}

function sizeOf(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

function Sources() {
  return (
    <p class="hint">
      Countries and outlines: <a href="https://github.com/mledoze/countries">mledoze/countries</a>, under the{' '}
      <a href="https://opendatacommons.org/licenses/odbl/1.0/">Open Database License</a>. Flags:{' '}
      <a href="https://gitlab.com/catamphetamine/country-flag-icons">country-flag-icons</a>, MIT.
    </p>
  )
}
