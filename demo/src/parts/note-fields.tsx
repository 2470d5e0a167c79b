// The three fields of a note: where, what it is called, what happened.

import type { Draft } from '../data/journal'

interface Properties {
  draft: Draft
  names: { cca3: string; name: { common: string } }[]
  onChange: (changes: Partial<Draft>) => void
}

export function NoteFields({ draft, names, onChange }: Properties) {
  return (
    <>
      <label>
        <span>Country</span>
        <select
          required
          value={draft.country}
          data-testid="note-country"
          onChange={(event) => onChange({ country: event.currentTarget.value })}
        >
          <option value="" disabled>
            Choose a country
          </option>
          {names.map(({ cca3, name }) => (
            <option key={cca3} value={cca3}>
              {name.common}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Title</span>
        <input
          class="title"
          required
          maxLength={200}
          value={draft.title}
          placeholder="A name for this memory"
          data-testid="note-title"
          onInput={(event) => onChange({ title: event.currentTarget.value })}
        />
      </label>
      <label>
        <span>Text</span>
        <textarea
          rows={12}
          value={draft.text}
          placeholder="What happened there?"
          data-testid="note-text"
          onInput={(event) => onChange({ text: event.currentTarget.value })}
        />
      </label>
    </>
  )
}
