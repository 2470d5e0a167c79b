// The first start: brings the world in, and meanwhile asks who is there.

import { useEffect, useState } from 'preact/hooks'
import { importCountries, type Progress } from '../data/collection'
import { plainReason } from '../data/errors'
import { changeSettings, currentSettings } from '../data/settings'

export function WelcomePage() {
  const [progress, setProgress] = useState<Progress>()
  const [trouble, setTrouble] = useState<string>()
  const [turn, setTurn] = useState(0)
  const [name, setName] = useState(currentSettings().name)
  useEffect(() => {
    setTrouble(undefined)
    importCountries(setProgress).catch((error: unknown) => setTrouble(plainReason(error)))
  }, [turn])
  const ready = progress !== undefined && progress.done === progress.all
  return (
    <main class="welcome">
      <img src="/icon.svg" alt="" width="88" height="88" />
      <h1>Welcome to Atlas</h1>
      <p class="lead">
        A journal of where you have been and where you want to go. It lives on this device, works without a network, and
        meets your other devices when there is one.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) changeSettings({ name: name.trim(), welcomed: true })
        }}
      >
        <div class="progress" data-testid="import-progress">
          <label for="import">
            {ready ? `${progress.all} countries are on this device` : 'Bringing the world to this device'}
          </label>
          <progress id="import" max={progress?.all ?? 1} value={progress?.done ?? 0} />
          <output>{progress ? `${progress.done} of ${progress.all}` : ' '}</output>
        </div>
        {trouble && (
          <div class="notice" role="alert">
            <div>
              <p>
                <strong>That did not work.</strong> {trouble}
              </p>
              <div class="actions">
                <button type="button" class="button" onClick={() => setTurn(turn + 1)}>
                  Try again
                </button>
              </div>
            </div>
          </div>
        )}
        <label class="field">
          <span>Your name</span>
          <input
            value={name}
            maxLength={60}
            autocomplete="given-name"
            placeholder="So that others know whose note it is"
            data-testid="name"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="button large" disabled={!ready} data-testid="start">
          Open the atlas
        </button>
      </form>
    </main>
  )
}
